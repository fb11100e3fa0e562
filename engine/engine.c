/*
 * engine: composes the rooms into the public contract of engine.h.
 *
 * Open: 1. bind the model from the file's header; 2. open the storage and read the
 * resident tensors through it; 3. wrap it as an emulated device where asked; 4. cut the
 * layers into units and open the streamer on them; 5. open the session (KV, workspace).
 */
#include "engine_state.h"

#include "base/available.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/processors.h"
#include "plan/budget.h"
#include "plan/prediction.h"
#include "quant/quant.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct lb_options lb_options_default(void)
{
    uint32_t processors = lb_processors_usable();
    return (struct lb_options){
        .prefetch = LB_ASYNC_PREFETCH ? "async" : "sync",
        .prefetch_distance = 2,
        .replacement = "belady",
        .scheduler = "aggressive",
        .predict = "off",
        .predict_depth = 1,
        .protect = true,
        .resident = "none",
        .cache_scope = "model",
        .storage = "auto",
        .model_copy = "",
        .unit_bytes = LAYOUT_UNIT_EXPERT,
        .queue_depth = 32,
        .chunk_bytes = 1u << 20,
        .io_threads = 4,
        .threads = processors > 16 ? 16 : processors,
        .kernels = "auto",
        .product = "auto",
        .batch = 1,
        .max_tokens = 512,
        .kv = "f32",
        .prefill = "layers",
        .speculation = {.speculate = "off",
                        .draft_tokens = 4,
                        .draft_budget = "fixed",
                        .ngram_min = 2,
                        .ngram_max = 4,
                        .draft_model = "",
                        .acceptance = 0.7},
        .slow = "",
        .breaks = "",
        .fault = "",
    };
}

