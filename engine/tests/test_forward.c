/*
 * test_forward: what must not change the result (threads, cuts into runs, prefill or
 * decode, batches, which logits are wanted), and what happens when something fails.
 * Random models, every set of kernels that this machine has.
 */
#include "base/clock.h"
#include "made_model.h"
#include "whole_model.h"

#include <math.h>

#define TOKENS  21
#define CONTEXT 32

static int32_t ids[4][TOKENS];

static struct model_session_options usual_options(void)
{
    return (struct model_session_options){
        .n_sequences = 4, .context = CONTEXT, .max_tokens = 64, .kv = KERNELS_KV_F32};
}

static bool is_mixture(const char *architecture)
{
    return strstr(architecture, "moe") || strcmp(architecture, "mixtral") == 0 ||
           strcmp(architecture, "deepseek2") == 0 || strcmp(architecture, "gpt-oss") == 0;
}

/* Opens a model of 256 columns, so that every tensor type fits; "mixtral" is llama with experts. */
static bool open_made(struct whole_model *whole, const char *architecture, uint32_t type,
                      const char **path)
{
    struct made_model made = made_usual();
    if (is_mixture(architecture))
        made = made_mixture(strcmp(architecture, "mixtral") == 0 ? "llama" : architecture);
    else
        made.architecture = architecture;
    made.biases |= strcmp(architecture, "qwen2") == 0;
    made.tied = strcmp(architecture, "qwen2") == 0;
    if (strcmp(architecture, "qwen3") == 0)
        made.key_length = 96;
    if (is_mixture(architecture)) /* halves of a head fit blocks of 32 */
        made.key_length = 64;
    if (strcmp(architecture, "deepseek2") == 0)
        made.rope_dims = 32;
    made.fused = strcmp(architecture, "olmoe") == 0;
    made.plain_queries = type == QUANT_F32;
    made.shared = made.shared > 0 ? 512 : 0;
    made.n_embd = 256;
    made.n_ff = 512;
    made.n_vocab = 300;
    made.n_kv_heads = 2;
    made.type = type;
    made.window = 13;
    *path = made_path("forward.gguf");
    made_write(&made, *path);
    return whole_open(whole, *path);
}

static bool same(const float *a, const float *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

static double furthest(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)a[i] - b[i]));
    return worst;
}

/* All tokens of ids[0] in passes of `step`, in a session of its own. */
static void run_fresh(struct whole_model *whole, const char *tier, int threads, uint32_t step,
                      float *logits)
{
    struct whole_session s;
    if (whole_session_open(&s, whole, tier, threads, usual_options()))
        whole_run(&s, whole, 0, ids[0], TOKENS, step, logits);
    whole_session_close(&s);
}

/* Four sequences decode together; each must come out as it does alone. */
static void batch_of_four(struct whole_model *whole, const char *what, const char *tier)
{
    struct whole_session s;
    struct model_weights weights = whole_weights(whole);
    uint32_t n_vocab = model_config(whole->model)->n_vocab;
    float *alone = calloc((size_t)TOKENS * n_vocab, sizeof *alone);
    float *together = calloc(4ul * TOKENS * n_vocab, sizeof *together);
    static const uint32_t sequences[] = {2, 0, 3, 1};
    static const bool want[] = {true, true, true, true};
    bool ok = whole_session_open(&s, whole, tier, 2, usual_options());
    for (int t = 0; ok && t < TOKENS; t++) {
        struct lb_error err = LB_ERROR_INIT;
        int32_t tokens[] = {ids[2][t], ids[0][t], ids[3][t], ids[1][t]};
        struct model_batch batch = {4, tokens, sequences, want};
        ok =
            model_forward(s.session, &weights, &batch, together + 4ul * t * n_vocab, &err) == LB_OK;
        CHECK(ok, "%s", err.text);
    }
    for (uint32_t i = 0; ok && i < 4; i++) {
        uint32_t differ = 0;
        model_session_truncate(s.session, 0, 0);
        whole_run(&s, whole, 0, ids[sequences[i]], TOKENS, 1, alone);
        for (size_t t = 0; t < TOKENS; t++)
            differ += !same(alone + t * n_vocab, together + (4 * t + i) * n_vocab, n_vocab);
        CHECK(differ == 0, "%s: sequence %u differs in %u of %d steps", what, sequences[i], differ,
              TOKENS);
    }
    whole_session_close(&s);
    free(alone);
    free(together);
}

