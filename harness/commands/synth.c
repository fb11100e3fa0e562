/* synth: writes a synthetic model, under a temporary name until it is whole. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "engine.h"
#include "settings/cli.h"
#include "settings/model_options.h"
#include "study/model_file.h"

#include <stdio.h>

struct synth {
    const char *shape, *quant, *output;
    uint64_t seed;
    uint32_t layers;
};

static const char *const words_shape[] = {"shape", NULL};

#define FIELD(name) offsetof(struct synth, name)
static const struct option own[] = {
    {"shape", "NAME", "whose shape", OPTION_CHOICE, FIELD(shape), .choice_kind = "shape"},
    {"quant", "NAME", "tensor types", OPTION_CHOICE, FIELD(quant), .choice_kind = "quant"},
    {"seed", "N", "of the weights", OPTION_COUNT64, FIELD(seed), .flags = 0},
    {"layers", "N", "as the shape, or another number", OPTION_COUNT, FIELD(layers), .min = 1,
     .words = words_shape},
    {"output", "FILE", "where to write", OPTION_TEXT, FIELD(output), .letter = 'o'},
};

int command_synth(int argc, char **argv)
{
    struct synth s = {.quant = "Q4_K_M", .seed = 1};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &s, 0},
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"synth", "--shape NAME [options] -o FILE",
                      "Writes a GGUF model with a real shape and random weights; the same options\n"
                      "give the same bytes on every machine.",
                      groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("synth", "'%s': expected options only", argv[1]);
    if (!s.shape || !s.output)
        return cli_fail("synth", "expected %s", s.shape ? "-o FILE" : "--shape NAME");
    struct lb_error err = LB_ERROR_INIT;
    struct model_synth synth = {s.shape, s.quant, s.seed, s.layers};
    if (model_file_synth(&synth, s.output, &err) != LB_OK)
        return model_options_error("synth", &err);
    return EXIT_OK;
}
