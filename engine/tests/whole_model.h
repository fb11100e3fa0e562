/*
 * whole_model: a weights source for tests: all tensors of a file in memory, handed out
 * as one run or cut at random, in memory that is gone after the next call, so that a
 * sanitizer sees whoever reads beyond a run or keeps one; tensors can be had in
 * advance, always or now and then, and experts one at a time, all together, or as chance has it. It
 * checks the order of access, and can fail at the n-th call.
 */
#ifndef TESTS_WHOLE_MODEL_H
#define TESTS_WHOLE_MODEL_H

#include "base/memory.h"
#include "base/random.h"
#include "model/model.h"
#include "quant/quant.h"
#include "tests/check.h"

#define WHOLE_RUNS 8  /* at most in one answer */
#define WHOLE_KEPT 64 /* answers that are valid together: one asked for, the others peeked at */
#define WHOLE_MOST 64 /* experts of a layer */

struct whole_model {
    struct gguf_file *file;
    struct model *model;
    uint8_t *bytes;                                           /* the file */
    bool cut;                                                 /* hand out runs of random length */
    enum { WHOLE_ALONE, WHOLE_SOMETIMES, WHOLE_AHEAD } ahead; /* whether peek gives anything */
    struct lb_random random;
    uint64_t fail_at, calls; /* fail_at 0: never */
    struct model_run run[WHOLE_KEPT][WHOLE_RUNS];
    void *copy[WHOLE_KEPT][WHOLE_RUNS]; /* where runs lie when cut */
    int n_kept;
    bool in_chunks; /* passes come in chunks: a layer's tensors are asked for again before its
                       release */
    int layer;      /* where the pass is: the last tensor asked for and its rows */
    uint32_t id, rows, releases, merged;
    uint64_t peeked; /* tensors of the layer had in advance: a bit each */
    /* experts of this layer: not taken yet; taken together, and their tensors still to be had */
    uint32_t needed[WHOLE_MOST], n_needed, taken[WHOLE_MOST], n_taken, left;
    uint64_t n_needs, n_served; /* since open: experts needed, experts taken */
};

static inline bool whole_read(struct whole_model *w, const char *path)
{
    size_t size = (size_t)gguf_file_bytes(w->file);
    FILE *f = fopen(path, "rb");
    w->bytes = malloc(size);
    bool ok = f && fread(w->bytes, 1, size, f) == size;
    if (f)
        fclose(f);
    return ok;
}

static inline void whole_forget(struct whole_model *w)
{
    for (int k = 0; k < WHOLE_KEPT; k++)
        for (int i = 0; i < WHOLE_RUNS; i++) {
            free(w->copy[k][i]);
            w->copy[k][i] = NULL;
        }
    w->n_kept = 0;
}

static inline void whole_close(struct whole_model *w)
{
    whole_forget(w);
    model_close(w->model);
    gguf_close(w->file);
    free(w->bytes);
}

/* Returns false (with a failed check) when the model does not open. */
static inline bool whole_open(struct whole_model *w, const char *path)
{
    struct lb_error err = LB_ERROR_INIT;
    *w = (struct whole_model){.layer = -1};
    bool ok = gguf_open(path, quant_tensor_bytes, &w->file, &err) == LB_OK &&
              model_open(w->file, &w->model, &err) == LB_OK;
    CHECK(ok, "%s", err.text);
    ok = ok && whole_read(w, path);
    CHECK(ok, "%s: cannot read", path);
    if (!ok)
        whole_close(w);
    return ok;
}

/* Tensors of part 0 in a layer. */
static inline uint32_t whole_dense(const struct whole_model *w, int layer)
{
    uint32_t n, dense = 0;
    const struct model_tensor *t = model_tensors(w->model, layer, &n);
    while (dense < n && t[dense].experts == 0)
        dense++;
    return dense;
}

static inline bool whole_has(const uint32_t *list, uint32_t n, uint32_t expert)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == expert)
            return true;
    return false;
}

/* Several experts are held: their tensors come in any order. */
static inline bool whole_together(const struct whole_model *w, uint32_t part)
{
    return part > 0 && w->n_taken > 1;
}

/* The contract: layer by layer, in each the tensors of part 0, row by row, all of them; then those
 * of an expert that was taken. */
static inline void whole_check_order(struct whole_model *w, int layer, uint32_t part, uint32_t id,
                                     uint32_t row)
{
    uint32_t n, expected = w->id + 1;
    const struct model_tensor *t = model_tensors(w->model, layer, &n);
    CHECK(id < n && row < t[id].n_rows, "layer %d tensor %u row %u", layer, id, row);
    if (layer < 0)
        return;
    CHECK((t[id].experts > 0) == (part > 0) &&
              (part == 0 || (layer == w->layer && whole_has(w->taken, w->n_taken, part - 1))),
          "layer %d part %u tensor %u", layer, part, id);
    if (whole_together(w, part)) {
        CHECK(row == 0 && (w->left > 0 || w->in_chunks));
        return;
    }
    while (w->peeked & (1ull << expected))
        expected++;
    bool goes_on = layer == w->layer && id == w->id && row == w->rows;
    bool next = layer == w->layer && id == expected && row == 0 && w->rows == t[w->id].n_rows;
    bool first = w->layer < 0 && id == 0 && row == 0;
    CHECK(goes_on || next || first, "layer %d tensor %u row %u after layer %d tensor %u row %u",
          layer, id, row, w->layer, w->id, w->rows);
}

