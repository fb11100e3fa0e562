/*
 * tokenizer on small vocabularies written here: both kinds against a naive implementation, special
 * tokens, damaged text, streaming, bad vocabularies, failing allocations.
 * Real vocabularies: test_tokenizer_cases.c.
 */
#include "base/memory.h"
#include "base/random.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/check.h"
#include "tests/temporary.h"
#include "text/tokenizer.h"

#include <math.h>
#include <unistd.h>

static char path[TEMPORARY_PATH];

/* ---- vocabularies ---- */

#define MAX_TOKENS 600
#define MAX_MERGES 64

struct plan {
    const char *model, *pre; /* pre NULL: no such key */
    const char *texts[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    float scores[MAX_TOKENS];
    size_t n;
    const char *merges[MAX_MERGES];
    size_t n_merges;
    char store[MAX_TOKENS][8];
};

static size_t add(struct plan *p, const char *text, int32_t type, float score)
{
    p->texts[p->n] = text;
    p->types[p->n] = type;
    p->scores[p->n] = score;
    return p->n++;
}

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };

/* <unk> <s> </s>, the bytes but 0xFF, then pieces. */
static void plan_spm(struct plan *p)
{
    memset(p, 0, sizeof *p);
    p->model = "llama";
    add(p, "<unk>", UNKNOWN, 0);
    add(p, "<s>", CONTROL, 0);
    add(p, "</s>", CONTROL, 0);
    for (int b = 0; b < 255; b++) {
        snprintf(p->store[p->n], sizeof p->store[0], "<0x%02X>", (unsigned)b);
        add(p, p->store[p->n], BYTE, 0);
    }
    static const char *const pieces[] = {"a",        "b",
                                         "c",        "\xe2\x96\x81",
                                         "ab",       "bc",
                                         "abc",      "cab",
                                         "\u2581a",  "aa",
                                         "aaa",      "aaaa",
                                         "\xc3\xa4", "ca",
                                         "bb",       "<",
                                         "/",        "s",
                                         ">",        "<s",
                                         "</",       "\xe2\x96\x81\xe2\x96\x81"};
    static const float scores[] = {-9, -9, -9, -9, -1, -2, -3, -0.5f, -2, -2, -4,
                                   -3, -9, -1, -7, -9, -9, -9, -9,    -1, -1, -5};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        add(p, pieces[i], NORMAL, scores[i]);
    add(p, "</s", NORMAL, -1); /* with ">" it would make the control token */
    add(p, "dd", NORMAL, 1);
    add(p, "de", NORMAL, 2);
    add(p, "d", NORMAL, -9);
    add(p, "e", NORMAL, -9);
    add(p, "<U>", USER, 0);
    add(p, "<U><U>", USER, 0);
    add(p, "", UNUSED, 0);
}

/* Byte-level: letters of the alphabet for every byte but 'z', then what the merges make. */
static void plan_bpe(struct plan *p, const char *pre)
{
    memset(p, 0, sizeof *p);
    p->model = "gpt2";
    p->pre = pre;
    for (unsigned b = 0; b < 256; b++) {
        unsigned c = b <= 0x20                ? 0x100 + b
                     : b >= 0x7F && b <= 0xA0 ? 0xA2 + b
                     : b == 0xAD              ? 0x143
                                              : b;
        char *s = p->store[p->n];
        snprintf(s, sizeof p->store[0], c < 0x80 ? "%c" : "%c%c", c < 0x80 ? c : 0xC0 | c >> 6,
                 0x80 | (c & 0x3F));
        add(p, b == 'z' ? "no z" : s, NORMAL, 0);
    }
    static const char *const merges[] = {"b c", "a b",  "ab c",       "a a", "aa aa", "c a",
                                         "a b", "bc a", "\xc4\xa0 a", "1 2", "12 3",  "x y"};
    static const char *const made[] = {"bc",  "ab",      "abc", "aa",  "aaaa", "ca",
                                       "bca", "\u0120a", "12",  "123", "aaab"};
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        p->merges[p->n_merges++] = merges[i];
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        add(p, made[i], NORMAL, 0);
    add(p, "<|end|>", CONTROL, 0);
    add(p, "<|user|>", USER, 0);
    add(p, "<|user|>x", USER, 0);
}

