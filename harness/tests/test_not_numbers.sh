# test_not_numbers: a model with a weight that is NaN or infinite: generate, perplexity, eval, sample,
# run and gate say so and end with exit code 5; nothing is printed as a result, no verdict is made of it.
. harness/tests/lib.sh

sound=$work/sound.gguf model=$work/m.gguf
synth "$sound" --shape tiny --layers 3 --quant Q8_0
# poison TENSOR BYTES: the tensor's first bytes become these
poison() {
    local at
    at=$("$LAYERBENCH" inspect "$sound" | awk -v name="$1" '$1 == name { print $(NF - 1) }')
    cp "$sound" "$model"
    printf '%b' "$2" | dd of="$model" bs=1 seek="$at" conv=notrunc 2>/dev/null
}
fails() { # ARGUMENT...
    answers 5 "not numbers" "$LAYERBENCH" "$@"
    grep -qiE '^-?(nan|inf)|no regression' "$work/out" && fail "$what, $1: printed '$(head -c 300 "$work/out")'"
}
scenario() { # NAME
    printf '{"name":"%s","about":"?","model":{"path":"%s"},"repetitions":2,"warmup":0,
        "matrix":{"prefetch":["sync","async"]},"fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,
        "generate_tokens":4,"storage":"pread"}}' "$1" "$model" >"$work/$1.json"
}
all() { # WHAT TENSOR BYTES
    what=$1
    poison "$2" "$3"
    fails generate -m "$model" -p Once -n 3
    [ -s "$work/out" ] && fail "$what, generate: printed '$(head -c 100 "$work/out")'"
    printf 'some text' >"$work/text"
    fails perplexity -m "$model" "$work/text"
    fails eval -m "$model" --ids 1,2,3 --logits "$work/logits"
    fails run "$work/s.json" --no-plots -q --out "$work/r"
    rm -rf "$work/r"
    fails gate "$work/s.json" --baseline "$work/baseline.json"
    fails gate "$work/s.json" --baseline "$work/baseline.json" --update-baseline
    fails gate "$work/s.json" --times-only --base "$LAYERBENCH"
}
scenario s
cp "$sound" "$model"
answers 0 "" "$LAYERBENCH" gate "$work/s.json" --baseline "$work/baseline.json" --update-baseline
cp "$work/baseline.json" "$work/kept.json"
answers 0 "" "$LAYERBENCH" generate -m "$model" -p Once -n 3 -q
all "NaN in a norm" blk.1.ffn_norm.weight '\x00\x00\xc0\x7f'
all "an infinite scale of a block" blk.2.attn_q.weight '\x00\x7c'
all "NaN in the head" output.weight '\x00\x7e'
cmp -s "$work/baseline.json" "$work/kept.json" || fail "a baseline was written from numbers that are none"
finish
