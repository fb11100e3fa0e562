/* report: `layerbench report`: results as one HTML page. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "report/page.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>

struct report_command {
    const char *out;
};

static const struct option own[] = {
    {"out", "FILE", "the page", OPTION_TEXT, offsetof(struct report_command, out), .letter = 'o'},
};

int command_report(int argc, char **argv)
{
    struct report_command command = {.out = "report.html"};
    struct cli cli = {
        "report", "[options] RESULT [RESULT...]",
        "Writes one HTML page about the results (run directories or result.json files)\n"
        "that needs no network and no other file.",
        CLI_OWN(own, &command)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc < 2)
        return cli_fail("report", "expected at least one RESULT: a run directory or a result.json");
    struct lb_error err = LB_ERROR_INIT;
    char *page = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&page, &length);
    if (!out)
        return cli_fail("report", "out of memory");
    enum lb_status status = report_write(argv + 1, (size_t)argc - 1, out, stderr, &err);
    if (fclose(out) != 0 && status == LB_OK)
        status = lb_fail(&err, LB_ERR_NOMEM, "out of memory");
    if (status == LB_OK)
        status = file_replace(command.out, page, length, &err);
    free(page);
    if (status != LB_OK)
        return model_options_error("report", &err);
    printf("%s\n", command.out);
    return EXIT_OK;
}
