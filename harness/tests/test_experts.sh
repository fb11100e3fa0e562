# test_experts: a run of a mixture of experts: what of its streaming the result holds, and routes.csv.
. harness/tests/lib.sh
shared=${LAYERBENCH_SHARED:-../shared}
model=$shared/experts/models/tiny-mixtral-q4_k_m.gguf
[ -e "$model" ] || skip "no $model"
run=$LAYERBENCH

# 3 layers of 8 experts, 2 a token; 3 prompt tokens in one pass and 5 decoded tokens
cat >"$work/s.json" <<END
{"name":"experts","about":"A test?","model":{"path":"$(realpath "$model")"},
 "matrix":{"unit":["expert","layer","64KiB"],"prefetch":["off","async"]},"warmup":0,"repetitions":2,
 "fixed":{"threads":2,"prompt_tokens":3,"generate_tokens":5,"storage":"memory","cache_layers":1,
          "log_routes":true}}
END
"$run" run "$work/s.json" --out "$work/r" --no-plots >"$work/out" 2>"$work/err" ||
    fail "exit code $?: $(cat "$work/err")"
result=$work/r/result.json
holds "$result" '[.layerbench.cells[] | .invalid, .failed] | all(. == null)' "invalid cells"
holds "$result" '[.layerbench.cells[].samples[].logits_hash] | unique | length == 1' "the same logits"
"$run" validate "$result" "$work/r/layers.jsonl" >/dev/null 2>"$work/err" || fail "not valid: $(cat "$work/err")"

# a decode pass needs part 0 and two experts of each layer, each once, whatever was cached
jq -es '[.[] | select(.phase == "decode" and (.cell | test("unit=expert")))] |
    length > 0 and all(.units | length == 3 and .[0][9] == 0 and all(.[1:][]; .[9] >= 1 and .[9] <= 8)
                       and .[1][9] != .[2][9])' "$work/r/layers.jsonl" >/dev/null ||
    fail "units of a decode pass: $(grep decode "$work/r/layers.jsonl" | head -n 1)"
# and the routes say which
routes=$work/r/routes.csv
head -n 1 "$routes" | grep -qx 'cell,rep,sequence,position,pass,layer,experts,weights' || fail "columns: $(head -n 1 "$routes")"
LC_ALL=C awk -F, 'NR > 1 { n[$1 $2]++; if (split($7, e, " ") != 2 || split($8, w, " ") != 2 || e[1] == e[2] ||
    w[1] < w[2] || w[1] + w[2] < 0.999 || w[1] + w[2] > 1.001 || $3 != 0 || $4 != ($5 ? $5 + 2 : $4)) bad = 1 }
    END { for (k in n) { samples++; if (n[k] != 3 * 2 + 1 + 3 * 5) bad = 1 }; exit bad || samples < 12 }' "$routes" ||
    fail "routes: $(sed -n 2,4p "$routes")"
jq -r 'select(.phase == "decode" and (.cell | test("unit=expert"))) |
    "\"\(.cell)\",\(.rep),\(.pass),\(.layer) \([.units[1:][] | .[9] - 1] | sort | join(" "))"' "$work/r/layers.jsonl" |
    sort >"$work/had"
LC_ALL=C awk -F, 'NR > 1 && $5 > 0 && $1 ~ /unit=expert/ { split($7, e, " ");
    print $1 "," $2 "," $5 "," $6 " " (e[1] + 0 < e[2] + 0 ? e[1] " " e[2] : e[2] " " e[1]) }' "$routes" |
    sort >"$work/chosen"
cmp -s "$work/had" "$work/chosen" || fail "had and chosen differ: $(diff "$work/had" "$work/chosen" | head -n 4)"

# the figures of a cell say the same: hits by the log, the demand by units; a batch shares experts
jq -es 'def rate: ([.[][1]] | map(select(. == 0)) | length) / length;
    [.[] | select(.phase == "decode" and .cell == "unit=expert/prefetch=off" and .rep == 0) | .units[1:][]] | rate' \
    "$work/r/layers.jsonl" >"$work/rate"
