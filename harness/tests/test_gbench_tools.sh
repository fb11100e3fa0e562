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
# run NAME MATRIX FIXED REPETITIONS: into $work/NAME
run() {
    printf '{"name": "tools", "about": "A test?", "model": {"path": "%s"}, "matrix": %s, "repetitions": %s, "warmup": 0,
        "fixed": {"threads": 1, "prompt_tokens": 2, "generate_tokens": 2, "cache_layers": 1, %s}}' "$work/m.gguf" "$2" "$4" "$3" >"$work/s.json"
    "$LAYERBENCH" run "$work/s.json" --out "$work/$1" --no-plots -q >"$work/out" 2>&1
}
"$LAYERBENCH" synth --shape tiny --quant Q8_0 --layers 2 --seed 1 -o "$work/m.gguf" 2>"$work/err" || { cat "$work/err"; exit 1; }
run good '{"prefetch": ["off", "sync"]}' '"fault": ""' 7 || { fail "run: exit code $?"; cat "$work/out"; }
good=$work/good/result.json
jq '.benchmarks[] |= (if .real_time then .real_time *= 2 else . end)' "$good" >"$work/slower.json"
compared '^prefetch=off_pvalue .*U Test, Repetitions: 7 vs 7' benchmarks "$good" "$good"
compared '^prefetch=off_median  *+1\.0000' benchmarks "$good" "$work/slower.json"
compared 'OVERALL_GEOMEAN  *-0\.5000' benchmarks "$work/slower.json" "$good"
compared 'prefetch=\[off vs\. sync\]' filters "$good" off sync

run r '{"fault": ["", "eio"]}' '"prefetch": "off", "fault_every": true, "fault_nth": 3' 2
compared '^fault=eio  *+0\.0000' benchmarks "$work/r/result.json" "$work/r/result.json"
compared '^fault=_mean  *+0\.0000' benchmarks "$work/r/result.json" "$work/r/result.json"

echo "$checks checks, $failures failed"
[ $failures = 0 ]
