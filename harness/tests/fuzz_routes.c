/*
 * fuzz: recorded routes, to miss ratios by policy and size and to a pass of a mixture; and the same
 * bytes as a log of accesses to replay.
 */
#include "predict/miss_ratios.h"
#include "predict/route_trace.h"
#include "settings/options.h"
#include "tests/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_arguments arguments = {.replay = fuzz_file(data, size, "", 0)};
    struct settings settings = settings_default();
    struct sim_model model = {.n_layers = 0};
    struct sim_accesses accesses = {.length = 0};
    struct route_trace trace = {.length = 0};
    struct lb_error err = LB_ERROR_INIT;
    static bool quiet;
    if (!quiet)
        FUZZ_CHECK((quiet = freopen("/dev/null", "w", stdout)));
    enum lb_status status = route_trace_read(arguments.replay, NULL, &trace, &err);
    fuzz_check_error(status, &err);
    uint64_t work = trace.length + (uint64_t)trace.n_layers * trace.n_experts;
    route_trace_free(&trace);
    err = (struct lb_error)LB_ERROR_INIT;
    if (status == LB_OK && work < 2000)
        fuzz_check_error(sim_miss_ratios(&arguments, &settings, &err), &err);
    err = (struct lb_error)LB_ERROR_INIT;
    fuzz_check_error(sim_replay(arguments.replay, NULL, &model, &accesses, &err), &err);
    sim_model_free(&model);
    free(accesses.order);
    free(accesses.compute_ns);
    return 0;
}
