/* bpe: see bpe.h. */
#include "text/bpe.h"

#include "base/memory.h"
#include "text/pretokenize.h"
#include "text/token_merge.h"

#include <string.h>

/* One merge: strings `left` and `right` (indices into vocab) give `joined`. */
struct rule {
    uint32_t left, right;
    uint32_t rank_plus_1; /* 0: a free slot */
    uint32_t joined;
};

struct bpe {
    struct pretokenizer *pretokenizer;
    uint32_t letters[256]; /* string of each byte's character */
    struct rule *rules;    /* hash table by (left, right) */
    size_t n_slots;        /* a power of two */
};

/* The character that stands for a byte: 0-0x20 from U+0100, 0x7F-0xA0 from U+0121, 0xAD U+0143. */
static uint32_t letter(unsigned byte)
{
    return byte <= 0x20                   ? 0x100 + byte
           : byte >= 0x7F && byte <= 0xA0 ? 0x121 + byte - 0x7F
           : byte == 0xAD                 ? 0x143
                                          : byte;
}

int bpe_byte(uint32_t character)
{
    uint32_t c = character;
    if (c >= 0x100)
        return c <= 0x120   ? (int)c - 0x100
               : c <= 0x142 ? (int)c - 0x121 + 0x7F
               : c == 0x143 ? 0xAD
                            : -1;
    return letter(c) == c ? (int)c : -1;
}

static enum lb_status intern_letters(struct bpe *bpe, struct vocab *vocab, struct lb_error *err)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t c = letter(byte);
        char text[2] = {(char)c};
        size_t length = 1;
        if (c >= 0x80) {
            text[0] = (char)(0xC0 | c >> 6);
            text[1] = (char)(0x80 | (c & 0x3F));
            length = 2;
        }
        int64_t id = vocab_intern(vocab, text, length);
        if (id < 0)
            return lb_fail(err, LB_ERR_NOMEM, "merges: out of memory");
        bpe->letters[byte] = (uint32_t)id;
    }
    return LB_OK;
}

static struct rule *rule_slot(const struct bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t mask = bpe->n_slots - 1;
    for (size_t i = (size_t)(h >> 32) & mask;; i = (i + 1) & mask) {
        struct rule *r = &bpe->rules[i];
        if (r->rank_plus_1 == 0 || (r->left == left && r->right == right))
            return r;
    }
}

/* A merge is two strings with a space between; of equal ones the first counts. */
static enum lb_status add_rule(struct bpe *bpe, struct vocab *vocab, const struct gguf_string *text,
                               uint32_t rank, char *joined, struct lb_error *err)
{
    const char *gap = text->length > 2 ? memchr(text->text + 1, ' ', text->length - 1) : NULL;
    if (!gap || gap == text->text + text->length - 1)
        return lb_fail(err, LB_ERR_INPUT,
                       "tokenizer.ggml.merges: merge %u: expected two strings with a space between",
                       rank);
    size_t left_length = (size_t)(gap - text->text), right_length = text->length - left_length - 1;
    memcpy(joined, text->text, left_length);
    memcpy(joined + left_length, gap + 1, right_length);
    int64_t left = vocab_intern(vocab, joined, left_length);
    int64_t right = left < 0 ? -1 : vocab_intern(vocab, gap + 1, right_length);
    int64_t both = right < 0 ? -1 : vocab_intern(vocab, joined, left_length + right_length);
    if (both < 0)
        return lb_fail(err, LB_ERR_NOMEM, "merges: out of memory");
    struct rule *slot = rule_slot(bpe, (uint32_t)left, (uint32_t)right);
    if (slot->rank_plus_1 == 0)
        *slot = (struct rule){(uint32_t)left, (uint32_t)right, rank + 1, (uint32_t)both};
    return LB_OK;
}

static enum lb_status read_rules(struct bpe *bpe, struct vocab *vocab, const struct gguf_file *file,
                                 struct lb_error *err)
{
    const char *key = "tokenizer.ggml.merges";
    const struct gguf_pair *pair = gguf_find_pair(file, key);
    if (!pair)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s is missing", gguf_path(file), key);
    const struct gguf_array *array = &pair->value.array;
    if (pair->kind != GGUF_ARRAY || array->kind != GGUF_STRING || array->count > INT32_MAX)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: expected an array of strings", gguf_path(file),
                       key);
    size_t longest = 0;
    for (uint64_t i = 0; i < array->count; i++)
        if (array->strings[i].length > longest)
            longest = array->strings[i].length;
    bpe->n_slots = 64;
    while (bpe->n_slots * 3 < array->count * 4)
        bpe->n_slots *= 2;
    bpe->rules = lb_calloc(bpe->n_slots, sizeof *bpe->rules);
    char *joined = lb_calloc(longest, 1);
    enum lb_status status = LB_OK;
    if (!bpe->rules || !joined)
        status = lb_fail(err, LB_ERR_NOMEM, "merges: out of memory");
    for (uint64_t i = 0; i < array->count && status == LB_OK; i++)
        status = add_rule(bpe, vocab, &array->strings[i], (uint32_t)i, joined, err);
    lb_free(joined);
    return status;
}

