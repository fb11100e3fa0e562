/*
 * gate_rule: the verdict on timing metrics measured in two arms, base and head, interleaved in
 * blocks (ABBA). Pure functions.
 *
 * A regression is called when all three hold: (1) one-sided Mann-Whitney, Holm-corrected over the
 * metrics, p < 0.01; (2) the ratio of medians is worse by more than 2%; (3) the 99% interval of the
 * ratio, from a bootstrap of whole blocks, excludes 1. An improvement is the mirror image. Above
 * max_cv nothing passes, and what is called a regression has to be worse by more than
 * gate_least_effect as well: memory whose speed changes by the second hides a loss of 3%, not one
 * of a quarter. What cannot be compared is never a pass: see enum gate_verdict. A flagged metric is
 * measured again and counts only if gate_confirm agrees.
 */
#ifndef GATE_RULE_H
#define GATE_RULE_H

#include "stats/stats.h"

struct gate_rule {
    double alpha;       /* 0.01 */
    double floor;       /* 0.02: the least difference that counts */
    double level;       /* 0.99: of the interval */
    uint32_t rounds;    /* 10000 resamples */
    uint64_t seed;      /* of the bootstrap */
    double max_cv;      /* 0.04: above, inconclusive, or a regression that noise cannot explain */
    size_t min_n;       /* 20 samples an arm: below, inconclusive */
    size_t max_metrics; /* 24 */
};

struct gate_rule gate_rule_default(void);

enum gate_verdict {
    GATE_SAME, /* no regression and no improvement found */
    GATE_IMPROVEMENT,
    GATE_REGRESSION,
    GATE_INCONCLUSIVE,   /* too noisy, or too few samples */
    GATE_NOT_COMPARABLE, /* measured on different machines */
    GATE_FAILED,         /* nothing measured, no number, other units or other work */
};

const char *gate_verdict_name(enum gate_verdict verdict);

struct gate_value {
    double value;   /* finite, 0 or more */
    uint32_t block; /* of the ABBA order; a block holds as many samples of base as of head */
    bool head;
};

struct gate_metric {
    const char *name;
    bool higher_is_better;
    /* of base [0] and head [1]; they have to be equal. NULL: that arm has no such cell */
    const char *unit[2];
    const char *work[2];              /* hash of tokens and scenario */
    const char *machine[2];           /* comparability key */
    const struct gate_value *samples; /* in the order of measurement */
    size_t n;
};

struct gate_result {
    enum gate_verdict verdict;
    char reason[200]; /* why, in words */
    /* NaN where the verdict is NOT_COMPARABLE or FAILED: */
    double median[2];
    double ratio;                   /* median of head / median of base */
    struct stats_interval interval; /* of the ratio */
    double p_worse, p_better;       /* Holm-corrected */
    double cv;                      /* robust, of both arms together */
    double least_effect;            /* see gate_least_effect */
    size_t n[2], outliers[2];
    bool first_is_slowest; /* the first sample of all is the worst: not warmed up? */
};

/* results[n], one for each metric. false: out of memory. No metrics at all is the caller's to
 * report (gate_exit_code(NULL, 0) is that of a failure). */
bool gate_decide(const struct gate_rule *rule, const struct gate_metric *metrics, size_t n,
                 struct gate_result *results);

/* What becomes of a flagged metric after fresh samples: what both agree on, else GATE_SAME with the
 * reason "not confirmed"; an INCONCLUSIVE or worse second measurement stays what it is. */
void gate_confirm(struct gate_result *first, const struct gate_result *second);

/* 5 failed, else 4 not comparable, else 1 regression, else 3 inconclusive, else 0; 5 for none. */
int gate_exit_code(const struct gate_result *results, size_t n);

/* Samples an arm for the coefficient of variation of a pilot: 20 for every percent begun, at least
 * min_n; 0 above max_cv: no number is enough. */
size_t gate_samples_needed(const struct gate_rule *rule, double cv);

/* The smallest slowdown found 9 times in 10 with n samples an arm, from the normal approximation
 * (relative error of a median: 1.2533 cv / sqrt(n)): the greater of what the floor and the interval
 * let through. Mann-Whitney sees smaller ones, even when corrected over 24 metrics. */
double gate_least_effect(const struct gate_rule *rule, double cv, size_t n);

/* For people who compare two results: does the interval exclude 1 and the difference exceed the
 * floor (different), does it lie within the floor (same), or neither (unknown)? */
enum gate_relation { GATE_RELATION_SAME, GATE_RELATION_DIFFERENT, GATE_RELATION_UNKNOWN };
enum gate_relation gate_relate(const struct gate_rule *rule, double ratio,
                               struct stats_interval interval);

#endif
