/*
 * tune_run: which settings make the best of a given memory.
 *
 * 1. profile two decode passes, measure the storage; 2. search under the virtual clock; 3. print
 * the settings as options, write them as a scenario; 4. with --verify, run them in a process of
 * their own and put the measurement beside the prediction.
 */
#include "predict/tune.h"

#include "base/available.h"
#include "common/amounts.h"
#include "common/file_io.h"
#include "common/json_text.h"
#include "common/shell_word.h"
#include "result/results_json.h"
#include "sample/runner.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Options that are printed even where they are as by default. */
static const char *const always[] = {"prefetch",    "cache_bytes", "prefetch_distance",
                                     "replacement", "scheduler",   "storage",
                                     "unit",        "queue_depth"};

static bool is_shown(const struct option *o, const struct settings *settings)
{
    struct settings defaults = settings_default();
    char mine[OPTION_LONGEST], usual[OPTION_LONGEST];
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (strcmp(o->name, always[i]) == 0)
            return strcmp(o->name, "cache_bytes") != 0 || settings->engine.cache_bytes > 0;
    option_format(o, settings, mine, sizeof mine);
    option_format(o, &defaults, usual, sizeof usual);
    return strcmp(mine, usual) != 0;
}

/* "--prefetch async --cache-bytes ..."; *text allocated, NULL when out of memory. */
static char *as_options(const struct settings *settings)
{
    size_t count;
    const struct option *table = options_table(&count);
    char *text = strdup("");
    for (size_t i = 0; text && i < count; i++) {
        char value[OPTION_LONGEST], name[64];
        if (!is_shown(&table[i], settings))
            continue;
        option_format(&table[i], settings, value, sizeof value);
        snprintf(name, sizeof name, "%s", table[i].name);
        for (char *p = name; *p; p++)
            *p = *p == '_' ? '-' : *p;
        char *longer = file_text("%s%s--%s %s", text, *text ? " " : "", name, value);
        free(text);
        text = longer;
    }
    return text;
}

/* The settings alone: `run` adds the resident cell that they are compared with. */
static json_t *as_scenario(const struct settings *settings)
{
    size_t count;
    const struct option *table = options_table(&count);
    json_t *all = results_options(settings), *fixed = json_object();
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, "prefetch") != 0 && is_shown(&table[i], settings))
            json_object_set(fixed, table[i].name, json_object_get(all, table[i].name));
    json_t *document = json_pack(
        "{s:s, s:s, s:{s:o}, s:o, s:{s:[O]}, s:i}", "name", "tuned", "about",
        "How fast are the settings that tune has chosen for this model, memory and machine?",
        "model", "path", json_text(settings->engine.model_path), "fixed", fixed, "matrix",
        "prefetch", json_object_get(all, "prefetch"), "repetitions", 3);
    json_decref(all);
    return document;
}

static enum lb_status write_scenario(const char *path, const struct settings *settings,
                                     struct lb_error *err)
{
    json_t *document = as_scenario(settings);
    enum lb_status status = json_replace_file(path, document, JSON_INDENT(2), err);
    json_decref(document);
    return status;
}

/* ---- --verify ---- */

struct measured {
    bool done;
    double pass_ns, bytes;
    uint64_t peak_rss_bytes;
};

static enum lb_status verify(const struct tune_facts *facts, const struct tune_options *o,
                             const struct tune_choice *choice, struct measured *m,
                             struct lb_error *err)
{
    struct settings settings = choice->settings;
    settings.generate_tokens = o->passes;
    struct runner_work work = {.settings = &settings,
                               .model_path = settings.engine.model_path,
                               .n_layers = facts->model.n_layers,
                               .work_seed = 1,
                               .model_state = &facts->model_state};
    struct sample sample;
    enum lb_status status = runner_measure(&work, &sample, err);
    if (status != LB_OK)
        return status;
    if (*sample.failed)
        status = lb_fail(err, LB_ERR_STATE, "--verify: %s", sample.failed);
    else
        *m = (struct measured){.done = true,
                               .pass_ns = sample_pass_ns(&sample),
                               .bytes = (double)sample.decode.bytes_read / sample.n_pass,
                               .peak_rss_bytes = sample.peak_rss_bytes};
    sample_free(&sample);
    return status;
}

/* ---- output ---- */

