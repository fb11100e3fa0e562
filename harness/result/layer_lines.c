/* layer_lines: see layer_lines.h. */
#include "result/layer_lines.h"

#include "common/file_io.h"
#include "result/access_line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
                ",%" PRId64 ",%" PRIu64 ",%u]",
                i == first ? ",\"units\":[" : ",", u->unit, u->outcome, u->need_ns - layer->need_ns,
                u->wait_ns, u->compute_ns, u->queue_ns, u->read_ns, u->ready_ns - layer->need_ns,
                u->bytes, u->part);
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
    return line_file_append(path, out, &text, &length, err);
}

static bool whose(const char *text, size_t length, char *cell, size_t size, int32_t *rep)
{
    (void)length;
    struct access_line line = {.json = NULL};
    bool known = access_line_read(&line, text) && line.cell_length < size;
    if (known) {
        memcpy(cell, line.cell, line.cell_length);
        cell[line.cell_length] = '\0';
        *rep = (int32_t)line.event.rep;
    }
    access_line_free(&line);
    return known;
}

enum lb_status layer_lines_each(const char *path,
                                void (*seen)(void *ctx, const char *cell, int32_t rep), void *ctx,
                                struct lb_error *err)
{
    return line_file_each(path, whose, seen, ctx, err);
}

enum lb_status layer_lines_mend(const char *path, line_file_keep *keep, void *ctx,
                                struct lb_error *err)
{
    return line_file_mend(path, whose, keep, ctx, err);
}
