# test_gbench_tools: Google Benchmark's compare.py reads a result as its own: times, repetitions, its U
# test, and a cell that failed. BENCHMARK_COMPARE names another one than Debian's (libbenchmark-tools).
. harness/tests/lib.sh
compare=${BENCHMARK_COMPARE:-/usr/share/benchmark/compare.py}
[ -e "$compare" ] || skip "no $compare (package libbenchmark-tools)"
for python in python3 /usr/bin/python3; do
    "$python" -c 'import scipy' 2>/dev/null && break
done || skip "no python3 with scipy"
needs jq
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
synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 2 --seed 1
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

finish
