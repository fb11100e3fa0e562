/* sample: `layerbench sample`: the process of one sample, started by run and gate. */
#include "commands/commands.h"
#include "sample/measure.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <unistd.h>

#define FIELD(name) offsetof(struct measure, name)
static const struct option own[] = {
    {"work_seed", "N", "of the prompt", OPTION_COUNT64, FIELD(work_seed), .flags = 0},
    {"first_prompt", "N", "of the file of prompts", OPTION_COUNT64, FIELD(first_prompt),
     .flags = 0},
    {"result_fd", "FD", "where the result goes", OPTION_COUNT, FIELD(result_fd), .flags = 0},
    {"log_capacity", "N", "accesses to log", OPTION_COUNT64, FIELD(log_capacity), .flags = 0},
    {"profile", NULL, "time every operation", OPTION_FLAG, FIELD(profile), .flags = 0},
    {"json", NULL, "print the sample as JSON, for another program", OPTION_FLAG, FIELD(json),
     .flags = 0},
};

int command_sample(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct measure m = {.work_seed = 1, .result_fd = STDOUT_FILENO, .log_capacity = 65536};
    size_t count;
    const struct option *table = options_table(&count);
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &m, 0},
                                 model_options_file(&settings),
                                 {"cell", table, count, &settings, 0},
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"sample", "[options]", "Measures one sample in this process.", groups};
    int code = cli_parse(&cli, &argc, argv);
    return code >= 0 ? code : measure(&m, &settings);
}
