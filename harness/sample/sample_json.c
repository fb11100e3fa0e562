/* sample: its JSON form and how it goes from process to process. See sample.h. */
#include "sample/sample.h"

#include "common/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LATER = 1,   /* results from before it was there lack it: then 0 or "" */
    MIXTURE = 2, /* written of mixtures of experts alone, and later */
};

struct field {
    const char *name;
    size_t offset;
    size_t size; /* of a text's array; 0: a number */
    int flags;
};

#define NUMBER(of, name, flags)                                                                    \
    {                                                                                              \
#name, offsetof(struct sample, of name), 0, flags                                          \
    }
#define TEXT(name, flags)                                                                          \
    {                                                                                              \
#name, offsetof(struct sample, name), sizeof((struct sample *)0)->name, flags              \
    }

/* Numbers of 64 bits, signed or not: all below 2^63. */
static const struct field fields[] = {NUMBER(, start_ns, 0),
                                      NUMBER(, load_ns, 0),
                                      NUMBER(, ttft_ns, 0),
                                      NUMBER(, prefill_ns, 0),
                                      NUMBER(, between_ns, 0),
                                      NUMBER(, cached_wait_ns, 0),
                                      NUMBER(, uncached_wait_ns, 0),
                                      NUMBER(all., passes, 0),
                                      NUMBER(, layers, 0),
                                      NUMBER(all., accesses, 0),
                                      NUMBER(, log_dropped, 0),
                                      NUMBER(all., wasted, 0),
                                      NUMBER(all., evictions, 0),
                                      NUMBER(all., protected_evictions, 0),
                                      NUMBER(all., prefetches_started, 0),
                                      NUMBER(all., prefetches_completed, 0),
                                      NUMBER(all., prefetches_cancelled, 0),
                                      NUMBER(all., prefetches_used, 0),
                                      NUMBER(all., prefetches_failed, 0),
                                      NUMBER(all., prefetch_mean_ns, 0),
                                      NUMBER(all., reads, 0),
                                      NUMBER(all., read_errors, 0),
                                      NUMBER(, kernel_bytes, 0),
                                      NUMBER(, file_bytes, 0),
                                      NUMBER(, layer_bytes, 0),
                                      NUMBER(, model_resident_bytes, 0),
                                      NUMBER(all., resident_bytes, 0),
                                      NUMBER(all., cache_bytes, 0),
                                      NUMBER(all., kv_bytes, 0),
                                      NUMBER(decode., allocations, 0),
                                      NUMBER(, peak_rss_bytes, 0),
                                      NUMBER(, major_faults, 0),
                                      NUMBER(, cpu_ns, 0),
                                      NUMBER(, cache_layers, 0),
                                      NUMBER(, threads, 0),
                                      NUMBER(, drives, LATER),
                                      NUMBER(all., unit_accesses, LATER),
                                      NUMBER(all., units_needed, LATER),
                                      NUMBER(decode., needed_bytes, LATER),
                                      NUMBER(decode., experts_needed, MIXTURE),
                                      NUMBER(decode., expert_layers, MIXTURE),
                                      NUMBER(, experts_used, MIXTURE),
                                      NUMBER(decode., expert_choices, MIXTURE),
                                      NUMBER(decode., expert_units, MIXTURE),
                                      NUMBER(decode., expert_hits, MIXTURE),
                                      NUMBER(decode., expert_bytes, MIXTURE),
                                      NUMBER(decode., expert_hit_bytes, MIXTURE),
                                      NUMBER(, clairvoyant_hit_bytes, MIXTURE),
                                      NUMBER(all., products_rows, LATER),
                                      NUMBER(all., products_streams, LATER),
                                      NUMBER(all., product_changes, LATER),
                                      NUMBER(, first_prompt, LATER),
                                      NUMBER(, prompt_length, LATER),
                                      NUMBER(, tokens, LATER),
                                      NUMBER(, drafted, LATER),
                                      NUMBER(, drafts_kept, LATER),
                                      NUMBER(, draft_ns, LATER),
                                      NUMBER(, draft_bytes, LATER),
                                      NUMBER(, cached_before_ppm, 0),
                                      TEXT(tokens_hash, 0),
                                      TEXT(logits_hash, 0),
                                      TEXT(prefetch, 0),
                                      TEXT(replacement, 0),
                                      TEXT(scheduler, 0),
                                      TEXT(predict, LATER),
                                      TEXT(storage, 0),
                                      TEXT(kernels, 0),
                                      TEXT(product, LATER),
                                      TEXT(notice, 0)};
#define N_FIELDS (sizeof fields / sizeof *fields)

#define OUTCOME(name, counter)                                                                     \
    {                                                                                              \
        name, offsetof(struct lb_stats, counter), 0, 0                                             \
    }