static json_t *prediction_json(const struct sim_prediction *p)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "pass_ns", p->pass_ns, "wait_ns", p->wait_ns,
                     "bytes_read", p->bytes, "tokens_per_second", p->tokens_per_s);
}

static enum lb_status print_json(const struct tune_facts *f, uint64_t given,
                                 const struct tune_choice *c, const struct measured *m,
                                 struct lb_error *err)
{
    char *options = as_options(&c->settings);
    json_t *document = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:i, s:o, s:o, s:o, s:o}", "memory_bytes",
        (json_int_t)given, "program_bytes", (json_int_t)f->program_bytes, "kv_bytes",
        (json_int_t)f->profile.kv_bytes, "fixed_bytes", (json_int_t)f->profile.fixed_bytes,
        "cache_bytes", (json_int_t)f->cache_bytes, "bandwidth", c->bandwidth, "floor_ns",
        c->floor_ns, "considered", (int)c->n_considered, "command_line", json_text(options),
        "options", results_options(&c->settings), "prediction", prediction_json(&c->prediction),
        "default_settings", c->usual.pass_ns > 0 ? prediction_json(&c->usual) : json_null());
    if (document && c->drafting.pass_ns > 0)
        json_object_set_new(document, "drafts",
                            json_pack("{s:f, s:i, s:f, s:f, s:f}", "acceptance",
                                      c->settings.engine.speculation.acceptance, "draft_tokens",
                                      (int)c->draft_tokens, "tokens_a_pass",
                                      c->drafting.tokens_a_pass, "pass_ns", c->drafting.pass_ns,
                                      "tokens_per_second", c->drafting.tokens_per_s));
    if (document && m->done)
        json_object_set_new(document, "measured",
                            json_pack("{s:f, s:f, s:I}", "pass_ns", m->pass_ns, "bytes_read",
                                      m->bytes, "peak_rss_bytes", (json_int_t)m->peak_rss_bytes));
    int failed = document ? json_dumpf(document, stdout, JSON_INDENT(1)) : -1;
    putchar('\n');
    json_decref(document);
    free(options);
    return failed ? lb_fail(err, LB_ERR_NOMEM, "JSON: out of memory") : LB_OK;
}

static void print_time(const char *what, double pass_ns, double floor_ns, double bytes,
                       uint32_t batch)
{
    char pass[32], floor[32], read[32];
    printf("%-10s %s a pass (%.3g tok/s), reading %s; floor %s, share of floor %.2f\n", what,
           amount_human_duration(pass_ns, pass, sizeof pass), batch * 1e9 / pass_ns,
           amount_human_size(bytes, read, sizeof read),
           amount_human_duration(floor_ns, floor, sizeof floor), floor_ns / pass_ns);
}

static void print_drafts(const struct tune_choice *c)
{
    const struct sim_prediction *p = &c->drafting;
    const double share = c->settings.engine.speculation.acceptance;
    char pass[32];
    if (p->pass_ns > 0 && c->draft_tokens == 0)
        printf("drafts     none gains where a token is right with %g (--acceptance)\n", share);
    else if (p->pass_ns > 0)
        printf(
            "drafts     of %u tokens, each right with %g (--acceptance): %.2f tokens a pass of %s "
            "(%.3g tok/s), %.2f times as fast: --speculate ngram --draft-tokens %u\n",
            c->draft_tokens, share, p->tokens_a_pass,
            amount_human_duration(p->pass_ns, pass, sizeof pass), p->tokens_per_s,
            p->tokens_per_s / c->prediction.tokens_per_s, c->draft_tokens);
}

