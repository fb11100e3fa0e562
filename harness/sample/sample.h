/*
 * sample: one repetition of one cell: what is measured, and how it travels.
 *
 * A sample is measured in a process of its own (command "sample"), which opens the model, runs
 * the prefill and the decode passes and writes what happened to a file descriptor; the run
 * (runner.h) reads it from there. Inside the timed window of a pass: the pass (lb_engine_prefill,
 * lb_engine_verify), nothing else. Choosing the next tokens and hashing logits lie between passes,
 * and their time is recorded as between_ns; guessing tokens lies there too, and is draft_ns.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "machine/program.h"
#include "settings/options.h"

#include <jansson.h>
#include <stdio.h>

struct sample {
    int32_t rep;
    uint32_t seq;
    int64_t start_ns; /* since the run began */
    char failed[256]; /* why there is nothing below; "" when it went well */

    int64_t load_ns; /* lb_engine_open */
    int64_t ttft_ns; /* from before the open to the first token chosen */
    int64_t prefill_ns;
    int64_t *pass_ns; /* each decode pass */
    uint32_t n_pass;
    int64_t between_ns; /* decode phase outside the passes and drafts */
    /* decode, all sequences: tokens that the passes gave; of drafts, those checked and those kept,
     * time and memory */
    uint64_t tokens, drafted, drafts_kept, draft_bytes;
    int64_t draft_ns;
    uint64_t first_prompt,
        prompt_length; /* of a file of prompts; tokens prefilled, all sequences */
    uint64_t draft_reached[LB_DRAFT_MOST], draft_right[LB_DRAFT_MOST]; /* see lb_drafts */
    struct lb_stats all, decode; /* since the open; what the decode passes added */

    int64_t cached_wait_ns,
        uncached_wait_ns; /* decode: waits of hit + prefetched, of late + miss */
    uint64_t layers, log_dropped;
    uint64_t experts_used;          /* of a token in a layer of a mixture of experts */
    uint64_t clairvoyant_hit_bytes; /* of decode.needed_bytes, the most that can have been in the
                                     * cache; 0: not known. Filled in by summary_look_back() */
    int64_t kernel_bytes;           /* read in the passes as the kernel counts it; -1: not known */
    uint64_t file_bytes, layer_bytes, model_resident_bytes;
    uint64_t peak_rss_bytes, major_faults;
    int64_t cpu_ns; /* user and system, whole process */
    uint64_t cache_layers, threads, drives;
    int64_t cached_before_ppm; /* of the model file in the page cache; -1: not known */
    char tokens_hash[17], logits_hash[17];
    char prefetch[16], replacement[16], scheduler[16], predict[16], storage[16], kernels[16],
        product[16]; /* in force */
    char notice[256];
    struct program_usage usage; /* of its whole process, from outside; wall_ns 0: not recorded */

    uint32_t origin;       /* of merged results: which one it came from; not in the JSON */
    struct lb_access *log; /* n_log of them; not in the JSON */
    size_t n_log;
    struct lb_access *units; /* n_units of them, where they are smaller than a layer; not in the
                                JSON */
    size_t n_units;
    struct lb_route *routes; /* n_routes of them, where log_routes asks for them; not in the JSON */
    size_t n_routes;
    json_t *broken;     /* identities that do not hold, an array of texts; or NULL */
    json_t *prediction; /* of the decode passes (prediction_json.h), where there is any; or NULL */
    json_t *profile;    /* of the decode passes (op_profile.h), where it was asked for; or NULL */
    /* of another program: what it printed, numbers by their names; else NULL. Nothing else of it is
     * known but its passes (see peer.h), tokens and usage */
    json_t *printed;
};

void sample_free(struct sample *sample);

/* The pass time of a sample: the mean of its decode passes, because the loads of neighbouring
 * passes differ while their sum does not. 0 where nothing was decoded. */
double sample_pass_ns(const struct sample *sample);
/* Tokens that a decode pass gave, of all sequences, how many came in a second of passes and
 * drafting, and the time of one. 0 where nothing was decoded. */
double sample_tokens_a_pass(const struct sample *sample);
double sample_tokens_per_s(const struct sample *sample);
double sample_token_ns(const struct sample *sample);

/* What decode passes needed of a mixture of experts, and found; NAN where there is none, or a layer
 * is one unit. */
struct sample_experts {
    double demand_bytes;             /* weights that a pass needs, those of experts and others */
    double hit_rate, hit_rate_bytes; /* of experts: in the cache since an earlier pass */
    double per_token;                /* experts that a layer needs, by tokens of the pass */
    double tokens;                   /* of the pass that an expert serves */
};
struct sample_experts sample_experts(const struct sample *sample);

/* Everything but the log. sample_from_json gives false when a field is missing or of a wrong
 * type; *where then names it. batch: sequences, whose tokens results of before these were counted
 * do not tell. */
json_t *sample_to_json(const struct sample *sample);
bool sample_from_json(const json_t *object, uint32_t batch, struct sample *sample,
                      const char **where);
/* The same of whatever there is: what is missing or damaged is 0 or "". */
void sample_from_json_partly(const json_t *object, uint32_t batch, struct sample *sample);

/* What the process writes and the run reads: the JSON, then the logs. */
bool sample_write(const struct sample *sample, FILE *out);
bool sample_receive(FILE *in, struct sample *sample);

#endif
