#!/bin/bash
# test_synth: synthetic mixtures of experts as people meet them: what synth says of their routing,
# what simulate draws without a model, and that a run on one says so wherever it is shown and is
# predicted to the byte.
. harness/tests/lib.sh
needs jq
bench=$(realpath "$LAYERBENCH")
cd "$work" || exit 1

# share N: LRU's hits at the N-th of the shares that synth prints
share() { sed -n "s/.*lru hits.*$1%: \([0-9.]*\)%.*/\1/p" "$work/out"; }

# ---- synth ----
answers 0 "synthetic routing, skew 0.7, persistence 0.45; of 512 random tokens that the model was given" \
    "$bench" synth --shape tiny-moe --layers 3 -o usual.gguf
usual=$(share 25)
check "lru at a quarter of the slots is about what is published of trained models: $usual" \
    awk "BEGIN { exit !($usual > 45 && $usual < 75) }"
answers 0 "skew 0, persistence 0" "$bench" synth --shape tiny-moe --layers 3 --routing-skew 0 \
    --routing-persistence 0 -o even.gguf
check "even routing hits as often as there are slots: $(share 25)" awk "BEGIN { exit !($(share 25) > 20 && $(share 25) < 30) }"
answers 2 "expected a number from 0 to 1" "$bench" synth --shape tiny-moe --routing-persistence 2 -o x.gguf
answers 0 "layerbench.synthetic_routing.skew" "$bench" inspect usual.gguf

# ---- simulate, without a file ----
drawn() { "$bench" simulate --json --device bandwidth=2GB/s --compute-rate 20GB/s --cache-layers 4 --replacement lru "$@"; }
for shape in tiny-moe olmoe-1b-7b mixtral-8x7b gpt-oss-20b deepseek-v2-lite qwen3-30b-a3b; do
    drawn --shape $shape >"$work/out" || fail "$shape"
    holds "$work/out" '.layerbench.cells[0] | .bytes_read > 0 and .optimum_bytes <= .bytes_read' "$shape" '.layerbench.cells[0]'
done
drawn --shape olmoe-1b-7b >a.json
drawn --shape olmoe-1b-7b >b.json
check "the same routes every time" cmp a.json b.json
bytes() { jq '.layerbench.cells[0].bytes_read' "$1"; }
drawn --shape olmoe-1b-7b --routing-skew 1.4 >skewed.json
drawn --shape olmoe-1b-7b --routing-persistence 0.9 >persistent.json
drawn --shape olmoe-1b-7b --cache-bytes 16MiB --cache-layers auto >one.json
drawn --shape olmoe-1b-7b --cache-bytes 16MiB --cache-layers auto --batch 4 >four.json
check "skew and persistence spare reads" awk "BEGIN { exit !($(bytes skewed.json) < $(bytes a.json) && $(bytes persistent.json) < $(bytes a.json)) }"
check "four sequences share experts, where next to nothing is cached: $(bytes one.json), $(bytes four.json)" \
    awk "BEGIN { exit !($(bytes four.json) > 1.5 * $(bytes one.json) && $(bytes four.json) < 3.6 * $(bytes one.json)) }"
answers 0 "synthetic routing (skew 0.7, persistence 0.45)" "$bench" simulate --shape tiny-moe \
    --device bandwidth=2GB/s --compute-rate 20GB/s --cache-layers 2
answers 2 "a mixture of experts: expected --replay" "$bench" simulate --model usual.gguf \
    --device bandwidth=2GB/s --compute-rate 20GB/s --cache-layers 2

# ---- tune: predicted is what routers choose, not all there is (16 MB a layer) ----
answers 0 "predicted" "$bench" tune --model usual.gguf --memory 90MiB --device bandwidth=1GB/s,latency=0
reading=$(grep -o 'reading [^;]*' "$work/out" | head -n 1)
check "a pass of few megabytes: $reading" grep -qE '^predicted.*reading ([0-9.]+ kB|[1-5](\.[0-9]+)? MB);' "$work/out"

# ---- a run ----
cat >s.json <<'END'
{"name":"experts","about":"A test?","model":{"synth":{"shape":"tiny-moe","quant":"Q4_K_M","layers":3,"routing_skew":0.9}},
 "matrix":{"resident":["none","dense"],"replacement":["lru","lfu"],"prefetch":["off"]},"warmup":0,"repetitions":1,
 "fixed":{"threads":1,"prompt_tokens":4,"generate_tokens":12,"storage":"memory","cache_layers":1,
          "device":{"bandwidth":"1GB/s","latency":"0"},"log_routes":true}}
END
note='synthetic routing (skew 0.9, persistence 0.45)'
answers 0 "$note" "$bench" run s.json --out r
check "named after its routing" test -e models/tiny-moe-3-Q4_K_M-1-skew0.9-persistence0.45.gguf
holds r/result.json '.layerbench.scenario.effective.model.synthetic_routing.skew == 0.9 or
    (.layerbench.scenario.effective.model.synthetic_routing.skew - 0.9 | fabs) < 1e-6' "in result.json"
for file in r/summary.md r/report.html r/plots/*.gp; do
    grep -qF "$note" "$file" || fail "$file does not say: $note"
done
is "$(sed -n 's/^| \(none\|dense\|all\) .*/\1/p' r/summary.md | head -n 5 | paste -sd' ')" "none none dense dense all" \
    "the table's column: what of the layers is resident"
"$bench" simulate --against r >"$work/out" 2>"$work/err" || fail "against: $(cat "$work/err")"
is "$(awk '/replacement=/ && $(NF-1) " " $NF != $(NF-3) " " $(NF-2)' "$work/out")" "" "read as predicted"
is "$(grep -c replacement= "$work/out")" 4 "cells predicted"
rm r/routes.csv
answers 0 "4 cells of a mixture of experts left out: no routes were recorded (log_routes)" "$bench" simulate --against r

finish