static void same_result(const char *architecture, uint32_t type, const char *tier)
{
    struct whole_model whole;
    const char *path;
    char what[64];
    snprintf(what, sizeof what, "%s, %s, %s", architecture, quant_info(type)->name, tier);
    if (open_made(&whole, architecture, type, &path)) {
        size_t n = (size_t)TOKENS * model_config(whole.model)->n_vocab;
        float *first = calloc(n, sizeof *first), *other = calloc(n, sizeof *other);
        run_fresh(&whole, tier, 2, TOKENS, first);
        for (int threads = 1; threads <= 4; threads++) {
            run_fresh(&whole, tier, threads, TOKENS, other);
            CHECK(same(first, other, n), "%s: %d threads", what, threads);
        }
        whole.cut = true;
        for (uint64_t seed = 1; seed <= 6; seed++) {
            whole.random.state = seed;
            whole.ahead = seed % 3;
            run_fresh(&whole, tier, 2, TOKENS, other);
            CHECK(same(first, other, n), "%s: runs cut with seed %d", what, (int)seed);
        }
        CHECK(whole.merged > 2 * 2 * 3, "%u products merged", whole.merged);
        whole.cut = false;
        whole.ahead = WHOLE_AHEAD;
        for (uint32_t step = 1; step <= 9; step += 4) {
            run_fresh(&whole, tier, 2, step, other);
            CHECK(same(first, other, n), "%s: passes of %u tokens: off by %g", what, step,
                  furthest(first, other, n));
        }
        batch_of_four(&whole, what, tier);
        free(first);
        free(other);
        whole_close(&whole);
    }
    unlink(path);
}

/* A source that knows nothing of experts but where their rows are. */
struct plain_experts {
    struct whole_model *whole;
    uint64_t n_experts;
    struct model_run run;
};

static enum lb_status plain_acquire(void *ctx, int layer, uint32_t part, uint32_t id, uint32_t row,
                                    const struct model_run **runs, uint32_t *n_runs,
                                    struct lb_error *err)
{
    struct plain_experts *p = ctx;
    uint32_t n;
    const struct model_tensor *t = &model_tensors(p->whole->model, layer, &n)[id];
    (void)err;
    p->n_experts += part > 0;
    p->run = (struct model_run){p->whole->bytes + t->file_offset + row * t->row_bytes +
                                    (part > 0 ? (part - 1) * t->expert_stride : 0),
                                row, t->n_rows};
    *runs = &p->run;
    *n_runs = 1;
    return LB_OK;
}

static void plain_release(void *ctx, int layer)
{
    (void)ctx;
    (void)layer;
}

static const char *const mixtures[] = {"mixtral", "olmoe",   "qwen2moe", "qwen3moe",
                                       "glm4moe", "gpt-oss", "deepseek2"};
#define N_MIXTURES (sizeof mixtures / sizeof *mixtures)

static void every_kernel_and_type(void)
{
    static const uint32_t types[] = {QUANT_F32,  QUANT_F16,  QUANT_Q8_0,
                                     QUANT_Q4_0, QUANT_Q4_K, QUANT_Q6_K};
    size_t n_tiers;
    const struct kernels_ops *const *tiers = kernels_list(&n_tiers);
    for (size_t i = 0; i < n_tiers; i++) {
        if (!tiers[i]->available())
            continue;
        for (size_t j = 0; j < sizeof types / sizeof *types; j++)
            same_result("llama", types[j], tiers[i]->name);
        same_result("qwen2", QUANT_F32, tiers[i]->name);
        same_result("qwen3", QUANT_F32, tiers[i]->name);
        for (size_t j = 0; j < N_MIXTURES; j++) {
            same_result(mixtures[j], j % 2 ? QUANT_F32 : QUANT_Q8_0, tiers[i]->name);
        }
        same_result("mixtral", QUANT_Q4_K, tiers[i]->name);
        same_result("deepseek2", QUANT_F32, tiers[i]->name); /* queries without a low rank */
    }
}

