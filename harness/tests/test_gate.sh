# gate: exact counts of this binary, verdicts on arms of known speed, and everything that must never
# pass. The arms are made-up programs that answer as `layerbench sample --json` does, with chosen
# figures: no verdict here depends on how fast this machine is.
. harness/tests/lib.sh
needs jq
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY

expect() { answers "$1" "$2" "$LAYERBENCH" gate "${@:3}"; } # CODE TEXT ARGUMENT...

synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 3 --seed 1
cat >"$work/s.json" <<END
{"name": "gate-test", "about": "A test of the gate.", "model": {"path": "$work/m.gguf"},
 "fixed": {"storage": "memory", "cache_layers": 2, "threads": 1, "prompt_tokens": 2, "generate_tokens": 2},
 "matrix": {"prefetch": ["resident", "off", "sync"]}, "repetitions": 1, "warmup": 0}
END

# ---- exact counts ----
b=$work/baseline.json
expect 5 'no baseline' "$work/s.json" --baseline "$b"
expect 0 'exact counts: 42 of 42' "$work/s.json" --baseline "$b" --update-baseline
for prefetch in off sync; do
    is "$(jq '.cells["prefetch='$prefetch'"] | .hit + .prefetched + .late + .miss == .accesses' "$b")" true "outcomes of $prefetch"
done
is "$(jq '[.cells[].allocations] | add' "$b")" 0 "allocations in steady state"
expect 0 'no regression (exit code 0' "$work/s.json" --baseline "$b" --junit "$work/j.xml" --markdown "$work/m.md" --json "$work/r.json"
tampered() { jq "$1" "$b" >"$work/t.json"; }
tampered '.cells["prefetch=off"].bytes_read -= 4096'
expect 1 'bytes_read is' "$work/s.json" --baseline "$work/t.json" --junit "$work/j1.xml" --github
grep -q '^::error title=exact count changed::prefetch=off: bytes_read is' "$work/out" || fail "no annotation for a changed count"
tampered '.cells["prefetch=sync"].miss += 1'
expect 1 'prefetch=sync: miss is' "$work/s.json" --baseline "$work/t.json"
tampered '.cells["prefetch=sync"].allocations = 1'
expect 1 'allocations is 0, expected 1' "$work/s.json" --baseline "$work/t.json"
tampered '.cells["prefetch=sync"].tokens_hash = "0123456789abcdef"'
expect 5 'tokens_hash is' "$work/s.json" --baseline "$work/t.json"
tampered 'del(.cells["prefetch=sync"])'
expect 5 'prefetch=sync: cell is' "$work/s.json" --baseline "$work/t.json"
tampered 'del(.cells["prefetch=sync"].reads)'
expect 5 'reads is' "$work/s.json" --baseline "$work/t.json"
tampered '.cells.more = {"hit": 1}'
expect 5 'more: cell is -' "$work/s.json" --baseline "$work/t.json"
tampered '.scenario_sha256 = "ab" * 32'
expect 5 'another scenario' "$work/s.json" --baseline "$work/t.json"
tampered '.schema_version = 2'
expect 2 'baseline of version' "$work/s.json" --baseline "$work/t.json"
echo '{"cells":' >"$work/t.json"
expect 2 't.json: damaged: line' "$work/s.json" --baseline "$work/t.json"
# the baseline that is committed fits this program
expect 0 'no regression' --baseline results/baselines/gate.json

# ---- what the gate refuses to measure ----
jq '.fixed.slow = "compute" | .fixed.slow_percent = 5' "$work/s.json" >"$work/slow.json"
expect 2 'slowed on purpose' "$work/slow.json" --baseline "$b"
jq '.fixed.page_cache = "cold" | .fixed.storage = "pread"' "$work/s.json" >"$work/cold.json"
expect 2 'without page_cache' "$work/cold.json" --baseline "$b"
expect 2 'expected a layerbench program' "$work/s.json" --times-only --base "$work/nothing"
expect 2 'expected --base' "$work/s.json" --times-only
expect 2 'expected some of' "$work/s.json" --times-only --base /bin/true --metrics pass,speed
jq '.matrix.cache_layers = [1, 2, 3] | .matrix.queue_depth = [1, 2, 4, 8] | del(.fixed.cache_layers)' "$work/s.json" >"$work/many.json"
expect 2 'at most 24 metrics' "$work/many.json" --times-only --base /bin/true --metrics pass,prefill

