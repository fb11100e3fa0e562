/* vocab: reading the tokens from GGUF and finding them by text. See vocab.h. */
#include "text/vocab.h"

#include "base/memory.h"
#include "text/grow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens that end a text, a turn or a file, in the models that do not name theirs in the metadata.
 */
static const char *const end_texts[] = {
    "</s>",
    "<eos>",
    "[EOS]",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<end_of_utterance>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<reponame>",
    "<|file_sep|>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
};

/* Control tokens that some files list as text. Where one of them counts as plain or user-defined
 * text, text that is not to be looked through for special tokens would still give it. */
static const char *const control_texts[] = {
    "<|fim_prefix|>", "<fim-prefix>",   "<fim_prefix>", "<|fim_suffix|>", "<fim-suffix>",
    "<fim_suffix>",   "<|fim_middle|>", "<fim-middle>", "<fim_middle>",
};

static size_t hash(const char *text, size_t length)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return (size_t)(h ^ (h >> 32));
}

/* The slot that holds this text, or the free one where it belongs. */
static uint32_t *slot_of(const struct vocab *vocab, const char *text, size_t length)
{
    size_t mask = vocab->n_slots - 1;
    for (size_t i = hash(text, length) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &vocab->slots[i];
        if (*slot == 0)
            return slot;
        const struct vocab_text *t = &vocab->texts[*slot - 1];
        if (t->length == length && memcmp(vocab->pool + t->offset, text, length) == 0)
            return slot;
    }
}

static bool resize_slots(struct vocab *vocab, size_t n_slots)
{
    uint32_t *slots = lb_calloc(n_slots, sizeof *slots);
    if (!slots)
        return false;
    lb_free(vocab->slots);
    vocab->slots = slots;
    vocab->n_slots = n_slots;
    for (size_t i = 0; i < vocab->n_texts; i++)
        if (vocab->texts[i].length)
            *slot_of(vocab, vocab_text(vocab, (uint32_t)i), vocab->texts[i].length) =
                (uint32_t)i + 1;
    return true;
}

/* Adds a string at the end; its slot is the caller's affair. */
static bool append(struct vocab *vocab, const char *text, size_t length)
{
    if (!text_grow(&vocab->texts, &vocab->texts_room, vocab->n_texts + 1, sizeof *vocab->texts) ||
        !text_grow(&vocab->pool, &vocab->pool_room, vocab->pool_used + length, 1))
        return false;
    if (length)
        memcpy(vocab->pool + vocab->pool_used, text, length);
    vocab->texts[vocab->n_texts++] = (struct vocab_text){vocab->pool_used, length};
    vocab->pool_used += length;
    return true;
}

int32_t vocab_find(const struct vocab *vocab, const char *text, size_t length)
{
    if (length == 0 || length > vocab->longest)
        return -1;
    uint32_t slot = *slot_of(vocab, text, length);
    return slot && slot <= vocab->n_tokens ? (int32_t)(slot - 1) : -1;
}

int64_t vocab_intern(struct vocab *vocab, const char *text, size_t length)
{
    if (vocab->n_texts * 4 >= vocab->n_slots * 3 && !resize_slots(vocab, vocab->n_slots * 2))
        return -1;
    uint32_t *slot = slot_of(vocab, text, length);
    if (*slot == 0) {
        if (!append(vocab, text, length))
            return -1;
        *slot = (uint32_t)vocab->n_texts;
    }
    return (int64_t)*slot - 1;
}

