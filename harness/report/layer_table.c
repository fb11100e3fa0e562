/* layer_table: see layer_table.h. */
#include "report/layer_table.h"

#include "common/file_io.h"
#include "common/values.h"
#include "report/report_html.h"
#include "result/access_log.h"

#include <math.h>
#include <stdlib.h>

enum { QUANTITIES = 2, VALUES = 7 };
static const char *const quantities[QUANTITIES] = {"wait", "read"};
static const char *const columns[VALUES] = {"mean", "min", "p50", "p90", "p99", "p999", "max"};
static const char *const titles[VALUES] = {"mean", "least", "half",    "90%",
                                           "99%",  "99.9%", "greatest"};

static const struct histogram *histogram_of(const struct view_cell *cell, int quantity)
{
    return quantity == 0 ? cell->log.wait : cell->log.read;
}

/* NAN where there are too few to tell. */
static void values_of(const struct histogram *h, double values[VALUES])
{
    values[0] = histogram_mean(h);
    values[1] = (double)h->min;
    values[2] = histogram_percentile(h, 0.5);
    values[3] = histogram_percentile(h, 0.9);
    values[4] = histogram_percentile(h, 0.99);
    values[5] = histogram_percentile(h, 0.999);
    values[6] = (double)h->max;
}

/* ---- CSV ---- */

static void print_csv(const struct view *view, FILE *out)
{
    fputs("cell,quantity,n", out);
    for (int k = 0; k < VALUES; k++)
        fprintf(out, ",%s_ns", columns[k]);
    fputc('\n', out);
    for (size_t i = 0; i < view->n_cells; i++) {
        for (int q = 0; q < QUANTITIES; q++) {
            const struct histogram *h = histogram_of(&view->cells[i], q);
            double values[VALUES];
            if (!h)
                continue;
            values_of(h, values);
            fprintf(out, "\"%s\",%s,%llu", view->cells[i].name, quantities[q],
                    (unsigned long long)h->count);
            for (int k = 0; k < VALUES; k++)
                fprintf(out, isnan(values[k]) ? "," : ",%.0f", values[k]);
            fputc('\n', out);
        }
    }
}

static bool no_cell(void *ctx, size_t cell)
{
    (void)ctx;
    (void)cell;
    return false;
}

enum lb_status layer_table_write(const char *directory, struct lb_error *err)
{
    struct view view;
    struct access_log log = {.events = NULL};
    char *text = NULL;
    size_t length = 0;
    enum lb_status status = view_open(directory, &view, err);
    if (status != LB_OK)
        return status;
    const char *path = view_text(&view, "%s/layers.csv", directory);
    if (!file_exists(view_text(&view, "%s/layers.jsonl", directory))) {
        view_close(&view);
        return LB_OK;
    }
    status = access_log_read(&view, no_cell, NULL, &log, err);
    access_log_close(&log);
    if (status == LB_OK) {
        FILE *out = open_memstream(&text, &length);
        if (out)
            print_csv(&view, out);
        status = out && fclose(out) == 0 ? file_replace(path, text, length, err)
                                         : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
        free(text);
    }
    view_close(&view);
    return status;
}

/* ---- HTML ---- */

static void html_row(FILE *out, const struct view_cell *cell, int quantity)
{
    const struct histogram *h = histogram_of(cell, quantity);
    double values[VALUES];
    char text[64], sort[64];
    if (!h)
        return;
    values_of(h, values);
    html_print(out, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%zu</td>", cell->label,
               quantities[quantity], (size_t)h->count);
    for (int k = 0; k < VALUES; k++) {
        if (isnan(values[k])) {
            fputs("<td data-v=\"\">&ndash;</td>", out);
            continue;
        }
        snprintf(sort, sizeof sort, "%.0f", values[k]);
        html_print(out, "<td data-v=\"%s\">%s</td>", sort,
                   value_human_duration(values[k], text, sizeof text));
    }
    fputs("</tr>\n", out);
}

void layer_table_html(FILE *out, struct view *view)
{
    bool any = false;
    for (size_t i = 0; i < view->n_cells; i++)
        any = any || view->cells[i].log.wait;
    if (!any)
        return;
    html_print(out,
               "<details><summary>Waits and reads of single layers</summary>\n"
               "<div class=scroll tabindex=0 role=region aria-label=\"Waits and reads\">\n"
               "<table class=sortable><caption>How long the computation waits for a layer, and how "
               "long a layer takes to read, over all %ses of all runs; a percentile needs enough "
               "accesses (64 for 90%%, 662 for 99%%).</caption>\n<thead><tr><th scope=\"col\">cell"
               "</th><th scope=\"col\">what</th><th scope=\"col\">accesses</th>",
               view->pass_kind);
    for (int k = 0; k < VALUES; k++)
        html_print(out, "<th scope=\"col\">%s</th>", titles[k]);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < view->n_cells; i++)
        for (int q = 0; q < QUANTITIES; q++)
            html_row(out, &view->cells[i], q);
    fputs("</tbody></table></div></details>\n", out);
}
