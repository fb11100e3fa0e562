/*
 * synth: how the routers of its mixtures choose. Of every architecture with experts, made smaller:
 * the model loads, runs, and chooses as the law says that it was made by; both follow skew and
 * persistence; the same options give the same bytes.
 */
#include "base/random.h"
#include "file_bytes.h"
#include "synth/synth.h"
#include "tests/temporary.h"
#include "whole_model.h"

#include <math.h>
#include <unistd.h>

enum { N_TOKENS = 240, EXPERTS = 32, LAYERS_MOST = 8 };

static char path[TEMPORARY_PATH];

/* What was chosen: by token, layer, expert. */
struct choices {
    unsigned char chosen[N_TOKENS][LAYERS_MOST][EXPERTS];
    uint32_t n_layers;
};

struct figures {
    double entropy; /* of a layer's experts over that of even ones, mean over layers */
    double overlap; /* share of a token's experts that the one before used too */
};

static struct figures figures_of(const struct choices *c)
{
    struct figures f = {0, 0};
    double n_sparse = 0, all = 0;
    for (uint32_t layer = 0; layer < c->n_layers; layer++) {
        double sum = 0, entropy = 0;
        for (int e = 0; e < EXPERTS; e++)
            for (int t = 0; t < N_TOKENS; t++) {
                sum += c->chosen[t][layer][e];
                if (t > 0 && c->chosen[t][layer][e]) {
                    all++;
                    f.overlap += c->chosen[t - 1][layer][e];
                }
            }
        for (int e = 0; e < EXPERTS && sum > 0; e++) {
            double uses = 0;
            for (int t = 0; t < N_TOKENS; t++)
                uses += c->chosen[t][layer][e];
            entropy -= uses > 0 ? uses / sum * log(uses / sum) : 0;
        }
        n_sparse += sum > 0;
        f.entropy += entropy / log(EXPERTS);
    }
    f.entropy /= n_sparse;
    f.overlap /= all;
    return f;
}

static void take(struct choices *c, uint32_t token, uint32_t layer, const uint32_t *experts,
                 uint32_t n)
{
    CHECK(token < N_TOKENS && layer < LAYERS_MOST, "token %u layer %u", token, layer);
    c->n_layers = layer + 1 > c->n_layers ? layer + 1 : c->n_layers;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(experts[i] < EXPERTS && !c->chosen[token][layer][experts[i]], "expert %u",
              experts[i]);
        c->chosen[token][layer][experts[i]] = 1;
    }
}

static void take_drawn(void *ctx, uint32_t token, uint32_t layer, const uint32_t *experts,
                       uint32_t n)
{
    take(ctx, token, layer, experts, n);
}

static void take_routed(void *ctx, const struct model_route *r)
{
    take(ctx, r->position, r->layer, r->experts, r->n);
}

/* A shape with the architecture and peculiarities of another, small enough for a test. */
static struct synth_shape smaller(const struct synth_shape *shape)
{
    struct synth_shape s = *shape;
    s.n_layers = s.experts.dense_layers + 3;
    s.n_embd = 768;
    s.n_heads = 8;
    s.n_kv_heads = s.latent.kv_rank ? 1 : 2;
    s.n_ff = 256;
    s.n_vocab = 1024;
    s.experts.count = EXPERTS;
    s.experts.used = 4;
    s.experts.n_ff = 256;
    s.experts.n_shared = s.experts.n_shared ? 256 : 0;
    s.latent.q_rank = s.latent.q_rank ? 512 : 0;
    return s;
}

static struct figures drawn(const struct synth_shape *shape, const struct synth_routing *routing)
{
    struct lb_error err = LB_ERROR_INIT;
    static struct choices c;
    c = (struct choices){.n_layers = 0};
    CHECK(synth_routes(shape, routing, 3, 0, N_TOKENS, take_drawn, &c, &err) == LB_OK, "%s",
          err.text);
    return figures_of(&c);
}

