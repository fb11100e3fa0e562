# merge: shards in any order give the same bytes, and the whole run in everything but times;
# idempotent; conflicts are refused, missing samples listed, other environments flagged.
. harness/tests/lib.sh
needs jq
same() { # DIR DIR: all files byte for byte
    checks=$((checks + 1))
    diff -rq "$1" "$2" >"$work/diff" || { fail "$1 and $2 differ"; cat "$work/diff"; }
}
merge() { # OUT RESULT...: succeeds; lacks=3: with that exit code
    local out=$1
    shift
    checks=$((checks + 1))
    "$LAYERBENCH" merge "$@" --out "$out" >"$work/out" 2>"$work/err"
    [ $? = "${lacks:-0}" ] || { fail "merge $*"; cat "$work/err"; }
}
refuse() { # TEXT RESULT...
    local text=$1 code
    shift
    checks=$((checks + 1))
    "$LAYERBENCH" merge "$@" --out "$work/refused" >"$work/out" 2>"$work/err"
    code=$?
    [ $code = 2 ] || fail "merge $*: exit code $code, expected 2"
    grep -q -- "$text" "$work/err" || { fail "merge $*: no '$text'"; cat "$work/err"; }
    [ "$(wc -l <"$work/err")" = 1 ] || fail "merge $*: more than a line"
    [ -e "$work/refused/result.json" ] && fail "merge $*: wrote a result"
}

synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 4 --seed 1
cat >"$work/s.json" <<END
{"name": "merge-test", "about": "A test of merging.", "model": {"path": "$work/m.gguf"},
 "fixed": {"storage": "memory", "device": {"bandwidth": "4GB/s"}, "threads": 1, "generate_tokens": 2},
 "matrix": {"prefetch": ["off", "sync"], "cache_layers": [2, 3], "prompt_tokens": [2, 3, 4, 5]},
 "repetitions": 2, "warmup": 1, "seed": 5}
END
measure() { "$LAYERBENCH" run "$work/s.json" --no-plots -q "$@" >"$work/out" 2>&1 || { fail "run $*"; cat "$work/out"; }; }
measure --out "$work/whole"
for i in 1 2 3; do measure --shard $i/3 --out "$work/$i"; done
# jq rounds integers above 2^53: rounded in all of them alike
for i in 1 2 3; do jq . "$work/$i/result.json" >"$work/rounded" && cp "$work/rounded" "$work/$i/result.json"; done

merge "$work/m123" "$work/1" "$work/2" "$work/3"
for order in 132 213 231 312 321; do # one input as a file, the others as directories
    merge "$work/m$order" "$work/${order:0:1}" "$work/${order:1:1}/result.json" "$work/${order:2:1}"
    same "$work/m123" "$work/m$order"
done
merge "$work/twice" "$work/2" "$work/1" "$work/3" "$work/1" "$work/2"
same "$work/m123" "$work/twice"
lacks=3 merge "$work/m12" "$work/2" "$work/1"
grep -q "^layerbench merge: incomplete: [1-9][0-9]* of [1-9][0-9]* samples are missing" "$work/err" || fail "merge does not say that samples are missing"
merge "$work/m12-3" "$work/3" "$work/m12"
same "$work/m123" "$work/m12-3"
merge "$work/again" "$work/m123"
same "$work/m123" "$work/again"
lacks=3 merge "$work/m23" "$work/2" "$work/3"
merge "$work/both" "$work/m23" "$work/m12"
same "$work/m123" "$work/both"

# all but times: names, order, sequence numbers, counts, hashes, what is derived from counts
is "$(untimed "$work/m123/result.json")" "$(untimed "$work/whole/result.json")" "merged and whole but for times"
is "$(jq .layerbench.complete "$work/m123/result.json")" true "complete"
is "$(untimed_log "$work/m123")" "$(untimed_log "$work/whole")" "layer log of merged and whole, in its order"
is "$(cut -d, -f1 "$work/m123/summary.csv" | sha256sum)" "$(cut -d, -f1 "$work/whole/summary.csv" | sha256sum)" "cells of the summary"
"$LAYERBENCH" validate "$work/m123/result.json" "$work/m123/layers.jsonl" >/dev/null 2>"$work/err" || { fail "not valid"; cat "$work/err"; }
"$LAYERBENCH" compare "$work/m123" "$work/whole" >/dev/null 2>"$work/err" || { fail "cannot be compared"; cat "$work/err"; }

# missing
is "$(jq .layerbench.complete "$work/m12/result.json")" false "complete with a shard missing"
grep -q "merge: missing: .*2 of 2 repetitions" <(jq -r '.layerbench.warnings[]' "$work/m12/result.json") || fail "missing cells are not listed"
changed() { # NAME RESULT FILTER
    mkdir -p "$work/$1"
    jq "$3" "$work/$2/result.json" >"$work/$1/result.json"
}
changed short 1 '.layerbench.cells[0].samples |= .[:1]'
lacks=3 merge "$work/lacks" "$work/short" "$work/2" "$work/3"
grep -q "missing: .*1 of 2 repetitions" "$work/out" "$work/err" || fail "a missing repetition is not listed"

# conflicts, and what is of another run
changed other 1 '.layerbench.cells[0].samples[1].ttft_ns += 1'
refuse 'already, with other figures' "$work/1" "$work/other"
changed failed 1 '.layerbench.cells[0] |= (.failures = [{rep: 1, seq: 1, start_ns: 1, failed: "killed"}] | .samples |= .[:1])'
refuse 'already, with other figures' "$work/1" "$work/failed"
changed floor 1 '.layerbench.cells[].samples[].floor_ns = 1'
merge "$work/floors" "$work/1" "$work/floor" "$work/2" "$work/3"
changed seed 1 '.layerbench.scenario.effective.seed = 6'
refuse 'another seed or number' "$work/2" "$work/seed"
changed scenario 1 '.layerbench.scenario.sha256 = "ab" * 32'
refuse 'another scenario' "$work/2" "$work/scenario"
changed model 1 '.layerbench.scenario.effective.model.layer_bytes += 1'
refuse 'another model' "$work/2" "$work/model"
changed cell 1 '.layerbench.cells[0].name = "prefetch=never"'
refuse 'does not belong to this run' "$work/2" "$work/cell"
refuse 'No such file' "$work/1" "$work/nowhere"
mkdir "$work/full" && touch "$work/full/file"
"$LAYERBENCH" merge "$work/1" --out "$work/full" 2>"$work/err" && fail "took a directory that is not empty"

# another environment is flagged, and known cell by cell
changed far 3 '.layerbench.environment.comparability_key.value = "another machine"'
cp "$work/3/layers.jsonl" "$work/far"
merge "$work/mixed" "$work/1" "$work/2" "$work/far"
merge "$work/mixed2" "$work/far" "$work/mixed"
same "$work/mixed" "$work/mixed2"
grep -q 'different environments' "$work/mixed/summary.md" "$work/err" || fail "other environments are not flagged"
is "$(jq '[.layerbench.cells[].machine] | unique | length' "$work/mixed/result.json")" 2 "machines of the cells"
"$LAYERBENCH" compare "$work/mixed" "$work/whole" >/dev/null 2>&1
is $? 4 "a mixed result is not comparable"

finish
