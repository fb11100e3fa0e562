/*
 * run: measures scenarios (study_run.h), prints the summary, draws the figures, writes the report.
 */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "common/process.h"
#include "common/shell_word.h"
#include "common/terminal.h"
#include "figure/draw.h"
#include "report/page.h"
#include "report/report_answer.h"
#include "result/summary_table.h"
#include "result/summary_text.h"
#include "run/study_run.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_options {
    struct study_run_options study;
    const char *output; /* summary_formats; NULL: the table for people */
    bool list, dry_run, no_plots;
};

#define FIELD(name) offsetof(struct run_options, name)
#define STUDY(name) FIELD(study.name)
static const char *const words_scenario[] = {"as the scenario says", NULL};
static const char *const words_none[] = {"none", NULL};

static const char *const choices_profile[] = {"none", "ops", NULL};

static bool add_set(void *target, const char *text)
{
    return sweep_add(&((struct run_options *)target)->study.sweep.set, text);
}

static bool add_vary(void *target, const char *text)
{
    return sweep_add(&((struct run_options *)target)->study.sweep.vary, text);
}

static void format_nothing(const void *target, char *text, size_t size)
{
    (void)target;
    snprintf(text, size, "%s", "");
}

static const struct option own[] = {
    {"out", "DIR", "where the result goes, instead of results/runs/NAME/RUN", OPTION_TEXT,
     STUDY(out), .flags = 0},
    {"model", "FILE", "another model than the scenario's; with --vary no scenario is needed",
     OPTION_TEXT, STUDY(model), .letter = 'm'},
    {"set", "NAME=VALUE", "an option of every cell (layerbench list options), may be given again",
     OPTION_CUSTOM, 0, .set = add_set, .format = format_nothing, .expected = "NAME=VALUE"},
    {"vary", "NAME=VALUES", "an option that varies: 2,4,8 or ranges, 4-16+4 or 1-8*2; as --set",
     OPTION_CUSTOM, 0, .set = add_vary, .format = format_nothing, .expected = "NAME=VALUES"},
    {"save_scenario", "FILE", "write what is measured as a scenario", OPTION_TEXT,
     STUDY(save_scenario), .flags = 0},
    {"output", "FORMAT", "print the figures of each cell so, and everything else to stderr",
     OPTION_CHOICE, FIELD(output), .choices = summary_formats, .letter = 'o'},
    {"filter", "RE", "only cells whose name matches the regular expression", OPTION_TEXT,
     STUDY(filter), .flags = 0},
    {"repetitions", "N", "samples of each cell", OPTION_COUNT, STUDY(repetitions), .min = 1,
     .max = 1000000, .words = words_scenario},
    {"seed", "N", "of the order and of the prompts", OPTION_COUNT64, STUDY(seed), .max = 0x1p62},
    {"list", NULL, "print the names of the cells and stop", OPTION_FLAG, FIELD(list), .flags = 0},
    {"dry_run", NULL, "print the samples in their order and stop", OPTION_FLAG, FIELD(dry_run),
     .flags = 0},
    {"resume", NULL, "go on where a run was stopped", OPTION_FLAG, STUDY(resume), .flags = 0},
    {"shard", "I/N", "only the I-th of N parts of the cells", OPTION_TEXT, STUDY(shard),
     .flags = 0},
    {"budget", "SECONDS", "as many repetitions as fit into this time", OPTION_COUNT, STUDY(budget),
     .min = 1, .words = words_none},
    {"timeout", "SECONDS", "for one sample; one that takes longer is killed and counts as failed",
     OPTION_COUNT, STUDY(timeout), .min = 1, .max = 1000000},
    {"no_plots", NULL, "measure only", OPTION_FLAG, FIELD(no_plots), .flags = 0},
    {"profile", "WHAT",
     "ops: one more sample of each cell, not counted, with every operation timed", OPTION_CHOICE,
     STUDY(profile), .choices = choices_profile},
    {"quiet", NULL, "no progress, no table, no notes", OPTION_FLAG, STUDY(quiet), .letter = 'q'},
    {"verbose", NULL, "a line for each sample, as it is measured", OPTION_FLAG, STUDY(verbose),
     .letter = 'v'},
};

/* The command line: its options, and the scenarios among its words. */
struct call {
    const struct run_options *options;
    int argc;
    char **argv, **paths; /* NULL: none, the scenario is the sweep */
    size_t n_paths;
};

static void print_list(const struct study_run *run)
{
    for (size_t i = 0; i < run->matrix.count; i++)
        puts(run->matrix.cells[i].name);
}