static struct figures run(const struct synth_shape *shape, const struct synth_routing *routing)
{
    struct lb_error err = LB_ERROR_INIT;
    static struct choices c;
    struct synth_options options = {.seed = 3, .routing = routing};
    struct model_session_options session = {.n_sequences = 1,
                                            .context = N_TOKENS,
                                            .max_tokens = N_TOKENS,
                                            .routed = take_routed,
                                            .routed_ctx = &c};
    struct whole_model w;
    struct whole_session s;
    struct lb_random random = {5};
    int32_t ids[N_TOKENS];
    c = (struct choices){.n_layers = 0};
    for (int i = 0; i < N_TOKENS; i++)
        ids[i] = (int32_t)lb_random_below(&random, shape->n_vocab);
    CHECK(synth_write_shape(shape, &options, path, &err) == LB_OK, "%s: %s", shape->name, err.text);
    if (!whole_open(&w, path))
        return (struct figures){NAN, NAN};
    float *logits = malloc(sizeof *logits * N_TOKENS * shape->n_vocab);
    if (whole_session_open(&s, &w, "auto", 2, session))
        whole_run(&s, &w, 0, ids, N_TOKENS, N_TOKENS, logits);
    int bad = 0;
    for (size_t i = 0; i < (size_t)N_TOKENS * shape->n_vocab; i++)
        bad += !isfinite(logits[i]);
    CHECK(bad == 0, "%s: %d logits are no numbers", shape->name, bad);
    free(logits);
    whole_session_close(&s);
    whole_close(&w);
    return figures_of(&c);
}

static void every_architecture(void)
{
    size_t n;
    int mixtures = 0;
    const struct synth_shape *shapes = synth_shapes(&n);
    for (size_t i = 0; i < n; i++) {
        if (shapes[i].experts.count == 0)
            continue;
        struct synth_shape small = smaller(&shapes[i]);
        struct figures law = drawn(&small, NULL), model = run(&small, NULL);
        CHECK(fabs(law.entropy - model.entropy) < 0.05 && fabs(law.overlap - model.overlap) < 0.05,
              "%s: entropy %.3f, overlap %.3f; by the law %.3f, %.3f", small.name, model.entropy,
              model.overlap, law.entropy, law.overlap);
        mixtures++;
    }
    CHECK(mixtures >= 11, "%d mixtures", mixtures);
}

static const struct synth_shape *tiny(void)
{
    struct lb_error err = LB_ERROR_INIT;
    return synth_find_shape("tiny-moe", &err);
}

/* More skew: less entropy. More persistence: more overlap, and the same entropy, but that few
 * tokens with much in common look less even. */
static void monotone(void)
{
    static const double skews[] = {0, 0.5, 1, 1.6}, persistences[] = {0, 0.35, 0.7};
    struct synth_shape small = smaller(tiny());
    struct figures before[2] = {{0, 0}}, first[2];
    for (size_t i = 0; i < 4; i++) {
        struct synth_routing r = {.skew = skews[i], .persistence = 0.2};
        struct figures now[2] = {drawn(&small, &r), run(&small, &r)};
        for (int k = 0; k < 2; k++)
            CHECK(i == 0 ? now[k].entropy > 0.97 : now[k].entropy < before[k].entropy - 0.02,
                  "skew %g (%s): entropy %.3f", skews[i], k ? "model" : "law", now[k].entropy);
        memcpy(before, now, sizeof now);
    }
    for (size_t i = 0; i < 3; i++) {
        struct synth_routing r = {.skew = 0.5, .persistence = persistences[i]};
        struct figures now[2] = {drawn(&small, &r), run(&small, &r)};
        if (i == 0)
            memcpy(first, now, sizeof now);
        for (int k = 0; k < 2; k++) {
            CHECK(i == 0 || now[k].overlap > before[k].overlap + 0.05,
                  "persistence %g (%s): overlap %.3f", persistences[i], k ? "model" : "law",
                  now[k].overlap);
            CHECK(fabs(now[k].entropy - first[k].entropy) < 0.03,
                  "persistence %g (%s): entropy %.3f, without %.3f", persistences[i],
                  k ? "model" : "law", now[k].entropy, first[k].entropy);
        }
        memcpy(before, now, sizeof now);
    }
}

