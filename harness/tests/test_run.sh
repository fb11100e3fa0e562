# test_run: a tiny run end to end: files, counts, identities, kill and resume, bad input.
set -u
failures=0
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
run=$LAYERBENCH
measure() { "$run" run "$@" --no-plots; }
say() { echo "$*"; failures=$((failures + 1)); }
# holds FILE 'JQ EXPRESSION' 'WHAT'
holds() { jq -e "$2" "$1" >/dev/null || say "$3: $(jq -c "[${4:-$2}]" "$1" 2>&1 | head -c 300)"; }

"$run" synth --shape tiny --quant Q4_K_M --layers 4 -o "$dir/m.gguf" || say "no model"
scenario() { # NAME MATRIX MORE
    printf '{"name":"%s","about":"A test?","model":{"path":"%s"},"matrix":%s,"warmup":0%s}' \
        "$1" "$dir/m.gguf" "$2" "$3" >"$dir/$1.json"
}
fixed='"threads":1,"prompt_tokens":3,"generate_tokens":4,"storage":"memory","device":{"bandwidth":"4GB/s"}'

# ---- a whole run
scenario whole '{"prefetch":["off","sync","async"],"replacement":["lru","belady"],"cache_layers":[2]}' \
    ",\"fixed\":{$fixed},\"repetitions\":2,\"seed\":7"
measure "$dir/whole.json" --out "$dir/r" >"$dir/out" 2>"$dir/err" || say "run: exit code $?: $(cat "$dir/err")"
tail -n 1 "$dir/out" | grep -q "$dir/r" || say "the last line does not say where the result is"
result=$dir/r/result.json
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
lines=$(wc -l <"$dir/r/layers.jsonl")
[ "$lines" = $((14 * 20)) ] || say "layers.jsonl has $lines lines"
jq -e -s '[.[] | .bytes] | add' "$dir/r/layers.jsonl" >/dev/null || say "layers.jsonl is damaged"
[ "$(wc -l <"$dir/r/summary.csv")" = 8 ] || say "summary.csv has $(wc -l <"$dir/r/summary.csv") lines"
grep -q 'synchronous loads' "$dir/r/summary.md" || say "summary.md has no old rows"
"$run" run "$dir/whole.json" --out "$dir/r" 2>"$dir/err" && say "a directory that is not empty was taken"
grep -q 'is not empty' "$dir/err" || say "said: $(cat "$dir/err")"

# ---- the same seed, the same order; resumed after a kill: the same but for times
order() { jq -c '[.layerbench.cells[] | {name, s: [.samples[] | {rep, seq, outcomes: (if (.prefetch == "async") then 0
    else .outcomes end), tokens_hash}]}]' "$1"; }
for moment in 0.2 0.5 0.8; do
    rm -rf "$dir/k"
    "$run" run "$dir/whole.json" --out "$dir/k" --no-plots -q >"$dir/out" 2>&1 &
    pid=$!
    sleep $moment
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    for file in "$dir"/k/result.json "$dir"/k/layers.jsonl; do
        [ ! -e "$file" ] || jq -e . "$file" >/dev/null || say "killed after $moment s: $file is damaged"
    done
    measure "$dir/whole.json" --out "$dir/k" --resume -q >"$dir/out" 2>"$dir/err" ||
        say "resume after $moment s: exit code $?: $(cat "$dir/err")"
    holds "$dir/k/result.json" '.layerbench.complete' "resumed after $moment s"
    [ "$(order "$dir/k/result.json")" = "$(order "$result")" ] || say "resumed after $moment s: another result"
    [ "$(wc -l <"$dir/k/layers.jsonl")" = $((14 * 20)) ] || say "resumed after $moment s: lines"
done
measure "$dir/whole.json" --out "$dir/k" --resume --seed 8 -q 2>"$dir/err" && say "resumed with another seed"