holds "$result" "[.layerbench.cells[] | select(.name == \"unit=expert/prefetch=off\").samples[0] |
    .experts_needed == 30, .expert_layers == 15, .expert_choices == 30, .expert_units == 30,
    ((.expert_hits / .expert_units) - $(cat "$work/rate") | fabs) < 1e-9] | all" "experts counted"
columns() { # of the cell that begins with $1; its name and values hold no commas
    awk -F, -v cell="\"$1\"" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $1 == cell {
        print $at["experts_per_token"], $at["tokens_per_expert"], "<" $at["expert_hit_rate"] ">",
              ($at["demand_bytes"] > $at["bytes_read"]) }' "$work/r/summary.csv"
}
rate=$(jq -r "[.layerbench.cells[] | select(.name == \"unit=expert/prefetch=off\").samples[] | .expert_hits / .expert_units] | add / length | . * 1e4 | round" "$result")
is "$(columns unit=expert/prefetch=off | awk '{ gsub("[<>]", "", $3); print $1, $2, int($3 * 1e4 + 0.5), $4 }')" "2 1 $rate 1" "columns of experts"
is "$(columns unit=layer/prefetch=off | cut -d' ' -f1-3)" "2 1 <>" "a layer as one unit: no hit rate"

# the trace of experts that arrive in any order is well-formed
"$BUILD/harness/tests/test_trace" "$work/r" unit=expert/prefetch=async 2>"$work/err" || fail "trace: $(head -n 3 "$work/err")"

# damaged on purpose: resume drops what it does not know and runs what is missing
jq '.layerbench.cells[0].samples |= .[:1]' "$result" >"$work/less" && mv "$work/less" "$result"
echo 'half a li' >>"$routes"
before=$(wc -l <"$routes")
"$run" run "$work/s.json" --out "$work/r" --resume --no-plots >"$work/out" 2>"$work/err" || fail "resume: $? $(cat "$work/err")"
[ "$(wc -l <"$routes")" = "$((before - 1))" ] || fail "resume: $before lines became $(wc -l <"$routes")"

# without read-ahead nothing races: the bytes of the run are those that the simulator reads, exactly
cat >"$work/c.json" <<END
{"name":"counts","about":"A test?","model":{"path":"$(realpath "$model")"},
 "matrix":{"replacement":["lru","fifo","belady","lfu"]},"warmup":0,"repetitions":1,
 "fixed":{"threads":2,"prompt_tokens":1,"generate_tokens":40,"storage":"memory","prefetch":"off",
          "cache_bytes":"1500KB","log_routes":true}}
END
"$run" run "$work/c.json" --out "$work/c" --no-plots -q >"$work/out" 2>"$work/err" || fail "counts: $? $(cat "$work/err")"
for policy in lru fifo belady lfu; do
    read=$(jq ".layerbench.cells[] | select(.name == \"replacement=$policy\") | .samples[0].decode.bytes_read" "$work/c/result.json")
    "$run" simulate --json --model "$model" --replay "$work/c/routes.csv" --replay-cell "replacement=$policy" \
        --prefetch off --replacement $policy --cache-bytes 1500KB --storage memory --device bandwidth=1GB/s \
        --compute 1ms --warmup 1 --passes 40 >"$work/out" 2>"$work/err" || fail "simulate $policy: $(cat "$work/err")"
    jq -e ".layerbench.cells[0].bytes_read * 40 - $read | . < 1 and . > -1" "$work/out" >/dev/null ||
        fail "$policy: $read bytes read, simulated $(jq '.layerbench.cells[0].bytes_read * 40' "$work/out")"
done

