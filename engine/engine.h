/*
 * engine: THE public contract. Open a model, prefill, decode, read statistics, close.
 *
 *   struct lb_options o = lb_options_default();
 *   o.model_path = "model.gguf";
 *   o.cache_layers = 8;
 *   lb_engine_open(&o, &engine, &err);
 *   lb_engine_prefill(engine, 0, tokens, n, logits, &err);
 *   lb_engine_decode(engine, next, 1, logits, &err);
 *
 * The result is bit-identical for every streaming setting. One thread calls an engine
 * at a time. Strings in options are read during the call only. Errors: status.h.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Guessing the tokens to come and checking several in one pass (struct lb_decoder). The text is the
 * same with every setting. */
#define LB_DRAFT_MOST 32
struct lb_speculation {
    const char *speculate; /* "off", "ngram", "draft", "replay"; default "off" */
    uint32_t draft_tokens; /* in a draft, at most LB_DRAFT_MOST; default 4 */
    const char
        *draft_budget; /* "fixed": always as many; "adaptive": as pays off; default "fixed" */
    uint32_t ngram_min, ngram_max; /* tokens that must match; default 2 and 4 */
    const char *draft_model;       /* path; NULL or "": none */
    double acceptance;             /* replay: share of its tokens that is right; default 0.7 */
};

/* Names and meaning are the same on the command line, in scenarios and in results. */
struct lb_options {
    const char *model_path;
    /* streaming */
    const char *prefetch;       /* "off", "sync", "async", "resident"; default "async" */
    uint32_t cache_layers;      /* slots; 0: by cache_bytes */
    uint64_t cache_bytes;       /* 0 with cache_layers 0: auto, from the memory available */
    uint32_t prefetch_distance; /* layers ahead; default 2 */
    const char *replacement;    /* default "belady" */
    const char *cache_scope;    /* "layer", "model": what shares the budget; default "model" */
    double half_life;           /* lfu, lfru: passes after which a use counts half; 0: never */
    const char *scheduler;      /* default "aggressive" */
    const char *predict;        /* of experts, before the router has chosen; default "off" */
    uint32_t predict_depth;     /* layers ahead; default 1 */
    bool protect;               /* default true */
    const char *resident; /* "none", "dense": what of the layers is loaded at open and stays while
                           * the rest streams: all that every pass needs of a mixture of experts;
                           * default "none" */
    uint64_t streaming_threshold; /* models up to this many bytes load whole; default 0 */
    /* storage */
    const char *storage;    /* default "auto": uring, direct or pread, the first that works here */
    const char *model_copy; /* paths of copies of the model on other drives, comma-separated: reads
                             * are spread over all; pread, direct, uring; default "" */
    const char *advice;     /* mmap only */
    /* 0 = layer, 1 = tensor, 2 = expert (where there are none, a layer), else a size; default 2 */
    uint64_t unit_bytes;
    uint32_t queue_depth;      /* default 32 */
    uint32_t chunk_bytes;      /* default 1 MiB */
    uint32_t io_threads;       /* default 4; for pread and direct */
    uint32_t max_loads;        /* units in flight at most; 0: as the queue allows */
    double device_bandwidth;   /* bytes/s; 0: no emulation */
    int64_t device_latency_ns; /* with or without a bandwidth */
    uint32_t device_queue_depth;
    /* compute */
    uint32_t threads;    /* default: processors available, at most 16 */
    const char *kernels; /* "auto", "generic", "avx2", ... */
    const char *product; /* order of products of one token: "auto", "rows", "streams" */
    uint32_t context; /* positions per sequence; 0: what the model was trained for, at most 4096 */
    uint32_t batch;   /* sequences; default 1 */
    uint32_t max_tokens; /* tokens in one pass (prefill chunk); default 512, at least what a
                          * decode step with its drafts takes */
    const char *prefill; /* "layers": chunks of a prompt go through a layer together, where weights
                          * stream: each is read once; "chunks": a pass each; default "layers" */
    struct lb_speculation speculation;
    const char *kv; /* "f16", "f32", "q8_0"; default "f32" */
    bool profile;   /* time every operation */
    /* While opening (bytes of what stays in memory) and in a prompt's passes (layers x tokens), on
     * the calling thread; NULL: nobody is told. */
    void (*progress)(void *ctx, bool opening, uint64_t done, uint64_t total);
    void *progress_ctx;
    uint64_t seed;             /* of random replacement */
    size_t log_capacity;       /* access records kept until drained; 0: no log */
    size_t unit_log_capacity;  /* the same of units, where they are smaller than a layer; 0: none */
    size_t route_log_capacity; /* the same of chosen experts, one record each; 0: none */
    /* hidden, for tests and for proving the gate */
    const char *slow; /* "", "io", "compute", "wait" */
    double slow_percent;
    const char *breaks; /* an identity to break: "", "outcomes", "time", "bytes", "memory",
                           "tokens", "needs", "drafts" */
    const char *fault;  /* "", "eio", "short", "delay", "dead" */
    uint64_t fault_nth;
    bool fault_every;
};

