/*
 * commands: the subcommands of layerbench, one file each, named like them.
 *
 * To add one: write command_x() in commands/x.c and add a line here. argv[0] is the command's name;
 * the value returned is the exit code (exit_codes.h). stdout carries results only; messages go to
 * stderr. A command takes its arguments, makes one call into a room, and prints what comes out.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stddef.h>

/* name, and one line for --help; NULL: works, but is not listed */
#define COMMANDS(X)                                                                                \
    X(run, "measure scenarios and write a result")                                                 \
    X(simulate, "predict the cells of a study without running them")                               \
    X(tune, "settings that make the best of a given memory")                                       \
    X(generate, "continue a prompt")                                                               \
    X(chat, "talk with a model")                                                                   \
    X(perplexity, "how well a model predicts a text")                                              \
    X(eval, "logits after every position, to a file")                                              \
    X(tokenize, "token ids of a text")                                                             \
    X(inspect, "metadata and tensors of a GGUF file")                                              \
    X(synth, "write a synthetic model")                                                            \
    X(probe, "raw bandwidth of storage and memory; what this machine offers")                      \
    X(micro, "measure kernels, storage and bookkeeping one by one")                                \
    X(list, "policies, storage, devices, kernels, shapes to choose from")                          \
    X(merge, "join results of shards and machines")                                                \
    X(plot, "draw the figures of a result")                                                        \
    X(report, "one HTML page about results")                                                       \
    X(datapoint, "one row of a result, to share")                                                  \
    X(trace, "a run as trace events, for Perfetto")                                                \
    X(compare, "what differs between two results")                                                 \
    X(history, "a metric over the results of many commits")                                        \
    X(gate, "has this binary become slower? for CI")                                               \
    X(validate, "check scenario and result files against their schemas")                           \
    X(sample, NULL)

struct command {
    const char *name, *about;
    int (*run)(int argc, char **argv);
};

#define DECLARE(name, about) int command_##name(int argc, char **argv);
COMMANDS(DECLARE)
#undef DECLARE

#endif
