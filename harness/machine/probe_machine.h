/*
 * probe_machine: what this machine offers to a model that streams: asynchronous and direct reads
 * of a file, huge pages, a memory limit.
 */
#ifndef PROBE_MACHINE_H
#define PROBE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct probe_offer {
    bool available;
    char about[200]; /* more about it, or why not */
};

struct probe_machine {
    struct probe_offer io_uring;
    struct probe_offer o_direct;
    struct probe_offer huge_pages; /* transparent ones, for the cache */
    struct probe_offer memory_limit;
};

/* `path`: the file that would be read. */
void probe_machine_look(const char *path, struct probe_machine *machine);

#endif
