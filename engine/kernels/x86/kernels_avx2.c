/* kernels_avx2: the table of the AVX2 set (AVX2, FMA, F16C), and which kernel takes which
 * product. */
#include "kernels/generic.h"
#include "kernels/x86/simd_avx2.h"

static bool available(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static uint32_t order_tokens(uint32_t type)
{
    return has_fast_product(type) ? 1 : 0;
}

static void product(const struct kernels_product *p, const void *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch)
{
    if (!has_fast_product(p->type)) {
        generic_product(p, w, row_begin, row_end, scratch);
        return;
    }
    switch (kernels_format_of(p->type)) {
    case KERNELS_FLOAT:
        float_avx2(p, w, row_begin, row_end);
        break;
    case KERNELS_INT8_32:
        if (p->n_tokens == 1)
            matvec32_avx2(p, w, row_begin, row_end);
        else
            tile32_avx2(p, w, row_begin, row_end, scratch);
        break;
    case KERNELS_INT8_256:
        if (p->n_tokens > 1)
            tile256_avx2(p, w, row_begin, row_end, scratch);
        else if (p->order == KERNELS_ROWS)
            rows256_avx2(p, w, row_begin, row_end);
        else
            matvec256_avx2(p, w, row_begin, row_end);
    }
}

const struct kernels_ops kernels_avx2 = {
    .name = "avx2",
    .about = "x86-64 with AVX2, FMA and F16C (2013 and later)",
    .available = available,
    .order_tokens = order_tokens,
    .prepare = prepare_avx2,
    .product = product,
    .attention = attention_avx2,
    .rms_norm = rms_norm_avx2,
    .swiglu = swiglu_avx2,
    .read = read_avx2,
};
