/* gate_report: table, Markdown and JSON. See gate_report.h. */
#include "gate/gate_report.h"

#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/json_text.h"

#include <math.h>

const char *gate_report_outcome(int exit_code)
{
    switch (exit_code) {
    case EXIT_OK:
        return "no regression";
    case EXIT_REGRESSION:
        return "regression";
    case EXIT_INCONCLUSIVE:
        return "inconclusive: too noisy to say";
    case EXIT_INCOMPARABLE:
        return "not comparable";
    default:
        return "failed: not measured, or not the same work";
    }
}

static const char *human(const struct gate_times_row *row, double value, char text[64])
{
    return isnan(value) ? "-" : amount_human(value, row->metric->unit, text, 64);
}

static const char *percent(double value, char text[64])
{
    if (isnan(value))
        return "-";
    snprintf(text, 64, "%.1f%%", 100 * value);
    return text;
}

static const char *interval(const struct gate_result *r, char text[64])
{
    if (isnan(r->interval.low))
        return "-";
    snprintf(text, 64, "%.3f to %.3f", r->interval.low, r->interval.high);
    return text;
}

/* ---- table ---- */

static void table_counts(const struct gate_report *r, FILE *out)
{
    const struct gate_counts *c = r->counts;
    fprintf(out, "exact counts: %zu of %zu as in %s\n", c->n - c->n_differ, c->n, r->baseline);
    for (size_t i = 0; i < c->n; i++)
        if (c->list[i].kind != GATE_COUNT_EQUAL)
            fprintf(out, "  %s: %s is %s, expected %s\n", c->list[i].cell, c->list[i].quantity,
                    c->list[i].got, c->list[i].expected);
}

static void table_row(const struct gate_times_row *row, FILE *out, bool colour)
{
    char base[64], head[64], range[64], noise[64], least[64];
    const struct gate_result *r = &row->result;
    const char *shade = !colour                           ? ""
                        : r->verdict == GATE_SAME         ? ""
                        : r->verdict == GATE_IMPROVEMENT  ? "\033[32m"
                        : r->verdict == GATE_INCONCLUSIVE ? "\033[33m"
                                                          : "\033[31m";
    fprintf(out, "  %-8s %10s %10s  %6.3f  %-15s %3zu+%-3zu %5s %6s  %s%s%s%s%s\n",
            row->metric->name, human(row, r->median[0], base), human(row, r->median[1], head),
            r->ratio, interval(r, range), r->n[0], r->n[1], percent(r->cv, noise),
            percent(r->least_effect, least), shade, gate_verdict_name(r->verdict),
            *shade ? "\033[0m" : "", *r->reason ? ": " : "", r->reason);
}

static void table_times(const struct gate_report *r, FILE *out, bool colour)
{
    const struct gate_times *t = r->times;
    const struct gate_cell *cell = NULL;
    size_t aside = 0;
    for (size_t i = 0; i < t->n_samples; i++)
        aside += t->samples[i].set_aside;
    fprintf(out, "times, in turns on this machine: base %s, head %s (%zu samples, seed %llu)\n",
            r->base, r->head, t->n_samples, (unsigned long long)r->plan->seed);
    if (aside)
        fprintf(out, "  %zu samples were set aside: too noisy, measured anew\n", aside);
    for (size_t i = 0; i < t->n_rows; i++) {
        if (t->rows[i].cell != cell)
            fprintf(out, "%s\n  %-8s %10s %10s  %6s  %-15s %7s %5s %6s  %s\n",
                    t->rows[i].cell->name, "metric", "base", "head", "ratio", "99% interval", "n",
                    "noise", "finds", "verdict");
        cell = t->rows[i].cell;
        table_row(&t->rows[i], out, colour);
    }
}

