# test_gbench_tools: Google Benchmark's compare.py reads a result as its own: times, repetitions, its U
# test, and a cell that failed. BENCHMARK_COMPARE names another one than Debian's (libbenchmark-tools).
set -u
compare=${BENCHMARK_COMPARE:-/usr/share/benchmark/compare.py}
[ -e "$compare" ] || { echo "skipped: no $compare (package libbenchmark-tools)"; exit 77; }
for python in python3 /usr/bin/python3; do
    "$python" -c 'import scipy' 2>/dev/null && break
done || { echo "skipped: no python3 with scipy"; exit 77; }
command -v jq >/dev/null || { echo "skipped: needs jq to change a result"; exit 77; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
failures=0 checks=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

# compared TEXT ARGUMENT...: exit code 0, and a line like the pattern
compared() {
    local text=$1
    shift
    checks=$((checks + 1))
    "$python" "$compare" --no-color "$@" >"$work/out" 2>"$work/err" || { fail "compare.py $*"; tail -3 "$work/err"; }
    grep -q -- "$text" "$work/out" || { fail "compare.py $*: no line like '$text'"; head -5 "$work/out"; }
}
quick=results/baselines/quick/result.json
cell=$(jq -r '.benchmarks[0].name' $quick)
jq '.benchmarks[] |= (if .real_time then .real_time *= 2 else . end)' $quick >"$work/slower.json"
compared "^${cell}_pvalue .*U Test, Repetitions: 7 vs 7" benchmarks $quick $quick
compared "^${cell}_median  *+1\.0000" benchmarks $quick "$work/slower.json"
compared 'OVERALL_GEOMEAN  *-0\.5000' benchmarks "$work/slower.json" $quick
compared 'prefetch=\[sync vs\. async\]/replacement=lru' filters $quick sync async

"$LAYERBENCH" synth --shape tiny --quant Q8_0 --layers 2 --seed 1 -o "$work/m.gguf" 2>"$work/err" || { cat "$work/err"; exit 1; }
cat >"$work/s.json" <<END
{"name": "faulty", "about": "A test?", "model": {"path": "$work/m.gguf"}, "matrix": {"fault": ["", "eio"]},
 "fixed": {"threads": 1, "prompt_tokens": 2, "generate_tokens": 2, "cache_layers": 1, "prefetch": "off",
 "fault_every": true, "fault_nth": 3}, "repetitions": 2, "warmup": 0}
END
"$LAYERBENCH" run "$work/s.json" --out "$work/r" --no-plots -q >"$work/out" 2>&1
compared '^fault=eio  *+0\.0000' benchmarks "$work/r/result.json" "$work/r/result.json"
compared '^fault=_mean  *+0\.0000' benchmarks "$work/r/result.json" "$work/r/result.json"

echo "$checks checks, $failures failed"
[ $failures = 0 ]
