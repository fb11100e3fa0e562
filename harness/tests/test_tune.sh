#!/bin/bash
# test_tune: the settings that tune chooses are valid, predicted to be no worse than others, and keep
# to the memory; refusals. No time is judged.
. harness/tests/lib.sh
needs jq
cd "$work" || exit 1
tune() { "$LAYERBENCH" tune "$@" >out 2>err; }
refused() { # refused TEXT ARGUMENT...
    local text=$1
    shift
    tune "$@"
    [ $? = 2 ] && grep -qF -- "$text" err && [ "$(wc -l <err)" = 1 ] || { cat err && return 1; }
}

synth m.gguf --shape tiny --quant Q4_K_M --layers 8
layers=$("$LAYERBENCH" inspect m.gguf --json | jq '[.tensors[] | select(.name | startswith("blk.")) | .bytes] | add')
common=(--model m.gguf --threads 1 --context 64 --max-tokens 16
    --device bandwidth=200MB/s,latency=20us)

# what the memory leaves is exact: the program itself and 2% less
tune "${common[@]}" --memory 1GiB --json
holds out ".options.prefetch == \"resident\" and .prediction.bytes_read == 0" "all fits"
fixed=$(jq .fixed_bytes out)
program=$(jq .program_bytes out)
memory=$((program + (fixed + layers / 2) * 102 / 100 + 65536))
tune "${common[@]}" --memory ${memory}B --json --scenario tuned.json --verify --passes 8
check "half of the layers fit" [ $? = 0 ]
holds out ".cache_bytes >= $layers / 2 - 600000 and .cache_bytes <= $layers / 2 + 600000" \
    "the cache is what the memory leaves (but for what the program takes each time)"
holds out ".memory_bytes - (.program_bytes + 1.02 * (.fixed_bytes + .cache_bytes)) | . >= 0 and . < 70000" \
    "nothing is set aside that has no name, beyond steps of 64 KiB"
holds out '.options.cache_bytes == .cache_bytes' "it is what the options say"
holds out '.considered > 50' "many settings were considered"
holds out '.prediction.pass_ns > 0.999 * .floor_ns and .floor_ns > 0' "none beats the floor"
holds out '.default_settings.pass_ns == null or .prediction.pass_ns <= 1.01 * .default_settings.pass_ns' \
    "the default settings are no better than the chosen"
holds out '.drafts | (.acceptance - 0.7 | fabs) < 1e-15 and .draft_tokens > 0' "a length of drafts is proposed: loading takes the time"
holds out '.drafts.tokens_per_second > 1.2 * .prediction.tokens_per_second' "it is faster than without"
holds out '.bandwidth == 200e6' "the bandwidth is the device's"
holds out "(.measured.bytes_read - .prediction.bytes_read | fabs) < $layers / 10" \
    "the measurement reads what was predicted, within a tenth of the layers"
