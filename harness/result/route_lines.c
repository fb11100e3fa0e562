/* route_lines: see route_lines.h. */
#include "result/route_lines.h"

#include "common/file_io.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char header[] = "cell,rep,sequence,position,pass,layer,experts,weights\n";

/* In quotes: a cell's name may hold commas. */
static void print_name(FILE *out, const char *name)
{
    fputc('"', out);
    for (; *name; name++)
        fprintf(out, *name == '"' ? "\"\"" : "%c", *name);
    fputc('"', out);
}

/* The experts of one token in one layer; returns how many records they are. */
static size_t print_route(FILE *out, const char *cell, int32_t rep, const struct lb_route *r,
                          size_t left)
{
    size_t n = 1;
    while (n < left && r[n].place == n)
        n++;
    print_name(out, cell);
    fprintf(out, ",%" PRId32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%u,", rep, r->sequence,
            r->position, r->pass, r->layer);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s%" PRIu32, i ? " " : "", r[i].expert);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%c%.9g", i ? ' ' : ',', (double)r[i].weight);
    fputc('\n', out);
    return n;
}

enum lb_status route_lines_append(const char *path, const char *cell, const struct sample *s,
                                  struct lb_error *err)
{
    char *text = NULL;
    size_t length = 0;
    if (s->n_routes == 0)
        return LB_OK;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    if (!file_exists(path))
        fputs(header, out);
    for (size_t i = 0; i < s->n_routes;)
        i += print_route(out, cell, s->rep, &s->routes[i], s->n_routes - i);
    return line_file_append(path, out, &text, &length, err);
}

static bool whose(const char *line, size_t length, char *cell, size_t size, int32_t *rep)
{
    size_t n = 0;
    const char *p = line, *end = line + length;
    if (length == sizeof header - 1 && memcmp(line, header, length) == 0) {
        *cell = '\0';
        return true;
    }
    if (*p++ != '"')
        return false;
    for (; p < end && n + 1 < size; cell[n++] = *p++)
        if (*p == '"' && *++p != '"')
            break;
    cell[n] = '\0';
    return p < end && sscanf(p, ",%" SCNd32 ",", rep) == 1;
}

enum lb_status route_lines_mend(const char *path, line_file_keep *keep, void *ctx,
                                struct lb_error *err)
{
    return line_file_mend(path, whose, keep, ctx, err);
}
