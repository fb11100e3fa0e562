/* test_oracle: the reference's logits, and greedy tokens for real files. */
#include "whole_model.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>

static const char *shared;

struct reference {
    int32_t *ids;
    uint32_t n, n_vocab;
    double rms_tolerance, logit_std;
    float *logits; /* [n][n_vocab] */
};

static int32_t *read_ids(const json_t *array, uint32_t *n)
{
    *n = (uint32_t)json_array_size(array);
    int32_t *ids = calloc(*n, sizeof *ids);
    for (uint32_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return ids;
}

static bool read_reference(const char *name, struct reference *r)
{
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof path, "%s/oracle/%s.json", shared, name);
    json_t *root = json_load_file(path, 0, &error);
    CHECK(root, "%s: %s", path, error.text);
    if (!root)
        return false;
    r->ids = read_ids(json_object_get(root, "ids"), &r->n);
    r->n_vocab = (uint32_t)json_integer_value(json_object_get(root, "n_vocab"));
    r->rms_tolerance = json_number_value(json_object_get(root, "rms_tolerance"));
    r->logit_std = json_number_value(json_object_get(root, "logit_std"));
    json_decref(root);
    size_t n = (size_t)r->n * r->n_vocab;
    r->logits = malloc(n * sizeof *r->logits);
    snprintf(path, sizeof path, "%s/oracle/%s.f32", shared, name);
    FILE *f = fopen(path, "rb");
    bool ok = f && n > 0 && fread(r->logits, sizeof *r->logits, n, f) == n;
    if (f)
        fclose(f);
    CHECK(ok, "%s: cannot read", path);
    return ok;
}

static void free_reference(struct reference *r)
{
    free(r->ids);
    free(r->logits);
}

static uint32_t best(const float *logits, uint32_t n)
{
    uint32_t top = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[top])
            top = i;
    return top;
}

/* Root mean square of the differences; tokens that differ where the reference is sure. */
static void compare(const char *what, const struct reference *r, const float *got)
{
    double sum = 0;
    uint32_t wrong = 0;
    for (uint32_t t = 0; t < r->n; t++) {
        const float *expected = r->logits + (size_t)t * r->n_vocab;
        uint32_t first = best(expected, r->n_vocab), second = first == 0 ? 1 : 0;
        for (uint32_t i = 0; i < r->n_vocab; i++) {
            double d = (double)got[(size_t)t * r->n_vocab + i] - expected[i];
            sum += d * d;
            if (i != first && expected[i] > expected[second])
                second = i;
        }
        if (expected[first] - expected[second] > 0.15 * r->logit_std)
            wrong += best(got + (size_t)t * r->n_vocab, r->n_vocab) != first;
    }
    double rms = sqrt(sum / ((double)r->n * r->n_vocab));
    CHECK(rms <= r->rms_tolerance, "%s: rms error %.3g, expected at most %.3g", what, rms,
          r->rms_tolerance);
    CHECK(wrong == 0, "%s: %u tokens differ where the reference is sure", what, wrong);
    printf("%-40s rms %.3g of %.3g\n", what, rms, r->rms_tolerance);
}

static void model_against_reference(const char *name)
{
    struct reference r = {0};
    struct whole_model whole;
    char path[4096], what[512];
    snprintf(path, sizeof path, "%s/models/%s.gguf", shared, name);
    if (!read_reference(name, &r) || !whole_open(&whole, path)) {
        free_reference(&r);
        return;
    }
    float *got = malloc((size_t)r.n * r.n_vocab * sizeof *got);
    size_t n_tiers;
    const struct kernels_ops *const *tiers = kernels_list(&n_tiers);
    for (size_t i = 0; i < n_tiers; i++) {
        struct whole_session s;
        struct model_session_options options = {
            .n_sequences = 1, .context = r.n, .max_tokens = r.n, .kv = KERNELS_KV_F32};
        if (!tiers[i]->available())
            continue;
        snprintf(what, sizeof what, "%s, %s", name, tiers[i]->name);
        if (whole_session_open(&s, &whole, tiers[i]->name, 2, options) &&
            whole_run(&s, &whole, 0, r.ids, r.n, r.n, got))
            compare(what, &r, got);
        whole_session_close(&s);
    }
    free(got);
    free_reference(&r);
    whole_close(&whole);
}

static void all_models(void)
{
    char path[4096];
    int n = 0;
    snprintf(path, sizeof path, "%s/models", shared);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *dot = strstr(e->d_name, ".gguf");
        if (!dot)
            continue;
        *dot = '\0';
        model_against_reference(e->d_name);
        n++;
    }
    if (dir)
        closedir(dir);
    CHECK(n >= 19, "%d models", n);
}

static void greedy(void)
{
    char path[4096];
    json_error_t error;
    struct whole_model whole;
    struct whole_session s;
    uint32_t n_prompt, n;
    snprintf(path, sizeof path, "%s/oracle/stories260K-greedy.json", shared);
    json_t *root = json_load_file(path, 0, &error);
    CHECK(root, "%s: %s", path, error.text);
    int32_t *prompt = read_ids(json_object_get(root, "prompt_ids"), &n_prompt);
    int32_t *expected = read_ids(json_object_get(root, "ids"), &n);
    snprintf(path, sizeof path, "%s/models/stories260K.gguf", shared);
    if (whole_open(&whole, path)) {
        uint32_t n_vocab = model_config(whole.model)->n_vocab, same = 0;
        float *logits = malloc((size_t)n_prompt * n_vocab * sizeof *logits), *last = logits;
        struct model_session_options options = {
            .n_sequences = 1, .context = n_prompt + n, .max_tokens = n_prompt};
        bool ok = whole_session_open(&s, &whole, NULL, 2, options) &&
                  whole_run(&s, &whole, 0, prompt, n_prompt, n_prompt, logits);
        last = logits + (size_t)(n_prompt - 1) * n_vocab;
        for (uint32_t i = 0; ok && i < n; i++, last = logits) {
            int32_t next = (int32_t)best(last, n_vocab);
            same += next == expected[i];
            ok = whole_run(&s, &whole, 0, &next, 1, 1, logits);
        }
        CHECK(n == 240 && same == n, "%u of %u tokens", same, n);
        whole_session_close(&s);
        whole_close(&whole);
        free(logits);
    }
    free(prompt);
    free(expected);
    json_decref(root);
}

int main(void)
{
    shared = check_shared();
    if (!shared)
        check_skip("no reference models beside the checkout");
    all_models();
    greedy();
    return check_done();
}
