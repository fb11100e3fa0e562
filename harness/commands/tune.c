/* tune: `layerbench tune`: the settings that make the best of a given memory. */
#include "predict/tune.h"
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#define FIELD(name) offsetof(struct tune_options, name)
static const char *const words_memory[] = {"auto", NULL};
static const struct option own[] = {
    {"memory", "SIZE", "for the whole process; auto: what is available now", OPTION_SIZE,
     FIELD(memory), .min = 1 << 20, .words = words_memory},
    {"routes", "FILE",
     "of a mixture: what its routers chose (routes.csv); records some if not given", OPTION_TEXT,
     FIELD(routes), .flags = 0},
    {"scenario", "FILE", "write the settings as a scenario", OPTION_TEXT, FIELD(scenario),
     .flags = 0},
    {"verify", NULL, "run the settings and compare", OPTION_FLAG, FIELD(verify), .flags = 0},
    {"passes", "N", "decode passes of --verify", OPTION_COUNT, FIELD(passes), .min = 1,
     .max = 100000},
    {"json", NULL, "print JSON", OPTION_FLAG, FIELD(json), .flags = 0},
};

int command_tune(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct tune_options o = {.passes = 16};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &o, 0},
                                 model_options_file(&settings),
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {
        "tune", "--model FILE [--memory SIZE] [options]",
        "Profiles a model on this machine, then searches the settings that make the\n"
        "best of the memory by simulation. Prints a command line to copy, where every\n"
        "byte of the memory goes, and what it gains over the default settings. Of a\n"
        "mixture of experts: what stays in memory, which expert leaves, what is\n"
        "predicted, over routes that it records or is given.",
        groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("tune", "'%s': expected options only", argv[1]);
    if (!settings.engine.model_path)
        return cli_fail("tune", "no model: expected --model FILE");
    struct lb_error err = LB_ERROR_INIT;
    if (tune_run(&o, &settings, &err) != LB_OK)
        return model_options_error("tune", &err);
    return EXIT_OK;
}
