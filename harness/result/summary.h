/*
 * summary: the samples of a cell as a few figures, and the floor they are compared with. Pure.
 *
 * A cell's pass time is the median of its samples' (sample_pass_ns).
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "result/floor.h"
#include "sample/sample.h"
#include "stats/stats.h"
#include "study/matrix.h"

struct cell_samples {
    struct sample *list;
    size_t count; /* failed ones included */
};

struct summary {
    size_t n, n_failed, n_broken;   /* measured well, failed, with broken identities */
    double pass_ns;                 /* median */
    struct stats_estimate estimate; /* of that median */
    struct stats_summary pass;
    double outliers; /* of it */
    double prefill_ns, ttft_ns, tokens_per_s;
    double tokens_a_pass;            /* of all sequences together */
    double token_ns, token_floor_ns; /* pass and drafts over them; floor over them, 0: not known */
    double token_bytes,
        bandwidth_used;          /* bytes read over them; over the pass time, waits and all */
    double drafted, drafts_kept; /* per decode pass */
    double draft_ns;
    double acceptance[LB_DRAFT_MOST]; /* by place in the draft, how often it is kept once those
                                       * before it are; NAN beyond what was drafted */
    double outcomes[LB_MISS + 1];     /* indexed by enum lb_outcome; per decode pass, as the next */
    double wait_ns, compute_ns, other_ns, bytes_read;
    double cached_ns, uncached_ns; /* mean wait of an access that found its layer, that did not */
    double wasted, peak_rss_bytes, major_faults;
    struct sample_experts experts; /* of a mixture; NAN where there is none */
    struct floor floor;
    double share_of_floor; /* floor / pass time; 0: not known; above 1: the floor is wrong */
    bool foreign;          /* another program: what is not known of it is NAN */
    double c_over_t;       /* compute time of a pass / time to load all layers; 0: not known */
};

/* Of all samples of the cell together, one depth of its predictions (from 1). */
struct summary_prediction {
    double precision, recall;   /* NAN: nothing was guessed, or needed */
    double foreseen, lead_ns;   /* share of the misses; mean time before the router chose */
    double misses, loads, vain; /* a decode pass */
};
/* False: nothing was predicted so many layers ahead. */
bool summary_prediction(const struct cell_samples *cell, size_t depth,
                        struct summary_prediction *prediction);

/* Why the first sample that failed did, the first identity that a sample broke; NULL: none. */
const char *summary_failed(const struct cell_samples *cell);
const char *summary_broken(const struct cell_samples *cell);

/* Of a mixture of experts, while its accesses of units are there (all of them): what could have
 * been in the cache, had all of them been known beforehand. */
void summary_look_back(struct sample *sample);

/* bandwidth: bytes/s of the cell's storage, 0 where none applies. reference: samples of the
 * resident cell that does the same work, or NULL: its least computation is the cell's. */
struct floor summary_floor(const struct cell_samples *cell, const struct cell_samples *reference,
                           double bandwidth);
struct summary summary_of(const struct cell_samples *cell, const struct floor *floor);

#endif