static void add_notice(struct lb_engine *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_notice(struct lb_engine *e, const char *format, ...)
{
    size_t used = strlen(e->notice);
    if (used + 4 >= sizeof e->notice)
        return;
    if (used)
        used += (size_t)snprintf(e->notice + used, sizeof e->notice - used, "; ");
    va_list args;
    va_start(args, format);
    vsnprintf(e->notice + used, sizeof e->notice - used, format, args);
    va_end(args);
}

/* ---- breaking an identity on purpose, so that whoever checks them can be tested ---- */

#define BALLAST_BYTES ((size_t)128 << 20)

static bool breaks(const struct lb_engine *e, const char *identity)
{
    return strcmp(e->options.breaks, identity) == 0;
}

/* ---- open: resident tensors ---- */

/* Reads [offset, offset + bytes); *data is where it begins. */
static enum lb_status read_block(struct lb_engine *e, uint64_t offset, uint64_t bytes,
                                 struct resident_block *block, const uint8_t **data,
                                 struct lb_error *err)
{
    uint64_t begin, span = storage_span(e->storage, offset, bytes, &begin);
    block->bytes = span + storage_align(e->storage);
    block->memory = lb_map(block->bytes);
    if (!block->memory)
        return lb_fail(err, LB_ERR_NOMEM, "%s: no memory for %" PRIu64 " resident bytes",
                       gguf_path(e->file), bytes);
    e->resident_bytes += block->bytes;
    *data = (const uint8_t *)block->memory + (offset - begin);
    enum lb_status status =
        storage_read_span(e->storage, begin, span, e->options.chunk_bytes, block->memory, err);
    if (status != LB_OK)
        lb_error_prefix(err, "%s", gguf_path(e->file));
    return status;
}

static void tell_opening(void *ctx, uint64_t done, uint64_t total)
{
    const struct lb_options *o = &((struct lb_engine *)ctx)->options;
    if (o->progress)
        o->progress(o->progress_ctx, true, done, total);
}

static void tell_prompt(void *ctx, uint32_t layer)
{
    const struct lb_engine *e = ctx;
    const uint64_t n_layers = model_config(e->model)->n_layers;
    if (e->prompt.total > 0)
        e->options.progress(e->options.progress_ctx, false,
                            e->prompt.before * n_layers + e->prompt.now * (layer + 1),
                            e->prompt.total * n_layers);
}

static enum lb_status load_resident(struct lb_engine *e, struct lb_error *err)
{
    const struct model_tensor *t = model_tensors(e->model, -1, &e->n_resident);
    e->resident = lb_calloc(e->n_resident, sizeof *e->resident);
    e->feed.resident_runs = lb_calloc(e->n_resident, sizeof *e->feed.resident_runs);
    if (!e->resident || !e->feed.resident_runs)
        return lb_fail(err, LB_ERR_NOMEM, "resident tensors: out of memory");
    e->feed.resident = t;
    uint64_t total = 0, done = 0;
    for (uint32_t i = 0; i < e->n_resident; i++)
        total += t[i].bytes;
    for (uint32_t i = 0; i < e->n_resident; i++) {
        const uint8_t *data = NULL;
        enum lb_status status =
            read_block(e, t[i].file_offset, t[i].bytes, &e->resident[i], &data, err);
        if (status != LB_OK)
            return status;
        e->feed.resident_runs[i] = (struct model_run){.data = data, .last = t[i].n_rows};
        tell_opening(e, done += t[i].bytes, total);
    }
    return LB_OK;
}

static bool asks_routers(const struct lb_engine *e)
{
    const struct predictor *predictor = predictor_find(e->options.predict);
    return predictor && predictor->asks_model && model_config(e->model)->experts.count > 0;
}

/* What predictions ask for of each layer stays in memory beside the cache. */
static enum lb_status load_kept(struct lb_engine *e, struct lb_error *err)
{
    const uint32_t n_layers = model_config(e->model)->n_layers;
    const size_t width = model_most_tensors(e->model);
    uint32_t n;
    if (!asks_routers(e))
        return LB_OK;
    e->kept = lb_calloc(n_layers * width, sizeof *e->kept);
    e->feed.kept = lb_calloc(n_layers * width, sizeof *e->feed.kept);
    e->feed.kept_width = width;
    if (!e->kept || !e->feed.kept)
        return lb_fail(err, LB_ERR_NOMEM, "tensors of routers: out of memory");
    for (uint32_t layer = 0; layer < n_layers; layer++) {
        const struct model_tensor *t = model_tensors(e->model, (int)layer, &n);
        for (uint32_t id = 0; id < n; id++) {
            const uint8_t *data = NULL;
            if (!model_is_kept(e->model, (int)layer, id))
                continue;
            enum lb_status status =
                read_block(e, t[id].file_offset, t[id].bytes, &e->kept[e->n_kept++], &data, err);
            if (status != LB_OK)
                return status;
            e->feed.kept[layer * width + id] = data;
        }
    }
    return LB_OK;
}

/* ---- open: storage and streamer ---- */

static enum lb_status open_storage(struct lb_engine *e, struct lb_error *err)
{
    struct lb_options *o = &e->options;
    struct storage_options so = {.queue_depth = o->queue_depth,
                                 .io_threads = o->io_threads,
                                 .copies = o->model_copy,
                                 .advice = o->advice};
    char notice[200] = "";
    enum lb_status status =
        storage_open(o->storage, o->model_path, &so, notice, sizeof notice, &e->storage, err);
    if (status != LB_OK)
        return status;
    o->storage = storage_name(e->storage);
    if (*notice)
        add_notice(e, "%s", notice);
    if (storage_copies(e->storage) > 1)
        add_notice(e, "reads are spread over %u copies of the model", storage_copies(e->storage));
    return LB_OK;
}

static enum lb_status wrap_storage(struct lb_engine *e, struct lb_error *err)
{
    const struct lb_options *o = &e->options;
    const double slow = strcmp(o->slow, "io") == 0 ? o->slow_percent / 100 : 0;
    const bool emulated = o->device_bandwidth > 0 || o->device_latency_ns > 0;
    enum lb_status status = LB_OK;
    if (emulated || o->device_queue_depth > 0) {
        double latency_ns = (double)o->device_latency_ns * (1 + slow);
        struct storage_device device = {.bandwidth = o->device_bandwidth / (1 + slow),
                                        .latency_ns = (int64_t)latency_ns,
                                        .queue_depth = o->device_queue_depth};
        status = storage_shape(e->storage, &device, &e->storage, err);
        if (status != LB_OK)
            e->storage = NULL;
    }
    if (status == LB_OK && slow > 0 && !emulated) {
        status = storage_slow(e->storage, slow, &e->storage, err);
        if (status != LB_OK)
            e->storage = NULL;
    }
    if (status == LB_OK && *o->fault) {
        struct storage_fault fault = {.kind = STORAGE_FAULT_EIO,
                                      .nth = o->fault_nth,
                                      .every = o->fault_every,
                                      .delay_ns = 10000000};
        if (strcmp(o->fault, "short") == 0)
            fault.kind = STORAGE_FAULT_SHORT;
        else if (strcmp(o->fault, "delay") == 0)
            fault.kind = STORAGE_FAULT_DELAY;
        else if (strcmp(o->fault, "dead") == 0)
            fault.kind = STORAGE_FAULT_DEAD;
        else if (strcmp(o->fault, "eio") != 0)
            return lb_fail(err, LB_ERR_INPUT, "fault: '%s': expected eio, short, delay or dead",
                           o->fault);
        status = storage_inject(e->storage, &fault, &e->storage, err);
        if (status != LB_OK)
            e->storage = NULL;
    }
    return status;
}

static enum lb_status cut_layers(struct lb_engine *e, struct lb_error *err)
{
    uint32_t n;
    enum lb_status status = feed_layout_tensors(e->model, &e->feed.tensors, &n, err);
    if (status != LB_OK)
        return status;
    struct layout_options lo = {.unit_bytes = e->options.unit_bytes,
                                .align = storage_align(e->storage),
                                .file_bytes = storage_file_bytes(e->storage)};
    status = layout_build(e->feed.tensors, n, &lo, &e->layout, err);
    bool parts = model_config(e->model)->experts.count > 0 && lo.unit_bytes != LAYOUT_UNIT_LAYER;
    if (status == LB_OK && strcmp(e->options.resident, "dense") == 0 && !parts)
        status =
            lb_fail(err, LB_ERR_INPUT,
                    "resident: dense: expected a mixture of experts, and a unit smaller than a "
                    "layer");
    return status;
}

/* cache: auto = what is available, less the KV cache and the workspace */
static uint64_t automatic_budget(const struct lb_engine *e)
{
    struct lb_available available = lb_memory_available();
    return budget_automatic(e->layout, available.bytes, available.limited,
                            model_session_kv_bytes(e->session) +
                                model_session_work_bytes(e->session));
}

static enum lb_status open_streamer(struct lb_engine *e, struct lb_error *err)
{
    struct lb_options *o = &e->options;
    uint32_t n_layers = model_config(e->model)->n_layers;
    if (o->streaming_threshold > 0 && e->layout->bytes <= o->streaming_threshold)
        o->prefetch = "resident";
    if (o->cache_layers > n_layers) {
        add_notice(e, "cache_layers %" PRIu32 " clamped to the model's %" PRIu32 " layers",
                   o->cache_layers, n_layers);
        o->cache_layers = n_layers;
    }
    bool automatic = o->cache_layers == 0 && o->cache_bytes == 0;
    if (strcmp(o->prefetch, "resident") == 0) {
        o->cache_layers = n_layers;
        automatic = false;
    }
    struct streamer_options so = {
        .prefetch = o->prefetch,
        .replacement = o->replacement,
        .half_life = o->half_life,
        .by_layer = strcmp(o->cache_scope, "layer") == 0,
        .scheduler = o->scheduler,
        .predict = o->predict,
        .predict_depth = o->predict_depth,
        .protect = o->protect,
        .keep_always = strcmp(o->resident, "dense") == 0,
        .loaded = tell_opening,
        .loaded_ctx = e,
        .prefetch_distance = o->prefetch_distance,
        .cache_layers = o->cache_layers,
        .cache_bytes = o->cache_layers ? 0
                       : automatic     ? automatic_budget(e)
                                       : o->cache_bytes,
        .max_loads = o->max_loads,
        .queue_depth = o->queue_depth,
        .chunk_bytes = o->chunk_bytes,
        .seed = o->seed,
    };
    return streamer_open(e->layout, e->storage, &so, &e->streamer, err);
}

/* ---- open: the rest ---- */

/* Replaces the caller's string by a static one of the same text, so that the engine may keep it. */
static enum lb_status check_choice(const char *kind, const char **value, struct lb_error *err)
{
    char names[256] = "";
    struct lb_choice choice;
    if (*value && lb_choice_find(kind, *value, &choice) >= 0) {
        *value = choice.name;
        return LB_OK;
    }
    for (size_t i = 0, used = 0; lb_choice_at(kind, i, &choice) && used < sizeof names; i++)
        used +=
            (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? " " : "", choice.name);
    return lb_fail(err, LB_ERR_INPUT, "%s: '%s': expected one of: %s", kind, *value ? *value : "",
                   names);
}

/* The same with a list of words that ends in NULL; "" in it stands for none. */
static enum lb_status check_word(const char *option, const char *const *words, const char **value,
                                 struct lb_error *err)
{
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; words[i] && used < sizeof names; i++) {
        if (strcmp(words[i], *value) == 0) {
            *value = words[i];
            return LB_OK;
        }
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 used == 0      ? ""
                                 : words[i + 1] ? ", "
                                                : " or ",
                                 words[i]);
    }
    return lb_fail(err, LB_ERR_INPUT, "%s: '%s': expected %s", option, *value, names);
}

