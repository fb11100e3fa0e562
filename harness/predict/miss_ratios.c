/* miss_ratios: see miss_ratios.h. */
#include "predict/miss_ratios.h"

#include "base/processors.h"
#include "plan/replay.h"
#include "predict/route_trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SIZES = 1000, MOST_POLICIES = 64, MOST_THREADS = 64, USUAL_SIZES = 20 };

struct study {
    struct route_trace trace;
    double *heat;     /* uses of each object, for `static` */
    uint32_t *frames; /* bytes of each object, or NULL: all alike */
    double half_life; /* for `lfu`, `lfru` */
    uint32_t sizes[MOST_SIZES];
    size_t n_sizes;
    const char *policies[MOST_POLICIES];
    size_t n_policies;
    char *names;                   /* what policies point into; malloc, or NULL */
    struct replay_result *results; /* [n_policies][n_sizes] */
    _Atomic size_t next;
    _Atomic bool failed;
    pthread_mutex_t mu;
    struct lb_error err; /* guarded by mu */
};

static enum lb_status choose_sizes(struct study *s, const char *given, struct lb_error *err)
{
    uint32_t all = s->trace.n_objects;
    if (!given) {
        for (uint32_t i = 1; i <= USUAL_SIZES; i++) {
            uint32_t size = (uint32_t)((uint64_t)all * i / USUAL_SIZES);
            if (size > (s->n_sizes ? s->sizes[s->n_sizes - 1] : 0))
                s->sizes[s->n_sizes++] = size;
        }
        return LB_OK;
    }
    for (const char *text = given;; text++) {
        char *end;
        unsigned long value = strtoul(text, &end, 10);
        if (end == text || value == 0 || value > UINT32_MAX || s->n_sizes == MOST_SIZES ||
            (*end && *end != ','))
            return lb_fail(err, LB_ERR_INPUT, "--slots %s: expected at most %d counts: N,N,...",
                           given, MOST_SIZES);
        s->sizes[s->n_sizes++] = (uint32_t)value;
        if (!*end)
            return LB_OK;
        text = end;
    }
}

static enum lb_status choose_policies(struct study *s, const struct sim_arguments *a,
                                      struct lb_error *err)
{
    static const char key[] = "replacement=";
    struct lb_choice choice;
    for (size_t i = 0; i < a->n_vary; i++) {
        if (s->names || strncmp(a->vary[i], key, sizeof key - 1) != 0)
            return lb_fail(err, LB_ERR_INPUT, "--vary %s: with routes expected replacement=...",
                           a->vary[i]);
        s->names = strdup(a->vary[i] + sizeof key - 1);
        if (!s->names)
            return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
        char *rest = NULL, *name = strtok_r(s->names, ",", &rest);
        for (; name && s->n_policies < MOST_POLICIES; name = strtok_r(NULL, ",", &rest))
            s->policies[s->n_policies++] = name;
    }
    for (size_t i = 0; a->n_vary == 0 && lb_choice_at("replacement", i, &choice); i++)
        if (s->n_policies < MOST_POLICIES)
            s->policies[s->n_policies++] = choice.name;
    return LB_OK;
}

static void *work(void *arg)
{
    struct study *s = arg;
    size_t n = s->n_policies * s->n_sizes, i;
    while (!s->failed && (i = atomic_fetch_add(&s->next, 1)) < n) {
        struct lb_error err = LB_ERROR_INIT;
        struct replay_options o = {.accesses = s->trace.accesses,
                                   .length = s->trace.length,
                                   .n_units = s->trace.n_layers * s->trace.n_experts,
                                   .replacement = s->policies[i / s->n_sizes],
                                   .slots = s->sizes[i % s->n_sizes],
                                   .frames_of = s->frames,
                                   .heat = s->heat,
                                   .half_life = s->half_life,
                                   .seed = 1};
        if (replay_run(&o, &s->results[i], &err) == LB_OK)
            continue;
        pthread_mutex_lock(&s->mu);
        lb_fail(&s->err, err.code, "%s", err.text);
        s->failed = true;
        pthread_mutex_unlock(&s->mu);
    }
    return NULL;
}

/* Where objects differ in size. */
static enum lb_status take_sizes(struct study *s, struct lb_error *err)
{
    const uint32_t n = s->trace.n_layers * s->trace.n_experts;
    s->frames = s->trace.bytes ? calloc(n, sizeof *s->frames) : NULL;
    if (s->trace.bytes && !s->frames)
        return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (uint32_t i = 0; s->frames && i < n; i++) {
        if (s->trace.bytes[i] > UINT32_MAX)
            return lb_fail(err, LB_ERR_INPUT,
                           "object %" PRIu32 ": %" PRIu64 " bytes: expected less than 4 GiB", i,
                           s->trace.bytes[i]);
        s->frames[i] = (uint32_t)s->trace.bytes[i];
    }
    return LB_OK;
}

