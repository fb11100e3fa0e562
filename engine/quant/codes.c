/* codes: vectors of code books, from their numbers and back. See codes.h. */
#include "quant/codes.h"

#include <math.h>

void codes_decode(const void *blocks, float *y, size_t n, size_t bytes, quant_unpack_fn *unpack)
{
    const char *block = blocks;
    int16_t scale[16];
    int8_t q[256];
    for (size_t k = 0; k < n / 256; k++, block += bytes, y += 256) {
        float d = unpack(block, scale, q);
        for (int i = 0; i < 256; i++)
            y[i] = d * (float)scale[i / 16] * (float)q[i];
    }
}

uint8_t codes_even_signs(uint32_t seven)
{
    seven &= 127;
    return (uint8_t)(seven | (uint32_t)(__builtin_popcount(seven) % 2) << 7);
}

uint8_t codes_split(const float x[8], bool even, float magnitude[8])
{
    uint32_t signs = 0, least = 0;
    for (uint32_t i = 0; i < 8; i++) {
        signs |= (uint32_t)(x[i] < 0) << i;
        magnitude[i] = fabsf(x[i]);
        if (magnitude[i] < magnitude[least])
            least = i;
    }
    if (even && __builtin_popcount(signs) % 2) {
        signs ^= 1u << least;
        magnitude[least] = -magnitude[least];
    }
    return (uint8_t)signs;
}

/* cost[b]: the squared distance between x and the elements whose indices are in byte b */
static void byte_costs(const struct code_book *book, const float *x, float step, float cost[256])
{
    const int n = 8 / book->bits;
    for (uint32_t byte = 0; byte < 256; byte++) {
        cost[byte] = 0;
        for (int i = 0; i < n; i++) {
            float value = book->values[byte >> book->bits * i & ((1u << book->bits) - 1)];
            float off = (step > 0 ? x[i] / step : 0) - value;
            cost[byte] += off * off;
        }
    }
}

uint32_t codes_nearest(const struct code_book *book, const float *x, float step)
{
    float low[256], high[256], least = INFINITY;
    uint32_t best = 0;
    byte_costs(book, x, step, low);
    byte_costs(book, x + 8 / book->bits, step, high);
    for (uint32_t code = 0; code < book->count; code++) {
        float cost = low[book->words[code] & 255] + high[book->words[code] >> 8];
        if (cost < least) {
            least = cost;
            best = code;
        }
    }
    return best;
}
