# test_speculate: several tokens a pass from outside. Runs with every drafter give the tokens of runs without,
# and account for drafts; wrong drafts kept on purpose make a run invalid; the gate takes no replay; generate
# writes the same text and says what drafts brought.
. harness/tests/lib.sh
needs jq

synth "$work/m4.gguf" --shape tiny --quant Q8_0 --seed 1 --layers 4
synth "$work/m2.gguf" --shape tiny --quant Q8_0 --seed 1 --layers 2
scenario() { # MATRIX FIXED
    printf '{"name":"speculate","about":"?","model":{"path":"%s"},"repetitions":1,"warmup":0,"matrix":{%s},
        "fixed":{"threads":1,"prompt_tokens":6,"generate_tokens":20,"storage":"memory","prefetch":"sync",
        "cache_layers":2,"draft_model":"%s"%s}}' "$work/m4.gguf" "$1" "$work/m2.gguf" "${2:+,$2}" >"$work/s.json"
}
study() {
    scenario "$@"
    rm -rf "$work/r"
    "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" >"$work/out" 2>&1
}
cells() { jq -r "[.layerbench.cells[] | select(.reference | not) | $1] | join(\" \")" "$work/r/result.json"; }

for batch in 1 3; do
    study '"speculate":["off","ngram","draft","replay"],"draft_budget":["fixed","adaptive"]' \
        "\"batch\":$batch,\"acceptance\":0.8"
    code=$?
    [ $code = 0 ] || fail "batch $batch: exit code $code: $(cat "$work/out")"
    [ "$(cells '.samples[0].tokens_hash' | tr ' ' '\n' | sort -u | wc -l)" = 1 ] ||
        fail "batch $batch: tokens differ: $(cells '.samples[0].tokens_hash')"
    [ "$(cells '.samples[0].logits_hash' | tr ' ' '\n' | sort -u | wc -l)" = 1 ] || fail "batch $batch: logits differ"
    for cell in $(cells '.samples[0] | .tokens'); do
        [ "$cell" = $((20 * batch)) ] || fail "batch $batch: $cell tokens, expected $((20 * batch))"
    done
    # passes are fewer where drafts are kept, and never more
    cells '.samples[0] | select((.pass_ns | length) > 20 or ((.drafts_kept == 0) != ((.pass_ns | length) == 20)))
        | "\(.drafts_kept) kept in \(.pass_ns | length) passes"' >"$work/odd"
    [ "$batch" = 3 ] || [ -z "$(tr -d '\n' <"$work/odd")" ] || fail "$(cat "$work/odd")"
    # places of drafts add up to what was kept
    [ -z "$(cells '.samples[0] | select(.drafted > 0 and (.draft_right | add) != .drafts_kept) | .drafted')" ] ||
        fail "batch $batch: places of drafts do not add up"
    [ "$(cells 'select(.options.speculate == "replay" and .options.draft_budget == "fixed") | .samples[0].drafts_kept > 0')" = true ] ||
        fail "batch $batch: a replay keeps nothing"
done
grep -q '^## Several tokens a pass' "$work/r/summary.md" && grep -q 'replay. are told' "$work/r/summary.md" ||
    fail "summary.md does not tell of drafts"
grep -q '^- speculate: replay: its drafts are told the text' "$work/r/summary.md" || fail "the result does not warn that drafts were told"
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR > 1 && ($at["token_ns"] <= 0 || $at["tokens_a_pass"] < 3) { print "row " NR ": " $at["tokens_a_pass"]; bad = 1 }
    END { exit bad || !("drafts_kept" in at) }' "$work/r/summary.csv" || fail "summary.csv: columns of tokens"

# a draft that is kept although it is wrong
study '"speculate":["replay"]' '"acceptance":0,"breaks":"drafts"'
code=$?
[ $code = 5 ] || fail "wrong drafts kept: exit code $code, expected 5"
case "$(jq -r '[.layerbench.cells[].invalid // empty] | join(" ")' "$work/r/result.json")" in
*"tokens hash "*) ;; *) fail "wrong drafts kept: no cell is invalid because of its tokens" ;; esac

# prompts: texts in turn, of a file with a line or an object each
printf 'one two three one two three one two\nfour five\n' >"$work/p.txt"
printf '{"text":"one two three one two three one two"}\n\n{"text":"four\\nfive"}\n' >"$work/p.jsonl"
for file in p.txt p.jsonl; do
    scenario '"speculate":["off","ngram"]' "\"prompts\":\"$work/$file\",\"prompt_tokens\":40"
    sed -i 's/"prompt_tokens":6,//;s/"repetitions":1/"repetitions":3/' "$work/s.json"
    rm -rf "$work/r"
    "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" >"$work/out" 2>&1 || fail "$file: $(cat "$work/out")"
    turns=$(cells '[.samples[] | .tokens_hash] | .[0] == .[2] and .[0] != .[1]')
    [ "$turns" = "true true" ] || fail "$file: two prompts in turn: $turns"
    [ "$(cells '.samples[] | .tokens_hash' | tr ' ' '\n' | sort -u | wc -l)" = 2 ] || fail "$file: ngram writes another text"
    cells '.samples[0].prompt_length' | awk '{ exit !($1 > 8 && $1 <= 40 && $1 == $2) }' ||
        fail "$file: lengths of prompts: $(cells '.samples[0].prompt_length')"
done
printf '{"text":"a"}\n{"txt":"b"}\n' >"$work/p.jsonl"
answers 2 'prompts: .*p.jsonl: line 2: expected {"text": "..."}' "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r2"
rm "$work/p.jsonl"
answers 2 'prompts: .*p.jsonl: cannot open: No such file' "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r2"

# a gate takes no replay
scenario '"speculate":["replay"]' ''
answers 2 'speculate: replay: expected off, ngram or draft' "$LAYERBENCH" gate "$work/s.json" --baseline "$work/none.json"

# text: the same with every drafter, at any temperature
model=${LAYERBENCH_SHARED:-../shared}/models/stories260K.gguf
if [ -e "$model" ]; then
    for temperature in 0 0.8; do
        for how in off ngram draft; do
            "$LAYERBENCH" generate --model "$model" --prompt "Once upon a time" --tokens 90 --cache-layers 2 \
                --temperature $temperature --seed 3 --speculate $how --draft-model "${model%.gguf}-q8_0.gguf" \
                >"$work/$how" 2>"$work/$how.err" || fail "generate $how: $(cat "$work/$how.err")"
            cmp -s "$work/off" "$work/$how" || fail "temperature $temperature: $how writes another text"
            [ $how = off ] || grep -q "^speculate $how: .* tokens a pass; .* drafted, .* kept, .* wasted" "$work/$how.err" ||
                fail "generate --speculate $how does not say what it brought"
        done
    done
    kept=$(sed -n 's/^speculate draft: \([0-9.]*\) tokens a pass.*/\1/p' "$work/draft.err")
    awk "BEGIN { exit !($kept > 2) }" || fail "a draft of nearly the same weights: $kept tokens a pass, expected more than 2"
else
    part_skipped "texts: no reference models in ${LAYERBENCH_SHARED:-../shared}"
fi
answers 2 'speculate replay: expected off, ngram or draft' \
    "$LAYERBENCH" generate --model "$work/m4.gguf" --prompt x --speculate replay
finish
