/*
 * eval: the logits after every position of a list of token ids, as float32, little-endian, row
 * by row: n_tokens x n_vocab. The last `decode` ids go through single decode passes.
 */
#include "commands/commands.h"
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "settings/model_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eval writes floats as they lie in memory: little-endian machines only"
#endif

struct eval {
    const char *ids, *logits;
    uint32_t decode;
};

#define FIELD(name) offsetof(struct eval, name)
static const struct option own[] = {
    {"ids", "LIST", "token ids, separated by commas or spaces", OPTION_TEXT, FIELD(ids),
     .flags = 0},
    {"logits", "FILE", "where to write; - for stdout", OPTION_TEXT, FIELD(logits), .letter = 'o'},
    {"decode", "N", "feed the last N ids one by one, by decode", OPTION_COUNT, FIELD(decode),
     .flags = 0},
};

/* *ids allocated with malloc. */
static enum lb_status parse_ids(const char *text, uint32_t n_vocab, int32_t **ids, size_t *count,
                                struct lb_error *err)
{
    char *copy = strdup(text), *rest = copy, *word;
    int32_t *list = malloc((strlen(text) / 2 + 1) * sizeof *list);
    size_t n = 0;
    enum lb_status status = LB_OK;
    if (!copy || !list)
        status = lb_fail(err, LB_ERR_NOMEM, "out of memory for ids");
    while (status == LB_OK && (word = strsep(&rest, ", \t\r\n")) != NULL) {
        uint64_t id;
        if (*word == '\0')
            continue;
        if (!amount_parse_count(word, &id) || id >= n_vocab)
            status = lb_fail(err, LB_ERR_INPUT, "--ids: '%.40s': expected a token id from 0 to %u",
                             word, n_vocab - 1);
        else
            list[n++] = (int32_t)id;
    }
    free(copy);
    if (status == LB_OK && n == 0)
        status = lb_fail(err, LB_ERR_INPUT, "--ids: expected at least one token id");
    if (status != LB_OK) {
        free(list);
        return status;
    }
    *ids = list;
    *count = n;
    return LB_OK;
}

static enum lb_status write_rows(FILE *out, const float *logits, size_t n, const char *path,
                                 struct lb_error *err)
{
    if (fwrite(logits, sizeof *logits, n, out) == n)
        return LB_OK;
    return lb_fail(err, LB_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
}

static enum lb_status evaluate(struct lb_engine *engine, const struct eval *e, const int32_t *ids,
                               size_t n, FILE *out, struct lb_error *err)
{
    enum { CHUNK = 128 };
    size_t n_vocab = lb_engine_model(engine).n_vocab, at = 0;
    size_t prefill = e->decode >= n ? 0 : n - e->decode;
    float *logits = malloc(CHUNK * n_vocab * sizeof *logits);
    enum lb_status status = logits ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "out of memory for logits");
    while (status == LB_OK && at < prefill) {
        size_t some = prefill - at < CHUNK ? prefill - at : CHUNK;
        status = lb_engine_prefill(engine, 0, ids + at, some, true, logits, err);
        if (status == LB_OK)
            status = write_rows(out, logits, some * n_vocab, e->logits, err);
        at += some;
    }
    for (; status == LB_OK && at < n; at++) {
        status = lb_engine_decode(engine, ids + at, 1, logits, err);
        if (status == LB_OK)
            status = write_rows(out, logits, n_vocab, e->logits, err);
    }
    free(logits);
    return status;
}

static enum lb_status run(struct lb_engine *engine, const struct eval *e, struct lb_error *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    uint32_t context = lb_engine_effective(engine).context;
    bool to_stdout = strcmp(e->logits, "-") == 0;
    if (parse_ids(e->ids, lb_engine_model(engine).n_vocab, &ids, &n, err) != LB_OK)
        return err->code;
    if (n > context) {
        free(ids);
        return lb_fail(err, LB_ERR_INPUT, "--ids: %zu ids: expected at most %u (--context)", n,
                       context);
    }
    struct file_stream to;
    if (to_stdout) {
        evaluate(engine, e, ids, n, stdout, err);
    } else if (file_stream_open(e->logits, &to, err) == LB_OK) {
        if (evaluate(engine, e, ids, n, to.out, err) == LB_OK)
            file_stream_finish(&to, err);
        else
            file_stream_abandon(&to);
    }
    free(ids);
    return err->code;
}

int command_eval(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct eval e = {0};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &e, 0},
                                 model_options_file(&settings),
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"eval", "--model FILE --ids LIST --logits OUT [options]",
                      "Writes the logits after every position: n_tokens x n_vocab float32.",
                      groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("eval", "'%s': expected options only", argv[1]);
    if (!e.ids || !e.logits)
        return cli_fail("eval", "expected %s", e.ids ? "--logits FILE" : "--ids 1,2,3");
    struct lb_error unwritable = LB_ERROR_INIT;
    if (strcmp(e.logits, "-") != 0 && file_check_output(e.logits, &unwritable) != LB_OK)
        return model_options_error("eval", &unwritable);
    struct lb_engine *engine;
    code = model_options_open("eval", &settings, &engine);
    if (code != EXIT_OK)
        return code;
    struct lb_error err = LB_ERROR_INIT;
    if (run(engine, &e, &err) != LB_OK)
        code = model_options_error("eval", &err);
    lb_engine_close(engine);
    return code;
}
