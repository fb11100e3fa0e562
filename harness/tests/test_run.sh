# test_run: a tiny run end to end: files, counts, identities, kill and resume, bad input.
. harness/tests/lib.sh
run=$LAYERBENCH
measure() { "$run" run "$@" --no-plots; }

synth "$work/m.gguf" --shape tiny --quant Q4_K_M --layers 4
scenario() { # NAME MATRIX MORE
    printf '{"name":"%s","about":"A test?","model":{"path":"%s"},"matrix":%s,"warmup":0%s}' \
        "$1" "$work/m.gguf" "$2" "$3" >"$work/$1.json"
}
fixed='"threads":1,"prompt_tokens":3,"generate_tokens":4,"storage":"memory","device":{"bandwidth":"4GB/s"}'

# ---- a whole run
scenario whole '{"prefetch":["off","sync","async"],"replacement":["lru","belady"],"cache_layers":[2]}' \
    ",\"fixed\":{$fixed},\"repetitions\":2,\"seed\":7"
measure "$work/whole.json" --out "$work/r" >"$work/out" 2>"$work/err" || fail "run: exit code $?: $(cat "$work/err")"
tail -n 1 "$work/out" | grep -q "$work/r" || fail "the last line does not say where the result is"
result=$work/r/result.json
holds "$result" '.layerbench.complete' "complete"
holds "$result" '[.layerbench.cells[].samples[]] | length == 14' "samples"
holds "$result" '[.layerbench.cells[] | select(.reference)] | length == 1' "one reference cell"
holds "$result" '[.layerbench.cells[] | .invalid, .failed] | all(. == null)' "invalid cells"
holds "$result" '[.layerbench.cells[].samples[] | .outcomes | add] | all(. == 4 * 5)' "outcomes = layers x passes"
holds "$result" '[.layerbench.cells[].samples[].tokens_hash] | unique | length == 1' "the same tokens"
holds "$result" '[.layerbench.cells[].samples[].logits_hash] | unique | length == 1' "the same logits"
holds "$result" '[.layerbench.cells[].samples[].seq] | sort == [range(14)]' "sequence numbers"
holds "$result" '[.layerbench.cells[].samples[] | .pass_ns | length == 4] | all' "passes"
holds "$result" '[.layerbench.cells[].samples[].floor_ns] | all(. > 0)' "floors"
# with off, N = 4, C = 2: belady keeps one layer until its next use, so that every third access
# from the fifth on is a hit, 6 of 20 (N (C - 1) / (N - 1) a pass in the long run); lru never hits
holds "$result" '[.layerbench.cells[] | select(.name | test("off/replacement=lru")) | .samples[] |
    .outcomes.miss == 20 and .bytes_read >= 5 * .layer_bytes and .bytes_read < 5.1 * .layer_bytes] | all' "lru misses all" \
    '.layerbench.cells[] | select(.name | test("off/replacement=lru")) | .samples[] | .outcomes'
holds "$result" '[.layerbench.cells[] | select(.name | test("off/replacement=belady")) | .samples[] |
    .outcomes.hit] | all(. == 6)' "belady hits" \
    '.layerbench.cells[] | select(.name | test("off/replacement=belady")) | .samples[] | .outcomes'
# off and sync do exactly what the planner says under the virtual clock
holds "$result" '[.layerbench.cells[] | select(.name | test("=(off|sync)/")) | .prediction.outcomes as $p |
    .samples[] | .decode.outcomes as $d | ["hit", "prefetched", "late", "miss"] |
    map($d[.] == 4 * $p[.]) | all] | length == 8 and all' "the planner's counts" '.layerbench.cells[].prediction.outcomes'
# Google Benchmark's part: 7 cells, 2 repetitions, mean, median, stddev and cv
holds "$result" '.benchmarks | length == 7 * (2 + 4)' "benchmarks"
holds "$result" '.context.num_cpus >= 1' "context"
lines=$(wc -l <"$work/r/layers.jsonl")
[ "$lines" = $((14 * 20)) ] || fail "layers.jsonl has $lines lines"
jq -e -s '[.[] | .bytes] | add' "$work/r/layers.jsonl" >/dev/null || fail "layers.jsonl is damaged"
# the waits of what was in the cache and of what was not, by the log's outcomes
jq -s '[.[] | select(.phase == "decode")] | group_by([.cell, .rep]) | map({(.[0] | "\(.cell) \(.rep)"):
    (group_by(.outcome == "late" or .outcome == "miss") | map({(.[0] | if .outcome == "late" or .outcome == "miss"
        then "uncached" else "cached" end): (map(.wait_ns) | add)}) | add)}) | add' "$work/r/layers.jsonl" >"$work/waits"
