/*
 * miss_ratios: see miss_ratios.h. All policies and sizes go through the trace together, block by
 * block, so that memory is that of the caches, however long the trace.
 */
#include "predict/miss_ratios.h"

#include "base/processors.h"
#include "plan/replay.h"
#include "predict/access_spill.h"
#include "predict/route_trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SIZES = 1000, MOST_POLICIES = 64, MOST_THREADS = 64, USUAL_SIZES = 20 };
enum { BLOCK = 1 << 18 }; /* accesses: a cache's state is fetched once for so many */

struct study {
    struct route_extent extent;
    struct access_spill *spill;
    uint32_t n_all;   /* objects that there may be */
    uint32_t n_seen;  /* that there are */
    double *heat;     /* [n_all] uses of each, for `static` */
    uint32_t *frames; /* [n_all] bytes of each, or NULL: all alike */
    size_t frames_room;
    double half_life; /* for `lfu`, `lfru` */
    uint32_t sizes[MOST_SIZES];
    size_t n_sizes;
    const char *policies[MOST_POLICIES];
    size_t n_policies;
    char *names;             /* what policies point into; malloc, or NULL */
    struct replay **replays; /* [n_policies][n_sizes] */
    struct replay_access *block;
    size_t n_block;
    _Atomic size_t next; /* of replays, for this block */
};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
}

static enum lb_status choose_sizes(struct study *s, const char *given, struct lb_error *err)
{
    uint32_t all = s->n_seen;
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
    for (size_t i = 0; i < a->vary.count; i++) {
        if (s->names || strncmp(a->vary.texts[i], key, sizeof key - 1) != 0)
            return lb_fail(err, LB_ERR_INPUT, "--vary %s: with routes expected replacement=...",
                           a->vary.texts[i]);
        s->names = strdup(a->vary.texts[i] + sizeof key - 1);
        if (!s->names)
            return no_memory(err);
        char *rest = NULL, *name = strtok_r(s->names, ",", &rest);
        for (; name && s->n_policies < MOST_POLICIES; name = strtok_r(NULL, ",", &rest))
            s->policies[s->n_policies++] = name;
    }
    for (size_t i = 0; a->vary.count == 0 && lb_choice_at("replacement", i, &choice); i++)
        if (s->n_policies < MOST_POLICIES)
            s->policies[s->n_policies++] = choice.name;
    return LB_OK;
}

/* ---- the trace ---- */

static enum lb_status take_size(struct study *s, const struct route_access *access,
                                struct lb_error *err)
{
    if (access->bytes > UINT32_MAX)
        return lb_fail(err, LB_ERR_INPUT,
                       "object %" PRIu32 ": %" PRIu64 " bytes: expected less than 4 GiB",
                       access->expert, access->bytes);
    if (access->expert >= s->frames_room) {
        size_t room = 2 * (size_t)access->expert + 1024;
        uint32_t *frames = realloc(s->frames, room * sizeof *frames);
        if (!frames)
            return no_memory(err);
        memset(frames + s->frames_room, 0, (room - s->frames_room) * sizeof *frames);
        s->frames = frames;
        s->frames_room = room;
    }
    s->frames[access->expert] = (uint32_t)access->bytes;
    return LB_OK;
}

static enum lb_status take(void *ctx, const struct route_access *access, struct lb_error *err)
{
    struct study *s = ctx;
    enum lb_status status = access_spill_add(s->spill, access->layer, access->expert, err);
    return status == LB_OK && access->bytes > 0 ? take_size(s, access, err) : status;
}

static enum lb_status take_all(struct study *s, const struct route_trace *trace,
                               struct lb_error *err)
{
    enum lb_status status = LB_OK;
    s->extent = (struct route_extent){.length = trace->length,
                                      .n_layers = 1,
                                      .n_experts = trace->n_layers * trace->n_experts,
                                      .largest_demand = trace->largest_demand};
    for (uint64_t i = 0; status == LB_OK && i < trace->length; i++) {
        const struct route_access access = {.expert = trace->accesses[i],
                                            .bytes = trace->bytes ? trace->bytes[trace->accesses[i]]
                                                                  : 0};
        status = take(s, &access, err);
    }
    return status;
}

static enum lb_status seal(struct study *s, struct lb_error *err)
{
    s->n_all = s->extent.n_layers * s->extent.n_experts;
    s->heat = calloc((size_t)s->n_all + 1, sizeof *s->heat);
    if (!s->heat)
        return no_memory(err);
    enum lb_status status =
        access_spill_seal(s->spill, s->extent.n_experts, s->n_all, s->heat, err);
    for (uint32_t i = 0; i < s->n_all; i++)
        s->n_seen += s->heat[i] > 0;
    return status;
}

/* ---- the caches ---- */

static void *work(void *arg)
{
    struct study *s = arg;
    size_t n = s->n_policies * s->n_sizes, i;
    while ((i = atomic_fetch_add(&s->next, 1)) < n)
        replay_feed(s->replays[i], s->block, s->n_block);
    return NULL;
}

