/* cli: the command line by tables. See cli.h. */
#include "settings/cli.h"

#include "common/exit_codes.h"
#include "common/nearest.h"
#include "common/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_NAME 64

int cli_fail(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "layerbench %s: ", command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_USAGE;
}

/* cache_layers as it stands on the command line: cache-layers. */
static const char *dashed(const char *name, char *out, size_t size)
{
    size_t i = 0;
    for (; name[i] && i + 1 < size; i++)
        out[i] = name[i] == '_' ? '-' : name[i];
    out[i] = '\0';
    return out;
}

static void print_option(const struct option *o, const void *target)
{
    char name[LONGEST_NAME], left[128], value[OPTION_LONGEST], expected[320],
        text[OPTION_LONGEST + 1024];
    snprintf(left, sizeof left, "%s--%s%s%s",
             o->letter ? (char[]){'-', o->letter, ',', ' ', '\0'} : "",
             dashed(o->name, name, sizeof name), o->value ? " " : "", o->value ? o->value : "");
    option_format(o, target, value, sizeof value);
    bool told = o->kind != OPTION_FLAG && o->kind != OPTION_BOOL && o->kind != OPTION_TEXT &&
                o->kind != OPTION_CUSTOM;
    option_expected(o, expected, sizeof expected);
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s", o->about, told ? " (" : "", told ? expected : "",
             told ? ")" : "", o->kind != OPTION_FLAG && value[0] ? " [" : "",
             o->kind != OPTION_FLAG ? value : "", o->kind != OPTION_FLAG && value[0] ? "]" : "");
    int used = printf("  %-28s ", left);
    terminal_wrap(stdout, text, (size_t)used, 31, terminal_width(STDOUT_FILENO));
}

static void print_help(const struct cli *cli)
{
    printf("usage: layerbench %s %s\n\n%s\n", cli->command, cli->usage, cli->about);
    for (const struct cli_group *g = cli->groups; g->options; g++) {
        printf("\n%s:\n", g->title);
        for (size_t i = 0; i < g->count; i++) {
            if (!(g->options[i].flags & (g->left_out | OPTION_HIDDEN)))
                print_option(&g->options[i], g->target);
        }
    }
}

/* What print_help() says as lines of fields for programs (scripts/manual): "usage", "about",
 * "group", and "option", letter, name, value, about, default, what is expected. */
static void print_table(const struct cli *cli)
{
    char name[LONGEST_NAME], value[256], expected[320];
    printf("usage\t%s\n", cli->usage);
    for (const char *line = cli->about; *line;) {
        int length = (int)strcspn(line, "\n");
        printf("about\t%.*s\n", length, line);
        line += length + (line[length] == '\n');
    }
    for (const struct cli_group *g = cli->groups; g->options; g++) {
        printf("group\t%s\n", g->title);
        for (const struct option *o = g->options; o < g->options + g->count; o++) {
            if (o->flags & (g->left_out | OPTION_HIDDEN))
                continue;
            option_format(o, g->target, value, sizeof value);
            option_expected(o, expected, sizeof expected);
            printf("option\t%.1s\t%s\t%s\t%s\t%s\t%s\n", o->letter ? &o->letter : "",
                   dashed(o->name, name, sizeof name), o->value ? o->value : "", o->about,
                   o->kind == OPTION_FLAG ? "" : value, expected);
        }
    }
}

static const struct option *find(const struct cli *cli, const char *name, char letter,
                                 void **target)
{
    for (const struct cli_group *g = cli->groups; g->options; g++) {
        const struct option *found = NULL;
        if (name)
            found = option_find(g->options, g->count, name);
        for (size_t i = 0; !name && i < g->count && !found; i++) {
            if (g->options[i].letter == letter)
                found = &g->options[i];
        }
        if (found && !(found->flags & g->left_out)) {
            *target = g->target;
            return found;
        }
    }
    return NULL;
}

static int unknown_option(const struct cli *cli, const char *argument, const char *name)
{
    const char *names[256];
    size_t count = 0;
    for (const struct cli_group *g = cli->groups; g->options; g++) {
        for (size_t i = 0; i < g->count && count < sizeof names / sizeof *names; i++) {
            if (!(g->options[i].flags & (g->left_out | OPTION_HIDDEN)))
                names[count++] = g->options[i].name;
        }
    }
    char plain[LONGEST_NAME], shown[LONGEST_NAME];
    size_t i = 0;
    for (; name[i] && i + 1 < sizeof plain; i++)
        plain[i] = name[i] == '-' ? '_' : name[i];
    plain[i] = '\0';
    const char *near = nearest_name(plain, names, count);
    if (near)
        return cli_fail(cli->command, "unknown option '%s': did you mean --%s?", argument,
                        dashed(near, shown, sizeof shown));
    return cli_fail(cli->command, "unknown option '%s'; see layerbench %s --help", argument,
                    cli->command);
}

/* Takes the option that argv[*i] begins with; *i moves on when the value is the next word. */
static int take_option(const struct cli *cli, int argc, char **argv, int *i)
{
    char *argument = argv[*i], name[LONGEST_NAME], shown[LONGEST_NAME];
    const char *value = NULL;
    void *target = NULL;
    const struct option *o;
    if (argument[1] == '-') {
        size_t length = strcspn(argument + 2, "=");
        if (argument[2 + length] == '=')
            value = argument + 2 + length + 1;
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), argument + 2);
        o = find(cli, name, 0, &target);
    } else {
        snprintf(name, sizeof name, "%c", argument[1]);
        if (argument[2])
            value = argument + 2;
        o = find(cli, NULL, argument[1], &target);
    }
    if (!o)
        return unknown_option(cli, argument, name);
    dashed(o->name, shown, sizeof shown);
    if (o->kind == OPTION_FLAG) {
        if (value && argument[1] == '-')
            return cli_fail(cli->command, "--%s takes no value", shown);
        if (value)
            return unknown_option(cli, argument, argument + 1);
        value = "on";
    } else if (!value) {
        if (*i + 1 >= argc) {
            char expected[320];
            option_expected(o, expected, sizeof expected);
            return cli_fail(cli->command, "--%s: no value: expected %s", shown, expected);
        }
        value = argv[++*i];
    }
    struct lb_error err = LB_ERROR_INIT;
    if (option_set(o, target, value, &err) != LB_OK)
        return cli_fail(cli->command, "--%s: %s", shown, err.text);
    return -1;
}

int cli_parse(const struct cli *cli, int *argc, char **argv)
{
    int words = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(cli);
            return EXIT_OK;
        }
        if (strcmp(argv[i], "--help-table") == 0) {
            print_table(cli);
            return EXIT_OK;
        }
        if (strcmp(argv[i], "--") == 0) {
            while (++i < *argc)
                argv[words++] = argv[i];
            break;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[words++] = argv[i];
            continue;
        }
        int code = take_option(cli, *argc, argv, &i);
        if (code >= 0)
            return code;
    }
    *argc = words;
    return -1;
}

bool cli_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && !(no && *no);
}
