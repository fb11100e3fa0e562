/* route_trace: see route_trace.h. */
#include "predict/route_trace.h"

#include "common/file_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plain_header[] = "token,layer,";
static const char result_header[] = "cell,rep,sequence,position,pass,layer,experts,weights";

struct reading {
    const char *path;
    size_t line;
    const struct route_sink *sink;
    struct route_extent *extent;
    char *run; /* cell,rep of the run that is taken, or the cell alone; NULL: none yet */
    uint64_t token, demand;
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

bool route_trace_is(const char *path)
{
    char first[sizeof result_header + 8] = "";
    FILE *in = file_open(path, NULL);
    bool is = in && fgets(first, sizeof first, in) &&
              (begins(first, plain_header) || begins(first, result_header) ||
               begins(first, ROUTE_CACHESIM_HEADER));
    if (in)
        fclose(in);
    return is;
}

static enum lb_status bad(const struct reading *r, const char *expected, struct lb_error *err)
{
    return lb_fail(err, LB_ERR_INPUT, "%s:%zu: expected %s", r->path, r->line, expected);
}

/* A count that ends with one of the characters in `ends`; *text moves beyond it. */
static bool take_number(char **text, const char *ends, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(*text, &end, 10);
    if (end == *text || **text == '-' || errno || *value > most || !*end || !strchr(ends, *end))
        return false;
    *text = end + 1;
    return true;
}

/* of numbers that are indices of tables; and of both together */
enum { LAYERS_MAX = 4096, EXPERTS_MAX = 65536, OBJECTS_MAX = 1 << 20 };

static enum lb_status add(struct reading *r, const struct route_access *access,
                          struct lb_error *err)
{
    struct route_extent *e = r->extent;
    e->n_layers = access->layer >= e->n_layers ? access->layer + 1 : e->n_layers;
    e->n_experts = access->expert >= e->n_experts ? access->expert + 1 : e->n_experts;
    r->demand = access->pass == r->token ? r->demand + 1 : 1;
    r->token = access->pass;
    if (r->demand > e->largest_demand)
        e->largest_demand = (uint32_t)r->demand;
    e->length++;
    return r->sink->take(r->sink->ctx, access, err);
}

/* Experts up to the end of the text, which is the end of a line. */
static enum lb_status take_experts(struct reading *r, char *text, const char *between,
                                   uint64_t token, uint64_t layer, struct lb_error *err)
{
    char ends[] = {between[0], '\n', '\0'};
    struct route_access access = {.pass = token, .layer = (uint32_t)layer, .begins = true};
    enum lb_status status;
    do {
        uint64_t expert;
        if (!take_number(&text, ends, EXPERTS_MAX - 1, &expert))
            return bad(r, "the numbers of the experts", err);
        access.expert = (uint32_t)expert;
        status = add(r, &access, err);
        access.begins = false;
    } while (status == LB_OK && text[-1] != '\n' && *text);
    return status;
}

static enum lb_status take_plain(struct reading *r, char *line, struct lb_error *err)
{
    uint64_t token, layer;
    if (!take_number(&line, ",", UINT64_MAX - 1, &token) ||
        !take_number(&line, ",", LAYERS_MAX - 1, &layer))
        return bad(r, "token,layer,expert,expert,...", err);
    return take_experts(r, line, ",", token, layer, err);
}

/* Takes the quotes off the field that the text begins with. */
static void unquote(char *text)
{
    if (*text != '"')
        return;
    char *to = text, *from = text + 1;
    while (*from && !(from[0] == '"' && from[1] != '"')) {
        from += *from == '"';
        *to++ = *from++;
    }
    from += *from == '"';
    memmove(to, from, strlen(from) + 1);
}

/* The fields of routes.csv from the end: a cell's name may hold commas. */
static enum lb_status take_result(struct reading *r, char *line, struct lb_error *err)
{
    enum { SEQUENCE, POSITION, PASS, LAYER, EXPERTS, WEIGHTS, N_FIELDS };
    char *field[N_FIELDS];
    for (int i = N_FIELDS - 1; i >= 0; i--) {
        char *comma = strrchr(line, ',');
        if (!comma)
            return bad(r, result_header, err);
        *comma = '\0';
        field[i] = comma + 1;
    }
    unquote(line); /* what is left is cell,rep */
    size_t n = r->run ? strlen(r->run) : 0;
    if (!r->run || (r->extent->length == 0 && strncmp(line, r->run, n) == 0 && line[n] == ',')) {
        free(r->run);
        r->run = strdup(line);
        if (!r->run)
            return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", r->path);
    }
    if (strcmp(line, r->run) != 0)
        return LB_OK;
    char *end, experts[4096];
    uint64_t pass = strtoull(field[PASS], &end, 10), layer = strtoull(field[LAYER], &end, 10);
    if (*end || end == field[LAYER] || layer >= LAYERS_MAX)
        return bad(r, "the number of a layer", err);
    snprintf(experts, sizeof experts, "%s\n", field[EXPERTS]);
    return take_experts(r, experts, " ", pass, layer, err);
}

/* After the header, which says how the lines are to be read. */
static enum lb_status read_lines(struct reading *r, FILE *in, bool plain, struct lb_error *err)
{
    char *line = NULL;
    size_t size = 0;
    enum lb_status status = LB_OK;
    while (status == LB_OK && getline(&line, &size, in) >= 0) {
        r->line++;
        status = plain ? take_plain(r, line, err) : take_result(r, line, err);
    }
    free(line);
    return status;
}

enum lb_status route_trace_scan(const char *path, const char *cell, const struct route_sink *sink,
                                struct route_extent *extent, struct lb_error *err)
{
    char *first = NULL;
    size_t size = 0;
    *extent = (struct route_extent){.length = 0};
    FILE *in = file_open(path, err);
    if (!in)
        return LB_ERR_INPUT;
    bool any = getline(&first, &size, in) >= 0, plain = any && begins(first, plain_header);
    bool cachesim = any && begins(first, ROUTE_CACHESIM_HEADER);
    free(first);
    if (cachesim) {
        enum lb_status status = route_trace_scan_cachesim(path, in, sink, extent, err);
        fclose(in);
        return status;
    }
    struct reading r = {
        .path = path, .line = any, .sink = sink, .extent = extent, .token = UINT64_MAX};
    r.run = cell ? strdup(cell) : NULL;
    enum lb_status status = r.run || !cell ? read_lines(&r, in, plain, err)
                                           : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    if (status == LB_OK && extent->length == 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: no routes%s%s", path, cell ? " of cell " : "",
                         cell ? cell : "");
    if (status == LB_OK && (uint64_t)extent->n_layers * extent->n_experts > OBJECTS_MAX)
        status =
            lb_fail(err, LB_ERR_INPUT, "%s: %u layers of %u experts: expected at most %d in all",
                    path, extent->n_layers, extent->n_experts, OBJECTS_MAX);
    fclose(in);
    free(r.run);
    return status;
}

/* ---- in memory ---- */

struct pair { /* an access as read: the number of experts is known at the end */
    uint32_t layer, expert;
};

struct building {
    struct pair *pairs;
    struct route_line *lines;
    uint64_t *bytes; /* by expert */
    size_t n, room, n_lines, lines_room, bytes_room;
};

/* Makes room for element n of *block, new room zeroed; *room is in elements. */
static bool grow(void **block, size_t *room, size_t n, size_t size)
{
    if (n < *room)
        return true;
    size_t more = 2 * n + 4096;
    void *grown = realloc(*block, more * size);
    if (!grown)
        return false;
    memset((char *)grown + *room * size, 0, (more - *room) * size);
    *block = grown;
    *room = more;
    return true;
}

static enum lb_status build(void *ctx, const struct route_access *access, struct lb_error *err)
{
    struct building *b = ctx;
    void *pairs = b->pairs, *lines = b->lines, *bytes = b->bytes;
    bool ok =
        grow(&pairs, &b->room, b->n, sizeof *b->pairs) &&
        grow(&lines, &b->lines_room, b->n_lines, sizeof *b->lines) &&
        (access->bytes == 0 || grow(&bytes, &b->bytes_room, access->expert, sizeof *b->bytes));
    b->pairs = pairs;
    b->lines = lines;
    b->bytes = bytes;
    if (!ok)
        return lb_fail(err, LB_ERR_NOMEM, "routes: out of memory");
    if (access->begins)
        b->lines[b->n_lines++] =
            (struct route_line){.pass = access->pass, .first = b->n, .layer = access->layer};
    if (access->bytes > 0)
        b->bytes[access->expert] = access->bytes;
    b->pairs[b->n++] = (struct pair){access->layer, access->expert};
    b->lines[b->n_lines - 1].n++;
    return LB_OK;
}

static enum lb_status finish(const struct building *b, const struct route_extent *extent,
                             struct route_trace *trace, struct lb_error *err)
{
    *trace = (struct route_trace){.length = b->n,
                                  .lines = b->lines,
                                  .n_lines = b->n_lines,
                                  .n_layers = extent->n_layers,
                                  .n_experts = extent->n_experts,
                                  .largest_demand = extent->largest_demand,
                                  .bytes = b->bytes};
    bool *seen = calloc((size_t)extent->n_layers * extent->n_experts + 1, sizeof *seen);
    trace->accesses = malloc((b->n + 1) * sizeof *trace->accesses);
    for (size_t i = 0; seen && trace->accesses && i < b->n; i++) {
        uint32_t object = b->pairs[i].layer * extent->n_experts + b->pairs[i].expert;
        trace->accesses[i] = object;
        trace->n_objects += !seen[object];
        seen[object] = true;
    }
    bool ok = seen && trace->accesses;
    free(seen);
    return ok ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "routes: out of memory");
}

enum lb_status route_trace_read(const char *path, const char *cell, struct route_trace *trace,
                                struct lb_error *err)
{
    struct building b = {.n = 0};
    struct route_extent extent;
    const struct route_sink sink = {build, &b};
    *trace = (struct route_trace){0};
    enum lb_status status = route_trace_scan(path, cell, &sink, &extent, err);
    if (status == LB_OK) {
        status = finish(&b, &extent, trace, err);
    } else {
        free(b.lines);
        free(b.bytes);
    }
    free(b.pairs);
    return status;
}

void route_trace_free(struct route_trace *trace)
{
    free(trace->accesses);
    free(trace->lines);
    free(trace->bytes);
    *trace = (struct route_trace){0};
}