# predictors change no bit, and their books are those of the simulator
cat >"$work/p.json" <<END
{"name":"predictors","about":"A test?","model":{"path":"$(realpath "$model")"},
 "matrix":{"predict":["off","previous","hot","gate-ahead"],"prefetch":["off","async"]},"warmup":0,"repetitions":1,
 "fixed":{"threads":2,"prompt_tokens":1,"generate_tokens":40,"storage":"memory","predict_depth":2,
          "cache_bytes":"1500KB","log_routes":true}}
END
"$run" run "$work/p.json" --out "$work/p" --no-plots -q >"$work/out" 2>"$work/err" || fail "predictors: $? $(cat "$work/err")"
holds "$work/p/result.json" '[.layerbench.cells[].samples[].logits_hash] | unique | length == 1' "the same logits"
holds "$work/p/result.json" '[.layerbench.cells[] | select(.options.prefetch != "resident") |
    .samples[0].predict == .options.predict and (.samples[0].prediction == null) == (.options.predict == "off")] | all' "in force"
holds "$work/p/result.json" '[.layerbench.cells[].samples[0].prediction | select(.) | .foreseen <= .misses and .vain <= .loads and
    (.scores | length == 2 and all(.[]; length == 3 and all(.[]; .[1] <= .[0] and .[1] <= .[2])))] | length >= 6 and all' "books"
grep -q '^## Predictions' "$work/p/summary.md" && head -n 1 "$work/p/summary.csv" | grep -q ',precision,recall,foreseen,' ||
    fail "summary: no predictions"
if command -v gnuplot >/dev/null; then
    "$run" plot "$work/p" >"$work/out" 2>"$work/err" || fail "plot: $(cat "$work/err")"
    for figure in hits-by-time prediction-by-depth; do [ -s "$work/p/plots/$figure.svg" ] || fail "no $figure"; done
    is "$(grep -c '^"gate-ahead" [12] ' "$work/p/plots/prediction-by-depth.dat")" 2 "depths of gate-ahead"
fi
for how in previous hot; do
    cell=predict=$how/prefetch=off
    "$run" simulate --json --model "$model" --replay "$work/p/routes.csv" --replay-cell "$cell" --predict $how \
        --predict-depth 2 --prefetch off --cache-bytes 1500KB --storage memory --device bandwidth=1GB/s \
        --compute 1ms --warmup 1 --passes 40 >"$work/out" 2>"$work/err" || fail "simulate $how: $(cat "$work/err")"
    jq -c '.layerbench.cells[0].prediction | [.misses, .foreseen, .loads, .vain, .scores]' "$work/out" >"$work/simulated"
    jq -c --arg cell "$cell" '.layerbench.cells[] | select(.name == $cell) | .samples[0].prediction | [.misses, .foreseen, .loads,
        .vain, [.scores[] | transpose | map(add)]]' "$work/p/result.json" >"$work/ran"
    cmp -s "$work/ran" "$work/simulated" || fail "$how: ran $(cat "$work/ran"), simulated $(cat "$work/simulated")"
done
expect 2 "*predict 'clairvoyant': expected a replay*" "$run" sample -m "$model" --predict clairvoyant
expect 2 "*predict 'gate-ahead': expected off, previous, hot or clairvoyant*" "$run" simulate --model "$model" \
    --replay "$work/p/routes.csv" --predict gate-ahead --cache-bytes 1500KB --device bandwidth=1GB/s --compute 1ms

# a router that gives no numbers: one line, and exit code 5
cp "$model" "$work/nan.gguf" && chmod u+w "$work/nan.gguf"
at=$("$run" inspect --json "$model" | jq '.tensors[] | select(.name == "blk.1.ffn_gate_inp.weight") | .offset')
printf '\000\000\300\177' | dd of="$work/nan.gguf" bs=1 seek="$at" conv=notrunc 2>/dev/null
expect 5 '*layer 1: the router gives no finite number*' \
    "$run" sample -m "$work/nan.gguf" --prompt-tokens 2 --generate-tokens 2 --json
finish
