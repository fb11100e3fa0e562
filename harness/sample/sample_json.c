/* sample: its JSON form and how it goes from process to process. See sample.h. */
#include "sample/sample.h"

#include "common/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum field_kind { NUMBER, TEXT };

struct field {
    const char *name;
    size_t offset;
    enum field_kind kind;
    size_t size;  /* of a text's array */
    bool later;   /* results from before it was there lack it: then 0 or "" */
    bool mixture; /* written of mixtures of experts alone */
};

#define NUMBER_OF(name)                                                                            \
    {                                                                                              \
#name, offsetof(struct sample, name), NUMBER, 0, false, false                              \
    }
#define TEXT_OF(name)                                                                              \
    {                                                                                              \
#name, offsetof(struct sample, name), TEXT, sizeof((struct sample *)0)->name, false, false \
    }

#define LATER_NUMBER_OF(name)                                                                      \
    {                                                                                              \
#name, offsetof(struct sample, name), NUMBER, 0, true, false                               \
    }
#define MIXTURE_NUMBER_OF(name)                                                                    \
    {                                                                                              \
#name, offsetof(struct sample, name), NUMBER, 0, true, true                                \
    }
#define LATER_TEXT_OF(name)                                                                        \
    {                                                                                              \
#name, offsetof(struct sample, name), TEXT, sizeof((struct sample *)0)->name, true, false  \
    }

/* Numbers of 64 bits, signed or not: all below 2^63. */
static const struct field fields[] = {
    NUMBER_OF(start_ns),
    NUMBER_OF(load_ns),
    NUMBER_OF(ttft_ns),
    NUMBER_OF(prefill_ns),
    NUMBER_OF(between_ns),
    NUMBER_OF(cached_wait_ns),
    NUMBER_OF(uncached_wait_ns),
    NUMBER_OF(passes),
    NUMBER_OF(layers),
    NUMBER_OF(accesses),
    NUMBER_OF(log_dropped),
    NUMBER_OF(wasted),
    NUMBER_OF(evictions),
    NUMBER_OF(protected_evictions),
    NUMBER_OF(prefetches_started),
    NUMBER_OF(prefetches_completed),
    NUMBER_OF(prefetches_cancelled),
    NUMBER_OF(prefetches_used),
    NUMBER_OF(prefetches_failed),
    NUMBER_OF(prefetch_mean_ns),
    NUMBER_OF(reads),
    NUMBER_OF(read_errors),
    NUMBER_OF(kernel_bytes),
    NUMBER_OF(file_bytes),
    NUMBER_OF(layer_bytes),
    NUMBER_OF(model_resident_bytes),
    NUMBER_OF(resident_bytes),
    NUMBER_OF(cache_bytes),
    NUMBER_OF(kv_bytes),
    NUMBER_OF(allocations),
    NUMBER_OF(peak_rss_bytes),
    NUMBER_OF(major_faults),
    NUMBER_OF(cpu_ns),
    NUMBER_OF(cache_layers),
    NUMBER_OF(threads),
    LATER_NUMBER_OF(drives),
    LATER_NUMBER_OF(unit_accesses),
    LATER_NUMBER_OF(units_needed),
    LATER_NUMBER_OF(needed_bytes),
    MIXTURE_NUMBER_OF(experts_needed),
    MIXTURE_NUMBER_OF(expert_layers),
    MIXTURE_NUMBER_OF(experts_used),
    MIXTURE_NUMBER_OF(expert_choices),
    MIXTURE_NUMBER_OF(expert_units),
    MIXTURE_NUMBER_OF(expert_hits),
    MIXTURE_NUMBER_OF(expert_bytes),
    MIXTURE_NUMBER_OF(expert_hit_bytes),
    MIXTURE_NUMBER_OF(clairvoyant_hit_bytes),
    LATER_NUMBER_OF(products_rows),
    LATER_NUMBER_OF(products_streams),
    LATER_NUMBER_OF(product_changes),
    LATER_NUMBER_OF(first_prompt),
    LATER_NUMBER_OF(prompt_length),
    LATER_NUMBER_OF(tokens),
    LATER_NUMBER_OF(drafted),
    LATER_NUMBER_OF(drafts_kept),
    LATER_NUMBER_OF(draft_ns),
    LATER_NUMBER_OF(draft_bytes),
    NUMBER_OF(cached_before_ppm),
    TEXT_OF(tokens_hash),
    TEXT_OF(logits_hash),
    TEXT_OF(prefetch),
    TEXT_OF(replacement),
    TEXT_OF(scheduler),
    LATER_TEXT_OF(predict),
    TEXT_OF(storage),
    TEXT_OF(kernels),
    LATER_TEXT_OF(product),
    TEXT_OF(notice),
};
#define N_FIELDS (sizeof fields / sizeof *fields)

