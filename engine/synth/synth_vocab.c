/*
 * synth_vocab: a sentencepiece vocabulary that can encode any text.
 *
 * <unk>, <s>, </s>, the 256 bytes, the printable ASCII characters, then pieces of
 * two, three and four letters, the frequent letters of English first; a piece may
 * begin with the mark of a space. Each piece is made of a shorter one and a letter,
 * so that merging by score reaches it.
 */
#include "base/memory.h"
#include "synth/synth_parts.h"

#include <stdio.h>
#include <string.h>

#define SPACE      "\xe2\x96\x81" /* U+2581 stands for a space */
#define PIECE_ROOM 8
#define LETTERS    26

enum { KIND_NORMAL = 1, KIND_UNKNOWN, KIND_CONTROL, KIND_BYTE = 6 };

struct vocabulary {
    uint32_t n, limit;
    char (*text)[PIECE_ROOM];
    const char **pieces;
    float *scores;
    int32_t *kinds;
};

static char *next(struct vocabulary *v, int32_t kind, float score)
{
    v->kinds[v->n] = kind;
    v->scores[v->n] = score;
    v->pieces[v->n] = v->text[v->n];
    return v->text[v->n++];
}

static void add_fixed(struct vocabulary *v)
{
    strcpy(next(v, KIND_UNKNOWN, 0), "<unk>");
    strcpy(next(v, KIND_CONTROL, 0), "<s>");
    strcpy(next(v, KIND_CONTROL, 0), "</s>");
    for (unsigned byte = 0; byte < 256; byte++)
        snprintf(next(v, KIND_BYTE, 0), PIECE_ROOM, "<0x%02X>", byte);
}

/* Scores fall with the number of the piece: short and frequent ones merge first. */
static char *next_scored(struct vocabulary *v)
{
    return next(v, KIND_NORMAL, -(float)(v->n - 259));
}

static void add_characters(struct vocabulary *v)
{
    strcpy(next_scored(v), SPACE);
    for (char c = '!'; c <= '~'; c++)
        *next_scored(v) = c;
}

/* All pieces of `length` symbols in order: first symbol the space or a letter, then letters. */
static void add_pieces(struct vocabulary *v, int length)
{
    static const char by_frequency[] = "etaoinshrdlucmfwypvbgkjqxz";
    uint32_t combinations = LETTERS + 1;
    for (int i = 1; i < length; i++)
        combinations *= LETTERS;
    for (uint32_t k = 0; k < combinations && v->n < v->limit; k++) {
        char letters[4] = "";
        uint32_t rest = k;
        for (int i = length - 1; i > 0; i--, rest /= LETTERS)
            letters[i - 1] = by_frequency[rest % LETTERS];
        char *piece = next_scored(v);
        if (rest == 0)
            snprintf(piece, PIECE_ROOM, SPACE "%s", letters);
        else
            snprintf(piece, PIECE_ROOM, "%c%s", by_frequency[rest - 1], letters);
    }
}

enum lb_status synth_put_vocabulary(struct gguf_writer *w, uint32_t n_vocab, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    struct vocabulary v = {
        .limit = n_vocab,
        .text = lb_calloc(n_vocab, sizeof *v.text),
        .pieces = lb_calloc(n_vocab, sizeof *v.pieces),
        .scores = lb_calloc(n_vocab, sizeof *v.scores),
        .kinds = lb_calloc(n_vocab, sizeof *v.kinds),
    };
    if (!v.text || !v.pieces || !v.scores || !v.kinds) {
        status = lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for the vocabulary");
        goto done;
    }
    add_fixed(&v);
    add_characters(&v);
    for (int length = 2; length <= 4; length++)
        add_pieces(&v, length);
    gguf_writer_put_text(w, "tokenizer.ggml.model", "llama");
    gguf_writer_put_text(w, "tokenizer.ggml.pre", "default");
    gguf_writer_put_texts(w, "tokenizer.ggml.tokens", v.pieces, v.n);
    gguf_writer_put_array(w, "tokenizer.ggml.scores", GGUF_F32, v.scores, v.n);
    gguf_writer_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, v.kinds, v.n);
    gguf_writer_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_writer_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    gguf_writer_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", true);
    gguf_writer_put_bool(w, "tokenizer.ggml.add_eos_token", false);
done:
    lb_free(v.text);
    lb_free(v.pieces);
    lb_free(v.scores);
    lb_free(v.kinds);
    return status;
}