/* Without a say of the weights' source, experts come one after the other; the bits are the same. */
static void without_take(struct whole_model *whole)
{
    struct whole_session s;
    struct model_weights weights = whole_weights(whole);
    struct lb_error err = LB_ERROR_INIT;
    size_t n = (size_t)TOKENS * model_config(whole->model)->n_vocab;
    float *expected = calloc(n, sizeof *expected), *got = calloc(n, sizeof *got);
    uint32_t sequences[TOKENS] = {0};
    bool want[TOKENS];
    memset(want, true, sizeof want);
    struct model_batch batch = {TOKENS, ids[0], sequences, want};
    whole->n_needs = whole->n_served = 0;
    run_fresh(whole, NULL, 2, TOKENS, expected);
    CHECK(whole->n_needs > 0 && whole->n_needs == whole->n_served, "each needed expert once");
    struct plain_experts plain = {.whole = whole};
    weights.ctx = &plain;
    weights.acquire = plain_acquire;
    weights.release = plain_release;
    weights.peek = NULL;
    weights.need = NULL;
    weights.take = NULL;
    if (whole_session_open(&s, whole, NULL, 2, usual_options())) {
        CHECK(model_forward(s.session, &weights, &batch, got, &err) == LB_OK, "%s", err.text);
        CHECK(same(got, expected, n) && plain.n_experts > 0);
    }
    whole_session_close(&s);
    free(expected);
    free(got);
}

/* A router whose weights are no numbers. */
static void router_of_nans(void)
{
    struct whole_model whole;
    struct whole_session s;
    struct lb_error err = LB_ERROR_INIT;
    struct made_model made = made_mixture("qwen3moe");
    made.poisoned = "blk.0.ffn_gate_inp.weight";
    made.poison = NAN;
    const char *path = made_path("nans.gguf");
    made_write(&made, path);
    if (whole_open(&whole, path)) {
        struct model_weights weights = whole_weights(&whole);
        uint32_t sequences[3] = {0};
        struct model_batch batch = {3, (const int32_t[]){1, 2, 3}, sequences, NULL};
        if (whole_session_open(&s, &whole, NULL, 2, usual_options())) {
            CHECK(model_forward(s.session, &weights, &batch, NULL, &err) == LB_ERR_STATE);
            CHECK_TEXT(err.text,
                       "layer 0: the router gives no finite number for the token at position 0: "
                       "expected finite scores (weights or activations are damaged)");
            CHECK(model_session_length(s.session, 0) == 0);
        }
        whole_session_close(&s);
        whole_close(&whole);
    }
    unlink(path);
}

/* Whatever is wanted, what comes out for a token is the same, and the caches go on the same. */
static void wanted(struct whole_model *whole)
{
    struct whole_session s;
    struct model_weights weights = whole_weights(whole);
    struct lb_error err = LB_ERROR_INIT;
    size_t n_vocab = model_config(whole->model)->n_vocab;
    float *all = calloc(TOKENS * n_vocab, sizeof *all),
          *some = calloc(TOKENS * n_vocab, sizeof *some);
    bool want[TOKENS] = {[3] = true, [4] = true, [11] = true};
    uint32_t sequences[TOKENS] = {0};
    struct model_batch batch = {TOKENS - 1, ids[0], sequences, want};
    run_fresh(whole, NULL, 2, TOKENS, all);
    if (whole_session_open(&s, whole, NULL, 2, usual_options())) {
        CHECK(model_forward(s.session, &weights, &batch, some, &err) == LB_OK, "%s", err.text);
        CHECK(same(some, all + 3 * n_vocab, 2 * n_vocab), "tokens 3 and 4");
        CHECK(same(some + 2 * n_vocab, all + 11 * n_vocab, n_vocab), "token 11");
        CHECK(whole_run(&s, whole, 0, ids[0] + TOKENS - 1, 1, 1, some));
        CHECK(same(some, all + (TOKENS - 1) * n_vocab, n_vocab), "the token after");
        /* none wanted: no logits needed, the cache filled all the same */
        batch.want = NULL;
        model_session_truncate(s.session, 0, 0);
        uint32_t releases = whole->releases;
        CHECK(model_forward(s.session, &weights, &batch, NULL, &err) == LB_OK, "%s", err.text);
        CHECK(whole->releases == releases + model_config(whole->model)->n_layers,
              "all layers were accessed");
        CHECK(whole_run(&s, whole, 0, ids[0] + TOKENS - 1, 1, 1, some));
        CHECK(same(some, all + (TOKENS - 1) * n_vocab, n_vocab), "after a pass without logits");
    }
    whole_session_close(&s);
    free(all);
    free(some);
}

/* More tokens than the workspace holds go through each layer in chunks: the same bits, and each
 * layer given back once. Wanted ones stand at the borders of chunks. */
