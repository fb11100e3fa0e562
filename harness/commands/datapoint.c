/* datapoint: `layerbench datapoint RESULT`: one row to share, without private details. */
#include "report/datapoint_row.h"

#include "commands/commands.h"
#include "common/exit_codes.h"
#include "report/report_answer.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>

struct datapoint_command {
    const char *cell;
    bool json;
};

static const struct option own[] = {
    {"cell", "NAME", "its name, or words that only it has; the fastest if not given", OPTION_TEXT,
     offsetof(struct datapoint_command, cell), .letter = 'c'},
    {"json", NULL, "print JSON", OPTION_FLAG, offsetof(struct datapoint_command, json), .flags = 0},
};

static enum lb_status choose(struct result_view *view, const char *name,
                             const struct view_cell **cell, struct lb_error *err)
{
    size_t i;
    *cell = name ? NULL : report_answer(view).best;
    if (name && view_find_cell(view, name, &i, err) == LB_OK)
        *cell = &view->cells[i];
    if (err->code == LB_OK && (!*cell || (*cell)->pass.n == 0))
        return lb_fail(err, LB_ERR_INPUT, "nothing was measured%s%s", name ? " of " : "",
                       name ? name : "");
    return err->code;
}

int command_datapoint(int argc, char **argv)
{
    struct datapoint_command command = {.cell = NULL};
    struct cli cli = {"datapoint", "RESULT [options]",
                      "Prints one row to share: processor, memory, drive, shape of the model, "
                      "setting, tokens/s,\n"
                      "share of floor, version; no names of machines, files or people.",
                      CLI_OWN(own, &command)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 2)
        return cli_fail("datapoint", "expected one result, got %d", argc - 1);
    struct result_view view = VIEW_EMPTY;
    struct lb_error err = LB_ERROR_INIT;
    const struct view_cell *cell;
    enum lb_status status = view_open(argv[1], &view, &err);
    if (status == LB_OK && (status = choose(&view, command.cell, &cell, &err)) != LB_OK)
        lb_error_prefix(&err, "%s", argv[1]);
    json_t *row = status == LB_OK ? datapoint_json(&view, cell) : NULL;
    if (status == LB_OK && command.json) {
        json_dumpf(row, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else if (status == LB_OK) {
        datapoint_markdown(row, stdout);
    }
    json_decref(row);
    view_close(&view);
    return status == LB_OK ? EXIT_OK : model_options_open_error("datapoint", &err);
}
