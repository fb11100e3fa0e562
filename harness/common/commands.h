/*
 * commands: the subcommands of layerbench, one file each.
 *
 * To add one: write command_x() in commands/x.c, declare it here, add a line to the table in
 * main.c. argv[0] is the command's name; the value returned is the exit code (exit_codes.h).
 * stdout carries results only; messages go to stderr.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

struct command {
    const char *name;
    const char *about; /* one line for --help; NULL: works, but is not listed */
    int (*run)(int argc, char **argv);
};

int command_compare(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_gate(int argc, char **argv);
int command_generate(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_list(int argc, char **argv);
int command_micro(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_perplexity(int argc, char **argv);
int command_plot(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_report(int argc, char **argv);
int command_run(int argc, char **argv);
int command_sample(int argc, char **argv);
int command_simulate(int argc, char **argv);
int command_synth(int argc, char **argv);
int command_tokenize(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_tune(int argc, char **argv);
int command_validate(int argc, char **argv);

#endif
