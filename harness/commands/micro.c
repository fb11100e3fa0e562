/* micro: `layerbench micro`: kernels, storage and bookkeeping one by one. */
#include "micro/micro.h"
#include "commands/commands.h"
#include "settings/cli.h"
#include "settings/options.h"

#include <stdio.h>

#define FIELD(name) offsetof(struct micro_options, name)
static const struct option own[] = {
    {"filter", "RE", "only benchmarks whose name matches", OPTION_TEXT, FIELD(filter), .flags = 0},
    {"list", NULL, "print the names and measure nothing", OPTION_FLAG, FIELD(list), .flags = 0},
    {"json", "FILE", "also write Google Benchmark's JSON", OPTION_TEXT, FIELD(json), .flags = 0},
    {"repetitions", "N", "samples of each", OPTION_COUNT, FIELD(repetitions), .min = 1,
     .max = 1000},
    {"sample_time", "TIME", "least time of a sample", OPTION_DURATION, FIELD(sample_ns),
     .min = 1000},
    {"threads", "N", "that compute", OPTION_COUNT, FIELD(threads), .min = 1, .max = 256},
    {"buffer", "SIZE", "memory through which weights rotate; larger than the caches", OPTION_SIZE,
     FIELD(buffer_bytes), .min = 1 << 20},
    {"file", "FILE", "to read from; else one is made here and removed", OPTION_TEXT, FIELD(file),
     .flags = 0},
    {"file_bytes", "SIZE", "of the file that is made", OPTION_SIZE, FIELD(file_bytes),
     .min = 2 << 20},
    {"model", "FILE", "also whole passes over this GGUF file, resident in memory", OPTION_TEXT,
     FIELD(model), .letter = 'm'},
};

int command_micro(int argc, char **argv)
{
    struct micro_options o = {.repetitions = 3,
                              .sample_ns = 20000000,
                              .threads = lb_options_default().threads,
                              .buffer_bytes = (uint64_t)256 << 20,
                              .file_bytes = (uint64_t)256 << 20};
    struct cli cli = {
        "micro", "[--filter RE] [options]",
        "Measures the parts one by one: products of each tensor type by each\n"
        "instruction set beside reads of the memory in the same moments, in order and in\n"
        "streams; storage reads, what an event and a cache access cost, and, with\n"
        "--model, whole decode steps and prompts.",
        CLI_OWN(own, &o)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("micro", "'%s': expected options only", argv[1]);
    struct lb_error err = LB_ERROR_INIT;
    code = micro_run(&o, &err);
    if (err.code != LB_OK)
        fprintf(stderr, "layerbench micro: %s\n", err.text);
    return code;
}