static void print_order(const struct study_run *run)
{
    for (size_t i = 0; i < run->n_order; i++) {
        const struct matrix_slot *s = &run->order[i];
        if (s->rep < 0)
            printf("%4u warm-up %s\n", s->seq, run->matrix.cells[s->cell].name);
        else
            printf("%4u rep %-4d %s\n", s->seq, s->rep, run->matrix.cells[s->cell].name);
    }
}

/* ---- the end ---- */

static int verdict(const struct study_run *run)
{
    size_t good = 0, bad = 0;
    for (uint32_t i = 0; i < run->matrix.count; i++) {
        struct summary s = results_summary(&run->results, i);
        good += s.n;
        bad += s.n_failed + s.n_broken;
    }
    bool nothing_to_do = run->matrix.count == 0; /* a shard without cells */
    return (good == 0 && !nothing_to_do) || bad > 0 ? EXIT_FAILED : EXIT_OK;
}

/* Where what is no table for programs goes. */
static FILE *said(const struct run_options *o)
{
    return o->output ? stderr : stdout;
}

/* Which setting is best, by how much, and what limits it. */
static void print_answer(const char *directory)
{
    struct result_view view;
    struct lb_error err = LB_ERROR_INIT;
    if (view_open(directory, &view, &err) == LB_OK)
        terminal_wrap(stdout, report_answer_line(&view), 0, 0, terminal_width(STDOUT_FILENO));
    view_close(&view);
}

/* printed: whether a table for programs has been begun. */
static void print_end(struct study_run *run, const struct run_options *o, bool *printed)
{
    const struct results *r = &run->results;
    if (o->output && strcmp(o->output, "md") == 0)
        summary_print_markdown_table(r, stdout);
    else if (o->output)
        summary_print_rows(r, o->output, !*printed, stdout);
    else if (!o->study.quiet) {
        summary_print_table(r, stdout, cli_colour());
        print_answer(r->directory);
    }
    *printed = true;
    fflush(stdout);
    study_run_say_warnings(run);
    for (uint32_t i = 0; o->study.quiet && i < run->matrix.count; i++) {
        const char *failed = summary_failed(&r->by_cell[i]),
                   *broken = summary_broken(&r->by_cell[i]);
        if (failed || broken) /* what the exit code is about */
            fprintf(stderr, "layerbench run: %s: %s\n", run->matrix.cells[i].name,
                    failed ? failed : broken);
    }
    fprintf(said(o), "result: %s/result.json\n", r->directory);
}

/* False, and said: some could not be drawn or written. Without gnuplot there are none, a note. */
static bool draw_figures(const char *directory, FILE *out)
{
    struct plot_options options = {.out_dir = NULL};
    struct plotted plotted;
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status = plot_result(directory, &options, &plotted, &err);
    bool good = (status == LB_OK && plotted.n_failed == 0) || status == LB_ERR_UNSUPPORTED;
    for (size_t i = 0; status == LB_OK && i < plotted.n_outcomes; i++)
        if (plotted.outcomes[i].failed)
            fprintf(stderr, "layerbench run: no %s: %s\n", plotted.outcomes[i].figure->name,
                    plotted.outcomes[i].left_out);
    if (status == LB_OK)
        fprintf(out, "plots: %s (%zu figures)\n", plotted.dir, plotted.n_drawn);
    else
        fprintf(stderr, "%s: no plots: %s\n", good ? "note" : "layerbench run", err.text);
    plot_close(&plotted);
    return good;
}

/* Figures and the page about them; false: the result stands, but these do not. */
static bool draw(const struct study_run *run, const struct run_options *o)
{
    const char *directory = run->results.directory;
    struct lb_error err = LB_ERROR_INIT;
    if (o->no_plots)
        return true;
    bool drawn = draw_figures(directory, said(o));
    char *page = file_text("%s/report.html", directory), *text = NULL;
    size_t length = 0;
    FILE *out = page ? open_memstream(&text, &length) : NULL;
    char *paths[] = {(char *)directory};
    bool good = out && report_write(paths, 1, out, stderr, &err) == LB_OK;
    if (out && fclose(out) != 0)
        good = false;
    good = good && file_replace(page, text, length, &err) == LB_OK;
    if (good)
        fprintf(said(o), "report: %s\n", page);
    else
        fprintf(stderr, "layerbench run: no report: %s\n", err.text);
    free(text);
    free(page);
    return drawn && good;
}

