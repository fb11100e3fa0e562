/* layer_lines: see layer_lines.h. */
#include "result/layer_lines.h"

#include "common/file_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The accesses of the units that make up a layer's, from units[*next] on. */
static void print_units(FILE *out, const struct sample *s, const struct lb_access *layer,
                        size_t *next)
{
    size_t first = *next;
    while (*next < s->n_units && s->units[*next].pass == layer->pass &&
           s->units[*next].layer == layer->layer)
        ++*next;
    for (size_t i = first; i < *next; i++) {
        const struct lb_access *u = &s->units[i];
        fprintf(out,
                "%s[%" PRIu32 ",%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                ",%" PRId64 ",%" PRIu64 "]",
                i == first ? ",\"units\":[" : ",", u->unit, u->outcome, u->need_ns - layer->need_ns,
                u->wait_ns, u->compute_ns, u->queue_ns, u->read_ns, u->ready_ns - layer->need_ns,
                u->bytes);
    }
    if (*next > first)
        fputc(']', out);
}

static void print_lines(FILE *out, const char *cell, const struct sample *s)
{
    json_t *name = json_string(cell);
    char *quoted = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    size_t next = 0;
    for (size_t i = 0; quoted && i < s->n_log; i++) {
        const struct lb_access *a = &s->log[i];
        fprintf(out,
                "{\"cell\":%s,\"rep\":%" PRId32 ",\"pass\":%" PRIu32
                ",\"phase\":\"%s\",\"layer\":%u,\"outcome\":\"%s\",\"wait_ns\":%" PRId64
                ",\"queue_ns\":%" PRId64 ",\"read_ns\":%" PRId64 ",\"compute_ns\":%" PRId64
                ",\"need_ns\":%" PRId64 ",\"ready_ns\":%" PRId64 ",\"bytes\":%" PRIu64
                ",\"evicted\":%" PRIu32 ",\"held_bytes\":%" PRIu64,
                quoted, s->rep, a->pass, a->prefill ? "prefill" : "decode", a->layer,
                lb_outcome_name((enum lb_outcome)a->outcome), a->wait_ns, a->queue_ns, a->read_ns,
                a->compute_ns, a->need_ns, a->ready_ns, a->bytes, a->evicted, a->held_bytes);
        print_units(out, s, a, &next);
        fputs("}\n", out);
    }
    free(quoted);
    json_decref(name);
}

enum lb_status layer_lines_append(const char *path, const char *cell, const struct sample *s,
                                  struct lb_error *err)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = s->n_log > 0 ? open_memstream(&text, &length) : NULL;
    if (s->n_log == 0)
        return LB_OK;
    if (!out)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    print_lines(out, cell, s);
    if (fclose(out) != 0 || !text) {
        free(text);
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    }
    enum lb_status status = file_append(path, text, length, err);
    free(text);
    return status;
}

static bool line_is_kept(char *line, size_t length,
                         bool (*keep)(void *ctx, const char *cell, int32_t rep), void *ctx)
{
    json_t *object = json_loadb(line, length, 0, NULL);
    const char *cell = json_string_value(json_object_get(object, "cell"));
    json_t *rep = json_object_get(object, "rep");
    bool kept = cell && json_is_integer(rep) && keep(ctx, cell, (int32_t)json_integer_value(rep));
    json_decref(object);
    return kept;
}

/* Whole lines of `in` that are kept, to the end of `out`. */
static bool filter_lines(FILE *in, FILE *out,
                         bool (*keep)(void *ctx, const char *cell, int32_t rep), void *ctx)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&line, &size, in)) > 0) {
        if (line[length - 1] == '\n' && line_is_kept(line, (size_t)length, keep, ctx))
            good = fwrite(line, 1, (size_t)length, out) == (size_t)length;
    }
    free(line);
    return good && !ferror(in) && fflush(out) == 0 && fsync(fileno(out)) == 0;
}

/* All kept lines of `from` to the end of `to`, opened as `mode` says. */
static enum lb_status copy_lines(const char *from, const char *to,
                                 bool (*keep)(void *ctx, const char *cell, int32_t rep), void *ctx,
                                 struct lb_error *err)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    bool good = in && out && filter_lines(in, out, keep, ctx);
    int error = errno;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        good = false;
    return good ? LB_OK
                : lb_fail(err, LB_ERR_IO, "%s: cannot copy to %s: %s", from, to, strerror(error));
}

enum lb_status layer_lines_mend(const char *path,
                                bool (*keep)(void *ctx, const char *cell, int32_t rep), void *ctx,
                                struct lb_error *err)
{
    if (!file_exists(path))
        return LB_OK;
    char *temporary = file_text("%s.tmp", path);
    if (!temporary)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    enum lb_status status = copy_lines(path, temporary, keep, ctx, err);
    if (status == LB_OK && rename(temporary, path) != 0)
        status = lb_fail(err, LB_ERR_IO, "%s: cannot mend: %s", path, strerror(errno));
    if (status != LB_OK)
        unlink(temporary);
    free(temporary);
    return status;
}
