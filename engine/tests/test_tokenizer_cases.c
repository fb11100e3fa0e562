/*
 * tokenizer on real vocabularies: the recorded cases of four of them, encoding and decoding; texts
 * that stress what the recorded cases leave out; a million times the same letter.
 */
#include "base/memory.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/check.h"
#include "text/tokenizer.h"

static const char *shared;

static struct tokenizer *open_tokenizer(const char *path)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    struct tokenizer *t = NULL;
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    if (err.code != LB_OK)
        return NULL;
    CHECK(tokenizer_open(file, &t, &err) == LB_OK, "%s", err.text);
    gguf_close(file);
    return t;
}

static struct tokenizer *open_vocabulary(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/vocab/ggml-vocab-%s.gguf", shared, name);
    return open_tokenizer(path);
}

static char *read_file(const char *name, const char *ending, size_t *length)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/vocab/ggml-vocab-%s.gguf.%s", shared, name, ending);
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL, "%s", path);
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 20);
    *length = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

static int32_t *encode(const struct tokenizer *t, const char *text, size_t length, size_t *count)
{
    struct lb_error err = LB_ERROR_INIT;
    struct tokenizer_options options = {0};
    int32_t *ids;
    CHECK(tokenizer_encode(t, text, length, options, &ids, count, &err) == LB_OK, "%s", err.text);
    return ids;
}

/* decode(encode(text)) = text */
static void check_round_trip(const struct tokenizer *t, const char *name, const char *text,
                             size_t length, const int32_t *ids, size_t count)
{
    struct tokenizer_stream stream = {0};
    char *back = calloc(1, length + 64);
    size_t n = 0;
    for (size_t i = 0; i <= count && n < length + 32; i++)
        n += tokenizer_decode(t, &stream, i < count ? ids[i] : -1, back + n, length + 64 - n);
    CHECK(n == length && memcmp(back, text, length) == 0, "%s: '%.*s' comes back as '%s'", name,
          (int)(length < 200 ? length : 200), text, back);
    free(back);
}

static void check_ids(const struct tokenizer *t, const char *name, const char *text, size_t length,
                      const char *expected)
{
    size_t count = 0, at = 0;
    int32_t *ids = encode(t, text, length, &count);
    char *got = calloc(1, count * 12 + 2);
    for (size_t i = 0; i < count; i++)
        at += (size_t)sprintf(got + at, " %d", ids[i]);
    while (*expected == ' ')
        expected++;
    CHECK(strcmp(count ? got + 1 : got, expected) == 0, "%s: '%.*s': got '%s', expected '%s'", name,
          (int)length, text, got, expected);
    check_round_trip(t, name, text, length, ids, count);
    free(got);
    lb_free(ids);
}

static void recorded_cases(const char *name)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    struct tokenizer *t = open_vocabulary(name);
    size_t n_in = 0, n_out = 0;
    char *in = read_file(name, "inp", &n_in), *out = read_file(name, "out", &n_out);
    int cases = 0;
    char *line = out;
    for (char *text = in, *end; t && in && out && (end = strstr(text, separator)); cases++) {
        char *line_end = strchr(line, '\n');
        CHECK(line_end != NULL, "%s: no line of ids for case %d", name, cases);
        if (!line_end)
            break;
        *line_end = '\0';
        check_ids(t, name, text, (size_t)(end - text), line);
        line = line_end + 1;
        text = end + strlen(separator);
    }
    CHECK(cases >= 40, "%s: %d cases", name, cases);
    free(in);
    free(out);
    tokenizer_close(t);
}

