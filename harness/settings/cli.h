/*
 * cli: reads a command line by tables of options.
 *
 *   struct cli cli = {"tokenize", "--model F [options] TEXT", "Prints token ids.",
 *                     CLI_OWN(own, &mine)};
 *   int code = cli_parse(&cli, &argc, argv);
 *   if (code >= 0)
 *       return code;
 *
 * Understood: --name value, --name=value, -o value, -ovalue, flags without a value, "--" before
 * words that begin with '-'. An option that is not in the tables is an error that names the
 * nearest one.
 */
#ifndef CLI_H
#define CLI_H

#include "settings/option.h"

#include <stdbool.h>
#include <stddef.h>

struct cli_group {
    const char *title; /* in --help */
    const struct option *options;
    size_t count;
    void *target;      /* the struct that the offsets are into, with the defaults in it */
    unsigned left_out; /* options with one of these flags do not exist for this command */
};

struct cli {
    const char *command;
    const char *usage;              /* what follows "layerbench COMMAND " */
    const char *about;              /* a sentence or more */
    const struct cli_group *groups; /* ends with a group without options */
};

/* The groups of a command with options of its own alone. */
#define CLI_OWN(own, target)                                                                       \
    (const struct cli_group[])                                                                     \
    {                                                                                              \
        {"options", own, sizeof own / sizeof *own, target, 0},                                     \
        {                                                                                          \
            NULL, NULL, 0, NULL, 0                                                                 \
        }                                                                                          \
    }

/* Fills the targets; leaves the words that are no options in argv[1..*argc). Returns -1 to go
 * on, or the exit code to return at once: 0 after --help, EXIT_USAGE after an error (printed). */
int cli_parse(const struct cli *cli, int *argc, char **argv);

/* Prints "layerbench COMMAND: ..." to stderr and returns EXIT_USAGE. */
int cli_fail(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether to print in colour: standard output is a terminal, and NO_COLOR is unset or empty. */
bool cli_colour(void);

#endif
