# test_whole: what is resumed, merged or drawn is whole: lines of a log that were cut, lost or doubled, a log
# that is gone, a journal cut in its last line: the sample is measured again, the merge refused, or it is
# said; never "complete" with lines missing.
. harness/tests/lib.sh
needs jq
synth "$work/m.gguf" --shape tiny --layers 3 --quant Q8_0
printf '{"name":"s","about":"?","model":{"path":"%s"},"repetitions":2,"warmup":0,"matrix":{"prefetch":["off","sync"]},
    "fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,"generate_tokens":3,"storage":"memory"}}' "$work/m.gguf" >"$work/s.json"
# identities of times may break on a busy machine: code 5 is as good as 0 here
run() {
    "$LAYERBENCH" run "$work/s.json" --no-plots -q "$@" >"$work/out" 2>"$work/err"
    local code=$?
    [ $code = 5 ] && grep -q "compute + wait + other" "$work/err" && return 0
    return $code
}
lines() { jq -s --arg cell "$2" 'map(select(.cell == $cell and .rep == 1)) | length' "$1/layers.jsonl"; }
samples() { jq -c ".layerbench.cells[0].samples${2:-}" "$1/result.json"; }
check "run" run --out "$work/whole"
cell=$(jq -r '.layerbench.cells[0].name' "$work/whole/result.json")
all=$(wc -l <"$work/whole/layers.jsonl")
one=$(lines "$work/whole" "$cell")
last() { grep -n '"rep":1' "$1" | grep -F "\"$cell\"" | tail -1 | cut -d: -f1; } # its last line of repetition 2
remeasured() { # WHAT: k is resumed; the sample is another one, whole, and it is said
    check "$1: resume" run --out "$work/k" --resume
    [ "$(samples "$work/whole" '|map(select(.rep == 1))')" != "$(samples "$work/k" '|map(select(.rep == 1))')" ] ||
        fail "$1: the sample is the old one"
    is "$(wc -l <"$work/k/layers.jsonl") $(lines "$work/k" "$cell")" "$all $one" "$1: lines, and those of the sample"
    holds "$work/k/result.json" .layerbench.complete "$1: complete"
    holds "$work/k/result.json" '[.layerbench.warnings[] | select(test("measured again"))] | length >= 1' "$1: said" .layerbench.warnings
}
spoil() { # WHAT COMMAND: changes the log of a copy: plot says it, merge refuses it, resume mends it
    rm -rf "$work/k" "$work/merged" && cp -r "$work/whole" "$work/k"
    "$2" "$work/k/layers.jsonl"
    answers 0 "layers.jsonl: .* lines" "$LAYERBENCH" plot "$work/k" --out "$work/plots"
    answers 2 "lines of .*, repetition" "$LAYERBENCH" merge "$work/k" --out "$work/merged"
    remeasured "$1"
}
lose() { sed -i "$(last "$1")d" "$1"; }
cut_short() { sed -i "$(last "$1")s/.\{20\}$//" "$1"; }
double() { sed -i "$(last "$1")p" "$1"; }
torn() { sed -i "$(($(last "$1") + 1)),\$d" "$1" && truncate -s -9 "$1"; }
spoil "a line lost" lose
spoil "a line cut" cut_short
spoil "a line twice" double
spoil "a log cut at its end" torn

# no log at all
sed 's/"matrix":{/"matrix":{"replacement":["lru","belady"],/; s/"repetitions":2/"repetitions":1/; s/"name":"s"/"name":"t"/' "$work/s.json" >"$work/t.json"
for i in 1 2 3; do
    "$LAYERBENCH" run "$work/t.json" --no-plots -q --shard $i/3 --out "$work/s$i" >"$work/out" 2>"$work/err"
    [ -e "$work/s$i/layers.jsonl" ] || rm -rf "$work/s$i" # a shard without cells
done
logs=("$work"/s[123])
[ ${#logs[@]} -ge 2 ] || fail "all cells are in one shard"
rm "${logs[0]}/layers.jsonl"
answers 0 "have no layers.jsonl" "$LAYERBENCH" merge "${logs[@]}" --out "$work/without"
holds "$work/without/result.json" '.layerbench.complete == false' "merged with some of the logs: not complete"
rm -rf "$work/k" && cp -r "$work/whole" "$work/k" && rm "$work/k/layers.jsonl"
remeasured "no log"

# the journal: samples that result.json lacks
journal() { # the last sample of the first cell stands in it instead
    rm -rf "$work/k" && cp -r "$work/whole" "$work/k"
    jq -c '.layerbench.cells[0] | {cell: .name, sample: .samples[1]}' "$work/whole/result.json" >"$work/k/samples.jsonl"
    jq '.layerbench.complete = false | .layerbench.cells[0].samples |= .[0:1]' "$work/whole/result.json" >"$work/k/result.json"
}
journal
check "a journal" run --out "$work/k" --resume
is "$(samples "$work/k")" "$(samples "$work/whole")" "a journal: the sample in it"
journal
truncate -s -30 "$work/k/samples.jsonl"
check "a journal cut in its last line" run --out "$work/k" --resume
is "$(samples "$work/k" '|length') $(wc -l <"$work/k/layers.jsonl")" "2 $all" "a journal cut in its last line: samples, lines"
journal
sed -i 's/"rep"/"per"/' "$work/k/samples.jsonl"
answers 2 "samples.jsonl: line 1" "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/k" --resume

# nothing is wrong: nothing is said, nothing is measured
rm -rf "$work/k" && cp -r "$work/whole" "$work/k"
check "a whole result" run --out "$work/k" --resume
is "$(samples "$work/k")" "$(samples "$work/whole")" "a whole result is not measured again"
"$LAYERBENCH" plot "$work/k" --out "$work/plots" >"$work/out" 2>"$work/err"
is "$(grep -c "lines" "$work/err")" 0 "a whole result: what plot says of lines"
finish