/* Ids by hand: from the merges of the vocabulary and the definition of its pre-tokenizer. */
static void further_cases(void)
{
    struct tokenizer *llama3 = open_vocabulary("llama-bpe"), *qwen2 = open_vocabulary("qwen2");
    struct tokenizer *gpt2 = open_vocabulary("gpt-2"), *spm = open_vocabulary("llama-spm");
    if (llama3 && qwen2 && gpt2 && spm) {
        check_ids(llama3, "nul", "\0", 1, "188");
        check_ids(gpt2, "nul", "\0\0", 2, "188 188");
        check_ids(spm, "nul", "\0", 1, "29871 3");
        check_ids(spm, "byte name", "<0x0A>", 6, "529 29900 29916 29900 29909 29958");
        check_ids(spm, "end name", "</s>", 4, "1533 29879 29958");
        check_ids(llama3, "digits", "1234567", 7, "4513 10961 22");
        check_ids(qwen2, "digits", "1234", 4, "16 17 18 19");
        check_ids(llama3, "look-ahead", "a   b", 5, "64 256 293");
        check_ids(llama3, "newlines", "a \n\n  b", 7, "64 4815 220 293");
        check_ids(gpt2, "upper case", "I'LL", 4, "40 6 3069");
        check_ids(llama3, "upper case", "I'LL", 4, "40 6 4178");
        CHECK(tokenizer_bos(llama3) == 128000 && tokenizer_eos(llama3) == 128001);
        CHECK(tokenizer_adds_bos(llama3) && tokenizer_adds_bos(spm));
        CHECK(!tokenizer_adds_bos(gpt2) && !tokenizer_adds_bos(qwen2));
        CHECK(tokenizer_ends(llama3, 128001) && tokenizer_ends(llama3, 128009));
        CHECK(!tokenizer_ends(llama3, 128000) && !tokenizer_ends(llama3, -1));
        CHECK(tokenizer_ends(qwen2, 151643) && tokenizer_ends(qwen2, 151645));
        CHECK(tokenizer_ends(spm, 2) && !tokenizer_ends(spm, 1) && !tokenizer_ends(spm, 1 << 30));
        CHECK(tokenizer_vocab_size(gpt2) == 50257 && tokenizer_ends(gpt2, 50256));
    }
    tokenizer_close(llama3);
    tokenizer_close(qwen2);
    tokenizer_close(gpt2);
    tokenizer_close(spm);
}

/* A megabyte of letters and of spaces, less of other units; seconds would mean that the work grows
 * faster than the text. */
static void long_texts(const char *name)
{
    static const struct {
        const char *unit, *tail;
    } texts[] = {{"a", ""},    {" ", ""},     {" ", "x"},  {"\n", ""},
                 {" \n", ""},  {"7", ""},     {"!", ""},   {"\xe6\x88\x91", ""},
                 {"\xff", ""}, {"a\xe2", ""}, {"' ", "s"}, {"\xcc\x81", ""}};
    struct tokenizer *t = open_vocabulary(name);
    char *text = calloc(1, 1000016);
    for (size_t i = 0; t && i < sizeof texts / sizeof *texts; i++) {
        size_t unit = strlen(texts[i].unit), n = 0, count = 0;
        size_t size = i < 2 ? 1000000 : 100000;
        for (; n + unit <= size; n += unit)
            memcpy(text + n, texts[i].unit, unit);
        memcpy(text + n, texts[i].tail, strlen(texts[i].tail));
        n += strlen(texts[i].tail);
        int32_t *ids = encode(t, text, n, &count);
        CHECK(count > n / 1000 && count <= n + 1, "%s: %zu tokens for many of '%s'", name, count,
              texts[i].unit);
        if ((unsigned char)texts[i].unit[unit - 1] < 0xC0)
            check_round_trip(t, name, text, n, ids, count);
        lb_free(ids);
    }
    free(text);
    tokenizer_close(t);
}

static void stories(void)
{
    static const int32_t expected[] = {1, 403, 407, 261, 378};
    char path[4096];
    snprintf(path, sizeof path, "%s/models/stories260K.gguf", shared);
    struct tokenizer *t = open_tokenizer(path);
    struct tokenizer_options options = {.bos = true};
    struct lb_error err = LB_ERROR_INIT;
    int32_t *ids = NULL;
    size_t count = 0;
    if (t) {
        CHECK(tokenizer_encode(t, "Once upon a time", 16, options, &ids, &count, &err) == LB_OK);
        CHECK(count == 5 && memcmp(ids, expected, sizeof expected) == 0);
        lb_free(ids);
    }
    tokenizer_close(t);
}

int main(void)
{
    static const char *const names[] = {"gpt-2", "llama-bpe", "llama-spm", "qwen2"};
    shared = check_shared();
    if (!shared)
        check_skip("no folder with test vocabularies beside the checkout");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        recorded_cases(names[i]);
        long_texts(names[i]);
    }
    further_cases();
    stories();
    return check_done();
}
