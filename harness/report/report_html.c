/* report_html: see report_html.h. */
#include "report/report_html.h"

#include "common/amounts.h"
#include "common/embedded.h"
#include "result/layer_table.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

void html_print(FILE *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            fputc(*format, out);
            continue;
        }
        format++;
        if (*format == 's')
            html_text(out, va_arg(args, const char *));
        else if (*format == 'd')
            fprintf(out, "%d", va_arg(args, int));
        else if (strncmp(format, "zu", 2) == 0) {
            fprintf(out, "%zu", va_arg(args, size_t));
            format++;
        } else
            fputc('%', out);
    }
    va_end(args);
}

void html_head(FILE *out, const char *title)
{
    html_print(out,
               "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<link rel=\"icon\" href=\"data:,\">\n<title>%s</title>\n<style>\n",
               title);
    fputs(embedded_find("harness/report/report.css")->text, out);
    fputs("</style>\n</head>\n<body>\n", out);
}

void html_tail(FILE *out)
{
    fputs("<script>\n", out);
    fputs(embedded_find("harness/report/report.js")->text, out);
    fputs("</script>\n</body>\n</html>\n", out);
}

/* ---- figures ---- */

/* Copies up to `end`; ids and references to them get the prefix, rgb(  0,   0,   0) loses its
 * spaces so that the style sheet can name colours. */
static void copy_svg(FILE *out, const char *svg, const char *prefix)
{
    static const char *const marks[] = {"id=\"", "id='", "href=\"#", "href='#", "url(#"};
    while (*svg) {
        size_t matched = 0;
        for (size_t i = 0; i < sizeof marks / sizeof *marks && !matched; i++)
            if (strncmp(svg, marks[i], strlen(marks[i])) == 0)
                matched = strlen(marks[i]);
        if (matched) {
            fprintf(out, "%.*s%s-", (int)matched, svg, prefix);
            svg += matched;
        } else if (strncmp(svg, "<title>", 7) == 0 && strstr(svg, "</title>")) {
            svg = strstr(svg, "</title>") + strlen("</title>"); /* gnuplot's, of no use to people */
        } else if (strncmp(svg, "rgb(", 4) == 0) {
            for (; *svg && *svg != ')'; svg++)
                if (!isspace((unsigned char)*svg))
                    fputc(*svg, out);
        } else if (strncmp(svg, " = '", 4) == 0) { /* attributes are matched as text */
            fputs("='", out);
            svg += 4;
        } else {
            fputc(*svg++, out);
        }
    }
}

bool html_svg(FILE *out, const char *svg, const char *alt, const char *prefix)
{
    const char *box = strstr(svg, "viewBox=\""), *title = strstr(svg, "<desc>");
    const char *body = title ? strstr(title, "</desc>") : NULL;
    if (!box || !body)
        return false;
    html_print(out, "<svg role=\"img\" aria-label=\"%s\" xmlns=\"http://www.w3.org/2000/svg\" ",
               alt);
    fprintf(out, "xmlns:xlink=\"http://www.w3.org/1999/xlink\" %.*s\">\n",
            (int)(strcspn(box + 9, "\"") + 9), box);
    copy_svg(out, body + strlen("</desc>"), prefix);
    return true;
}

/* ---- the table of cells ---- */

static void number_cell(FILE *out, double sort, const char *text)
{
    if (isnan(sort))
        fputs("<td data-v=\"\">&ndash;</td>", out);
    else
        html_print(out, "<td data-v=\"%s\">%s</td>", text, text);
}

static void cell_value(FILE *out, double value, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*g", digits, value);
    number_cell(out, value, text);
}

/* Milliseconds with as many decimals as are worth reading. */
static void cell_ms(FILE *out, double ns)
{
    char text[64];
    double ms = ns / 1e6;
    int decimals = ms >= 100 || ms == 0 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3;
    snprintf(text, sizeof text, "%.*f", decimals, ms);
    number_cell(out, ms, text);
}

static const char *const expert_heads[] = {"demand MB", "expert hits %", "of bytes %",
                                           "experts / token", "tokens / expert"};
enum { EXPERT_HEADS = sizeof expert_heads / sizeof *expert_heads };

static void expert_cells(FILE *out, const struct sample_experts *e)
{
    cell_value(out, e->demand_bytes / 1e6, 4);
    cell_value(out, 100 * e->hit_rate, 3);
    cell_value(out, 100 * e->hit_rate_bytes, 3);
    cell_value(out, e->per_token, 3);
    cell_value(out, e->tokens, 3);
}

static void cell_row(FILE *out, const struct result_view *view, const struct view_cell *c,
                     bool best)
{
    if (!view_measured(c)) {
        html_print(out,
                   "<tr><th scope=\"row\">%s</th><td data-v=\"\" colspan=\"%s\">%s</td></tr>\n",
                   c->label, view->experts ? "19" : "14", c->problem ? c->problem : "not measured");
        return;
    }
    double share = c->floor.ns / c->pass.median;
    html_print(out, "<tr%s><th scope=\"row\">%s</th>", best ? " class=best" : "", c->label);
    fprintf(out, "<td>%zu</td>", c->pass.n);
    cell_ms(out, c->pass.median);
    cell_ms(out, c->pass.low);
    cell_ms(out, c->pass.high);
    cell_ms(out, c->floor.ns);
    if (isnan(share))
        number_cell(out, share, "");
    else
        fprintf(out, "<td class=share style=\"--share:%.0f%%\">%.2f%s</td>", 100 * fmin(share, 1),
                share, share > 1 ? "?" : "");
    cell_ms(out, c->median.wait_ns);
    for (int o = 0; o <= LB_MISS; o++)
        cell_value(out, c->median.outcomes[o], 3);
    cell_value(out, c->median.bytes_read / 1e6, 4);
    cell_value(out, view_speed(c, c->pass.median), 3);
    cell_value(out, c->median.peak_rss_bytes / 0x1p20, 4);
    if (view->experts)
        expert_cells(out, &c->median.experts);
    fputs("</tr>\n", out);
}

