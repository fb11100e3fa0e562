/* observe: what is in force, what happened, and text: the part of engine.h that only looks. */
#include "engine_state.h"

#include "base/memory.h"
#include "text/chat_format.h"

#include <stdio.h>
#include <string.h>

/* ---- what is in force ---- */

const char *lb_engine_notice(const struct lb_engine *e)
{
    return e->notice;
}

struct lb_model_info lb_engine_model(const struct lb_engine *e)
{
    const struct model_config *c = model_config(e->model);
    uint64_t resident = 0;
    for (uint32_t i = 0; i < e->n_resident; i++)
        resident += e->feed.resident[i].bytes;
    return (struct lb_model_info){.architecture = c->architecture,
                                  .name = c->name,
                                  .n_layers = c->n_layers,
                                  .n_embd = c->n_embd,
                                  .n_heads = c->n_heads,
                                  .n_kv_heads = c->n_kv_heads,
                                  .head_dim = c->head_dim,
                                  .n_ff = c->n_ff,
                                  .experts = c->experts.count,
                                  .experts_used = c->experts.used,
                                  .n_vocab = c->n_vocab,
                                  .context_train = c->context_train,
                                  .file_bytes = gguf_file_bytes(e->file),
                                  .layer_bytes = e->layout->bytes,
                                  .resident_bytes = resident,
                                  .gguf_version = gguf_version(e->file)};
}

struct lb_effective lb_engine_effective(const struct lb_engine *e)
{
    const struct lb_options *o = &e->options;
    struct streamer_counters c = streamer_counters(e->streamer);
    struct streamer_effective s = streamer_effective(e->streamer);
    return (struct lb_effective){.prefetch = s.prefetch,
                                 .replacement = s.replacement,
                                 .scheduler = s.scheduler,
                                 .predict = s.predict,
                                 .predict_depth = s.predict_depth,
                                 .storage = o->storage,
                                 .kernels = e->ops->name,
                                 .product = e->ops->order_tokens ? o->product : "rows",
                                 .kv = o->kv,
                                 .cache_layers = c.layers_capacity,
                                 .cache_bytes = c.frames_capacity * c.frame_bytes,
                                 .prefetch_distance = s.prefetch_distance,
                                 .threads = o->threads,
                                 .batch = o->batch,
                                 .context = o->context,
                                 .n_units = e->layout->n_units,
                                 .drives = storage_copies(e->storage),
                                 .protect = s.protect};
}

/* ---- what happened ---- */

const char *lb_outcome_name(enum lb_outcome outcome)
{
    static const char *const names[] = {"hit", "prefetched", "late", "miss"};
    return names[outcome];
}

size_t lb_engine_drain(struct lb_engine *e, struct lb_access *records, size_t max)
{
    return e->log ? lb_ring_drain(e->log, records, max) : 0;
}

size_t lb_engine_drain_units(struct lb_engine *e, struct lb_access *records, size_t max)
{
    return e->unit_log ? lb_ring_drain(e->unit_log, records, max) : 0;
}

size_t lb_engine_drain_routes(struct lb_engine *e, struct lb_route *records, size_t max)
{
    return e->route_log ? lb_ring_drain(e->route_log, records, max) : 0;
}

uint64_t lb_engine_routes_dropped(const struct lb_engine *e)
{
    return e->route_log ? lb_ring_dropped(e->route_log) : 0;
}

uint64_t lb_engine_log_dropped(const struct lb_engine *e)
{
    return e->log ? lb_ring_dropped(e->log) : 0;
}

struct lb_pass lb_engine_last_pass(const struct lb_engine *e)
{
    return e->feed.pass;
}

struct lb_stats lb_engine_stats(struct lb_engine *e)
{
    struct streamer_counters c = streamer_counters(e->streamer);
    struct lb_stats s = e->sums;
    s.accesses = e->feed.sum.accesses;
    s.hits = e->feed.sum.hits;
    s.prefetched = e->feed.sum.prefetched;
    s.late = e->feed.sum.late;
    s.misses = e->feed.sum.misses;
    s.hits += strcmp(e->options.breaks, "outcomes") == 0;
    s.unit_accesses = c.accesses;
    s.units_needed = e->feed.sum.units_needed + (strcmp(e->options.breaks, "needs") == 0);
    s.needed_bytes = e->feed.sum.needed_bytes;
    s.experts_needed = e->feed.sum.experts_needed;
    s.expert_layers = e->feed.sum.expert_layers;
    s.expert_choices = e->feed.sum.expert_choices;
    s.expert_units = e->feed.sum.expert_units;
    s.expert_hits = e->feed.sum.expert_hits;
    s.expert_bytes = e->feed.sum.expert_bytes;
    s.expert_hit_bytes = e->feed.sum.expert_hit_bytes;
    s.unit_hits = c.hits;
    s.unit_prefetched = c.prefetched;
    s.unit_late = c.late;
    s.unit_misses = c.misses;
    s.evictions = c.evictions;
    s.wasted = c.wasted;
    s.protected_evictions = c.protected_evictions;
    s.units_cached = c.units_cached;
    s.prefetches_started = c.prefetches_started;
    s.prefetches_completed = c.prefetches_completed;
    s.prefetches_cancelled = c.prefetches_cancelled;
    s.prefetches_used = c.prefetches_used;
    s.prefetches_failed = c.prefetches_failed;
    s.prefetch_mean_ns =
        c.prefetches_completed ? c.prefetch_ns / (int64_t)c.prefetches_completed : 0;
    const struct prediction *prediction = streamer_prediction(e->streamer);
    if (prediction) {
        struct prediction_counters p = prediction_counters(prediction);
        s.predict_misses = p.misses;
        s.predict_foreseen = p.foreseen;
        s.predict_foreseen_ns = (int64_t)p.foreseen_ns;
        s.predict_loads = p.loads;
        s.predict_vain = p.vain;
    }
    struct model_orders orders = model_session_orders(e->session);
    s.products_rows = orders.products[KERNELS_ROWS];
    s.products_streams = orders.products[KERNELS_STREAMS];
    s.product_changes = orders.changes;
    s.reads = c.reads;
    s.bytes_read = c.bytes_read;
    if (strcmp(e->options.breaks, "bytes") == 0)
        s.bytes_read -= s.bytes_read / 4;
    s.read_errors = c.read_errors;
    s.resident_bytes = e->resident_bytes + model_session_work_bytes(e->session);
    s.cache_bytes = streamer_memory_bytes(e->streamer);
    s.kv_bytes = model_session_kv_bytes(e->session);
    s.allocations = lb_memory_allocations() - e->allocations_at_first; /* after the first pass */
    return s;
}

