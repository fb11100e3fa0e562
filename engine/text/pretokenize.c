/* pretokenize: the expressions of the known models, and running them. See pretokenize.h. */
#include "text/pretokenize.h"

#include "base/memory.h"
#include "text/grow.h"
#include "text/utf8.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Unicode's White_Space: PCRE2's own \s also takes U+180E, which it is not. */
#define WHITE                                                                                      \
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"       \
    "\\x{3000}"
#define SPACE     "[" WHITE "]"
#define NOT_SPACE "[^" WHITE "]"
/* White space up to a word, but for its last character; at the end of the text, all of it. */
#define SPACES SPACE "+(?!" NOT_SPACE ")|" SPACE "+"
/* The letters' cases are spelt out: (?i) would let U+017F stand for s. */
#define CONTRACTION "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"

#define GPT2 "'(?:[stmd]|re|ve|ll)| ?\\p{L}+| ?\\p{N}+| ?[^" WHITE "\\p{L}\\p{N}]+|" SPACES
/* llama-3 and what came of it; they differ in how digits are grouped */
#define GPT4(digits)                                                                               \
    CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^" WHITE                             \
                "\\p{L}\\p{N}]+[\\r\\n]*|" SPACE "*[\\r\\n]+|" SPACES
/* gpt-4o's kind: a word ends before a capital that follows a small letter. Only ASCII letters have
 * a case here, as in the program whose names these are: others count as both. */
#define CAPITAL "[^\\P{L}a-z]"
#define SMALL   "[^\\P{L}A-Z]"
#define CASED(tail, digits)                                                                        \
    "[^\\r\\n\\p{L}\\p{N}]?" CAPITAL "*" SMALL "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" CAPITAL          \
    "+" SMALL "*" tail "|" digits "| ?[^" WHITE "\\p{L}\\p{N}]+[\\r\\n/]*|" SPACE                  \
    "*[\\r\\n]+|" SPACES

#define MAX_EXPRESSIONS 5

struct kind {
    const char *const *names;
    const char *const *expressions;
    struct pretokenizer_traits traits;
};

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const struct kind kinds[] = {
    {LIST("default", ""), LIST("[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"), {0}},
    {LIST("gpt-2", "phi-2", "mpt", "olmo", "jais", "exaone4", "gigachat", "mellum", "trillion",
          "granite-docling", "a.x-4.0"),
     LIST(GPT2),
     {0}},
    {LIST("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
     LIST(GPT4("\\p{N}{1,3}")),
     {.ignore_merges = true, .add_bos = true}},
    {LIST("dbrx", "smaug-bpe", "glm4", "chatglm-bpe"), LIST(GPT4("\\p{N}{1,3}")), {0}},
    {LIST("qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "grok-2", "solar-open",
          "kormo", "f2llmv2"),
     LIST(GPT4("\\p{N}")),
     {0}},
    {LIST("starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b",
          "mellum2"),
     LIST("\\p{N}", GPT2),
     {0}},
    {LIST("falcon"), LIST("[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"), {0}},
    {LIST("deepseek-coder"),
     LIST("[\\r\\n]", SPACE "?\\p{L}+", SPACE "?\\p{P}+",
          "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+", "\\p{N}"),
     {0}},
    {LIST("tekken"), LIST(CASED("", "\\p{N}")), {.ignore_merges = true, .add_bos = true}},
    {LIST("gpt-4o", "llama4", "kanana2"), LIST(CASED("(?:" CONTRACTION ")?", "\\p{N}{1,3}")), {0}},
    {LIST("minicpm5"), LIST("\\p{N}{1,3}", GPT4("\\p{N}+")), {.ignore_merges = true}},
    {LIST("seed-coder"),
     LIST(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" WHITE "\\p{L}\\p{N}]+|" SPACE
                      "*[\\r\\n]+|" SPACES),
     {0}},
    {LIST("viking"),
     LIST(" ?[^(" WHITE "|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+",
          "\\p{N}"),
     {0}},
};

struct pretokenizer {
    const struct kind *kind;
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *codes[MAX_EXPRESSIONS];
    int n_codes;
};

static void *counted_malloc(size_t size, void *unused)
{
    (void)unused;
    return lb_calloc(1, size);
}

static void counted_free(void *block, void *unused)
{
    (void)unused;
    lb_free(block);
}

static enum lb_status fail_regex(struct lb_error *err, int code, const char *what)
{
    PCRE2_UCHAR text[128] = "";
    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAPLIMIT)
        return lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
    pcre2_get_error_message(code, text, sizeof text);
    return lb_fail(err, LB_ERR_UNSUPPORTED, "pre-tokenizer: %s: %s", what, (const char *)text);
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (const char *const *n = kinds[i].names; *n; n++)
            if (strcmp(*n, name) == 0)
                return &kinds[i];
    return NULL;
}

static enum lb_status compile(struct pretokenizer *p, const char *expression, struct lb_error *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
    if (!context)
        return lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
    int code = 0;
    size_t where;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_UCP, &code, &where, context);
    pcre2_compile_context_free(context);
    if (!re && code == PCRE2_ERROR_HEAP_FAILED)
        code = PCRE2_ERROR_NOMEMORY;
    if (!re)
        return fail_regex(err, code, expression);
    /* where there is no JIT (or no memory for it) the interpreter does the same, slower */
    (void)pcre2_jit_compile(re, PCRE2_JIT_COMPLETE);
    p->codes[p->n_codes++] = re;
    return LB_OK;
}

