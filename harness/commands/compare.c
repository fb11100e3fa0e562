/*
 * compare: `layerbench compare BASE HEAD`: what differs between two results, or two sets of them.
 *
 * The document of --json, which the forest plot draws too:
 *   {"schema_version": 1, "base": [{"path", "scenario_sha256", "machine"}], "head": [...],
 *    "level": 0.99, "floor": 0.02,
 *    "comparisons": [{"cell", "metric", "unit", "base", "head" (medians), "n_base", "n_head",
 *      "ratio", "low", "high" (the interval; null where not finite), "p", "verdict"}],
 *    "problems": [text]}
 */
#include "commands/commands.h"
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/json_text.h"
#include "gate/compare_rows.h"
#include "settings/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct compare_options {
    bool json, csv, markdown;
    bool ignore_work, ignore_machine, ignore_missing;
};

#define OPTION_FIELD(name) offsetof(struct compare_options, name)
static const struct option own[] = {
    {"json", NULL, "print JSON, which 'layerbench plot' draws", OPTION_FLAG, OPTION_FIELD(json),
     .flags = 0},
    {"csv", NULL, "print CSV", OPTION_FLAG, OPTION_FIELD(csv), .flags = 0},
    {"markdown", NULL, "print a Markdown table", OPTION_FLAG, OPTION_FIELD(markdown), .flags = 0},
    {"ignore_work", NULL, "compare although scenario or tokens differ", OPTION_FLAG,
     OPTION_FIELD(ignore_work), .flags = 0},
    {"ignore_machine", NULL, "compare although the environments are not comparable", OPTION_FLAG,
     OPTION_FIELD(ignore_machine), .flags = 0},
    {"ignore_missing", NULL, "compare the cells that both have", OPTION_FLAG,
     OPTION_FIELD(ignore_missing), .flags = 0},
};

/* ---- JSON ---- */

static json_t *set_json(const struct result_set *set)
{
    json_t *list = json_array();
    for (size_t i = 0; i < set->count; i++) {
        json_t *file = json_object();
        json_object_set_new(file, "path", json_text(set->files[i].path));
        json_object_set_new(file, "scenario_sha256",
                            json_text(result_scenario_hash(&set->files[i])));
        json_object_set_new(file, "machine", json_text(result_machine(&set->files[i])));
        json_array_append_new(list, file);
    }
    return list;
}

static json_t *row_json(const struct compare_row *row)
{
    json_t *object = json_object();
    json_object_set_new(object, "cell", json_text(row->cell));
    json_object_set_new(object, "metric", json_text(row->metric));
    json_object_set_new(object, "unit", json_text(row->unit));
    json_object_set_new(object, "base", json_number(row->median[0]));
    json_object_set_new(object, "head", json_number(row->median[1]));
    json_object_set_new(object, "n_base", json_integer((json_int_t)row->n[0]));
    json_object_set_new(object, "n_head", json_integer((json_int_t)row->n[1]));
    json_object_set_new(object, "ratio", json_number(row->ratio));
    json_object_set_new(object, "low", json_number(row->interval.low));
    json_object_set_new(object, "high", json_number(row->interval.high));
    json_object_set_new(object, "p", json_number(row->p));
    json_object_set_new(object, "verdict", json_text(compare_relation_name(row->relation)));
    return object;
}

static bool print_json(const struct gate_rule *rule, const struct result_set sets[2],
                       const struct comparison *c)
{
    json_t *document = json_object(), *rows = json_array(), *problems = json_array();
    for (size_t i = 0; i < c->n_rows; i++)
        json_array_append_new(rows, row_json(&c->rows[i]));
    for (size_t i = 0; i < c->n_problems; i++)
        json_array_append_new(problems, json_text(c->problems[i].text));
    json_object_set_new(document, "schema_version", json_integer(1));
    json_object_set_new(document, "base", set_json(&sets[0]));
    json_object_set_new(document, "head", set_json(&sets[1]));
    json_object_set_new(document, "level", json_real(rule->level));
    json_object_set_new(document, "floor", json_real(rule->floor));
    json_object_set_new(document, "comparisons", rows);
    json_object_set_new(document, "problems", problems);
    bool good = json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) == 0;
    putchar('\n');
    json_decref(document);
    return good;
}

/* ---- tables ---- */

/* "0.981 to 1.004", or "-". */
static const char *interval(const struct compare_row *row, int digits, char *text, size_t size)
{
    if (isnan(row->interval.low))
        return "-";
    snprintf(text, size, "%.*f to %.*f", digits, row->interval.low, digits, row->interval.high);
    return text;
}

static void print_csv(const struct comparison *c)
{
    puts("cell,metric,unit,base,head,n_base,n_head,ratio,low,high,verdict");
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct compare_row *r = &c->rows[i];
        printf("\"%s\",%s,%s,%.10g,%.10g,%zu,%zu,%.6g,%.6g,%.6g,%s\n", r->cell, r->metric, r->unit,
               r->median[0], r->median[1], r->n[0], r->n[1], r->ratio, r->interval.low,
               r->interval.high, compare_relation_name(r->relation));
    }
}

static void print_markdown(const struct comparison *c)
{
    puts("| cell | metric | base | head | n | ratio | 99% interval | verdict |\n"
         "|---|---|--:|--:|--:|--:|--:|---|");
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct compare_row *r = &c->rows[i];
        char base[64], head[64], range[64];
        amount_human(r->median[0], r->unit, base, sizeof base);
        amount_human(r->median[1], r->unit, head, sizeof head);
        printf("| %s | %s | %s | %s | %zu, %zu | %.4f | %s | %s |\n", r->cell, r->metric, base,
               head, r->n[0], r->n[1], r->ratio, interval(r, 4, range, sizeof range),
               compare_relation_name(r->relation));
    }
}

