/* simulate_print: predictions as a table and as JSON. */
#include "common/amounts.h"
#include "common/json_text.h"
#include "predict/simulation.h"
#include "result/results_json.h"

#include <string.h>

enum { TEXT = 48 };

static int widest_name(const struct sim_row *rows, size_t n)
{
    size_t widest = strlen("cell");
    for (size_t i = 0; i < n; i++)
        widest = strlen(rows[i].cell->name) > widest ? strlen(rows[i].cell->name) : widest;
    return (int)widest;
}

/* Predictions of experts, where there are any: a line for each depth. */
static void print_predictions(const struct sim_row *rows, size_t n, int width, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const struct sim_prediction *p = &rows[i].p;
        for (uint32_t d = 0; d < p->predict_depth; d++, any = true) {
            const struct prediction_score *s = &p->scores[d];
            const struct prediction_counters *c = &p->predicted;
            char lead[TEXT] = "-";
            if (!any)
                fprintf(out, "\n%-*s %5s %9s %7s %9s %9s %10s %10s %10s\n", width, "cell", "depth",
                        "precision", "recall", "misses", "foreseen", "before", "loads", "in vain");
            if (c->foreseen > 0)
                amount_human_duration(c->foreseen_ns / (double)c->foreseen, lead, sizeof lead);
            fprintf(out, "%-*s %5u %9.3f %7.3f", width, rows[i].cell->name, d + 1,
                    (double)s->right / (double)(s->guessed ? s->guessed : 1),
                    (double)s->right / (double)(s->needed ? s->needed : 1));
            if (d == 0)
                fprintf(out, " %9llu %9.3f %10s %10llu %10llu", (unsigned long long)c->misses,
                        (double)c->foreseen / (double)(c->misses ? c->misses : 1), lead,
                        (unsigned long long)c->loads, (unsigned long long)c->vain);
            fputc('\n', out);
        }
    }
}

void sim_print_table(const struct sim_row *rows, size_t n, FILE *out)
{
    int width = widest_name(rows, n);
    fprintf(out, "%-*s %10s %10s %10s  %-25s %10s %10s %8s %8s %6s\n", width, "cell", "pass",
            "floor", "of floor", "hit/pref/late/miss", "wait", "bytes", "optimum", "tok/s", "c/t");
    for (size_t i = 0; i < n; i++) {
        const struct sim_prediction *p = &rows[i].p;
        char pass[TEXT], floor[TEXT], wait[TEXT], bytes[TEXT], best[TEXT], outcomes[TEXT];
        snprintf(outcomes, sizeof outcomes, "%.1f / %.1f / %.1f / %.1f", p->hit, p->prefetched,
                 p->late, p->miss);
        fprintf(out, "%-*s %10s %10s %10.3f  %-25s %10s %10s %8s %8.3g %6.2g\n", width,
                rows[i].cell->name, amount_human_duration(p->pass_ns, pass, sizeof pass),
                amount_human_duration(p->floor_ns, floor, sizeof floor), p->floor_ns / p->pass_ns,
                outcomes, amount_human_duration(p->wait_ns, wait, sizeof wait),
                amount_human_size(p->bytes, bytes, sizeof bytes),
                amount_human_size(p->optimum_bytes, best, sizeof best), p->tokens_per_s,
                p->c_over_t);
    }
    print_predictions(rows, n, width, out);
}

static json_t *predictions_as_json(const struct sim_prediction *p)
{
    json_t *scores = json_array();
    for (uint32_t d = 0; d < p->predict_depth; d++)
        json_array_append_new(scores, json_pack("[I, I, I]", (json_int_t)p->scores[d].guessed,
                                                (json_int_t)p->scores[d].right,
                                                (json_int_t)p->scores[d].needed));
    return json_pack("{s:I, s:I, s:f, s:I, s:I, s:o}", "misses", (json_int_t)p->predicted.misses,
                     "foreseen", (json_int_t)p->predicted.foreseen, "foreseen_ns",
                     p->predicted.foreseen_ns, "loads", (json_int_t)p->predicted.loads, "vain",
                     (json_int_t)p->predicted.vain, "scores", scores);
}

static json_t *row_as_json(const struct sim_row *row)
{
    const struct sim_prediction *p = &row->p;
    return json_pack(
        "{s:o, s:o, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f}, s:f, s:f, s:f, s:f, "
        "s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:o*}",
        "name", json_text(row->cell->name), "options", results_options(&row->cell->settings),
        "pass_ns", p->pass_ns, "wait_ns", p->wait_ns, "compute_ns", p->compute_ns, "floor_ns",
        p->floor_ns, "outcomes", "hit", p->hit, "prefetched", p->prefetched, "late", p->late,
        "miss", p->miss, "bytes_read", p->bytes, "optimum_bytes", p->optimum_bytes, "loads",
        p->loads, "wasted", p->wasted, "evictions", p->evictions, "in_flight", p->in_flight,
        "c_over_t", p->c_over_t, "tokens_a_pass", p->tokens_a_pass, "tokens_per_s", p->tokens_per_s,
        "cache_bytes", (json_int_t)p->cache_bytes, "n_units", (json_int_t)p->n_units, "prediction",
        p->predict_depth > 0 ? predictions_as_json(p) : NULL);
}

int sim_print_json(const struct sim_row *rows, size_t n, FILE *out)
{
    json_t *cells = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(cells, row_as_json(&rows[i]));
    json_t *document = json_pack("{s:{s:b, s:o}}", "layerbench", "simulated", 1, "cells", cells);
    int code = document ? json_dumpf(document, out, JSON_INDENT(1)) : -1;
    if (code == 0)
        fputc('\n', out);
    json_decref(document);
    return code;
}