# ---- verdicts on arms of known speed ----
# arm NAME SCALE [NOISE [HASH]]: pass time 10 ms x SCALE/1000, noise of +-NOISE/2 thousandths. The
# noise of a call is a hash of its number.
arm() {
    cat >"$work/$1" <<END
#!/bin/bash
n=0; [ -e "$work/$1.n" ] && read -r n <"$work/$1.n"; echo \$((n + 1)) >"$work/$1.n"
h=\$(((n + 1) * 2654435761 + ${#1} * 40503)); h=\$(((h ^ (h >> 13)) * 1103515245 & 0x7fffffff))
scale=$2
pass=\$((10000 * scale * (1000000 + (h % 1000 - 500) * ${3:-10}) / 1000000))
hash=${4:-aaaa}
${5:-:}
echo "{\"tokens_hash\": \"\$hash\", \"ttft_ns\": 1, \"prefill_ns\": \$((2 * pass)), \"pass_ns\": [\$pass, \$pass]}"
END
    chmod +x "$work/$1"
    rm -f "$work/$1.n"
}
times() { # CODE TEXT HEAD [ARGUMENT...]
    local code=$1 text=$2 head=$3
    shift 3
    rm -f "$work"/*.n
    expect "$code" "$text" "$work/two.json" --times-only --base "$work/base" --head "$work/$head" --metrics pass,prefill "$@"
}
jq '.matrix.prefetch = ["off", "sync"]' "$work/s.json" >"$work/two.json"
arm base 1000
arm same 1000
arm slower 1050
arm slightly 1010
arm faster 950
arm noisy 1000 400
arm other-work 1000 10 bbbb
arm varies 1000 10 aaaa 'hash=$n'
arm crashes 1000 10 aaaa 'kill -SEGV $$'
arm fails 1000 10 aaaa 'echo "model: not here" >&2; exit 2'
arm empty 1000 10 aaaa 'exit 0'
arm nan 1000 10 aaaa 'echo "{\"tokens_hash\":\"aaaa\",\"prefill_ns\":1,\"pass_ns\":[NaN]}"; exit 0'
arm units 1000 10 aaaa 'echo "{\"tokens_hash\":\"aaaa\",\"prefill_us\":1,\"pass_us\":[10]}"; exit 0'
arm missing 1000 10 aaaa 'case "$*" in *prefetch=sync*) echo "prefetch: sync: not in this build" >&2; exit 2 ;; esac'
arm hangs 1000 10 aaaa 'sleep 60'
arm spell 1000 10 aaaa '[ $n -lt 42 ] && pass=$((pass * (70 + h % 61) / 100))'
arm once 1000 10 aaaa '[ $n -lt 42 ] && pass=$((pass * 105 / 100))'

times 0 'no regression (exit code 0' same --json "$work/same.json"
is "$(jq '[.times[].verdict] | unique == ["same"]' "$work/same.json")" true "verdicts of equal arms"
is "$(jq '[.times[].n] | min' "$work/same.json")" 20 "samples an arm at low noise"
is "$(jq '[.times[] | .least_effect > 0.02 and .least_effect < 0.03] | all' "$work/same.json")" true "least effect"
is "$(jq '[.samples[].seq] == [range(80)]' "$work/same.json")" true "sequence numbers"
is "$(jq '[.samples | group_by(.block)[] | map(.arm)] | unique | sort == [["base","head","head","base"],["head","base","base","head"]]' "$work/same.json")" true "blocks are ABBA or BAAB"
is "$(jq '[.samples[].start_ns] | . == sort' "$work/same.json")" true "start times"
cp "$work/same.json" "$work/first.json"
times 0 'no regression' same --json "$work/same.json"
is "$(jq -c '[.samples[] | [.cell, .arm, .block]]' "$work/same.json")" "$(jq -c '[.samples[] | [.cell, .arm, .block]]' "$work/first.json")" "the order follows the seed"
times 0 'no regression' same --json "$work/same.json" --seed 2
[ "$(jq -c '[.samples[].arm]' "$work/same.json")" != "$(jq -c '[.samples[].arm]' "$work/first.json")" ] || fail "another seed gives another order"

times 1 'regression: worse by' slower --json "$work/r.json" --junit "$work/j2.xml" --markdown "$work/m.md" --github
is "$(jq '[.times[] | .measured_again] | all' "$work/r.json")" true "a flagged metric is measured again"
is "$(jq '[.times[] | .ratio > 1.04 and .ratio < 1.06 and .low > 1] | all' "$work/r.json")" true "ratio is head / base"
is "$(jq '[.samples[] | select(.confirming)] | length == 80' "$work/r.json")" true "fresh samples"
grep -q '^::error title=regression::prefetch=off pass: worse by' "$work/out" || fail "no annotation for a regression"
grep -q '| prefetch=off | pass |.*\*\*regression\*\*' "$work/m.md" || fail "no row in the Markdown"
times 0 'improvement' faster
times 0 'no regression' slightly
times 0 'not confirmed' once --metrics pass
times 0 '  80 samples were set aside' spell --json "$work/r.json" --pause-s 0
is "$(jq '[.times[].verdict] | unique == ["same"]' "$work/r.json")" true "verdicts after a noisy spell"
is "$(jq '[.samples[] | select(.set_aside) | .seq] == [range(80)]' "$work/r.json")" true "what was too noisy is kept"
times 3 'inconclusive' noisy --junit "$work/j3.xml" --github --pause-s 0
grep -q '^::warning title=inconclusive' "$work/out" || fail "no annotation for noise"
is "$(grep -c '<error type="inconclusive"' "$work/j3.xml")" 4 "an inconclusive metric is an error in JUnit"
times 5 'different work' other-work
times 5 'tokens differ' varies
times 5 'head: killed by signal 11' crashes
times 5 'model: not here' fails
times 5 'no result: expected JSON' empty --junit "$work/j4.xml"
times 5 'no result: expected JSON' nan
times 5 'has no pass' units
times 5 'not in this build' missing
times 5 'not done after 1 s' hangs --timeout 1

# a model of each of several tensor types, resident: the state of the memory beside each verdict
cat >"$work/types.json" <<END
{"name": "gate-types", "about": "A test of the gate.",
 "model": {"synth": {"shape": "tiny", "quant": ["Q8_0", "Q4_0"], "layers": 1}},
 "fixed": {"storage": "memory", "threads": 1, "generate_tokens": 2}, "matrix": {"prefetch": ["resident"]}}
END
rm -f "$work"/*.n
expect 1 'regression: worse by .*; memory read at [0-9.]* GB/s in order, [0-9.]* in streams' "$work/types.json" --times-only \
    --base "$work/base" --head "$work/slower" --json "$work/r.json"
is "$(jq -c '[.times[].cell]' "$work/r.json")" '["quant=Q8_0 prefetch=resident","quant=Q4_0 prefetch=resident"]' "a cell of each type"
is "$(jq '[.memory[] | .in_order + .in_streams | length == 4 and min > 0] | all' "$work/r.json")" true "reads before and after"
is "$(jq '[.memory[].block] == ([.samples[].block] | unique)' "$work/r.json")" true "around every block"
is "$(jq '.memory | length' "$work/same.json")" 0 "cells that stream do not ask for the memory"
answers 2 'expected one (only `gate` takes several)' "$LAYERBENCH" run "$work/types.json" --out "$work/types"
answers 2 'expected one (only `gate` takes several)' "$LAYERBENCH" simulate "$work/types.json"

# the reports a CI reads
export GITHUB_STEP_SUMMARY=$work/summary.md GITHUB_ACTIONS=true
times 1 '::error title=regression' slower
grep -q '### layerbench gate: regression' "$work/summary.md" || fail "nothing in the step summary"
if command -v xmllint >/dev/null; then
    for x in "$work"/j*.xml; do
        xmllint --noout "$x" 2>"$work/err" || { fail "$x is no XML"; head -3 "$work/err"; }
        checks=$((checks + 1))
    done
else
    part_skipped "no xmllint: the XML of JUnit is not checked"
fi
is "$(grep -o 'failures="[0-9]*" errors="[0-9]*"' "$work/j2.xml")" 'failures="4" errors="0"' "JUnit counts a regression"

finish