static void run_block(struct study *s)
{
    int processors = (int)lb_processors_usable();
    pthread_t threads[MOST_THREADS];
    int n = 0;
    s->next = 0;
    while (n + 1 < processors && n < MOST_THREADS &&
           pthread_create(&threads[n], NULL, work, s) == 0)
        n++;
    work(s);
    while (n > 0)
        pthread_join(threads[--n], NULL);
}

static enum lb_status run(struct study *s, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    s->replays = calloc(s->n_policies * s->n_sizes + 1, sizeof *s->replays);
    s->block = malloc(BLOCK * sizeof *s->block);
    if (!s->replays || !s->block)
        return no_memory(err);
    for (size_t i = 0; status == LB_OK && i < s->n_policies * s->n_sizes; i++) {
        struct replay_options o = {.n_units = s->n_all,
                                   .replacement = s->policies[i / s->n_sizes],
                                   .slots = s->sizes[i % s->n_sizes],
                                   .frames_of = s->frames,
                                   .heat = s->heat,
                                   .half_life = s->half_life,
                                   .seed = 1};
        status = replay_open(&o, &s->replays[i], err);
    }
    do {
        if (status == LB_OK)
            status = access_spill_read(s->spill, s->block, BLOCK, &s->n_block, err);
        if (status == LB_OK && s->n_block > 0)
            run_block(s);
    } while (status == LB_OK && s->n_block > 0);
    return status;
}

static void close_study(struct study *s)
{
    for (size_t i = 0; s->replays && i < s->n_policies * s->n_sizes; i++)
        replay_close(s->replays[i]);
    free(s->replays);
    free(s->block);
    free(s->heat);
    free(s->frames);
    free(s->names);
    access_spill_close(s->spill);
}

/* Cache i and what came of it. */
static struct miss_ratio ratio_of(const struct study *s, size_t i, uint64_t *misses)
{
    const struct replay_result r = replay_result(s->replays[i]);
    *misses = r.misses;
    return (struct miss_ratio){.policy = s->policies[i / s->n_sizes],
                               .slots = s->sizes[i % s->n_sizes],
                               .misses = (double)r.misses / (double)s->extent.length,
                               .bytes = (double)r.missed / (double)r.all};
}

enum lb_status miss_ratios_count(const struct route_trace *trace, double half_life,
                                 struct miss_ratios *out, struct lb_error *err)
{
    struct study s = {.half_life = half_life};
    const struct sim_arguments all = {.vary = {NULL, 0}};
    uint64_t misses;
    *out = (struct miss_ratios){.list = NULL};
    enum lb_status status = access_spill_open(&s.spill, err);
    if (status == LB_OK)
        status = take_all(&s, trace, err);
    if (status == LB_OK)
        status = seal(&s, err);
    if (status == LB_OK)
        status = choose_sizes(&s, NULL, err);
    if (status == LB_OK)
        status = choose_policies(&s, &all, err);
    if (status == LB_OK)
        status = run(&s, err);
    const size_t n = s.n_policies * s.n_sizes;
    if (status == LB_OK && !(out->list = malloc((n + 1) * sizeof *out->list)))
        status = no_memory(err);
    for (; status == LB_OK && out->n < n; out->n++)
        out->list[out->n] = ratio_of(&s, out->n, &misses);
    close_study(&s);
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
               s->extent.length, s->n_seen, s->extent.largest_demand);
    else
        printf("# %s: %" PRIu64 " accesses of %" PRIu32 " experts, at most %" PRIu32
               " a token; one at a time, cold start\npolicy\tslots\tmisses\tmiss_ratio%s\n",
               path, s->extent.length, s->n_seen, s->extent.largest_demand,
               s->frames ? "\tbytes_ratio" : "");
    for (size_t i = 0; i < s->n_policies * s->n_sizes; i++) {
        uint64_t misses;
        const struct miss_ratio r = ratio_of(s, i, &misses);
        if (json)
            printf("%s\n {\"policy\": \"%s\", \"slots\": %" PRIu32 ", \"misses\": %" PRIu64
                   ", \"miss_ratio\": %.6f, \"bytes_ratio\": %.6f}",
                   i ? "," : "", r.policy, r.slots, misses, r.misses, r.bytes);
        else
            printf(s->frames ? "%s\t%" PRIu32 "\t%" PRIu64 "\t%.4f\t%.4f\n"
                             : "%s\t%" PRIu32 "\t%" PRIu64 "\t%.4f\n",
                   r.policy, r.slots, misses, r.misses, r.bytes);
    }
    if (json)
        printf("]}}\n");
}

enum lb_status sim_miss_ratios(const struct sim_arguments *a, const struct settings *settings,
                               struct lb_error *err)
{
    struct study s = {.half_life = settings->engine.half_life};
    const struct route_sink sink = {take, &s};
    enum lb_status status = access_spill_open(&s.spill, err);
    if (status == LB_OK)
        status = route_trace_scan(a->replay, a->replay_cell, &sink, &s.extent, err);
    if (status == LB_OK)
        status = seal(&s, err);
    if (status == LB_OK)
        status = choose_sizes(&s, a->slots, err);
    if (status == LB_OK)
        status = choose_policies(&s, a, err);
    if (status == LB_OK)
        status = run(&s, err);
    if (status == LB_OK)
        print(&s, a->replay, a->json);
    close_study(&s);
    return status;
}