case $LAYERBENCH in # sanitizers take memory of their own
*/address/* | */thread/*) ;;
*) holds out '.measured.peak_rss_bytes <= .memory_bytes' "the measurement keeps to the memory" ;;
esac
cp out tuned.out

# no worse than naive settings, predicted with the same times
check "no worse than naive settings" bash -c '
    bytes=$(jq .cache_bytes tuned.out) best=$(jq .prediction.pass_ns tuned.out)
    compute=$(jq ".prediction | .pass_ns - .wait_ns | floor" tuned.out)
    "$LAYERBENCH" simulate --model m.gguf --device bandwidth=200MB/s,latency=20us \
        --compute "${compute}ns" --cache-bytes "${bytes}" --json \
        --vary prefetch=off,sync,async --vary replacement=lru,fifo,belady >naive.out &&
    jq -e --argjson best "$best" "[.layerbench.cells[].pass_ns] | min >= 0.98 * \$best" naive.out >/dev/null'

# the options and the scenario work as they are
options=$(jq -r .command_line tuned.out)
# shellcheck disable=SC2086
"$LAYERBENCH" generate --model m.gguf -p "a b" -n 3 $options >text 2>err
check "generate takes the options: $options" [ $? = 0 ]
check "validate takes the scenario" "$LAYERBENCH" validate tuned.json
check "run takes it" [ "$("$LAYERBENCH" run tuned.json --list | grep -c async)" = 1 ]

tune "${common[@]}" --memory ${memory}B
check "a whole command comes first" grep -q "^layerbench generate --model m.gguf --prompt 'Once upon a time' --prefetch " out
(eval "$(head -n 1 out | sed "s,^layerbench,'$LAYERBENCH',") -n 2" >text 2>err)
check "it runs as it is: $(head -1 err)" grep -q '^Once upon a time' text
check "then the prediction" grep -q '^predicted .* tok/s' out
check "the gain is said" grep -q '^gain  *[0-9.]* times as fast as the default' out
named() { # the parts of "memory", in bytes
    sed -n '/^memory/,/^storage/p' out | awk '$2 ~ /[KMG]i?B$|^[kKMG]?B$/ { f["B"] = 1; f["kB"] = 1e3; f["MB"] = 1e6; f["GB"] = 1e9; f["KiB"] = 1024; f["MiB"] = 1048576; f["GiB"] = 1073741824
        if ($1 == "memory") next
        sum += $1 * f[$2] } END { printf "%d", sum }'
}
tune "${common[@]}" --memory 48MiB
check "in the unit that was typed" grep -q '^memory  *48.0 MiB' out
! sed -n '/^memory/,/^storage/p' out | grep -q ' [kMG]B ' || fail "two kinds of units: $(cat out)"
check "the parts add up to what was given: $(named)" [ "$(named)" -gt $((47 << 20)) -a "$(named)" -lt $((49 << 20)) ]
tune "${common[@]}" --memory 48M && check "48M is 48 MiB" grep -q '^memory  *48.0 MiB' out
tune "${common[@]}" --memory 50MB && check "and 50 MB stay so" grep -q '^memory  *50.0 MB' out
tune "${common[@]}" && check "without --memory: what is available" grep -q '^memory .* available now' out
tune "${common[@]}" --memory auto --json && holds out '.memory_bytes > 1000000' "auto"

# a mixture of experts: its policy, what stays in memory, what is predicted
synth moe.gguf --shape tiny-moe --quant Q4_K_M --layers 3
moe=(--model moe.gguf --threads 1 --context 160 --max-tokens 16 --storage memory --device bandwidth=50MB/s,latency=100us)
{
    echo token,layer,experts # two sets of experts in turns, far apart
    for t in {0..79}; do for l in 0 1 2; do echo "$t,$l,$((t % 2 * 8)),$((t % 2 * 8 + 1)),$((t % 2 * 8 + 2)),$((t % 2 * 8 + 3))"; done; done
} >routes.csv
tune "${moe[@]}" --memory 42MiB --json --verify --passes 12
check "a mixture" [ $? = 0 ]
holds out '.considered > 30 and .prediction.pass_ns >= 0.999 * .floor_ns and .floor_ns > 0' "many settings, none below the floor"
holds out '.default_settings.pass_ns == null or .prediction.pass_ns <= 1.01 * .default_settings.pass_ns' "no worse than the default"
holds out '.drafts == null or .drafts.draft_tokens == 0' "no drafts are proposed"
tune "${moe[@]}" --memory 42MiB --json --routes routes.csv
holds out '.prediction.bytes_read == 0' "of given routes: what they need fits"
refused "no mixture of experts" "${common[@]}" --memory ${memory}B --routes routes.csv
refused "expected the numbers of the experts" "${moe[@]}" --memory 42MiB --routes <(printf 'token,layer,experts\n0,0,x\n')
refused "expected at least" "${common[@]}" --memory 1MiB
refused "expected --model FILE" --memory 1GiB
refused "No such file" --model nowhere.gguf --memory 1GiB
refused "'lots': expected a size" --model m.gguf --memory lots
finish