holds "$work/waits" '[.[].uncached // empty] | length > 6 and add > 0' "waits in the log"
jq --slurpfile waits "$work/waits" '[.layerbench.cells[] | .name as $cell | .samples[] | $waits[0]["\($cell) \(.rep)"] as $w |
    {$cell, rep, got: [.cached_wait_ns, .uncached_wait_ns], expected: [$w.cached // 0, $w.uncached // 0]}]' "$result" >"$work/sums"
holds "$work/sums" 'length == 14 and all(.got == .expected)' "waits of cached and uncached accesses" 'map(select(.got != .expected))'
[ "$(wc -l <"$work/r/summary.csv")" = 8 ] || fail "summary.csv has $(wc -l <"$work/r/summary.csv") lines"
grep -q 'synchronous loads' "$work/r/summary.md" || fail "summary.md has no old rows"
"$run" run "$work/whole.json" --out "$work/r" 2>"$work/err" && fail "a directory that is not empty was taken"
grep -q 'is not empty' "$work/err" || fail "said: $(cat "$work/err")"

# ---- the same seed, the same order; resumed after a kill: the same but for times
order() { jq -c '[.layerbench.cells[] | {name, s: [.samples[] | {rep, seq, outcomes: (if (.prefetch == "async") then 0
    else .outcomes end), tokens_hash}]}]' "$1"; }
for moment in 0.2 0.5 0.8; do
    rm -rf "$work/k"
    "$run" run "$work/whole.json" --out "$work/k" --no-plots -q >"$work/out" 2>&1 &
    pid=$!
    sleep $moment
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    for file in "$work"/k/result.json "$work"/k/layers.jsonl; do
        [ ! -e "$file" ] || jq -e . "$file" >/dev/null || fail "killed after $moment s: $file is damaged"
    done
    measure "$work/whole.json" --out "$work/k" --resume -q >"$work/out" 2>"$work/err" ||
        fail "resume after $moment s: exit code $?: $(cat "$work/err")"
    holds "$work/k/result.json" '.layerbench.complete' "resumed after $moment s"
    [ "$(order "$work/k/result.json")" = "$(order "$result")" ] || fail "resumed after $moment s: another result"
    [ "$(wc -l <"$work/k/layers.jsonl")" = $((14 * 20)) ] || fail "resumed after $moment s: lines"
done
measure "$work/whole.json" --out "$work/k" --resume --seed 8 -q 2>"$work/err" && fail "resumed with another seed"
# another seed is another prompt
for seed in 7 8; do
    measure "$work/whole.json" --out "$work/seed$seed" --seed $seed --repetitions 1 --filter off/replacement=lru -q >"$work/out" 2>"$work/err" ||
        fail "seed $seed: exit code $?: $(cat "$work/err")"
done
prompt_of() { jq -c '[.layerbench.cells[].samples[].tokens_hash] | unique' "$1"; }
is "$(prompt_of "$work/seed7/result.json")" "$(prompt_of "$result")" "tokens with the seed of the whole run"
check "tokens with another seed are others" [ "$(prompt_of "$work/seed8/result.json")" != "$(prompt_of "$result")" ]

