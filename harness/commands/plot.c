/* plot: `layerbench plot`: draws the figures of a result. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "figure/draw.h"
#include "predict/route_plots.h"
#include "predict/route_trace.h"
#include "settings/cli.h"
#include "settings/model_options.h"
#include "settings/options.h"

#include <stdio.h>
#include <string.h>

#define FIELD(name) offsetof(struct plot_options, name)
static const struct option own[] = {
    {"out", "DIR", "folder for the figures; default: plots/ beside the result", OPTION_TEXT,
     FIELD(out_dir), .letter = 'o'},
    {"only", "NAME", "one figure (a name of plots/NAME.gp)", OPTION_TEXT, FIELD(only), .flags = 0},
    {"over", "OPTION", "the figure by-option alone, over this option", OPTION_TEXT, FIELD(option),
     .flags = 0},
    {"metric", "NAME",
     "what --over shows (default: pass_ms, tokens_per_second where tokens differ)", OPTION_TEXT,
     FIELD(metric), .flags = 0},
};

/* Whether --over and --metric name something; the figure that shows it becomes the only one. */
static int check_over(struct plot_options *options)
{
    char names[1024] = "";
    size_t count;
    const char *name = "";
    const struct option *table = options_table(&count);
    if (options->metric && !options->option)
        return cli_fail("plot", "--metric %s: over which option? expected --over", options->metric);
    if (options->option && !option_find(table, count, options->option))
        return cli_fail("plot", "--over %s: no such option (layerbench list options)",
                        options->option);
    for (size_t i = 0; options->metric && figure_metric_at(i, &name); i++) {
        if (strcmp(name, options->metric) == 0)
            break;
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", name);
    }
    if (options->metric && !name)
        return cli_fail("plot", "--metric %s: expected one of%s", options->metric, names);
    if (options->option) {
        options->option = option_find(table, count, options->option)->name;
        options->only = "by-option";
    }
    return EXIT_OK;
}

static void print_outcomes(const struct plotted *p, bool drawn)
{
    for (size_t i = 0; i < p->view.n_notes; i++)
        fprintf(stderr, "layerbench plot: %s\n", p->view.notes[i]);
    for (size_t i = 0; i < p->n_outcomes; i++) {
        const struct plot_outcome *o = &p->outcomes[i];
        if (o->left_out)
            fprintf(stderr, "layerbench plot: no %s: %s\n", o->figure->name, o->left_out);
        else if (drawn)
            printf("%s/%s.svg\n", p->dir, o->figure->name);
    }
}

int command_plot(int argc, char **argv)
{
    struct plot_options options = {.out_dir = NULL};
    struct cli cli = {
        "plot", "[options] RESULT",
        "Draws the figures of RESULT (a run directory, a result.json, or the output of\n"
        "compare --json) as SVG, PNG and PDF, each beside its data and its gnuplot script; of a "
        "file\n"
        "of routes of experts (simulate --help) miss ratios of all policies and cache sizes,\n"
        "popularity, reuse, and what several tokens need together.",
        CLI_OWN(own, &options)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 2)
        return cli_fail("plot", "expected one RESULT: a run directory or a result.json");
    if (check_over(&options) != EXIT_OK)
        return EXIT_USAGE;
    bool routes = route_trace_is(argv[1]), known = !options.only || routes;
    for (size_t i = 0; i < n_figures; i++)
        known = known || strcmp(options.only, figures[i].name) == 0;
    if (!known)
        return cli_fail("plot", "--only %s: no such figure (layerbench list figures)",
                        options.only);
    struct plotted plotted;
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status = routes ? route_plots(argv[1], &options, &plotted, &err)
                                   : plot_result(argv[1], &options, &plotted, &err);
    print_outcomes(&plotted, status == LB_OK);
    code = EXIT_OK;
    if (status != LB_OK)
        code = model_options_error("plot", &err);
    else if (plotted.n_failed > 0)
        code = EXIT_FAILED;
    else if (plotted.n_drawn == 0)
        code = cli_fail("plot", "%s: nothing to draw", argv[1]);
    plot_close(&plotted);
    return code;
}