__attribute__((format(printf, 3, 4))) static void print_part(uint64_t like, uint64_t bytes,
                                                             const char *format, ...)
{
    char size[32];
    va_list args;
    printf("%-10s %9s  ", "", amount_human_size_like(like, (double)bytes, size, sizeof size));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Bytes of the cache that no unit fits into. */
static uint64_t too_small_for_a_unit(const struct tune_facts *f, const struct tune_choice *c)
{
    uint64_t unit = c->settings.engine.unit_bytes, layer = f->model.layer_bytes / f->model.n_layers;
    if (strcmp(c->settings.engine.prefetch, "resident") == 0)
        return f->cache_bytes - f->model.layer_bytes;
    if (f->model.experts || unit == 1)
        return 0; /* units of many sizes: there is one for every rest */
    return f->cache_bytes % (unit > 2 ? unit : layer);
}

/* Where every byte of the memory goes. */
static void print_memory(const struct tune_facts *f, const struct tune_options *o, uint64_t given,
                         const struct tune_choice *c)
{
    const uint64_t fixed = f->profile.fixed_bytes, rest = too_small_for_a_unit(f, c);
    const uint64_t named = f->program_bytes + fixed + f->cache_bytes;
    char total[32], layers[32];
    printf("memory     %9s%s\n", amount_human_size_like(given, (double)given, total, sizeof total),
           o->memory == 0 ? "  available now" : "");
    print_part(given, f->program_bytes, "the program without a model");
    print_part(given, fixed - f->profile.kv_bytes, "embeddings, norm, head, workspace");
    print_part(given, f->profile.kv_bytes, "keys and values of %u positions (--context, --kv)",
               f->profile.context);
    print_part(given, f->cache_bytes - rest, "cache, for %s of layers",
               amount_human_size_like(given, (double)f->model.layer_bytes, layers, sizeof layers));
    if (rest > 0)
        print_part(given, rest, "%s",
                   strcmp(c->settings.engine.prefetch, "resident") == 0
                       ? "not needed: the whole model fits"
                       : "not used: less than a unit");
    print_part(given, given - named, "page tables and alignment (2%% of the above)");
}

static enum lb_status print_text(const struct tune_facts *f, const struct tune_options *o,
                                 uint64_t given, const struct tune_choice *c,
                                 const struct measured *m, struct lb_error *err)
{
    char rate[32], peak[32];
    char *options = as_options(&c->settings);
    uint32_t batch = c->settings.engine.batch;
    if (!options)
        return lb_fail(err, LB_ERR_NOMEM, "options: out of memory");
    fputs("layerbench generate --model ", stdout);
    shell_word(c->settings.engine.model_path, stdout);
    printf(" --prompt 'Once upon a time' %s\n", options);
    free(options);
    print_memory(f, o, given, c);
    printf("storage    %s/s\n", amount_human_size(c->bandwidth, rate, sizeof rate));
    print_time("predicted", c->prediction.pass_ns, c->floor_ns, c->prediction.bytes, batch);
    if (c->usual.pass_ns > 0)
        print_time("default", c->usual.pass_ns, c->floor_ns, c->usual.bytes, batch);
    if (c->usual.pass_ns > 0)
        printf("gain       %.2f times as fast as the default settings with the same memory\n",
               c->usual.pass_ns / c->prediction.pass_ns);
    else
        puts("gain       the default settings do not run: a layer does not fit into the cache");
    print_drafts(c);
    if (m->done) {
        print_time("measured", m->pass_ns, c->floor_ns, m->bytes, batch);
        printf("%-10s %+.1f%% of the prediction; peak memory %s\n", "",
               100 * (m->pass_ns / c->prediction.pass_ns - 1),
               amount_human_size_like(given, (double)m->peak_rss_bytes, peak, sizeof peak));
    }
    return LB_OK;
}

enum lb_status tune_run(const struct tune_options *o, const struct settings *settings,
                        struct lb_error *err)
{
    struct tune_facts facts;
    struct tune_choice choice;
    struct measured measured = {.done = false};
    enum lb_status status = o->scenario ? file_check_output(o->scenario, err) : LB_OK;
    if (status == LB_OK && (o->scenario || o->json))
        status = json_can_name(settings->engine.model_path, "the output", err);
    if (status == LB_OK && (o->scenario || o->json))
        status = json_can_name(settings->engine.speculation.draft_model, "the output", err);
    const uint64_t given = o->memory > 0 ? o->memory : lb_memory_available().bytes;
    if (status == LB_OK && given == 0)
        status = lb_fail(err, LB_ERR_INPUT,
                         "--memory: auto: this machine does not say how much is "
                         "available: expected a size");
    if (status != LB_OK)
        return status;
    status = tune_measure(settings, given, o->routes, &facts, err);
    if (status == LB_OK)
        status = tune_search(&facts, settings, &choice, err);
    if (status == LB_OK && o->scenario)
        status = write_scenario(o->scenario, &choice.settings, err);
    if (status == LB_OK && o->verify)
        status = verify(&facts, o, &choice, &measured, err);
    if (status == LB_OK)
        status = o->json ? print_json(&facts, given, &choice, &measured, err)
                         : print_text(&facts, o, given, &choice, &measured, err);
    tune_free(&facts);
    return status;
}