#define SUM(name) OUTCOME(#name, name)
static const struct field outcome_fields[] = {OUTCOME("hit", hits),
                                              OUTCOME("prefetched", prefetched),
                                              OUTCOME("late", late), OUTCOME("miss", misses)};
static const struct field sum_fields[] = {SUM(bytes_read), SUM(wall_ns), SUM(compute_ns),
                                          SUM(wait_ns), SUM(other_ns)};
#define USAGE(name)                                                                                \
    {                                                                                              \
#name, offsetof(struct program_usage, name), 0, LATER                                      \
    }
static const struct field usage_fields[] = {USAGE(wall_ns), USAGE(cpu_ns), USAGE(bytes_read),
                                            USAGE(major_faults), USAGE(peak_rss_bytes)};
#define N_OUTCOMES (sizeof outcome_fields / sizeof *outcome_fields)
#define N_SUMS     (sizeof sum_fields / sizeof *sum_fields)

void sample_free(struct sample *s)
{
    free(s->pass_ns);
    free(s->log);
    free(s->units);
    free(s->routes);
    json_decref(s->broken);
    json_decref(s->prediction);
    json_decref(s->profile);
    json_decref(s->printed);
    memset(s, 0, sizeof *s);
}

double sample_pass_ns(const struct sample *s)
{
    return s->n_pass > 0 ? (double)s->decode.wall_ns / s->n_pass : 0;
}

static double ratio(uint64_t part, uint64_t of)
{
    return of > 0 ? (double)part / (double)of : NAN;
}

struct sample_experts sample_experts(const struct sample *s)
{
    const struct lb_stats *d = &s->decode;
    return (struct sample_experts){
        .demand_bytes = d->experts_needed > 0 ? ratio(d->needed_bytes, s->n_pass) : NAN,
        .hit_rate = ratio(d->expert_hits, d->expert_units),
        .hit_rate_bytes = ratio(d->expert_hit_bytes, d->expert_bytes),
        .per_token = ratio(d->experts_needed * s->experts_used, d->expert_choices),
        .tokens = ratio(d->expert_choices, d->experts_needed)};
}

double sample_tokens_a_pass(const struct sample *s)
{
    return s->n_pass == 0 ? 0 : (double)s->tokens / s->n_pass;
}

/* Of passes and the drafting for them. */
double sample_token_ns(const struct sample *s)
{
    return s->n_pass == 0 || s->tokens == 0
               ? 0
               : (double)(s->decode.wall_ns + s->draft_ns) / (double)s->tokens;
}

double sample_tokens_per_s(const struct sample *s)
{
    double ns = sample_token_ns(s);
    return ns > 0 ? 1e9 / ns : 0;
}

/* ---- to JSON ---- */

static json_t *number_at(const void *base, size_t offset)
{
    int64_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return json_integer(value);
}

/* By place in the draft, as far as drafts went; left out where there were none. */
static void add_places(json_t *object, const struct sample *s)
{
    json_t *reached = json_array(), *right = json_array();
    for (size_t i = 0; i < LB_DRAFT_MOST && s->draft_reached[i] > 0; i++) {
        json_array_append_new(reached, json_integer((json_int_t)s->draft_reached[i]));
        json_array_append_new(right, json_integer((json_int_t)s->draft_right[i]));
    }
    if (json_array_size(reached) > 0) {
        json_object_set(object, "draft_reached", reached);
        json_object_set(object, "draft_right", right);
    }
    json_decref(reached);
    json_decref(right);
}

static void add_sums(json_t *object, const struct lb_stats *sums)
{
    json_t *outcomes = json_object();
    for (size_t i = 0; i < N_OUTCOMES; i++)
        json_object_set_new(outcomes, outcome_fields[i].name,
                            number_at(sums, outcome_fields[i].offset));
    json_object_set_new(object, "outcomes", outcomes);
    for (size_t i = 0; i < N_SUMS; i++)
        json_object_set_new(object, sum_fields[i].name, number_at(sums, sum_fields[i].offset));
}

/* What the kernel does not say is left out. */
static void add_usage(json_t *object, const struct program_usage *usage)
{
    json_t *list = json_object();
    for (size_t i = 0; i < sizeof usage_fields / sizeof *usage_fields; i++)
        if (usage_fields[i].offset != offsetof(struct program_usage, bytes_read) ||
            usage->bytes_read >= 0)
            json_object_set_new(list, usage_fields[i].name,
                                number_at(usage, usage_fields[i].offset));
    json_object_set_new(object, "usage", list);
}

static json_t *passes_json(const struct sample *s)
{
    json_t *passes = json_array();
    for (uint32_t i = 0; i < s->n_pass; i++)
        json_array_append_new(passes, json_integer(s->pass_ns[i]));
    return passes;
}

