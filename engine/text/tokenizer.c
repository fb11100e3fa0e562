/*
 * tokenizer: opening a vocabulary, and text to ids. See tokenizer.h.
 *
 * Encoding: (1) special tokens are looked for in the text, the longest first, and cut it into
 * pieces; (2) each piece goes through SPM or BPE.
 */
#include "text/tokenizer.h"

#include "base/memory.h"
#include "text/tokenizer_impl.h"

#include <string.h>

enum lb_status tokenizer_open(const struct gguf_file *file, struct tokenizer **tokenizer,
                              struct lb_error *err)
{
    const char *model = "";
    *tokenizer = NULL;
    enum lb_status s = gguf_get_text(file, "tokenizer.ggml.model", true, &model, err);
    if (s != LB_OK)
        return s;
    bool bpe = strcmp(model, "gpt2") == 0;
    if (!bpe && strcmp(model, "llama") != 0)
        return lb_fail(err, LB_ERR_UNSUPPORTED,
                       "%s: tokenizer.ggml.model: unknown model '%s', expected llama or gpt2",
                       gguf_path(file), model);
    struct tokenizer *t = lb_calloc(1, sizeof *t);
    if (!t)
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    struct vocab_defaults defaults = {-1, -1, -1};
    if (!bpe)
        defaults = (struct vocab_defaults){.bos = 1, .eos = 2, .unknown = 0};
    s = vocab_open(&t->vocab, file, defaults, err);
    if (s == LB_OK && bpe)
        s = bpe_open(file, &t->vocab, &t->bpe, err);
    if (s == LB_OK) {
        t->add_bos = bpe ? bpe_adds_bos(t->bpe) : true;
        s = gguf_get_bool(file, "tokenizer.ggml.add_bos_token", false, &t->add_bos, err);
    }
    if (s == LB_OK && !bpe) {
        spm_open(&t->spm, &t->vocab);
        t->space_prefix = true;
        s = gguf_get_bool(file, "tokenizer.ggml.add_space_prefix", false, &t->space_prefix, err);
    }
    if (s == LB_OK && t->add_bos && t->vocab.bos < 0)
        s = lb_fail(err, LB_ERR_INPUT,
                    "%s: tokenizer.ggml.bos_token_id is missing, and the model wants BOS",
                    gguf_path(file));
    if (s != LB_OK) {
        tokenizer_close(t);
        return s;
    }
    *tokenizer = t;
    return LB_OK;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    bpe_close(tokenizer->bpe);
    vocab_close(&tokenizer->vocab);
    lb_free(tokenizer);
}

const char *tokenizer_note(const struct gguf_file *file)
{
    const char *model = "";
    struct lb_error ignored = LB_ERROR_INIT;
    gguf_get_text(file, "tokenizer.ggml.model", false, &model, &ignored);
    if (strcmp(model, "gpt2") != 0 || gguf_find_pair(file, "tokenizer.ggml.pre"))
        return "";
    return "key 'tokenizer.ggml.pre' is missing: text is cut into words in the 'default' way, "
           "perhaps not as the model was trained";
}

uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.n_tokens;
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.bos;
}

int32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.eos;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->add_bos;
}

bool tokenizer_ends(const struct tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (uint32_t)id < tokenizer->vocab.n_tokens && tokenizer->vocab.ends[id];
}

/* ---- special tokens ---- */

struct piece {
    size_t start, length;
    int32_t id; /* of a special token; -1: plain text */
};

struct piece_list {
    struct piece *pieces;
    size_t count, room;
};

static bool add_piece(struct piece_list *list, size_t start, size_t length, int32_t id)
{
    if (length == 0)
        return true;
    if (!text_grow(&list->pieces, &list->room, list->count + 1, sizeof *list->pieces))
        return false;
    list->pieces[list->count++] = (struct piece){start, length, id};
    return true;
}

/* The plain pieces of `in`, cut wherever the token's text stands. */
static bool cut_out(const struct vocab *vocab, uint32_t id, const char *text,
                    const struct piece_list *in, struct piece_list *out)
{
    const char *needle = vocab_text(vocab, id);
    size_t n = vocab_length(vocab, id);
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        size_t at = in->pieces[i].start, end = at + in->pieces[i].length;
        const char *found;
        while (in->pieces[i].id < 0 && (found = memmem(text + at, end - at, needle, n))) {
            size_t where = (size_t)(found - text);
            if (!add_piece(out, at, where - at, -1) || !add_piece(out, where, n, (int32_t)id))
                return false;
            at = where + n;
        }
        if (!add_piece(out, at, end - at, in->pieces[i].id))
            return false;
    }
    return true;
}

/* *pieces is allocated by this call, on error too. */
static bool partition(const struct vocab *vocab, const char *text, size_t length, bool special,
                      struct piece_list *pieces)
{
    struct piece_list cut = {0};
    bool good = add_piece(pieces, 0, length, -1);
    for (size_t i = 0; i < vocab->n_special && good; i++) {
        uint32_t id = vocab->special[i];
        if (!special && vocab->types[id] != TOKEN_USER_DEFINED)
            continue;
        if (!memmem(text, length, vocab_text(vocab, id), vocab_length(vocab, id)))
            continue;
        good = cut_out(vocab, id, text, pieces, &cut);
        struct piece_list swap = *pieces;
        *pieces = cut;
        cut = swap;
    }
    lb_free(cut.pieces);
    return good;
}

enum lb_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                                struct tokenizer_options options, int32_t **ids, size_t *count,
                                struct lb_error *err)
{
    const struct vocab *vocab = &tokenizer->vocab;
    struct piece_list pieces = {0};
    struct id_list list = {0};
    enum lb_status status = LB_OK;
    *ids = NULL;
    *count = 0;
    /* offsets are 32 bits wide, and a space may take three bytes */
    if (length > INT32_MAX / 3)
        return lb_fail(err, LB_ERR_INPUT, "text of %zu bytes: expected at most %d", length,
                       INT32_MAX / 3);
    if (!partition(vocab, text, length, options.special, &pieces))
        status = lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    if (status == LB_OK && options.bos && tokenizer->add_bos)
        status = id_list_add(&list, vocab->bos, err);
    for (size_t i = 0; i < pieces.count && status == LB_OK; i++) {
        const struct piece *p = &pieces.pieces[i];
        bool after_text = i > 0 && pieces.pieces[i - 1].id < 0;
        if (p->id >= 0)
            status = id_list_add(&list, p->id, err);
        else if (tokenizer->bpe)
            status = bpe_encode(tokenizer->bpe, vocab, text + p->start, p->length, &list, err);
        else
            status = spm_encode(&tokenizer->spm, vocab, text + p->start, p->length,
                                tokenizer->space_prefix && !after_text, &list, err);
    }
    lb_free(pieces.pieces);
    /* an empty text too gives a block that lb_free takes */
    if (status == LB_OK && !text_grow(&list.ids, &list.room, 1, sizeof *list.ids))
        status = lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    if (status != LB_OK) {
        lb_free(list.ids);
        return status;
    }
    *ids = list.ids;
    *count = list.count;
    return LB_OK;
}