void html_cells(FILE *out, struct result_view *view, const struct view_cell *best)
{
    static const char *const heads[] = {
        "cell", "runs",       "pass ms", "low",  "high",    "floor ms",   "floor / pass", "wait ms",
        "hit",  "prefetched", "late",    "miss", "read MB", "tokens / s", "peak MiB"};
    fputs("<div class=scroll tabindex=0 role=region aria-label=\"All cells\">\n"
          "<table class=sortable><caption>",
          out);
    html_print(
        out,
        "Pass: median of the runs' decode passes; low and high: its 95%% interval by order "
        "statistics (fewer than 6 runs: least and most). A share above 1, marked ?, shows that the "
        "floor is wrong. Wait, outcomes and megabytes read are of a pass, medians over the "
        "runs.%s</caption>\n",
        view->experts
            ? " Demand: weights that a pass needs. Expert hits: share of the experts that "
              "a layer's router chose which the cache held since an earlier pass."
            : "");
    fputs("<thead><tr>", out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        html_print(out, "<th scope=\"col\">%s</th>", heads[i]);
    for (size_t i = 0; view->experts && i < EXPERT_HEADS; i++)
        html_print(out, "<th scope=\"col\">%s</th>", expert_heads[i]);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < view->n_cells; i++)
        cell_row(out, view, &view->cells[i], &view->cells[i] == best);
    fputs("</tbody></table></div>\n", out);
}

/* ---- environment ---- */

static void environment_rows(FILE *out, struct result_view *view, const json_t *object,
                             const char *prefix)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        const char *name = view_text(view, "%s%s", prefix, key);
        const json_t *inner = json_object_get(value, "value");
        if (json_is_object(value) && !inner) {
            environment_rows(out, view, value, view_text(view, "%s ", name));
            continue;
        }
        const char *source = view_field(view, value, "source");
        const char *reason = view_field(view, value, "reason");
        const char *text = view_field(view, object, key);
        html_print(out, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td></tr>\n", name,
                   *text ? text : "not known", *source ? source : reason);
    }
}

void html_environment(FILE *out, struct result_view *view)
{
    const json_t *environment = json_object_get(view->document, "environment");
    if (json_object_size(environment) == 0) {
        fputs("<p>The result does not say where it was measured.</p>\n", out);
        return;
    }
    fputs(
        "<details><summary>Machine, kernel, storage, build</summary>\n"
        "<div class=scroll tabindex=0 role=region aria-label=\"Environment\"><table class=facts>"
        "<thead><tr><th scope=col>what</th><th scope=col>value</th><th scope=col>source, or why it "
        "is not known</th></tr></thead><tbody>\n",
        out);
    environment_rows(out, view, environment, "");
    fputs("</tbody></table></div></details>\n", out);
}

/* ---- waits and reads of layers ---- */

static void layer_row(FILE *out, const struct view_cell *cell, int quantity)
{
    double values[LAYER_VALUES];
    uint64_t n;
    char text[64], sort[64];
    if (!layer_values(cell, quantity, &n, values))
        return;
    html_print(out, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%zu</td>", cell->label,
               layer_quantities[quantity], (size_t)n);
    for (int k = 0; k < LAYER_VALUES; k++) {
        if (isnan(values[k])) {
            fputs("<td data-v=\"\">&ndash;</td>", out);
            continue;
        }
        snprintf(sort, sizeof sort, "%.0f", values[k]);
        html_print(out, "<td data-v=\"%s\">%s</td>", sort,
                   amount_human_duration(values[k], text, sizeof text));
    }
    fputs("</tr>\n", out);
}

void html_layers(FILE *out, struct result_view *view)
{
    static const char *const titles[LAYER_VALUES] = {"mean", "least", "half",    "90%",
                                                     "99%",  "99.9%", "greatest"};
    bool any = false;
    for (size_t i = 0; i < view->n_cells; i++)
        any = any || view->cells[i].log.wait;
    if (!any)
        return;
    html_print(
        out,
        "<details><summary>Waits and reads of single layers</summary>\n"
        "<div class=scroll tabindex=0 role=region aria-label=\"Waits and reads\">\n"
        "<table class=sortable><caption>How long the computation waits for a layer, and how "
        "long a layer takes to read, over all decode passes of all runs; a percentile needs enough "
        "accesses (64 for 90%%, 662 for 99%%).</caption>\n<thead><tr><th scope=\"col\">cell"
        "</th><th scope=\"col\">what</th><th scope=\"col\">accesses</th>");
    for (int k = 0; k < LAYER_VALUES; k++)
        html_print(out, "<th scope=\"col\">%s</th>", titles[k]);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < view->n_cells; i++)
        for (int q = 0; q < LAYER_QUANTITIES; q++)
            layer_row(out, &view->cells[i], q);
    fputs("</tbody></table></div></details>\n", out);
}