static enum lb_status run(struct study *s, struct lb_error *err)
{
    s->results = calloc(s->n_policies * s->n_sizes, sizeof *s->results);
    s->heat = calloc((size_t)s->trace.n_layers * s->trace.n_experts, sizeof *s->heat);
    if (!s->results || !s->heat)
        return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (uint64_t i = 0; i < s->trace.length; i++)
        s->heat[s->trace.accesses[i]]++;
    enum lb_status status = take_sizes(s, err);
    if (status != LB_OK)
        return status;
    int processors = (int)lb_processors_usable();
    pthread_t threads[MOST_THREADS];
    int n = 0;
    while (n + 1 < processors && n < MOST_THREADS &&
           pthread_create(&threads[n], NULL, work, s) == 0)
        n++;
    work(s);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    return s->err.code == LB_OK ? LB_OK : lb_fail(err, s->err.code, "%s", s->err.text);
}

enum lb_status miss_ratios_count(const struct route_trace *trace, double half_life,
                                 struct miss_ratios *out, struct lb_error *err)
{
    struct study s = {.trace = *trace, /* lent */
                      .half_life = half_life,
                      .mu = PTHREAD_MUTEX_INITIALIZER,
                      .err = LB_ERROR_INIT};
    const struct sim_arguments all = {.n_vary = 0};
    *out = (struct miss_ratios){.list = NULL};
    enum lb_status status = choose_sizes(&s, NULL, err);
    if (status == LB_OK)
        status = choose_policies(&s, &all, err);
    if (status == LB_OK)
        status = run(&s, err);
    const size_t n = s.n_policies * s.n_sizes;
    if (status == LB_OK && !(out->list = malloc((n + 1) * sizeof *out->list)))
        status = lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (; status == LB_OK && out->n < n; out->n++) {
        const struct replay_result *r = &s.results[out->n];
        out->list[out->n] = (struct miss_ratio){.policy = s.policies[out->n / s.n_sizes],
                                                .slots = s.sizes[out->n % s.n_sizes],
                                                .misses = (double)r->misses / (double)trace->length,
                                                .bytes = (double)r->missed / (double)r->all};
    }
    free(s.results);
    free(s.heat);
    free(s.frames);
    return status;
}

void miss_ratios_free(struct miss_ratios *ratios)
{
    free(ratios->list);
    *ratios = (struct miss_ratios){.list = NULL};
}

static void print(const struct study *s, const char *path, bool json)
{
    if (json)
        printf("{\"layerbench\": {\"accesses\": %" PRIu64 ", \"objects\": %" PRIu32
               ", \"largest_demand\": %" PRIu32 ", \"miss_ratios\": [",
               s->trace.length, s->trace.n_objects, s->trace.largest_demand);
    else
        printf("# %s: %" PRIu64 " accesses of %" PRIu32 " experts, at most %" PRIu32
               " a token; one at a time, cold start\npolicy\tslots\tmisses\tmiss_ratio%s\n",
               path, s->trace.length, s->trace.n_objects, s->trace.largest_demand,
               s->frames ? "\tbytes_ratio" : "");
    for (size_t i = 0; i < s->n_policies * s->n_sizes; i++) {
        const char *policy = s->policies[i / s->n_sizes];
        uint32_t slots = s->sizes[i % s->n_sizes];
        double ratio = (double)s->results[i].misses / (double)s->trace.length;
        double bytes = (double)s->results[i].missed / (double)s->results[i].all;
        if (json)
            printf("%s\n {\"policy\": \"%s\", \"slots\": %" PRIu32 ", \"misses\": %" PRIu64
                   ", \"miss_ratio\": %.6f, \"bytes_ratio\": %.6f}",
                   i ? "," : "", policy, slots, s->results[i].misses, ratio, bytes);
        else
            printf(s->frames ? "%s\t%" PRIu32 "\t%" PRIu64 "\t%.4f\t%.4f\n"
                             : "%s\t%" PRIu32 "\t%" PRIu64 "\t%.4f\n",
                   policy, slots, s->results[i].misses, ratio, bytes);
    }
    if (json)
        printf("]}}\n");
}

enum lb_status sim_miss_ratios(const struct sim_arguments *a, const struct settings *settings,
                               struct lb_error *err)
{
    struct study s = {.half_life = settings->engine.half_life,
                      .mu = PTHREAD_MUTEX_INITIALIZER,
                      .err = LB_ERROR_INIT};
    enum lb_status status = route_trace_read(a->replay, a->replay_cell, &s.trace, err);
    if (status == LB_OK)
        status = choose_sizes(&s, a->slots, err);
    if (status == LB_OK)
        status = choose_policies(&s, a, err);
    if (status == LB_OK)
        status = run(&s, err);
    if (status == LB_OK)
        print(&s, a->replay, a->json);
    route_trace_free(&s.trace);
    free(s.results);
    free(s.heat);
    free(s.frames);
    free(s.names);
    return status;
}
