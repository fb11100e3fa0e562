#!/bin/bash
# test_micro: every kind of micro-benchmark runs, gives right results and says so in figures and in
# JSON that has them all. No time is judged.
. harness/tests/lib.sh
cd "$work" || exit 1
tiny=(--repetitions 2 --sample-time 1ms --buffer 4MiB --file-bytes 4MiB --threads 2)
micro() { "$LAYERBENCH" micro "${tiny[@]}" "$@" >out 2>err; }

# every type of tensor, in the smallest shape, by every instruction set of this machine
micro --filter 'product/.*/tinyllama-1.1b/attn_q/tokens:4$' --json products.json
check "products end with 0" [ $? = 0 ]
sets=$("$LAYERBENCH" micro --list | grep -c 'product/Q4_K/.*/tinyllama-1.1b/attn_q/tokens:4$')
check "25 types by $sets sets" [ "$(grep -c '^product/' out)" = $((25 * sets)) ]
check "the portable kernels agree with themselves" \
    [ "$(grep -c '^product/[A-Z0-9_]*/generic/.* exact$' out)" = 25 ]
check "no result is wrong" bash -c '! grep -q "wrong result" out'
for field in GB_per_s GFLOP_per_s in_order_GB_per_s in_streams_GB_per_s share_of_faster_read deviation output_hash rows real_time; do
    check "$field stands beside both samples of each" \
        [ "$(grep -c "\"$field\": [0-9]" products.json)" -ge $((2 * 15 * sets)) ]
done
check "Google Benchmark made the JSON" grep -q '"library_build_type"' products.json

# the same weights and input give the same output, run after run
hashes() { grep '"output_hash"' "$1" | sort | uniq -c; }
micro --filter 'product/Q4_K/.*/tinyllama-1.1b/attn_q/tokens:4$' --json again.json
check "Q4_K again" [ $? = 0 ]
check "the output's hash is the same again" \
    [ -z "$(comm -13 <(grep -o '"output_hash": .*' products.json | sort -u) \
        <(grep -o '"output_hash": .*' again.json | sort -u))" ]

# memory, storage, bookkeeping
micro --filter '^memory|^event|^cache|^storage/.*/block:64KiB/depth:8$' --json rest.json
check "the rest ends with 0" [ $? = 0 ]
for name in memory/read event/log cache/hit/off cache/hit/resident storage/pread/block:64KiB/depth:8; do
    check "$name is in the table" grep -q "^$name .* right$" out
    check "$name is in the JSON" grep -q "\"name\": \"$name\"" rest.json
done
check "the middle and the tail of an access" grep -q '"p99_ns": [0-9]' rest.json
check "nothing is left behind" [ "$(ls | tr '\n' ' ')" = "again.json err out products.json rest.json " ]

# whole passes over a model
"$LAYERBENCH" synth --shape tiny --output model.gguf 2>/dev/null
micro --model model.gguf --filter '^model/(decode|.*tokens:16$)' --json model.json
check "passes over a model end with 0" [ $? = 0 ]
check "a decode step stands beside reads of the memory" grep -Eq '^model/decode/generic .*% +right, [0-9.]+ tok/s$' out
check "a prompt does not" grep -Eq '^model/prompt/generic/tokens:16 .* - +right, [0-9.]+ tok/s$' out
check "tokens per second are in the JSON" [ "$(grep -c '"tokens_per_s": [0-9]' model.json)" -ge 4 ]
micro --model nowhere.gguf --filter model/decode/generic
check "no such model is bad input" [ $? = 2 ]
check "and said" grep -q "^layerbench micro: --model: .*nowhere.gguf" err
rm model.gguf model.json

# a file of the user's, and bad input
head -c 3000000 /dev/urandom >data
micro --filter '^storage/pread/block:64KiB/depth:1$' --file data
check "a given file is read" [ $? = 0 ]
micro --filter '^storage/pread' --file nowhere
check "no such file is bad input" [ $? = 2 ]
check "and said" grep -q "^layerbench micro: nowhere: cannot open: No such file" err
micro --filter 'nothing-of-the-kind'
check "a filter that matches nothing is bad input" [ $? = 2 ]
micro --filter '('
check "so is one that is no expression" [ $? = 2 ]
check "and said" grep -q "^layerbench micro: --filter: '('" err
micro --filter 'product/F32/generic/llama-2-7b/ffn_down/tokens:1$' --buffer 1MiB
check "a buffer too small for the case fails" [ $? = 5 ]
check "and says so" grep -q "expected at least" out
finish
