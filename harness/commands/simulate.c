/* simulate: `layerbench simulate`: predicts a study under a virtual clock. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "predict/miss_ratios.h"
#include "predict/route_trace.h"
#include "predict/simulation.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set_vary(void *target, const char *text)
{
    return sweep_add(&((struct sim_arguments *)target)->vary, text);
}

static void format_vary(const void *target, char *text, size_t size)
{
    (void)target;
    snprintf(text, size, "%s", "");
}

#define FIELD(name) offsetof(struct sim_arguments, name)
static const struct option own[] = {
    {"shape", "NAME", "a synthetic model's shape instead of a file", OPTION_CHOICE, FIELD(shape),
     .choice_kind = "shape"},
    {"quant", "MIX", "its tensor types; the usual ones if not given", OPTION_CHOICE, FIELD(quant),
     .choice_kind = "quant"},
    {"routing_skew", "S", "of a mixture's shape: as synth makes it", OPTION_REAL,
     FIELD(routing.skew), .max = 10},
    {"routing_persistence", "P", "the same", OPTION_REAL, FIELD(routing.persistence), .max = 1},
    {"layers", "N", "with --shape its layers, else that many equal ones", OPTION_COUNT,
     FIELD(layers), .max = 65535},
    {"layer_bytes", "SIZE", "of the equal layers", OPTION_SIZE, FIELD(layer_bytes), .flags = 0},
    {"compute", "TIME", "of all layers in a decode pass", OPTION_DURATION, FIELD(compute_ns),
     .flags = 0},
    {"other", "TIME", "of the rest of a pass: head, sampling", OPTION_DURATION, FIELD(other_ns),
     .flags = 0},
    {"compute_rate", "BANDWIDTH", "weights used where memory is the limit", OPTION_BANDWIDTH,
     FIELD(compute_rate), .flags = 0},
    {"token_rate", "R", "tokens/s where arithmetic is the limit", OPTION_REAL, FIELD(token_rate),
     .flags = 0},
    {"measure", NULL, "profile the model: compute, and storage bandwidth", OPTION_FLAG,
     FIELD(measure), .flags = 0},
    {"pattern", "NAME", "sequential, reversed, strided, random or skewed layers", OPTION_TEXT,
     FIELD(pattern), .flags = 0},
    {"accesses", "N", "in a pass of random or skewed", OPTION_COUNT64, FIELD(accesses), .max = 1e8},
    {"stride", "N", "of strided", OPTION_COUNT, FIELD(stride), .min = 1},
    {"skew", "S", "exponent of skewed (Zipf)", OPTION_REAL, FIELD(skew), .max = 100},
    {"replay", "FILE", "accesses as a layers.jsonl records them, or routes of experts as .csv",
     OPTION_TEXT, FIELD(replay), .flags = 0},
    {"slots", "N,N,...", "with routes: cache sizes in experts", OPTION_TEXT, FIELD(slots),
     .flags = 0},
    {"replay_cell", "NAME", "which cell of it; the first one if not given", OPTION_TEXT,
     FIELD(replay_cell), .flags = 0},
    {"vary", "NAME=VALUES", "values of an option, or ranges such as 4-16+4; may be given again",
     OPTION_CUSTOM, 0, .set = set_vary, .format = format_vary, .expected = "NAME=VALUES"},
    {"warmup", "N", "passes before those that count", OPTION_COUNT, FIELD(warmup), .max = 100000},
    {"passes", "N", "passes that count", OPTION_COUNT, FIELD(passes), .min = 1, .max = 100000},
    {"as_run", NULL, "the passes of a scenario's run: prompt, then decode", OPTION_FLAG,
     FIELD(as_run), .flags = 0},
    {"against", "RESULT", "predict the cells of a measured result and compare", OPTION_TEXT,
     FIELD(against), .flags = 0},
    {"json", NULL, "print JSON", OPTION_FLAG, FIELD(json), .flags = 0},
};

int command_simulate(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct sim_arguments a = {
        .routing = lb_usual_routing(), .stride = 2, .skew = 1, .warmup = 20, .passes = 32};
    struct cli_group groups[] = {{"simulation", own, sizeof own / sizeof *own, &a, 0},
                                 model_options_file(&settings),
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {
        "simulate", "[SCENARIO...] [options]",
        "Predicts outcome counts and pass times with the engine's own cache and planner under a\n"
        "virtual clock, for models and storage that need not be here.\n\n"
        "  layerbench simulate --shape llama-2-7b --device bandwidth=2GB/s --compute-rate 30GB/s "
        "\\\n"
        "      --cache-layers 16 --vary replacement=lru,belady --vary prefetch=sync,async\n"
        "  layerbench simulate scenarios/quick.json --measure --as-run\n"
        "  layerbench simulate --shape kimi-k2 --device bandwidth=7GB/s --compute-rate 60GB/s \\\n"
        "      --cache-bytes 64GiB --vary replacement=lru,lfu\n\n"
        "Routes of a mixture of experts (routes.csv of a result, or lines of "
        "token,layer,expert,...)\n"
        "are replayed one access at a time: the miss ratio of each policy and cache size. With "
        "--model\n"
        "or --shape the passes of such a model are predicted over them.\n\n"
        "  layerbench simulate --replay routes.csv --slots 96,192 --vary replacement=lru,belady",
        groups};
    int code = cli_parse(&cli, &argc, argv);
    struct lb_error err = LB_ERROR_INIT;
    if (code < 0 && argc > 1 && a.vary.count > 0)
        code = cli_fail("simulate", "--vary: expected in place of a scenario, not beside one");
    if (code < 0 && argc > 1 && a.against)
        code = cli_fail("simulate", "--against: expected in place of a scenario, not beside one");
    bool has_model = argc > 1 || a.shape || settings.engine.model_path;
    if (code < 0 && a.replay && !has_model && route_trace_is(a.replay))
        code = sim_miss_ratios(&a, &settings, &err) == LB_OK
                   ? EXIT_OK
                   : model_options_open_error("simulate", &err);
    else if (code < 0 && a.slots)
        code = cli_fail("simulate", "--slots: expected with --replay of routes and no model");
    if (code < 0 && a.against)
        code =
            sim_against(&a, &err) == LB_OK ? EXIT_OK : model_options_open_error("simulate", &err);
    for (int i = 1; code < 0 && i < (argc > 1 ? argc : 2); i++)
        if (sim_scenario(&a, &settings, argc > 1 ? argv[i] : NULL, &err) != LB_OK)
            code = model_options_open_error("simulate", &err);
    free(a.vary.texts);
    return code < 0 ? EXIT_OK : code;
}