struct lb_options lb_options_default(void);

struct lb_engine;

enum lb_status lb_engine_open(const struct lb_options *options, struct lb_engine **engine,
                              struct lb_error *err);
/* The same; it computes with the threads of another engine, which outlives it. One of the two is
 * called at a time. */
enum lb_status lb_engine_open_beside(const struct lb_options *options, struct lb_engine *other,
                                     struct lb_engine **engine, struct lb_error *err);
void lb_engine_close(struct lb_engine *engine);

/* One line about a fallback or a clamped value at open, or "". */
const char *lb_engine_notice(const struct lb_engine *engine);

struct lb_model_info {
    const char *architecture, *name;
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab, context_train;
    uint32_t experts, experts_used; /* of a layer, of a token in a layer; 0: none */
    uint64_t file_bytes;
    uint64_t layer_bytes;    /* all layers */
    uint64_t resident_bytes; /* beside the layers: embeddings, norm, head */
    uint32_t gguf_version;
};
struct lb_model_info lb_engine_model(const struct lb_engine *engine);

/* What is really in force, after defaults, clamping and fallback; "none" (distance 0) for what the
 * way of prefetching has no use for. */
struct lb_effective {
    const char *prefetch, *replacement, *scheduler, *predict, *storage, *kernels, *product, *kv;
    uint32_t cache_layers; /* capacity in layers (whole layers that fit) */
    uint64_t cache_bytes;
    uint32_t prefetch_distance, predict_depth, threads, batch, context, n_units;
    uint32_t drives; /* files that it streams from: the model and its copies */
    bool protect;
};
struct lb_effective lb_engine_effective(const struct lb_engine *engine);

/* ---- passes ---- */

/* Appends n tokens to a sequence, in chunks of max_tokens: a pass each, or, where weights stream, a
 * pass for all of them or as many as there is memory for (what stays of them between layers takes
 * up to 16 MiB or a 32nd of the layers' bytes). logits[n_vocab] of the last token, or of every
 * token (logits_all: [n][n_vocab]) when `all` is true; NULL: none. */
enum lb_status lb_engine_prefill(struct lb_engine *engine, uint32_t sequence, const int32_t *tokens,
                                 size_t n, bool all, float *logits, struct lb_error *err);
/* One decode step: tokens[i] is appended to sequence i, i < n <= batch. logits[n][n_vocab]. */
enum lb_status lb_engine_decode(struct lb_engine *engine, const int32_t *tokens, uint32_t n,
                                float *logits, struct lb_error *err);
/* Several tokens of each sequence in one pass: counts[i] of them (0: none) are appended to sequence
 * i, i < n <= batch; tokens[] of sequence 0 come first. logits[sum of counts][n_vocab], after each
 * token; bit for bit what one decode step after the other gives. At most max_tokens together. What
 * turns out not to be wanted, lb_engine_truncate forgets. */