static void chunks(struct whole_model *whole)
{
    struct whole_session s;
    struct model_weights weights = whole_weights(whole);
    size_t n_vocab = model_config(whole->model)->n_vocab;
    float *all = calloc(TOKENS * n_vocab, sizeof *all),
          *some = calloc(TOKENS * n_vocab, sizeof *some);
    uint32_t sequences[TOKENS] = {0}, apart[] = {0, 0, 0, 1, 1, 1};
    run_fresh(whole, NULL, 2, TOKENS, all);
    whole->in_chunks = true;
    for (uint32_t max_tokens = 1; max_tokens <= 7; max_tokens += 2) {
        struct lb_error err = LB_ERROR_INIT;
        struct model_session_options o = usual_options();
        bool want[TOKENS - 1] = {[0] = true, [4] = true, [5] = true, [6] = true, [19] = true};
        struct model_batch batch = {TOKENS - 1, ids[0], sequences, want};
        o.max_tokens = max_tokens;
        o.most_tokens = 20;
        if (whole_session_open(&s, whole, NULL, 2, o)) {
            const uint32_t releases = whole->releases;
            CHECK(model_forward(s.session, &weights, &batch, some, &err) == LB_OK, "%s", err.text);
            CHECK(whole->releases == releases + model_config(whole->model)->n_layers,
                  "chunks of %u: layers given back more than once", max_tokens);
            CHECK(model_session_length(s.session, 0) == TOKENS - 1);
            CHECK(same(some, all, n_vocab) &&
                      same(some + n_vocab, all + 4 * n_vocab, 3 * n_vocab) &&
                      same(some + 4 * n_vocab, all + 19 * n_vocab, n_vocab),
                  "chunks of %u", max_tokens);
            CHECK(whole_run(&s, whole, 0, ids[0] + TOKENS - 1, 1, 1, some));
            CHECK(same(some, all + (TOKENS - 1) * n_vocab, n_vocab), "after chunks of %u",
                  max_tokens);
            struct model_batch two = {6, ids[0], apart, NULL};
            err = (struct lb_error)LB_ERROR_INIT;
            if (max_tokens < 6) {
                CHECK(model_forward(s.session, &weights, &two, NULL, &err) == LB_ERR_INPUT);
                CHECK(strstr(err.text, "6 tokens of 2 sequences in a pass: expected at most") !=
                          NULL,
                      "%s", err.text);
            }
        }
        whole_session_close(&s);
    }
    whole->in_chunks = false;
    free(all);
    free(some);
}

/* Two prompts of different length and a decode step of a third sequence in one pass. */
static void mixed_pass(struct whole_model *whole)
{
    struct whole_session s;
    struct model_weights weights = whole_weights(whole);
    struct lb_error err = LB_ERROR_INIT;
    size_t n_vocab = model_config(whole->model)->n_vocab;
    float *alone = calloc(TOKENS * n_vocab, sizeof *alone),
          *mixed = calloc(TOKENS * n_vocab, sizeof *mixed);
    static const uint32_t sequences[] = {1, 1, 1, 3, 0, 0, 0, 0, 0};
    static const bool want[] = {true, true, true, true, true, true, true, true, true};
    int32_t tokens[9];
    memcpy(tokens, ids[1], 3 * sizeof *tokens);
    tokens[3] = ids[3][5];
    memcpy(tokens + 4, ids[0], 5 * sizeof *tokens);
    struct model_batch batch = {9, tokens, sequences, want};
    if (whole_session_open(&s, whole, NULL, 2, usual_options())) {
        whole_run(&s, whole, 3, ids[3], 5, 5, alone);
        CHECK(model_forward(s.session, &weights, &batch, mixed, &err) == LB_OK, "%s", err.text);
        CHECK(model_session_length(s.session, 3) == 6 && model_session_length(s.session, 0) == 5);
        whole_run(&s, whole, 2, ids[1], 3, 3, alone);
        CHECK(same(mixed, alone, 3 * n_vocab), "first prompt");
        model_session_truncate(s.session, 2, 0);
        whole_run(&s, whole, 2, ids[3], 6, 6, alone);
        CHECK(same(mixed + 3 * n_vocab, alone + 5 * n_vocab, n_vocab), "decode step");
        model_session_truncate(s.session, 2, 0);
        whole_run(&s, whole, 2, ids[0], 5, 5, alone);
        CHECK(same(mixed + 4 * n_vocab, alone, 5 * n_vocab), "second prompt");
    }
    whole_session_close(&s);
    free(alone);
    free(mixed);
}

/* The n-th call of acquire fails, for every n: the state is what it was, and a second try gives
 * the same logits. */
