/*
 * route_formats: traces of experts as cache simulators read and write them, and as plain lines.
 *
 * A cache simulator's csv names objects by any number of 64 bits; here they are numbered in the
 * order in which they come (a table with open addressing, which grows).
 */
#include "predict/route_trace.h"
#include "predict/simulate_model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- in ---- */

struct place { /* of an object, by its name */
    uint64_t name;
    uint32_t number; /* from 1; 0: free */
};

struct objects {
    struct place *places;
    size_t room; /* a power of 2 */
    uint32_t n;
};

static struct place *find(const struct objects *o, uint64_t name)
{
    size_t at = (name * 0x9e3779b97f4a7c15u) >> 20 & (o->room - 1);
    while (o->places[at].number && o->places[at].name != name)
        at = (at + 1) & (o->room - 1);
    return &o->places[at];
}

static bool make_room(struct objects *o)
{
    if (o->room > 2 * (size_t)o->n)
        return true;
    struct objects grown = {.room = o->room ? 4 * o->room : 1024, .n = o->n};
    grown.places = calloc(grown.room, sizeof *grown.places);
    for (size_t i = 0; grown.places && i < o->room; i++)
        if (o->places[i].number)
            *find(&grown, o->places[i].name) = o->places[i];
    if (!grown.places)
        return false;
    free(o->places);
    *o = grown;
    return true;
}

/* Of time,object,size,... : what follows does not matter. */
static bool parse(const char *line, uint64_t value[3])
{
    for (int i = 0; i < 3; i++) {
        char *end;
        errno = 0;
        value[i] = strtoull(line, &end, 10);
        while (*end == ' ')
            end++;
        if (end == line || strchr(line, '-') == line || errno ||
            !(*end == ',' || (i == 2 && (*end == '\n' || *end == '\r' || !*end))))
            return false;
        line = end + 1;
    }
    return value[2] > 0;
}

enum lb_status route_trace_scan_cachesim(const char *path, FILE *in, const struct route_sink *sink,
                                         struct route_extent *extent, struct lb_error *err)
{
    struct objects objects = {.n = 0};
    char *line = NULL;
    size_t size = 0, number = 1;
    uint64_t last = 0;
    uint32_t demand = 0;
    enum lb_status status = LB_OK;
    *extent = (struct route_extent){.n_layers = 1};
    while (status == LB_OK && getline(&line, &size, in) >= 0) {
        uint64_t value[3]; /* time, object, size */
        number++;
        if (!parse(line, value)) {
            status = lb_fail(err, LB_ERR_INPUT,
                             "%s:%zu: expected time,object,size: whole numbers, the size above 0",
                             path, number);
            break;
        }
        struct place *place = make_room(&objects) ? find(&objects, value[1]) : NULL;
        if (!place) {
            status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
            break;
        }
        if (place->number == 0)
            *place = (struct place){value[1], ++objects.n};
        const struct route_access access = {.pass = value[0],
                                            .expert = place->number - 1,
                                            .begins = extent->length == 0 || value[0] != last,
                                            .bytes = value[2]};
        status = sink->take(sink->ctx, &access, err);
        demand = access.begins ? 1 : demand + 1;
        extent->largest_demand = demand > extent->largest_demand ? demand : extent->largest_demand;
        extent->length++;
        last = value[0];
    }
    if (status == LB_OK && extent->length == 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: no accesses", path);
    extent->n_experts = objects.n;
    free(objects.places);
    free(line);
    return status;
}

/* ---- sizes ---- */

enum lb_status route_trace_weigh(struct route_trace *trace, const char *model_path,
                                 struct lb_error *err)
{
    struct sim_model model = {0};
    const uint32_t n = trace->n_layers * trace->n_experts;
    enum lb_status status = sim_model_of_file(model_path, &model, err);
    free(trace->bytes);
    trace->bytes = calloc(n + 1, sizeof *trace->bytes);
    if (status == LB_OK && !trace->bytes)
        status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", model_path);
    for (uint32_t i = 0; status == LB_OK && i < model.n_tensors; i++) {
        const struct layout_tensor *t = &model.tensors[i];
        if (t->part > 0 && t->layer < trace->n_layers && t->part - 1 < trace->n_experts)
            trace->bytes[t->layer * trace->n_experts + t->part - 1] += t->n_rows * t->row_bytes;
    }
    for (uint64_t i = 0; status == LB_OK && i < trace->length; i++)
        if (trace->bytes[trace->accesses[i]] == 0)
            status = lb_fail(err, LB_ERR_INPUT, "%s: no expert %" PRIu32 " in layer %" PRIu32,
                             model_path, trace->accesses[i] % trace->n_experts,
                             trace->accesses[i] / trace->n_experts);
    sim_model_free(&model);
    return status;
}

/* ---- out ---- */

enum lb_status route_trace_write_cachesim(const struct route_trace *t, FILE *out,
                                          struct lb_error *err)
{
    const uint32_t n = t->n_layers * t->n_experts;
    int64_t *last = malloc((n + 1) * sizeof *last), *next = malloc((t->length + 1) * sizeof *next);
    enum lb_status status =
        last && next ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "trace: out of memory");
    for (uint32_t i = 0; status == LB_OK && i < n; i++)
        last[i] = -1;
    for (uint64_t i = t->length; status == LB_OK && i-- > 0;) {
        next[i] = last[t->accesses[i]];
        last[t->accesses[i]] = (int64_t)i;
    }
    fputs(ROUTE_CACHESIM_HEADER ",next_access\n", out);
    for (uint64_t i = 0; status == LB_OK && i < t->n_lines; i++)
        for (uint64_t k = t->lines[i].first; k < t->lines[i].first + t->lines[i].n; k++)
            fprintf(out, "%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRId64 "\n", t->lines[i].pass,
                    t->accesses[k], t->bytes ? t->bytes[t->accesses[k]] : 1, next[k]);
    free(last);
    free(next);
    return status;
}

void route_trace_write_plain(const struct route_trace *t, FILE *out)
{
    fputs("token,layer,experts\n", out);
    for (uint64_t i = 0; i < t->n_lines; i++) {
        fprintf(out, "%" PRIu64 ",%" PRIu32, t->lines[i].pass, t->lines[i].layer);
        for (uint64_t k = t->lines[i].first; k < t->lines[i].first + t->lines[i].n; k++)
            fprintf(out, ",%" PRIu32, t->accesses[k] % t->n_experts);
        fputc('\n', out);
    }
}
