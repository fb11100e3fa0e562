/* pretokenize: the words of each kind, and text that is not UTF-8. */
#include "base/memory.h"
#include "tests/check.h"
#include "text/pretokenize.h"

/* Words between bars. */
static void check_words(const char *name, const char *text, const char *expected)
{
    struct lb_error err = LB_ERROR_INIT;
    struct pretokenizer *p;
    struct pretokenizer_scratch scratch = {0};
    char got[512] = "";
    size_t n = 0, begin = 0;
    CHECK(pretokenizer_open(name, &p, &err) == LB_OK, "%s", err.text);
    if (err.code != LB_OK)
        return;
    CHECK(pretokenizer_split(p, text, strlen(text), &scratch, &err) == LB_OK, "%s", err.text);
    for (size_t i = 0; i < scratch.words.count; begin = scratch.words.ends[i++])
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", i ? "|" : "",
                              (int)(scratch.words.ends[i] - begin), text + begin);
    CHECK(strcmp(got, expected) == 0, "%s: '%s': got '%s', expected '%s'", name, text, got,
          expected);
    CHECK(begin == strlen(text));
    pretokenizer_scratch_close(&scratch);
    pretokenizer_close(p);
}

static void gpt2(void)
{
    check_words("gpt-2", "", "");
    check_words("gpt-2", "Hello world's end", "Hello| world|'s| end");
    check_words("gpt-2", "I'LL we'll 'tis", "I|'|LL| we|'ll| '|tis");
    check_words("gpt-2", "a1b22 333", "a|1|b|22| 333");
    check_words("gpt-2", "a  b   c ", "a| | b|  | c| ");
    check_words("gpt-2", "a\n\n b\nc", "a|\n\n| b|\n|c");
    check_words("gpt-2", "a\t\tb", "a|\t|\t|b");
    check_words("gpt-2", "!? ... x", "!?| ...| x");
    check_words("gpt-2", "e\u0301\u0302x", "e|\u0301\u0302|x"); /* marks are no letters */
    check_words("gpt-2", "\u00bd\u2167", "\u00bd\u2167");       /* numbers that are no digits */
    check_words("gpt-2", "\u6211\u60f3 \U0001F600", "\u6211\u60f3| \U0001F600");
}

/* Unicode's white space, and what only looks like it. */
static void spaces(void)
{
    static const char *const yes[] = {"\t",     "\v",     "\f",     "\r",     "\xc2\x85",
                                      "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028",
                                      "\u2029", "\u202f", "\u205f", "\u3000"};
    static const char *const no[] = {"\u180e", "\u200b", "\u2060", "\ufeff", "\x1c", "\x1f"};
    char text[64], expected[64];
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        snprintf(text, sizeof text, "!%s%s!", yes[i], yes[i]);
        snprintf(expected, sizeof expected, "!|%s|%s|!", yes[i], yes[i]);
        check_words("gpt-2", text, expected);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        snprintf(text, sizeof text, "!%s%s!", no[i], no[i]);
        check_words("gpt-2", text, text);
    }
}

static void llama3_and_qwen2(void)
{
    static const char *const both[] = {"llama-bpe", "qwen2"};
    for (int i = 0; i < 2; i++) {
        const char *name = both[i];
        check_words(name, "I'LL we'Re '\u017f 'D", "I|'LL| we|'Re| '|\u017f| '|D");
        check_words(name, "a.b (c)_d", "a|.b| (|c|)_|d");
        check_words(name, "x;\n\ny", "x|;\n\n|y");
        check_words(name, "x \n \n  y", "x| \n \n| | y");
        check_words(name, "\r\n\r\n", "\r\n\r\n");
        check_words(name, "a   \n", "a|   \n");
        check_words(name, "a   ", "a|   ");
        check_words(name, "\tx\t\ty", "\tx|\t|\ty");
        check_words(name, " \u0301a", " \u0301|a");
    }
    check_words("llama-bpe", "1234567 12", "123|456|7| |12");
    check_words("qwen2", "123 4", "1|2|3| |4");
    check_words("llama-bpe", "\u0663\u00bd12", "\u0663\u00bd1|2");
    check_words("llama3", "a1b", "a|1|b");
}

static void several_expressions(void)
{
    check_words("smollm", "a  12b", "a|  |1|2|b");
    check_words("starcoder", "x'll 3", "x|'ll| |3");
    check_words("default", "a, b==12345", "a|,| b|==|123|45");
    check_words("default", "don't", "don|'|t");
    check_words("falcon", "a`b 1234", "a|`|b| |123|4");
    check_words("deepseek-coder", "a\nb 12\u6211,", "a|\n|b| |1|2|\u6211|,");
}

/* A capital after a small letter begins a word; letters beyond ASCII are both. */
static void cased(void)
{
    check_words("tekken", "camelCase HTTPServer", "camel|Case| HTTPServer");
    check_words("tekken", "ABC aBC \u00e4B\u00c4b", "ABC| a|BC| \u00e4B\u00c4b");
    check_words("tekken", "don't 123", "don|'t| |1|2|3");
    check_words("tekken", "a//\n/b", "a|//\n/|b");
    check_words("tekken", "e\u0301a", "e|\u0301a");
    check_words("gpt-4o", "don't I'M we'Ll", "don't| I'M| we'Ll");
    check_words("llama4", "12345 x", "123|45| x");
}

static void others(void)
{
    check_words("seed-coder", "a;\n\nb 12", "a|;|\n\n|b| |1|2");
    check_words("minicpm5", "a12345b's", "a|123|45|b|'s");
    check_words("viking", "one, two(3)", "one|,| two|(|3|)");
    check_words("", "12345", "123|45");
    check_words("a.x-4.0", "12345", "12345");
}

static void damaged(void)
{
    check_words("gpt-2", "\xff", "\xff");
    check_words("llama-bpe",
                "ab\xff\xfe"
                "cd",
                "ab|\xff|\xfe|cd");
    check_words("qwen2", "\xe6\x88", "\xe6|\x88");                   /* cut short */
    check_words("qwen2", "\xed\xa0\x80", "\xed|\xa0|\x80");          /* a surrogate */
    check_words("qwen2", "\xc0\xafz", "\xc0|\xaf|z");                /* overlong */
    check_words("qwen2", "\xf4\x90\x80\x80", "\xf4|\x90|\x80|\x80"); /* beyond U+10FFFF */
    check_words("smollm",
                "12\x80"
                "3  ",
                "1|2|\x80|3|  ");
}

static void unknown(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct pretokenizer *p;
    CHECK(pretokenizer_open("gpt-5", &p, &err) == LB_ERR_UNSUPPORTED && !p);
    CHECK_TEXT(err.text, "tokenizer.ggml.pre: unknown pre-tokenizer 'gpt-5'");
}

int main(void)
{
    gpt2();
    spaces();
    llama3_and_qwen2();
    several_expressions();
    cased();
    others();
    damaged();
    unknown();
    return check_done();
}