#define MOST_DEPTH 64 /* of predictions */

static enum lb_status check_options(struct lb_options *o, struct lb_error *err)
{
    static const char *const residents[] = {"none", "dense", NULL};
    static const char *const scopes[] = {"layer", "model", NULL};
    static const char *const prefills[] = {"layers", "chunks", NULL};
    static const char *const slows[] = {"", "io", "compute", "wait", NULL};
    static const char *const identities[] = {"",       "outcomes", "time",   "bytes", "memory",
                                             "tokens", "needs",    "drafts", NULL};
    if (!o->model_path)
        return lb_fail(err, LB_ERR_INPUT, "model: expected the path of a GGUF file");
    if (check_choice("prefetch", &o->prefetch, err) ||
        check_choice("replacement", &o->replacement, err) ||
        check_choice("scheduler", &o->scheduler, err) ||
        check_choice("predict", &o->predict, err) || check_choice("storage", &o->storage, err) ||
        check_choice("speculate", &o->speculation.speculate, err))
        return err->code;
    if (o->speculation.draft_tokens < 1 || o->speculation.draft_tokens > LB_DRAFT_MOST)
        return lb_fail(err, LB_ERR_INPUT, "draft_tokens: %" PRIu32 ": expected 1 to %d",
                       o->speculation.draft_tokens, LB_DRAFT_MOST);
    if (check_word("resident", residents, &o->resident, err) ||
        check_word("cache_scope", scopes, &o->cache_scope, err) ||
        check_word("prefill", prefills, &o->prefill, err))
        return err->code;
    if (strcmp(o->cache_scope, "layer") == 0 && strcmp(o->resident, "dense") == 0)
        return lb_fail(err, LB_ERR_INPUT, "cache_scope: layer: expected model with resident dense");
    if (o->predict_depth < 1 || o->predict_depth > MOST_DEPTH)
        return lb_fail(err, LB_ERR_INPUT, "predict_depth: %" PRIu32 ": expected 1 to %d",
                       o->predict_depth, MOST_DEPTH);
    if (o->batch < 1 || o->max_tokens < 1)
        return lb_fail(err, LB_ERR_INPUT, "batch: %" PRIu32 ": expected at least 1", o->batch);
    if (o->cache_layers > 0 && o->cache_bytes > 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "cache_bytes: %" PRIu64 ": expected no cache_layers (%" PRIu32 ") beside it",
                       o->cache_bytes, o->cache_layers);
    if (o->chunk_bytes < STORAGE_ALIGN || o->chunk_bytes % STORAGE_ALIGN)
        return lb_fail(err, LB_ERR_INPUT, "chunk_bytes: %" PRIu32 ": expected a multiple of %u",
                       o->chunk_bytes, STORAGE_ALIGN);
    if (o->device_bandwidth < 0 || o->device_latency_ns < 0)
        return lb_fail(err, LB_ERR_INPUT, "device: expected bandwidth and latency of 0 or more");
    if (!(o->slow_percent >= 0 && o->slow_percent <= 1000))
        return lb_fail(err, LB_ERR_INPUT, "slow_percent: %g: expected 0 to 1000", o->slow_percent);
    if (check_word("slow", slows, &o->slow, err) ||
        check_word("breaks", identities, &o->breaks, err))
        return err->code;
    return LB_OK;
}