# ---- waits and reads of single layers: as in the log
wait_of() { grep "^\"$1\",$2," "$work/r/layers.csv" | cut -d, -f3,5,10; }
from_log() { jq -rs --arg c "$1" '[.[] | select(.cell == $c and .phase == "decode") | .'"$2"'_ns | select(. > 0 or "'"$2"'" == "wait")] |
    "\(length),\(min),\(max)"' "$work/r/layers.jsonl"; }
for cell in prefetch=off/replacement=belady/cache_layers=2 prefetch=async/replacement=lru/cache_layers=2; do
    for what in wait read; do
        [ "$(wait_of $cell $what)" = "$(from_log $cell $what)" ] || fail "layers.csv: $what of $cell: $(wait_of $cell $what), the log: $(from_log $cell $what)"
    done
done
awk -F, 'NR > 1 && ($3 < 64 && $7 != "" || $3 >= 64 && $7 == "" || $3 < 662 && $8 != "")' "$work/r/layers.csv" >"$work/out"
[ -s "$work/out" ] && fail "layers.csv: a percentile from too few accesses: $(head -1 "$work/out")"

# ---- --budget: whole rounds, as many as fit
measure "$work/whole.json" --out "$work/b" --budget 1 --repetitions 500 -q >"$work/out" 2>"$work/err" || fail "budget: exit code $?: $(cat "$work/err")"
holds "$work/b/result.json" '[.layerbench.cells[].samples | length] | unique | length == 1 and .[0] >= 1 and .[0] < 500' "rounds within the budget"
holds "$work/b/result.json" '[.layerbench.warnings[] | select(test("^budget of 1 s: [0-9]+ of 500 repetitions measured$"))] | length == 1' "the budget is said"
cmp -s <(jq -c '[.layerbench.cells[].samples[] | [.seq, .rep]] | sort' "$work/b/result.json") \
    <("$run" run "$work/whole.json" --dry-run --repetitions 500 | head -n "$(jq '[.layerbench.cells[].samples[]] | length' "$work/b/result.json")" |
        awk '{ print "[" $1 "," $3 "]" }' | jq -cs 'sort') || fail "with a budget: another order than without"

# ---- --list, --dry-run, --filter, --shard, --model, clamping
[ "$("$run" run "$work/whole.json" --list | wc -l)" = 7 ] || fail "--list"
[ "$("$run" run "$work/whole.json" --dry-run | wc -l)" = 14 ] || fail "--dry-run"
cmp -s <("$run" run "$work/whole.json" --dry-run) <("$run" run "$work/whole.json" --dry-run) || fail "order varies"
[ "$("$run" run "$work/whole.json" --list --filter 'async/.*lru' | wc -l)" = 2 ] || fail "--filter"
all=$("$run" run "$work/whole.json" --list | grep -v reference | sort)
shards=$(for i in 1 2 3; do "$run" run "$work/whole.json" --list --shard $i/3; done | grep -v reference | sort)
[ "$all" = "$shards" ] || fail "the shards are not the whole"

# ---- shards, merged in any order: the same bytes, and the whole run but for times
for i in 1 2 3; do
    measure "$work/whole.json" --out "$work/s$i" --shard $i/3 -q >"$work/out" 2>"$work/err" ||
        fail "shard $i: exit code $?: $(cat "$work/err")"
done
"$run" merge "$work/s1" "$work/s2" "$work/s3" --out "$work/m1" >"$work/out" 2>"$work/err" || fail "merge: $(cat "$work/err")"
"$run" merge "$work/s3" "$work/s1" "$work/s2" "$work/s1" --out "$work/m2" >"$work/out" 2>"$work/err" || fail "merge: $(cat "$work/err")"
for file in result.json layers.jsonl summary.csv summary.md; do
    cmp "$work/m1/$file" "$work/m2/$file" || fail "merge: the order of the inputs shows in $file"
done
[ "$(order "$work/m1/result.json")" = "$(order "$result")" ] || fail "merged shards are not the whole"
holds "$work/m1/result.json" '.layerbench.complete' "merged"
[ "$(wc -l <"$work/m1/layers.jsonl")" = $((14 * 20)) ] || fail "merged: $(wc -l <"$work/m1/layers.jsonl") lines"
"$run" merge "$work/s1" --out "$work/m3" >"$work/out" 2>"$work/err"
grep -q 'note: merge: missing: ' "$work/err" || fail "merge does not say what is missing"
holds "$work/m3/result.json" '.layerbench.complete | not' "one shard of three"
"$run" merge "$work/r" "$work/k" --out "$work/m4" >"$work/out" 2>"$work/err" && fail "conflicting results were merged"
grep -q 'already, with other figures' "$work/err" || fail "merge said: $(cat "$work/err")"

scenario clamped '{"cache_layers":[3,8,16]}' ",\"fixed\":{$fixed},\"repetitions\":1"
measure "$work/clamped.json" --out "$work/c" --verbose >"$work/out" 2>"$work/err" || fail "clamped: exit code $?"
[ "$(grep -cE '^\[[1-3]/3\] .*, rep 1: a pass .*, waiting .* read, .* late, .* missed$' "$work/err")" = 3 ] ||
    fail "--verbose: not a line for each sample: $(cat "$work/err")"
grep -q "clamped to the model's 4 layers" "$work/err" || fail "clamping is not said: $(cat "$work/err")"
holds "$work/c/result.json" '[.layerbench.cells[] | select(.reference | not) | .name] == ["cache_layers=3", "cache_layers=4"]' "clamped cells"

# ---- the table: bars for the share of the floor; progress and colour on a terminal only; --quiet
escape=$(printf '\033')
grep -qE '(█|·)+ +[01]\.[0-9]+ ' "$work/out" || fail "no bar in the table: $(cat "$work/out")"
grep -q "$escape" "$work/out" "$work/err" && fail "colour or progress without a terminal"
terminal() { # ENVIRONMENT ARGUMENTS...
    rm -rf "$work/t"
    script -qec "env $1 '$run' run '$work/clamped.json' --out '$work/t' --no-plots $2" /dev/null >"$work/out" 2>&1
}
if command -v script >/dev/null; then
    terminal NO_COLOR= ''
    grep -q "$escape\[3[1-3]m" "$work/out" || fail "no colour on a terminal"
    grep -q "clamped \[[#.]*\] " "$work/out" || fail "no progress on a terminal"
    terminal NO_COLOR=1 ''
    grep -q "$escape\[3[1-3]m" "$work/out" && fail "colour in spite of NO_COLOR"
    terminal NO_COLOR= --quiet
    grep -q "$escape" "$work/out" && fail "--quiet: colour or progress"
    [ "$(wc -l <"$work/out")" = 1 ] || fail "--quiet: more than the result's path: $(cat "$work/out")"
fi

# ---- units smaller than a layer: each is logged, and the trace of such a run is well-formed
scenario units '{"prefetch":["sync","async"]}' \
    ",\"fixed\":{$fixed,\"cache_layers\":2,\"unit\":\"256KiB\"},\"repetitions\":1"
measure "$work/units.json" --out "$work/u" -q >"$work/out" 2>"$work/err" || fail "units: exit code $?: $(cat "$work/err")"
"$run" validate "$work/u/result.json" "$work/u/layers.jsonl" >/dev/null 2>"$work/err" || fail "units: not valid: $(cat "$work/err")"
jq -e -s 'map(select(.cell != "reference")) | length == 40 and
    all((.units | map(.[3]) | add) == .wait_ns and (.units | map(.[8]) | add) == .bytes)' \
    "$work/u/layers.jsonl" >/dev/null || fail "units: they do not make up their layers"
for mode in sync async; do
    "$BUILD/harness/tests/test_trace" "$work/u" "prefetch=$mode" 2>"$work/err" || fail "trace of $mode: $(head -n 5 "$work/err")"
done

# ---- failures are recorded, and the run goes on
scenario faulty '{"fault":["","eio"]}' \
    ',"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":2,"cache_layers":2,"prefetch":"off","fault_every":true,"fault_nth":3},"repetitions":1'
measure "$work/faulty.json" --out "$work/f" >"$work/out" 2>"$work/err"
[ $? = 5 ] || fail "a failed cell: expected exit code 5"
holds "$work/f/result.json" '.layerbench.complete and ([.layerbench.cells[] | select(.failed)] | length == 1) and
    ([.benchmarks[] | select(.error_occurred)] | length == 1)' "the failed cell"
holds "$work/f/result.json" '[.layerbench.cells[] | select(.name == "fault=") | .samples[]] | length == 1' "the other cell"

# ---- every scenario and result that is here, or in the repository, is valid
find "$work" \( -name '*.json' -o -name layers.jsonl \) -print0 | xargs -0 "$run" validate >"$work/out" 2>"$work/err" ||
    fail "not valid: $(head -n 3 "$work/err")"
[ "$(wc -l <"$work/out")" -ge 20 ] || fail "only $(wc -l <"$work/out") files were validated"
"$run" validate scenarios/*.json results/baselines/*/result.json >"$work/out" 2>"$work/err" ||
    fail "committed, but not valid: $(head -n 3 "$work/err")"

# ---- bad input
bad() { # CODE 'GLOB' ARGUMENTS...
    local code=$1 glob=$2
    shift 2
    "$run" run "$@" >"$work/out" 2>"$work/err"
    local got=$?
    # shellcheck disable=SC2053
    [ $got = "$code" ] && [[ $(cat "$work/err") == $glob ]] || fail "run $*: exit code $got, $(cat "$work/err")"
}
bad 2 'layerbench run: expected at least one scenario file, or --model with --vary *'
bad 2 "layerbench run: $work/none.json: cannot open: No such file or directory" "$work/none.json"
bad 2 "layerbench run: *nothing.gguf*" "$work/whole.json" --model "$work/nothing.gguf"
bad 2 "layerbench run: --filter: 'zzz': expected it to match at least one cell" "$work/whole.json" --filter zzz
bad 2 "layerbench run: --filter: '(': *" "$work/whole.json" --filter '('
bad 2 "layerbench run: --quiet and --verbose: *" "$work/whole.json" -q -v
bad 2 "layerbench run: --shard: '4/3': expected I/N*" "$work/whole.json" --shard 4/3
finish