static void put_plan(struct gguf_writer *w, const struct plan *p)
{
    gguf_writer_put_text(w, "tokenizer.ggml.model", p->model);
    if (p->pre)
        gguf_writer_put_text(w, "tokenizer.ggml.pre", p->pre);
    gguf_writer_put_texts(w, "tokenizer.ggml.tokens", p->texts, p->n);
    gguf_writer_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, p->types, p->n);
    if (p->n_merges)
        gguf_writer_put_texts(w, "tokenizer.ggml.merges", p->merges, p->n_merges);
    else
        gguf_writer_put_array(w, "tokenizer.ggml.scores", GGUF_F32, p->scores, p->n);
}

static struct gguf_writer *begin_file(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_writer *w;
    CHECK(gguf_writer_open(path, &w, &err) == LB_OK, "%s", err.text);
    return w;
}

static struct gguf_file *end_file(struct gguf_writer *w)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    CHECK(gguf_writer_finish(w, &err) == LB_OK, "%s", err.text);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    return file;
}

static struct tokenizer *open_and_close(struct gguf_file *file)
{
    struct lb_error err = LB_ERROR_INIT;
    struct tokenizer *t = NULL;
    CHECK(tokenizer_open(file, &t, &err) == LB_OK, "%s", err.text);
    gguf_close(file);
    return t;
}

static struct tokenizer *open_plan(const struct plan *p)
{
    struct gguf_writer *w = begin_file();
    put_plan(w, p);
    return open_and_close(end_file(w));
}

/* ---- encoding ---- */

static int32_t *encode(const struct tokenizer *t, const char *text, size_t length,
                       struct tokenizer_options options, size_t *count)
{
    struct lb_error err = LB_ERROR_INIT;
    int32_t *ids = NULL;
    *count = 0;
    CHECK(tokenizer_encode(t, text, length, options, &ids, count, &err) == LB_OK, "%s", err.text);
    return ids;
}

/* Texts of the ids between bars, so that a failure can be read. */
static void check_pieces(const struct tokenizer *t, const struct plan *p, const char *text,
                         size_t length, struct tokenizer_options options, const char *expected)
{
    size_t count, at = 0;
    char got[1024] = "";
    int32_t *ids = encode(t, text, length, options, &count);
    for (size_t i = 0; i < count && at < sizeof got - 32; i++)
        at += (size_t)sprintf(got + at, "%s%s", i ? "|" : "", p->texts[ids[i]]);
    CHECK(strcmp(got, expected) == 0, "'%s': got '%s', expected '%s'", text, got, expected);
    lb_free(ids);
}

static void pieces(const struct tokenizer *t, const struct plan *p, const char *text,
                   const char *expected)
{
    struct tokenizer_options plain = {0};
    check_pieces(t, p, text, strlen(text), plain, expected);
}

#define SP "\xe2\x96\x81"