enum lb_status lb_engine_verify(struct lb_engine *engine, const int32_t *tokens,
                                const uint32_t *counts, uint32_t n, float *logits,
                                struct lb_error *err);
/* Forgets what the sequence holds from `position` on. */
void lb_engine_truncate(struct lb_engine *engine, uint32_t sequence, uint32_t position);

/* ---- what happened ---- */

enum lb_outcome { LB_HIT, LB_PREFETCHED, LB_LATE, LB_MISS };
const char *lb_outcome_name(enum lb_outcome outcome);

/* One access of a layer, or of a unit smaller than one. Of a layer of several units: the worst
 * outcome of its units, sums of their times and bytes. The compute time of experts that one job
 * computes together counts with the last of them. */
struct lb_access {
    uint32_t pass; /* counts from open */
    uint16_t layer;
    uint16_t part;   /* of a unit: 0, what every pass needs, or 1 + expert */
    uint8_t prefill; /* 1: prefill chunk, 0: decode step */
    uint8_t outcome; /* enum lb_outcome */
    uint32_t unit;   /* of a layer: its first */
    uint32_t evicted;
    int64_t need_ns,
        ready_ns; /* asked for; load complete (before need_ns if in time; hits: need_ns) */
    int64_t wait_ns, queue_ns, read_ns, compute_ns;
    uint64_t bytes;      /* read */
    uint64_t weights;    /* bytes of what is needed, read or not */
    uint64_t held_bytes; /* memory of units in the cache and in flight */
};

/* Copies up to max records of the access log, oldest first. */
size_t lb_engine_drain(struct lb_engine *engine, struct lb_access *records, size_t max);
uint64_t lb_engine_log_dropped(const struct lb_engine *engine);
/* The accesses of units in between: none where every layer is one unit, none when the log is full
 * (then a layer's units are not all there). */
size_t lb_engine_drain_units(struct lb_engine *engine, struct lb_access *records, size_t max);

/* An expert that a layer's router chose for a token. The experts of a token follow each other, in
 * the router's order; tokens in the order of the pass, layers in theirs. In the last layer of a
 * pass only tokens whose logits are wanted go to experts. */
struct lb_route {
    uint32_t pass, sequence, position;
    uint16_t layer;
    uint16_t place; /* 0: chosen first */
    uint32_t expert;
    float weight;
};

/* Copies up to max records of the log of routes, oldest first; a dropped one counts there. */
size_t lb_engine_drain_routes(struct lb_engine *engine, struct lb_route *records, size_t max);
uint64_t lb_engine_routes_dropped(const struct lb_engine *engine);

/* The last pass. Wall is the caller's clock around it; wait is measured where the streamer blocks,
 * compute from the return of an acquire to the next, other outside the layers and in the
 * bookkeeping of an acquire. compute + wait + other = wall within 1%: every moment is in exactly
 * one of the three. */
struct lb_pass {
    uint32_t pass;
    bool prefill;
    uint32_t tokens;
    int64_t start_ns, wall_ns, compute_ns, wait_ns, other_ns;
};
struct lb_pass lb_engine_last_pass(const struct lb_engine *engine);