static void log_route(void *ctx, const struct model_route *route)
{
    struct lb_engine *e = ctx;
    for (uint32_t i = 0; i < route->n; i++) {
        struct lb_route record = {.pass = e->feed.pass.pass,
                                  .sequence = route->sequence,
                                  .position = route->position,
                                  .layer = (uint16_t)route->layer,
                                  .place = (uint16_t)i,
                                  .expert = route->experts[i],
                                  .weight = route->weights[i]};
        lb_ring_push(e->route_log, &record);
    }
}

/* Tokens of a prompt that may go through the layers together: as many as the context holds, in
 * memory that is small beside the layers'. */
static uint32_t most_together(const struct lb_engine *e)
{
    const struct lb_options *o = &e->options;
    const struct model_config *c = model_config(e->model);
    const struct model_experts *x = &c->experts;
    const uint64_t of_experts = x->count == 0 ? 0 : c->n_embd * (x->used + 2) + 4 * x->used;
    const uint64_t token = (c->n_embd + c->rope_dims + 1 + of_experts) * sizeof(float);
    const uint64_t least = (uint64_t)16 << 20, share = e->layout->bytes / 32;
    const uint64_t fit = (share > least ? share : least) / token;
    uint32_t most = fit < o->context ? (uint32_t)fit : o->context;
    if (strcmp(o->prefill, "layers") != 0 || strcmp(o->prefetch, "resident") == 0)
        most = o->max_tokens;
    return most > o->max_tokens ? most : o->max_tokens;
}

