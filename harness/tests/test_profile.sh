# test_profile: where the time of passes goes: tables of generate, keys of a result, folded stacks.
. harness/tests/lib.sh

synth "$work/m.gguf" --shape tiny --quant Q4_K_M --layers 3

# ---- generate
"$LAYERBENCH" generate -m "$work/m.gguf" -p "a b c" -n 5 --threads 1 --storage memory --profile ops \
    --temperature 0 >"$work/text" 2>"$work/err" || fail "generate: exit code $?"
grep -q '^prefill, 1 pass of ' "$work/err" || fail "no table of the prefill"
grep -q '^decode, 4 passes of ' "$work/err" || fail "no table of the decode passes"
[ "$(grep -c '^ffn_down ' "$work/err")" = 2 ] || fail "an operation stands not once in each table"
[ "$(grep -c '^2  ' "$work/err")" = 2 ] || fail "the last layer stands not once in each table"
# three layers: three calls a pass, and shares that make up the whole
awk '/^decode/ { on = 1 } on && /^attn_q / && $2 != 3 { exit 1 }' "$work/err" || fail "calls of attn_q"
for table in operation layer; do
    awk -v table=$table '/^decode/ { decode = 1 } decode && $1 == table { on = 1; next }
        on && !/%/ { on = 0 } on { match($0, /[0-9.]+%/); sum += substr($0, RSTART, RLENGTH - 1) }
        END { exit !(sum > 99 && sum < 101) }' "$work/err" || fail "shares of $table do not make 100%"
done
"$LAYERBENCH" generate -m "$work/m.gguf" -p "a b c" -n 5 --threads 1 --storage memory \
    --temperature 0 >"$work/plain" 2>"$work/err"
cmp -s "$work/text" "$work/plain" || fail "the profile changes the text"
grep -q attn_q "$work/err" && fail "a profile that nobody asked for"

# ---- run: beside the samples, not in them
cat >"$work/s.json" <<END
{"name":"profiled","about":"A test?","model":{"path":"$work/m.gguf"},"matrix":{"prefetch":["off","async"]},
 "fixed":{"threads":1,"prompt_tokens":3,"generate_tokens":4,"storage":"memory","cache_layers":2},
 "repetitions":2,"warmup":0}
END
"$LAYERBENCH" run "$work/s.json" --out "$work/r" --profile ops -q >"$work/out" 2>"$work/err" ||
    fail "run: exit code $?: $(cat "$work/err")"
result=$work/r/result.json
holds "$result" '[.layerbench.cells[].profile | length] | length == 3 and all(. > 0)' "a profile of each cell"
holds "$result" '[.layerbench.cells[].profile[] | select(.op == "attn_q") | .calls] | length == 9 and all(. == 4)' \
    "calls of attn_q in each layer"
holds "$result" '[.layerbench.cells[].profile[] | select(.op == "ffn_down") | .bytes > 0 and .flops > 0 and .ns > 0] | all' \
    "bytes, operations and time"
holds "$result" '[.layerbench.cells[] | .samples | length] | all(. == 2)' "samples"
holds "$result" '[.layerbench.cells[].samples[] | select(.profile)] | length == 0' "profiles of samples"
"$LAYERBENCH" validate "$result" >"$work/out" 2>&1 || fail "the result is not valid: $(cat "$work/out")"
"$LAYERBENCH" trace "$work/r" --cell async --folded >"$work/folded" || fail "trace: exit code $?"
grep -q '^pass;layer 2;ffn_down [0-9]*$' "$work/folded" || fail "no stack of the last layer"
grep -q '^pass;head [0-9]*$' "$work/folded" || fail "no stack of the head"
before=$(jq -c '[.layerbench.cells[].profile]' "$result")
"$LAYERBENCH" run "$work/s.json" --out "$work/r" --resume --profile ops -q >"$work/out" 2>"$work/err" || fail "resume"
[ "$(jq -c '[.layerbench.cells[].profile]' "$result")" = "$before" ] || fail "resumed: other profiles"
finish