struct lb_stats {
    /* accesses of layers; hit + prefetched + late + miss = accesses = layers x passes */
    uint64_t passes, accesses, hits, prefetched, late, misses;
    /* cache, in units */
    uint64_t unit_accesses, unit_hits, unit_prefetched, unit_late, unit_misses;
    /* by the passes, counted where the need arose: as many as unit_accesses; their weights */
    uint64_t units_needed, needed_bytes;
    /* of mixtures: experts that layers needed, each once a pass however many tokens chose it;
     * layers that needed any, once a pass. Units of experts that were had (none where a layer is
     * one unit), those of them that were in the cache since an earlier pass, and the weights of
     * both. */
    uint64_t experts_needed, expert_layers;
    uint64_t expert_choices; /* experts of a token x tokens of the pass, summed over these layers */
    uint64_t expert_units, expert_hits, expert_bytes, expert_hit_bytes;
    uint64_t evictions, wasted, protected_evictions, units_cached;
    /* prefetch */
    uint64_t prefetches_started, prefetches_completed, prefetches_cancelled, prefetches_used,
        prefetches_failed;
    int64_t prefetch_mean_ns;
    /* predictions of experts: units needed that were not there since an earlier pass, those of them
     * that were predicted, and how long before the router chose them (a sum); loads begun for a
     * prediction alone, and those of them whose unit was then not needed */
    uint64_t predict_misses, predict_foreseen, predict_loads, predict_vain;
    int64_t predict_foreseen_ns;
    /* storage, streaming only (without opening the model) */
    uint64_t reads, bytes_read, read_errors;
    /* sums over all passes */
    int64_t wait_ns, compute_ns, other_ns, wall_ns;
    /* products of one token (jobs): by the order in which they asked for weights, and how often the
     * faster one changed; all 0 where the instruction set has one order */
    uint64_t products_rows, products_streams, product_changes;
    /* memory */
    uint64_t resident_bytes; /* beside the layers: embeddings, norm, head, workspace */
    uint64_t cache_bytes;    /* frames the cache may hold */
    uint64_t kv_bytes;
    uint64_t allocations; /* after the first pass; 0: the steady state allocates nothing */
};
struct lb_stats lb_engine_stats(struct lb_engine *engine);

/* How well was predicted so many layers ahead, in the passes for which there was a guess, in units:
 * precision = right / guessed, recall = right / needed. */
struct lb_prediction {
    uint32_t layer, depth;
    uint64_t guessed, right, needed;
};
/* False past the last; layer by layer within a depth. */
bool lb_engine_prediction_at(const struct lb_engine *engine, size_t i,
                             struct lb_prediction *prediction);

struct lb_profile_entry {
    const char *op;
    int layer; /* -1: outside the layers */
    uint64_t calls, ns, bytes;
    double flops;
};
const struct lb_profile_entry *lb_engine_profile(struct lb_engine *engine, size_t *count);

/* ---- text ---- */

struct lb_text_options {
    bool bos, special;
};
/* *ids allocated, free with lb_release. */
enum lb_status lb_engine_tokenize(struct lb_engine *engine, const char *text, size_t length,
                                  struct lb_text_options options, int32_t **ids, size_t *count,
                                  struct lb_error *err);
/* A message as the model's chat template writes it, up to where the answer begins; special tokens
 * are to be recognised in it. `follows`: after an answer, whose end stands before it, unless the
 * model has drawn it (`ended`). *text allocated, free with lb_release. LB_ERR_UNSUPPORTED: the
 * template is not one of the formats known here. */
struct lb_turn {
    const char *message;
    const char *chat_template; /* the name of a known format; NULL, "auto": the model's own */
    bool follows, ended;
    const char *system; /* stands before the first message, where none follows; NULL, "": none */
};
enum lb_status lb_engine_chat(struct lb_engine *engine, const struct lb_turn *turn, char **text,
                              struct lb_error *err);
/* The text that `id` adds; *text is valid until the next call. id -1 flushes. */
const char *lb_engine_detokenize(struct lb_engine *engine, int32_t id);
bool lb_engine_ends(struct lb_engine *engine, int32_t id);
int32_t lb_engine_bos(struct lb_engine *engine); /* -1: texts begin without one */
void lb_release(void *block);

struct lb_sampling {
    float temperature;
    uint32_t top_k;
    float top_p;
    uint64_t seed;
};
struct lb_sampler;
enum lb_status lb_sampler_open(const struct lb_sampling *sampling, uint32_t n_vocab,
                               struct lb_sampler **sampler, struct lb_error *err);
void lb_sampler_close(struct lb_sampler *sampler);
int32_t lb_sampler_next(struct lb_sampler *sampler, const float *logits);