static enum lb_status open_session(struct lb_engine *e, struct lb_error *err)
{
    struct lb_options *o = &e->options;
    const struct model_config *c = model_config(e->model);
    if (o->context == 0)
        o->context = c->context_train > 0 && c->context_train < 4096 ? c->context_train : 4096;
    else if (c->context_train > 0 && o->context > c->context_train)
        add_notice(e, "context %" PRIu32 ": the model was trained for %" PRIu32 " positions",
                   o->context, c->context_train);
    if (o->max_tokens > o->context)
        o->max_tokens = o->context;
    uint64_t step = o->batch;
    if (strcmp(o->speculation.speculate, "off") != 0)
        step += (uint64_t)o->batch * o->speculation.draft_tokens;
    if (o->max_tokens < step)
        o->max_tokens = (uint32_t)step;
    e->most_together = most_together(e);
    struct model_session_options so = {.n_sequences = o->batch,
                                       .context = o->context,
                                       .max_tokens = o->max_tokens,
                                       .most_tokens = e->most_together,
                                       .kv = KERNELS_KV_F32,
                                       .order = N_KERNELS_ORDERS,
                                       .profile = o->profile,
                                       .ahead = asks_routers(e) ? o->predict_depth : 0,
                                       .routed = e->route_log ? log_route : NULL,
                                       .routed_ctx = e};
    if (strcmp(o->product, "auto") != 0 && !kernels_find_order(o->product, &so.order))
        return lb_fail(err, LB_ERR_INPUT, "product: '%s': expected auto, rows or streams",
                       o->product);
    o->product = so.order == N_KERNELS_ORDERS ? "auto" : kernels_order_name(so.order);
    if (!kernels_find_kv(o->kv, &so.kv))
        return lb_fail(err, LB_ERR_INPUT, "kv: '%s': expected f32, f16 or q8_0", o->kv);
    o->kv = kernels_kv_name(so.kv);
    e->sequences = lb_calloc(e->most_together, sizeof *e->sequences);
    e->want = lb_calloc(e->most_together, sizeof *e->want);
    if (!e->sequences || !e->want)
        return lb_fail(err, LB_ERR_NOMEM, "session: out of memory");
    return model_session_open(e->model, e->pool, e->ops, &so, &e->session, err);
}

