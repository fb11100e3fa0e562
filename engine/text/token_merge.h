/*
 * merge: joins neighbouring symbols, always the best pair of all first and of equals the leftmost,
 * until no pair can be joined. Both SentencePiece-style tokenizers (best: the highest score) and
 * byte-level BPE (best: the lowest rank) are this with a rule of their own.
 *
 * The symbols form a linked list; the pairs that a rule allows wait in a binary heap. A pair whose
 * symbols have changed since is recognised by its length and dropped: O(n log n) in all.
 */
#ifndef TEXT_MERGE_H
#define TEXT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_NONE UINT32_MAX

struct merge_symbol {
    uint32_t start, length; /* in the text; length 0: joined to the left neighbour */
    int32_t id;             /* of the rule's choosing */
    uint32_t previous, next;
};

struct merge_pair {
    uint32_t order; /* lower is better */
    uint32_t left, right;
    uint32_t length; /* of both when the pair was found */
    int32_t id;      /* of the joined symbol */
};

/* May `left` and `right` be joined? Then sets pair->order and pair->id. */
typedef bool (*merge_rule)(const void *ctx, const struct merge_symbol *left,
                           const struct merge_symbol *right, struct merge_pair *pair);

/* Zeroed at first; kept from one run to the next. */
struct merge {
    struct merge_symbol *symbols;
    size_t n_symbols, symbols_room;
    struct merge_pair *heap;
    size_t n_heap, heap_room;
};

void merge_close(struct merge *merge);

/* Makes room for n symbols, and the heap that joining them needs; false when out of memory. */
bool merge_reserve(struct merge *merge, size_t n);
/* Adds a symbol; room has been made. */
void merge_add(struct merge *merge, uint32_t start, uint32_t length, int32_t id);
/* Joins. Symbol 0 stays the first of the list; `next` leads through what is left. */
void merge_run(struct merge *merge, merge_rule rule, const void *ctx);

#endif