/* For a run that is stopped: the command that goes on with this scenario, the i-th of n. */
static void prepare_last_words(const struct study_run *run, const struct call *call, size_t i)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    fputs("\nlayerbench run: stopped; what was measured is kept. To go on:\nlayerbench run", out);
    for (int k = 1; k < call->argc; k++) {
        bool other = false;
        for (size_t p = 0; call->paths && p < call->n_paths; p++)
            other |= p != i && call->argv[k] == call->paths[p];
        if (!other && strcmp(call->argv[k], "--resume") != 0) {
            fputc(' ', out);
            shell_word(call->argv[k], out);
        }
    }
    fputs(" --resume", out);
    if (!run->options->out) {
        fputs(" --out ", out);
        shell_word(run->results.directory, out);
    }
    fputc('\n', out);
    if (fclose(out) == 0)
        process_say_at_end(text);
    free(text);
}

static int measure(struct study_run *run, const struct call *call, size_t i, bool *printed)
{
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status = study_run_open(run, &err);
    if (status != LB_OK)
        return model_options_open_error("run", &err);
    prepare_last_words(run, call, i);
    status = study_run_measure(run, &err);
    process_say_at_end(NULL);
    if (status != LB_OK)
        return model_options_error("run", &err);
    print_end(run, call->options, printed);
    bool drawn = draw(run, call->options);
    int code = verdict(run);
    return code == EXIT_OK && !drawn ? EXIT_FAILED : code;
}

/* All are checked before the first is measured. */
static int run_all(const struct call *call)
{
    const struct run_options *o = call->options;
    char **const paths = call->paths;
    const size_t n = paths ? call->n_paths : 1;
    const bool only_look = o->list || o->dry_run;
    struct study_run *runs = calloc(n, sizeof *runs);
    int code = runs ? EXIT_OK : cli_fail("run", "out of memory");
    for (size_t i = 0; runs && i < n && code == EXIT_OK; i++) {
        struct lb_error err = LB_ERROR_INIT;
        runs[i].options = &o->study;
        if (study_run_prepare(&runs[i], paths ? paths[i] : NULL, only_look, &err) != LB_OK)
            code = model_options_open_error("run", &err);
    }
    bool checked = code == EXIT_OK, printed = false;
    for (size_t i = 0; checked && i < n; i++) {
        int one = EXIT_OK;
        if (o->list)
            print_list(&runs[i]);
        else if (o->dry_run)
            print_order(&runs[i]);
        else
            one = measure(&runs[i], call, i, &printed);
        code = one > code ? one : code;
    }
    if (checked && o->output && !only_look)
        summary_end_rows(o->output, printed, stdout);
    for (size_t i = 0; runs && i < n; i++)
        study_run_close(&runs[i]);
    free(runs);
    return code;
}

/* -1: what was asked for fits together. */
static int check(const struct study_run_options *o, int n_scenarios)
{
    if (n_scenarios == 0 && o->sweep.vary.count == 0)
        return cli_fail("run",
                        "expected at least one scenario file, or --model with --vary NAME=VALUES");
    if (n_scenarios == 0 && !o->model)
        return cli_fail("run", "--vary: expected a scenario file, or --model FILE");
    if (o->quiet && o->verbose)
        return cli_fail("run", "--quiet and --verbose: expected one of them");
    if (n_scenarios > 1 && (o->out || o->save_scenario))
        return cli_fail("run", "--%s: expected one scenario, not %d",
                        o->out ? "out" : "save-scenario", n_scenarios);
    return -1;
}

int command_run(int argc, char **argv)
{
    struct run_options o = {
        .study = {.seed = STUDY_RUN_NO_SEED, .profile = "none", .timeout = 3600}};
    struct cli cli = {
        "run", "[SCENARIO...] [options]",
        "Measures every cell of the scenarios and writes a result directory.\n\n"
        "  layerbench run scenarios/quick.json\n"
        "  layerbench run -m F --vary cache_layers=4-16+4 --vary prefetch=sync,async --set "
        "threads=2\n"
        "  layerbench run scenarios/units.json -m F --set device=none -o csv > units.csv",
        CLI_OWN(own, &o)};
    struct call call = {
        .options = &o, .argc = argc, .argv = calloc((size_t)argc + 1, sizeof *argv)};
    if (!call.argv)
        return cli_fail("run", "out of memory");
    memcpy(call.argv, argv, (size_t)argc * sizeof *argv);
    int code = cli_parse(&cli, &argc, argv);
    call.paths = argc > 1 ? argv + 1 : NULL;
    call.n_paths = (size_t)argc - 1;
    if (code < 0)
        code = check(&o.study, argc - 1);
    if (code < 0)
        code = run_all(&call);
    sweep_free(&o.study.sweep);
    free(call.argv);
    return code;
}
