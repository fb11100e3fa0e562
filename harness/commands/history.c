/*
 * history: `layerbench history RESULT...`: metrics over the results of many commits, with changes.
 *
 * The document of --json:
 *   {"schema_version": 1, "series": [{"cell", "metric", "unit", "points": [{"label" (revision or
 *    day), "path", "started_realtime_ns", "median", "low", "high", "n", "mark" ("", "changed",
 *    "other work", "other machine"), "ratio" (to what was before, or null)}]}]}
 */
#include "commands/commands.h"
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/json_text.h"
#include "figure/draw.h"
#include "gate/history_points.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct history_options {
    const char *metrics, *out;
    bool json;
};

#define FIELD(name) offsetof(struct history_options, name)
static const struct option own[] = {
    {"metrics", "LIST",
     "pass, ttft, prefill, wait, bytes_read, tokens_per_second; of Google Benchmark real_time, "
     "cpu_time, counters",
     OPTION_TEXT, FIELD(metrics), .flags = 0},
    {"out", "DIR", "draw the figure too, into this folder", OPTION_TEXT, FIELD(out), .letter = 'o'},
    {"json", NULL, "print JSON", OPTION_FLAG, FIELD(json), .flags = 0},
};

static void print_table(const struct history *h)
{
    for (size_t i = 0; i < h->n_series; i++) {
        const struct history_series *s = &h->series[i];
        printf("%s%s, %s\n", i ? "\n" : "", s->cell, s->metric);
        for (size_t k = 0; k < s->n_points; k++) {
            const struct history_point *p = &s->points[k];
            char label[32], value[48], low[48], high[48], ratio[32] = "";
            amount_human(p->value.median, s->unit, value, sizeof value);
            amount_human(p->value.low, s->unit, low, sizeof low);
            amount_human(p->value.high, s->unit, high, sizeof high);
            if (p->mark == HISTORY_CHANGED)
                snprintf(ratio, sizeof ratio, " by %+.1f%%%s", 100 * (p->ratio - 1),
                         (p->ratio > 1) == s->higher_is_better ? ", better" : ", worse");
            printf("  %-24s %10s  %10s to %-10s n %-4zu %s%s\n", history_label(p->file, label),
                   value, low, high, p->value.n, history_mark_name(p->mark), ratio);
        }
    }
}

static json_t *series_json(const struct history_series *s)
{
    json_t *points = json_array();
    for (size_t k = 0; k < s->n_points; k++) {
        const struct history_point *p = &s->points[k];
        char label[32];
        json_t *point = json_object();
        json_object_set_new(point, "label", json_text(history_label(p->file, label)));
        json_object_set_new(point, "path", json_text(p->file->path));
        json_object_set(point, "started_realtime_ns",
                        json_object_get(p->file->ours, "started_realtime_ns"));
        json_object_set_new(point, "median", json_number(p->value.median));
        json_object_set_new(point, "low", json_number(p->value.low));
        json_object_set_new(point, "high", json_number(p->value.high));
        json_object_set_new(point, "n", json_integer((json_int_t)p->value.n));
        json_object_set_new(point, "mark", json_text(history_mark_name(p->mark)));
        json_object_set_new(point, "ratio", json_number(p->ratio));
        json_array_append_new(points, point);
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "cell", json_text(s->cell), "metric",
                     json_text(s->metric), "unit", json_text(s->unit), "points", points);
}

static bool print_json(const struct history *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->n_series; i++)
        json_array_append_new(list, series_json(&h->series[i]));
    json_t *document = json_pack("{s:i, s:o}", "schema_version", 1, "series", list);
    bool good =
        document && json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) == 0;
    putchar('\n');
    json_decref(document);
    return good;
}

/* A panel for each series, up to twelve: those with changes first would hide when, so in their
 * order. */
static enum lb_status draw(const struct history *h, const char *out, struct lb_error *err)
{
    enum { MOST = 12 };
    char *text = NULL, note[96] = "";
    size_t length = 0, shown = h->n_series < MOST ? h->n_series : MOST;
    FILE *data = open_memstream(&text, &length);
    if (!data)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory");
    fprintf(data, "# panel series place label median low high mark\n");
    for (size_t i = 0; i < shown; i++) {
        const struct history_series *s = &h->series[i];
        static const char *const units[] = {"ns", "us", "ms", "s"};
        double median = s->points[s->n_points - 1].value.median, scale = 1;
        bool time = strcmp(s->unit, "ns") == 0;
        size_t unit = 0;
        for (; time && unit < 3 && median * scale >= 1000; unit++)
            scale /= 1000;
        fputs(i ? "\n\n" : "", data); /* a block for each panel */
        for (size_t k = 0; k < s->n_points; k++) {
            const struct history_point *p = &s->points[k];
            char label[32];
            fprintf(data, "%zu \"%s, %s%s%s%s\" %zu \"%s\" %.8g %.8g %.8g %d\n", i, s->cell,
                    s->metric, time ? " (" : "", time ? units[unit] : "", time ? ")" : "", k + 1,
                    history_label(p->file, label), p->value.median * scale, p->value.low * scale,
                    p->value.high * scale, (int)p->mark);
        }
    }
    if (shown < h->n_series)
        snprintf(note, sizeof note, "the first %d of %zu", MOST, h->n_series);
    if (fclose(data) != 0)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory");
    const struct plot_table table = {"history", text, note, ""};
    const struct plot_options options = {.out_dir = out};
    struct plotted plotted;
    enum lb_status status = plot_tables(&table, 1, &options, &plotted, err);
    if (status == LB_OK && plotted.n_failed > 0)
        status = lb_fail(err, LB_ERR_STATE, "no figure: %s", plotted.outcomes[0].left_out);
    if (status == LB_OK)
        fprintf(stderr, "figure: %s/history.svg\n", plotted.dir);
    plot_close(&plotted);
    free(text);
    return status;
}

int command_history(int argc, char **argv)
{
    struct history_options o = {NULL, NULL, false};
    struct cli cli = {
        "history", "RESULT... [options]",
        "Prints each metric over the results in the order of their time, with the interval of its\n"
        "median, and marks where it is different from all results since the last change. RESULT "
        "is\n"
        "what 'compare' takes: run directories, directories of them, names in results/baselines,\n"
        "files of Google Benchmark. Results were not measured in turns: 'gate' judges, this shows.",
        CLI_OWN(own, &o)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc < 2)
        return cli_fail("history", "expected at least one result");
    struct result_set set = {.count = 0}, more;
    struct history history = {NULL, 0, 0};
    struct gate_rule rule = gate_rule_default();
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status = LB_OK;
    for (int i = 1; i < argc && status == LB_OK; i++) {
        status = result_set_read(argv[i], &more, &err);
        if (status == LB_OK)
            status = result_set_join(&set, &more, &err);
        result_set_free(&more);
    }
    if (status == LB_OK)
        status = history_make(&rule, &set, o.metrics, &history, &err);
    if (status == LB_OK && history.n_left_out > 0)
        fprintf(stderr, "note: %zu results of another scenario than the newest are left out\n",
                history.n_left_out);
    if (status == LB_OK && o.json && !print_json(&history))
        status = lb_fail(&err, LB_ERR_NOMEM, "out of memory");
    if (status == LB_OK && !o.json)
        print_table(&history);
    if (status == LB_OK && o.out)
        status = draw(&history, o.out, &err);
    code = status == LB_OK ? EXIT_OK : model_options_error("history", &err);
    history_free(&history);
    result_set_free(&set);
    return code;
}
