# test_speculate: several tokens a pass from outside. Runs with every drafter give the tokens of runs without,
# and account for drafts; wrong drafts kept on purpose make a run invalid; the gate takes no replay; generate
# writes the same text and says what drafts brought.
set -u
command -v jq >/dev/null || { echo "skipped: needs jq to look into JSON"; exit 77; }
dir=$(mktemp -d -p "${TEST_DISK:-.}" speculate.XXXXXX) && trap 'rm -rf "$dir"' EXIT
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

for layers in 4 2; do
    "$LAYERBENCH" synth --shape tiny --quant Q8_0 --seed 1 --layers $layers -o "$dir/m$layers.gguf" 2>"$dir/err" ||
        { cat "$dir/err"; exit 1; }
done
scenario() { # MATRIX FIXED
    printf '{"name":"speculate","about":"?","model":{"path":"%s"},"repetitions":1,"warmup":0,"matrix":{%s},
        "fixed":{"threads":1,"prompt_tokens":6,"generate_tokens":20,"storage":"memory","prefetch":"sync",
        "cache_layers":2,"draft_model":"%s"%s}}' "$dir/m4.gguf" "$1" "$dir/m2.gguf" "${2:+,$2}" >"$dir/s.json"
}
study() {
    scenario "$@"
    rm -rf "$dir/r"
    "$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" >"$dir/out" 2>&1
}
cells() { jq -r "[.layerbench.cells[] | select(.reference | not) | $1] | join(\" \")" "$dir/r/result.json"; }

for batch in 1 3; do
    study '"speculate":["off","ngram","draft","replay"],"draft_budget":["fixed","adaptive"]' \
        "\"batch\":$batch,\"acceptance\":0.8"
    code=$?
    [ $code = 0 ] || fail "batch $batch: exit code $code: $(cat "$dir/out")"
    [ "$(cells '.samples[0].tokens_hash' | tr ' ' '\n' | sort -u | wc -l)" = 1 ] ||
        fail "batch $batch: tokens differ: $(cells '.samples[0].tokens_hash')"
    [ "$(cells '.samples[0].logits_hash' | tr ' ' '\n' | sort -u | wc -l)" = 1 ] || fail "batch $batch: logits differ"
    for cell in $(cells '.samples[0] | .tokens'); do
        [ "$cell" = $((20 * batch)) ] || fail "batch $batch: $cell tokens, expected $((20 * batch))"
    done
    # passes are fewer where drafts are kept, and never more
    cells '.samples[0] | select((.pass_ns | length) > 20 or ((.drafts_kept == 0) != ((.pass_ns | length) == 20)))
        | "\(.drafts_kept) kept in \(.pass_ns | length) passes"' >"$dir/odd"
    [ "$batch" = 3 ] || [ -z "$(tr -d '\n' <"$dir/odd")" ] || fail "$(cat "$dir/odd")"
    # places of drafts add up to what was kept
    [ -z "$(cells '.samples[0] | select(.drafted > 0 and (.draft_right | add) != .drafts_kept) | .drafted')" ] ||
        fail "batch $batch: places of drafts do not add up"
    [ "$(cells 'select(.options.speculate == "replay" and .options.draft_budget == "fixed") | .samples[0].drafts_kept > 0')" = true ] ||
        fail "batch $batch: a replay keeps nothing"
done
grep -q '^## Several tokens a pass' "$dir/r/summary.md" && grep -q 'replay. are told' "$dir/r/summary.md" ||
    fail "summary.md does not tell of drafts"
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR > 1 && ($at["token_ns"] <= 0 || $at["tokens_a_pass"] < 3) { print "row " NR ": " $at["tokens_a_pass"]; bad = 1 }
    END { exit bad || !("drafts_kept" in at) }' "$dir/r/summary.csv" || fail "summary.csv: columns of tokens"

# a draft that is kept although it is wrong
study '"speculate":["replay"]' '"acceptance":0,"breaks":"drafts"'
code=$?
[ $code = 5 ] || fail "wrong drafts kept: exit code $code, expected 5"
case "$(jq -r '[.layerbench.cells[].invalid // empty] | join(" ")' "$dir/r/result.json")" in
*"tokens hash "*) ;; *) fail "wrong drafts kept: no cell is invalid because of its tokens" ;; esac

