/*
 * progress: one line on standard error that is drawn again and again, with the time left; where
 * standard error is no terminal, a line now and then.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    bool shown, terminal;
    int64_t start_ns, drawn_ns, pause_ns;
};

struct progress progress_begin(const char *label);
/* done of total units of work; `note` says what is going on now, or NULL. Draws at most ten times
 * a second. */
void progress_update(struct progress *progress, uint64_t done, uint64_t total, const char *note);
/* Wipes the line. */
void progress_end(struct progress *progress);

#endif