static void failing_weights(struct whole_model *whole)
{
    struct whole_session s;
    struct model_weights weights = whole_weights(whole);
    size_t n_vocab = model_config(whole->model)->n_vocab;
    float *expected = calloc(TOKENS * n_vocab, sizeof *expected),
          *got = calloc(TOKENS * n_vocab, sizeof *got);
    static const uint32_t sequences[TOKENS];
    bool want[TOKENS];
    memset(want, true, sizeof want);
    run_fresh(whole, NULL, 2, TOKENS, expected);
    bool ok = whole_session_open(&s, whole, NULL, 2, usual_options());
    uint64_t n = 1;
    for (; ok; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct model_batch batch = {TOKENS - 4, ids[0] + 4, sequences, want};
        char text[64];
        model_session_truncate(s.session, 0, 0);
        whole_run(&s, whole, 0, ids[0], 4, 4, got);
        whole->calls = 0;
        whole->fail_at = n;
        enum lb_status status = model_forward(s.session, &weights, &batch, got, &err);
        whole->fail_at = 0;
        if (status == LB_OK)
            break;
        whole_rewind(whole);
        snprintf(text, sizeof text, "acquire %d fails", (int)n);
        CHECK(status == LB_ERR_IO);
        CHECK_TEXT(err.text, text);
        CHECK(model_session_length(s.session, 0) == 4);
        CHECK(whole_run(&s, whole, 0, ids[0] + 4, TOKENS - 4, TOKENS - 4, got));
        CHECK(same(got, expected + 4 * n_vocab, (TOKENS - 4) * n_vocab), "after failure %d",
              (int)n);
    }
    uint64_t dense = TOKENS - 4 + 2 * 9 + 2 + 1; /* embeddings, layers, the head */
    bool mixture = model_config(whole->model)->experts.count > 0;
    CHECK(mixture ? n > dense : n == dense, "%d calls in a pass", (int)n - 1);
    whole_session_close(&s);
    free(expected);
    free(got);
}

