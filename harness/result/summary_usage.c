/* summary_usage: see summary_usage.h. */
#include "result/summary_usage.h"

#include "common/amounts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- figures ---- */

typedef double (*figure)(const struct sample *s, const char *name);

static double median_of(const struct cell_samples *cell, figure f, const char *name)
{
    double *values = malloc((cell->count + 1) * sizeof *values), median = NAN;
    size_t n = 0;
    for (size_t i = 0; values && i < cell->count; i++) {
        double value = *cell->list[i].failed ? NAN : f(&cell->list[i], name);
        if (!isnan(value))
            values[n++] = value;
    }
    if (n > 0)
        median = stats_median(values, n);
    free(values);
    return median;
}

static double printed(const struct sample *s, const char *name)
{
    const json_t *number = json_object_get(s->printed, name);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

#define USAGE(field)                                                                               \
    static double field(const struct sample *s, const char *name)                                  \
    {                                                                                              \
        (void)name;                                                                                \
        return s->usage.wall_ns > 0 && s->usage.field >= 0 ? (double)s->usage.field : NAN;         \
    }
USAGE(wall_ns)
USAGE(cpu_ns)
USAGE(bytes_read)
USAGE(major_faults)
USAGE(peak_rss_bytes)

struct summary_usage summary_usage(const struct cell_samples *cell)
{
    return (struct summary_usage){.wall_ns = median_of(cell, wall_ns, NULL),
                                  .cpu_ns = median_of(cell, cpu_ns, NULL),
                                  .bytes_read = median_of(cell, bytes_read, NULL),
                                  .major_faults = median_of(cell, major_faults, NULL),
                                  .peak_rss_bytes = median_of(cell, peak_rss_bytes, NULL)};
}

double summary_usage_printed(const struct cell_samples *cell, const char *name)
{
    return median_of(cell, printed, name);
}

json_t *summary_usage_names(const struct results *r)
{
    json_t *names = json_object(), *place;
    const char *name;
    for (size_t i = 0; i < r->scenario->n_peers; i++) {
        json_object_foreach(json_object_get(r->scenario->peers[i].definition, "read"), name, place)
            json_object_set_new(names, name, json_true());
    }
    return names;
}

/* ---- for people ---- */

static void duration(double ns, FILE *out)
{
    char text[32] = "-";
    if (!isnan(ns))
        amount_human_duration(ns, text, sizeof text);
    fprintf(out, " %s |", text);
}

static void size(double bytes, FILE *out)
{
    char text[32] = "-";
    if (!isnan(bytes))
        amount_human_size(bytes, text, sizeof text);
    fprintf(out, " %s |", text);
}

static void print_printed(const struct cell_samples *cell, json_t *names, FILE *out)
{
    const char *name, *between = " ";
    json_t *unused;
    json_object_foreach(names, name, unused)
    {
        double value = summary_usage_printed(cell, name);
        if (!isnan(value)) {
            fprintf(out, "%s%s %.4g", between, name, value);
            between = ", ";
        }
    }
    fputs(" |\n", out);
}

void summary_usage_markdown(const struct results *r, FILE *out)
{
    if (r->scenario->n_peers == 0)
        return;
    json_t *names = summary_usage_names(r);
    fputs(
        "\n## From outside\n\n"
        "Whole processes, loading and prompt included, in the median: what the kernel says of ours "
        "and of other programs alike. Another program's pass is made of the speed that it prints "
        "(`tokens_per_second`), where it prints none of its wall time. **Its work is not "
        "checked**: "
        "no identity, no hash of tokens, no floor. Memory is the most that the largest process "
        "had in memory, mapped files included.\n\n"
        "| cell | program | wall | CPU | bytes read | major faults | peak memory | it printed |\n"
        "|---|---|---|---|---|---|---|---|\n",
        out);
    for (uint32_t i = 0; i < r->matrix->count; i++) {
        const struct cell *cell = &r->matrix->cells[i];
        struct summary_usage u = summary_usage(&r->by_cell[i]);
        if (r->by_cell[i].count == 0)
            continue;
        fprintf(out, "| %s | %s |", cell->name, cell->peer ? cell->peer->label : PEER_OURS);
        duration(u.wall_ns, out);
        duration(u.cpu_ns, out);
        size(u.bytes_read, out);
        fprintf(out, isnan(u.major_faults) ? " - |" : " %.0f |", u.major_faults);
        size(u.peak_rss_bytes, out);
        print_printed(&r->by_cell[i], names, out);
    }
    json_decref(names);
}

void summary_usage_notes(const struct results *r, FILE *out)
{
    for (size_t i = 0; i < r->scenario->n_peers; i++) {
        const struct peer *p = &r->scenario->peers[i];
        const struct cell *cell = NULL;
        for (uint32_t k = 0; k < r->matrix->count && !cell; k++)
            cell = r->matrix->cells[k].peer == p ? &r->matrix->cells[k] : NULL;
        if (cell && cell->skipped)
            fprintf(out, "engine %s: left out: %s: %s\n", p->name, peer_program(p), cell->skipped);
        else if (cell)
            fprintf(out,
                    "engine %s: another program, measured from outside: its work is not checked\n",
                    p->name);
    }
}