struct sum_field {
    const char *name;
    size_t offset;
};
#define SUM_OF(name)                                                                               \
    {                                                                                              \
#name, offsetof(struct sample_sums, name)                                                  \
    }
static const struct sum_field outcome_fields[] = {SUM_OF(hit), SUM_OF(prefetched), SUM_OF(late),
                                                  SUM_OF(miss)};
static const struct sum_field sum_fields[] = {
    SUM_OF(bytes_read), SUM_OF(wall_ns), SUM_OF(compute_ns), SUM_OF(wait_ns), SUM_OF(other_ns)};
#define USAGE_OF(name)                                                                             \
    {                                                                                              \
#name, offsetof(struct program_usage, name)                                                \
    }
static const struct sum_field usage_fields[] = {USAGE_OF(wall_ns), USAGE_OF(cpu_ns),
                                                USAGE_OF(bytes_read), USAGE_OF(major_faults),
                                                USAGE_OF(peak_rss_bytes)};
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
    bool mixture = s->experts_needed > 0;
    return (struct sample_experts){
        .demand_bytes = mixture ? ratio(s->needed_bytes, s->n_pass) : NAN,
        .hit_rate = ratio(s->expert_hits, s->expert_units),
        .hit_rate_bytes = ratio(s->expert_hit_bytes, s->expert_bytes),
        .per_token = ratio(s->experts_needed * s->experts_used, s->expert_choices),
        .tokens = ratio(s->expert_choices, s->experts_needed)};
}

static uint64_t count_of(const json_t *sample, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(sample, key));
}

struct sample_experts sample_json_experts(const json_t *sample)
{
    const struct sample s = {.n_pass =
                                 (uint32_t)json_array_size(json_object_get(sample, "pass_ns")),
                             .needed_bytes = count_of(sample, "needed_bytes"),
                             .experts_needed = count_of(sample, "experts_needed"),
                             .experts_used = count_of(sample, "experts_used"),
                             .expert_choices = count_of(sample, "expert_choices"),
                             .expert_units = count_of(sample, "expert_units"),
                             .expert_hits = count_of(sample, "expert_hits"),
                             .expert_bytes = count_of(sample, "expert_bytes"),
                             .expert_hit_bytes = count_of(sample, "expert_hit_bytes")};
    return sample_experts(&s);
}

double sample_tokens_a_pass(const struct sample *s, double batch)
{
    return s->n_pass == 0 ? 0 : s->tokens > 0 ? (double)s->tokens / s->n_pass : batch;
}

/* A pass and the drafting for it. */
static double step_ns(const struct sample *s)
{
    return s->n_pass > 0 ? sample_pass_ns(s) + (double)s->draft_ns / s->n_pass : 0;
}

double sample_tokens_per_s(const struct sample *s, double batch)
{
    double ns = step_ns(s);
    return ns > 0 ? sample_tokens_a_pass(s, batch) * 1e9 / ns : 0;
}

double sample_token_ns(const struct sample *s, double batch)
{
    double tokens = sample_tokens_a_pass(s, batch);
    return tokens > 0 ? step_ns(s) / tokens : 0;
}

/* As far as an integer holds it: a damaged result may say anything. */
static int64_t bounded(double value)
{
    return value >= 9e18 ? (int64_t)9e18 : value > 0 ? (int64_t)value : 0;
}

/* Its passes, their number and sum. */
static struct sample passes_of(const json_t *sample)
{
    struct sample s = {.n_pass = 0};
    double sum = 0; /* exact up to 2^53 ns, 104 days */
    size_t i;
    json_t *pass;
    json_array_foreach(json_object_get(sample, "pass_ns"), i, pass)
    {
        if (json_number_value(pass) > 0) {
            sum += json_number_value(pass);
            s.n_pass++;
        }
    }
    s.decode.wall_ns = bounded(sum);
    return s;
}

double sample_json_pass_ns(const json_t *sample)
{
    struct sample s = passes_of(sample);
    return sample_pass_ns(&s);
}

