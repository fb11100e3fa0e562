# history: a metric over results in the order of their time, and where it changes; compare and history
# of Google Benchmark files of any origin; baselines by their names.
. harness/tests/lib.sh
needs jq

# ---- results of layerbench, made from a committed one: a step of 10% at the fifth commit ----
jq -c '.layerbench.cells |= map(select(.name == "prefetch=async/replacement=belady/cache_layers=6/prefetch_distance=2/batch=1")) | .benchmarks = []' \
    results/baselines/quick/result.json >"$work/one.json"
holds "$work/one.json" '.layerbench.cells[0].samples | length >= 5' "the committed result has the samples for this"
result() { # NUMBER SCALE [FILTER]
    mkdir -p "$work/runs/$1"
    jq -c --argjson i "$1" --argjson scale "$2" '.layerbench.started_realtime_ns = 1800000000000000000 + 1000000000 * $i |
        .layerbench.environment.git_revision.value = "commit\($i)" |
        .layerbench.cells[].samples |= [to_entries[] | .key as $k | .value | .pass_ns |= map(10000000 * $scale + 10000 * (($k * 7 + $i * 3) % 5) | floor)]'"${3:-}" \
        "$work/one.json" >"$work/runs/$1/result.json"
}
for i in 8 1 3 2 4; do result $i $([ $i -lt 5 ] && echo 1 || echo 1.1); done
for i in 5 6 7; do result $i 1.1; done
history() { "$LAYERBENCH" history "$@"; }
check "history of a directory" history "$work/runs" --json >"$work/h.json"
holds "$work/h.json" '.series | length == 1 and .[0].metric == "pass" and .[0].unit == "ns"' "one cell, one metric"
is "$(jq -c '[.series[0].points[].label]' "$work/h.json")" '["commit1","commit2","commit3","commit4","commit5","commit6","commit7","commit8"]' "the order of time"
is "$(jq -c '[.series[0].points[].mark]' "$work/h.json")" '["","","","","changed","","",""]' "one change, at the step"
holds "$work/h.json" '.series[0].points[4] | .ratio > 1.095 and .ratio < 1.105 and .low <= .median and .median <= .high and .n == 7' "by how much, with its interval" '.series[0].points[4]'
history "$work/runs" >"$work/out"
is "$(grep -c 'changed by +1[01][.0-9]*%, worse' "$work/out")" 1 "the table says it once: $(grep changed "$work/out")"
# a drift in small steps is found once it has come far enough from where it began
for i in 1 2 3 4 5 6 7 8; do result $i "$(printf "1.%03d" $((7 * i)))"; done
history "$work/runs" --json >"$work/h.json"
holds "$work/h.json" '[.series[0].points[].mark | select(. == "changed")] | length >= 1 and length <= 3' "a drift"
# a step down is better; of tokens a second it is a step up
for i in 1 2 3 4; do result $i 1; done
for i in 5 6 7 8; do result $i 0.9; done
history "$work/runs" >"$work/out"
grep -q 'commit5 .*changed by -10.*better' "$work/out" || fail "better: $(grep changed "$work/out")"
history "$work/runs" --metrics tokens_per_second,pass >"$work/out"
is "$(grep -c 'better' "$work/out")" 2 "tokens a second: more is better"
# another machine, other work: nothing to compare with
result 6 1.5 '| .layerbench.environment.comparability_key.value = "another"'
result 7 1.5 '| .layerbench.environment.comparability_key.value = "another"'
result 8 2.5 '| .layerbench.environment.comparability_key.value = "another" | .layerbench.cells[].samples[].tokens_hash = "0123"'
history "$work/runs" --json >"$work/h.json"
is "$(jq -c '[.series[0].points[4:][].mark]' "$work/h.json")" '["changed","other machine","","other work"]' "other machine, other work"
# of another scenario
result 9 1 '| .layerbench.scenario.sha256 = ("ab" * 32)'
rm -r "$work/runs/8"
expect 0 'note: 7 results of another scenario than the newest are left out' history "$work/runs"
rm -r "$work/runs/9"
expect 2 "*--metrics: 'speed': expected one that a result has: pass, ttft*" history "$work/runs" --metrics speed
expect 2 '*expected at least one result' history
expect 2 '*cannot open*' history "$work/nothing"
if command -v gnuplot >/dev/null; then
    expect 0 'figure: *history.svg' history "$work/runs" --metrics pass,prefill --out "$work/plots"
    check "a figure" test -s "$work/plots/history.svg"
    is "$(grep -c '^[01] ' "$work/plots/history.dat")" 14 "points of the figure"