/* Rows from `row` on, all of them or until WHOLE_RUNS runs of random length are there. */
static inline uint32_t whole_place(struct whole_model *w, const struct model_tensor *t,
                                   uint32_t part, uint32_t row, bool all)
{
    struct model_run *run = w->run[w->n_kept];
    uint32_t n = 0, most = 1 + lb_random_below(&w->random, WHOLE_RUNS);
    const uint8_t *rows =
        w->bytes + t->file_offset + (part > 0 ? (part - 1) * t->expert_stride : 0);
    if (!w->cut || t->layer < 0) {
        run[0] = (struct model_run){rows + row * t->row_bytes, row, t->n_rows};
        w->n_kept++;
        return 1;
    }
    for (; n < most && row < t->n_rows; n++) {
        uint32_t count = 1 + lb_random_below(&w->random, t->n_rows - row);
        if (all && n + 1 == most)
            count = t->n_rows - row;
        void *copy = malloc(count * t->row_bytes);
        memcpy(copy, rows + row * t->row_bytes, count * t->row_bytes);
        w->copy[w->n_kept][n] = copy;
        run[n] = (struct model_run){.data = copy, .first = row, .last = row + count};
        row += count;
    }
    w->n_kept++;
    return n;
}

/* All tensors of what was held were had. */
static inline void whole_give_back(struct whole_model *w, int layer)
{
    uint32_t n;
    const struct model_tensor *t = model_tensors(w->model, layer, &n);
    uint32_t last = w->n_taken == 1 ? n : whole_dense(w, layer);
    for (; w->n_taken <= 1 && (w->peeked & (1ull << (w->id + 1))); w->id++)
        w->rows = t[w->id + 1].n_rows;
    CHECK(w->left == 0 && (w->n_taken > 1 || (w->id == last - 1 && w->rows == t[last - 1].n_rows)),
          "layer %d: %u tensors not had; at tensor %u of %u", layer, w->left, w->id, last);
    whole_forget(w);
    w->n_taken = 0;
    w->peeked = 0;
}

static inline enum lb_status whole_acquire(void *ctx, int layer, uint32_t part, uint32_t id,
                                           uint32_t row, const struct model_run **runs,
                                           uint32_t *n_runs, struct lb_error *err)
{
    struct whole_model *w = ctx;
    uint32_t count;
    const struct model_tensor *t = &model_tensors(w->model, layer, &count)[id];
    if (++w->calls == w->fail_at)
        return lb_fail(err, LB_ERR_IO, "acquire %llu fails", (unsigned long long)w->calls);
    if (w->in_chunks && layer >= 0 && layer == w->layer && part == 0 && id == 0 && row == 0) {
        if (whole_dense(w, layer) == count) /* else experts' biases come after all chunks */
            whole_give_back(w, layer);
        whole_forget(w);
        w->peeked = 0;
        w->layer = -1;
    }
    const uint32_t dense = layer >= 0 ? whole_dense(w, layer) : 0;
    if (w->in_chunks && part > 0 && id == dense && row == 0 && w->id == count - 1) {
        w->id = dense - 1; /* one that more tokens chose than go together */
        w->rows = model_tensors(w->model, layer, &count)[dense - 1].n_rows;
        w->peeked = 0;
    }
    whole_check_order(w, layer, part, id, row);
    const bool together = whole_together(w, part);
    if (!together)
        whole_forget(w);
    *runs = w->run[w->n_kept];
    *n_runs = whole_place(w, t, part, row, together);
    if (together) {
        w->left -= w->left > 0;
    } else if (layer >= 0) {
        w->layer = layer;
        w->id = id;
        w->rows = (*runs)[*n_runs - 1].last;
    }
    return LB_OK;
}

static inline bool whole_peek(void *ctx, int layer, uint32_t part, uint32_t id,
                              const struct model_run **runs, uint32_t *n_runs)
{
    struct whole_model *w = ctx;
    uint32_t count;
    const struct model_tensor *t = &model_tensors(w->model, layer, &count)[id];
    const bool together = whole_together(w, part);
    CHECK(layer == w->layer && id < count &&
              (together || (id > w->id && !(w->peeked & (1ull << id)))),
          "layer %d tensor %u peeked at after layer %d tensor %u", layer, id, w->layer, w->id);
    if (w->ahead == WHOLE_ALONE || w->n_kept == WHOLE_KEPT ||
        (w->ahead == WHOLE_SOMETIMES && lb_random_below(&w->random, 2)))
        return false;
    *runs = w->run[w->n_kept];
    *n_runs = whole_place(w, t, part, 0, true);
    if (together)
        w->left -= w->left > 0;
    else
        w->peeked |= 1ull << id;
    w->merged++;
    return true;
}