enum lb_status pretokenizer_open(const char *name, struct pretokenizer **pretokenizer,
                                 struct lb_error *err)
{
    *pretokenizer = NULL;
    const struct kind *kind = find_kind(name);
    if (!kind)
        return lb_fail(err, LB_ERR_UNSUPPORTED, "tokenizer.ggml.pre: unknown pre-tokenizer '%s'",
                       name);
    enum lb_status status = LB_ERR_NOMEM;
    struct pretokenizer *p = lb_calloc(1, sizeof *p);
    if (!p)
        return lb_fail(err, status, "pre-tokenizer: out of memory");
    p->kind = kind;
    p->memory = pcre2_general_context_create(counted_malloc, counted_free, NULL);
    p->limits = p->memory ? pcre2_match_context_create(p->memory) : NULL;
    if (!p->limits) {
        lb_fail(err, status, "pre-tokenizer: out of memory");
        goto fail;
    }
    /* a run of a million spaces is a million steps: legal, and linear */
    pcre2_set_match_limit(p->limits, UINT32_MAX);
    for (const char *const *e = kind->expressions; *e; e++)
        if ((status = compile(p, *e, err)) != LB_OK)
            goto fail;
    *pretokenizer = p;
    return LB_OK;
fail:
    pretokenizer_close(p);
    return status;
}

void pretokenizer_close(struct pretokenizer *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_codes; i++)
        pcre2_code_free(p->codes[i]);
    pcre2_match_context_free(p->limits);
    pcre2_general_context_free(p->memory);
    lb_free(p);
}

struct pretokenizer_traits pretokenizer_traits(const struct pretokenizer *pretokenizer)
{
    return pretokenizer->kind->traits;
}

void pretokenizer_scratch_close(struct pretokenizer_scratch *scratch)
{
    lb_free(scratch->words.ends);
    lb_free(scratch->finer.ends);
    pcre2_match_data_free(scratch->match);
    *scratch = (struct pretokenizer_scratch){0};
}

static bool add_word(struct word_list *list, size_t end)
{
    if (!text_grow(&list->ends, &list->room, list->count + 1, sizeof *list->ends))
        return false;
    list->ends[list->count++] = (uint32_t)end;
    return true;
}

/* Cuts text[begin, end) by one expression. Look-ahead does not see past `end`. */
static enum lb_status cut(const struct pretokenizer *p, const pcre2_code *re, const char *text,
                          size_t begin, size_t end, struct pretokenizer_scratch *scratch,
                          struct word_list *out, struct lb_error *err)
{
    pcre2_match_data *match = scratch->match;
    PCRE2_SPTR subject = (PCRE2_SPTR)text + begin;
    size_t length = end - begin, at = 0;
    while (at < length) {
        int n = pcre2_match(re, subject, length, at, PCRE2_NO_UTF_CHECK, match, p->limits);
        if (n < 0 && n != PCRE2_ERROR_NOMATCH)
            return fail_regex(err, n, "match");
        const size_t *found = pcre2_get_ovector_pointer(match);
        size_t from = n < 0 ? length : found[0], to = n < 0 ? length : found[1];
        if ((from > at && !add_word(out, begin + from)) ||
            (to > from && !add_word(out, begin + to)))
            return lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
        at = to;
    }
    return LB_OK;
}

/* Words so far: runs of well-formed text, and single bytes that are not. */
static enum lb_status split_damaged(const char *text, size_t length, struct word_list *words,
                                    struct lb_error *err)
{
    words->count = 0;
    size_t run = 0;
    for (size_t at = 0; at < length;) {
        struct utf8_step step = utf8_next(text + at, length - at);
        bool good = step.kind == UTF8_CHARACTER;
        if (!good && ((at > run && !add_word(words, at)) || !add_word(words, at + 1)))
            return lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
        at += good ? step.length : 1;
        if (!good)
            run = at;
    }
    if (length > run && !add_word(words, length))
        return lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
    return LB_OK;
}

enum lb_status pretokenizer_split(const struct pretokenizer *p, const char *text, size_t length,
                                  struct pretokenizer_scratch *scratch, struct lb_error *err)
{
    /* the expressions have no groups: one pair of offsets for all of them */
    if (!scratch->match && !(scratch->match = pcre2_match_data_create(1, p->memory)))
        return lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
    enum lb_status status = split_damaged(text, length, &scratch->words, err);
    for (int i = 0; i < p->n_codes && status == LB_OK; i++) {
        struct word_list *words = &scratch->words;
        size_t begin = 0;
        scratch->finer.count = 0;
        for (size_t w = 0; w < words->count && status == LB_OK; begin = words->ends[w++]) {
            size_t end = words->ends[w];
            bool damaged = utf8_next(text + begin, end - begin).kind != UTF8_CHARACTER;
            if (!damaged)
                status = cut(p, p->codes[i], text, begin, end, scratch, &scratch->finer, err);
            else if (!add_word(&scratch->finer, end))
                status = lb_fail(err, LB_ERR_NOMEM, "pre-tokenizer: out of memory");
        }
        struct word_list swap = scratch->words;
        scratch->words = scratch->finer;
        scratch->finer = swap;
    }
    return status;
}