static void print_table(const struct comparison *c)
{
    bool colour = cli_colour();
    const char *cell = "";
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct compare_row *r = &c->rows[i];
        bool different = r->relation == GATE_RELATION_DIFFERENT;
        char base[64], head[64], range[64];
        if (strcmp(cell, r->cell) != 0)
            printf("%s%s\n  %-18s %12s %12s %7s  %6s  %-17s %s\n", i ? "\n" : "", r->cell, "metric",
                   "base", "head", "n", "ratio", "99% interval", "verdict");
        cell = r->cell;
        amount_human(r->median[0], r->unit, base, sizeof base);
        amount_human(r->median[1], r->unit, head, sizeof head);
        printf("  %-18s %12s %12s %3zu,%3zu  %6.3f  %-17s %s%s%s\n", r->metric, base, head, r->n[0],
               r->n[1], r->ratio, interval(r, 3, range, sizeof range),
               colour && different ? "\033[1m" : "", compare_relation_name(r->relation),
               colour && different ? "\033[0m" : "");
    }
}

/* ---- the command ---- */

/* What the problems come to; those that are ignored are notes. */
static int report_problems(const struct compare_options *o, const struct comparison *c)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < c->n_problems; i++) {
        enum compare_problem_kind kind = c->problems[i].kind;
        bool ignored = kind == COMPARE_OTHER_MACHINE  ? o->ignore_machine
                       : kind == COMPARE_OTHER_WORK   ? o->ignore_work
                       : kind == COMPARE_MISSING_CELL ? o->ignore_missing
                                                      : false;
        static const char *const hints[] = {" (--ignore-machine compares all the same)",
                                            " (--ignore-work compares all the same)",
                                            " (--ignore-missing compares what both have)", ""};
        int one = kind == COMPARE_OTHER_MACHINE ? EXIT_INCOMPARABLE : EXIT_FAILED;
        fprintf(stderr, "layerbench compare: %s%s%s\n", ignored ? "note: " : "",
                c->problems[i].text, ignored ? "" : hints[kind]);
        if (!ignored && one > code)
            code = one;
    }
    return code;
}

static bool print(const struct compare_options *o, const struct gate_rule *rule,
                  const struct result_set sets[2], const struct comparison *c)
{
    if (o->json)
        return print_json(rule, sets, c);
    if (o->csv)
        print_csv(c);
    else if (o->markdown)
        print_markdown(c);
    else
        print_table(c);
    return true;
}

/* Cells of one run are measured in turns. */
static bool of_one_run(const struct result_set sets[2])
{
    return sets[0].cell && sets[1].cell && sets[0].count == 1 && sets[1].count == 1 &&
           json_equal(json_object_get(sets[0].files[0].ours, "started_realtime_ns"),
                      json_object_get(sets[1].files[0].ours, "started_realtime_ns"));
}

static int compare(const struct compare_options *o, char **words)
{
    struct result_set sets[2] = {{.count = 0}, {.count = 0}};
    struct comparison comparison = {0};
    struct gate_rule rule = gate_rule_default();
    struct lb_error err = LB_ERROR_INIT;
    int code = EXIT_USAGE;
    if (result_set_read(words[0], &sets[0], &err) == LB_OK &&
        result_set_read(words[1], &sets[1], &err) == LB_OK) {
        code = EXIT_FAILED;
        if (!compare_sets(&rule, &sets[0], &sets[1], &comparison))
            lb_fail(&err, LB_ERR_NOMEM, "out of memory");
        else
            code = report_problems(o, &comparison);
        /* figures that must not be compared are not printed either */
        if (code == EXIT_OK && !print(o, &rule, sets, &comparison))
            lb_fail(&err, LB_ERR_NOMEM, "out of memory");
    }
    if (err.code != LB_OK) {
        fprintf(stderr, "layerbench compare: %s\n", err.text);
        code = code == EXIT_OK ? EXIT_FAILED : code;
    } else if (code == EXIT_OK && !o->json && !o->csv && !of_one_run(sets)) {
        fputs(
            "note: the two were not measured in turns, so that a drift of the machine counts as a "
            "difference; 'layerbench gate' takes turns\n",
            stderr);
    }
    compare_free(&comparison);
    result_set_free(&sets[0]);
    result_set_free(&sets[1]);
    return code;
}

int command_compare(int argc, char **argv)
{
    struct compare_options o = {0};
    struct cli cli = {
        "compare", "BASE HEAD [options]",
        "Prints, for each cell and metric, the ratio of HEAD to BASE with its 99% interval, and\n"
        "whether it is different, the same, or unknown. BASE and HEAD are run directories or\n"
        "result.json files, directories of run directories, names in results/baselines, files of\n"
        "Google Benchmark (of any program), or several of these with commas between.\n"
        "RESULT:CELL RESULT:CELL compares two cells, by their names or words that only they "
        "have.\n"
        "Refuses results of different work (exit code 5) or machines (4).",
        CLI_OWN(own, &o)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 3)
        return cli_fail("compare", "expected two results, got %d", argc - 1);
    if (o.json + o.csv + o.markdown > 1)
        return cli_fail("compare", "expected one of --json, --csv, --markdown");
    struct lb_error err = LB_ERROR_INIT;
    for (int i = 1; o.json && i <= 2; i++)
        if (json_can_name(argv[i], "the output", &err) != LB_OK)
            return cli_fail("compare", "%s", err.text);
    return compare(&o, argv + 1);
}
