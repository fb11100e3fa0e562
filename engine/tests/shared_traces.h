/* shared_traces: the routes of experts that are kept beside the reference models, and what a public
 * simulator says of them (expected.tsv). */
#ifndef TESTS_SHARED_TRACES_H
#define TESTS_SHARED_TRACES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LAYERS = 12, EXPERTS = 32, CHOSEN = 4, TOKENS = 600, ACCESSES = TOKENS * LAYERS * CHOSEN };

/* token,layer,e0,e1,e2,e3 a line, after a header, into one object an access. */
static inline bool read_trace(const char *folder, const char *name, uint32_t *accesses)
{
    char path[4096], line[200];
    snprintf(path, sizeof path, "%s/%s.csv", folder, name);
    FILE *f = fopen(path, "r");
    uint32_t n = 0, token, layer, e[CHOSEN];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%u,%u,%u,%u,%u,%u", &token, &layer, &e[0], &e[1], &e[2], &e[3]) == 6)
            for (uint32_t i = 0; i < CHOSEN && n < ACCESSES; i++)
                accesses[n++] = layer * EXPERTS + e[i];
    if (f)
        fclose(f);
    return n == ACCESSES;
}

#endif
