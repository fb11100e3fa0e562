/*
 * test_summary: the figures of a cell, from samples whose every number is different, so that a
 * figure that holds another's shows; the floor and what it is made of; and when it is wrong.
 */
#include "plan/virtual.h"
#include "result/identities.h"
#include "result/summary.h"
#include "tests/check.h"

#include <math.h>

#define MS 1e6

/* Two decode passes and a prompt; decode sums are told apart from the whole's by their factor. */
static struct sample made_sample(int rep, double scale)
{
    static int64_t passes[8][2];
    struct sample s = {.rep = rep, .seq = (uint32_t)rep, .n_pass = 2, .layers = 4};
    passes[rep][0] = (int64_t)(20 * MS * scale);
    passes[rep][1] = (int64_t)(22 * MS * scale);
    s.pass_ns = passes[rep];
    s.decode = (struct lb_stats){.hits = 1,
                                 .prefetched = 2,
                                 .late = 3,
                                 .misses = 2,
                                 .bytes_read = 5000,
                                 .wall_ns = passes[rep][0] + passes[rep][1],
                                 .compute_ns = (int64_t)(30 * MS * scale),
                                 .wait_ns = (int64_t)(10 * MS * scale),
                                 .other_ns = (int64_t)(2 * MS * scale)};
    s.all = (struct lb_stats){.hits = 101,
                              .prefetched = 102,
                              .late = 103,
                              .misses = 104,
                              .bytes_read = 105000,
                              .passes = 3,
                              .wasted = 6,
                              .cache_bytes = 3000,
                              .wall_ns = (int64_t)(999 * MS),
                              .compute_ns = (int64_t)(888 * MS),
                              .wait_ns = (int64_t)(777 * MS),
                              .other_ns = (int64_t)(666 * MS)};
    s.tokens = 4;
    s.prefill_ns = (int64_t)(555 * MS);
    s.ttft_ns = (int64_t)(444 * MS);
    s.cached_wait_ns = 300;    /* of 3 hit or prefetched */
    s.uncached_wait_ns = 2000; /* of 5 late or missed */
    s.layer_bytes = 8000;
    s.peak_rss_bytes = 123456;
    snprintf(s.prefetch, sizeof s.prefetch, "async");
    return s;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

static void figures(void)
{
    struct sample list[] = {made_sample(0, 1.0), made_sample(1, 1.1), made_sample(2, 1.3),
                            made_sample(3, 1)};
    snprintf(list[3].failed, sizeof list[3].failed, "it failed");
    struct cell_samples cell = {list, 4};
    struct floor none = {0};
    struct summary s = summary_of(&cell, &none);
    CHECK(s.n == 3 && s.n_failed == 1 && s.n_broken == 0);
    CHECK(near(s.pass_ns, 21 * MS * 1.1), "pass %g", s.pass_ns);
    CHECK(s.pass_ns == s.estimate.median && s.estimate.n == 3);
    CHECK(near(s.estimate.low, 21 * MS) && near(s.estimate.high, 21 * MS * 1.3));
    CHECK(near(s.prefill_ns, 555 * MS) && near(s.ttft_ns, 444 * MS));
    CHECK(near(s.tokens_per_s, 2e9 / s.pass_ns), "two sequences");
    CHECK(s.outcomes[LB_HIT] == 0.5 && s.outcomes[LB_PREFETCHED] == 1 &&
              s.outcomes[LB_LATE] == 1.5 && s.outcomes[LB_MISS] == 1,
          "of decode passes");
    CHECK(near(s.compute_ns, 15 * MS * 1.1) && near(s.wait_ns, 5 * MS * 1.1) &&
          near(s.other_ns, 1 * MS * 1.1));
    CHECK(s.bytes_read == 2500 && s.cached_ns == 100 && s.uncached_ns == 400);
    CHECK(s.wasted == 2, "per pass, prompts counted: %g", s.wasted);
    CHECK(s.peak_rss_bytes == 123456);
}

static void floors(void)
{
    struct sample streamed[] = {made_sample(0, 1.0)};
    struct sample resident[] = {made_sample(1, 1.2), made_sample(2, 1.0), made_sample(3, 1.1)};
    for (int i = 0; i < 3; i++)
        snprintf(resident[i].prefetch, sizeof resident[i].prefetch, "resident");
    struct cell_samples cell = {streamed, 1}, reference = {resident, 3};

    /* 5,000 of 8,000 bytes do not fit; 1e6 bytes/s: 5 ms, less than the 16 ms of computing */
    struct floor f = summary_floor(&cell, &reference, 1e6);
    CHECK(near(f.compute_ns, 16 * MS), "the least of the resident passes: %g", f.compute_ns);
    CHECK(near(f.load_ns, 5 * MS) && near(f.all_load_ns, 8 * MS) && f.bandwidth == 1e6);
    CHECK(near(f.ns, 16 * MS));
    f = summary_floor(&cell, &reference, 2e5);
    CHECK(near(f.ns, 25 * MS) && near(f.load_ns, 25 * MS), "loading is the longer: %g", f.ns);

    struct summary s = summary_of(&cell, &f);
    CHECK(near(s.share_of_floor, 25.0 / 21), "the share is not cut at 1: %g", s.share_of_floor);
    CHECK(floor_is_wrong(&s.floor, s.pass_ns), "a pass of 21 ms below a floor of 25");
    CHECK(!floor_is_wrong(&f, 25 * MS), "a pass at its floor");
    CHECK(near(s.c_over_t, 16.0 / 40), "%g", s.c_over_t);

    streamed[0].decode.needed_bytes = 4500 * streamed[0].n_pass; /* experts: 1,500 do not fit */
    f = summary_floor(&cell, &reference, 1e5);
    CHECK(near(f.load_ns, 15 * MS) && near(f.all_load_ns, 45 * MS), "%g", f.load_ns);
    streamed[0].clairvoyant_hit_bytes =
        2000 * streamed[0].n_pass; /* that is not all of the cache */
    f = summary_floor(&cell, &reference, 1e5);
    CHECK(near(f.load_ns, 25 * MS) && near(f.all_load_ns, 45 * MS), "%g", f.load_ns);
    streamed[0].decode.needed_bytes = streamed[0].clairvoyant_hit_bytes = 0;
    f = summary_floor(&cell, &reference, 0);
    CHECK(near(f.ns, 16 * MS) && f.load_ns == 0, "nothing is read: computing alone");
    f = summary_floor(&reference, &reference, 1e3);
    CHECK(near(f.ns, 16 * MS), "a resident cell loads nothing");
    f = summary_floor(&cell, NULL, 1e6);
    CHECK(f.ns == 0, "no floor without a resident cell");
    streamed[0].all.cache_bytes = 9000;
    f = summary_floor(&cell, &reference, 1);
    CHECK(f.load_ns == 0, "the cache holds more than there is");
}

static void mean_pass(void)
{
    struct sample s = made_sample(0, 1);
    json_t *json =
        json_pack("{s:[I, I]}", "pass_ns", (json_int_t)s.pass_ns[0], (json_int_t)s.pass_ns[1]);
    CHECK(near(sample_pass_ns(&s), 21 * MS));
    struct sample partly;
    sample_from_json_partly(json, 3, &partly);
    CHECK(sample_pass_ns(&partly) == sample_pass_ns(&s), "of a sample that lacks the rest");
    CHECK(near(sample_token_ns(&partly), 7 * MS), "a token of each sequence a pass");
    sample_free(&partly);
    json_decref(json);
    s.n_pass = 0;
    CHECK(sample_pass_ns(&s) == 0);
}

/* Against belady itself, in the virtual clock: every n - 1 passes repeat. */
static void cyclic_misses(void)
{
    struct virtual_unit units[12];
    struct lb_error err = LB_ERROR_INIT;
    for (uint32_t i = 0; i < 12; i++)
        units[i] = (struct virtual_unit){.bytes = 1000, .frames = 1, .compute_ns = 1, .layer = i};
    for (uint32_t cache = 1; cache <= 12; cache++) {
        struct virtual_options o = {.units = units,
                                    .n_units = 12,
                                    .prefetch = "off",
                                    .replacement = "belady",
                                    .scheduler = "fixed",
                                    .max_units = cache,
                                    .queue_depth = 1,
                                    .chunk_bytes = 1000,
                                    .warmup = 11,
                                    .passes = 11};
        struct virtual_result r;
        CHECK(virtual_run(&o, &r, &err) == LB_OK, "%s", err.text);
        CHECK(near((double)r.loads / 11, floor_cyclic_misses(12, cache)),
              "cache of %u: %g loads a pass, computed %g", cache, (double)r.loads / 11,
              floor_cyclic_misses(12, cache));
    }
}

/* Two samples of the same work: which of the hashes differs is said. */
static void compared(void)
{
    static const char *const expected[] = {NULL, "tokens hash ", "logits hash "};
    for (int differs = 0; differs < 3; differs++) {
        struct sample a = made_sample(0, 1), b = made_sample(1, 1);
        snprintf(a.tokens_hash, sizeof a.tokens_hash, "11");
        snprintf(b.tokens_hash, sizeof b.tokens_hash, differs == 1 ? "22" : "11");
        snprintf(a.logits_hash, sizeof a.logits_hash, "33");
        snprintf(b.logits_hash, sizeof b.logits_hash, differs == 2 ? "44" : "33");
        char *text = identities_compare(&a, &b, "other");
        CHECK(!text == !expected[differs], "%s", text ? text : "nothing differs");
        CHECK(!text || strncmp(text, expected[differs], 12) == 0, "%s", text);
        free(text);
    }
}

int main(void)
{
    figures();
    floors();
    mean_pass();
    cyclic_misses();
    compared();
    return check_done();
}
