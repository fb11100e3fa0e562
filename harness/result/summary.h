/*
 * summary: the samples of a cell as a few figures, and the floor they are compared with. Pure.
 *
 * A sample's pass time is the mean of its decode passes, because the loads of neighbouring passes
 * differ while their sum does not. A cell's pass time is the median of its samples'.
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "sample/sample.h"
#include "stats/stats.h"
#include "study/matrix.h"

struct cell_samples {
    struct sample *list;
    size_t count;                   /* failed ones included */
    struct stats_interval interval; /* of the median pass: summary_bootstrap() */
};

/* The least time a decode pass can take; see the design. All 0 where it is not known. */
struct floor {
    double compute_ns;  /* resident compute and other, from the reference cell */
    double load_ns;     /* (bytes of all layers - cache bytes) / bandwidth */
    double all_load_ns; /* bytes of all layers / bandwidth */
    double bandwidth;   /* bytes/s; 0: none to speak of (memory) or not known */
    double ns;          /* the larger of compute and load */
};

struct summary {
    size_t n, n_failed, n_broken;   /* measured well, failed, with broken identities */
    double pass_ns;                 /* median */
    struct stats_interval interval; /* 95%, of that median; NAN below two samples */
    struct stats_summary pass;
    double prefill_ns, ttft_ns, tokens_per_s;
    double hit, prefetched, late, miss; /* per decode pass */
    double wait_ns, compute_ns, other_ns, bytes;
    double cached_ns, uncached_ns; /* mean wait of an access that found its layer, that did not */
    double wasted, peak_rss_bytes;
    struct floor floor;
    double efficiency; /* floor / pass time, at most 1; 0: not known */
    double c_over_t;   /* compute time of a pass / time to load all layers; 0: not known */
};

/* Computes the cell's interval anew, by the bootstrap over its samples: whenever they have changed
 * (it takes its time: summary_of does not). */
void summary_bootstrap(struct cell_samples *cell);

/* bandwidth: bytes/s of the cell's storage, 0 where none applies. reference: samples of the
 * resident cell that does the same work, or NULL. */
struct floor summary_floor(const struct cell_samples *cell, const struct cell_samples *reference,
                           double bandwidth);
/* batch: sequences that get a token in each decode pass. */
struct summary summary_of(const struct cell_samples *cell, const struct floor *floor,
                          uint32_t batch);

#endif
