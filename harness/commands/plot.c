/* plot: `layerbench plot`: draws the figures of a result. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "figure/draw.h"
#include "predict/route_plots.h"
#include "predict/route_trace.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <string.h>

#define FIELD(name) offsetof(struct plot_options, name)
static const struct option own[] = {
    {"out", "DIR", "folder for the figures; default: plots/ beside the result", OPTION_TEXT,
     FIELD(out_dir), .letter = 'o'},
    {"only", "NAME", "one figure (a name of plots/NAME.gp)", OPTION_TEXT, FIELD(only), .flags = 0},
};

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
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &options, 0},
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {
        "plot", "[options] RESULT",
        "Draws the figures of RESULT (a run directory, a result.json, or the output of\n"
        "compare --json) as SVG, PNG and PDF, each beside its data and its gnuplot script; of a "
        "file\n"
        "of routes of experts (simulate --help) miss ratios of all policies and cache sizes,\n"
        "popularity, reuse, and what several tokens need together.",
        groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 2)
        return cli_fail("plot", "expected one RESULT: a run directory or a result.json");
    bool routes = route_trace_is(argv[1]), known = !options.only || routes;
    for (size_t i = 0; i < n_figures; i++)
        known = known || strcmp(options.only, figures[i].name) == 0;
    if (!known)
        return cli_fail("plot", "--only %s: no such figure; they are the names in plots/",
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
