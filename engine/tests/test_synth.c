/*
 * synth: the mixes against files that a quantisation tool made, sizes of known models, vocabulary,
 * weights that are what the header promises, the same bytes every time, errors.
 */
#include "base/memory.h"
#include "engine.h"
#include "file_bytes.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "synth/synth.h"
#include "synth/synth_parts.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

static char dir[TEMPORARY_PATH];
static char path[sizeof dir + 16];

static const struct synth_shape *shape_named(const char *name)
{
    struct lb_error err = LB_ERROR_INIT;
    const struct synth_shape *shape = synth_find_shape(name, &err);
    if (!shape) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return shape;
}

static uint64_t planned_bytes(const struct synth_shape *shape, const char *mix)
{
    struct lb_error err = LB_ERROR_INIT;
    struct synth_tensor *tensors;
    size_t n;
    uint64_t sum = 0;
    CHECK(synth_plan(shape, mix, &tensors, &n, &err) == LB_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        sum += tensors[i].bytes;
    lb_free(tensors);
    return sum;
}

/* ---- plan ---- */

/* Sizes of the published files of these models, in GB as they are listed. */
static void known_sizes(void)
{
    static const struct {
        const char *shape, *mix;
        double gb;
    } known[] = {
        {"llama-2-7b", "Q4_K_M", 4.08},
        {"llama-2-7b", "Q4_K_S", 3.86},
        {"llama-2-7b", "Q5_K_M", 4.78},
        {"llama-2-7b", "Q6_K", 5.53},
        {"llama-2-7b", "Q8_0", 7.16},
        {"llama-2-7b", "Q4_0", 3.83},
        {"llama-2-7b", "Q3_K_M", 3.30},
        {"llama-2-13b", "Q4_K_M", 7.87},
        {"llama-2-70b", "Q4_K_M", 41.42},
        {"llama-3-8b", "Q4_K_M", 4.92},
        {"mistral-7b", "Q4_K_M", 4.37},
        {"tinyllama-1.1b", "Q4_K_M", 0.669},
        {"olmoe-1b-7b", "Q4_K_M", 4.21},
        {"qwen3-30b-a3b", "Q4_K_M", 18.56},
        {"gpt-oss-20b", NULL, 12.10},
        {"gpt-oss-120b", NULL, 63.37},
        {"mixtral-8x7b", "Q4_K_M", 28.4},
        {"deepseek-v2-lite", "Q4_K_M", 10.36},
        {"qwen3-235b-a22b", NULL, 142.2},
        {"deepseek-v3", "Q4_K_M", 404.4},
        {"kimi-k2", "Q4_K_M", 621.2},
        {"glm-4.5-air", NULL, 70.44}, /* 72.9 with the layer that is not run */
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double gb = 1e-9 * (double)planned_bytes(shape_named(known[i].shape), known[i].mix);
        CHECK(fabs(gb - known[i].gb) < 0.005 * known[i].gb, "%s %s: %.4f GB, expected %.3f",
              known[i].shape, known[i].mix ? known[i].mix : "", gb, known[i].gb);
    }
}

/* A plan for the shape of a test model against the tensors of that model. */
static void compare(const struct synth_shape *shape, const char *mix, const char *file_name)
{
    struct lb_error err = LB_ERROR_INIT;
    struct synth_tensor *tensors;
    struct gguf_file *file;
    size_t n;
    CHECK(gguf_open(file_name, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    CHECK(synth_plan(shape, mix, &tensors, &n, &err) == LB_OK, "%s", err.text);
    if (file) {
        uint32_t file_type = 99;
        CHECK(gguf_get_u32(file, "general.file_type", true, &file_type, &err) == LB_OK &&
              file_type == synth_find_mix(mix, &err)->file_type);
        CHECK(n == gguf_tensor_count(file), "%s: %zu tensors", file_name, n);
        for (size_t i = 0; i < n; i++) {
            const struct gguf_tensor *t = gguf_tensor_at(file, i);
            CHECK(t && strcmp(t->name, tensors[i].name) == 0 && t->type == tensors[i].type &&
                      t->bytes == tensors[i].bytes && t->n_dims == tensors[i].n_dims &&
                      memcmp(t->ne, tensors[i].ne, sizeof t->ne) == 0,
                  "%s: %s has type %u, planned %s with type %u", file_name, t ? t->name : "none",
                  t ? t->type : 0, tensors[i].name, tensors[i].type);
        }
    }
    gguf_close(file);
    lb_free(tensors);
}

static void against_models(const char *shared)
{
    static const struct {
        const char *file, *mix;
    } all[] = {
        {"llama-f16", "F16"},       {"llama-bf16", "BF16"},     {"llama-q8_0", "Q8_0"},
        {"llama-q4_0", "Q4_0"},     {"llama-q4_1", "Q4_1"},     {"llama-q5_0", "Q5_0"},
        {"llama-q5_1", "Q5_1"},     {"llama-q2_k", "Q2_K"},     {"llama-q3_k_m", "Q3_K_M"},
        {"llama-q4_k_m", "Q4_K_M"}, {"llama-q5_k_m", "Q5_K_M"}, {"llama-q6_k", "Q6_K"},
        {"llama-iq4_nl", "IQ4_NL"}, {"llama-iq4_xs", "IQ4_XS"}, {"qwen2-q4_k_m", "Q4_K_M"},
        {"qwen3-q6_k", "Q6_K"},     {"qwen3-q8_0", "Q8_0"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[4096], architecture[6] = "";
        memcpy(architecture, all[i].file, 5);
        struct synth_shape shape = {.architecture = architecture,
                                    .n_layers = 4,
                                    .n_embd = 256,
                                    .n_heads = 4,
                                    .n_kv_heads = 2,
                                    .head_dim = 64,
                                    .n_ff = 768,
                                    .n_vocab = 1024,
                                    .tied_embedding = strcmp(architecture, "qwen2") == 0};
        snprintf(name, sizeof name, "%s/models/tiny-%s.gguf", shared, all[i].file);
        compare(&shape, all[i].mix, name);
    }
}

/* The same of mixtures of experts: 3 layers, 256 wide. */
static void against_mixtures(const char *shared)
{
#define LATENT                                                                                     \
    {                                                                                              \
        .q_rank = 128, .kv_rank = 128, .n_nope = 64, .n_rope = 32, .n_value = 64                   \
    }
    static const struct {
        const char *file, *mix;
        struct synth_shape shape;
    } all[] = {
        {"mixtral-q4_k_m", "Q4_K_M", {.architecture = "llama", .experts = {.count = 8}}},
        {"olmoe-q8_0",
         "Q8_0",
         {.architecture = "olmoe", .n_kv_heads = 4, .experts = {.count = 16}}},
        {"qwen2moe-q4_k_m",
         "Q4_K_M",
         {.architecture = "qwen2moe", .experts = {.count = 8, .n_shared = 512}}},
        {"qwen3moe-q4_k_m",
         "Q4_K_M",
         {.architecture = "qwen3moe", .tied_embedding = 1, .experts = {.count = 16}}},
        {"qwen3moe-q8_0",
         "Q8_0",
         {.architecture = "qwen3moe", .tied_embedding = 1, .experts = {.count = 16}}},
        {"gpt-oss-mxfp4", "MXFP4_MOE", {.architecture = "gpt-oss", .experts = {.count = 8}}},
        {"glm4moe-q5_k_m",
         "Q5_K_M",
         {.architecture = "glm4moe",
          .head_norms = 1,
          .experts = {.count = 8, .n_shared = 256, .dense_layers = 1, .sigmoid = 1}}},
        {"deepseek2-q4_k_m",
         "Q4_K_M",
         {.architecture = "deepseek2",
          .latent = LATENT,
          .experts = {.count = 16, .n_shared = 256, .dense_layers = 1, .sigmoid = 1}}},
        {"deepseek2-softmax-q8_0",
         "Q8_0",
         {.architecture = "deepseek2",
          .latent = LATENT,
          .experts = {.count = 16, .n_shared = 256, .dense_layers = 1}}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[4096];
        struct synth_shape shape = all[i].shape;
        shape.n_layers = 3;
        shape.n_embd = shape.experts.n_ff = 256;
        shape.n_heads = 4;
        shape.n_kv_heads = shape.n_kv_heads ? shape.n_kv_heads : 2;
        shape.head_dim = 64;
        shape.n_ff = 512;
        shape.n_vocab = 1024;
        snprintf(name, sizeof name, "%s/experts/models/tiny-%s.gguf", shared, all[i].file);
        compare(&shape, all[i].mix, name);
    }
}

static uint32_t planned_type(const char *shape, const char *mix, const char *tensor)
{
    struct lb_error err = LB_ERROR_INIT;
    struct synth_tensor *tensors;
    size_t n;
    uint32_t type = UINT32_MAX;
    CHECK(synth_plan(shape_named(shape), mix, &tensors, &n, &err) == LB_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, tensor) == 0)
            type = tensors[i].type;
    lb_free(tensors);
    return type;
}

static void rules(void)
{
    /* rows of 576 and 896 are not whole blocks of 256, the 1536 of ffn_down are */
    CHECK(planned_type("smollm-135m", "Q4_K_M", "blk.9.attn_q.weight") == QUANT_Q5_0);
    CHECK(planned_type("smollm-135m", "Q4_K_M", "blk.0.attn_v.weight") == QUANT_Q8_0);
    CHECK(planned_type("smollm-135m", "Q4_K_M", "blk.0.ffn_down.weight") == QUANT_Q6_K);
    CHECK(planned_type("smollm-135m", "Q4_K_M", "token_embd.weight") == QUANT_Q8_0);
    CHECK(planned_type("smollm-135m", "Q2_K", "blk.0.attn_q.weight") == QUANT_IQ4_NL);
    CHECK(planned_type("smollm-135m", "Q3_K_M", "blk.0.attn_q.weight") == QUANT_IQ4_NL);
    CHECK(planned_type("smollm-135m", "IQ4_XS", "blk.9.attn_q.weight") == QUANT_IQ4_NL);
    CHECK(planned_type("qwen2-0.5b", "Q5_K_M", "blk.9.attn_q.weight") == QUANT_Q5_1);
    /* 32 layers: 0-3 and 28-31, and 6, 9, ... 27 between */
    for (int layer = 0; layer < 32; layer++) {
        char name[40];
        bool more = layer < 4 || layer >= 28 || layer % 3 == 0;
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", layer);
        CHECK(planned_type("llama-2-7b", "Q4_K_M", name) == (more ? QUANT_Q6_K : QUANT_Q4_K), "%s",
              name);
    }
    CHECK(planned_type("llama-2-70b", "Q4_K_M", "blk.11.attn_v.weight") == QUANT_Q5_K);
    CHECK(planned_type("llama-2-70b", "Q4_K_M", "blk.0.attn_v.weight") == QUANT_Q6_K);
    CHECK(planned_type("llama-3.1-405b", "Q4_K_M", "rope_freqs.weight") == QUANT_F32);
    CHECK(planned_type("qwen3-0.6b", "Q4_K_M", "blk.0.attn_q_norm.weight") == QUANT_F32);
    CHECK(planned_type("qwen3-0.6b", "Q4_K_M", "output.weight") == UINT32_MAX);
    size_t n;
    const char *const *mixes = synth_mixes(&n);
    CHECK(n == 17);
    CHECK_TEXT(mixes[0], "F32");
}

/* ---- writing ---- */

static enum lb_status write_tiny(const char *shape, const char *mix, uint64_t seed,
                                 struct lb_error *err)
{
    struct synth_options options = {.shape = shape, .mix = mix, .seed = seed, .n_layers = 2};
    return synth_write(&options, path, err);
}

static void same_bytes(void)
{
    struct lb_error err = LB_ERROR_INIT;
    CHECK(write_tiny("tiny", "Q4_K_M", 7, &err) == LB_OK, "%s", err.text);
    uint64_t first = file_hash(path);
    CHECK(write_tiny("tiny", "Q4_K_M", 7, &err) == LB_OK && file_hash(path) == first);
    CHECK(write_tiny("tiny", "Q4_K_M", 8, &err) == LB_OK && file_hash(path) != first);
    /* the same on every machine; a change here changes every model that is made anew */
    CHECK(first == 0x790ab5bd978e3d9fu, "seed 7: 0x%llx", (unsigned long long)first);
}

/* Weights have deviation 1/sqrt(row) and no mean, embeddings that are not the head deviation 1;
 * norms lie around 1. The noise of quantising adds up to a tenth with two bits. */
static void check_weights(const struct gguf_tensor *t, FILE *data, const char *mix, bool tied)
{
    const size_t n_row = t->ne[0], n_rows = t->ne[1], n = n_row * n_rows, bytes = t->bytes / n_rows;
    void *blocks = malloc(bytes);
    float *y = malloc(n_row * sizeof *y);
    double sum = 0, squares = 0;
    bool bad = !blocks || !y || fseek(data, (long)t->file_offset, SEEK_SET) != 0;
    for (size_t row = 0; !bad && row < n_rows; row++) {
        bad = fread(blocks, 1, bytes, data) != bytes;
        if (!bad)
            quant_info(t->type)->dequantize(blocks, y, n_row);
        for (size_t i = 0; !bad && i < n_row; i++) {
            bad = !isfinite(y[i]);
            sum += y[i];
            squares += (double)y[i] * y[i];
        }
    }
    double mean = sum / (double)n, deviation = sqrt(squares / (double)n - mean * mean);
    CHECK(!bad, "%s %s", mix, t->name);
    if (t->n_dims == 1) {
        double center = strstr(t->name, "bias") ? 0 : 1;
        CHECK(fabs(mean - center) < 0.05 && fabs(deviation - 0.1) < 0.03, "%s: %g +- %g", t->name,
              mean, deviation);
    } else {
        bool unit = !tied && strcmp(t->name, "token_embd.weight") == 0;
        double expected = unit ? 1 : 1 / sqrt((double)t->ne[0]);
        CHECK(fabs(deviation / expected - 1) < 0.12 && fabs(mean) < 0.03 * expected,
              "%s %s: %g +- %g, expected %g", mix, t->name, mean, deviation, expected);
    }
    free(blocks);
    free(y);
}

struct header {
    bool taken;
    uint64_t bytes;
};

static void take_first(void *ctx, const char *name, const char *type, uint32_t n_dims,
                       const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    struct header *h = ctx;
    (void)name, (void)type, (void)n_dims, (void)ne, (void)bytes;
    if (!h->taken)
        *h = (struct header){true, file_offset};
}

static void check_file(const char *shape, const char *mix)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    CHECK(write_tiny(shape, mix, 1, &err) == LB_OK, "%s", err.text);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    FILE *data = fopen(path, "rb");
    if (file && data) {
        struct header h = {0};
        struct lb_synth synth = {.shape = shape, .quant = mix, .seed = 1, .n_layers = 2};
        struct lb_inspect inspect = {.ctx = &h, .tensor = take_first};
        CHECK(lb_synth_inspect(&synth, &inspect, &err) == LB_OK, "%s", err.text);
        CHECK(h.taken && h.bytes == gguf_tensor_at(file, 0)->file_offset);
        const struct gguf_tensor *last = gguf_tensor_at(file, gguf_tensor_count(file) - 1);
        uint64_t end = last->file_offset + last->bytes;
        CHECK(gguf_file_bytes(file) == (end + 31) / 32 * 32);
        for (size_t i = 0; i < gguf_tensor_count(file); i++)
            check_weights(gguf_tensor_at(file, i), data, mix, shape_named(shape)->tied_embedding);
    }
    if (data)
        fclose(data);
    gguf_close(file);
}

static void files(void)
{
    size_t n;
    const char *const *mixes = synth_mixes(&n);
    for (size_t i = 0; i < n; i++)
        check_file("tiny", mixes[i]);
    check_file("qwen2-0.5b", "Q4_K_M"); /* biases, rows that are not whole blocks of 256 */
}

struct progress {
    uint64_t done, total;
    int calls, back;
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct progress *p = ctx;
    p->back += done < p->done;
    p->done = done;
    p->total = total;
    p->calls++;
}

static void progress(void)
{
    struct progress seen = {0};
    struct lb_error err = LB_ERROR_INIT;
    struct synth_options options = {.shape = "tiny",
                                    .mix = "Q8_0",
                                    .n_layers = 3,
                                    .progress = on_progress,
                                    .progress_ctx = &seen};
    struct synth_shape shape = *shape_named("tiny");
    shape.n_layers = 3;
    CHECK(synth_write(&options, path, &err) == LB_OK, "%s", err.text);
    CHECK(seen.calls > 3 && seen.back == 0 && seen.done == seen.total &&
          seen.total == planned_bytes(&shape, "Q8_0"));
}

/* ---- vocabulary ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct gguf_string *)a)->text, ((const struct gguf_string *)b)->text);
}

static void check_vocabulary(uint32_t n_vocab)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_writer *w;
    struct gguf_file *f = NULL;
    CHECK(gguf_writer_open(path, &w, &err) == LB_OK, "%s", err.text);
    CHECK(synth_put_vocabulary(w, n_vocab, &err) == LB_OK, "%s", err.text);
    CHECK(gguf_writer_finish(w, &err) == LB_OK, "%s", err.text);
    CHECK(gguf_open(path, quant_tensor_bytes, &f, &err) == LB_OK, "%s", err.text);
    const struct gguf_pair *pair = f ? gguf_find_pair(f, "tokenizer.ggml.tokens") : NULL;
    const struct gguf_pair *scores = f ? gguf_find_pair(f, "tokenizer.ggml.scores") : NULL;
    CHECK(pair && pair->value.array.count == n_vocab && scores &&
          scores->value.array.count == n_vocab);
    if (pair && pair->value.array.count == n_vocab) {
        struct gguf_string *sorted = malloc(n_vocab * sizeof *sorted);
        memcpy(sorted, pair->value.array.strings, n_vocab * sizeof *sorted);
        CHECK_TEXT(sorted[0].text, "<unk>");
        CHECK_TEXT(sorted[3 + 10].text, "<0x0A>");
        CHECK_TEXT(sorted[259].text, "\xe2\x96\x81");
        CHECK_TEXT(sorted[SYNTH_VOCAB_MIN - 2].text, "~");
        qsort(sorted, n_vocab, sizeof *sorted, by_text);
        int twins = 0;
        for (uint32_t i = 1; i < n_vocab; i++)
            twins += strcmp(sorted[i - 1].text, sorted[i].text) == 0 || sorted[i].length == 0;
        CHECK(twins == 0, "%d pieces of %u stand twice", twins, n_vocab);
        free(sorted);
    }
    gguf_close(f);
}

static void vocabularies(void)
{
    size_t n;
    const struct synth_shape *shapes = synth_shapes(&n);
    check_vocabulary(SYNTH_VOCAB_MIN);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || shapes[i].n_vocab != shapes[i - 1].n_vocab)
            check_vocabulary(shapes[i].n_vocab);
}

/* ---- errors ---- */

static int files_in_dir(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n;
}

static void errors(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct synth_options options = {.shape = "llama-9", .mix = "Q4_K_M"};
    CHECK(synth_write(&options, path, &err) == LB_ERR_INPUT);
    CHECK(strstr(err.text, "shape: unknown shape 'llama-9', expected one of: tiny tiny-32 "), "%s",
          err.text);
    CHECK(strstr(err.text, " qwen3-0.6b"), "%s", err.text);
    err = (struct lb_error)LB_ERROR_INIT;
    options = (struct synth_options){.shape = "tiny", .mix = "Q9"};
    CHECK(synth_write(&options, path, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "quant: unknown mix 'Q9', expected one of: F32 F16 BF16 Q8_0 Q4_0 Q4_1 "
                         "Q5_0 Q5_1 Q2_K Q3_K_M Q4_K_S Q4_K_M Q5_K_M Q6_K IQ4_NL IQ4_XS MXFP4_MOE");
    err = (struct lb_error)LB_ERROR_INIT;
    options = (struct synth_options){.shape = "tiny", .mix = "Q8_0", .n_layers = 1001};
    CHECK(synth_write(&options, path, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "layers: 1001, expected at most 1000");
    err = (struct lb_error)LB_ERROR_INIT;
    options.n_layers = 1;
    CHECK(synth_write(&options, "/nowhere/x.gguf", &err) == LB_ERR_INPUT);
    CHECK(strstr(err.text, "/nowhere/x.gguf") && strstr(err.text, "No such file"), "%s", err.text);
}

static void out_of_memory(void)
{
    unlink(path);
    for (uint64_t n = 1;; n++) {
        struct lb_error err = LB_ERROR_INIT;
        lb_memory_fail_at(n);
        enum lb_status status = write_tiny("tiny", "Q4_0", 1, &err);
        lb_memory_fail_at(0);
        CHECK(files_in_dir() == (status == LB_OK), "%d files", files_in_dir());
        if (status == LB_OK) {
            CHECK(n > 10);
            break;
        }
        CHECK(status == LB_ERR_NOMEM && err.code == LB_ERR_NOMEM, "%s", err.text);
    }
}

int main(void)
{
    temporary_folder(dir);
    snprintf(path, sizeof path, "%s/a.gguf", dir);
    known_sizes();
    rules();
    same_bytes();
    files();
    progress();
    vocabularies();
    errors();
    out_of_memory();
    unlink(path);
    CHECK(rmdir(dir) == 0, "temporary files are left in %s", dir);
    const char *shared = check_shared();
    if (!shared)
        check_skip("models: no shared test data");
    against_models(shared);
    against_mixtures(shared);
    return check_done();
}
