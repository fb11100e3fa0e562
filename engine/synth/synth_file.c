/*
 * synth: writes a model with random weights.
 *
 * Weights of a matrix with rows of n elements are drawn with deviation 1/sqrt(n), so
 * that activations keep their size from layer to layer; norms lie around 1.
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
#include "base/random.h"
#include "quant/quant.h"
#include "synth/synth_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PIECE_ELEMENTS 256
#define PALETTE_BYTES  ((size_t)1 << 20)
#define PALETTE_MAX    4096
#define BUFFER_BYTES   ((size_t)1 << 20)
#define LAYERS_MAX     1000
#define NORM_DEVIATION 0.1
#define BIAS_DEVIATION 0.1

/* `count` pieces (a power of two) of rows of one type, length and deviation. */
struct palette {
    struct palette *next;
    uint32_t type, count;
    uint64_t row;
    double deviation;
    size_t piece_bytes;
    unsigned char *pieces;
};

struct job {
    const struct synth_options *options;
    const struct synth_mix *mix;
    struct synth_shape shape;
    struct synth_tensor *tensors;
    size_t n_tensors;
    uint64_t done, total; /* bytes of tensor data */
    struct palette *palettes;
    unsigned char *buffer;
    struct gguf_writer *writer;
};

/* ---- random numbers ---- */

/* A generator of its own for every purpose: FNV-1a of its name, with the seed. */
static struct lb_random generator(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    struct lb_random r = {hash ^ seed * 0x9e3779b97f4a7c15u};
    lb_random_next(&r);
    return r;
}

/* Near enough to a normal deviate: the sum of twelve uniform ones (deviation 1, at most 6). */
static double deviate(struct lb_random *r)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += lb_random_unit(r);
    return sum - 6;
}

/* ---- palettes ---- */

static uint64_t piece_elements(uint64_t row)
{
    uint64_t n = PIECE_ELEMENTS;
    while (row % n)
        n /= 2;
    return n;
}

static enum lb_status make_palette(struct job *job, uint32_t type, uint64_t row, double deviation,
                                   struct palette **out, struct lb_error *err)
{
    uint64_t n = piece_elements(row);
    float values[PIECE_ELEMENTS];
    char name[64];
    struct palette *p = lb_calloc(1, sizeof *p);
    if (!p)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for weights");
    *p = (struct palette){.next = job->palettes,
                          .type = type,
                          .count = PALETTE_MAX,
                          .row = row,
                          .deviation = deviation,
                          .piece_bytes = quant_row_bytes(type, n)};
    job->palettes = p;
    while (p->count * p->piece_bytes > PALETTE_BYTES)
        p->count /= 2;
    p->pieces = lb_alloc_aligned(p->count * p->piece_bytes, 64);
    if (!p->pieces)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for weights");
    snprintf(name, sizeof name, "palette %u %llu", type, (unsigned long long)row);
    struct lb_random r = generator(job->options->seed, name);
    for (uint32_t k = 0; k < p->count; k++) {
        for (uint64_t i = 0; i < n; i++)
            values[i] = (float)(deviation * deviate(&r));
        quant_info(type)->quantize(values, p->pieces + k * p->piece_bytes, n);
    }
    *out = p;
    return LB_OK;
}

static enum lb_status find_palette(struct job *job, const struct synth_tensor *t,
                                   struct palette **out, struct lb_error *err)
{
    uint64_t row = t->ne[0];
    bool unit = t->role == SYNTH_EMBEDDING && !job->shape.tied_embedding;
    double deviation = unit ? 1 : 1 / sqrt((double)row);
    for (struct palette *p = job->palettes; p; p = p->next) {
        if (p->type == t->type && p->row == row && p->deviation == deviation) {
            *out = p;
            return LB_OK;
        }
    }
    return make_palette(job, t->type, row, deviation, out, err);
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

static enum lb_status write_matrix(struct job *job, const struct synth_tensor *t,
                                   struct lb_error *err)
{
    struct palette *p = NULL;
    struct lb_random r = generator(job->options->seed, t->name);
    enum lb_status status = find_palette(job, t, &p, err);
    if (status != LB_OK)
        return status;
    uint64_t left = t->bytes / p->piece_bytes, room = BUFFER_BYTES / p->piece_bytes;
    while (status == LB_OK && left > 0) {
        uint64_t n = left < room ? left : room;
        unsigned char *to = job->buffer;
        for (uint64_t i = 0; i < n; i++, to += p->piece_bytes)
            memcpy(to, p->pieces + lb_random_below(&r, p->count) * p->piece_bytes, p->piece_bytes);
        status = put_data(job, n * p->piece_bytes, err);
        left -= n;
    }
    return status;
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

static enum lb_status write_vector(struct job *job, const struct synth_tensor *t,
                                   struct lb_error *err)
{
    struct lb_random r = generator(job->options->seed, t->name);
    float *values = (float *)job->buffer;
    for (uint64_t i = 0; i < t->ne[0]; i++) {
        if (t->role == SYNTH_ROPE_FACTORS)
            values[i] = rope_factor(&job->shape, i);
        else if (t->role == SYNTH_NORM)
            values[i] = (float)(1 + NORM_DEVIATION * deviate(&r));
        else
            values[i] = (float)(BIAS_DEVIATION * deviate(&r));
    }
    return put_data(job, t->bytes, err);
}

/* ---- header ---- */

static void put_u32(struct job *job, const char *key, uint32_t value)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", job->shape.architecture, key);
    gguf_writer_put_u32(job->writer, full, value);
}

static void put_f32(struct job *job, const char *key, float value)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", job->shape.architecture, key);
    gguf_writer_put_f32(job->writer, full, value);
}