# ---- waits and reads of single layers: as in the log
wait_of() { grep "^\"$1\",$2," "$dir/r/layers.csv" | cut -d, -f3,5,10; }
from_log() { jq -rs --arg c "$1" '[.[] | select(.cell == $c and .phase == "decode") | .'"$2"'_ns | select(. > 0 or "'"$2"'" == "wait")] |
    "\(length),\(min),\(max)"' "$dir/r/layers.jsonl"; }
for cell in prefetch=off/replacement=belady/cache_layers=2 prefetch=async/replacement=lru/cache_layers=2; do
    for what in wait read; do
        [ "$(wait_of $cell $what)" = "$(from_log $cell $what)" ] || say "layers.csv: $what of $cell: $(wait_of $cell $what), the log: $(from_log $cell $what)"
    done
done
awk -F, 'NR > 1 && ($3 < 64 && $7 != "" || $3 >= 64 && $7 == "" || $3 < 662 && $8 != "")' "$dir/r/layers.csv" >"$dir/out"
[ -s "$dir/out" ] && say "layers.csv: a percentile from too few accesses: $(head -1 "$dir/out")"

# ---- --budget: whole rounds, as many as fit
measure "$dir/whole.json" --out "$dir/b" --budget 1 --repetitions 500 -q >"$dir/out" 2>"$dir/err" || say "budget: exit code $?: $(cat "$dir/err")"
holds "$dir/b/result.json" '[.layerbench.cells[].samples | length] | unique | length == 1 and .[0] >= 1 and .[0] < 500' "rounds within the budget"
holds "$dir/b/result.json" '[.layerbench.warnings[] | select(test("^budget of 1 s: [0-9]+ of 500 repetitions measured$"))] | length == 1' "the budget is said"
cmp -s <(jq -c '[.layerbench.cells[].samples[] | [.seq, .rep]] | sort' "$dir/b/result.json") \
    <("$run" run "$dir/whole.json" --dry-run --repetitions 500 | head -n "$(jq '[.layerbench.cells[].samples[]] | length' "$dir/b/result.json")" |
        awk '{ print "[" $1 "," $3 "]" }' | jq -cs 'sort') || say "with a budget: another order than without"

# ---- --list, --dry-run, --filter, --shard, --model, clamping
[ "$("$run" run "$dir/whole.json" --list | wc -l)" = 7 ] || say "--list"
[ "$("$run" run "$dir/whole.json" --dry-run | wc -l)" = 14 ] || say "--dry-run"
cmp -s <("$run" run "$dir/whole.json" --dry-run) <("$run" run "$dir/whole.json" --dry-run) || say "order varies"
[ "$("$run" run "$dir/whole.json" --list --filter 'async/.*lru' | wc -l)" = 2 ] || say "--filter"
all=$("$run" run "$dir/whole.json" --list | grep -v reference | sort)
shards=$(for i in 1 2 3; do "$run" run "$dir/whole.json" --list --shard $i/3; done | grep -v reference | sort)
[ "$all" = "$shards" ] || say "the shards are not the whole"

# ---- shards, merged in any order: the same bytes, and the whole run but for times
for i in 1 2 3; do
    measure "$dir/whole.json" --out "$dir/s$i" --shard $i/3 -q >"$dir/out" 2>"$dir/err" ||
        say "shard $i: exit code $?: $(cat "$dir/err")"
done
"$run" merge "$dir/s1" "$dir/s2" "$dir/s3" --out "$dir/m1" >"$dir/out" 2>"$dir/err" || say "merge: $(cat "$dir/err")"
"$run" merge "$dir/s3" "$dir/s1" "$dir/s2" "$dir/s1" --out "$dir/m2" >"$dir/out" 2>"$dir/err" || say "merge: $(cat "$dir/err")"
for file in result.json layers.jsonl summary.csv summary.md; do
    cmp "$dir/m1/$file" "$dir/m2/$file" || say "merge: the order of the inputs shows in $file"
done
[ "$(order "$dir/m1/result.json")" = "$(order "$result")" ] || say "merged shards are not the whole"
holds "$dir/m1/result.json" '.layerbench.complete' "merged"
[ "$(wc -l <"$dir/m1/layers.jsonl")" = $((14 * 20)) ] || say "merged: $(wc -l <"$dir/m1/layers.jsonl") lines"
"$run" merge "$dir/s1" --out "$dir/m3" >"$dir/out" 2>"$dir/err"
grep -q 'note: merge: missing: ' "$dir/err" || say "merge does not say what is missing"
holds "$dir/m3/result.json" '.layerbench.complete | not' "one shard of three"
"$run" merge "$dir/r" "$dir/k" --out "$dir/m4" >"$dir/out" 2>"$dir/err" && say "conflicting results were merged"
grep -q 'already, with other figures' "$dir/err" || say "merge said: $(cat "$dir/err")"

scenario clamped '{"cache_layers":[3,8,16]}' ",\"fixed\":{$fixed},\"repetitions\":1"
measure "$dir/clamped.json" --out "$dir/c" --verbose >"$dir/out" 2>"$dir/err" || say "clamped: exit code $?"
[ "$(grep -cE '^\[[1-3]/3\] .*, rep 1: a pass .*, waiting .* read, .* late, .* missed$' "$dir/err")" = 3 ] ||
    say "--verbose: not a line for each sample: $(cat "$dir/err")"
grep -q "clamped to the model's 4 layers" "$dir/err" || say "clamping is not said: $(cat "$dir/err")"
holds "$dir/c/result.json" '[.layerbench.cells[] | select(.reference | not) | .name] == ["cache_layers=3", "cache_layers=4"]' "clamped cells"

# ---- the table: bars for the share of the floor; progress and colour on a terminal only; --quiet
escape=$(printf '\033')
grep -qE '(█|·)+ +[01]\.[0-9]+ ' "$dir/out" || say "no bar in the table: $(cat "$dir/out")"
grep -q "$escape" "$dir/out" "$dir/err" && say "colour or progress without a terminal"
terminal() { # ENVIRONMENT ARGUMENTS...
    rm -rf "$dir/t"
    script -qec "env $1 '$run' run '$dir/clamped.json' --out '$dir/t' --no-plots $2" /dev/null >"$dir/out" 2>&1
}
if command -v script >/dev/null; then
    terminal NO_COLOR= ''
    grep -q "$escape\[3[1-3]m" "$dir/out" || say "no colour on a terminal"
    grep -q "clamped \[[#.]*\] " "$dir/out" || say "no progress on a terminal"
    terminal NO_COLOR=1 ''
    grep -q "$escape\[3[1-3]m" "$dir/out" && say "colour in spite of NO_COLOR"
    terminal NO_COLOR= --quiet
    grep -q "$escape" "$dir/out" && say "--quiet: colour or progress"
    [ "$(wc -l <"$dir/out")" = 1 ] || say "--quiet: more than the result's path: $(cat "$dir/out")"
fi

# ---- units smaller than a layer: each is logged, and the trace of such a run is well-formed
scenario units '{"prefetch":["sync","async"]}' \
    ",\"fixed\":{$fixed,\"cache_layers\":2,\"unit\":\"256KiB\"},\"repetitions\":1"
measure "$dir/units.json" --out "$dir/u" -q >"$dir/out" 2>"$dir/err" || say "units: exit code $?: $(cat "$dir/err")"
"$run" validate "$dir/u/result.json" "$dir/u/layers.jsonl" >/dev/null 2>"$dir/err" || say "units: not valid: $(cat "$dir/err")"
jq -e -s 'map(select(.cell != "reference")) | length == 40 and
    all((.units | map(.[3]) | add) == .wait_ns and (.units | map(.[8]) | add) == .bytes)' \
    "$dir/u/layers.jsonl" >/dev/null || say "units: they do not make up their layers"
for mode in sync async; do
    "$BUILD/harness/tests/test_trace" "$dir/u" "prefetch=$mode" 2>"$dir/err" || say "trace of $mode: $(head -n 5 "$dir/err")"
done

# ---- failures are recorded, and the run goes on
scenario faulty '{"fault":["","eio"]}' \
    ',"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":2,"cache_layers":2,"prefetch":"off","fault_every":true,"fault_nth":3},"repetitions":1'
measure "$dir/faulty.json" --out "$dir/f" >"$dir/out" 2>"$dir/err"
[ $? = 5 ] || say "a failed cell: expected exit code 5"
holds "$dir/f/result.json" '.layerbench.complete and ([.layerbench.cells[] | select(.failed)] | length == 1) and
    ([.benchmarks[] | select(.error_occurred)] | length == 1)' "the failed cell"
holds "$dir/f/result.json" '[.layerbench.cells[] | select(.name == "fault=") | .samples[]] | length == 1' "the other cell"

# ---- every scenario and result that is here, or in the repository, is valid
find "$dir" \( -name '*.json' -o -name layers.jsonl \) -print0 | xargs -0 "$run" validate >"$dir/out" 2>"$dir/err" ||
    say "not valid: $(head -n 3 "$dir/err")"
[ "$(wc -l <"$dir/out")" -ge 20 ] || say "only $(wc -l <"$dir/out") files were validated"
"$run" validate scenarios/*.json results/baselines/*/result.json >"$dir/out" 2>"$dir/err" ||
    say "committed, but not valid: $(head -n 3 "$dir/err")"

# ---- bad input
bad() { # CODE 'GLOB' ARGUMENTS...
    local code=$1 glob=$2
    shift 2
    "$run" run "$@" >"$dir/out" 2>"$dir/err"
    local got=$?
    # shellcheck disable=SC2053
    [ $got = "$code" ] && [[ $(cat "$dir/err") == $glob ]] || say "run $*: exit code $got, $(cat "$dir/err")"
}
bad 2 'layerbench run: expected at least one scenario file'
bad 2 "layerbench run: $dir/none.json: No such file or directory" "$dir/none.json"
bad 2 "layerbench run: *nothing.gguf*" "$dir/whole.json" --model "$dir/nothing.gguf"
bad 2 "layerbench run: --filter: 'zzz': expected it to match at least one cell" "$dir/whole.json" --filter zzz
bad 2 "layerbench run: --filter: '(': *" "$dir/whole.json" --filter '('
bad 2 "layerbench run: --quiet and --verbose: *" "$dir/whole.json" -q -v
bad 2 "layerbench run: --shard: '4/3': expected I/N*" "$dir/whole.json" --shard 4/3
[ $failures = 0 ]
