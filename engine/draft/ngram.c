/* ngram: see ngram.h. Tables are open-addressed, at most half full; a slot holds 1 + the index of
 * an n-gram's last token, 0: free. An n-gram enters with the token that follows it, so that what is
 * found has a continuation, and that the end of the text does not find itself. */
#include "draft/ngram.h"

#include "base/memory.h"
#include "draft/drafters.h"

#include <stdbool.h>
#include <string.h>

struct ngram {
    uint32_t least, longest, capacity, n_slots; /* of a table, a power of two */
    uint32_t n;
    int32_t *text;   /* [capacity] */
    uint32_t *slots; /* [longest - least + 1][n_slots] */
};

enum lb_status ngram_open(uint32_t least, uint32_t longest, uint32_t capacity, struct ngram **out,
                          struct lb_error *err)
{
    *out = NULL;
    if (least < 1 || least > longest || longest > NGRAM_MOST)
        return lb_fail(err, LB_ERR_INPUT, "ngram_min %u, ngram_max %u: expected 1 to %d, in order",
                       least, longest, NGRAM_MOST);
    struct ngram *g = lb_calloc(1, sizeof *g);
    if (!g)
        return lb_fail(err, LB_ERR_NOMEM, "n-grams: out of memory");
    *g = (struct ngram){.least = least, .longest = longest, .capacity = capacity, .n_slots = 2};
    while (g->n_slots < 2 * (uint64_t)capacity && g->n_slots < 1u << 31)
        g->n_slots *= 2;
    g->text = lb_calloc(capacity, sizeof *g->text);
    g->slots = lb_calloc((size_t)(longest - least + 1) * g->n_slots, sizeof *g->slots);
    if (!g->text || !g->slots) {
        ngram_close(g);
        return lb_fail(err, LB_ERR_NOMEM, "n-grams: out of memory");
    }
    *out = g;
    return LB_OK;
}

void ngram_close(struct ngram *g)
{
    if (!g)
        return;
    lb_free(g->text);
    lb_free(g->slots);
    lb_free(g);
}

static size_t slots_bytes(const struct ngram *g)
{
    return (size_t)(g->longest - g->least + 1) * g->n_slots * sizeof *g->slots;
}

size_t ngram_bytes(const struct ngram *g)
{
    return slots_bytes(g) + g->capacity * sizeof *g->text;
}

void ngram_clear(struct ngram *g)
{
    g->n = 0;
    memset(g->slots, 0, slots_bytes(g));
}

/* The slot of the n-gram of this length that ends at text[end]: its own, or a free one. */
static uint32_t *slot_of(const struct ngram *g, uint32_t length, uint32_t end)
{
    const int32_t *gram = g->text + (end + 1 - length);
    uint32_t *table = g->slots + (size_t)(length - g->least) * g->n_slots;
    uint64_t hash = length;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ (uint32_t)gram[i]) * 0x9e3779b97f4a7c15u;
    for (uint32_t at = (uint32_t)(hash >> 32);; at++) {
        uint32_t *slot = &table[at & (g->n_slots - 1)];
        if (*slot == 0 || memcmp(g->text + (*slot - length), gram, length * sizeof *gram) == 0)
            return slot;
    }
}

void ngram_add(struct ngram *g, int32_t token)
{
    if (g->n == g->capacity)
        return;
    for (uint32_t length = g->least; length <= g->longest && length <= g->n; length++)
        *slot_of(g, length, g->n - 1) = g->n;
    g->text[g->n++] = token;
}

uint32_t ngram_draft(const struct ngram *g, uint32_t most, int32_t *draft)
{
    for (uint32_t length = g->longest; length >= g->least && g->n > 0; length--) {
        uint32_t from = length <= g->n ? *slot_of(g, length, g->n - 1) : 0;
        for (uint32_t i = 0; from > 0 && i < most; i++, from++)
            draft[i] = from < g->n ? g->text[from] : draft[from - g->n];
        if (from > 0)
            return most;
    }
    return 0;
}