enum lb_status bpe_open(const struct gguf_file *file, struct vocab *vocab, struct bpe **bpe,
                        struct lb_error *err)
{
    const char *pre = "default";
    *bpe = NULL;
    enum lb_status status = gguf_get_text(file, "tokenizer.ggml.pre", false, &pre, err);
    if (status != LB_OK)
        return status;
    struct bpe *b = lb_calloc(1, sizeof *b);
    if (!b)
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    if ((status = pretokenizer_open(pre, &b->pretokenizer, err)) != LB_OK ||
        (status = intern_letters(b, vocab, err)) != LB_OK ||
        (status = read_rules(b, vocab, file, err)) != LB_OK) {
        bpe_close(b);
        return status;
    }
    *bpe = b;
    return LB_OK;
}

void bpe_close(struct bpe *bpe)
{
    if (!bpe)
        return;
    pretokenizer_close(bpe->pretokenizer);
    lb_free(bpe->rules);
    lb_free(bpe);
}

bool bpe_adds_bos(const struct bpe *bpe)
{
    return pretokenizer_traits(bpe->pretokenizer).add_bos;
}

static bool by_rank(const void *ctx, const struct merge_symbol *left,
                    const struct merge_symbol *right, struct merge_pair *pair)
{
    const struct rule *rule = rule_slot(ctx, (uint32_t)left->id, (uint32_t)right->id);
    if (rule->rank_plus_1 == 0)
        return false;
    pair->order = rule->rank_plus_1;
    pair->id = (int32_t)rule->joined;
    return true;
}

/* What one call of encode needs. */
struct encoder {
    const struct bpe *bpe;
    const struct vocab *vocab;
    struct pretokenizer_scratch scratch;
    struct merge merge;
    char *written; /* a word in the byte alphabet, at most as long as the longest token */
};

/* The token that is this whole word, or -1. */
static int32_t whole_word(const struct encoder *e, const char *word, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t l = e->bpe->letters[(unsigned char)word[i]];
        if (n + vocab_length(e->vocab, l) > e->vocab->longest)
            return -1;
        memcpy(e->written + n, vocab_text(e->vocab, l), vocab_length(e->vocab, l));
        n += vocab_length(e->vocab, l);
    }
    return vocab_find(e->vocab, e->written, n);
}

/* A string that is no token: its bytes, as far as they are tokens. What is not is left out, as the
 * programs that such vocabularies come from do: byte-level BPE has no use for an unknown token. */
static enum lb_status spell(const struct encoder *e, const char *word,
                            const struct merge_symbol *symbol, struct id_list *ids,
                            struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (uint32_t i = 0; i < symbol->length && status == LB_OK; i++) {
        uint32_t id = e->bpe->letters[(unsigned char)word[symbol->start + i]];
        if (id < e->vocab->n_tokens)
            status = id_list_add(ids, (int32_t)id, err);
    }
    return status;
}

static enum lb_status encode_word(struct encoder *e, const char *word, size_t length,
                                  struct id_list *ids, struct lb_error *err)
{
    struct merge *merge = &e->merge;
    if (pretokenizer_traits(e->bpe->pretokenizer).ignore_merges) {
        int32_t id = whole_word(e, word, length);
        if (id >= 0)
            return id_list_add(ids, id, err);
    }
    if (!merge_reserve(merge, length))
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    merge->n_symbols = 0;
    for (size_t i = 0; i < length; i++)
        merge_add(merge, (uint32_t)i, 1, (int32_t)e->bpe->letters[(unsigned char)word[i]]);
    merge_run(merge, by_rank, e->bpe);
    enum lb_status status = LB_OK;
    for (uint32_t i = 0; i != MERGE_NONE && status == LB_OK; i = merge->symbols[i].next) {
        const struct merge_symbol *s = &merge->symbols[i];
        status = (uint32_t)s->id < e->vocab->n_tokens ? id_list_add(ids, s->id, err)
                                                      : spell(e, word, s, ids, err);
    }
    return status;
}

enum lb_status bpe_encode(const struct bpe *bpe, const struct vocab *vocab, const char *text,
                          size_t length, struct id_list *ids, struct lb_error *err)
{
    struct encoder e = {.bpe = bpe, .vocab = vocab, .written = lb_calloc(vocab->longest, 1)};
    if (!e.written)
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    enum lb_status status = pretokenizer_split(bpe->pretokenizer, text, length, &e.scratch, err);
    size_t begin = 0;
    for (size_t i = 0; i < e.scratch.words.count && status == LB_OK; i++) {
        size_t end = e.scratch.words.ends[i];
        status = encode_word(&e, text + begin, end - begin, ids, err);
        begin = end;
    }
    pretokenizer_scratch_close(&e.scratch);
    merge_close(&e.merge);
    lb_free(e.written);
    return status;
}
