/* layer_table: see layer_table.h. */
#include "result/layer_table.h"

#include "common/file_io.h"
#include "result/access_log.h"

#include <math.h>

const char *const layer_quantities[LAYER_QUANTITIES] = {"wait", "read"};
static const char *const columns[LAYER_VALUES] = {"mean", "min",  "p50", "p90",
                                                  "p99",  "p999", "max"};

bool layer_values(const struct view_cell *cell, int quantity, uint64_t *n,
                  double values[LAYER_VALUES])
{
    const struct histogram *h = quantity == 0 ? cell->log.wait : cell->log.read;
    if (!h)
        return false;
    *n = h->count;
    values[0] = histogram_mean(h);
    values[1] = (double)h->min;
    values[2] = histogram_percentile(h, 0.5);
    values[3] = histogram_percentile(h, 0.9);
    values[4] = histogram_percentile(h, 0.99);
    values[5] = histogram_percentile(h, 0.999);
    values[6] = (double)h->max;
    return true;
}

/* ---- CSV ---- */

static void print_csv(const struct result_view *view, FILE *out)
{
    fputs("cell,quantity,n", out);
    for (int k = 0; k < LAYER_VALUES; k++)
        fprintf(out, ",%s_ns", columns[k]);
    fputc('\n', out);
    for (size_t i = 0; i < view->n_cells; i++) {
        for (int q = 0; q < LAYER_QUANTITIES; q++) {
            double values[LAYER_VALUES];
            uint64_t n;
            if (!layer_values(&view->cells[i], q, &n, values))
                continue;
            fprintf(out, "\"%s\",%s,%llu", view->cells[i].name, layer_quantities[q],
                    (unsigned long long)n);
            for (int k = 0; k < LAYER_VALUES; k++)
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
    struct result_view view;
    struct access_log log = {.events = NULL};
    struct file_stream to;
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
    if (status == LB_OK)
        status = file_stream_open(path, &to, err);
    if (status == LB_OK) {
        print_csv(&view, to.out);
        status = file_stream_finish(&to, err);
    }
    view_close(&view);
    return status;
}