/* ---- text, token by token, or several of them a pass ----
 *
 * A decoder draws the tokens of each sequence and feeds them back. With `speculate` it drafts
 * what may follow, checks all drafts in one pass, and keeps of each what equals the token that is
 * drawn at that place anyway, with that place's own random number; keys and values of the rest are
 * forgotten. So the text does not depend on drafts, at any temperature.
 */
struct lb_decoder;

/* The engine outlives the decoder and was opened with the same options.speculation; between its
 * passes nobody else feeds it. LB_ERR_INPUT: a setting, a draft_model that is none or has another
 * vocabulary. Strings are read during the call only. */
enum lb_status lb_decoder_open(struct lb_engine *engine, const struct lb_speculation *speculation,
                               const struct lb_sampling *sampling, struct lb_decoder **decoder,
                               struct lb_error *err);
void lb_decoder_close(struct lb_decoder *decoder);

/* What a pass gave a sequence. */
struct lb_drawn {
    uint32_t n, drafted;   /* tokens drawn; drafted ones that were checked */
    const int32_t *tokens; /* [n] valid until the sequence begins anew */
    const float *logits;   /* [n][n_vocab] each was drawn from: valid until the next call */
};

/* Feeds a sequence, forgotten before, its prompt (n >= 1 tokens) and draws the first token. */
enum lb_status lb_decoder_begin(struct lb_decoder *decoder, uint32_t sequence,
                                const int32_t *tokens, size_t n, struct lb_drawn *drawn,
                                struct lb_error *err);
/* The same, after the first `held` (all, or fewer) of the tokens that the sequence has begun with
 * and drawn: those stay, and are not computed again. */
enum lb_status lb_decoder_append(struct lb_decoder *decoder, uint32_t sequence, uint32_t held,
                                 const int32_t *tokens, size_t n, struct lb_drawn *drawn,
                                 struct lb_error *err);
/* replay: what follows the first token drawn; copied. */
enum lb_status lb_decoder_know(struct lb_decoder *decoder, uint32_t sequence, const int32_t *tokens,
                               uint32_t n, struct lb_error *err);
/* One pass for all sequences that have begun: sequence i < batch gets 1 to limits[i] tokens more
 * (0: it takes no part), drawn[i]. At least one takes part. An error leaves all as it was. */
enum lb_status lb_decoder_step(struct lb_decoder *decoder, const uint32_t *limits,
                               struct lb_drawn *drawn, struct lb_error *err);

/* Sums over steps and sequences. Wasted: made - kept. */
struct lb_drafts {
    uint64_t passes, tokens;
    uint64_t made, kept;             /* drafted tokens */
    uint64_t reached[LB_DRAFT_MOST]; /* drafts whose i-th token was compared: all before it were */
    uint64_t right[LB_DRAFT_MOST];   /* kept; in how many of them the i-th was kept too */
    int64_t draft_ns, pass_ns;       /* making drafts; the passes */
    uint64_t bytes;                  /* memory that drafting takes */
};
struct lb_drafts lb_decoder_drafts(const struct lb_decoder *decoder);

/* ---- files without an engine ---- */

/* Tokenizer alone, from a GGUF with or without weights. */
struct lb_vocab;
enum lb_status lb_vocab_open(const char *path, struct lb_vocab **vocab, struct lb_error *err);
void lb_vocab_close(struct lb_vocab *vocab);
const char *lb_vocab_notice(const struct lb_vocab *vocab); /* as lb_engine_notice */
int32_t lb_vocab_bos(const struct lb_vocab *vocab);        /* as lb_engine_bos */
enum lb_status lb_vocab_tokenize(const struct lb_vocab *vocab, const char *text, size_t length,
                                 struct lb_text_options options, int32_t **ids, size_t *count,
                                 struct lb_error *err);

/* Header of a GGUF file, entry by entry. `value` is text as shown to people (arrays: the first few
 * and the count). Callbacks may be NULL. */
