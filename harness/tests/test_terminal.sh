# test_terminal: what a run says to people: a table that fits, one sentence at the end, warnings counted,
# how to go on after Ctrl-C; two cells compared; a row to share.
. harness/tests/lib.sh
needs jq
L=$LAYERBENCH
cd "$work" || exit 1
synth private-name.gguf --shape tiny --quant Q4_K_M --layers 4
sweep=(-m private-name.gguf --set threads=1 --set storage=memory --set device=bandwidth=1GB/s --set prompt_tokens=2 --set generate_tokens=3
    --vary prefetch=sync,async --vary replacement=lru,belady --vary cache_layers=2-4 --vary prefetch_distance=1,2 --repetitions 2 --no-plots)

# ---- the table: no line is longer than the terminal, what says most stays, the rest is named
for width in 80 120 200; do
    rm -rf "r$width"
    COLUMNS=$width "$L" run "${sweep[@]}" --out r$width >out$width 2>err$width || fail "run at $width columns: $(cat err$width)"
    is "$(grep -v '^result: ' out$width | awk -v w=$width '{ gsub(/[\200-\277]/, ""); if (length($0) > w) n++ } END { print n + 0 }')" 0 "lines longer than $width columns"
    for title in pass relative cache_; do grep -q -- "$title" out$width || fail "at $width columns there is no $title"; done
    is "$(grep -c '^a\?sync' out$width)" 24 "cells at $width columns"
done
grep -q '^not shown: .*hit/pref/late/miss.*: a wider' out80 || fail "what is left out is not named: $(grep 'not shown' out80)"
! grep -q '^not shown' out200 || fail "something is left out at 200 columns"
head -n 2 out200 | tail -n 1 | grep -q 'of floor' || fail "the share of the floor at 200 columns"
"$L" run "${sweep[@]}" --out piped >out 2>err
is "$(grep -c '^not shown' out)" 0 "a pipe has no width"
# relative: 1 for the fastest that streams, and for it alone the least
is "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["reference"] == 0 { n++; time[n] = $at["token_ns"]; relative[n] = $at["relative"]; if (!best || time[n] < time[best]) best = n }
    END { for (i = 1; i <= n; i++) { off = relative[i] - time[i] / time[best]; wrong += off > 1e-6 || off < -1e-6 }
        print relative[best], n, wrong + 0 }' r80/summary.csv)" "1 24 0" "relative is the time over that of the fastest: it, cells, wrong ones"

# ---- the end: which, by how much, what limits it; the same setting that the figures say
# of a made result: async belady with most cache is best, by a factor that is known
make_result made modes=sync,async policies=lru,belady caches=2,6 distances=1 reps=3
sentence=$("$L" report made -o page.html >/dev/null && grep -o 'The fastest setting is [^.]*' page.html | head -n 1)
[ -n "$sentence" ] || fail "the report names no fastest setting"
last=$(sed -n '/^The fastest/,$p' out80 | grep -v '^result: ' | paste -sd' ')
best=$(jq -r '[.layerbench.cells[] | select(.reference | not) | {name, ns: ([.samples[] | .pass_ns | add / length] | sort | add / length)}] | min_by(.ns).name' r80/result.json)
[[ $last == "The fastest setting is $best: a decode pass takes "*" tokens a second; that is "*" times as fast as the next, "*" times as fast as the slowest, "*"what limits it is "* ]] ||
    fail "the sentence at the end: $last (the fastest is $best)"

# ---- warnings of one kind are one line with a count; summary.md has all
"$L" run -m private-name.gguf --set threads=1 --set storage=memory --vary prefetch=sync,async --vary cache_layers=4,7,8,9 --repetitions 1 --no-plots --out clamped >out 2>err
is "$(grep -c 'clamped to the model' err)" 1 "lines about clamped caches"
grep -q '^note: .*clamped to the model.s 4 layers.*(and 5 more cells: see summary.md)$' err || fail "the count of clamped caches: $(grep clamped err)"
is "$(grep -c '^- .*clamped to the model' clamped/summary.md)" 6 "clamped caches in summary.md"