void gate_report_table(const struct gate_report *r, FILE *out, bool colour)
{
    size_t i;
    const json_t *warning;
    if (r->slowed)
        fprintf(out, "the head is slowed on purpose: %s\n", r->slowed);
    if (r->counts)
        table_counts(r, out);
    if (r->times)
        table_times(r, out, colour);
    else
        fputs("times: not measured (no --base)\n", out);
    json_array_foreach(r->warnings, i, warning)
        fprintf(out, "note: %s\n", json_string_value(warning));
    fprintf(out, "verdict: %s%s (exit code %d, %.0f s)\n", gate_report_outcome(r->judged),
            r->judged == r->exit_code     ? ""
            : r->exit_code == EXIT_FAILED ? ", but a report could not be written"
                                          : ", a warning as --noise-is says",
            r->exit_code, r->took_s);
}

/* ---- Markdown ---- */

void gate_report_markdown(const struct gate_report *r, FILE *out)
{
    fprintf(out, "### layerbench gate: %s\n\n", gate_report_outcome(r->judged));
    if (r->slowed)
        fprintf(out, "The head is slowed on purpose: %s.\n\n", r->slowed);
    if (r->counts)
        fprintf(out, "Exact counts: %zu of %zu as in `%s`.\n\n", r->counts->n - r->counts->n_differ,
                r->counts->n, r->baseline);
    if (r->counts && r->counts->n_differ > 0) {
        fputs("| cell | quantity | expected | got |\n|---|---|--:|--:|\n", out);
        for (size_t i = 0; i < r->counts->n; i++) {
            const struct gate_count *c = &r->counts->list[i];
            if (c->kind != GATE_COUNT_EQUAL)
                fprintf(out, "| %s | %s | %s | %s |\n", c->cell, c->quantity, c->expected, c->got);
        }
        fputc('\n', out);
    }
    if (!r->times) {
        fputs("Times: not measured (no base binary).\n", out);
        return;
    }
    fputs("| cell | metric | base | head | ratio | 99% interval | n | noise | least effect found | "
          "verdict |\n|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n",
          out);
    for (size_t i = 0; i < r->times->n_rows; i++) {
        const struct gate_times_row *row = &r->times->rows[i];
        const struct gate_result *g = &row->result;
        char base[64], head[64], range[64], noise[64], least[64];
        fprintf(out, "| %s | %s | %s | %s | %.3f | %s | %zu + %zu | %s | %s | **%s** %s |\n",
                row->cell->name, row->metric->name, human(row, g->median[0], base),
                human(row, g->median[1], head), g->ratio, interval(g, range), g->n[0], g->n[1],
                percent(g->cv, noise), percent(g->least_effect, least),
                gate_verdict_name(g->verdict), g->reason);
    }
    fputs("\nBase and head ran on the same machine in turns, each sample a process of its own.\n",
          out);
}

/* ---- JSON ---- */

static json_t *count_json(const struct gate_count *c)
{
    json_t *object = json_object();
    json_object_set_new(object, "cell", json_text(c->cell));
    json_object_set_new(object, "quantity", json_text(c->quantity));
    json_object_set_new(object, "expected", json_text(c->expected));
    json_object_set_new(object, "got", json_text(c->got));
    json_object_set_new(object, "equal", json_boolean(c->kind == GATE_COUNT_EQUAL));
    return object;
}

static json_t *row_json(const struct gate_times_row *row)
{
    const struct gate_result *r = &row->result;
    json_t *object = json_object();
    json_object_set_new(object, "cell", json_text(row->cell->name));
    json_object_set_new(object, "metric", json_text(row->metric->name));
    json_object_set_new(object, "unit", json_text(row->metric->unit));
    json_object_set_new(object, "verdict", json_text(gate_verdict_name(r->verdict)));
    json_object_set_new(object, "reason", json_text(r->reason));
    json_object_set_new(object, "base", json_number(r->median[0]));
    json_object_set_new(object, "head", json_number(r->median[1]));
    json_object_set_new(object, "n",
                        json_integer((json_int_t)(r->n[0] < r->n[1] ? r->n[0] : r->n[1])));
    json_object_set_new(object, "ratio", json_number(r->ratio));
    json_object_set_new(object, "low", json_number(r->interval.low));
    json_object_set_new(object, "high", json_number(r->interval.high));
    json_object_set_new(object, "p", json_number(r->p_worse));
    json_object_set_new(object, "cv", json_number(r->cv));
    json_object_set_new(object, "least_effect", json_number(r->least_effect));
    json_object_set_new(object, "outliers",
                        json_integer((json_int_t)(r->outliers[0] + r->outliers[1])));
    json_object_set_new(object, "measured_again", json_boolean(row->measured_again));
    json_object_set_new(object, "first_verdict", json_text(gate_verdict_name(row->first.verdict)));
    json_object_set_new(object, "first_ratio", json_number(row->first.ratio));
    return object;
}