struct lb_inspect {
    void *ctx;
    void (*file)(void *ctx, uint32_t version, uint64_t file_bytes, size_t n_pairs,
                 size_t n_tensors);
    void (*pair)(void *ctx, const char *key, const char *kind, const char *value);
    void (*tensor)(void *ctx, const char *name, const char *type, uint32_t n_dims,
                   const uint64_t *ne, uint64_t file_offset, uint64_t bytes);
};
enum lb_status lb_inspect_file(const char *path, const struct lb_inspect *inspect,
                               struct lb_error *err);

/* How the routers of a synthetic mixture of experts choose. */
struct lb_routing {
    double skew;        /* Zipf exponent of the popularity of a layer's experts; 0: all alike */
    double persistence; /* 0 to 1: how much of a choice is the last few tokens' */
};
struct lb_routing lb_usual_routing(void);

/* What a model's header says, checked as when an engine is opened, without reading weights. */
struct lb_model_facts {
    char architecture[32];
    uint32_t n_layers;
    uint64_t file_bytes;
    uint64_t layer_bytes;           /* tensors of all layers */
    uint32_t experts, experts_used; /* of a layer, of a token; 0: none */
    bool synthetic_routing; /* the routers were made (lb_synth) so as to choose like this: */
    struct lb_routing routing;
};
enum lb_status lb_model_facts(const char *path, struct lb_model_facts *facts, struct lb_error *err);

/* Of a tensor by its name: the layer, and its place in the order in which a pass takes the layer's
 * tensors, smaller first; *of_experts: it holds a slice for each expert, outermost. False: no
 * tensor of a layer that the engine knows. */
bool lb_tensor_order(const char *name, uint32_t *layer, uint32_t *rank, bool *of_experts);

struct lb_synth {
    const char *shape, *quant; /* quant NULL: the types that the shape usually comes in */
    uint64_t seed;
    uint32_t n_layers;                /* 0: as the shape */
    const struct lb_routing *routing; /* of a mixture; NULL: the usual */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *progress_ctx;
};
enum lb_status lb_synth_write(const struct lb_synth *synth, const char *path, struct lb_error *err);
/* The tensors that the file would have, without writing it. */
enum lb_status lb_synth_inspect(const struct lb_synth *synth, const struct lb_inspect *inspect,
                                struct lb_error *err);

/* What a model of a mixture's shape would choose for a sequence, without a model: token by token,
 * of each the layers that have experts, best expert first. LB_ERR_INPUT: the shape is no mixture.
 */
enum lb_status lb_synth_routes(const struct lb_synth *synth, uint32_t sequence, uint32_t n_tokens,
                               void (*take)(void *ctx, uint32_t token, uint32_t layer,
                                            const uint32_t *experts, uint32_t n),
                               void *ctx, struct lb_error *err);

/* ---- what can be chosen: kind is "replacement", "scheduler", "predict", "storage", "kernels",
 * "device", "shape", "quant", "prefetch", "speculate", "chat_template"; returns false past the end.
 */
struct lb_choice {
    const char *name, *about;
    bool available;   /* on this machine */
    bool tuned;       /* replacement: worth trying for an unknown model */
    bool by_distance; /* scheduler: looks exactly prefetch_distance ahead */
    /* storage: bypasses the page cache (auto: is to); computes with the mapped file; reads all of
     * it at open */
    bool direct, mapped, copied;
};
bool lb_choice_at(const char *kind, size_t i, struct lb_choice *choice);
/* Its place in that list; -1: there is none of that name, and *choice is empty. */
int lb_choice_find(const char *kind, const char *name, struct lb_choice *choice);

/* The figures behind a name of kind "device"; false: no such name. */
struct lb_device {
    double bandwidth; /* bytes/s */
    int64_t latency_ns;
    uint32_t queue_depth;
};
bool lb_device_preset(const char *name, struct lb_device *device);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