double sample_json_token_ns(const json_t *sample, double batch)
{
    struct sample s = passes_of(sample);
    s.tokens = (uint64_t)bounded(json_number_value(json_object_get(sample, "tokens")));
    s.draft_ns = bounded(json_number_value(json_object_get(sample, "draft_ns")));
    return sample_token_ns(&s, batch);
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

static void add_sums(json_t *object, const struct sample_sums *sums)
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
        if (fields[i].mixture && s->experts_needed == 0)
            continue;
        json_object_set_new(object, fields[i].name,
                            fields[i].kind == NUMBER ? number_at(s, fields[i].offset)
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

static bool take_number(const json_t *object, const char *name, void *base, size_t offset)
{
    json_t *value = json_object_get(object, name);
    int64_t number = json_integer_value(value);
    memcpy((char *)base + offset, &number, sizeof number);
    return json_is_integer(value);
}

static bool take_sums(const json_t *object, struct sample_sums *sums, const char **where)
{
    json_t *outcomes = json_object_get(object, "outcomes");
    for (size_t i = 0; i < N_OUTCOMES; i++) {
        *where = outcome_fields[i].name;
        if (!take_number(outcomes, outcome_fields[i].name, sums, outcome_fields[i].offset))
            return false;
    }
    for (size_t i = 0; i < N_SUMS; i++) {
        *where = sum_fields[i].name;
        if (!take_number(object, sum_fields[i].name, sums, sum_fields[i].offset))
            return false;
    }
    return true;
}

static bool take_passes(const json_t *list, struct sample *s)
{
    if (!json_is_array(list))
        return false;
    s->pass_ns = calloc(json_array_size(list) + 1, sizeof *s->pass_ns);
    if (!s->pass_ns)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *value = json_array_get(list, i);
        if (!json_is_integer(value))
            return false;
        s->pass_ns[s->n_pass++] = json_integer_value(value);
    }
    return true;
}

static void take_places(const json_t *list, uint64_t *places)
{
    for (size_t i = 0; i < json_array_size(list) && i < LB_DRAFT_MOST; i++)
        places[i] = (uint64_t)json_integer_value(json_array_get(list, i));
}

static bool take_fields(const json_t *object, struct sample *s, const char **where)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        *where = fields[i].name;
        if (fields[i].later && !json_object_get(object, fields[i].name))
            continue;
        if (fields[i].kind == NUMBER) {
            if (!take_number(object, fields[i].name, s, fields[i].offset))
                return false;
            continue;
        }
        const char *text = json_string_value(json_object_get(object, fields[i].name));
        if (!text)
            return false;
        snprintf((char *)s + fields[i].offset, fields[i].size, "%s", text);
    }
    return true;
}

static void take_usage(const json_t *object, struct program_usage *usage)
{
    usage->bytes_read = -1;
    for (size_t i = 0; i < sizeof usage_fields / sizeof *usage_fields; i++)
        if (json_object_get(object, usage_fields[i].name))
            (void)take_number(object, usage_fields[i].name, usage, usage_fields[i].offset);
}

static bool take_printed(const json_t *object, struct sample *s, const char **where)
{
    static const struct sum_field known[] = {
        {"start_ns", offsetof(struct sample, start_ns)},
        {"tokens", offsetof(struct sample, tokens)},
        {"cached_before_ppm", offsetof(struct sample, cached_before_ppm)}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        *where = known[i].name;
        if (!take_number(object, known[i].name, s, known[i].offset))
            return false;
    }
    for (uint32_t i = 0; i < s->n_pass; i++)
        s->decode.wall_ns += s->pass_ns[i];
    s->printed = json_incref(json_object_get(object, "printed"));
    return true;
}

bool sample_from_json(const json_t *object, struct sample *s, const char **where)
{
    memset(s, 0, sizeof *s);
    json_t *rep = json_object_get(object, "rep"), *seq = json_object_get(object, "seq");
    const char *failed = json_string_value(json_object_get(object, "failed"));
    *where = json_is_integer(rep) ? "seq" : "rep";
    if (!json_is_integer(rep) || !json_is_integer(seq))
        return false;
    s->rep = (int32_t)json_integer_value(rep);
    s->seq = (uint32_t)json_integer_value(seq);
    if (failed) {
        snprintf(s->failed, sizeof s->failed, "%s", failed);
        *where = "start_ns";
        return take_number(object, "start_ns", s, offsetof(struct sample, start_ns));
    }
    *where = "pass_ns";
    bool there = take_passes(json_object_get(object, "pass_ns"), s);
    take_usage(json_object_get(object, "usage"), &s->usage);
    if (there && json_is_object(json_object_get(object, "printed"))) {
        if (take_printed(object, s, where))
            return true;
    } else if (there && take_sums(object, &s->all, where) &&
               take_sums(json_object_get(object, "decode"), &s->decode, where) &&
               take_fields(object, s, where)) {
        take_places(json_object_get(object, "draft_reached"), s->draft_reached);
        take_places(json_object_get(object, "draft_right"), s->draft_right);
        json_t *broken = json_object_get(object, "broken");
        s->broken = json_is_array(broken) ? json_incref(broken) : NULL;
        s->prediction = json_incref(json_object_get(object, "prediction"));
        s->profile = json_incref(json_object_get(object, "profile"));
        return true;
    }
    sample_free(s);
    return false;
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
    bool done = object && sample_from_json(object, s, &where);
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
