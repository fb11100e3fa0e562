# test_not_numbers: a model with a weight that is NaN or infinite: generate, perplexity, eval, sample,
# run and gate say so and end with exit code 5; nothing is printed as a result, no verdict is made of it.
set -u
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

sound=$dir/sound.gguf model=$dir/m.gguf
"$LAYERBENCH" synth --shape tiny --layers 3 --quant Q8_0 -o "$sound" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
# poison TENSOR BYTES: the tensor's first bytes become these
poison() {
    local at
    at=$("$LAYERBENCH" inspect "$sound" | awk -v name="$1" '$1 == name { print $(NF - 1) }')
    cp "$sound" "$model"
    printf '%b' "$2" | dd of="$model" bs=1 seek="$at" conv=notrunc 2>/dev/null
}
fails() { # ARGUMENT...
    "$LAYERBENCH" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    local code=$?
    [ $code = 5 ] || fail "$what, $1: exit code $code, expected 5"
    grep -q "not numbers" "$dir/err" "$dir/out" || fail "$what, $1: said '$(head -c 300 "$dir/out" "$dir/err")'"
    grep -qiE '^-?(nan|inf)|no regression' "$dir/out" && fail "$what, $1: printed '$(head -c 300 "$dir/out")'"
}
scenario() { # NAME
    printf '{"name":"%s","about":"?","model":{"path":"%s"},"repetitions":2,"warmup":0,
        "matrix":{"prefetch":["sync","async"]},"fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,
        "generate_tokens":4,"storage":"pread"}}' "$1" "$model" >"$dir/$1.json"
}
all() { # WHAT TENSOR BYTES
    what=$1
    poison "$2" "$3"
    fails generate -m "$model" -p Once -n 3
    [ -s "$dir/out" ] && fail "$what, generate: printed '$(head -c 100 "$dir/out")'"
    printf 'some text' >"$dir/text"
    fails perplexity -m "$model" "$dir/text"
    fails eval -m "$model" --ids 1,2,3 --logits "$dir/logits"
    fails run "$dir/s.json" --no-plots -q --out "$dir/r"
    rm -rf "$dir/r"
    fails gate "$dir/s.json" --baseline "$dir/baseline.json"
    fails gate "$dir/s.json" --baseline "$dir/baseline.json" --update-baseline
    fails gate "$dir/s.json" --times-only --base "$LAYERBENCH"
}
scenario s
cp "$sound" "$model"
"$LAYERBENCH" gate "$dir/s.json" --baseline "$dir/baseline.json" --update-baseline >"$dir/out" 2>&1 ||
    fail "the sound model: $(cat "$dir/out")"
cp "$dir/baseline.json" "$dir/kept.json"
"$LAYERBENCH" generate -m "$model" -p Once -n 3 -q >"$dir/out" 2>&1 || fail "the sound model: $(cat "$dir/out")"
all "NaN in a norm" blk.1.ffn_norm.weight '\x00\x00\xc0\x7f'
all "an infinite scale of a block" blk.2.attn_q.weight '\x00\x7c'
all "NaN in the head" output.weight '\x00\x7e'
cmp -s "$dir/baseline.json" "$dir/kept.json" || fail "a baseline was written from numbers that are none"
[ $failures = 0 ]
