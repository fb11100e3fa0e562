/* codes_avx512: the tables of codes_avx512.h, made of the books. */
#include "kernels/x86/codes_avx512.h"

#include "quant/codes.h"

#include <pthread.h>

_Alignas(64) uint8_t codes_iq3_xxs[4][256], codes_iq3_s[4][256];

static void make_tables(void)
{
    int8_t first[4], second[4];
    for (uint32_t code = 0; code < 256; code++)
        for (int i = 0; i < 4; i++) {
            codes_four(&quant_book_iq3_xxs, code, first);
            codes_iq3_xxs[i][code] = (uint8_t)first[i];
            codes_four(&quant_book_iq3_s, code, first);
            codes_four(&quant_book_iq3_s, code + 256, second);
            codes_iq3_s[i][code] = (uint8_t)(first[i] | second[i] << 4);
        }
}

void codes_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
}
