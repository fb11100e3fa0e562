/* known: see known.h. */
#include "draft/known.h"

#include "base/random.h"

#include <stdbool.h>

uint32_t known_draft(const struct known *k, uint32_t at, uint32_t most, int32_t *draft)
{
    uint32_t n = 0;
    for (; n < most && at + n < k->n; n++) {
        struct lb_random random = lb_random_at(k->seed, at + n);
        uint32_t token = (uint32_t)k->tokens[at + n];
        bool right = lb_random_unit(&random) < k->acceptance;
        draft[n] = (int32_t)(right ? token : (token + 1) % k->n_vocab);
    }
    return n;
}
