/*
 * fuzz: text to tokens and back, with vocabularies of every kind of pre-tokenizer and a
 * SentencePiece-like one. The first byte says which and how. What is well-formed UTF-8 comes back
 * as it was (without special tokens, and but for SPM's spaces).
 */
#include "engine.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/fuzz_input.h"
#include "tests/temporary.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

enum { KINDS = 24 };

static struct tokenizer *tokenizers[KINDS];
static size_t n_tokenizers, n_bpe;

/* The character that stands for a byte in BPE vocabularies: itself where it is printable Latin-1,
 * else U+0100 and on, in order. */
static void byte_text(int byte, char text[4])
{
    uint32_t c = 0x100, plain = 0;
    for (int b = 0; b <= byte; b++) {
        plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (!plain && b < byte)
            c++;
    }
    c = plain ? (uint32_t)byte : c;
    if (c < 0x80) {
        snprintf(text, 4, "%c", (int)c);
        return;
    }
    snprintf(text, 4, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
}

static void open_tokenizer(const char *model, const char *pre, const char *const *texts, size_t n,
                           const float *scores, const int32_t *types)
{
    static const char *const merges[] = {"h e",        "l l", "he ll", "hell o",
                                         "\xc4\xa0 w", "1 2", "12 3"};
    char path[TEMPORARY_PATH];
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_writer *w;
    struct gguf_file *file;
    temporary_path(path);
    FUZZ_CHECK(gguf_writer_open(path, &w, &err) == LB_OK);
    gguf_writer_put_text(w, "general.architecture", "llama");
    gguf_writer_put_text(w, "tokenizer.ggml.model", model);
    if (pre)
        gguf_writer_put_text(w, "tokenizer.ggml.pre", pre);
    gguf_writer_put_texts(w, "tokenizer.ggml.tokens", texts, n);
    gguf_writer_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, n);
    gguf_writer_put_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, n);
    if (pre)
        gguf_writer_put_texts(w, "tokenizer.ggml.merges", merges, sizeof merges / sizeof *merges);
    gguf_writer_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    FUZZ_CHECK(gguf_writer_finish(w, &err) == LB_OK);
    FUZZ_CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK);
    FUZZ_CHECK(tokenizer_open(file, &tokenizers[n_tokenizers++], &err) == LB_OK);
    gguf_close(file);
    unlink(path);
}

static void open_all(void)
{
    static const char *const pres[] = {
        "default",        "gpt-2",  "llama-bpe", "dbrx",   "qwen2",    "starcoder", "falcon",
        "deepseek-coder", "tekken", "gpt-4o",    "viking", "minicpm5", "seed-coder"};
    static char bytes[256][8];
    const char *texts[300];
    float scores[300] = {0};
    int32_t types[300];
    size_t n = 0;
    for (int i = 0; i < 300; i++)
        types[i] = 1;
    texts[n++] = "<unk>";
    texts[n++] = "<s>";
    texts[n++] = "</s>";
    texts[n++] = "[USER]";
    types[0] = 2;
    types[1] = types[2] = 3;
    types[3] = 4;
    for (int i = 0; i < 256; i++) {
        byte_text(i, bytes[i]);
        texts[n++] = bytes[i];
    }
    static const char *const joined[] = {"he", "ll", "hell", "hello", "\xc4\xa0w", "12", "123"};
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
        texts[n++] = joined[i];
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++)
        open_tokenizer("gpt2", pres[i], texts, n, scores, types);
    n_bpe = n_tokenizers;
    for (int i = 0; i < 256; i++) {
        snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", (unsigned)i);
        types[4 + i] = 6;
    }
    static const char *const pieces[] = {
        "\xe2\x96\x81", "he", "ll", "o", "hello", "\xe2\x96\x81h", "\xe2\x96\x81\xe2\x96\x81"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        texts[260 + i] = pieces[i];
        scores[260 + i] = -(float)i;
    }
    open_tokenizer("llama", NULL, texts, 267, scores, types);
}

static bool well_formed(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        struct utf8_step step = utf8_next(text + i, n - i);
        if (step.kind != UTF8_CHARACTER)
            return false;
        i += step.length;
    }
    return true;
}

static char *decode(const struct tokenizer *t, const int32_t *ids, size_t n, size_t *length)
{
    struct tokenizer_stream stream = {.n_held = 0};
    size_t room = 64;
    char *out = malloc(room);
    *length = 0;
    for (size_t i = 0; i <= n; i++) {
        int32_t id = i < n ? ids[i] : -1;
        size_t need = tokenizer_decode(t, &stream, id, out + *length, room - *length);
        if (need >= room - *length) {
            room = *length + need + 64;
            out = realloc(out, room);
            FUZZ_CHECK(out);
            FUZZ_CHECK(tokenizer_decode(t, &stream, id, out + *length, room - *length) == need);
        }
        *length += need;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (n_tokenizers == 0)
        open_all();
    if (size < 1 || size > 4096)
        return 0;
    size_t which = (data[0] & 31) % n_tokenizers;
    struct tokenizer_options options = {.bos = data[0] & 32, .special = data[0] & 64};
    struct lb_error err = LB_ERROR_INIT;
    char *text = malloc(size);
    size_t length = size - 1, n, back_length;
    int32_t *ids;
    memcpy(text, data + 1, length);
    enum lb_status status =
        tokenizer_encode(tokenizers[which], text, length, options, &ids, &n, &err);
    fuzz_check_error(status, &err);
    if (status == LB_OK) {
        for (size_t i = 0; i < n; i++)
            FUZZ_CHECK(ids[i] >= 0 && (uint32_t)ids[i] < tokenizer_vocab_size(tokenizers[which]));
        char *back = decode(tokenizers[which], ids, n, &back_length);
        if (which < n_bpe && !options.special && well_formed(text, length))
            FUZZ_CHECK(back_length == length && memcmp(back, text, length) == 0);
        free(back);
        lb_release(ids);
    }
    free(text);
    return 0;
}