/* Of another program: what is known of it. */
static void add_printed(json_t *object, const struct sample *s)
{
    json_object_set_new(object, "start_ns", json_integer(s->start_ns));
    json_object_set_new(object, "pass_ns", passes_json(s));
    json_object_set_new(object, "tokens", json_integer((json_int_t)s->tokens));
    json_object_set_new(object, "cached_before_ppm", json_integer(s->cached_before_ppm));
    json_object_set(object, "printed", s->printed);
    add_usage(object, &s->usage);
}

json_t *sample_to_json(const struct sample *s)
{
    json_t *object = json_object();
    json_object_set_new(object, "rep", json_integer(s->rep));
    json_object_set_new(object, "seq", json_integer(s->seq));
    if (*s->failed) {
        json_object_set_new(object, "start_ns", json_integer(s->start_ns));
        json_object_set_new(object, "failed", json_text(s->failed));
        return object;
    }
    if (s->printed) {
        add_printed(object, s);
        return object;
    }
    json_t *decode = json_object();
    add_sums(object, &s->all);
    json_object_set_new(object, "pass_ns", passes_json(s));
    add_sums(decode, &s->decode);
    json_object_set_new(object, "decode", decode);
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *text = (const char *)s + fields[i].offset;
        if (fields[i].flags != MIXTURE || s->decode.experts_needed > 0)
            json_object_set_new(object, fields[i].name,
                                fields[i].size == 0 ? number_at(s, fields[i].offset)
                                                    : json_text(text));
    }
    add_places(object, s);
    if (s->broken && json_array_size(s->broken) > 0)
        json_object_set(object, "broken", s->broken);
    if (s->prediction)
        json_object_set(object, "prediction", s->prediction);
    if (s->profile)
        json_object_set(object, "profile", s->profile);
    if (s->usage.wall_ns > 0)
        add_usage(object, &s->usage);
    return object;
}

/* ---- from JSON ---- */

/* What could be wrong with a sample; NULL as long as nothing is. */
struct reading {
    const json_t *object;
    const char *wrong;
};

static void note(struct reading *r, bool good, const char *name)
{
    if (!good && !r->wrong)
        r->wrong = name;
}

static void take(struct reading *r, const json_t *object, const struct field *f, void *base)
{
    json_t *value = json_object_get(object, f->name);
    char *to = (char *)base + f->offset;
    int64_t number = json_integer_value(value);
    const char *text = json_string_value(value);
    note(r, (f->flags && !value) || (f->size ? text != NULL : json_is_integer(value)), f->name);
    if (f->size)
        snprintf(to, f->size, "%s", text ? text : "");
    else
        memcpy(to, &number, sizeof number);
}

static void take_sums(struct reading *r, const json_t *object, struct lb_stats *sums)
{
    const json_t *outcomes = json_object_get(object, "outcomes");
    for (size_t i = 0; i < N_OUTCOMES; i++)
        take(r, outcomes, &outcome_fields[i], sums);
    for (size_t i = 0; i < N_SUMS; i++)
        take(r, object, &sum_fields[i], sums);
}

/* As far as an integer holds it: a damaged result may say anything. */
static int64_t bounded(double value)
{
    return value >= 9e18 ? (int64_t)9e18 : (int64_t)value;
}

static void take_passes(struct reading *r, struct sample *s)
{
    const json_t *list = json_object_get(r->object, "pass_ns");
    double sum = 0; /* exact up to 2^53 ns, 104 days */
    size_t i;
    json_t *value;
    s->pass_ns = calloc(json_array_size(list) + 1, sizeof *s->pass_ns);
    note(r, s->pass_ns && json_is_array(list), "pass_ns");
    json_array_foreach(s->pass_ns ? list : NULL, i, value)
    {
        note(r, json_is_integer(value), "pass_ns");
        if (json_is_integer(value) && json_integer_value(value) > 0)
            sum += (double)(s->pass_ns[s->n_pass++] = json_integer_value(value));
    }
    s->decode.wall_ns = bounded(sum);
}

/* Results from before tokens were counted: one of each sequence a pass. */
static void count_tokens(struct sample *s, uint32_t batch)
{
    if (s->tokens == 0)
        s->tokens = (uint64_t)s->n_pass * batch;
}

static void take_places(const json_t *list, uint64_t *places)
{
    for (size_t i = 0; i < json_array_size(list) && i < LB_DRAFT_MOST; i++)
        places[i] = (uint64_t)json_integer_value(json_array_get(list, i));
}

static json_t *array_or_null(json_t *value)
{
    return json_is_array(value) ? json_incref(value) : NULL;
}

