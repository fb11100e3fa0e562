/* shared_traces: the routes of experts that are kept beside the reference models, and what a public
 * simulator says of them (expected.tsv). */
#ifndef TESTS_SHARED_TRACES_H
#define TESTS_SHARED_TRACES_H

#include "tests/check.h"

#include <stdbool.h>
#include <stdint.h>

enum { LAYERS = 12, EXPERTS = 32, CHOSEN = 4, TOKENS = 600, ACCESSES = TOKENS * LAYERS * CHOSEN };

/* A line of expected.tsv, and the accesses of its trace. */
struct figure {
    FILE *file;
    char folder[4000], trace[40], policy[40], ratio[20];
    uint32_t slots, accesses[ACCESSES];
};

/* token,layer,e0,e1,e2,e3 a line, after a header, into one object an access. */
static inline void read_trace(struct figure *figure)
{
    char path[4096], line[200];
    snprintf(path, sizeof path, "%s/%s.csv", figure->folder, figure->trace);
    FILE *f = fopen(path, "r");
    uint32_t n = 0, token, layer, e[CHOSEN];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%u,%u,%u,%u,%u,%u", &token, &layer, &e[0], &e[1], &e[2], &e[3]) == 6)
            for (uint32_t i = 0; i < CHOSEN && n < ACCESSES; i++)
                figure->accesses[n++] = layer * EXPERTS + e[i];
    if (f)
        fclose(f);
    CHECK(n == ACCESSES, "%s", path);
}

static inline bool figures_open(struct figure *figure)
{
    char path[4096];
    const char *shared = check_shared();
    *figure->trace = 0;
    snprintf(figure->folder, sizeof figure->folder, "%s/experts/traces", shared ? shared : ".");
    snprintf(path, sizeof path, "%s/expected.tsv", figure->folder);
    figure->file = fopen(path, "r");
    if (!figure->file)
        fprintf(stderr, "skipped: the simulator's figures: no %s\n", path);
    return figure->file;
}

/* The next line; false, and the file is closed, at the end. */
static inline bool figures_next(struct figure *figure)
{
    char line[200], trace[40];
    while (fgets(line, sizeof line, figure->file)) {
        if (sscanf(line, "%39s %39s %u %19s", trace, figure->policy, &figure->slots,
                   figure->ratio) != 4)
            continue;
        if (strcmp(trace, figure->trace) != 0) {
            snprintf(figure->trace, sizeof figure->trace, "%s", trace);
            read_trace(figure);
        }
        return true;
    }
    fclose(figure->file);
    return false;
}

static inline void figure_is(const struct figure *figure, uint64_t misses, const char *of)
{
    char ours[20];
    snprintf(ours, sizeof ours, "%.4f", (double)misses / ACCESSES);
    CHECK(strcmp(ours, figure->ratio) == 0, "%s, %s, %u slots: %s, the simulator says %s",
          figure->trace, of, figure->slots, ours, figure->ratio);
}

#endif
