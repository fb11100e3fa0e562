/*
 * test_oracle: the reference's logits, and greedy tokens for real files.
 *
 * A model is run with its weights expanded to float32 as well: then it must agree with the
 * reference, which was computed so, almost exactly. With quantised activations a token of a mixture
 * whose two experts are nearly equal may go to the other one, and then its logits are those of
 * another network: such rows, few, are left out of the error; which they are is known from the
 * exact run.
 */
#include "expanded_model.h"
#include "tests/temporary.h"
#include "whole_model.h"

#include <ctype.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <unistd.h>

static const char *shared;
static char folder[2048]; /* models/ and oracle/ are in here */

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
    snprintf(path, sizeof path, "%s/oracle/%s.json", folder, name);
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
    snprintf(path, sizeof path, "%s/oracle/%s.f32", folder, name);
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

/* Experts chosen for each token, in all layers: a bit each. */
#define ROUTE_LAYERS 4
struct routes {
    uint32_t n_tokens;
    uint64_t (*experts)[ROUTE_LAYERS];
};

static void note_route(void *ctx, const struct model_route *route)
{
    struct routes *routes = ctx;
    for (uint32_t i = 0; i < route->n; i++)
        routes->experts[route->position][route->layer % ROUTE_LAYERS] |= 1ull << route->experts[i];
}

static bool same_route(const struct routes *a, const struct routes *b, uint32_t t)
{
    return memcmp(a->experts[t], b->experts[t], sizeof a->experts[t]) == 0;
}

/* Root mean square of the differences; tokens that differ where the reference is sure. Rows that
 * took another route than `exact` did are left out. */
static void compare(const char *what, const struct reference *r, double tolerance, const float *got,
                    const struct routes *routes, const struct routes *exact)
{
    double sum = 0;
    uint32_t wrong = 0, elsewhere = 0;
    for (uint32_t t = 0; t < r->n; t++) {
        if (!same_route(routes, exact, t)) {
            elsewhere++;
            continue;
        }
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
    double rms = sqrt(sum / ((double)(r->n - elsewhere) * r->n_vocab));
    CHECK(rms <= tolerance, "%s: rms error %.3g, expected at most %.3g", what, rms, tolerance);
    CHECK(wrong == 0, "%s: %u tokens differ where the reference is sure", what, wrong);
    CHECK(elsewhere <= r->n / 6, "%s: %u of %u tokens took another route", what, elsewhere, r->n);
    printf("%-40s rms %.3g of %.3g", what, rms, tolerance);
    printf(elsewhere ? ", %u elsewhere\n" : "\n", elsewhere);
}

/* All logits of the model by one set of kernels, and the routes of its tokens. */
static bool run_model(struct whole_model *whole, const char *tier, const struct reference *r,
                      float *got, struct routes *routes)
{
    struct whole_session s;
    struct model_session_options options = {.n_sequences = 1,
                                            .context = r->n,
                                            .max_tokens = r->n,
                                            .kv = KERNELS_KV_F32,
                                            .routed = note_route,
                                            .routed_ctx = routes};
    memset(routes->experts, 0, r->n * sizeof *routes->experts);
    bool ok = whole_session_open(&s, whole, tier, 2, options) &&
              whole_run(&s, whole, 0, r->ids, r->n, r->n, got);
    whole_session_close(&s);
    return ok;
}

/* The same weights in float32: what differs from the reference is the order of sums alone. */
static void exact_run(const char *name, const char *path, const struct reference *r, float *got,
                      struct routes *routes)
{
    struct whole_model whole;
    char what[512], expanded[TEMPORARY_PATH];
    snprintf(what, sizeof what, "%s, float32", name);
    temporary_path(expanded);
    if (expand_model(path, expanded) && whole_open(&whole, expanded)) {
        if (run_model(&whole, NULL, r, got, routes))
            compare(what, r, 2e-5 * r->logit_std, got, routes, routes);
        whole_close(&whole);
    }
    unlink(expanded);
}

static void model_against_reference(const char *name)
{
    struct reference r = {0};
    struct whole_model whole;
    char path[4096], what[512];
    snprintf(path, sizeof path, "%s/models/%s.gguf", folder, name);
    if (!read_reference(name, &r) || !whole_open(&whole, path)) {
        free_reference(&r);
        return;
    }
    float *got = malloc((size_t)r.n * r.n_vocab * sizeof *got);
    struct routes routes = {r.n, calloc(r.n, sizeof *routes.experts)},
                  exact = {r.n, calloc(r.n, sizeof *exact.experts)};
    size_t n_tiers;
    const struct kernels_ops *const *tiers = kernels_list(&n_tiers);
    exact_run(name, path, &r, got, &exact);
    for (size_t i = 0; i < n_tiers; i++) {
        if (!tiers[i]->available())
            continue;
        snprintf(what, sizeof what, "%s, %s", name, tiers[i]->name);
        if (run_model(&whole, tiers[i]->name, &r, got, &routes))
            compare(what, &r, r.rms_tolerance, got, &routes, &exact);
    }
    free(routes.experts);
    free(exact.experts);
    free(got);
    free_reference(&r);
    whole_close(&whole);
}

/* Of the small types: "tiny-llama-iq3_xxs" is of one that may still be to come. */
static bool type_is_known(const char *name)
{
    char type[32] = "";
    const char *small = strncmp(name, "tiny-llama-", 11) == 0 ? name + 11 : "";
    if (strncmp(small, "iq", 2) != 0 && strncmp(small, "tq", 2) != 0)
        return true;
    for (size_t i = 0; small[i] && i + 1 < sizeof type; i++)
        type[i] = (char)toupper((unsigned char)small[i]);
    return quant_type_by_name(type) >= 0;
}

/* All models of ../shared, or of one folder in it. */
static void all_models(const char *inside, int expected)
{
    char path[4096];
    int n = 0;
    snprintf(folder, sizeof folder, "%.1000s%s", shared, inside);
    snprintf(path, sizeof path, "%s/models", folder);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *dot = strstr(e->d_name, ".gguf");
        if (!dot)
            continue;
        *dot = '\0';
        if (type_is_known(e->d_name))
            model_against_reference(e->d_name);
        else
            printf("%-40s skipped: its type is not supported yet\n", e->d_name);
        n++;
    }
    if (dir)
        closedir(dir);
    CHECK(n >= expected, "%s: %d models", path, n);
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
    all_models("", 19);
    all_models("/experts", 9);
    all_models("/small-types", 9);
    greedy();
    return check_done();
}
