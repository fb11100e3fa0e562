/*
 * runner: see runner.h.
 *
 * 1. an anonymous file for the result, as descriptor 3; 2. the page cache as the cell wants it, a
 * control group for its memory limit; 3. this program once more (program.h); 4. read the file.
 */
#include "sample/runner.h"

#include "common/file_io.h"
#include "machine/page_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RESULT_FD = 3 };

/* ---- the command line of the child ---- */

struct arguments {
    char **list; /* NULL-terminated */
    size_t count;
};

static bool add(struct arguments *a, char *text)
{
    char **grown = text ? realloc(a->list, (a->count + 2) * sizeof *grown) : NULL;
    if (!grown) {
        free(text);
        return false;
    }
    a->list = grown;
    a->list[a->count++] = text;
    a->list[a->count] = NULL;
    return true;
}

/* Accesses of a whole sample: every pass goes through all layers. */
static uint64_t accesses(const struct runner_work *w)
{
    const struct settings *s = w->settings;
    uint64_t chunks = (s->prompt_tokens + s->engine.max_tokens - 1) / s->engine.max_tokens;
    return w->n_layers * (chunks * s->engine.batch + s->generate_tokens);
}

static bool make_arguments(const struct runner_work *w, struct arguments *a)
{
    size_t count;
    const struct option *table = options_table(&count);
    bool good = add(a, strdup("layerbench")) && add(a, strdup("sample")) &&
                add(a, file_text("--model=%s", w->model_path)) &&
                add(a, file_text("--result-fd=%d", RESULT_FD)) &&
                add(a, file_text("--work-seed=%" PRIu64, w->work_seed)) &&
                add(a, file_text("--first-prompt=%" PRIu64, w->first_prompt)) &&
                add(a, file_text("--log-capacity=%" PRIu64, accesses(w)));
    if (good && w->profile)
        good = add(a, strdup("--profile"));
    for (size_t i = 0; good && i < count; i++) {
        char text[OPTION_LONGEST];
        option_format(&table[i], w->settings, text, sizeof text);
        if (*text && strcmp(table[i].name, "engine") != 0)
            good = add(a, file_text("--%s=%s", table[i].name, text));
    }
    return good;
}

/* ---- the result ---- */

static void receive(const struct program_end *end, int result, struct sample *sample)
{
    FILE *in = *end->failed || lseek(result, 0, SEEK_SET) != 0 ? NULL : fdopen(dup(result), "rb");
    bool whole = in && sample_receive(in, sample);
    if (in)
        fclose(in);
    if (whole)
        return;
    memset(sample, 0, sizeof *sample);
    snprintf(sample->failed, sizeof sample->failed, "%s",
             *end->failed ? end->failed : "it ended without a result");
}

/* Of another program: its passes are all alike (see peer.h). */
static void read_printed(const struct runner_work *w, const struct program_end *end,
                         struct sample *sample)
{
    const bool counts = peer_uses(w->peer, "generate_tokens");
    const uint32_t batch = peer_uses(w->peer, "batch") ? w->settings->engine.batch : 1;
    memset(sample, 0, sizeof *sample);
    snprintf(sample->failed, sizeof sample->failed, "%s", end->failed);
    if (!*sample->failed)
        sample->printed = peer_printed(w->peer, end->text, end->messages, sample->failed);
    if (!sample->printed)
        return;
    const json_t *speed = json_object_get(sample->printed, "tokens_per_second");
    sample->n_pass = counts ? w->settings->generate_tokens : 1;
    sample->tokens = (uint64_t)sample->n_pass * batch;
    double pass = speed ? batch * 1e9 / json_number_value(speed)
                        : (double)end->usage.wall_ns / sample->n_pass;
    bool possible = pass >= 1 && pass <= 1e15;
    sample->pass_ns = possible ? calloc(sample->n_pass, sizeof *sample->pass_ns) : NULL;
    for (uint32_t i = 0; sample->pass_ns && i < sample->n_pass; i++)
        sample->decode.wall_ns += sample->pass_ns[i] = (int64_t)pass;
    if (sample->pass_ns)
        return;
    double said = json_number_value(speed);
    sample_free(sample);
    snprintf(sample->failed, sizeof sample->failed,
             possible ? "out of memory for a sample"
                      : "tokens_per_second: %g: expected a speed that a program can have",
             said);
}

