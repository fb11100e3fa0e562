/*
 * damaged models: a whole model, with weights and vocabulary, whose header is changed at random.
 * Each is looked at, its tokenizer opened and used, the engine opened and run. Whatever comes of
 * it, it is an answer or one line that says what is wrong; under sanitizers also no access out of
 * bounds. LAYERBENCH_LONG=1 tries 30,000 instead of 600.
 * The reader alone: test_gguf_bad.c.
 */
#include "base/random.h"
#include "engine.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEED 20250301u

static char path[64];
static int memory_file;
static unsigned char *header, *damaged;
static size_t header_bytes;
static unsigned counts[8]; /* by status of the engine's opening */

/* Where the first tensor's data begins. */
static void first_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                         const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    size_t *first = ctx;
    (void)name, (void)type, (void)n_dims, (void)ne, (void)bytes;
    if (*first == 0 || file_offset < *first)
        *first = (size_t)file_offset;
}

/* A small model in memory, so that writing it anew costs its header only. */
static void make_model(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_synth synth = {.shape = "tiny", .quant = "Q4_0", .seed = 3, .n_layers = 1};
    struct lb_inspect inspect = {.ctx = &header_bytes, .tensor = first_tensor};
    char made[TEMPORARY_PATH], buffer[1 << 16];
    temporary_path(made);
    CHECK(lb_synth_write(&synth, made, &err) == LB_OK, "%s", err.text);
    CHECK(lb_inspect_file(made, &inspect, &err) == LB_OK && header_bytes > 0, "%s", err.text);
    FILE *f = fopen(made, "rb");
    for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        CHECK(write(memory_file, buffer, n) == (ssize_t)n, "%s", strerror(errno));
    if (f)
        fclose(f);
    unlink(made);
    header = malloc(header_bytes);
    damaged = malloc(header_bytes);
    CHECK(pread(memory_file, header, header_bytes, 0) == (ssize_t)header_bytes);
}

/* One to three changes: a bit, a byte, a small number, a number near a power of two. Most of the
 * header is vocabulary; half of the changes are made to what lies around it. */
static void damage(struct lb_random *r)
{
    memcpy(damaged, header, header_bytes);
    for (uint32_t n = 1 + lb_random_below(r, 3); n > 0; n--) {
        uint32_t near = header_bytes < 1200 ? (uint32_t)header_bytes : 1200;
        size_t at = lb_random_below(r, (uint32_t)header_bytes - 8);
        if (lb_random_below(r, 2))
            at = lb_random_below(r, 2) ? lb_random_below(r, near - 8)
                                       : header_bytes - 8 - lb_random_below(r, near - 8);
        uint32_t small = lb_random_below(r, 40);
        uint64_t large = (1ull << lb_random_below(r, 64)) - lb_random_below(r, 3);
        switch (lb_random_below(r, 4)) {
        case 0:
            damaged[at] ^= (unsigned char)(1u << lb_random_below(r, 8));
            break;
        case 1:
            damaged[at] = (unsigned char)lb_random_next(r);
            break;
        case 2:
            memcpy(damaged + at, &small, sizeof small);
            break;
        default:
            memcpy(damaged + at, &large, sizeof large);
        }
    }
}

static void check_line(enum lb_status status, const struct lb_error *err, unsigned round)
{
    if (status == LB_OK)
        return;
    CHECK(status == LB_ERR_INPUT || status == LB_ERR_UNSUPPORTED, "round %u: %s: %s", round,
          lb_status_name(status), err->text);
    CHECK(*err->text && !strchr(err->text, '\n'), "round %u: '%s'", round, err->text);
}

static void use_vocabulary(unsigned round)
{
    const char *text = "Once <s>upon</s> 12345 don't\n \xf0\x9f\x98\x80\xff";
    struct lb_text_options how = {.bos = true, .special = true};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_vocab *vocab;
    int32_t *ids = NULL;
    size_t count;
    enum lb_status status = lb_vocab_open(path, &vocab, &err);
    if (status == LB_OK)
        status = lb_vocab_tokenize(vocab, text, strlen(text), how, &ids, &count, &err);
    check_line(status, &err, round);
    lb_release(ids);
    lb_vocab_close(vocab);
}

static void use_engine(struct lb_random *r, unsigned round)
{
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *engine;
    o.model_path = path;
    o.threads = 1;
    o.context = 8;
    o.storage = "pread";
    o.prefetch = "off";
    enum lb_status status = lb_engine_open(&o, &engine, &err);
    counts[status]++;
    check_line(status, &err, round);
    if (status != LB_OK)
        return;
    uint32_t n_vocab = lb_engine_model(engine).n_vocab;
    float *logits = malloc(n_vocab * sizeof *logits);
    int32_t ids[2] = {0, (int32_t)n_vocab - 1};
    CHECK(lb_engine_prefill(engine, 0, ids, 2, false, logits, &err) == LB_OK, "round %u: %s", round,
          err.text);
    for (int i = 0; i < 8; i++)
        lb_engine_detokenize(engine, (int32_t)lb_random_below(r, n_vocab));
    lb_engine_detokenize(engine, -1);
    free(logits);
    lb_engine_close(engine);
}

int main(void)
{
    memory_file = memfd_create("model.gguf", 0);
    if (memory_file < 0)
        check_skip("no files in memory on this system");
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory_file);
    make_model();
    struct lb_random r = {SEED};
    unsigned rounds = getenv("LAYERBENCH_LONG") ? 30000 : 600;
    for (unsigned round = 0; round < rounds && check_failures < 20; round++) {
        damage(&r);
        CHECK(pwrite(memory_file, damaged, header_bytes, 0) == (ssize_t)header_bytes);
        use_vocabulary(round);
        use_engine(&r, round);
    }
    printf("seed %u: %u of %u models still run, %u refused, %u not supported\n", SEED,
           counts[LB_OK], rounds, counts[LB_ERR_INPUT], counts[LB_ERR_UNSUPPORTED]);
    CHECK(counts[LB_OK] > rounds / 20 && counts[LB_ERR_INPUT] > rounds / 20, "a one-sided test");
    free(header);
    free(damaged);
    return check_done();
}
