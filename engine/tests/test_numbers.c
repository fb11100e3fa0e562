/*
 * numbers: a weight that is NaN or infinite, in any tensor of any architecture, ends the first pass
 * with an error that says so: no kernel, clamp, softmax or sigmoid turns it into a plausible
 * number.
 */
#include "engine.h"
#include "file_bytes.h"
#include "kernels/kernels.h"
#include "made_model.h"
#include "model/session.h"
#include "tests/check.h"

#include <float.h>
#include <math.h>

static const char *path;

struct tensor {
    char name[64];
    uint64_t file_offset, rows, row_bytes;
    bool halves; /* a row begins with a half: an F16 element, or the scale of a block */
};

struct tensors {
    size_t n;
    struct tensor list[MADE_TENSORS];
};

static void take_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                        const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    struct tensors *tensors = ctx;
    struct tensor *t = &tensors->list[tensors->n++];
    (void)n_dims;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->file_offset = file_offset;
    t->rows = ne[1] * ne[2];
    t->row_bytes = bytes / t->rows;
    t->halves = strcmp(type, "F32") != 0;
}

/* Two passes: of three tokens, which choose experts, and of one. */
static enum lb_status passes(const char *kernels, const char *kv, struct lb_error *err)
{
    static const int32_t prompt[] = {3, 7, 11};
    struct lb_options o = lb_options_default();
    struct lb_engine *engine;
    float logits[64];
    o.model_path = path;
    o.threads = 1;
    o.storage = "pread";
    o.prefetch = "off";
    o.kernels = kernels;
    o.kv = kv;
    enum lb_status status = lb_engine_open(&o, &engine, err);
    CHECK(status == LB_OK, "%s", err->text);
    if (status == LB_OK)
        status = lb_engine_prefill(engine, 0, prompt, 3, false, logits, err);
    if (status == LB_OK)
        status = lb_engine_decode(engine, prompt, 1, logits, err);
    lb_engine_close(engine);
    return status;
}

/* The file with the poison at the beginning of every row of the tensor. */
static void write_poisoned(const char *bytes, size_t size, const struct tensor *t, float poison)
{
    FILE *f = fopen(path, "r+b");
    uint16_t half = quant_float_to_half(poison);
    CHECK(f && fwrite(bytes, 1, size, f) == size);
    for (uint64_t row = 0; row < t->rows; row++) {
        fseek(f, (long)(t->file_offset + row * t->row_bytes), SEEK_SET);
        CHECK(fwrite(t->halves ? (void *)&half : (void *)&poison, t->halves ? 2 : 4, 1, f) == 1);
    }
    fclose(f);
}

static void poison_all(const struct made_model *made, const char *kv)
{
    static const float poisons[] = {NAN, INFINITY, -INFINITY};
    struct tensors tensors = {0};
    struct lb_inspect inspect = {.ctx = &tensors, .tensor = take_tensor};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_choice set;
    size_t size;
    made_write(made, path);
    CHECK(lb_inspect_file(path, &inspect, &err) == LB_OK, "%s", err.text);
    CHECK(passes("auto", kv, &err) == LB_OK, "%s: %s", made->architecture, err.text);
    char *bytes = file_bytes(path, &size);
    for (size_t i = 0; i < tensors.n; i++)
        for (int k = 0; k < 3; k++) {
            write_poisoned(bytes, size, &tensors.list[i], poisons[k]);
            for (size_t c = 0; lb_choice_at("kernels", c, &set); c++) {
                if (!set.available)
                    continue;
                err = (struct lb_error)LB_ERROR_INIT;
                enum lb_status status = passes(set.name, kv, &err);
                CHECK(status == LB_ERR_STATE, "%s, %s, kv %s, %g in %s: %s", made->architecture,
                      set.name, kv, (double)poisons[k], tensors.list[i].name,
                      lb_status_name(status));
                CHECK(strstr(err.text, "not numbers") || strstr(err.text, "no finite number"), "%s",
                      err.text);
            }
        }
    free(bytes);
}

/* Finite numbers whose squares, or halves, are not. */
static void too_large(void)
{
    struct made_model made = made_usual();
    struct lb_error err = LB_ERROR_INIT;
    made.poisoned = "token_embd.weight";
    made.poison = 1e25f;
    made_write(&made, path);
    CHECK(passes("auto", "f32", &err) == LB_ERR_STATE, "a norm of 0 for want of squares");
    made.poisoned = "blk.1.attn_k.weight";
    made.poison = 1e6f;
    made_write(&made, path);
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(passes("auto", "f32", &err) == LB_OK, "%s", err.text);
    CHECK(passes("auto", "f16", &err) == LB_ERR_STATE, "keys that are infinite as halves");
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(passes("auto", "q8_0", &err) == LB_OK, "%s", err.text);
    made.poison = 1e9f;
    made_write(&made, path);
    CHECK(passes("auto", "q8_0", &err) == LB_ERR_STATE, "keys whose scales are infinite");
}

/* A cache refuses the very key that it cannot hold, whether the score that it would have got shows
 * or not: a half beyond 65504, and in blocks of Q8_0, whose scale is a half, 127 times as much. */
static void largest_key(void)
{
    static const struct {
        enum kernels_kv kv;
        float largest;
    } cases[] = {
        {KERNELS_KV_F32, FLT_MAX}, {KERNELS_KV_F16, 65504}, {KERNELS_KV_Q8_0, 127 * 65504.0f}};
    struct model model = {.config = {.head_dim = 32}};
    uint32_t position = 0;
    float key[32] = {0}, cache[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int beyond = 0; beyond < 2; beyond++) {
            struct model_session s = {.model = &model, .position = &position};
            s.options.kv = cases[i].kv;
            key[5] = beyond ? -nextafterf(cases[i].largest, INFINITY) : -cases[i].largest;
            stage_store(&s, 0, 0, key, cache);
            CHECK(atomic_load(&s.no_numbers) == beyond, "kv %s, %g", kernels_kv_name(cases[i].kv),
                  (double)key[5]);
        }
}

int main(void)
{
    static const char *const mixtures[] = {"llama",   "qwen2moe",  "qwen3moe", "olmoe",
                                           "glm4moe", "deepseek2", "gpt-oss"};
    static const uint32_t types[] = {QUANT_F32, QUANT_F16, QUANT_Q8_0, QUANT_Q4_0};
    path = strdup(made_path("numbers.gguf"));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct made_model made = made_usual();
        made.type = types[i];
        made.architecture = i % 2 ? "qwen3" : "llama";
        poison_all(&made, kernels_kv_name((enum kernels_kv)(i % N_KERNELS_KV)));
    }
    for (size_t k = 0; k < sizeof mixtures / sizeof *mixtures; k++) {
        struct made_model made = made_mixture(mixtures[k]);
        made.used = made.groups > 0 ? 4 : made.experts; /* no poisoned row is left out */
        poison_all(&made, kernels_kv_name((enum kernels_kv)(k % N_KERNELS_KV)));
    }
    too_large();
    largest_key();
    unlink(path);
    made_clean();
    return check_done();
}