int vocab_byte(const struct vocab *vocab, uint32_t id)
{
    const char *text = vocab_text(vocab, id);
    if (vocab_length(vocab, id) != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int value = 0;
    for (int i = 3; i < 5; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* *array: values of the key, of this kind, one for each token; NULL when the key is missing. */
static enum lb_status token_array(const struct vocab *vocab, const struct gguf_file *file,
                                  const char *key, enum gguf_kind kind, const char *kind_name,
                                  const void **values, struct lb_error *err)
{
    const struct gguf_pair *pair = gguf_find_pair(file, key);
    *values = NULL;
    if (!pair)
        return LB_OK;
    if (pair->kind != GGUF_ARRAY || pair->value.array.kind != kind)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: expected an array of %s", gguf_path(file), key,
                       kind_name);
    if (pair->value.array.count != vocab->n_tokens)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: %llu values for %u tokens", gguf_path(file), key,
                       (unsigned long long)pair->value.array.count, vocab->n_tokens);
    *values = pair->value.array.values;
    return LB_OK;
}

static enum lb_status read_texts(struct vocab *vocab, const struct gguf_file *file,
                                 struct lb_error *err)
{
    const char *key = "tokenizer.ggml.tokens";
    const struct gguf_pair *pair = gguf_find_pair(file, key);
    if (!pair)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s is missing", gguf_path(file), key);
    if (pair->kind != GGUF_ARRAY || pair->value.array.kind != GGUF_STRING)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: expected an array of strings", gguf_path(file),
                       key);
    const struct gguf_array *array = &pair->value.array;
    if (array->count == 0 || array->count > INT32_MAX)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: %llu tokens, expected 1 to 2147483647",
                       gguf_path(file), key, (unsigned long long)array->count);
    vocab->n_tokens = (uint32_t)array->count;
    for (uint32_t i = 0; i < vocab->n_tokens; i++) {
        const struct gguf_string *s = &array->strings[i];
        if (!append(vocab, s->text, s->length))
            return lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
        if (s->length > vocab->longest)
            vocab->longest = s->length;
    }
    size_t n_slots = 64;
    while (n_slots < (size_t)vocab->n_tokens * 2)
        n_slots *= 2;
    if (!resize_slots(vocab, n_slots))
        return lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
    return LB_OK;
}

static enum lb_status read_types(struct vocab *vocab, const struct gguf_file *file,
                                 struct lb_error *err)
{
    const char *key = "tokenizer.ggml.token_type";
    const void *values;
    enum lb_status status = token_array(vocab, file, key, GGUF_I32, "int32", &values, err);
    if (status != LB_OK)
        return status;
    vocab->types = lb_calloc(vocab->n_tokens, sizeof *vocab->types);
    if (!vocab->types)
        return lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
    for (uint32_t i = 0; i < vocab->n_tokens; i++) {
        int32_t type = TOKEN_NORMAL;
        if (values)
            memcpy(&type, (const char *)values + i * sizeof type, sizeof type);
        if (type < TOKEN_UNDEFINED || type > TOKEN_BYTE)
            return lb_fail(err, LB_ERR_INPUT, "%s: %s: token %u has type %d, expected 0 to 6",
                           gguf_path(file), key, i, type);
        vocab->types[i] = (uint8_t)type;
    }
    return LB_OK;
}

static enum lb_status read_scores(struct vocab *vocab, const struct gguf_file *file,
                                  struct lb_error *err)
{
    const char *key = "tokenizer.ggml.scores";
    const void *values;
    enum lb_status status = token_array(vocab, file, key, GGUF_F32, "float32", &values, err);
    if (status != LB_OK)
        return status;
    vocab->scores = lb_calloc(vocab->n_tokens, sizeof *vocab->scores);
    if (!vocab->scores)
        return lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
    if (values)
        memcpy(vocab->scores, values, vocab->n_tokens * sizeof *vocab->scores);
    for (uint32_t i = 0; i < vocab->n_tokens; i++)
        if (isnan(vocab->scores[i]))
            return lb_fail(err, LB_ERR_INPUT, "%s: %s: the score of token %u is not a number",
                           gguf_path(file), key, i);
    return LB_OK;
}

static enum lb_status read_id(const struct vocab *vocab, const struct gguf_file *file,
                              const char *key, int32_t *id, struct lb_error *err)
{
    uint32_t value = UINT32_MAX;
    if (*id >= 0 && (uint32_t)*id >= vocab->n_tokens)
        *id = -1;
    enum lb_status status = gguf_get_u32(file, key, false, &value, err);
    if (status != LB_OK || value == UINT32_MAX)
        return status;
    if (value >= vocab->n_tokens)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: %u, expected a token below %u", gguf_path(file),
                       key, value, vocab->n_tokens);
    *id = (int32_t)value;
    return LB_OK;
}

