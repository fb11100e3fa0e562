#!/bin/bash
# test_tune: the settings that tune chooses are valid, predicted to be no worse than others, and keep
# to the memory; refusals. No time is judged.
set -u
command -v jq >/dev/null || { echo "skipped: jq is not installed"; exit 77; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
check() { # check TEXT COMMAND...
    local text=$1
    shift
    "$@" || { echo "failed: $text" && failed=1; }
}
tune() { "$LAYERBENCH" tune "$@" >out 2>err; }
holds() { jq -e "$1" out >/dev/null || { jq -c . out && return 1; }; }
refused() { # refused TEXT ARGUMENT...
    local text=$1
    shift
    tune "$@"
    [ $? = 2 ] && grep -qF -- "$text" err && [ "$(wc -l <err)" = 1 ] || { cat err && return 1; }
}

"$LAYERBENCH" synth --shape tiny --quant Q4_K_M --layers 8 -o m.gguf || exit 1
layers=$("$LAYERBENCH" inspect m.gguf --json | jq '[.tensors[] | select(.name | startswith("blk.")) | .bytes] | add')
common=(--model m.gguf --threads 1 --context 64 --max-tokens 16
    --device bandwidth=200MB/s,latency=20us)

# what the memory leaves is exact: 16 MiB and 2% less
tune "${common[@]}" --memory 1GiB --json
check "all fits" holds ".options.prefetch == \"resident\" and .prediction.bytes_read == 0"
fixed=$(jq .fixed_bytes out)
memory=$((16777216 + (fixed + layers / 2) * 102 / 100 + 65536))
tune "${common[@]}" --memory ${memory}B --json --scenario tuned.json --verify --passes 8
check "half of the layers fit" [ $? = 0 ]
check "the cache is what the memory leaves, in steps of 64 KiB" \
    holds ".cache_bytes >= $layers / 2 - 65536 and .cache_bytes <= $layers / 2 + 65536"
check "it is what the options say" holds '.options.cache_bytes == .cache_bytes'
check "many settings were considered" holds '.considered > 50'
check "none beats the floor" holds '.prediction.pass_ns > 0.999 * .floor_ns and .floor_ns > 0'
check "the default settings are no better than the chosen" \
    holds '.default_settings.pass_ns == null or .prediction.pass_ns <= 1.01 * .default_settings.pass_ns'
check "the bandwidth is the device's" holds '.bandwidth == 200e6'
check "the measurement reads what was predicted, within a tenth of the layers" \
    holds "(.measured.bytes_read - .prediction.bytes_read | fabs) < $layers / 10"
case $LAYERBENCH in # sanitizers take memory of their own
*/address/* | */thread/*) ;;
*) check "the measurement keeps to the memory" holds '.measured.peak_rss_bytes <= .memory_bytes' ;;
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
check "options come first" [ "$(head -c 11 out)" = "--prefetch " ]
check "then the prediction" grep -q '^predicted .* tok/s' out

refused "expected at least" "${common[@]}" --memory 1MiB
refused "expected --memory SIZE" "${common[@]}"
refused "expected --model FILE" --memory 1GiB
refused "No such file" --model nowhere.gguf --memory 1GiB
refused "'lots': expected a size" --model m.gguf --memory lots
exit $failed
