/* trace: `layerbench trace`: one run of a cell as trace events. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "report/trace_events.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct trace_command {
    const char *cell, *out;
    uint32_t rep;
    bool folded;
};

#define FIELD(name) offsetof(struct trace_command, name)
static const char *const words_first[] = {"first", NULL};
static const struct option own[] = {
    {"cell", "NAME", "cell: its name, or words that only it has: 'async belady C=8'", OPTION_TEXT,
     FIELD(cell), .letter = 'c'},
    {"rep", "N", "repetition, from 1", OPTION_COUNT, FIELD(rep), .min = 1, .words = words_first},
    {"folded", NULL, "folded stacks of the profile of operations instead", OPTION_FLAG,
     FIELD(folded), .flags = 0},
    {"out", "FILE", "default: standard output", OPTION_TEXT, FIELD(out), .letter = 'o'},
};

int command_trace(int argc, char **argv)
{
    struct trace_command t = {.cell = NULL};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &t, 0},
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"trace", "[options] RESULT",
                      "Writes one run of a cell as trace events (open in https://ui.perfetto.dev).",
                      groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 2)
        return cli_fail("trace", "expected one RESULT: a run directory or a result.json");
    struct lb_error err = LB_ERROR_INIT;
    struct trace_options options = {t.cell, (long)t.rep - 1};
    char *text = NULL;
    size_t length = 0;
    FILE *out = t.out ? open_memstream(&text, &length) : stdout;
    if (!out)
        return cli_fail("trace", "out of memory");
    enum lb_status status = t.folded ? trace_write_folded(argv[1], &options, out, &err)
                                     : trace_write(argv[1], &options, out, &err);
    if (t.out) {
        if (fclose(out) != 0 && status == LB_OK)
            status = lb_fail(&err, LB_ERR_NOMEM, "out of memory");
        if (status == LB_OK)
            status = file_replace(t.out, text, length, &err);
        free(text);
    }
    return status == LB_OK ? EXIT_OK : model_options_error("trace", &err);
}