bool lb_engine_prediction_at(const struct lb_engine *e, size_t i, struct lb_prediction *out)
{
    const struct prediction *p = streamer_prediction(e->streamer);
    if (!p || i / prediction_layers(p) >= prediction_depth(p))
        return false;
    uint32_t layer = (uint32_t)(i % prediction_layers(p));
    uint32_t depth = 1 + (uint32_t)(i / prediction_layers(p));
    struct prediction_score s = prediction_score(p, layer, depth);
    *out = (struct lb_prediction){layer, depth, s.guessed, s.right, s.needed};
    return true;
}

const struct lb_profile_entry *lb_engine_profile(struct lb_engine *e, size_t *count)
{
    _Static_assert(sizeof(struct lb_profile_entry) == sizeof(struct model_profile_entry),
                   "the public entry is the model's");
    return (const struct lb_profile_entry *)model_profile(e->session, count);
}

/* ---- text ---- */

static enum lb_status need_tokenizer(struct lb_engine *e, struct lb_error *err)
{
    return e->tokenizer ? LB_OK : tokenizer_open(e->file, &e->tokenizer, err);
}

enum lb_status lb_engine_tokenize(struct lb_engine *e, const char *text, size_t length,
                                  struct lb_text_options options, int32_t **ids, size_t *count,
                                  struct lb_error *err)
{
    enum lb_status status = need_tokenizer(e, err);
    struct tokenizer_options o = {.bos = options.bos, .special = options.special};
    return status ? status : tokenizer_encode(e->tokenizer, text, length, o, ids, count, err);
}

/* The one of that name, or NULL or "auto": the model's own. */
static enum lb_status find_format(const struct lb_engine *e, const char *name,
                                  const struct chat_format **format, struct lb_error *err)
{
    const char *template_text = NULL;
    if (name && strcmp(name, "auto") != 0) {
        for (size_t i = 0; (*format = chat_at(i)) != NULL; i++)
            if (strcmp((*format)->name, name) == 0)
                return LB_OK;
        return lb_fail(err, LB_ERR_INPUT, "chat_template: '%s': expected a known format", name);
    }
    enum lb_status status =
        gguf_get_text(e->file, "tokenizer.chat_template", true, &template_text, err);
    if (status != LB_OK)
        return status;
    *format = chat_find(template_text);
    if (!*format)
        return lb_fail(err, LB_ERR_UNSUPPORTED,
                       "%s: tokenizer.chat_template: not one of the known formats",
                       gguf_path(e->file));
    return LB_OK;
}

enum lb_status lb_engine_chat(struct lb_engine *e, const struct lb_turn *turn, char **text,
                              struct lb_error *err)
{
    const struct chat_format *format = NULL;
    *text = NULL;
    enum lb_status status = find_format(e, turn->chat_template, &format, err);
    if (status != LB_OK)
        return status;
    const char *end = turn->follows && !turn->ended ? format->end : "";
    const char *between = turn->follows ? format->between : "";
    const bool system = !turn->follows && turn->system && *turn->system;
    const char *const parts[] = {end,
                                 between,
                                 format->system_inside ? format->before : "",
                                 system ? format->system[0] : "",
                                 system ? turn->system : "",
                                 system ? format->system[1] : "",
                                 format->system_inside ? "" : format->before,
                                 turn->message,
                                 format->after};
    enum { N = sizeof parts / sizeof *parts };
    size_t size = 1;
    for (size_t i = 0; i < N; i++)
        size += strlen(parts[i]);
    *text = lb_calloc(size, 1);
    if (!*text)
        return lb_fail(err, LB_ERR_NOMEM, "message: out of memory");
    char *at = *text;
    for (size_t i = 0; i < N; i++)
        at = stpcpy(at, parts[i]);
    return LB_OK;
}

const char *lb_engine_detokenize(struct lb_engine *e, int32_t id)
{
    if (need_tokenizer(e, NULL))
        return "";
    size_t need = tokenizer_decode(e->tokenizer, &e->stream, id, e->piece, e->piece_size);
    if (need >= e->piece_size) {
        char *grown = lb_realloc(e->piece, need + 64, 1);
        if (!grown)
            return "";
        e->piece = grown;
        e->piece_size = need + 64;
        tokenizer_decode(e->tokenizer, &e->stream, id, e->piece, e->piece_size);
    }
    return e->piece;
}

bool lb_engine_ends(struct lb_engine *e, int32_t id)
{
    return need_tokenizer(e, NULL) == LB_OK && tokenizer_ends(e->tokenizer, id);
}

int32_t lb_engine_bos(struct lb_engine *e)
{
    if (need_tokenizer(e, NULL) != LB_OK || !tokenizer_adds_bos(e->tokenizer))
        return -1;
    return tokenizer_bos(e->tokenizer);
}