static json_t *sample_json(const struct gate_report *r, const struct gate_time_sample *s)
{
    json_t *object = json_object(), *values = json_object();
    for (size_t i = 0; i < r->plan->n_metrics; i++)
        json_object_set_new(values, r->plan->metrics[i]->name, json_number(s->values[i]));
    json_object_set_new(object, "seq", json_integer(s->seq));
    json_object_set_new(object, "cell", json_text(r->plan->cells[s->cell].name));
    json_object_set_new(object, "block", json_integer(s->block));
    json_object_set_new(object, "arm", json_text(s->head ? "head" : "base"));
    json_object_set_new(object, "confirming", json_boolean(s->confirming));
    json_object_set_new(object, "set_aside", json_boolean(s->set_aside));
    json_object_set_new(object, "start_ns", json_integer(s->start_ns));
    json_object_set_new(object, "values", values);
    return object;
}

static json_t *memory_json(const struct gate_report *r, const struct gate_memory *m)
{
    json_t *object = json_object();
    json_object_set_new(object, "cell", json_text(r->plan->cells[m->cell].name));
    json_object_set_new(object, "block", json_integer(m->block));
    json_object_set_new(object, "in_order",
                        json_pack("[f, f]", m->rate[0].in_order, m->rate[1].in_order));
    json_object_set_new(object, "in_streams",
                        json_pack("[f, f]", m->rate[0].in_streams, m->rate[1].in_streams));
    return object;
}

json_t *gate_report_json(const struct gate_report *r)
{
    json_t *root = json_object(), *counts = json_array(), *times = json_array();
    json_t *samples = json_array(), *memory = json_array();
    for (size_t i = 0; r->times && i < r->times->n_memory; i++)
        json_array_append_new(memory, memory_json(r, &r->times->memory[i]));
    for (size_t i = 0; r->counts && i < r->counts->n; i++)
        json_array_append_new(counts, count_json(&r->counts->list[i]));
    for (size_t i = 0; r->times && i < r->times->n_rows; i++)
        json_array_append_new(times, row_json(&r->times->rows[i]));
    for (size_t i = 0; r->times && i < r->times->n_samples; i++)
        json_array_append_new(samples, sample_json(r, &r->times->samples[i]));
    json_object_set_new(root, "schema_version", json_integer(1));
    json_object_set_new(root, "scenario", json_text(r->scenario->name));
    json_object_set_new(root, "scenario_sha256", json_text(r->scenario->sha256));
    json_object_set_new(root, "base", json_text(r->base));
    json_object_set_new(root, "head", json_text(r->head));
    json_object_set_new(root, "seed", json_integer((json_int_t)r->plan->seed));
    json_object_set_new(root, "slowed", json_text(r->slowed));
    json_object_set_new(root, "exit_code", json_integer(r->exit_code));
    json_object_set_new(root, "outcome", json_text(gate_report_outcome(r->judged)));
    json_object_set_new(root, "took_s", json_number(r->took_s));
    json_object_set_new(root, "environment", json_deep_copy(r->environment));
    json_object_set_new(root, "warnings", json_deep_copy(r->warnings));
    json_object_set_new(root, "counts", counts);
    json_object_set_new(root, "times", times);
    json_object_set_new(root, "samples", samples);
    json_object_set_new(root, "memory", memory);
    return root;
}