static void spm_pieces(void)
{
    static struct plan p;
    plan_spm(&p);
    struct tokenizer *t = open_plan(&p);
    struct tokenizer_options special = {.special = true, .bos = true}, plain = {0};
    pieces(t, &p, "", "");
    pieces(t, &p, "a", SP "a");
    pieces(t, &p, " a", SP "|" SP "a"); /* -2 comes before the -5 of two marks */
    pieces(t, &p, "cab", SP "|cab");
    pieces(t, &p, "abc", SP "|abc");
    pieces(t, &p, "x\n", SP "|<0x78>|<0x0A>");
    pieces(t, &p, "\xc3\xa4\xc3\xb6", SP "|\xc3\xa4|<0xC3>|<0xB6>");
    pieces(t, &p,
           "a\xc3"
           "b",
           SP "a|<0xC3>|b");
    pieces(t, &p, "\xff", SP "|<unk>");
    check_pieces(t, &p, "a\0b", 3, plain, SP "a|<0x00>|b");
    /* control tokens only on request, user-defined ones always, the longest first */
    pieces(t, &p, "</s>", SP "|</s|>");
    pieces(t, &p, "dde", SP "|d|de"); /* positive scores sort too */
    check_pieces(t, &p, "a</s>a", 6, special, "<s>|" SP "a|</s>|" SP "a");
    pieces(t, &p, "a<U>b<U><U>", SP "a|<U>|" SP "|b|<U><U>");
    check_pieces(t, &p, "", 0, special, "<s>");
    CHECK(tokenizer_bos(t) == 1 && tokenizer_eos(t) == 2 && tokenizer_adds_bos(t));
    CHECK(tokenizer_ends(t, 2) && !tokenizer_ends(t, 1));
    tokenizer_close(t);

    add(&p, "b" SP, NORMAL, -1); /* a token that goes on into the next word */
    struct gguf_writer *w = begin_file();
    put_plan(w, &p);
    gguf_writer_put_bool(w, "tokenizer.ggml.add_space_prefix", false);
    gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    t = open_and_close(end_file(w));
    pieces(t, &p, "a b", "a|" SP "|b");
    pieces(t, &p, "a b c", "a|" SP "|b" SP "|c");
    CHECK(!tokenizer_adds_bos(t));
    check_pieces(t, &p, "<s>a", 4, special, "<s>|a");
    tokenizer_close(t);
}

static void bpe_pieces(void)
{
    static struct plan p;
    plan_bpe(&p, "gpt-2");
    struct tokenizer *t = open_plan(&p);
    struct tokenizer_options special = {.special = true};
    pieces(t, &p, "abc", "a|bc");
    pieces(t, &p, "aaab", "aa|ab"); /* a b ranks before a a */
    pieces(t, &p, " a a",
           "\xc4\xa0"
           "a|\xc4\xa0"
           "a");
    pieces(t, &p, "xy", "x|y");  /* a merge whose result is no token */
    pieces(t, &p, "bzb", "b|b"); /* a letter that is no token, and no unknown token */
    pieces(t, &p,
           "b\xff"
           "c",
           "b|\xc3\xbf|c");
    pieces(t, &p, "1234", "123|4");
    pieces(t, &p, "<|end|>", "<|||e|n|d|||>");
    check_pieces(t, &p, "a<|end|>b", 9, special, "a|<|end|>|b");
    pieces(t, &p, "c<|user|>xa<|user|>b", "c|<|user|>x|a|<|user|>|b");
    CHECK(tokenizer_bos(t) == -1 && tokenizer_eos(t) == -1 && !tokenizer_adds_bos(t));
    CHECK(tokenizer_ends(t, (int32_t)p.n - 3));
    tokenizer_close(t);
    /* an unknown token changes nothing; control tokens are known by name, whatever their type */
    size_t prefix = add(&p, "<|fim_prefix|>", USER, 0), file = add(&p, "<|file_sep|>", USER, 0);
    struct gguf_writer *w = begin_file();
    put_plan(w, &p);
    gguf_writer_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    t = open_and_close(end_file(w));
    pieces(t, &p, "bzb", "b|b");
    pieces(t, &p, "<|file_sep|>", "<|||f|i|l|e|_|s|e|p|||>");
    check_pieces(t, &p, "<|fim_prefix|>a", 15, special, "<|fim_prefix|>|a");
    CHECK(tokenizer_ends(t, (int32_t)file) && !tokenizer_ends(t, (int32_t)prefix));
    tokenizer_close(t);
    plan_bpe(&p, "smollm");
    t = open_plan(&p);
    pieces(t, &p, "a 12a", "a|\xc4\xa0|1|2|a");
    tokenizer_close(t);
    plan_bpe(&p, "default");
    t = open_plan(&p);
    pieces(t, &p, "1231", "123|1");
    pieces(t, &p, "a' a",
           "a|'|\xc4\xa0"
           "a");
    tokenizer_close(t);
    plan_bpe(&p, NULL);
    t = open_plan(&p);
    pieces(t, &p, "1231", "123|1");
    tokenizer_close(t);
    plan_bpe(&p, "llama-bpe");
    w = begin_file();
    put_plan(w, &p);
    gguf_writer_put_u32(w, "tokenizer.ggml.bos_token_id", 7);
    t = open_and_close(end_file(w));
    CHECK(tokenizer_adds_bos(t) && tokenizer_bos(t) == 7);
    pieces(t, &p, "aaab", "aaab"); /* a whole word that is a token */
    tokenizer_close(t);
}

