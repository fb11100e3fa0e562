/*
 * kernels_avx512: the table of the AVX-512 set (F, BW, DQ, VL, VBMI, VNNI, GFNI), and which kernel
 * takes which product.
 */
#include "kernels/generic.h"
#include "kernels/x86/codes_avx512.h"

static bool available(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("gfni") && __builtin_cpu_supports("fma") && has_f16c();
}

static uint32_t order_tokens(uint32_t type)
{
    return has_fast_product(type) ? tokens_in_rows(type) : 0;
}

static void product(const struct kernels_product *p, const void *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch)
{
    if (!has_fast_product(p->type)) {
        generic_product(p, w, row_begin, row_end, scratch);
        return;
    }
    const bool in_rows = p->n_tokens <= tokens_in_rows(p->type);
    switch (kernels_format_of(p->type)) {
    case KERNELS_FLOAT:
        float_avx512(p, w, row_begin, row_end, scratch);
        break;
    case KERNELS_INT8_32:
        if (p->n_tokens == 1 && p->order == KERNELS_ROWS && p->type == QUANT_Q8_0)
            matvec32_avx2(p, w, row_begin, row_end);
        else if (in_rows && p->order == KERNELS_ROWS)
            rows32_avx512(p, w, row_begin, row_end);
        else if (in_rows)
            matvec32_avx512(p, w, row_begin, row_end);
        else if (p->n_tokens <= few_tokens(p->type))
            few32_avx512(p, w, row_begin, row_end);
        else
            tile32_avx512(p, w, row_begin, row_end, scratch);
        break;
    case KERNELS_INT8_256:
        if (p->type == QUANT_IQ3_XXS || p->type == QUANT_IQ3_S)
            codes_ready();
        if (in_rows && p->order == KERNELS_ROWS)
            rows256_avx512(p, w, row_begin, row_end);
        else if (in_rows)
            matvec256_avx512(p, w, row_begin, row_end);
        else if (p->n_tokens <= few_tokens(p->type))
            few256_avx512(p, w, row_begin, row_end);
        else
            tile256_avx512(p, w, row_begin, row_end, scratch);
    }
}

const struct kernels_ops kernels_avx512 = {
    .name = "avx512",
    .about = "x86-64 with AVX-512 VBMI, VNNI and GFNI (Ice Lake, Zen 4 and later)",
    .available = available,
    .order_tokens = order_tokens,
    .prepare = prepare_avx512,
    .product = product,
    .attention = attention_avx512,
    .rms_norm = rms_norm_avx512,
    .swiglu = swiglu_avx512,
    .read = read_avx512,
};