# ---- Ctrl-C: the command that goes on, in words that a shell takes
set -m # a job of its own, that SIGINT reaches, also where it was ignored at the start of the tests
env --default-signal "$L" run "${sweep[@]}" --repetitions 100000 --filter 'async|sync' --out 'a folder' >out 2>err &
pid=$!
until_true [ -s 'a folder/samples.jsonl' ]
kill -INT $pid
wait $pid
is $? 130 "exit code of a run that is interrupted"
again=$(tail -n 1 err)
[[ $again == "layerbench run -m private-name.gguf "*" --filter 'async|sync' --out 'a folder' --resume" ]] || fail "how to go on: $again"
had=$(wc -l <'a folder/layers.jsonl')
eval "$L ${again#layerbench} --budget 1" >out 2>err
[ -s 'a folder/result.json' ] && [ "$(wc -l <'a folder/layers.jsonl')" -ge "$had" ] && ! grep -q "^layerbench run: .*not" err || fail "going on: $(cat err)"
"$L" run "${sweep[@]}" --repetitions 100000 >out 2>err &
pid=$!
until_true compgen -G 'results/runs/*/*/samples.jsonl' >/dev/null
kill -TERM $pid
wait $pid
set +m
[[ $(tail -n 1 err) == *"--resume --out results/runs/sweep-"*"/2"* ]] || fail "how to go on in a folder of its own: $(tail -n 1 err)"

# ---- two cells of one result; their names need not be whole, but tell one
expect 2 "layerbench compare: r80: * cells match 'async', *: name it more exactly" "$L" compare r80:async r80:sync
expect 2 "layerbench compare: r80: no cell 'zzz' in the result*" "$L" compare r80:zzz r80:sync
answers 5 "expected a cell of both results, or of neither" "$L" compare "r80:$best" r80
one=prefetch=sync/replacement=lru/cache_layers=2/prefetch_distance=1 two=prefetch=async/replacement=lru/cache_layers=2/prefetch_distance=1
answers 0 "^$one : $two$" "$L" compare "r80:sync,lru,C=2,d=1" "r80/result.json:$two"
! grep -q "not measured in turns" "$work/err" || fail "cells of one run are measured in turns"
"$L" compare r80:$one r80:$two --json >pair.json 2>/dev/null
is "$(jq -c '[.comparisons[] | select(.metric == "bytes_read")][0] | [.base, .head] | map(round)' pair.json)" \
    "$(jq -c --arg a $one --arg b $two '[.layerbench.cells[] as $c | select($c.name == $a or $c.name == $b) | $c.samples | map(.decode.bytes_read / (.pass_ns | length)) | sort | (.[0] + .[1]) / 2 | round]' r80/result.json)" "bytes are those of a pass"

# ---- a row to share: it has what it says, and nothing that tells who or where
"$L" datapoint r80 >row.md 2>err || fail "datapoint: $(cat err)"
"$L" datapoint r80 --json >row.json 2>err || fail "datapoint --json: $(cat err)"
is "$(wc -l <row.md)" 3 "a table of one row"
is "$(awk -F'|' '{ print NF }' row.md | sort -u | wc -l)" 1 "the row has the columns of its head"
name=$(jq -r .setting.prefetch row.json)/$(jq -r .setting.cache_layers row.json)
[[ $best == prefetch=${name%/*}/*cache_layers=${name#*/}/* ]] || fail "the fastest cell is told: $(jq -c .setting row.json), $best"
holds row.json '.model.layers == 4 and .model.architecture == "llama" and .setting.threads == 1 and .tokens_per_second > 0 and (.processors > 0) and (.memory_bytes > 0) and (.version | length > 0) and .samples == 2' "the row"
is "$(jq -r .tokens_per_second row.json | awk '{ printf "%.3g", $1 }')" "$(awk -F, -v cell="\"$best\"" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    $at["cell"] == cell { printf "%.3g", $at["tokens_per_second"] }' r80/summary.csv)" "tokens/s is that of summary.csv"
for secret in private-name /tmp "$work" "$(uname -n)" "${USER:-nobody-at-all}@"; do
    ! grep -qF -- "$secret" row.md || fail "the row tells '$secret': $(cat row.md)"
    ! grep -qF -- "$secret" row.json || fail "the JSON tells '$secret': $(cat row.json)"
done
echo '{"text": "a secret plan"}' >plan.jsonl
"$L" run -m private-name.gguf --set threads=1 --set prompts=plan.jsonl --vary prefetch=sync --repetitions 1 --no-plots -q --out p >/dev/null 2>&1
is "$("$L" datapoint p --json | jq -r .setting.prompts)" "a file" "a file is not named"
is "$("$L" datapoint r80 --json --cell "$two" | jq -c '[.setting.prefetch, .setting.replacement, .setting.cache_layers]')" '["async","lru",2]' "another cell"
expect 2 "layerbench datapoint: r80: no cell 'zzz'*" "$L" datapoint r80 --cell zzz
expect 2 "layerbench datapoint: none: no such result" "$L" datapoint none
expect 2 "layerbench datapoint: expected one result, got 0" "$L" datapoint
finish