static enum lb_status open_parts(struct lb_engine *e, struct lb_error *err)
{
    struct lb_options *o = &e->options;
    if (check_options(o, err) || gguf_open(o->model_path, quant_tensor_bytes, &e->file, err))
        return err->code;
    o->model_path = gguf_path(e->file);
    if (o->route_log_capacity > 0 &&
        !(e->route_log = lb_ring_open(o->route_log_capacity, sizeof(struct lb_route))))
        return lb_fail(err, LB_ERR_NOMEM, "log of routes: out of memory");
    if (kernels_select(o->kernels, &e->ops, err) || model_open(e->file, &e->model, err) ||
        (!e->pool && lb_pool_open((int)o->threads, &e->pool, err)) || open_storage(e, err) ||
        load_resident(e, err) || load_kept(e, err) || wrap_storage(e, err) || cut_layers(e, err) ||
        open_session(e, err) || open_streamer(e, err))
        return err->code;
    const char *change = gguf_change(e->file, true);
    if (change)
        return lb_fail(err, LB_ERR_IO, "%s: the file %s while it was opened", gguf_path(e->file),
                       change);
    if (*model_config(e->model)->note)
        add_notice(e, "%s", model_config(e->model)->note);
    const uint32_t processors = lb_processors_usable();
    if (o->threads > processors)
        add_notice(e, "threads %u: this process may use %u processor%s", o->threads, processors,
                   processors == 1 ? "" : "s");
    if (*tokenizer_note(e->file))
        add_notice(e, "%s", tokenizer_note(e->file));
    if (o->log_capacity > 0 && !(e->log = lb_ring_open(o->log_capacity, sizeof(struct lb_access))))
        return lb_fail(err, LB_ERR_NOMEM, "access log: out of memory");
    if (o->unit_log_capacity > 0 && e->layout->n_units > e->layout->n_layers &&
        !(e->unit_log = lb_ring_open(o->unit_log_capacity, sizeof(struct lb_access))))
        return lb_fail(err, LB_ERR_NOMEM, "log of units: out of memory");
    e->feed.model = e->model;
    e->feed.layout = e->layout;
    e->feed.streamer = e->streamer;
    e->feed.mapped = storage_map(e->storage);
    e->feed.log = e->log;
    e->feed.layer_done = o->progress ? tell_prompt : NULL;
    e->feed.layer_done_ctx = e;
    e->feed.unit_log = e->unit_log;
    e->feed.slow = o->slow;
    e->feed.slow_factor = o->slow_percent / 100;
    return feed_open(&e->feed, err);
}

enum lb_status lb_engine_open(const struct lb_options *options, struct lb_engine **out,
                              struct lb_error *err)
{
    return lb_engine_open_beside(options, NULL, out, err);
}