/* ---- the same by hand: every pair of the word is looked at, the best joined, until none is ----
 */

static long rank_of(const struct plan *p, const char *left, const char *right, char *joined)
{
    sprintf(joined, "%s%s", left, right);
    if (p->n_merges) {
        char merge[64];
        snprintf(merge, sizeof merge, "%s %s", left, right);
        for (size_t i = 0; i < p->n_merges; i++)
            if (strcmp(p->merges[i], merge) == 0)
                return (long)i;
        return -1;
    }
    for (size_t i = 0; i < p->n; i++)
        if (p->types[i] == NORMAL && strcmp(p->texts[i], joined) == 0)
            return lroundf(-p->scores[i] * 2); /* scores here are multiples of -1/2 */
    return -1;
}

static void naive_merge(const struct plan *p, char symbols[][64], size_t n, char *out, size_t size)
{
    for (;;) {
        long best = -1;
        size_t at = 0;
        char joined[128];
        for (size_t i = 0; i + 1 < n; i++) {
            long rank = rank_of(p, symbols[i], symbols[i + 1], joined);
            if (rank >= 0 && (best < 0 || rank < best))
                best = rank, at = i;
        }
        if (best < 0)
            break;
        rank_of(p, symbols[at], symbols[at + 1], joined);
        memcpy(symbols[at], joined, sizeof symbols[at]);
        memmove(symbols[at + 1], symbols[at + 2], (n - at - 2) * sizeof *symbols);
        n--;
    }
    for (size_t i = 0, used = 0; i < n; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? "|" : "", symbols[i]);
}

static void against_naive(bool bpe)
{
    static struct plan p;
    if (bpe)
        plan_bpe(&p, "gpt-2");
    else
        plan_spm(&p);
    struct tokenizer *t = open_plan(&p);
    struct lb_random random = {7};
    for (int round = 0; round < 2000; round++) {
        char text[40] = "", expected[512] = "";
        static char symbols[64][64];
        size_t n = 1 + lb_random_below(&random, 30), k = 0;
        if (!bpe)
            strcpy(symbols[k++], SP);
        for (size_t i = 0; i < n; i++) {
            char c = "aaaabbcc "[lb_random_below(&random, bpe ? 8 : 9)];
            text[i] = c;
            snprintf(symbols[k++], sizeof symbols[0], "%s", c == ' ' ? SP : (char[]){c, 0});
        }
        naive_merge(&p, symbols, k, expected, sizeof expected);
        pieces(t, &p, text, expected);
    }
    tokenizer_close(t);
}

/* ---- decoding ---- */

static void check_text(const struct tokenizer *t, const int32_t *ids, size_t count,
                       const char *expected)
{
    struct tokenizer_stream stream = {0};
    char got[256] = "";
    size_t n = 0;
    for (size_t i = 0; i <= count; i++) {
        int32_t id = i < count ? ids[i] : -1;
        struct tokenizer_stream before = stream;
        size_t need = tokenizer_decode(t, &stream, id, got + n, 0);
        CHECK(memcmp(&before, &stream, sizeof stream) == 0, "no room, and yet the stream moved");
        size_t wrote = tokenizer_decode(t, &stream, id, got + n, need + 1);
        CHECK(wrote == need && strlen(got + n) == need, "token %d: %zu, then %zu", id, need, wrote);
        n += wrote;
    }
    CHECK_TEXT(got, expected);
}

