/*
 * synth: writes a model with random weights.
 *
 * Weights of a matrix with rows of n elements are drawn with deviation 1/sqrt(n), so
 * that activations keep their size from layer to layer; norms lie around 1. Mixtures of experts
 * have more to them: synth_look.h.
 *
 * Quantising gigabytes of random floats would take minutes. Instead a palette of a
 * few thousand pieces (256 elements as a rule) is quantised once for each type and
 * row length, and a matrix is pieces of it in random order: bytes as a real file has
 * them, at the speed of copying. (A file system that compresses finds the repetition
 * only in part: pieces are drawn from up to a megabyte of them.)
 *
 * Every random number is from integer arithmetic and sums, so that all machines
 * write the same bytes.
 */
#include "base/memory.h"
#include "quant/quant.h"
#include "synth/synth_look.h"
#include "synth/synth_parts.h"
#include "synth/synth_routing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PIECE_ELEMENTS 256
#define PALETTE_BYTES  ((size_t)1 << 20)
#define PALETTE_MAX    4096
#define FIRST_MAX      256 /* of first elements */
#define BUFFER_BYTES   ((size_t)1 << 20)
#define LAYERS_MAX     1000

/* `count` pieces (a power of two) of rows of one type, length and look. */
struct palette {
    struct palette *next;
    uint32_t type, count;
    uint64_t row;
    bool first; /* of the first SYNTH_SLOW_END elements, else of any others */
    struct synth_look look;
    size_t piece_bytes;
    unsigned char *pieces;
};

struct job {
    const struct synth_options *options;
    const struct synth_mix *mix;
    const struct synth_routing *routing;
    struct synth_shape shape;
    struct synth_looks looks;
    double *popularity; /* of the layer at hand */
    struct synth_tensor *tensors;
    size_t n_tensors;
    uint64_t done, total; /* bytes of tensor data */
    struct palette *palettes;
    unsigned char *buffer;
    struct gguf_writer *writer;
};

/* ---- palettes ---- */

static uint64_t piece_elements(uint64_t row)
{
    uint64_t n = PIECE_ELEMENTS;
    while (row % n)
        n /= 2;
    return n;
}

/* One piece of a palette: the first SYNTH_SLOW_END elements of a row, or any others. */
static void draw_piece(const struct palette *p, struct lb_random *r, float *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        double deviate = synth_deviate(r);
        if (!p->first)
            values[i] = (float)(p->look.deviation * deviate);
        else
            values[i] = (float)(i < SYNTH_COMMON ? p->look.common : p->look.slow * deviate);
    }
}

static enum lb_status make_palette(struct job *job, struct palette wanted, struct palette **out,
                                   struct lb_error *err)
{
    uint64_t n = wanted.first ? SYNTH_SLOW_END : piece_elements(wanted.row);
    float values[PIECE_ELEMENTS];
    char name[64];
    struct palette *p = lb_calloc(1, sizeof *p);
    if (!p)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for weights");
    *p = wanted;
    p->next = job->palettes;
    p->count = wanted.first ? FIRST_MAX : PALETTE_MAX;
    p->piece_bytes = quant_row_bytes(p->type, n);
    job->palettes = p;
    while (p->count * p->piece_bytes > PALETTE_BYTES)
        p->count /= 2;
    p->pieces = lb_alloc_aligned(p->count * p->piece_bytes, 64);
    if (!p->pieces)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for weights");
    snprintf(name, sizeof name, "%s %u %llu", p->first ? "first" : "palette", p->type,
             (unsigned long long)p->row);
    struct lb_random r = synth_generator(job->options->seed, name);
    for (uint32_t k = 0; k < p->count; k++) {
        draw_piece(p, &r, values, n);
        quant_info(p->type)->quantize(values, p->pieces + k * p->piece_bytes, n);
    }
    *out = p;
    return LB_OK;
}

/* The palette for rows of this look: for their first elements, or for the others. */
static enum lb_status find_palette(struct job *job, const struct synth_tensor *t,
                                   const struct synth_look *look, bool first, struct palette **out,
                                   struct lb_error *err)
{
    struct palette wanted = {.type = t->type, .row = t->ne[0], .first = first, .look = *look};
    if (!first)
        wanted.look = (struct synth_look){.deviation = look->deviation};
    for (struct palette *p = job->palettes; p; p = p->next) {
        if (p->type == wanted.type && p->row == wanted.row && p->first == first &&
            p->look.deviation == wanted.look.deviation && p->look.common == wanted.look.common &&
            p->look.slow == wanted.look.slow) {
            *out = p;
            return LB_OK;
        }
    }
    return make_palette(job, wanted, out, err);
}

/* ---- tensors ---- */

static enum lb_status put_data(struct job *job, size_t bytes, struct lb_error *err)
{
    enum lb_status status = gguf_writer_data(job->writer, job->buffer, bytes, err);
    job->done += bytes;
    if (status == LB_OK && job->options->progress)
        job->options->progress(job->options->progress_ctx, job->done, job->total);
    return status;
}

