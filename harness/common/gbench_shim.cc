// gbench_shim: the one C++ file. See gbench_shim.h.
#include "common/gbench_shim.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <vector>

namespace
{

// The library's JSON, with names as they were given and without the CPU time of this process.
class Reporter : public benchmark::JSONReporter
{
  public:
    void ReportRuns(const std::vector<Run> &runs) override
    {
        std::vector<Run> ours(runs);
        for (Run &run : ours) {
            run.run_name.iterations.clear();
            run.run_name.repetitions.clear();
            run.run_name.time_type.clear();
            run.cpu_accumulated_time = 0;
            // the variation of a counter that is 0 throughout is no number, and NaN no JSON
            for (auto it = run.counters.begin(); it != run.counters.end();)
                it = std::isfinite(it->second.value) ? std::next(it) : run.counters.erase(it);
        }
        JSONReporter::ReportRuns(ours);
    }
};

void add_counters(benchmark::State &state, const gbench_result &result)
{
    for (size_t i = 0; i < result.n_counters; i++)
        state.counters[result.counters[i].name] = result.counters[i].value;
}

void register_one(const gbench_benchmark &b)
{
    uint32_t next = 0;
    auto *registered =
        benchmark::RegisterBenchmark(b.name, [b, next](benchmark::State &state) mutable {
            gbench_result result{};
            b.repetition(b.ctx, next++, &result);
            if (result.error) {
                state.SkipWithError(result.error);
                return;
            }
            size_t i = 0;
            for (auto _ : state)
                state.SetIterationTime(static_cast<double>(result.iteration_ns[i++]) / 1e9);
            add_counters(state, result);
        });
    registered->Iterations(b.iterations)->UseManualTime()->Unit(benchmark::kMillisecond);
    if (b.repetitions > 1)
        registered->Repetitions(static_cast<int>(b.repetitions));
}

void initialise()
{
    static bool done = false;
    static char name[] = "layerbench"; // the library keeps the pointer
    static char *argv[] = {name, nullptr};
    int argc = 1;
    if (!done)
        benchmark::Initialize(&argc, argv);
    done = true;
}

} // namespace

extern "C" bool gbench_run(const gbench_benchmark *benchmarks, size_t count, char **json)
{
    *json = nullptr;
    try {
        initialise();
        std::ostringstream out, messages;
        Reporter reporter;
        reporter.SetOutputStream(&out);
        reporter.SetErrorStream(&messages);
        benchmark::ClearRegisteredBenchmarks();
        for (size_t i = 0; i < count; i++)
            register_one(benchmarks[i]);
        if (count > 0) {
            benchmark::RunSpecifiedBenchmarks(&reporter, nullptr, ".");
        } else { // the library refuses to run nothing; a result has its context all the same
            reporter.ReportContext(benchmark::BenchmarkReporter::Context());
            reporter.Finalize();
        }
        benchmark::ClearRegisteredBenchmarks();
        *json = strdup(out.str().c_str());
    } catch (...) {
        return false;
    }
    return *json != nullptr;
}
