/*
 * fuzz: layers.jsonl beside a small sound result, to figures, page and trace; and the same bytes as
 * the journal samples.jsonl.
 */
#include "fuzz_result.h"
#include "result/journal.h"

static const char result[] =
    "{\"context\":{},\"benchmarks\":[],\"layerbench\":{\"schema_version\":1,\"version\":\"0\","
    "\"scenario\":{\"name\":\"s\",\"about\":\"?\",\"effective\":{\"model\":{\"layers\":4}}},"
    "\"environment\":{},\"bandwidth\":[],\"warnings\":[],\"complete\":true,\"cells\":["
    "{\"name\":\"a\",\"options\":{\"prefetch\":\"async\",\"cache_layers\":2},\"samples\":["
    "{\"rep\":0,\"seq\":0,\"wall_ns\":300,\"pass_ns\":[90,110],\"passes\":2,\"layers\":4,"
    "\"decode\":{\"outcomes\":{\"hit\":4,\"prefetched\":2,\"late\":1,\"miss\":1},"
    "\"bytes_read\":4096,\"wall_ns\":200,\"compute_ns\":140,\"wait_ns\":50,\"other_ns\":10}}],"
    "\"failures\":[]},"
    "{\"name\":\"b\",\"options\":{\"prefetch\":\"off\",\"cache_layers\":2},\"samples\":[],"
    "\"failures\":[]}]}}";

static enum lb_status take(void *ctx, const char *cell, struct sample *sample, struct lb_error *err)
{
    (void)ctx, (void)err;
    FUZZ_CHECK(cell);
    sample_free(sample);
    return LB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_options options = {"a", -1};
    struct lb_error err = LB_ERROR_INIT;
    static FILE *out;
    if (!out)
        FUZZ_CHECK((out = fopen("/dev/null", "w")));
    fuzz_put("result.json", result, sizeof result - 1);
    fuzz_put("layers.jsonl", data, size);
    fuzz_figures(out);
    fuzz_check_error(trace_write(fuzz_dir, &options, out, &err), &err);
    err = (struct lb_error)LB_ERROR_INIT;
    fuzz_check_error(journal_read(fuzz_file(data, size, "", 0), take, NULL, &err), &err);
    return 0;
}