#define TEXT_OF(t, expected, ...)                                                                  \
    do {                                                                                           \
        int32_t ids_[] = {__VA_ARGS__};                                                            \
        check_text((t), ids_, sizeof ids_ / sizeof *ids_, (expected));                             \
    } while (0)

static void decoding(void)
{
    static struct plan p;
    plan_spm(&p);
    struct tokenizer *t = open_plan(&p);
    const int32_t a = 258, mark = 261, mark_a = 266, marks = 279, user = 285, byte = 3;
    CHECK_TEXT(p.texts[mark_a], SP "a");
    CHECK_TEXT(p.texts[marks], SP SP);
    TEXT_OF(t, "a a", 1, mark_a, mark_a, 2); /* control tokens are silent, one space is dropped */
    TEXT_OF(t, " a", marks, a);
    TEXT_OF(t, "a ", a, mark);
    TEXT_OF(t, "<U> a", user, mark_a);
    TEXT_OF(t, "\xe6\x88\x91", byte + 0xE6, byte + 0x88, byte + 0x91);
    TEXT_OF(t,
            "\xef\xbf\xbd"
            "a",
            byte + 0xE6, byte + 0x88, a);
    TEXT_OF(t, "\xef\xbf\xbd", byte + 0xF0, byte + 0x9F, byte + 0x99);
    TEXT_OF(t, "\xef\xbf\xbd\xef\xbf\xbd", byte + 0xC0, byte + 0xAF);
    TEXT_OF(t, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", byte + 0xED, byte + 0xA0, byte + 0x80);
    TEXT_OF(t, "", -5, 100000, 0);
    struct tokenizer_stream stream = {0};
    char out[8];
    CHECK(tokenizer_decode(t, &stream, byte + 0xC3, out, sizeof out) == 0 && stream.n_held == 1);
    CHECK(tokenizer_decode(t, &stream, byte + 0xA4, out, sizeof out) == 2 && stream.n_held == 0);
    CHECK_TEXT(out, "\xc3\xa4");
    tokenizer_close(t);
    plan_bpe(&p, "gpt-2");
    t = open_plan(&p);
    TEXT_OF(t, "ab ab", 257, 263, 'b');
    TEXT_OF(t, "\xe6\x88\x91\n", 0xE6, 0x88, 0x91, '\n');
    TEXT_OF(t, "<|user|>\xef\xbf\xbd", (int32_t)p.n - 2, 0xFF, (int32_t)p.n - 3);
    tokenizer_close(t);
}

/* Damaged text: every byte comes out, in order, as the bytes of the tokens say. */
static void damaged(void)
{
    static struct plan p;
    plan_bpe(&p, "llama-bpe");
    struct gguf_writer *w = begin_file();
    put_plan(w, &p);
    gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    struct tokenizer *t = open_and_close(end_file(w));
    struct tokenizer_options plain = {0};
    struct lb_random random = {11};
    for (int round = 0; round < 3000; round++) {
        unsigned char text[24], back[64];
        size_t n = 1 + lb_random_below(&random, sizeof text), count, at = 0;
        for (size_t i = 0; i < n; i++)
            text[i] = (unsigned char)(lb_random_below(&random, 2)
                                          ? lb_random_below(&random, 256)
                                          : (unsigned char)"a \xe6\x88\x91\xf0"[i % 6]);
        for (size_t i = 0; i < n; i++)
            if (text[i] == 'z')
                text[i] = 'y';
        int32_t *ids = encode(t, (char *)text, n, plain, &count);
        for (size_t i = 0; i < count && at < 40; i++)
            if (ids[i] < 256)
                back[at++] = (unsigned char)ids[i];
            else
                for (const char *s = p.texts[ids[i]]; *s; s++)
                    back[at++] = s[0] == '\xc4' && s[1] == '\xa0' ? (s++, ' ') : (unsigned char)*s;
        CHECK(at == n && memcmp(text, back, n) == 0, "seed 11, round %d", round);
        lb_free(ids);
    }
    tokenizer_close(t);
}

/* ---- errors ---- */

static void refuse(struct gguf_writer *w, enum lb_status status, const char *expected)
{
    struct lb_error err = LB_ERROR_INIT;
    struct tokenizer *t;
    struct gguf_file *file = end_file(w);
    CHECK(tokenizer_open(file, &t, &err) == status && !t, "%s", expected);
    CHECK(strstr(err.text, expected) != NULL, "got '%s', expected '%s'", err.text, expected);
    gguf_close(file);
}

static void bad_vocabularies(void)
{
    static struct plan p;
    struct gguf_writer *w = begin_file();
    refuse(w, LB_ERR_INPUT, "tokenizer.ggml.model");
    w = begin_file();
    gguf_writer_put_text(w, "tokenizer.ggml.model", "bert");
    refuse(w, LB_ERR_UNSUPPORTED, "unknown model 'bert', expected llama or gpt2");
    w = begin_file();
    gguf_writer_put_text(w, "tokenizer.ggml.model", "llama");
    refuse(w, LB_ERR_INPUT, "tokenizer.ggml.tokens is missing");
    plan_bpe(&p, "gpt-5");
    put_plan(w = begin_file(), &p);
    refuse(w, LB_ERR_UNSUPPORTED, "unknown pre-tokenizer 'gpt-5'");
    plan_bpe(&p, "gpt-2");
    p.merges[3] = "ab";
    put_plan(w = begin_file(), &p);
    refuse(w, LB_ERR_INPUT, "merge 3: expected two strings with a space between");
    plan_bpe(&p, "gpt-2");
    p.n_merges = 0;
    put_plan(w = begin_file(), &p);
    refuse(w, LB_ERR_INPUT, "tokenizer.ggml.merges is missing");
    plan_bpe(&p, "llama-bpe");
    put_plan(w = begin_file(), &p);
    refuse(w, LB_ERR_INPUT, "bos_token_id is missing, and the model wants BOS");
    plan_spm(&p);
    p.types[5] = 9;
    put_plan(w = begin_file(), &p);
    refuse(w, LB_ERR_INPUT, "token 5 has type 9, expected 0 to 6");
    plan_spm(&p);
    p.scores[6] = NAN;
    put_plan(w = begin_file(), &p);
    refuse(w, LB_ERR_INPUT, "the score of token 6 is not a number");
    plan_spm(&p);
    put_plan(w = begin_file(), &p);
    gguf_writer_put_u32(w, "tokenizer.ggml.eos_token_id", 100000);
    refuse(w, LB_ERR_INPUT, "tokenizer.ggml.eos_token_id: 100000, expected a token below");
}

static void failing_allocations(bool bpe)
{
    static struct plan p;
    if (bpe)
        plan_bpe(&p, "smollm");
    else
        plan_spm(&p);
    struct gguf_writer *w = begin_file();
    put_plan(w, &p);
    struct gguf_file *file = end_file(w);
    for (uint64_t n = 1;; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct tokenizer *t;
        struct tokenizer_options special = {.special = true};
        int32_t *ids = NULL;
        size_t count;
        lb_memory_fail_at(n);
        enum lb_status status = tokenizer_open(file, &t, &err);
        if (status == LB_OK) {
            const char *text = "abc 12<|end|>a<U>\xff</s> \xe6\x88\x91";
            status = tokenizer_encode(t, text, strlen(text), special, &ids, &count, &err);
            tokenizer_close(t);
        }
        lb_memory_fail_at(0);
        lb_free(ids);
        CHECK(status == LB_OK || (status == LB_ERR_NOMEM && err.code == status), "%d: %s", status,
              err.text);
        if (status == LB_OK) {
            CHECK(n > 10, "only %d allocations", (int)n);
            break;
        }
    }
    gguf_close(file);
}

int main(void)
{
    temporary_path(path);
    spm_pieces();
    bpe_pieces();
    against_naive(false);
    against_naive(true);
    decoding();
    damaged();
    bad_vocabularies();
    failing_allocations(false);
    failing_allocations(true);
    unlink(path);
    return check_done();
}