static enum lb_status put_header(struct job *job, struct lb_error *err)
{
    const struct synth_shape *s = &job->shape;
    char name[128];
    snprintf(name, sizeof name, "%s %s (random weights, seed %llu)", s->name, job->mix->name,
             (unsigned long long)job->options->seed);
    gguf_writer_put_text(job->writer, "general.architecture", s->architecture);
    gguf_writer_put_text(job->writer, "general.name", name);
    put_u32(job, "context_length", s->context);
    put_u32(job, "embedding_length", s->n_embd);
    put_u32(job, "block_count", s->n_layers);
    put_u32(job, "feed_forward_length", s->n_ff);
    put_u32(job, "rope.dimension_count", s->head_dim);
    put_u32(job, "attention.head_count", s->n_heads);
    put_u32(job, "attention.head_count_kv", s->n_kv_heads);
    put_f32(job, "attention.layer_norm_rms_epsilon", s->rms_eps);
    put_f32(job, "rope.freq_base", s->rope_base);
    if (strcmp(s->architecture, "qwen3") == 0) {
        put_u32(job, "attention.key_length", s->head_dim);
        put_u32(job, "attention.value_length", s->head_dim);
    }
    put_u32(job, "vocab_size", s->n_vocab);
    enum lb_status status = synth_put_vocabulary(job->writer, s->n_vocab, err);
    gguf_writer_put_u32(job->writer, "general.quantization_version", 2);
    gguf_writer_put_u32(job->writer, "general.file_type", job->mix->file_type);
    for (size_t i = 0; i < job->n_tensors; i++) {
        const struct synth_tensor *t = &job->tensors[i];
        gguf_writer_add_tensor(job->writer, t->name, t->n_dims, t->ne, t->type, t->bytes);
        job->total += t->bytes;
    }
    return status;
}

/* ---- the whole ---- */

static enum lb_status prepare(struct job *job, struct lb_error *err)
{
    const struct synth_options *options = job->options;
    const struct synth_shape *shape = synth_find_shape(options->shape, err);
    if (!shape)
        return LB_ERR_INPUT;
    job->shape = *shape;
    if (options->n_layers > LAYERS_MAX)
        return lb_fail(err, LB_ERR_INPUT, "layers: %u, expected at most %d", options->n_layers,
                       LAYERS_MAX);
    if (options->n_layers > 0)
        job->shape.n_layers = options->n_layers;
    enum lb_status status =
        synth_plan(&job->shape, options->mix, &job->tensors, &job->n_tensors, err);
    if (status != LB_OK)
        return status;
    job->mix = synth_find_mix(options->mix, err);
    job->buffer = lb_alloc_aligned(BUFFER_BYTES, 4096);
    if (!job->buffer)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for the buffer");
    return LB_OK;
}

enum lb_status synth_write(const struct synth_options *options, const char *path,
                           struct lb_error *err)
{
    struct job job = {.options = options};
    enum lb_status status = prepare(&job, err);
    if (status == LB_OK)
        status = gguf_writer_open(path, &job.writer, err);
    if (status == LB_OK)
        status = put_header(&job, err);
    for (size_t i = 0; status == LB_OK && i < job.n_tensors; i++) {
        const struct synth_tensor *t = &job.tensors[i];
        status = t->n_dims == 1 ? write_vector(&job, t, err) : write_matrix(&job, t, err);
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
    lb_free(job.tensors);
    return status;
}
