/*
 * wrapper: a storage around another one that holds completions back until their time
 * has come, and may spoil them; the common part of shaped, slow and fault. A completion is
 * given out when the inner read is done and its due time has passed.
 */
#ifndef STORAGE_WRAPPER_H
#define STORAGE_WRAPPER_H

#include "storage/storage.h"

struct held {
    struct storage_read read; /* as the caller gave it */
    int64_t submit_ns;
    int64_t due_ns; /* not before this */
    bool faulty;    /* `spoil` is called on the completion */
    bool complete;  /* the inner read is done, as `done` says */
    struct storage_done done;
    uint64_t id; /* its tag in the inner storage */
};

struct wrapper_hooks {
    /* due times that are put off may decrease from one read to the next */
    bool any_order;
    /* required; called in order of submission, may put off due_ns (set to submit_ns) */
    void (*stamp)(void *own, struct held *held);
    /* optional; called when the inner read is done (`done` is filled in), in order of completion;
     * may put off due_ns */
    void (*finish)(void *own, struct held *held);
    /* optional; before a faulty read is given out */
    void (*spoil)(void *own, struct held *held);
};

/* Takes `inner` and `own` (from base/memory.h; NULL: out of memory) over, also on error.
 * depth 0: as inner. */
enum lb_status wrapper_open(struct storage *inner, uint32_t depth,
                            const struct wrapper_hooks *hooks, void *own, struct storage **storage,
                            struct lb_error *err);

#endif
