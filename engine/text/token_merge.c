/* merge: the list and the heap. See merge.h. */
#include "text/token_merge.h"

#include "text/grow.h"

#include <assert.h>

void merge_close(struct merge *merge)
{
    lb_free(merge->symbols);
    lb_free(merge->heap);
    *merge = (struct merge){0};
}

bool merge_reserve(struct merge *merge, size_t n)
{
    /* n - 1 pairs at the start; each of at most n - 1 joins takes one and adds two */
    return text_grow(&merge->symbols, &merge->symbols_room, n, sizeof *merge->symbols) &&
           text_grow(&merge->heap, &merge->heap_room, 2 * n, sizeof *merge->heap);
}

void merge_add(struct merge *merge, uint32_t start, uint32_t length, int32_t id)
{
    assert(merge->n_symbols < merge->symbols_room && length > 0);
    uint32_t i = (uint32_t)merge->n_symbols++;
    if (i > 0)
        merge->symbols[i - 1].next = i;
    merge->symbols[i] =
        (struct merge_symbol){start, length, id, i ? i - 1 : MERGE_NONE, MERGE_NONE};
}

static bool before(const struct merge_pair *a, const struct merge_pair *b)
{
    return a->order != b->order ? a->order < b->order : a->left < b->left;
}

static void push(struct merge *merge, struct merge_pair pair)
{
    assert(merge->n_heap < merge->heap_room);
    struct merge_pair *heap = merge->heap;
    size_t i = merge->n_heap++;
    while (i > 0 && before(&pair, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = pair;
}

static struct merge_pair pop(struct merge *merge)
{
    struct merge_pair *heap = merge->heap, best = heap[0], last = heap[--merge->n_heap];
    size_t i = 0, n = merge->n_heap;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return best;
}

static void consider(struct merge *merge, uint32_t left, uint32_t right, merge_rule rule,
                     const void *ctx)
{
    if (left == MERGE_NONE || right == MERGE_NONE)
        return;
    const struct merge_symbol *l = &merge->symbols[left], *r = &merge->symbols[right];
    struct merge_pair pair = {.left = left, .right = right, .length = l->length + r->length};
    if (rule(ctx, l, r, &pair))
        push(merge, pair);
}

void merge_run(struct merge *merge, merge_rule rule, const void *ctx)
{
    merge->n_heap = 0;
    for (size_t i = 1; i < merge->n_symbols; i++)
        consider(merge, (uint32_t)i - 1, (uint32_t)i, rule, ctx);
    while (merge->n_heap) {
        struct merge_pair pair = pop(merge);
        struct merge_symbol *left = &merge->symbols[pair.left];
        struct merge_symbol *right = &merge->symbols[pair.right];
        /* symbols only grow or vanish, so an unchanged length means unchanged symbols */
        if (left->length == 0 || right->length == 0 || left->length + right->length != pair.length)
            continue;
        left->length = pair.length;
        left->id = pair.id;
        left->next = right->next;
        right->length = 0;
        if (left->next != MERGE_NONE)
            merge->symbols[left->next].previous = pair.left;
        consider(merge, left->previous, pair.left, rule, ctx);
        consider(merge, pair.left, left->next, rule, ctx);
    }
}