/* Of another program (see peer.h), as well as its passes. */
static const struct field printed_fields[] = {NUMBER(, start_ns, 0), NUMBER(, tokens, 0),
                                              NUMBER(, cached_before_ppm, 0)};

/* What is wrong or missing; NULL: nothing. */
static const char *read_sample(const json_t *object, uint32_t batch, struct sample *s)
{
    struct reading r = {.object = object};
    json_t *rep = json_object_get(object, "rep"), *seq = json_object_get(object, "seq");
    const char *failed = json_string_value(json_object_get(object, "failed"));
    memset(s, 0, sizeof *s);
    note(&r, json_is_integer(rep), "rep");
    note(&r, json_is_integer(seq), "seq");
    s->rep = (int32_t)json_integer_value(rep);
    s->seq = (uint32_t)json_integer_value(seq);
    if (failed) {
        snprintf(s->failed, sizeof s->failed, "%s", failed);
        take(&r, object, &fields[0], s); /* start_ns */
        return r.wrong;
    }
    take_passes(&r, s);
    s->usage.bytes_read = -1;
    for (size_t i = 0; i < sizeof usage_fields / sizeof *usage_fields; i++)
        if (json_object_get(json_object_get(object, "usage"), usage_fields[i].name))
            take(&r, json_object_get(object, "usage"), &usage_fields[i], &s->usage);
    if (json_is_object(json_object_get(object, "printed"))) {
        for (size_t i = 0; i < sizeof printed_fields / sizeof *printed_fields; i++)
            take(&r, object, &printed_fields[i], s);
        s->printed = json_incref(json_object_get(object, "printed"));
        count_tokens(s, batch);
        return r.wrong;
    }
    int64_t wall_ns = s->decode.wall_ns;
    take_sums(&r, object, &s->all);
    take_sums(&r, json_object_get(object, "decode"), &s->decode);
    s->decode.wall_ns = wall_ns;
    for (size_t i = 0; i < N_FIELDS; i++)
        take(&r, object, &fields[i], s);
    count_tokens(s, batch);
    take_places(json_object_get(object, "draft_reached"), s->draft_reached);
    take_places(json_object_get(object, "draft_right"), s->draft_right);
    s->broken = array_or_null(json_object_get(object, "broken"));
    s->prediction = json_incref(json_object_get(object, "prediction"));
    s->profile = json_incref(json_object_get(object, "profile"));
    return r.wrong;
}

bool sample_from_json(const json_t *object, uint32_t batch, struct sample *s, const char **where)
{
    *where = read_sample(object, batch, s);
    if (*where)
        sample_free(s);
    return !*where;
}

void sample_from_json_partly(const json_t *object, uint32_t batch, struct sample *s)
{
    (void)read_sample(object, batch, s);
}

/* ---- from process to process: both are the same program ---- */

bool sample_write(const struct sample *s, FILE *out)
{
    json_t *object = sample_to_json(s);
    char *text = json_dumps(object, JSON_COMPACT);
    size_t head[4] = {text ? strlen(text) : 0, s->n_log, s->n_units, s->n_routes};
    bool done = text && fwrite(head, sizeof head, 1, out) == 1 &&
                fwrite(text, 1, head[0], out) == head[0] &&
                fwrite(s->log, sizeof *s->log, s->n_log, out) == s->n_log &&
                fwrite(s->units, sizeof *s->units, s->n_units, out) == s->n_units &&
                fwrite(s->routes, sizeof *s->routes, s->n_routes, out) == s->n_routes &&
                fflush(out) == 0;
    free(text);
    json_decref(object);
    return done;
}

/* n records of so many bytes; NULL when they are not all there. */
static void *receive_records(FILE *in, size_t n, size_t bytes, size_t *count)
{
    void *records = malloc((n + 1) * bytes);
    *count = records ? fread(records, bytes, n, in) : 0;
    if (*count == n)
        return records;
    free(records);
    return NULL;
}

bool sample_receive(FILE *in, struct sample *s)
{
    size_t head[4];
    const char *where;
    memset(s, 0, sizeof *s);
    if (fread(head, sizeof head, 1, in) != 1)
        return false;
    char *text = malloc(head[0] + 1);
    json_t *object = NULL;
    if (text && fread(text, 1, head[0], in) == head[0])
        object = json_loadb(text, head[0], 0, NULL);
    free(text);
    bool done = object && sample_from_json(object, 1, s, &where);
    json_decref(object);
    if (!done)
        return false;
    done = (s->log = receive_records(in, head[1], sizeof *s->log, &s->n_log)) &&
           (s->units = receive_records(in, head[2], sizeof *s->units, &s->n_units)) &&
           (s->routes = receive_records(in, head[3], sizeof *s->routes, &s->n_routes));
    if (!done)
        sample_free(s);
    return done;
}