static enum lb_status read_ends(struct vocab *vocab, const struct gguf_file *file,
                                struct lb_error *err)
{
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    vocab->ends = lb_calloc(vocab->n_tokens, sizeof *vocab->ends);
    if (!vocab->ends)
        return lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
    if (vocab->eos >= 0)
        vocab->ends[vocab->eos] = true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int32_t id = -1;
        enum lb_status status = read_id(vocab, file, keys[i], &id, err);
        if (status != LB_OK)
            return status;
        if (id >= 0)
            vocab->ends[id] = true;
    }
    for (size_t i = 0; i < sizeof end_texts / sizeof *end_texts; i++) {
        int32_t id = vocab_find(vocab, end_texts[i], strlen(end_texts[i]));
        if (id >= 0) {
            vocab->ends[id] = true;
            vocab->types[id] = TOKEN_CONTROL; /* some converters mark it as plain text */
        }
    }
    for (size_t i = 0; i < sizeof control_texts / sizeof *control_texts; i++) {
        int32_t id = vocab_find(vocab, control_texts[i], strlen(control_texts[i]));
        if (id >= 0)
            vocab->types[id] = TOKEN_CONTROL;
    }
    return LB_OK;
}

/* qsort gets no context: what decides travels with the id. */
struct sortable {
    size_t length;
    uint32_t id;
};

static int longest_first(const void *a, const void *b)
{
    const struct sortable *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum lb_status collect_special(struct vocab *vocab, struct lb_error *err)
{
    struct sortable *found = NULL;
    size_t n = 0, room = 0;
    for (uint32_t i = 0; i < vocab->n_tokens; i++) {
        uint8_t type = vocab->types[i];
        if ((type != TOKEN_CONTROL && type != TOKEN_USER_DEFINED && type != TOKEN_UNKNOWN) ||
            vocab_length(vocab, i) == 0)
            continue;
        if (!text_grow(&found, &room, n + 1, sizeof *found))
            goto fail;
        found[n++] = (struct sortable){vocab_length(vocab, i), i};
    }
    vocab->special = lb_calloc(n, sizeof *vocab->special);
    if (!vocab->special)
        goto fail;
    if (n)
        qsort(found, n, sizeof *found, longest_first);
    for (size_t i = 0; i < n; i++)
        vocab->special[i] = found[i].id;
    vocab->n_special = n;
    lb_free(found);
    return LB_OK;
fail:
    lb_free(found);
    return lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
}

enum lb_status vocab_open(struct vocab *vocab, const struct gguf_file *file,
                          struct vocab_defaults defaults, struct lb_error *err)
{
    enum lb_status s;
    vocab->bos = defaults.bos;
    vocab->eos = defaults.eos;
    vocab->unknown = defaults.unknown;
    if ((s = read_texts(vocab, file, err)) != LB_OK ||
        (s = read_types(vocab, file, err)) != LB_OK ||
        (s = read_scores(vocab, file, err)) != LB_OK ||
        (s = read_id(vocab, file, "tokenizer.ggml.bos_token_id", &vocab->bos, err)) != LB_OK ||
        (s = read_id(vocab, file, "tokenizer.ggml.eos_token_id", &vocab->eos, err)) != LB_OK ||
        (s = read_id(vocab, file, "tokenizer.ggml.unknown_token_id", &vocab->unknown, err)) !=
            LB_OK ||
        (s = read_ends(vocab, file, err)) != LB_OK)
        return s;
    return collect_special(vocab, err);
}

void vocab_close(struct vocab *vocab)
{
    lb_free(vocab->types);
    lb_free(vocab->scores);
    lb_free(vocab->ends);
    lb_free(vocab->special);
    lb_free(vocab->texts);
    lb_free(vocab->pool);
    lb_free(vocab->slots);
    memset(vocab, 0, sizeof *vocab);
}
