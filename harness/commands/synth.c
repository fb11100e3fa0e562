/* synth: writes a synthetic model, under a temporary name until it is whole; of a mixture it says
 * how the routers choose. */
#include "base/input.h"
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "engine.h"
#include "predict/route_figures.h"
#include "settings/cli.h"
#include "settings/model_options.h"
#include "study/model_file.h"

#include <stdio.h>
#include <sys/stat.h>

struct synth {
    struct model_synth model;
    const char *output;
};

static const char *const words_shape[] = {"shape", NULL};

#define FIELD(name) offsetof(struct synth, name)
#define MODEL(name) offsetof(struct synth, model.name)
static const struct option own[] = {
    {"shape", "NAME", "whose shape", OPTION_CHOICE, MODEL(shape), .choice_kind = "shape"},
    {"quant", "NAME", "tensor types; the usual ones of the shape if not given", OPTION_CHOICE,
     MODEL(quant), .choice_kind = "quant"},
    {"seed", "N", "of the weights", OPTION_COUNT64, MODEL(seed), .flags = 0},
    {"layers", "N", "as the shape, or another number", OPTION_COUNT, MODEL(n_layers), .min = 1,
     .words = words_shape},
    {"routing_skew", "S", "of a mixture: Zipf exponent of the experts' popularity, 0 to 10",
     OPTION_REAL, MODEL(routing.skew), .max = 10},
    {"routing_persistence", "P", "how much of a choice is the last few tokens', 0 to 1",
     OPTION_REAL, MODEL(routing.persistence), .max = 1},
    {"output", "FILE", "where to write", OPTION_TEXT, FIELD(output), .letter = 'o'},
};

/* Of small models what their routers really choose, of others the law that they are made by. */
static enum lb_status tell_routing(const struct model_synth *synth, const char *path,
                                   struct lb_error *err)
{
    enum { TOKENS = 512, SMALL = 1 << 30 };
    struct lb_synth engine = model_synth_engine(synth);
    struct route_trace trace = {0};
    struct route_figures figures;
    struct lb_model_facts facts;
    const struct route_drawing how = {.sequences = 1, .passes = TOKENS, .tokens = 1, .yield = 1};
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || lb_descriptor_named(path) >= 0)
        return LB_OK; /* a pipe, a device: what was written is not there to be read */
    enum lb_status status = lb_model_facts(path, &facts, err);
    bool small = facts.file_bytes <= SMALL;
    if (status != LB_OK || !facts.synthetic_routing)
        return status;
    status = small ? route_trace_run(path, TOKENS, &trace, err)
                   : route_trace_draw(&engine, &how, &trace, err);
    if (status == LB_OK)
        status = route_figures_of(&trace, facts.experts, &figures, err);
    if (status == LB_OK) {
        printf("synthetic routing, skew %g, persistence %g; %s:\n", synth->routing.skew,
               synth->routing.persistence,
               small ? "of 512 random tokens that the model was given"
                     : "of 512 tokens, drawn from the law that the routers were made by");
        route_figures_print(&figures, stdout);
    }
    route_trace_free(&trace);
    return status;
}

int command_synth(int argc, char **argv)
{
    struct synth s = {.model = model_synth_default()};
    struct cli cli = {
        "synth", "--shape NAME [options] -o FILE",
        "Writes a GGUF model with a real shape and random weights; the same options\n"
        "give the same bytes on every machine. Routers of mixtures of experts are made so that\n"
        "some experts are more popular than others and neighbouring tokens choose alike, as in\n"
        "trained models; what that comes to is printed.",
        CLI_OWN(own, &s)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("synth", "'%s': expected options only", argv[1]);
    if (!s.model.shape || !s.output)
        return cli_fail("synth", "expected %s", s.model.shape ? "-o FILE" : "--shape NAME");
    struct lb_error err = LB_ERROR_INIT;
    if (model_file_synth(&s.model, s.output, &err) != LB_OK ||
        tell_routing(&s.model, s.output, &err) != LB_OK)
        return model_options_error("synth", &err);
    return EXIT_OK;
}