fi

# ---- baselines by their names ----
expect 0 '' "$LAYERBENCH" compare quick results/baselines/quick --csv
mkdir "$work/elsewhere" && cp "$work/runs/1/result.json" "$work/elsewhere"
answers 5 'is of another scenario than results/baselines/batch-reuse' "$LAYERBENCH" compare batch-reuse "$work/elsewhere"

# ---- Google Benchmark, from whatever program ----
gbench() { # FILE SCALE DAY [FILTER]
    jq -nc --argjson scale "$2" --arg day "$3" '{context: {date: "2026-03-\($day)T10:00:00+01:00", host_name: "h", num_cpus: 4, caches: []},
        benchmarks: ([range(10) | {name: "BM_sort/8", run_name: "BM_sort/8", run_type: "iteration", repetitions: 10, repetition_index: ., threads: 1,
            iterations: 100, real_time: (10 * $scale + 0.01 * (. * 7 % 10)), cpu_time: (9 + 0.01 * (. * 3 % 10)), time_unit: "us", items_per_second: (1000 / $scale + . % 3)}]
        + [{name: "BM_sort/8_mean", run_name: "BM_sort/8", run_type: "aggregate", aggregate_name: "mean", real_time: 1, cpu_time: 1, time_unit: "us"}])}'"${4:-}" >"$work/$1"
}
gbench a.json 1 10
gbench b.json 1.1 11
expect 0 '' "$LAYERBENCH" compare "$work/a.json" "$work/b.json" --json
cp "$work/out" "$work/c.json"
holds "$work/c.json" '[.comparisons[] | [.metric, .verdict]] == [["real_time", "different"], ["cpu_time", "same"], ["items_per_second", "different"]]' "compare of Google Benchmark" '[.comparisons[] | [.metric, .verdict]]'
holds "$work/c.json" '.comparisons[0] | .unit == "ns" and .n_base == 10 and .base > 10000 and .base < 10100 and .ratio > 1.09 and .ratio < 1.11' "its times in ns, without aggregates" '.comparisons[0]'
gbench other.json 1 10 '| .context.num_cpus = 64'
expect 4 '*not comparable*' "$LAYERBENCH" compare "$work/a.json" "$work/other.json"
gbench failed.json 1 10 '| .benchmarks[] |= (.error_occurred = true | .error_message = "no file")'
expect 5 '*measured nothing: no file' "$LAYERBENCH" compare "$work/a.json" "$work/failed.json"
gbench means.json 1 10 '| .benchmarks |= map(select(.run_type == "aggregate"))'
expect 5 '*measured nothing' "$LAYERBENCH" compare "$work/a.json" "$work/means.json"
for i in 1 2 3 4 5 6; do gbench "g$i.json" "$([ $i -lt 4 ] && echo 1 || echo 1.2)" 1$i; done
history "$work"/g6.json "$work"/g[1-5].json --json >"$work/h.json"
is "$(jq -c '[.series[0].points[] | [.label, .mark]]' "$work/h.json")" '[["2026-03-11",""],["2026-03-12",""],["2026-03-13",""],["2026-03-14","changed"],["2026-03-15",""],["2026-03-16",""]]' "history of Google Benchmark"
history "$work"/g?.json --metrics cpu_time,items_per_second >"$work/out"
is "$(grep -c changed "$work/out") $(grep -c worse "$work/out")" "1 1" "a counter that fell"
expect 2 '*a file of Google Benchmark: expected a result of layerbench' "$LAYERBENCH" merge "$work/a.json" --out "$work/merged"
"$LAYERBENCH" compare "$work/a.json" "$work/elsewhere" >/dev/null 2>&1
is $? 5 "a result and a file of another program"
finish
