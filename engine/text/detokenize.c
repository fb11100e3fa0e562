/*
 * detokenize: ids to text, one token at a time. See tokenizer.h.
 *
 * A token gives bytes; bytes are held back until they are a whole character. Bytes that can never
 * become one are given out as U+FFFD, one for each maximal part of a character (the practice that
 * the Unicode Standard recommends).
 */
#include "text/tokenizer_impl.h"
#include "text/utf8.h"

#include <assert.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define SPACE_MARK  "\xe2\x96\x81"

struct writer {
    struct tokenizer_stream stream;
    char *out;
    size_t size, length;
};

static void put(struct writer *w, const char *text, size_t n)
{
    /* once it does not fit nothing more is written: the caller will come again */
    if (w->length + n < w->size)
        memcpy(w->out + w->length, text, n);
    w->length += n;
}

/* Gives out what is whole or hopeless; with `flush` also what is incomplete. */
static void drain(struct writer *w, bool flush)
{
    struct tokenizer_stream *s = &w->stream;
    while (s->n_held > 0) {
        struct utf8_step step = utf8_next((char *)s->held, (size_t)s->n_held);
        if (step.kind == UTF8_INCOMPLETE && !flush)
            return;
        if (step.kind == UTF8_CHARACTER)
            put(w, (char *)s->held, step.length);
        else
            put(w, REPLACEMENT, strlen(REPLACEMENT));
        s->n_held -= (int)step.length;
        memmove(s->held, s->held + step.length, (size_t)s->n_held);
    }
}

static void put_byte(struct writer *w, unsigned char byte)
{
    assert(w->stream.n_held < (int)sizeof w->stream.held);
    w->stream.held[w->stream.n_held++] = byte;
    drain(w, false);
}

static void put_bytes(struct writer *w, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_byte(w, (unsigned char)text[i]);
}

/* SPM: marks are spaces; the first piece loses the space that encoding put there. */
static void put_spm(struct writer *w, const char *text, size_t n, bool first)
{
    for (size_t i = 0; i < n; i++) {
        bool mark = n - i >= 3 && memcmp(text + i, SPACE_MARK, 3) == 0;
        bool space = mark || text[i] == ' ';
        if (!(space && first && i == 0))
            put_byte(w, mark ? ' ' : (unsigned char)text[i]);
        if (mark)
            i += 2;
    }
}

/* BPE: characters of the byte alphabet are bytes; others are themselves. */
static void put_bpe(struct writer *w, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        struct utf8_step step = utf8_next(text + i, n - i);
        const unsigned char *s = (const unsigned char *)text + i;
        int byte = -1;
        if (step.kind == UTF8_CHARACTER && step.length <= 2)
            byte = bpe_byte(step.length == 1 ? s[0] : (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu));
        if (byte >= 0)
            put_byte(w, (unsigned char)byte);
        else
            put_bytes(w, text + i, step.length);
        i += step.length;
    }
}

static void put_token(struct writer *w, const struct tokenizer *tokenizer, uint32_t id)
{
    const struct vocab *vocab = &tokenizer->vocab;
    const char *text = vocab_text(vocab, id);
    size_t n = vocab_length(vocab, id);
    int byte;
    bool first = !w->stream.started && tokenizer->space_prefix;
    switch ((enum token_type)vocab->types[id]) {
    case TOKEN_CONTROL:
    case TOKEN_UNKNOWN:
    case TOKEN_UNUSED:
        return;
    case TOKEN_USER_DEFINED:
        put_bytes(w, text, n);
        break;
    case TOKEN_BYTE:
        byte = vocab_byte(vocab, id);
        if (byte >= 0)
            put_byte(w, (unsigned char)byte);
        break;
    case TOKEN_NORMAL:
    case TOKEN_UNDEFINED:
        if (tokenizer->bpe)
            put_bpe(w, text, n);
        else
            put_spm(w, text, n, first);
        break;
    }
    w->stream.started = true;
}

size_t tokenizer_decode(const struct tokenizer *tokenizer, struct tokenizer_stream *stream,
                        int32_t id, char *out, size_t size)
{
    struct writer w = {*stream, out, size, 0};
    if (id >= 0 && (uint32_t)id < tokenizer->vocab.n_tokens)
        put_token(&w, tokenizer, (uint32_t)id);
    else
        drain(&w, true);
    if (w.length < size) {
        out[w.length] = '\0';
        *stream = w.stream;
    }
    return w.length;
}
