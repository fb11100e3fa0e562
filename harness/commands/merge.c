/* merge: `layerbench merge`: joins results. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "result/merge_results.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>

struct merge_options {
    const char *out;
};

static const struct option own[] = {
    {"out", "DIR", "where the joined result goes", OPTION_TEXT, offsetof(struct merge_options, out),
     .letter = 'o'},
};

int command_merge(int argc, char **argv)
{
    struct merge_options options = {NULL};
    struct cli cli = {
        "merge", "RESULT... --out DIR",
        "Joins the results of shards, of machines, or of parts of one run. Exit code 3:\n"
        "samples are missing in all of them; which, is said and stands in the result.",
        CLI_OWN(own, &options)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc < 2 || !options.out)
        return cli_fail("merge", "expected %s", argc < 2 ? "at least one result" : "--out DIR");
    struct lb_error err = LB_ERROR_INIT;
    struct merged merged;
    json_t *warning;
    size_t i;
    if (merge_results(argv + 1, (size_t)(argc - 1), options.out, &merged, &err) != LB_OK)
        return merged.writing ? model_options_error("merge", &err)
                              : model_options_open_error("merge", &err);
    json_array_foreach(merged.warnings, i, warning)
        fprintf(stderr, "note: %s\n", json_string_value(warning));
    json_decref(merged.warnings);
    printf("result: %s/result.json\n", options.out);
    if (merged.n_missing == 0)
        return EXIT_OK;
    fprintf(stderr, "layerbench merge: incomplete: %zu of %zu samples are missing\n",
            merged.n_missing, merged.n_samples);
    return EXIT_INCONCLUSIVE;
}
