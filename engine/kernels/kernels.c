/* kernels: the list of instruction sets, the choice among them, and the sizes that callers
 * need. See kernels.h. */
#include "kernels/kernels.h"

#include "kernels/generic.h"
#include "kernels/kernels_layout.h"
#include "quant/blocks.h"

#include <string.h>

static const struct kernels_ops *const sets[] = {
    &kernels_generic,
#if defined(__x86_64__)
    &kernels_avx2,
    &kernels_avx512,
#elif defined(__aarch64__)
    &kernels_neon,
#endif
};
#define N_SETS (sizeof sets / sizeof *sets)

const struct kernels_ops *const *kernels_list(size_t *count)
{
    *count = N_SETS;
    return sets;
}

enum lb_status kernels_select(const char *tier, const struct kernels_ops **ops,
                              struct lb_error *err)
{
    *ops = NULL;
    if (!tier || strcmp(tier, "auto") == 0) {
        for (size_t i = 0; i < N_SETS; i++)
            if (sets[i]->available())
                *ops = sets[i];
        return LB_OK;
    }
    for (size_t i = 0; i < N_SETS; i++) {
        if (strcmp(tier, sets[i]->name) != 0)
            continue;
        if (!sets[i]->available())
            return lb_fail(err, LB_ERR_UNSUPPORTED,
                           "kernels '%s': this processor lacks the instructions", tier);
        *ops = sets[i];
        return LB_OK;
    }
    return lb_fail(err, LB_ERR_INPUT,
                   "kernels '%s': expected auto or one of those that `layerbench list` prints",
                   tier);
}

const char *kernels_order_name(uint32_t order)
{
    static const char *const names[N_KERNELS_ORDERS] = {"rows", "streams"};
    return order < N_KERNELS_ORDERS ? names[order] : NULL;
}

bool kernels_find_order(const char *name, enum kernels_order *order)
{
    for (uint32_t k = 0; k < N_KERNELS_ORDERS; k++)
        if (strcmp(name, kernels_order_name(k)) == 0) {
            *order = (enum kernels_order)k;
            return true;
        }
    return false;
}

const char *kernels_kv_name(enum kernels_kv kv)
{
    static const char *const names[N_KERNELS_KV] = {"f32", "f16", "q8_0"};
    return names[kv];
}

bool kernels_find_kv(const char *name, enum kernels_kv *kv)
{
    for (uint32_t k = 0; k < N_KERNELS_KV; k++)
        if (strcmp(name, kernels_kv_name((enum kernels_kv)k)) == 0) {
            *kv = (enum kernels_kv)k;
            return true;
        }
    return false;
}

size_t kernels_kv_row_bytes(enum kernels_kv kv, uint32_t head_dim)
{
    if (kv == KERNELS_KV_Q8_0)
        return round_up(head_dim, 32) / 32 * sizeof(struct block_q8_0);
    return head_dim * (kv == KERNELS_KV_F16 ? sizeof(uint16_t) : sizeof(float));
}

enum kernels_format kernels_format_of(uint32_t type)
{
    const struct quant_info *info = quant_info(type);
    switch (info ? info->block_elements : 1) {
    case 32:
        return KERNELS_INT8_32;
    case 256:
        return KERNELS_INT8_256;
    default:
        return KERNELS_FLOAT;
    }
}

size_t kernels_input_bytes(enum kernels_format format, uint32_t n_tokens, uint32_t n_in)
{
    if (format == KERNELS_FLOAT)
        return round_up(n_tokens * input_float_stride(n_in) * sizeof(float), 64);
    size_t bytes;
    input_view(format, NULL, n_tokens, n_in, &bytes);
    return bytes;
}

size_t kernels_scratch_bytes(uint32_t n_tokens, uint32_t head_dim)
{
    size_t product = TILE_BYTES + (size_t)n_tokens * TILE_ROWS * sizeof(float);
    size_t attention = attention_scratch_bytes(head_dim);
    return round_up(product > attention ? product : attention, 64);
}

bool kernels_heeds_order(const struct kernels_ops *ops, uint32_t type, uint32_t n_tokens)
{
    return ops->order_tokens && n_tokens <= ops->order_tokens(type);
}

/* Matrix-vector: so many bytes that the begin of a row's stretch or of the streams (see simd_x86.h)
 * does not count; 16 streams an odd number of rows apart, which keeps them off each other's places
 * in the caches. Matrix-matrix: a few tiles. */
uint32_t kernels_row_chunk(const struct kernels_ops *ops, const struct kernels_product *p)
{
    if (p->n_tokens > 1 && !kernels_heeds_order(ops, p->type, p->n_tokens))
        return 2 * TILE_ROWS;
    if (p->order == KERNELS_ROWS) {
        size_t rows = round_up((size_t)128 * 1024 / (p->row_bytes + 1), TILE_ROWS);
        return rows < TILE_ROWS ? TILE_ROWS : rows > 512 ? 512 : (uint32_t)rows;
    }
    size_t apart = (size_t)320 * 1024 / 16 / (p->row_bytes + 1) | 1;
    return 16 * (uint32_t)(apart < 31 ? apart : 31);
}
