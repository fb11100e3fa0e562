/* main: finds the subcommand and hands over; each command lives in a file of its own. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/nearest.h"
#include "common/process.h"
#include "machine/environment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
#define ENTRY(name, about) {#name, about, command_##name},
    COMMANDS(ENTRY)
#undef ENTRY
        {NULL, NULL, NULL},
};

static void print_help(FILE *out)
{
    fputs("usage: layerbench COMMAND [options]\n"
          "\n"
          "Runs language models whose layers stream from storage, and measures how close that\n"
          "comes to the best possible.\n"
          "\n"
          "commands:\n",
          out);
    for (const struct command *c = commands; c->name; c++) {
        if (c->about)
            fprintf(out, "  %-12s %s\n", c->name, c->about);
    }
    fputs(
        "\n"
        "layerbench COMMAND --help says more about one; layerbench --version says what was built.\n"
        "exit codes: 0 success, 1 regression found, 2 usage or bad input, 3 inconclusive,\n"
        "4 environments not comparable, 5 a benchmark failed or measured nothing\n",
        out);
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands] = {NULL};
    size_t count = 0;
    for (const struct command *c = commands; c->name; c++) {
        if (c->about)
            names[count++] = c->name;
    }
    const char *near = nearest_name(name, names, count);
    fprintf(stderr, "layerbench: unknown command '%s'%s%s%s; see layerbench --help\n", name,
            near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}

/* The command's exit code, if what it printed has got out. */
static int end(const char *name, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "layerbench %s: cannot write to standard output%s%s\n", name, errno ? ": " : "",
            errno ? strerror(errno) : "");
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    process_begin();
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return end(name, EXIT_OK);
    }
    if (strcmp(name, "--version") == 0) {
        environment_print_build(stdout);
        return end(name, EXIT_OK);
    }
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(name, c->name) == 0)
            return end(name, c->run(argc - 1, argv + 1));
    }
    return unknown_command(name);
}