static inline void whole_need(void *ctx, int layer, const uint32_t *experts, uint32_t n)
{
    struct whole_model *w = ctx;
    CHECK(layer == w->layer && w->n_needed == 0 && n <= WHOLE_MOST, "layer %d needs %u", layer, n);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(i == 0 || experts[i] > experts[i - 1], "experts ascend");
        w->needed[i] = experts[i];
    }
    w->n_needed = n;
    w->n_needs += n;
}

static inline enum lb_status whole_take(void *ctx, int layer, uint32_t *experts, uint32_t max,
                                        uint32_t *n, struct lb_error *err)
{
    struct whole_model *w = ctx;
    uint32_t n_tensors, dense = whole_dense(w, layer);
    const struct model_tensor *t = model_tensors(w->model, layer, &n_tensors);
    CHECK(layer == w->layer && w->n_needed > 0, "layer %d: nothing left to take", layer);
    if (++w->calls == w->fail_at)
        return lb_fail(err, LB_ERR_IO, "acquire %llu fails", (unsigned long long)w->calls);
    whole_give_back(w, layer);
    uint32_t most = w->n_needed < max ? w->n_needed : max;
    most = most * (n_tensors - dense) < WHOLE_KEPT ? most : WHOLE_KEPT / (n_tensors - dense);
    *n = w->ahead == WHOLE_ALONE       ? 1
         : w->ahead == WHOLE_SOMETIMES ? 1 + lb_random_below(&w->random, most)
                                       : most;
    for (uint32_t i = 0; i < *n; i++) {
        uint32_t at = w->ahead == WHOLE_SOMETIMES ? lb_random_below(&w->random, w->n_needed) : 0;
        experts[i] = w->taken[w->n_taken++] = w->needed[at];
        memmove(w->needed + at, w->needed + at + 1, (--w->n_needed - at) * sizeof *w->needed);
    }
    w->left = *n > 1 ? *n * (n_tensors - dense) : 0;
    w->n_served += *n;
    w->id = dense - 1;
    w->rows = t[dense - 1].n_rows;
    return LB_OK;
}

static inline void whole_release(void *ctx, int layer)
{
    struct whole_model *w = ctx;
    CHECK(layer == w->layer && w->n_needed == 0, "layer %d released before its end", layer);
    whole_give_back(w, layer);
    w->layer = -1;
    w->releases++;
}

/* After a pass that broke off. */
static inline void whole_rewind(struct whole_model *w)
{
    w->layer = -1;
    w->peeked = 0;
    w->n_needed = w->n_taken = w->left = 0;
}

static inline struct model_weights whole_weights(struct whole_model *w)
{
    return (struct model_weights){.ctx = w,
                                  .acquire = whole_acquire,
                                  .peek = whole_peek,
                                  .need = whole_need,
                                  .take = whole_take,
                                  .release = whole_release};
}

/* What a session needs beside the model; one of each, so that tests read short. */
struct whole_session {
    struct lb_pool *pool;
    struct model_session *session;
};

static inline bool whole_session_open(struct whole_session *s, const struct whole_model *w,
                                      const char *tier, int n_threads,
                                      struct model_session_options options)
{
    struct lb_error err = LB_ERROR_INIT;
    const struct kernels_ops *ops;
    *s = (struct whole_session){NULL, NULL};
    bool ok = kernels_select(tier, &ops, &err) == LB_OK &&
              lb_pool_open(n_threads, &s->pool, &err) == LB_OK &&
              model_session_open(w->model, s->pool, ops, &options, &s->session, &err) == LB_OK;
    CHECK(ok, "%s", err.text);
    return ok;
}

static inline void whole_session_close(struct whole_session *s)
{
    model_session_close(s->session);
    lb_pool_close(s->pool);
}

/* Appends n tokens to `sequence` in passes of at most `step`; logits[n][n_vocab] of all. */
static inline bool whole_run(struct whole_session *s, struct whole_model *w, uint32_t sequence,
                             const int32_t *ids, uint32_t n, uint32_t step, float *logits)
{
    uint32_t n_vocab = model_config(w->model)->n_vocab;
    struct model_weights weights = whole_weights(w);
    uint32_t *sequences = calloc(n, sizeof *sequences);
    bool *want = calloc(n, sizeof *want), ok = true;
    for (uint32_t i = 0; i < n; i++) {
        sequences[i] = sequence;
        want[i] = true;
    }
    for (uint32_t at = 0; ok && at < n; at += step) {
        struct lb_error err = LB_ERROR_INIT;
        struct model_batch batch = {.n_tokens = n - at < step ? n - at : step,
                                    .tokens = ids + at,
                                    .sequences = sequences,
                                    .want = want};
        ok = model_forward(s->session, &weights, &batch, logits + (size_t)at * n_vocab, &err) ==
             LB_OK;
        CHECK(ok, "%s", err.text);
    }
    free(sequences);
    free(want);
    return ok;
}

#endif
