# test_cli: every command from outside: help, exit codes, one clear line for bad input.
# expect CODE 'STDERR GLOB' COMMAND...: the exit code, and one line on stderr like the glob
. harness/tests/lib.sh
expect() {
    local code=$1 glob=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    local got=$? line
    line=$(cat "$work/err")
    checks=$((checks + 1))
    # shellcheck disable=SC2053
    if [ $got != "$code" ] || [[ $line != $glob ]]; then
        failures=$((failures + 1))
        echo "$*: exit code $got (expected $code), said '$line' (expected '$glob')"
    fi
}
run=$LAYERBENCH

# ---- help and names
expect 0 '' "$run" --help
grep -q '^  generate ' "$work/out" || fail "--help lists no generate"
grep -q '^  sample ' "$work/out" && fail "--help lists the hidden command"
for command in $("$run" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    expect 0 '' "$run" "$command" --help
    [ -s "$work/out" ] || fail "$command --help says nothing"
done
expect 0 '' "$run" --version
expect 2 'usage: *' "$run"
expect 2 "layerbench: unknown command 'genrate': did you mean 'generate'?*" "$run" genrate
expect 2 "layerbench generate: unknown option '--modle': did you mean --model?" "$run" generate --modle x
expect 2 "layerbench generate: --cache-layers: '0': expected a whole number of at least 1, or 'auto'" \
    "$run" generate --cache-layers 0
expect 2 "layerbench generate: --device: '5': expected *" "$run" generate --device 5
expect 2 "layerbench generate: no prompt: expected --prompt TEXT or --prompt-file FILE" "$run" generate --model x

# ---- models
expect 0 '' "$run" synth --shape tiny --quant Q4_K_M --layers 3 -o "$work/a.gguf"
expect 0 '' "$run" synth --shape tiny --quant Q4_K_M --layers 3 -o "$work/sub/b.gguf"
cmp "$work/a.gguf" "$work/sub/b.gguf" || fail "synth is not deterministic"
[ -z "$(ls "$work"/*.tmp "$work"/sub/*.tmp 2>/dev/null)" ] || fail "synth leaves files"
expect 2 "layerbench synth: --shape: 'x': expected one of tiny*" "$run" synth --shape x -o "$work/x"
expect 2 "layerbench synth: expected -o FILE" "$run" synth --shape tiny
head -c 3000000 "$work/a.gguf" >"$work/short.gguf"
echo "no model" >"$work/text.gguf"
for command in "generate --prompt x" "eval --ids 1 --logits $work/l" "perplexity $work/text.gguf"; do
    expect 2 "layerbench ${command%% *}: *nothing.gguf*" "$run" $command --model "$work/nothing.gguf"
    expect 2 "layerbench ${command%% *}: *short.gguf*" "$run" $command --model "$work/short.gguf"
    expect 2 "layerbench ${command%% *}: *text.gguf*" "$run" $command --model "$work/text.gguf"
done
expect 2 "layerbench inspect: *nothing.gguf*" "$run" inspect "$work/nothing.gguf"
expect 2 "layerbench tokenize: *nothing.gguf*" "$run" tokenize --model "$work/nothing.gguf" x

# ---- inspect, tokenize, list
expect 0 '' "$run" inspect "$work/a.gguf"
expect 0 '' "$run" inspect --json "$work/a.gguf"
[ "$(jq -r '.metadata["llama.block_count"].value' "$work/out")" = 3 ] ||
    fail "inspect --json: no block count"
[ "$(jq '.tensors | length' "$work/out")" = 30 ] || fail "inspect --json: tensors"
expect 0 '' "$run" list --json
jq -e '.replacement | map(.name) | index("belady")' "$work/out" >/dev/null ||
    fail "list --json: no belady"
expect 2 "layerbench list: 'x': expected at most one of prefetch,*" "$run" list x
expect 0 "layerbench tokenize: the text begins with BOS twice*" "$run" tokenize --model "$work/a.gguf" --bos --special "<s>x"
"$run" tokenize --model "$work/a.gguf" --bos --special "x<s>" >"$work/out" 2>"$work/err" && [ ! -s "$work/err" ] || fail "one BOS: $(cat "$work/err")"
expect 2 "layerbench tokenize: expected one TEXT*" "$run" tokenize --model "$work/a.gguf"

# ---- eval: sizes, decode equals prefill in shape, bad ids
expect 0 '' "$run" eval --model "$work/a.gguf" --ids 1,5,9 --logits "$work/l.f32"
[ "$(stat -c %s "$work/l.f32")" = $((3 * 2048 * 4)) ] || fail "eval: size"
for prefetch in off sync async; do
    expect 0 '' "$run" eval --model "$work/a.gguf" --ids 1,5,9 --logits "$work/s.f32" \
        --prefetch $prefetch --cache-layers 1
    cmp -s "$work/l.f32" "$work/s.f32" || fail "eval: $prefetch changes the logits"
done
expect 2 "layerbench eval: --ids: '2048': expected a token id from 0 to 2047" \
    "$run" eval --model "$work/a.gguf" --ids 1,2048 --logits "$work/l.f32"
expect 2 "layerbench eval: --ids: 'x': expected*" "$run" eval --model "$work/a.gguf" --ids x --logits "$work/l"
expect 2 "layerbench eval: $work/no/l: cannot write: *" "$run" eval --model "$work/a.gguf" --ids 1 --logits "$work/no/l"

# ---- generate: the same text for every way of streaming, timing on stderr
"$run" generate --model "$work/a.gguf" --prompt hello --tokens 8 >"$work/one" 2>"$work/err"
grep -q '^accesses: ' "$work/err" || fail "generate: no summary"
"$run" generate --model "$work/a.gguf" --prompt hello --tokens 8 --prefetch sync --cache-layers 1 -q \
    >"$work/two" 2>"$work/err"
cmp "$work/one" "$work/two" || fail "generate: sync changes the text"
[ -s "$work/err" ] && { echo "generate -q speaks: $(cat "$work/err")"; failures=$((failures + 1)); }
expect 2 "layerbench generate: *: key 'tokenizer.chat_template' is missing, expected a string" \
    "$run" generate --model "$work/a.gguf" --prompt hello --chat
expect 2 "layerbench generate: * expected at most 8 (--context)" \
    "$run" generate --model "$work/a.gguf" --prompt hello --tokens 80 --context 8

# ---- perplexity: windows fit the context, and begin with BOS only where the model wants one
yes "one two three" | head -n 30 >"$work/words"
tokens=$("$run" tokenize --model "$work/a.gguf" - <"$work/words" | wc -w)
expect 0 "$tokens tokens scored in $(((tokens + 14) / 15)) windows of at most 16" \
    "$run" perplexity --model "$work/a.gguf" --context 16 "$work/words"
expect 2 "layerbench perplexity: --window: 17: expected 2 to 16 (--context)" \
    "$run" perplexity --model "$work/a.gguf" --context 16 --window 17 "$work/words"
cp "$work/a.gguf" "$work/plain.gguf"
key=tokenizer.ggml.add_bos_token
at=$(grep -abo "$key" "$work/plain.gguf" | head -n 1 | cut -d : -f 1)
printf '\0' | dd of="$work/plain.gguf" bs=1 seek=$((at + ${#key} + 4)) conv=notrunc status=none
expect 0 "$((tokens - 1)) tokens scored in 1 windows of at most $tokens" \
    "$run" perplexity --model "$work/plain.gguf" --window "$tokens" "$work/words"
# it is what the logits of eval say of the text
got=$(awk '{ print $1; exit }' "$work/out")
ids=$("$run" tokenize --model "$work/plain.gguf" - <"$work/words")
"$run" eval --model "$work/plain.gguf" --ids "$(tr -s ' \n' ',' <<<"$ids" | sed 's/,$//')" --logits "$work/rows"
expected=$(od -An -v -t f4 -w"$(($(stat -c %s "$work/rows") / tokens))" "$work/rows" | awk -v ids="$ids" '
    BEGIN { n = split(ids, id, /[ \n]+/) }
    NR < n { sum = 0; for (i = 1; i <= NF; i++) sum += exp($i); total += log(sum) - $(id[NR + 1] + 1) }
    END { print exp(total / (n - 1)) }')
check "perplexity $got, expected $expected" awk "BEGIN { exit !($got > $expected * 0.999 && $got < $expected * 1.001) }"

# ---- the story of a real model, where it is there
shared=${LAYERBENCH_SHARED:-../shared}
if [ -e "$shared/models/stories260K.gguf" ]; then
    for how in "--prefetch resident" "--prefetch async --cache-layers 2" "--prefetch sync --cache-layers 3" \
        "--prefetch off --cache-layers 1"; do
        checks=$((checks + 1))
        "$run" generate --model "$shared/models/stories260K.gguf" --prompt "Once upon a time" \
            --tokens 240 --temperature 0 -q $how 2>&1 | cmp - <(cat "$shared/oracle/story.txt"; echo) ||
            fail "generate $how: another story"
    done
    # the reference's perplexity of that text, within 0.1%
    "$run" perplexity --model "$shared/models/stories260K.gguf" "$shared/oracle/story.txt" 2>/dev/null |
        awk '{ exit !($1 > 1.5779 * 0.999 && $1 < 1.5779 * 1.001) }' ||
        fail "perplexity is not 1.5779"
    # logits through the command line, against the reference
    ids=$(jq -r '.ids | map(tostring) | join(",")' "$shared/oracle/stories260K.json")
    "$run" eval --model "$shared/models/stories260K.gguf" --ids "$ids" --logits "$work/l.f32"
    [ "$(stat -c %s "$work/l.f32")" = "$(stat -c %s "$shared/oracle/stories260K.f32")" ] ||
        fail "eval: another size than the reference"
else
    echo "no shared models: the story was not told" >&2
fi
finish
