# test_profile: where the time of passes goes: tables of generate, keys of a result, folded stacks.
set -u
failures=0
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
say() { echo "$*"; failures=$((failures + 1)); }
holds() { jq -e "$2" "$1" >/dev/null || say "$3: $(jq -c "${4:-$2}" "$1" 2>&1 | head -c 300)"; }

"$LAYERBENCH" synth --shape tiny --quant Q4_K_M --layers 3 -o "$dir/m.gguf" || say "no model"

# ---- generate
"$LAYERBENCH" generate -m "$dir/m.gguf" -p "a b c" -n 5 --threads 1 --storage memory --profile ops \
    --temperature 0 >"$dir/text" 2>"$dir/err" || say "generate: exit code $?"
grep -q '^prefill, 1 pass of ' "$dir/err" || say "no table of the prefill"
grep -q '^decode, 4 passes of ' "$dir/err" || say "no table of the decode passes"
[ "$(grep -c '^ffn_down ' "$dir/err")" = 2 ] || say "an operation stands not once in each table"
[ "$(grep -c '^2  ' "$dir/err")" = 2 ] || say "the last layer stands not once in each table"
# three layers: three calls a pass, and shares that make up the whole
awk '/^decode/ { on = 1 } on && /^attn_q / && $2 != 3 { exit 1 }' "$dir/err" || say "calls of attn_q"
for table in operation layer; do
    awk -v table=$table '/^decode/ { decode = 1 } decode && $1 == table { on = 1; next }
        on && !/%/ { on = 0 } on { match($0, /[0-9.]+%/); sum += substr($0, RSTART, RLENGTH - 1) }
        END { exit !(sum > 99 && sum < 101) }' "$dir/err" || say "shares of $table do not make 100%"
done
"$LAYERBENCH" generate -m "$dir/m.gguf" -p "a b c" -n 5 --threads 1 --storage memory \
    --temperature 0 >"$dir/plain" 2>"$dir/err"
cmp -s "$dir/text" "$dir/plain" || say "the profile changes the text"
grep -q attn_q "$dir/err" && say "a profile that nobody asked for"

# ---- run: beside the samples, not in them
cat >"$dir/s.json" <<END
{"name":"profiled","about":"A test?","model":{"path":"$dir/m.gguf"},"matrix":{"prefetch":["off","async"]},
 "fixed":{"threads":1,"prompt_tokens":3,"generate_tokens":4,"storage":"memory","cache_layers":2},
 "repetitions":2,"warmup":0}
END
"$LAYERBENCH" run "$dir/s.json" --out "$dir/r" --profile ops -q >"$dir/out" 2>"$dir/err" ||
    say "run: exit code $?: $(cat "$dir/err")"
result=$dir/r/result.json
holds "$result" '[.layerbench.cells[].profile | length] | length == 3 and all(. > 0)' "a profile of each cell"
holds "$result" '[.layerbench.cells[].profile[] | select(.op == "attn_q") | .calls] | length == 9 and all(. == 4)' \
    "calls of attn_q in each layer"
holds "$result" '[.layerbench.cells[].profile[] | select(.op == "ffn_down") | .bytes > 0 and .flops > 0 and .ns > 0] | all' \
    "bytes, operations and time"
holds "$result" '[.layerbench.cells[] | .samples | length] | all(. == 2)' "samples"
holds "$result" '[.layerbench.cells[].samples[] | select(.profile)] | length == 0' "profiles of samples"
"$LAYERBENCH" validate "$result" >"$dir/out" 2>&1 || say "the result is not valid: $(cat "$dir/out")"
"$LAYERBENCH" trace "$dir/r" --cell async --folded >"$dir/folded" || say "trace: exit code $?"
grep -q '^pass;layer 2;ffn_down [0-9]*$' "$dir/folded" || say "no stack of the last layer"
grep -q '^pass;head [0-9]*$' "$dir/folded" || say "no stack of the head"
before=$(jq -c '[.layerbench.cells[].profile]' "$result")
"$LAYERBENCH" run "$dir/s.json" --out "$dir/r" --resume --profile ops -q >"$dir/out" 2>"$dir/err" || say "resume"
[ "$(jq -c '[.layerbench.cells[].profile]' "$result")" = "$before" ] || say "resumed: other profiles"
[ $failures = 0 ]