static void *pick(void *to, const struct palette *p, struct lb_random *r)
{
    memcpy(to, p->pieces + lb_random_below(r, p->count) * p->piece_bytes, p->piece_bytes);
    return (unsigned char *)to + p->piece_bytes;
}

/* A matrix whose rows look alike from one end to the other. */
static enum lb_status write_plain(struct job *job, const struct synth_tensor *t,
                                  const struct synth_look *look, struct lb_error *err)
{
    struct palette *p = NULL;
    struct lb_random r = synth_generator(job->options->seed, t->name);
    enum lb_status status = find_palette(job, t, look, false, &p, err);
    if (status != LB_OK)
        return status;
    uint64_t left = t->bytes / p->piece_bytes, room = BUFFER_BYTES / p->piece_bytes;
    while (status == LB_OK && left > 0) {
        uint64_t n = left < room ? left : room;
        unsigned char *to = job->buffer;
        for (uint64_t i = 0; i < n; i++)
            to = pick(to, p, &r);
        status = put_data(job, n * p->piece_bytes, err);
        left -= n;
    }
    return status;
}

static enum lb_status write_rows(struct job *job, const struct synth_tensor *t,
                                 struct lb_error *err)
{
    struct lb_random r = synth_generator(job->options->seed, t->name);
    const uint64_t rows = t->ne[1] * t->ne[2], row_bytes = t->bytes / rows;
    const bool alike = synth_looks_alike(&job->looks, t);
    struct synth_look look = synth_look_of(&job->looks, t, 0);
    struct palette *first = NULL, *rest = NULL;
    enum lb_status status = LB_OK;
    unsigned char *to = job->buffer;
    for (uint64_t row = 0; row < rows; row++) {
        if (!alike)
            look = synth_look_of(&job->looks, t, row);
        if (row == 0 || !alike) {
            status = find_palette(job, t, &look, false, &rest, err);
            if (status == LB_OK && look.split)
                status = find_palette(job, t, &look, true, &first, err);
        }
        unsigned char *end = to + row_bytes;
        if (status == LB_OK && look.split)
            to = pick(to, first, &r);
        while (status == LB_OK && to < end)
            to = pick(to, rest, &r);
        if (status == LB_OK &&
            (row + 1 == rows || (size_t)(to - job->buffer) + row_bytes > BUFFER_BYTES)) {
            status = put_data(job, (size_t)(to - job->buffer), err);
            to = job->buffer;
        }
        if (status != LB_OK)
            break;
    }
    return status;
}

static enum lb_status write_matrix(struct job *job, const struct synth_tensor *t,
                                   struct lb_error *err)
{
    struct synth_look look = synth_look_of(&job->looks, t, 0);
    return synth_looks_alike(&job->looks, t) && !look.split ? write_plain(job, t, &look, err)
                                                            : write_rows(job, t, err);
}

/* Llama 3.1: wavelengths beyond the old context are stretched by 8, short ones kept, those between
 * interpolated (factors 1 and 4 of an old context of 8192). */
static float rope_factor(const struct synth_shape *shape, uint64_t i)
{
    const double factor = 8, low = 1, high = 4, old_context = 8192;
    double wave = 6.283185307179586 * pow(shape->rope_base, 2.0 * (double)i / shape->head_dim);
    if (wave < old_context / high)
        return 1;
    if (wave > old_context / low)
        return (float)factor;
    double smooth = (old_context / wave - low) / (high - low);
    return (float)(1 / ((1 - smooth) / factor + smooth));
}

/* ---- single numbers: vectors, biases, routers ---- */

static float vector_element(const struct job *job, const struct synth_tensor *t, uint64_t i,
                            struct lb_random *r)
{
    if (t->role == SYNTH_ROPE_FACTORS)
        return rope_factor(&job->shape, i);
    return (float)synth_vector_element(&job->looks, t, i, synth_deviate(r));
}

static float router_element(const struct job *job, const struct synth_router_look *look,
                            uint64_t expert, uint64_t i, struct lb_random *r)
{
    if (i < SYNTH_COMMON)
        return (float)(look->common * job->popularity[expert]);
    return (float)((i < SYNTH_SLOW_END ? look->slow : look->fast) * synth_deviate(r));
}

