# test_cli: every command from outside: help, exit codes, one clear line for bad input.
set -u
failures=0 checks=0
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT

# expect CODE 'STDERR GLOB' COMMAND...: the exit code, and one line on stderr like the glob
expect() {
    local code=$1 glob=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    local got=$? line
    line=$(cat "$dir/err")
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
grep -q '^  generate ' "$dir/out" || { echo "--help lists no generate"; failures=$((failures + 1)); }
grep -q '^  sample ' "$dir/out" && { echo "--help lists the hidden command"; failures=$((failures + 1)); }
for command in $("$run" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    expect 0 '' "$run" "$command" --help
    [ -s "$dir/out" ] || { echo "$command --help says nothing"; failures=$((failures + 1)); }
done
expect 0 '' "$run" --version
expect 2 'usage: *' "$run"
expect 2 "layerbench: unknown command 'genrate': did you mean 'generate'?*" "$run" genrate
expect 2 "layerbench generate: unknown option '--modle': did you mean --model?" "$run" generate --modle x
expect 2 "layerbench generate: --cache-layers: '0': expected a whole number of at least 1, or 'auto'" \
    "$run" generate --cache-layers 0
expect 2 "layerbench generate: --device: '5': expected *" "$run" generate --device 5
expect 2 "layerbench generate: no prompt: expected --prompt TEXT" "$run" generate --model x

# ---- models
expect 0 '' "$run" synth --shape tiny --quant Q4_K_M --layers 3 -o "$dir/a.gguf"
expect 0 '' "$run" synth --shape tiny --quant Q4_K_M --layers 3 -o "$dir/sub/b.gguf"
cmp "$dir/a.gguf" "$dir/sub/b.gguf" || { echo "synth is not deterministic"; failures=$((failures + 1)); }
[ -z "$(ls "$dir"/*.tmp "$dir"/sub/*.tmp 2>/dev/null)" ] || { echo "synth leaves files"; failures=$((failures + 1)); }
expect 2 "layerbench synth: --shape: 'x': expected one of tiny*" "$run" synth --shape x -o "$dir/x"
expect 2 "layerbench synth: expected -o FILE" "$run" synth --shape tiny
head -c 3000000 "$dir/a.gguf" >"$dir/short.gguf"
echo "no model" >"$dir/text.gguf"
for command in "generate --prompt x" "eval --ids 1 --logits $dir/l" "perplexity $dir/text.gguf"; do
    expect 2 "layerbench ${command%% *}: *nothing.gguf*" "$run" $command --model "$dir/nothing.gguf"
    expect 2 "layerbench ${command%% *}: *short.gguf*" "$run" $command --model "$dir/short.gguf"
    expect 2 "layerbench ${command%% *}: *text.gguf*" "$run" $command --model "$dir/text.gguf"
done
expect 2 "layerbench inspect: *nothing.gguf*" "$run" inspect "$dir/nothing.gguf"
expect 2 "layerbench tokenize: *nothing.gguf*" "$run" tokenize --model "$dir/nothing.gguf" x

# ---- inspect, tokenize, list
expect 0 '' "$run" inspect "$dir/a.gguf"
expect 0 '' "$run" inspect --json "$dir/a.gguf"
[ "$(jq -r '.metadata["llama.block_count"].value' "$dir/out")" = 3 ] ||
    { echo "inspect --json: no block count"; failures=$((failures + 1)); }
[ "$(jq '.tensors | length' "$dir/out")" = 30 ] || { echo "inspect --json: tensors"; failures=$((failures + 1)); }
expect 0 '' "$run" list --json
jq -e '.replacement | map(.name) | index("belady")' "$dir/out" >/dev/null ||
    { echo "list --json: no belady"; failures=$((failures + 1)); }
expect 2 "layerbench list: 'x': expected at most one of prefetch,*" "$run" list x
expect 2 "layerbench tokenize: expected one TEXT*" "$run" tokenize --model "$dir/a.gguf"

# ---- eval: sizes, decode equals prefill in shape, bad ids
expect 0 '' "$run" eval --model "$dir/a.gguf" --ids 1,5,9 --logits "$dir/l.f32"
[ "$(stat -c %s "$dir/l.f32")" = $((3 * 2048 * 4)) ] || { echo "eval: size"; failures=$((failures + 1)); }
for prefetch in off sync async; do
    expect 0 '' "$run" eval --model "$dir/a.gguf" --ids 1,5,9 --logits "$dir/s.f32" \
        --prefetch $prefetch --cache-layers 1
    cmp -s "$dir/l.f32" "$dir/s.f32" || { echo "eval: $prefetch changes the logits"; failures=$((failures + 1)); }
done
expect 2 "layerbench eval: --ids: '2048': expected a token id from 0 to 2047" \
    "$run" eval --model "$dir/a.gguf" --ids 1,2048 --logits "$dir/l.f32"
expect 2 "layerbench eval: --ids: 'x': expected*" "$run" eval --model "$dir/a.gguf" --ids x --logits "$dir/l"
expect 2 "layerbench eval: --logits: $dir/no/l: *" "$run" eval --model "$dir/a.gguf" --ids 1 --logits "$dir/no/l"

# ---- generate: the same text for every way of streaming, timing on stderr
"$run" generate --model "$dir/a.gguf" --prompt hello --tokens 8 >"$dir/one" 2>"$dir/err"
grep -q '^accesses: ' "$dir/err" || { echo "generate: no summary"; failures=$((failures + 1)); }
"$run" generate --model "$dir/a.gguf" --prompt hello --tokens 8 --prefetch sync --cache-layers 1 -q \
    >"$dir/two" 2>"$dir/err"
cmp "$dir/one" "$dir/two" || { echo "generate: sync changes the text"; failures=$((failures + 1)); }
[ -s "$dir/err" ] && { echo "generate -q speaks: $(cat "$dir/err")"; failures=$((failures + 1)); }
expect 2 "layerbench generate: *: key 'tokenizer.chat_template' is missing, expected a string" \
    "$run" generate --model "$dir/a.gguf" --prompt hello --chat
expect 2 "layerbench generate: * expected at most 8 (--context)" \
    "$run" generate --model "$dir/a.gguf" --prompt hello --tokens 80 --context 8

# ---- perplexity: windows fit the context, and begin with BOS only where the model wants one
yes "one two three" | head -n 30 >"$dir/words"
tokens=$("$run" tokenize --model "$dir/a.gguf" - <"$dir/words" | wc -w)
expect 0 "$tokens tokens scored in $(((tokens + 14) / 15)) windows of at most 16" \
    "$run" perplexity --model "$dir/a.gguf" --context 16 "$dir/words"
expect 2 "layerbench perplexity: --window: 17: expected 2 to 16 (--context)" \
    "$run" perplexity --model "$dir/a.gguf" --context 16 --window 17 "$dir/words"
cp "$dir/a.gguf" "$dir/plain.gguf"
key=tokenizer.ggml.add_bos_token
at=$(grep -abo "$key" "$dir/plain.gguf" | head -n 1 | cut -d : -f 1)
printf '\0' | dd of="$dir/plain.gguf" bs=1 seek=$((at + ${#key} + 4)) conv=notrunc status=none
expect 0 "$((tokens - 1)) tokens scored in 1 windows of at most $tokens" \
    "$run" perplexity --model "$dir/plain.gguf" --window "$tokens" "$dir/words"

# ---- the story of a real model, where it is there
shared=${LAYERBENCH_SHARED:-../shared}
if [ -e "$shared/models/stories260K.gguf" ]; then
    for how in "--prefetch resident" "--prefetch async --cache-layers 2" "--prefetch sync --cache-layers 3" \
        "--prefetch off --cache-layers 1"; do
        checks=$((checks + 1))
        "$run" generate --model "$shared/models/stories260K.gguf" --prompt "Once upon a time" \
            --tokens 240 --temperature 0 -q $how 2>&1 | cmp - <(cat "$shared/oracle/story.txt"; echo) ||
            { echo "generate $how: another story"; failures=$((failures + 1)); }
    done
    # the reference's perplexity of that text, within 0.1%
    "$run" perplexity --model "$shared/models/stories260K.gguf" "$shared/oracle/story.txt" 2>/dev/null |
        awk '{ exit !($1 > 1.5779 * 0.999 && $1 < 1.5779 * 1.001) }' ||
        { echo "perplexity is not 1.5779"; failures=$((failures + 1)); }
    # logits through the command line, against the reference
    ids=$(jq -r '.ids | map(tostring) | join(",")' "$shared/oracle/stories260K.json")
    "$run" eval --model "$shared/models/stories260K.gguf" --ids "$ids" --logits "$dir/l.f32"
    [ "$(stat -c %s "$dir/l.f32")" = "$(stat -c %s "$shared/oracle/stories260K.f32")" ] ||
        { echo "eval: another size than the reference"; failures=$((failures + 1)); }
else
    echo "no shared models: the story was not told" >&2
fi
[ $failures = 0 ] || echo "$failures failures in $checks checks"
[ $failures = 0 ]
