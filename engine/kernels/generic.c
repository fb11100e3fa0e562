/* generic: the portable kernels, the specification of every other set. See generic.h. */
#include "kernels/generic.h"

#include "kernels/prepare.h"
#include "kernels/read.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- activations ---- */

/* q[n] = round(x / scale) to nearest, ties to even; returns the scale. A block that holds an
 * infinity or a NaN becomes zeros with the scale NaN, so that it shows in the output. */
static float quantize(const float *x, uint32_t n, int8_t *q)
{
    float largest = 0;
    bool finite = true;
    for (uint32_t i = 0; i < n; i++) {
        finite &= isfinite(x[i]) != 0;
        largest = fmaxf(largest, fabsf(x[i]));
    }
    if (!finite || largest < SMALLEST_MAGNITUDE) {
        memset(q, 0, n);
        return finite ? 0 : NAN;
    }
    float inverse = 127 / largest;
    for (uint32_t i = 0; i < n; i++)
        q[i] = (int8_t)lrintf(x[i] * inverse);
    return largest / 127;
}

static int sum_of(const int8_t *q, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += q[i];
    return sum;
}

static void quantize32(const float *x, int8_t *q, float *scale, int32_t *bias)
{
    *scale = quantize(x, 32, q);
    *bias = -128 * sum_of(q, 32);
}

static void quantize256(const float *x, int8_t *q, float *scale, int16_t *sum16, int16_t *sum32)
{
    *scale = quantize(x, GROUP, q);
    for (int j = 0; j < 16; j++)
        sum16[j] = (int16_t)sum_of(q + 16 * j, 16);
    for (int j = 0; j < 8; j++)
        sum32[j] = (int16_t)sum_of(q + 32 * j, 32);
}

void generic_prepare(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                     uint32_t n_tokens, uint32_t first, uint32_t last, void *input)
{
    prepare_input(format, x, x_stride, n_in, n_tokens, first, last, input, quantize32, quantize256);
}

/* ---- products ---- */