static enum lb_status write_numbers(struct job *job, const struct synth_tensor *t,
                                    struct lb_error *err)
{
    const bool router = t->role == SYNTH_ROUTER;
    const uint32_t layer = (uint32_t)t->layer;
    const uint64_t all = t->bytes / sizeof(float), room = BUFFER_BYTES / sizeof(float);
    struct lb_random r = synth_generator(job->options->seed, t->name);
    struct synth_router_look look = {0};
    float *values = (float *)job->buffer;
    enum lb_status status = LB_OK;
    if (router) {
        look = synth_router_look_of(&job->shape, job->routing, layer);
        synth_popularity(&job->shape, job->routing->skew, job->options->seed, layer,
                         job->popularity);
    }
    for (uint64_t done = 0, n; status == LB_OK && done < all; done += n) {
        n = all - done < room ? all - done : room;
        for (uint64_t k = 0; k < n; k++) {
            uint64_t i = (done + k) % t->ne[0], row = (done + k) / t->ne[0];
            values[k] =
                router ? router_element(job, &look, row, i, &r) : vector_element(job, t, i, &r);
        }
        status = put_data(job, n * sizeof *values, err);
    }
    return status;
}

/* ---- the whole ---- */

static enum lb_status put_header(struct job *job, struct lb_error *err)
{
    enum lb_status status =
        synth_put_header(job->writer, &job->shape, job->mix, job->options->seed, job->routing, err);
    for (size_t i = 0; i < job->n_tensors; i++) {
        const struct synth_tensor *t = &job->tensors[i];
        gguf_writer_add_tensor(job->writer, t->name, t->n_dims, t->ne, t->type, t->bytes);
        job->total += t->bytes;
    }
    return status;
}

static bool is_numbers(const struct synth_tensor *t)
{
    return t->n_dims == 1 || t->role == SYNTH_ROUTER || t->role == SYNTH_BIAS;
}

static enum lb_status prepare(struct job *job, struct lb_error *err)
{
    const struct synth_options *options = job->options;
    if (options->n_layers > LAYERS_MAX)
        return lb_fail(err, LB_ERR_INPUT, "layers: %u, expected at most %d", options->n_layers,
                       LAYERS_MAX);
    if (options->n_layers > 0)
        job->shape.n_layers = options->n_layers;
    enum lb_status status = synth_check_routing(job->routing, err);
    if (status == LB_OK)
        status = synth_looks_of(&job->shape, &job->looks, err);
    if (status == LB_OK)
        status = synth_plan(&job->shape, options->mix, &job->tensors, &job->n_tensors, err);
    if (status != LB_OK)
        return status;
    job->mix = synth_find_mix(synth_mix_name(&job->shape, options->mix), err);
    job->buffer = lb_alloc_aligned(BUFFER_BYTES, 4096);
    job->popularity = lb_calloc(job->shape.experts.count + 1, sizeof *job->popularity);
    if (!job->buffer || !job->popularity)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for the buffer");
    return LB_OK;
}

enum lb_status synth_write(const struct synth_options *options, const char *path,
                           struct lb_error *err)
{
    const struct synth_shape *shape = synth_find_shape(options->shape, err);
    return shape ? synth_write_shape(shape, options, path, err) : LB_ERR_INPUT;
}

static struct job job_of(const struct synth_shape *shape, const struct synth_options *options)
{
    return (struct job){.options = options,
                        .shape = *shape,
                        .routing = options->routing ? options->routing : &synth_usual_routing};
}

enum lb_status synth_header_bytes(const struct synth_shape *shape,
                                  const struct synth_options *options, struct synth_tensor *tensors,
                                  size_t n_tensors, uint64_t *bytes, struct lb_error *err)
{
    struct job job = job_of(shape, options);
    job.tensors = tensors;
    job.n_tensors = n_tensors;
    job.mix = synth_find_mix(synth_mix_name(shape, options->mix), err);
    if (!job.mix)
        return LB_ERR_INPUT;
    enum lb_status status = gguf_writer_open(NULL, &job.writer, err);
    if (status == LB_OK)
        status = put_header(&job, err);
    if (status == LB_OK)
        *bytes = gguf_writer_header_bytes(job.writer);
    gguf_writer_abandon(job.writer);
    return status;
}

enum lb_status synth_write_shape(const struct synth_shape *shape,
                                 const struct synth_options *options, const char *path,
                                 struct lb_error *err)
{
    struct job job = job_of(shape, options);
    enum lb_status status = prepare(&job, err);
    if (status == LB_OK)
        status = gguf_writer_open(path, &job.writer, err);
    if (status == LB_OK)
        status = put_header(&job, err);
    for (size_t i = 0; status == LB_OK && i < job.n_tensors; i++) {
        const struct synth_tensor *t = &job.tensors[i];
        status = is_numbers(t) ? write_numbers(&job, t, err) : write_matrix(&job, t, err);
    }
    if (status == LB_OK)
        status = gguf_writer_finish(job.writer, err);
    else
        gguf_writer_abandon(job.writer);
    while (job.palettes) {
        struct palette *next = job.palettes->next;
        lb_free(job.palettes->pieces);
        lb_free(job.palettes);
        job.palettes = next;
    }
    lb_free(job.buffer);
    lb_free(job.popularity);
    lb_free(job.tensors);
    return status;
}