/* The page cache as the cell wants it. Under a memory limit the file must not be cached by others:
 * the pages would count as theirs. False: the sample has failed, and says why. */
static bool prepare_cache(const struct runner_work *w, struct sample *sample)
{
    struct lb_error err = LB_ERROR_INIT;
    const char *state = w->settings->page_cache;
    if (w->settings->memory_limit > 0 && strcmp(state, "as-is") == 0)
        state = "cold";
    if (page_cache_prepare(w->model_path, state, &err) == LB_OK)
        return true;
    snprintf(sample->failed, sizeof sample->failed, "%.250s", err.text);
    return false;
}

static enum lb_status start_and_wait(const struct runner_work *w, char **arguments,
                                     struct sample *sample, struct lb_error *err)
{
    struct cgroup group;
    struct lb_error refused = LB_ERROR_INIT;
    if (cgroup_open(w->settings->memory_limit, &group, &refused) != LB_OK) {
        snprintf(sample->failed, sizeof sample->failed, "%.250s", refused.text);
        return LB_OK;
    }
    if (!prepare_cache(w, sample)) {
        cgroup_close(&group);
        return LB_OK;
    }
    double cached = page_cache_share(w->model_path);
    int result = memfd_create("sample", MFD_CLOEXEC);
    const struct program program = {.path = w->peer ? arguments[0] : NULL,
                                    .argv = (const char *const *)arguments,
                                    .affinity = w->settings->affinity,
                                    .group = &group,
                                    .timeout_s = w->timeout_s,
                                    .result = w->peer ? -1 : result};
    struct program_end end = {.text = NULL};
    enum lb_status status =
        result < 0
            ? lb_fail(err, LB_ERR_STATE, "cannot make a file for a sample: %s", strerror(errno))
            : program_run(&program, &end, err);
    if (status == LB_OK) {
        if (w->peer)
            read_printed(w, &end, sample);
        else
            receive(&end, result, sample);
        sample->usage = end.usage;
    }
    sample->cached_before_ppm = cached < 0 ? -1 : (int64_t)(cached * 1e6);
    program_free(&end);
    if (result >= 0)
        close(result);
    cgroup_close(&group);
    return status;
}

static enum lb_status check_model(const struct runner_work *w, struct lb_error *err)
{
    struct lb_file_state now = lb_file_state_at(w->model_path);
    const char *change = lb_file_change(w->model_state, &now);
    return change ? lb_fail(err, LB_ERR_STATE,
                            "the model changed during the run: %s %s; samples of the one are not "
                            "samples of the other",
                            w->model_path, change)
                  : LB_OK;
}

enum lb_status runner_measure(const struct runner_work *w, struct sample *sample,
                              struct lb_error *err)
{
    struct arguments arguments = {NULL, 0};
    enum lb_status status = check_model(w, err);
    memset(sample, 0, sizeof *sample);
    if (w->peer)
        arguments.list = peer_arguments(w->peer, w->settings, w->model_path, w->work_seed);
    else if (!make_arguments(w, &arguments))
        peer_arguments_free(arguments.list), arguments.list = NULL;
    if (status == LB_OK && !arguments.list)
        status = lb_fail(err, LB_ERR_NOMEM, "out of memory for a sample");
    if (status == LB_OK)
        status = start_and_wait(w, arguments.list, sample, err);
    if (status == LB_OK && check_model(w, err) != LB_OK) {
        sample_free(sample);
        status = LB_ERR_STATE;
    }
    peer_arguments_free(arguments.list);
    return status;
}
