/* list: everything that can be chosen, as the engine lists it. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/json_text.h"
#include "common/shipped.h"
#include "engine.h"
#include "figure/figure.h"
#include "figure/plot_scripts.h"
#include "result/summary_table.h"
#include "settings/cli.h"
#include "study/scenario_schema.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list {
    bool json, markdown;
};

static const struct option own[] = {
    {"json", NULL, "print JSON", OPTION_FLAG, offsetof(struct list, json), .flags = 0},
    {"markdown", NULL, "options, keys: as a table in Markdown", OPTION_FLAG,
     offsetof(struct list, markdown), .flags = OPTION_HIDDEN},
};

static const char *const kinds[] = {"prefetch", "speculate", "replacement", "scheduler", "predict",
                                    "storage",  "device",    "kernels",     "shape",     "quant"};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static void print_kind(const char *kind)
{
    struct lb_choice choice;
    printf("%s:\n", kind);
    for (size_t i = 0; lb_choice_at(kind, i, &choice); i++)
        printf("  %-16s %s%s\n", choice.name, choice.about,
               choice.available ? "" : " (not available here)");
}

static json_t *kind_as_json(const char *kind)
{
    struct lb_choice choice;
    json_t *list = json_array();
    for (size_t i = 0; lb_choice_at(kind, i, &choice); i++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "name", json_text(choice.name));
        json_object_set_new(entry, "about", json_text(choice.about));
        json_object_set_new(entry, "available", json_boolean(choice.available));
        json_array_append_new(list, entry);
    }
    return list;
}

static int print_figures(void)
{
    char question[256];
    const char *metric;
    for (size_t i = 0; i < n_figures; i++)
        printf("  %-27s %s\n", figures[i].name,
               plot_script_paragraph(figures[i].name, 0, question, sizeof question));
    fputs("metrics of plot --over OPTION --metric NAME:", stdout);
    for (size_t i = 0; figure_metric_at(i, &metric); i++)
        printf("%s%s", i % 6 ? " " : "\n  ", metric);
    putchar('\n');
    return EXIT_OK;
}

static int is_scenario(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end && strcmp(end, ".json") == 0;
}

/* Those that `run NAME` finds, each with its question. */
static int print_scenarios(void)
{
    char room[PATH_MAX];
    const char *folder = shipped_file("scenarios", room, sizeof room);
    struct dirent **entries;
    int n = scandir(folder, &entries, is_scenario, alphasort);
    if (n < 0)
        return cli_fail("list", "no scenarios beside this program");
    printf("%s:\n", folder);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX + NAME_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        json_t *scenario = json_load_file(path, 0, NULL);
        const char *about = json_string_value(json_object_get(scenario, "about"));
        if (about)
            printf("  %-26.*s %.*s\n", (int)(strlen(entries[i]->d_name) - strlen(".json")),
                   entries[i]->d_name, (int)strcspn(about, "?") + 1, about);
        json_decref(scenario);
        free(entries[i]);
    }
    free(entries);
    return EXIT_OK;
}

static int print_schema(void)
{
    json_t *schema = scenario_schema();
    bool good = schema && json_dumpf(schema, stdout, JSON_INDENT(1)) == 0;
    putchar('\n');
    json_decref(schema);
    return good ? EXIT_OK : EXIT_FAILED;
}

static int unknown_kind(const char *name)
{
    char names[256] = "";
    for (size_t i = 0; i < N_KINDS; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s, ", kinds[i]);
    return cli_fail("list",
                    "'%s': expected at most one of %soptions, keys, columns, figures, scenarios, "
                    "scenario-schema",
                    name, names);
}

int command_list(int argc, char **argv)
{
    struct list options = {0};
    struct cli cli = {
        "list", "[--json] [KIND]",
        "Lists what can be chosen: policies, schedulers, storage, devices, kernels,\n"
        "shapes and tensor types of synthetic models; 'options': every option with its\n"
        "values, unit and default; 'keys': those of a scenario; 'columns': those of\n"
        "summary.csv and of 'run -o'; 'figures': what plot draws, each with its question;\n"
        "'scenarios': those that run finds by their names; 'scenario-schema': the JSON\n"
        "Schema of scenario files.",
        CLI_OWN(own, &options)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    const char *wanted = argc > 1 ? argv[1] : NULL;
    struct lb_choice any;
    if (argc == 2 && strcmp(wanted, "options") == 0) {
        scenario_print_options(stdout, options.markdown);
        return EXIT_OK;
    }
    if (argc == 2 && strcmp(wanted, "scenarios") == 0)
        return print_scenarios();
    if (argc == 2 && strcmp(wanted, "scenario-schema") == 0)
        return print_schema();
    if (argc == 2 && strcmp(wanted, "keys") == 0) {
        scenario_print_keys(stdout, options.markdown);
        return EXIT_OK;
    }
    if (argc == 2 && strcmp(wanted, "columns") == 0) {
        summary_print_columns(stdout);
        return EXIT_OK;
    }
    if (argc == 2 && strcmp(wanted, "figures") == 0)
        return print_figures();
    if (argc > 2 || (wanted && !lb_choice_at(wanted, 0, &any)))
        return unknown_kind(argv[argc - 1]);
    json_t *root = json_object();
    for (size_t i = 0; i < N_KINDS; i++) {
        if (wanted && strcmp(wanted, kinds[i]) != 0)
            continue;
        if (options.json)
            json_object_set_new(root, kinds[i], kind_as_json(kinds[i]));
        else
            print_kind(kinds[i]);
    }
    if (options.json) {
        json_dumpf(root, stdout, JSON_INDENT(1));
        putchar('\n');
    }
    json_decref(root);
    return EXIT_OK;
}
