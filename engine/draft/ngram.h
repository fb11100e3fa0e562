/*
 * ngram: drafts from the text so far. The last tokens are looked up in the text itself, the longest
 * match first; the draft is what followed where they stood last.
 *
 * For each length a hash table says where the n-grams end: a token more, or a draft, takes a
 * constant number of look-ups, whatever the length of the text, and no allocation. One text each.
 */
#ifndef DRAFT_NGRAM_H
#define DRAFT_NGRAM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ngram;

/* 1 <= least <= longest <= NGRAM_MOST tokens; a text of up to `capacity` tokens. LB_ERR_INPUT,
 * LB_ERR_NOMEM. */
enum lb_status ngram_open(uint32_t least, uint32_t longest, uint32_t capacity, struct ngram **ngram,
                          struct lb_error *err);
void ngram_close(struct ngram *ngram);
/* Memory it takes. */
size_t ngram_bytes(const struct ngram *ngram);
/* Another text begins. */
void ngram_clear(struct ngram *ngram);
/* The text goes on; what is beyond its capacity is ignored. */
void ngram_add(struct ngram *ngram, int32_t token);
/* draft[most] of what may follow: `most` tokens, or 0 where nothing matches. Where the match is so
 * near that its continuation runs into the end of the text, the draft goes on with itself. */
uint32_t ngram_draft(const struct ngram *ngram, uint32_t most, int32_t *draft);

#endif
