#!/bin/bash
# test_simulate_against: a run predicts its own cells; bytes read are exact where no thread races.
. harness/tests/lib.sh
needs jq

synth "$work/m.gguf" --shape tiny --quant Q4_K_M --layers 6
cat >"$work/s.json" <<END
{"name":"predicted","about":"A test?","model":{"path":"$work/m.gguf"},
 "fixed":{"threads":1,"prompt_tokens":3,"generate_tokens":6,"storage":"memory",
   "device":{"bandwidth":"1GB/s","latency":"20us"}},
 "matrix":{"prefetch":["off","sync","async"],"replacement":["lru","belady"],"cache_layers":[2,4],
   "unit":["layer","64KiB"]},
 "repetitions":1,"warmup":0}
END
"$LAYERBENCH" run "$work/s.json" --out "$work/r" -q >"$work/out" 2>"$work/err" ||
    { cat "$work/err" && exit 1; }
result=$work/r/result.json
holds "$result" \
    '[.layerbench.cells[] | (.prediction != null) == (.reference != true)] | length == 25 and all' "every cell but the resident one is predicted"
holds "$result" \
    '[.layerbench.cells[] | select(.options.prefetch != "async" and .prediction) | (.samples[0] | .decode.bytes_read / (.pass_ns | length)) - .prediction.bytes_read |
      fabs < 1] | length == 16 and all' "off and sync read what is predicted, to the byte"
holds "$result" \
    '[.layerbench.cells[] | select(.options.prefetch != "async" and .prediction) |
      (.samples[0].pass_ns | length) as $n | .prediction.outcomes as $p | .samples[0].decode.outcomes |
      ((.hit / $n - $p.hit) | fabs < 1e-9) and ((.miss / $n - $p.miss) | fabs < 1e-9)] | length == 16 and all' "and have the predicted outcomes"
holds "$result" \
    '[.layerbench.cells[] | select(.options.prefetch != "async" and .prediction) |
      .prediction.pass_ns > 0.999 * .prediction.bytes_read] | length == 16 and all' "no prediction beats the device"
sed 's/"cache_layers":\[2,4\],//' "$work/s.json" >"$work/auto.json"
"$LAYERBENCH" run "$work/auto.json" --filter prefetch=sync --out "$work/auto" -q --no-plots >"$work/out" 2>"$work/err" ||
    { cat "$work/err" && exit 1; }
holds "$work/auto/result.json" '[.layerbench.cells[] | select(.prediction)] | length == 4' \
    "cells whose cache is automatic are predicted, from what it came to"
check "the figure is drawn" [ -s "$work/r/plots/prediction.svg" ]

# afterwards, from the result alone: the same
"$LAYERBENCH" simulate --against "$work/r" --json >"$work/out" || failed=1
holds "$work/out" '(.cells | length == 24) and .left_out == 0 and .error_median >= 0 and
    .error_p95 >= .error_median and .error_worst >= .error_p95 and .error_worst == ([.cells[].error] | max)' "errors"
check "the same predictions" [ "$(jq -c '[.cells[].prediction.pass_ns | floor]' "$work/out")" = \
    "$(jq -c '[.layerbench.cells[] | select(.prediction) | .prediction.pass_ns | floor]' "$result")" ]
"$LAYERBENCH" simulate --against "$result" >"$work/out" || failed=1
check "a line a cell, and the sum" [ "$(wc -l <"$work/out")" = 26 ]
check "the sum is said" grep -q '^24 cells: error .* in the median' "$work/out"

# damage
jq 'del(.layerbench.cells[2].samples[0].all, .layerbench.cells[2].samples[0].wall_ns)' "$result" >"$work/half.json"
"$LAYERBENCH" simulate --against "$work/half.json" >"$work/out" 2>"$work/err"
check "a damaged sample is bad input" [ $? = 2 ]
check "and named" grep -q "a sample's 'wall_ns' is missing or damaged" "$work/err"
jq '(.layerbench.cells[] | select(.reference) | .samples) = []' "$result" >"$work/alone.json"
check "without a resident cell nothing is predicted" "$LAYERBENCH" simulate --against "$work/alone.json" --json >"$work/out"
holds "$work/out" '(.cells | length == 0) and .left_out == 24' "and all are left out"
echo '{"layerbench":{}}' >"$work/bad.json"
"$LAYERBENCH" simulate --against "$work/bad.json" 2>"$work/err"
check "another file is bad input" [ $? = 2 ]
check "and said" grep -q 'expected a result of layerbench' "$work/err"
"$LAYERBENCH" simulate --against "$work/nowhere" 2>"$work/err"
check "so is none" [ $? = 2 ]
finish
