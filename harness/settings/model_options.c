/* model_options: see model_options.h. */
#include "settings/model_options.h"

#include "common/amounts.h"
#include "common/exit_codes.h"

#include <stdio.h>
#include <sys/resource.h>

struct cli_group model_options_file(struct settings *settings)
{
    static const struct option model = {"model",
                                        "FILE",
                                        "GGUF file",
                                        OPTION_TEXT,
                                        offsetof(struct settings, engine.model_path),
                                        .letter = 'm'};
    return (struct cli_group){"model", &model, 1, settings, 0};
}

struct cli_group model_options_group(struct settings *settings)
{
    size_t count;
    const struct option *table = options_table(&count);
    return (struct cli_group){"engine", table, count, settings, OPTION_RUN_ONLY};
}

int model_options_error(const char *command, const struct lb_error *err)
{
    fprintf(stderr, "layerbench %s: %s\n", command, err->text);
    return err->code == LB_ERR_INPUT || err->code == LB_ERR_UNSUPPORTED ? EXIT_USAGE : EXIT_FAILED;
}

int model_options_open_error(const char *command, const struct lb_error *err)
{
    int code = model_options_error(command, err);
    return err->code == LB_ERR_IO ? EXIT_USAGE : code; /* no such file, no permission */
}

int model_options_open(const char *command, const struct settings *settings,
                       struct lb_engine **engine)
{
    struct lb_error err = LB_ERROR_INIT;
    *engine = NULL;
    if (!settings->engine.model_path)
        return cli_fail(command, "no model: expected --model FILE");
    if (lb_engine_open(&settings->engine, engine, &err) != LB_OK)
        return model_options_error(command, &err);
    if (*lb_engine_notice(*engine))
        fprintf(stderr, "layerbench %s: %s\n", command, lb_engine_notice(*engine));
    return EXIT_OK;
}

void model_options_note_bos(const char *command, int32_t bos, const int32_t *ids, size_t n)
{
    if (n >= 2 && bos >= 0 && ids[0] == bos && ids[1] == bos)
        fprintf(stderr,
                "layerbench %s: the text begins with BOS twice: the model wants one, and it stands "
                "in the text too\n",
                command);
}

void model_options_summary(struct lb_engine *engine)
{
    struct lb_stats s = lb_engine_stats(engine);
    struct lb_effective e = lb_engine_effective(engine);
    struct rusage usage;
    char bytes[32], wait[32], compute[32], other[32], cache[32], peak[32], mean[32], rate[32];
    fprintf(stderr, "streaming: prefetch %s, %u of %u layers cached (%s), %s, %s, storage %s\n",
            e.prefetch, e.cache_layers, lb_engine_model(engine).n_layers,
            amount_human_size((double)s.cache_bytes, cache, sizeof cache), e.replacement,
            e.scheduler, e.storage);
    fprintf(stderr, "accesses: %llu hit, %llu prefetched, %llu late, %llu miss; read %s\n",
            (unsigned long long)s.hits, (unsigned long long)s.prefetched,
            (unsigned long long)s.late, (unsigned long long)s.misses,
            amount_human_size((double)s.bytes_read, bytes, sizeof bytes));
    fprintf(
        stderr,
        "prefetch: %llu started, %llu used, %llu cancelled, %llu failed, mean %s; units evicted: "
        "%llu, %llu of them unused, %llu others protected\n",
        (unsigned long long)s.prefetches_started, (unsigned long long)s.prefetches_used,
        (unsigned long long)s.prefetches_cancelled, (unsigned long long)s.prefetches_failed,
        amount_human_duration((double)s.prefetch_mean_ns, mean, sizeof mean),
        (unsigned long long)s.evictions, (unsigned long long)s.wasted,
        (unsigned long long)s.protected_evictions);
    fprintf(stderr, "storage: %llu reads, %llu errors, %s/s over all passes\n",
            (unsigned long long)s.reads, (unsigned long long)s.read_errors,
            amount_human_size(s.wall_ns > 0 ? (double)s.bytes_read / (double)s.wall_ns * 1e9 : 0,
                              rate, sizeof rate));
    fprintf(stderr, "time: compute %s, wait %s, other %s\n",
            amount_human_duration((double)s.compute_ns, compute, sizeof compute),
            amount_human_duration((double)s.wait_ns, wait, sizeof wait),
            amount_human_duration((double)s.other_ns, other, sizeof other));
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        fprintf(stderr, "memory: peak %s\n",
                amount_human_size((double)usage.ru_maxrss * 1024, peak, sizeof peak));
}
