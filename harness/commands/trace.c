/* trace: `layerbench trace`: one run of a cell as trace events. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "predict/route_trace.h"
#include "report/trace_events.h"
#include "result/document.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trace_command {
    const char *cell, *out, *format, *model;
    uint32_t rep;
    bool folded;
};

#define FIELD(name) offsetof(struct trace_command, name)
static const char *const formats[] = {"events", "libcachesim", "routes", NULL};
static const char *const words_first[] = {"first", NULL};
static const struct option own[] = {
    {"cell", "NAME", "cell: its name, or words that only it has: 'async belady C=8'", OPTION_TEXT,
     FIELD(cell), .letter = 'c'},
    {"rep", "N", "repetition, from 1", OPTION_COUNT, FIELD(rep), .min = 1, .words = words_first},
    {"format", "NAME",
     "events; or of a mixture the routes of its experts: libcachesim (time, object, size, next "
     "access), routes (token, layer, experts)",
     OPTION_CHOICE, FIELD(format), .choices = formats},
    {"model", "FILE", "libcachesim: whose experts' sizes; 1 each if not given", OPTION_TEXT,
     FIELD(model), .letter = 'm'},
    {"folded", NULL, "folded stacks of the profile of operations instead", OPTION_FLAG,
     FIELD(folded), .flags = 0},
    {"out", "FILE", "default: standard output", OPTION_TEXT, FIELD(out), .letter = 'o'},
};

/* RESULT is a file of routes, or a result that has one. */
static enum lb_status write_routes(const struct trace_command *t, const char *result, FILE *out,
                                   struct lb_error *err)
{
    struct route_trace trace;
    char *path = route_trace_is(result) ? strdup(result) : document_file(result, "routes.csv");
    enum lb_status status = path ? route_trace_read(path, t->cell, &trace, err)
                                 : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", result);
    free(path);
    if (status == LB_OK && t->model)
        status = route_trace_weigh(&trace, t->model, err);
    if (status == LB_OK && strcmp(t->format, "routes") == 0)
        route_trace_write_plain(&trace, out);
    else if (status == LB_OK)
        status = route_trace_write_cachesim(&trace, out, err);
    route_trace_free(&trace);
    return status;
}

int command_trace(int argc, char **argv)
{
    struct trace_command t = {.format = "events"};
    struct cli cli = {
        "trace", "[options] RESULT",
        "Writes one run of a cell as trace events (open in https://ui.perfetto.dev), or\n"
        "of a mixture the experts that were chosen (log_routes), for cache simulators.",
        CLI_OWN(own, &t)};
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
    bool routes = strcmp(t.format, "events") != 0;
    enum lb_status status = routes     ? write_routes(&t, argv[1], out, &err)
                            : t.folded ? trace_write_folded(argv[1], &options, out, &err)
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