enum lb_status lb_engine_open_beside(const struct lb_options *options, struct lb_engine *other,
                                     struct lb_engine **out, struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    *out = NULL;
    if (!err)
        err = &local;
    struct lb_engine *e = lb_calloc(1, sizeof *e);
    if (!e)
        return lb_fail(err, LB_ERR_NOMEM, "engine: out of memory");
    e->options = *options;
    if (other) {
        e->pool = other->pool;
        e->pool_is_anothers = true;
        e->options.threads = other->options.threads;
    }
    enum lb_status status = open_parts(e, err);
    if (status != LB_OK) {
        lb_engine_close(e);
        return status;
    }
    if (breaks(e, "memory")) {
        e->ballast = lb_map(BALLAST_BYTES);
        if (e->ballast)
            memset(e->ballast, 1, BALLAST_BYTES);
    }
    *out = e;
    return LB_OK;
}

void lb_engine_close(struct lb_engine *e)
{
    if (!e)
        return;
    streamer_close(e->streamer);
    model_session_close(e->session);
    feed_close(&e->feed);
    lb_ring_close(e->log);
    lb_ring_close(e->unit_log);
    lb_ring_close(e->route_log);
    layout_free(e->layout);
    storage_close(e->storage);
    if (e->ballast)
        lb_unmap(e->ballast, BALLAST_BYTES);
    for (uint32_t i = 0; e->resident && i < e->n_resident; i++)
        lb_unmap(e->resident[i].memory, e->resident[i].bytes);
    for (uint32_t i = 0; i < e->n_kept; i++)
        lb_unmap(e->kept[i].memory, e->kept[i].bytes);
    lb_free(e->resident);
    lb_free(e->kept);
    if (!e->pool_is_anothers)
        lb_pool_close(e->pool);
    model_close(e->model);
    tokenizer_close(e->tokenizer);
    gguf_close(e->file);
    lb_free(e->sequences);
    lb_free(e->want);
    lb_free(e->piece);
    lb_free(e);
}

/* ---- passes ---- */

/* The file must be as it was for what a pass read of it, or computed from where it is mapped; where
 * it is not, that is the cause of whatever else went wrong. */
static enum lb_status check_file(struct lb_engine *e, enum lb_status status, struct lb_error *err)
{
    uint64_t checked = e->reads_checked;
    bool mapped = storage_map(e->storage), lost = storage_lost(e->storage);
    e->reads_checked = storage_counters(e->storage).reads;
    if (storage_copied(e->storage) ||
        !(mapped || status == LB_ERR_IO || e->reads_checked != checked))
        return status;
    const char *change = gguf_change(e->file, false);
    if (!change && lost)
        change = "could not be read (its disk failed?)";
    if (!change)
        return status;
    if (err)
        *err = (struct lb_error)LB_ERROR_INIT;
    return lb_fail(err, LB_ERR_IO, "%s: the file %s while it was read", gguf_path(e->file), change);
}

static enum lb_status pass(struct lb_engine *e, bool prefill, const struct model_batch *batch,
                           float *logits, struct lb_error *err)
{
    struct model_weights weights = feed_weights(&e->feed);
    int64_t begin_ns = lb_now_ns();
    feed_pass_begin(&e->feed, prefill, batch->n_tokens, batch->n_tokens > e->options.max_tokens);
    enum lb_status status = model_forward(e->session, &weights, batch, logits, err);
    bool advanced = status == LB_OK;
    status = check_file(e, status, err);
    for (uint32_t i = 0; advanced && status != LB_OK && i < batch->n_tokens; i++) {
        uint32_t held = model_session_length(e->session, batch->sequences[i]);
        model_session_truncate(e->session, batch->sequences[i], held - 1);
    }
    feed_pass_end(&e->feed, status == LB_OK);
    e->feed.pass.wall_ns = lb_now_ns() - begin_ns;
    if (status == LB_OK) {
        struct lb_pass *p = &e->feed.pass;
        if (breaks(e, "time"))
            p->wait_ns += p->wall_ns / 10;
        if (breaks(e, "tokens") && logits)
            logits[0] += 1;
        e->sums.passes++;
        e->sums.wall_ns += p->wall_ns;
        e->sums.compute_ns += p->compute_ns;
        e->sums.wait_ns += p->wait_ns;
        e->sums.other_ns += p->other_ns;
        if (e->sums.passes == 1)
            e->allocations_at_first = lb_memory_allocations();
    }
    return status;
}

