/*
 * whole_model: a weights source for tests: all tensors of a file in memory, handed out
 * as one run or cut at random, in memory that is gone after the next call, so that a
 * sanitizer sees whoever reads beyond a run or keeps one. It checks the order of
 * access, and can fail at the n-th call.
 */
#ifndef TESTS_WHOLE_MODEL_H
#define TESTS_WHOLE_MODEL_H

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/model.h"
#include "quant/quant.h"

#define WHOLE_RUNS 8

struct whole_model {
    struct gguf_file *file;
    struct model *model;
    uint8_t *bytes; /* the file */
    bool cut;       /* hand out runs of random length, at most WHOLE_RUNS a time */
    struct lb_random random;
    uint64_t fail_at, calls; /* fail_at 0: never */
    struct model_run run[WHOLE_RUNS];
    void *copy[WHOLE_RUNS]; /* where the runs of the last call lie when cut */
    int layer;              /* where the pass is: the last tensor handed out and its rows */
    uint32_t id, rows, releases;
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

static inline void whole_close(struct whole_model *w)
{
    for (int i = 0; i < WHOLE_RUNS; i++)
        free(w->copy[i]);
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

/* The contract: layer by layer, tensor by tensor, row by row, all of them. */
static inline void whole_check_order(struct whole_model *w, int layer, uint32_t id, uint32_t row)
{
    uint32_t n;
    const struct model_tensor *t = model_tensors(w->model, layer, &n);
    CHECK(id < n && row < t[id].n_rows, "layer %d tensor %u row %u", layer, id, row);
    if (layer < 0)
        return;
    bool goes_on = layer == w->layer && id == w->id && row == w->rows;
    bool next = layer == w->layer && id == w->id + 1 && row == 0 && w->rows == t[w->id].n_rows;
    bool first = w->layer < 0 && id == 0 && row == 0;
    CHECK(goes_on || next || first, "layer %d tensor %u row %u after layer %d tensor %u row %u",
          layer, id, row, w->layer, w->id, w->rows);
}

static inline uint32_t whole_cut(struct whole_model *w, const struct model_tensor *t, uint32_t row)
{
    uint32_t n = 0, most = 1 + lb_random_below(&w->random, WHOLE_RUNS);
    for (int i = 0; i < WHOLE_RUNS; i++) {
        free(w->copy[i]);
        w->copy[i] = NULL;
    }
    for (; n < most && row < t->n_rows; n++) {
        uint32_t rows = 1 + lb_random_below(&w->random, t->n_rows - row);
        w->copy[n] = malloc(rows * t->row_bytes);
        memcpy(w->copy[n], w->bytes + t->file_offset + row * t->row_bytes, rows * t->row_bytes);
        w->run[n] = (struct model_run){.data = w->copy[n], .first = row, .last = row + rows};
        row += rows;
    }
    return n;
}

static inline enum lb_status whole_acquire(void *ctx, int layer, uint32_t id, uint32_t row,
                                           const struct model_run **runs, uint32_t *n_runs,
                                           struct lb_error *err)
{
    struct whole_model *w = ctx;
    uint32_t count;
    const struct model_tensor *t = &model_tensors(w->model, layer, &count)[id];
    if (++w->calls == w->fail_at)
        return lb_fail(err, LB_ERR_IO, "acquire %llu fails", (unsigned long long)w->calls);
    whole_check_order(w, layer, id, row);
    *n_runs = 1;
    if (w->cut && layer >= 0)
        *n_runs = whole_cut(w, t, row);
    else
        w->run[0] = (struct model_run){.data = w->bytes + t->file_offset + row * t->row_bytes,
                                       .first = row,
                                       .last = t->n_rows};
    *runs = w->run;
    if (layer >= 0) {
        w->layer = layer;
        w->id = id;
        w->rows = w->run[*n_runs - 1].last;
    }
    return LB_OK;
}

static inline void whole_release(void *ctx, int layer)
{
    struct whole_model *w = ctx;
    uint32_t n;
    const struct model_tensor *t = model_tensors(w->model, layer, &n);
    CHECK(layer == w->layer && w->id == n - 1 && w->rows == t[n - 1].n_rows,
          "layer %d released before its end", layer);
    w->layer = -1;
    w->releases++;
}

static inline struct model_weights whole_weights(struct whole_model *w)
{
    return (struct model_weights){.ctx = w, .acquire = whole_acquire, .release = whole_release};
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
