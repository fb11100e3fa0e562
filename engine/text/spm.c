/* spm: see spm.h. */
#include "text/spm.h"

#include "base/memory.h"
#include "text/token_merge.h"
#include "text/utf8.h"

#include <string.h>

#define SPACE_MARK "\xe2\x96\x81" /* U+2581, which stands for a space inside tokens */

struct encoder {
    const struct vocab *vocab;
    const char *text;
};

/* Control, unknown and byte tokens never stand for the text that they are named by. */
static int32_t find_plain(const struct vocab *vocab, const char *text, size_t length)
{
    int32_t id = vocab_find(vocab, text, length);
    if (id < 0)
        return -1;
    uint8_t type = vocab->types[id];
    return type == TOKEN_CONTROL || type == TOKEN_UNKNOWN || type == TOKEN_BYTE ? -1 : id;
}

/* A score as an integer of which a lower one is better: the bits of a float sort like the float
 * once the negative ones are turned round. */
static uint32_t order_of(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

static bool by_score(const void *ctx, const struct merge_symbol *left,
                     const struct merge_symbol *right, struct merge_pair *pair)
{
    const struct encoder *e = ctx;
    pair->id = find_plain(e->vocab, e->text + left->start, left->length + right->length);
    if (pair->id < 0)
        return false;
    pair->order = order_of(e->vocab->scores[pair->id]);
    return true;
}

/* Where in text[from, n) the next word starts, with a mark after something else; n: nowhere. */
static size_t next_word(const char *text, size_t from, size_t n)
{
    for (size_t i = from + 1; i + 3 <= n; i++)
        if (memcmp(text + i, SPACE_MARK, 3) == 0 &&
            (i < from + 3 || memcmp(text + i - 3, SPACE_MARK, 3) != 0))
            return i;
    return n;
}

void spm_open(struct spm *spm, const struct vocab *vocab)
{
    spm->words_apart = true;
    for (int i = 0; i < 256; i++)
        spm->bytes[i] = -1;
    for (uint32_t id = 0; id < vocab->n_tokens; id++) {
        int byte = vocab->types[id] == TOKEN_BYTE ? vocab_byte(vocab, id) : -1;
        if (byte >= 0)
            spm->bytes[byte] = (int32_t)id;
        size_t n = vocab_length(vocab, id);
        if (n > 0 && next_word(vocab_text(vocab, id), 0, n) < n)
            spm->words_apart = false;
    }
}

/* A character that is no token: its bytes, or where the vocabulary lacks one the unknown token. */
static enum lb_status fall_back(const struct spm *spm, const struct vocab *vocab, const char *text,
                                size_t length, struct id_list *ids, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (size_t i = 0; i < length; i++)
        if (spm->bytes[(unsigned char)text[i]] < 0)
            return vocab->unknown < 0 ? LB_OK : id_list_add(ids, vocab->unknown, err);
    for (size_t i = 0; i < length && status == LB_OK; i++)
        status = id_list_add(ids, spm->bytes[(unsigned char)text[i]], err);
    return status;
}

/* Text with a mark for every space; *out is allocated. */
static bool mark_spaces(const char *text, size_t length, bool prefix, char **out,
                        size_t *out_length)
{
    size_t n = prefix ? 3 : 0;
    for (size_t i = 0; i < length; i++)
        n += text[i] == ' ' ? 3 : 1;
    char *p = *out = lb_calloc(n, 1);
    if (!p)
        return false;
    *out_length = n;
    if (prefix) {
        memcpy(p, SPACE_MARK, 3);
        p += 3;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ' ') {
            memcpy(p, SPACE_MARK, 3);
            p += 3;
        } else {
            *p++ = text[i];
        }
    }
    return true;
}

/* marked[begin, end): text that no token crosses the ends of. */
static enum lb_status encode_part(const struct spm *spm, const struct vocab *vocab,
                                  const char *marked, size_t begin, size_t end, struct merge *merge,
                                  struct id_list *ids, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    if (!merge_reserve(merge, end - begin))
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    merge->n_symbols = 0;
    for (size_t at = begin; at < end;) {
        struct utf8_step step = utf8_next(marked + at, end - at);
        size_t l = step.kind == UTF8_CHARACTER ? step.length : 1;
        merge_add(merge, (uint32_t)at, (uint32_t)l, find_plain(vocab, marked + at, l));
        at += l;
    }
    merge_run(merge, by_score, &(struct encoder){vocab, marked});
    for (uint32_t i = 0; i != MERGE_NONE && status == LB_OK; i = merge->symbols[i].next) {
        const struct merge_symbol *s = &merge->symbols[i];
        status = s->id >= 0 ? id_list_add(ids, s->id, err)
                            : fall_back(spm, vocab, marked + s->start, s->length, ids, err);
    }
    return status;
}

enum lb_status spm_encode(const struct spm *spm, const struct vocab *vocab, const char *text,
                          size_t length, bool prefix, struct id_list *ids, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    struct merge merge = {0};
    char *marked = NULL;
    size_t n = 0;
    if (!mark_spaces(text, length, prefix, &marked, &n))
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    for (size_t begin = 0, end; begin < n && status == LB_OK; begin = end) {
        end = spm->words_apart ? next_word(marked, begin, n) : n;
        status = encode_part(spm, vocab, marked, begin, end, &merge, ids, err);
    }
    lb_free(marked);
    merge_close(&merge);
    return status;
}