static int dot(const int8_t *a, const int8_t *b, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float dot256(const struct expanded256 *w, const struct input_view *v, size_t cell)
{
    int products = 0, mins = 0;
    for (int j = 0; j < 16; j++) {
        products += w->scale[j] * dot(w->q + 16 * j, v->q + cell * GROUP + 16 * j, 16);
        mins += w->min[j] * v->sum16[cell * 16 + j];
    }
    return ((float)products * w->d - (float)mins * w->dmin) * v->scale[cell];
}

static void row_256(const struct kernels_product *p, const char *w, const struct input_view *v,
                    float *sums)
{
    expand256_fn expand = expand256_of(p->type);
    size_t block_bytes = quant_info(p->type)->block_bytes;
    struct expanded256 block;
    for (uint32_t g = 0; g < v->n_groups; g++) {
        expand(w + g * block_bytes, &block);
        for (uint32_t t = 0; t < p->n_tokens; t++)
            sums[t] += dot256(&block, v, (size_t)g * p->n_tokens + t);
    }
}

static float dot32(const struct expanded32 *w, uint32_t n_blocks, const struct input_view *v,
                   size_t cell, float sum)
{
    float four = 0;
    for (uint32_t j = 0; j < n_blocks; j++) {
        int products = dot(w[j].q, v->q + cell * GROUP + 32 * j, 32);
        int sum_q = v->bias[cell * 8 + j] / -128;
        four += ((float)products * w[j].d + (float)sum_q * w[j].m) * v->scale[cell * 8 + j];
        if (j % 4 == 3 || j == n_blocks - 1) {
            sum += four;
            four = 0;
        }
    }
    return sum;
}

static void row_32(const struct kernels_product *p, const char *w, const struct input_view *v,
                   float *sums)
{
    expand32_fn expand = expand32_of(p->type);
    size_t block_bytes = quant_info(p->type)->block_bytes;
    struct expanded32 blocks[8];
    for (uint32_t g = 0; g < v->n_groups; g++) {
        uint32_t left = p->n_in / 32 - g * 8, n = left < 8 ? left : 8;
        for (uint32_t j = 0; j < n; j++)
            expand(w + (g * 8 + j) * block_bytes, &blocks[j]);
        for (uint32_t t = 0; t < p->n_tokens; t++)
            sums[t] = dot32(blocks, n, v, (size_t)g * p->n_tokens + t, sums[t]);
    }
}

/* Sixteen partial sums, as a vector unit would keep them; the order does not depend on the
 * number of tokens. */
static void row_float(const struct kernels_product *p, const char *w, float *sums)
{
    const struct quant_info *info = quant_info(p->type);
    size_t stride = input_float_stride(p->n_in);
    float weights[GROUP], lanes[16];
    for (uint32_t t = 0; t < p->n_tokens; t++) {
        memset(lanes, 0, sizeof lanes);
        for (uint32_t at = 0; at < p->n_in; at += GROUP) {
            const float *x = (const float *)p->input + t * stride + at;
            uint32_t n = p->n_in - at < GROUP ? p->n_in - at : GROUP;
            info->dequantize(w + at * info->block_bytes, weights, n);
            for (uint32_t i = 0; i < n; i++)
                lanes[i % 16] += weights[i] * x[i];
        }
        for (int i = 0; i < 16; i++)
            sums[t] += lanes[i];
    }
}

void generic_product(const struct kernels_product *p, const void *w, uint32_t row_begin,
                     uint32_t row_end, void *scratch)
{
    enum kernels_format format = kernels_format_of(p->type);
    float *sums = scratch_sums(scratch);
    struct input_view v = {0};
    if (format != KERNELS_FLOAT)
        v = input_view(format, p->input, p->n_tokens, p->n_in, NULL);
    for (uint32_t row = row_begin; row < row_end; row++) {
        const char *w_row = (const char *)w + (row - row_begin) * p->row_bytes;
        memset(sums, 0, p->n_tokens * sizeof *sums);
        if (format == KERNELS_FLOAT)
            row_float(p, w_row, sums);
        else if (format == KERNELS_INT8_32)
            row_32(p, w_row, &v, sums);
        else
            row_256(p, w_row, &v, sums);
        for (uint32_t t = 0; t < p->n_tokens; t++)
            p->y[t * p->y_stride + row] = sums[t];
    }
}

/* ---- attention ---- */

/* Row `position` of a cache as float; `buffer` has room for one row. */
static const float *cache_row(const struct kernels_attention *a, const void *cache,
                              uint32_t kv_head, uint32_t position, float *buffer)
{
    const size_t at = (size_t)kv_head * a->capacity + position;
    const void *row = (const char *)cache + at * kernels_kv_row_bytes(a->kv, a->head_dim);
    if (a->kv == KERNELS_KV_F32)
        return row;
    if (a->kv == KERNELS_KV_Q8_0)
        quant_info(QUANT_Q8_0)->dequantize(row, buffer, round_up(a->head_dim, 32));
    for (uint32_t i = 0; a->kv == KERNELS_KV_F16 && i < a->head_dim; i++)
        buffer[i] = quant_half_to_float(((const uint16_t *)row)[i]);
    return buffer;
}

/* One token: out = sum p_j v_j / sum p_j with p_j = exp(s_j - max s). A sink is the first score,
 * and its value is zero. The maximum grows from block to block of positions; what was summed before
 * is scaled down to it (Milakov and Gimelshein 2018, Dao et al. 2022). */
static void attend(const struct kernels_attention *a, uint32_t head, const float *q, uint32_t begin,
                   uint32_t end, float *buffer, float *out)
{
    const uint32_t kv_head = head / (a->n_heads / a->n_kv_heads);
    float max = a->sinks ? a->sinks[head] : -INFINITY, sum = a->sinks ? 1 : 0;
    float score[POSITION_BLOCK];
    memset(out, 0, a->head_dim * sizeof *out);
    for (uint32_t block = begin / POSITION_BLOCK * POSITION_BLOCK; block < end;
         block += POSITION_BLOCK) {
        uint32_t from = block < begin ? begin : block;
        uint32_t to = end - block < POSITION_BLOCK ? end : block + POSITION_BLOCK;
        float new_max = max;
        for (uint32_t j = from; j < to; j++) {
            const float *k = cache_row(a, a->k, kv_head, j, buffer);
            float s = 0;
            for (uint32_t i = 0; i < a->head_dim; i++)
                s += q[i] * k[i];
            score[j - block] = s * a->scale;
            new_max = fmaxf(new_max, score[j - block]);
        }
        float shrink = expf(max - new_max);
        max = new_max;
        sum *= shrink;
        for (uint32_t i = 0; i < a->head_dim; i++)
            out[i] *= shrink;
        for (uint32_t j = from; j < to; j++) {
            const float *v = cache_row(a, a->v, kv_head, j, buffer);
            float p = expf(score[j - block] - max);
            sum += p;
            for (uint32_t i = 0; i < a->head_dim; i++)
                out[i] += p * v[i];
        }
    }
    for (uint32_t i = 0; i < a->head_dim; i++)
        out[i] /= sum;
}

void generic_attention(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                       uint32_t first, uint32_t last, void *scratch)
{
    assert(a->n_heads % a->n_kv_heads == 0);
    for (uint32_t h = head; h < head + n_heads; h++)
        for (uint32_t t = first; t < last; t++) {
            uint32_t end = a->pos0 + t + 1;
            uint32_t begin = a->window && end > a->window ? end - a->window : 0;
            attend(a, h, a->q + t * a->q_stride + (size_t)h * a->head_dim, begin, end, scratch,
                   a->out + t * a->out_stride + (size_t)h * a->head_dim);
        }
}

/* ---- vectors ---- */

void generic_rms_norm(const float *x, const float *weight, uint32_t n, float eps, float *y)
{
    float lanes[16] = {0}, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        lanes[i % 16] += x[i] * x[i];
    for (int i = 0; i < 16; i++)
        sum += lanes[i];
    float factor = 1 / sqrtf(sum / (float)n + eps);
    for (uint32_t i = 0; i < n; i++)
        y[i] = x[i] * factor * weight[i];
}

void generic_swiglu(const float *gate, const float *up, uint32_t n, float *y)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

uint64_t generic_read(const void *memory, size_t bytes)
{
    return read_in_streams(memory, bytes);
}

static bool always(void)
{
    return true;
}

const struct kernels_ops kernels_generic = {
    .name = "generic",
    .about = "portable C, all types; the specification of the others",
    .available = always,
    .prepare = generic_prepare,
    .product = generic_product,
    .attention = generic_attention,
    .rms_norm = generic_rms_norm,
    .swiglu = generic_swiglu,
    .read = generic_read,
};