/* Tokens of a prompt in a pass. */
static uint32_t prompt_pass(const struct lb_engine *e)
{
    bool reads = strcmp(streamer_effective(e->streamer).prefetch, "resident") != 0;
    bool shared = strcmp(e->options.cache_scope, "layer") != 0;
    return reads && shared && feed_can_keep(&e->feed) ? e->most_together : e->options.max_tokens;
}

enum lb_status lb_engine_prefill(struct lb_engine *e, uint32_t sequence, const int32_t *tokens,
                                 size_t n, bool all, float *logits, struct lb_error *err)
{
    uint32_t n_vocab = model_config(e->model)->n_vocab;
    struct lb_error local = LB_ERROR_INIT;
    if (!err)
        err = &local;
    if (n == 0 || sequence >= e->options.batch)
        return lb_fail(err, LB_ERR_INPUT,
                       "prefill: %zu tokens for sequence %" PRIu32
                       ": expected at least 1 token and a sequence below %" PRIu32,
                       n, sequence, e->options.batch);
    uint32_t before = model_session_length(e->session, sequence), most = prompt_pass(e);
    for (size_t at = 0; at < n;) {
        uint32_t chunk = n - at < most ? (uint32_t)(n - at) : most;
        for (uint32_t i = 0; i < chunk; i++) {
            e->sequences[i] = sequence;
            e->want[i] = logits && (all || at + i + 1 == n);
        }
        struct model_batch batch = {
            .n_tokens = chunk, .tokens = tokens + at, .sequences = e->sequences, .want = e->want};
        float *to = !logits || !all ? logits : logits + at * n_vocab;
        e->prompt.before = at;
        e->prompt.now = chunk;
        e->prompt.total = n;
        enum lb_status status = pass(e, true, &batch, to, err);
        e->prompt.total = 0;
        if (status != LB_OK) {
            model_session_truncate(e->session, sequence, before);
            return status;
        }
        at += chunk;
    }
    return LB_OK;
}

enum lb_status lb_engine_decode(struct lb_engine *e, const int32_t *tokens, uint32_t n,
                                float *logits, struct lb_error *err)
{
    if (n < 1 || n > e->options.batch)
        return lb_fail(err, LB_ERR_INPUT,
                       "decode: %" PRIu32 " tokens: expected 1 to batch (%" PRIu32 ")", n,
                       e->options.batch);
    for (uint32_t i = 0; i < n; i++) {
        e->sequences[i] = i;
        e->want[i] = logits != NULL;
    }
    struct model_batch batch = {
        .n_tokens = n, .tokens = tokens, .sequences = e->sequences, .want = e->want};
    return pass(e, false, &batch, logits, err);
}

enum lb_status lb_engine_verify(struct lb_engine *e, const int32_t *tokens, const uint32_t *counts,
                                uint32_t n, float *logits, struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    uint64_t total = 0;
    if (!err)
        err = &local;
    for (uint32_t i = 0; i < n && i < e->options.batch; i++)
        total += counts[i];
    if (n > e->options.batch || total < 1 || total > e->options.max_tokens)
        return lb_fail(err, LB_ERR_INPUT,
                       "verify: %" PRIu64 " tokens of %" PRIu32 " sequences: expected 1 to %" PRIu32
                       " of at most %" PRIu32,
                       total, n, e->options.max_tokens, e->options.batch);
    for (uint32_t i = 0, at = 0; i < n; i++)
        for (uint32_t k = 0; k < counts[i]; k++, at++) {
            e->sequences[at] = i;
            e->want[at] = true;
        }
    struct model_batch batch = {
        .n_tokens = (uint32_t)total, .tokens = tokens, .sequences = e->sequences, .want = e->want};
    return pass(e, false, &batch, logits, err);
}

void lb_engine_truncate(struct lb_engine *e, uint32_t sequence, uint32_t position)
{
    model_session_truncate(e->session, sequence, position);
}