static void refused(struct whole_session *s, struct whole_model *whole,
                    const struct model_batch *batch, const char *expected)
{
    struct lb_error err = LB_ERROR_INIT;
    struct model_weights weights = whole_weights(whole);
    uint32_t before = model_session_length(s->session, 0);
    CHECK(model_forward(s->session, &weights, batch, NULL, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, expected);
    CHECK(model_session_length(s->session, 0) == before);
}

static void bad_batches(struct whole_model *whole)
{
    static const uint32_t zeros[64], apart[] = {0, 1, 0}, unknown[] = {0, 4};
    static const int32_t tokens[64], high[] = {1, 2, 300}, low[] = {-1};
    struct whole_session s;
    float logits[300 * 21];
    if (whole_session_open(&s, whole, NULL, 1, usual_options())) {
        struct model_batch b = {0, tokens, zeros, NULL};
        refused(&s, whole, &b, "0 tokens in a pass: expected 1 to 64");
        b.n_tokens = 65;
        refused(&s, whole, &b, "65 tokens in a pass: expected 1 to 64");
        b.n_tokens = 33;
        refused(&s, whole, &b,
                "sequence 0: context full: 0 positions held, 33 more asked for, room for 32");
        whole_run(&s, whole, 0, ids[0], TOKENS, TOKENS, logits);
        b.n_tokens = 12;
        refused(&s, whole, &b,
                "sequence 0: context full: 21 positions held, 12 more asked for, room for 32");
        b = (struct model_batch){3, high, zeros, NULL};
        refused(&s, whole, &b, "token 2: id 300: expected 0 to 299");
        b = (struct model_batch){1, low, zeros, NULL};
        refused(&s, whole, &b, "token 0: id -1: expected 0 to 299");
        b = (struct model_batch){3, tokens, apart, NULL};
        refused(&s, whole, &b, "token 2: sequence 0 stands apart from its earlier tokens");
        b = (struct model_batch){2, tokens, unknown, NULL};
        refused(&s, whole, &b, "token 1: sequence 4: expected 0 to 3");
        /* the last position can be used */
        whole_run(&s, whole, 0, ids[1], 11, 11, logits);
        CHECK(model_session_length(s.session, 0) == CONTEXT);
    }
    whole_session_close(&s);
}

static void bad_options(struct whole_model *whole)
{
    static const struct {
        struct model_session_options options;
        const char *expected;
    } cases[] = {
        {{.n_sequences = 0, .context = 8, .max_tokens = 8}, "sequences: 0: expected at least 1"},
        {{.n_sequences = 1, .context = 0, .max_tokens = 8}, "context: 0: expected at least 1"},
        {{.n_sequences = 1, .context = 8, .max_tokens = 0},
         "tokens in a pass: 0: expected at least 1"},
        {{.n_sequences = 4000, .context = 1u << 31, .max_tokens = 8},
         "KV cache: 2147483648 positions for 4000 sequences take 17592186044416000 bytes: expected "
         "fewer"},
    };
    const struct kernels_ops *ops;
    struct lb_pool *pool;
    kernels_select(NULL, &ops, NULL);
    lb_pool_open(1, &pool, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct model_session *session;
        CHECK(model_session_open(whole->model, pool, ops, &cases[i].options, &session, &err) ==
                  LB_ERR_INPUT &&
              !session);
        CHECK_TEXT(err.text, cases[i].expected);
    }
    lb_pool_close(pool);
}

static void failing_allocations(struct whole_model *whole)
{
    const struct kernels_ops *ops;
    struct lb_pool *pool;
    struct model_session_options options = usual_options();
    options.profile = true;
    kernels_select(NULL, &ops, NULL);
    lb_pool_open(2, &pool, NULL);
    for (uint64_t n = 1;; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct model_session *session;
        lb_memory_fail_at(n);
        enum lb_status status =
            model_session_open(whole->model, pool, ops, &options, &session, &err);
        lb_memory_fail_at(0);
        model_session_close(session);
        if (status == LB_OK) {
            CHECK(n == 7, "%d allocations", (int)n - 1);
            break;
        }
        CHECK(status == LB_ERR_NOMEM && !session && err.text[0]);
    }
    lb_pool_close(pool);
}

/* Passes allocate nothing; the profile counts each stretch of time once. */
static void books(struct whole_model *whole)
{
    struct model_session_options options = usual_options();
    struct whole_session s;
    float *logits = malloc(300 * TOKENS * sizeof *logits);
    options.profile = true;
    if (whole_session_open(&s, whole, NULL, 2, options)) {
        uint64_t before = lb_memory_allocations();
        int64_t start = lb_now_ns();
        whole_run(&s, whole, 0, ids[0], TOKENS, 5, logits);
        uint64_t took = (uint64_t)(lb_now_ns() - start);
        CHECK(lb_memory_allocations() == before);
        size_t n;
        uint64_t bytes = 0, calls = 0, sum = 0;
        double flops = 0;
        const struct model_profile_entry *e = model_profile(s.session, &n);
        for (size_t i = 0; i < n; i++) {
            sum += e[i].ns;
            if (e[i].layer == 1 && strcmp(e[i].op, "ffn_up") == 0) {
                calls = e[i].calls;
                bytes = e[i].bytes;
                flops = e[i].flops;
                CHECK(e[i].ns > 0);
            }
        }
        CHECK(sum > 0 && sum <= took);
        CHECK(calls == 5 && bytes == 5 * 256 * 512 * 4ul, "%d calls, %d bytes", (int)calls,
              (int)bytes);
        CHECK(flops == 2.0 * 256 * 512 * TOKENS, "%g flops", flops);
        CHECK(model_session_kv_bytes(s.session) == 2ul * 2 * 4 * CONTEXT * 128 * 4);
    }
    whole_session_close(&s);
    free(logits);
}

int main(void)
{
    struct whole_model whole;
    struct lb_random random = {7};
    const char *path;
    for (int s = 0; s < 4; s++)
        for (int t = 0; t < TOKENS; t++)
            ids[s][t] = (int32_t)lb_random_below(&random, 300);
    every_kernel_and_type();
    if (open_made(&whole, "llama", QUANT_F32, &path)) {
        wanted(&whole);
        chunks(&whole);
        mixed_pass(&whole);
        failing_weights(&whole);
        bad_batches(&whole);
        bad_options(&whole);
        failing_allocations(&whole);
        books(&whole);
        whole_close(&whole);
    }
    unlink(path);
    for (size_t i = 0; i < N_MIXTURES; i++) {
        if (open_made(&whole, mixtures[i], QUANT_Q8_0, &path)) {
            wanted(&whole);
            chunks(&whole);
            mixed_pass(&whole);
            if (i % 3 == 0)
                failing_weights(&whole);
            without_take(&whole);
            whole_close(&whole);
        }
        unlink(path);
    }
    router_of_nans();
    made_clean();
    return check_done();
}