static uint64_t hash_of(uint64_t seed, const struct synth_routing *routing)
{
    struct lb_error err = LB_ERROR_INIT;
    struct synth_options o = {.shape = "tiny-moe", .seed = seed, .n_layers = 1, .routing = routing};
    CHECK(synth_write(&o, path, &err) == LB_OK, "%s", err.text);
    return file_hash(path);
}

static void same_bytes(void)
{
    struct synth_routing other = synth_usual_routing;
    other.persistence = 0.5;
    uint64_t first = hash_of(7, NULL);
    CHECK(hash_of(7, &synth_usual_routing) == first && hash_of(8, NULL) != first &&
          hash_of(7, &other) != first);
    /* the same on every machine; a change here changes every mixture that is made anew */
    CHECK(first == 0xf2c20d887ce85e08u, "seed 7: 0x%llx", (unsigned long long)first);
}

/* What the file says of its routing. */
static void keys(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    float skew = 0, persistence = 0;
    hash_of(7, &(struct synth_routing){.skew = 1.25, .persistence = 0.5});
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    CHECK(gguf_get_f32(file, SYNTH_KEY_SKEW, true, &skew, &err) == LB_OK && skew == 1.25f &&
              gguf_get_f32(file, SYNTH_KEY_PERSISTENCE, true, &persistence, &err) == LB_OK &&
              persistence == 0.5f,
          "%s %g %g", err.text, (double)skew, (double)persistence);
    gguf_close(file);
}

static void errors(void)
{
    static const struct {
        const char *shape;
        struct synth_routing routing;
        const char *expected;
    } all[] = {
        {"tiny", {0.5, 0.5}, "tiny: expected a mixture of experts"},
        {"tiny-moe", {-1, 0.5}, "routing_skew -1: expected 0 to 10"},
        {"tiny-moe", {1, 1.5}, "routing_persistence 1.5: expected 0 to 1"},
        {"tiny-moe", {NAN, 0}, "routing_skew nan: expected 0 to 10"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct lb_error err = LB_ERROR_INIT;
        static struct choices c;
        const struct synth_shape *shape = synth_find_shape(all[i].shape, &err);
        CHECK(synth_routes(shape, &all[i].routing, 1, 0, 2, take_drawn, &c, &err) == LB_ERR_INPUT);
        CHECK_TEXT(err.text, all[i].expected);
        if (shape->experts.count > 0) {
            struct synth_options o = {.shape = all[i].shape, .routing = &all[i].routing};
            struct lb_error again = LB_ERROR_INIT;
            CHECK(synth_write(&o, path, &again) == LB_ERR_INPUT);
            CHECK_TEXT(again.text, all[i].expected);
        }
    }
    struct lb_error err = LB_ERROR_INIT;
    struct synth_shape narrow = *tiny();
    narrow.n_embd = 256;
    CHECK(synth_write_shape(&narrow, &(struct synth_options){.seed = 1}, path, &err) ==
          LB_ERR_INPUT);
    CHECK(strstr(err.text, "more than 256 elements"), "%s", err.text);
}

static void out_of_memory(void)
{
    for (uint64_t n = 1;; n++) {
        struct lb_error err = LB_ERROR_INIT;
        static struct choices c;
        c = (struct choices){.n_layers = 0};
        lb_memory_fail_at(n);
        enum lb_status status = synth_routes(tiny(), NULL, 1, 0, 0, take_drawn, &c, &err);
        lb_memory_fail_at(0);
        if (status == LB_OK) {
            CHECK(n == 5, "%llu allocations", (unsigned long long)n - 1);
            break;
        }
        CHECK(status == LB_ERR_NOMEM, "%s", err.text);
    }
}

int main(void)
{
    temporary_path(path);
    every_architecture();
    monotone();
    same_bytes();
    keys();
    errors();
    out_of_memory();
    unlink(path);
    return check_done();
}
