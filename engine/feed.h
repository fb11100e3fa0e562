/*
 * feed: gives the forward pass its weights, and keeps the books of it.
 *
 * It stands between model (which asks for rows of tensors, layer by layer, and says which experts a
 * layer needs) and the streamer (which hands out units): finds the unit a row lies in, walks from
 * unit to unit, turns frames into runs of rows, and holds the resident tensors. On the way it
 * measures each access: compute, wait and the rest are timed where they happen; none is calculated
 * from the others.
 *
 * Units of part 0 are held one at a time, in order; in a pass that goes in chunks all of a layer
 * stay until its experts are asked for, or its end, because each chunk asks for them. Of experts,
 * whichever are there are held together and computed in one job; an expert of several units comes
 * alone, unit by unit.
 */
#ifndef ENGINE_FEED_H
#define ENGINE_FEED_H

#include "base/ring.h"
#include "base/status.h"
#include "cache/layout.h"
#include "engine.h"
#include "model/model.h"
#include "prefetch/streamer.h"
#include "storage/storage.h"

#include <stdbool.h>
#include <stdint.h>

struct feed_counters { /* accesses of layers */
    uint64_t accesses, hits, prefetched, late, misses;
    /* counted where the need arises, not where they are had */
    uint64_t units_needed, needed_bytes;
    /* experts that layers needed, each once a pass; layers that needed any, once a pass */
    uint64_t experts_needed, expert_layers;
    uint64_t expert_choices; /* tokens of the pass x experts of a token, over these layers */
    /* units of experts that were had, their weights, and of both those that were there */
    uint64_t expert_units, expert_hits, expert_bytes, expert_hit_bytes;
};

#define FEED_HELD 16 /* experts at a time */

struct feed_held {
    uint32_t unit;
    struct model_run *runs;  /* of the unit, in order */
    struct lb_access access; /* what it was like to get it */
};

struct feed {
    /* fixed after open; not owned unless said */
    const struct model *model;
    const struct layout *layout;
    struct streamer *streamer;
    const uint8_t *mapped;    /* the file in memory (mmap), or NULL */
    struct lb_ring *log;      /* or NULL */
    struct lb_ring *unit_log; /* or NULL */
    struct model_run *runs;   /* owned: room for the runs of as many of the largest units */
    struct layout_tensor
        *tensors;           /* owned: what the layout was built of, see feed_layout_tensors */
    uint32_t *first_tensor; /* owned: [n_layers + 1], index into these */
    const struct model_tensor *resident;
    struct model_run *resident_runs; /* owned: all rows of each resident tensor */
    const void **kept; /* owned: [layer][kept_width, by tensor] data of those that predictions ask
                        * for, NULL of the others; or NULL */
    size_t kept_width;
    void (*layer_done)(void *ctx, uint32_t layer); /* or NULL */
    void *layer_done_ctx;
    const char *slow; /* "", "compute" or "wait" */
    double slow_factor;

    /* where the pass is */
    struct feed_held *held; /* owned: [FEED_HELD, or more where passes in chunks need it] */
    uint32_t n_held;
    uint32_t next;            /* unit of part 0, in order */
    bool in_layer;            /* it has been given something of a layer */
    bool keeps;               /* units of part 0 until the layer's end */
    uint32_t *needed;         /* owned: [experts] of the layer, not taken yet, */
    uint32_t n_needed;        /* ascending */
    uint32_t *units;          /* owned: [units of a layer] to ask for */
    int64_t mark_ns;          /* end of the interval accounted for last */
    struct lb_access access;  /* of the current layer */
    struct lb_pass pass;      /* of the current or last pass */
    struct feed_counters sum; /* since open */
};

/* Tensors of all layers in access order, as layout_build wants them: those of part 0, then, expert
 * by expert, each one's rows of the experts' tensors. *tensors is allocated; a feed takes it over.
 */
enum lb_status feed_layout_tensors(const struct model *model, struct layout_tensor **tensors,
                                   uint32_t *count, struct lb_error *err);

/* Sets up a zeroed feed whose not-owned fields, resident_runs and kept are filled in. */
enum lb_status feed_open(struct feed *feed, struct lb_error *err);
void feed_close(struct feed *feed);

struct model_weights feed_weights(struct feed *feed);

/* Whether a pass may go in chunks: every layer's units of part 0 can be held together, beside what
 * loads, and no expert is divided into units: a job of it may begin anew. */
bool feed_can_keep(const struct feed *feed);
/* keeps: the pass goes in chunks */
void feed_pass_begin(struct feed *feed, bool prefill, uint32_t tokens, bool keeps);
/* ok: the pass is complete; else whatever is held is given back and the streamer rewound. */
void feed_pass_end(struct feed *feed, bool ok);

#endif