# prompts: texts in turn, of a file with a line or an object each
printf 'one two three one two three one two\nfour five\n' >"$dir/p.txt"
printf '{"text":"one two three one two three one two"}\n\n{"text":"four\\nfive"}\n' >"$dir/p.jsonl"
for file in p.txt p.jsonl; do
    scenario '"speculate":["off","ngram"]' "\"prompts\":\"$dir/$file\",\"prompt_tokens\":40"
    sed -i 's/"prompt_tokens":6,//;s/"repetitions":1/"repetitions":3/' "$dir/s.json"
    rm -rf "$dir/r"
    "$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" >"$dir/out" 2>&1 || fail "$file: $(cat "$dir/out")"
    turns=$(cells '[.samples[] | .tokens_hash] | .[0] == .[2] and .[0] != .[1]')
    [ "$turns" = "true true" ] || fail "$file: two prompts in turn: $turns"
    [ "$(cells '.samples[] | .tokens_hash' | tr ' ' '\n' | sort -u | wc -l)" = 2 ] || fail "$file: ngram writes another text"
    cells '.samples[0].prompt_length' | awk '{ exit !($1 > 8 && $1 <= 40 && $1 == $2) }' ||
        fail "$file: lengths of prompts: $(cells '.samples[0].prompt_length')"
done
printf '{"text":"a"}\n{"txt":"b"}\n' >"$dir/p.jsonl"
"$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r2" >"$dir/out" 2>&1
code=$?
[ $code = 2 ] && grep -q 'prompts: .*p.jsonl: line 2: expected {"text": "..."}' "$dir/out" ||
    fail "a line without a text: exit code $code, $(cat "$dir/out")"
rm "$dir/p.jsonl"
"$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r2" >"$dir/out" 2>&1
code=$?
[ $code = 2 ] && grep -q 'prompts: .*p.jsonl: cannot open: No such file' "$dir/out" || fail "no prompts: exit code $code, $(cat "$dir/out")"

# a gate takes no replay
scenario '"speculate":["replay"]' ''
"$LAYERBENCH" gate "$dir/s.json" --baseline "$dir/none.json" >"$dir/out" 2>"$dir/err"
code=$?
[ $code = 2 ] && grep -q 'speculate: replay: expected off, ngram or draft' "$dir/err" ||
    fail "gate of a replay: exit code $code, '$(cat "$dir/err")'"

# text: the same with every drafter, at any temperature
model=${LAYERBENCH_SHARED:-../shared}/models/stories260K.gguf
if [ -e "$model" ]; then
    for temperature in 0 0.8; do
        for how in off ngram draft; do
            "$LAYERBENCH" generate --model "$model" --prompt "Once upon a time" --tokens 90 --cache-layers 2 \
                --temperature $temperature --seed 3 --speculate $how --draft-model "${model%.gguf}-q8_0.gguf" \
                >"$dir/$how" 2>"$dir/$how.err" || fail "generate $how: $(cat "$dir/$how.err")"
            cmp -s "$dir/off" "$dir/$how" || fail "temperature $temperature: $how writes another text"
            [ $how = off ] || grep -q "^speculate $how: .* tokens a pass; .* drafted, .* kept, .* wasted" "$dir/$how.err" ||
                fail "generate --speculate $how does not say what it brought"
        done
    done
    kept=$(sed -n 's/^speculate draft: \([0-9.]*\) tokens a pass.*/\1/p' "$dir/draft.err")
    awk "BEGIN { exit !($kept > 2) }" || fail "a draft of nearly the same weights: $kept tokens a pass, expected more than 2"
else
    echo "skipped: texts: no reference models in ${LAYERBENCH_SHARED:-../shared}"
fi
"$LAYERBENCH" generate --model "$dir/m4.gguf" --prompt x --speculate replay >"$dir/out" 2>"$dir/err"
[ $? = 2 ] && grep -q 'speculate replay: expected off, ngram or draft' "$dir/err" || fail "generate takes a replay"
[ $failures = 0 ]
