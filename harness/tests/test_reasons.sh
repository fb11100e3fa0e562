# test_reasons: what a message says is what went wrong, and the exit code agrees with it.
. harness/tests/lib.sh
needs jq
L=$(realpath "$LAYERBENCH")
cd "$work" || exit 1
synth m.gguf --shape tiny --quant Q8_0 --layers 3
scenario() { # NAME CACHE_LAYERS GENERATE MORE
    echo '{"name":"s","about":"A test?","model":{"path":"m.gguf"},"matrix":{"prefetch":["sync"]},"warmup":0,
"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":'"$3"',"cache_layers":'"$2$4"'},"repetitions":2}' >"$1.json"
}
scenario s 2 3 ',"storage":"pread"'
scenario long 2 400 ',"storage":"pread"'
scenario cold 2 3 ',"storage":"pread","page_cache":"cold"'
"$L" run s.json --out o --no-plots -q >out 2>&1 || { cat out; exit 1; }

# ---- a limit on the size of files: the reason, not the death of the process that writes
(ulimit -f 40 && answers 5 "File too large" "$L" run long.json --out big --no-plots -q
 expect 5 "layerbench synth: t.gguf: cannot write *: File too large" "$L" synth --shape tiny -o t.gguf
 expect 5 "layerbench report: r.html: cannot write: File too large" "$L" report o -o r.html
 [ $failures = 0 ]) || fail "with a limit on the size of files"
is "$(ls -A | grep -E 'layerbench-|^t.gguf|^r.html')" "" "what is left with a limit on the size of files"
check "the result with a limit on the size of files" "$L" validate big/result.json

# ---- a file that lies in memory cannot be cold; what posix_fadvise returns is its error
mkdir t
if mount -t tmpfs layerbench-test t 2>err; then
    at_end+=("umount $work/t 2>/dev/null")
    cp m.gguf t/m.gguf
    answers 5 "page_cache cold: the file lies in memory (tmpfs): it cannot be cold" "$L" run cold.json -m t/m.gguf --out c --no-plots
    umount t
else
    part_skipped "a model in memory: $(cat err)"
fi

# ---- names of files that are not UTF-8: refused where JSON would have to name them
odd=$'caf\xe9.gguf'
cp m.gguf "$odd"
cp s.json $'caf\xe9.json'
utf8="*the path is not UTF-8: * cannot name it"
expect 2 "layerbench tune: $utf8" "$L" tune -m "$odd" --memory 64MiB --scenario t.json
[ ! -e t.json ] || fail "a scenario that cannot name its model is written"
expect 2 "layerbench tune: $utf8" "$L" tune -m m.gguf --memory 64MiB --scenario t.json --speculate draft --draft-model "$odd"
expect 2 "layerbench run: $utf8" "$L" run s.json -m "$odd" --out u --no-plots
expect 2 "layerbench run: $utf8" "$L" run $'caf\xe9.json' --out u --no-plots
[ ! -e u ] || fail "a run that is refused makes its folder"
"$L" gate s.json --update-baseline --baseline b.json >out 2>&1
expect 2 "layerbench gate: $utf8" "$L" gate s.json -m "$odd" --baseline b.json --json g.json
expect 2 "layerbench compare: $utf8" "$L" compare o $'o\xe9' --json
expect 2 "layerbench probe: $utf8" "$L" probe --file "$odd" --json
# elsewhere they are as good as others
expect 0 "" "$L" generate -m "$odd" -p a --tokens 2
expect 0 "" "$L" inspect "$odd"
expect 0 "" "$L" validate $'caf\xe9.json'
expect 0 "" "$L" run s.json --out $'r\xe9' --no-plots -q
expect 0 "" "$L" validate $'r\xe9'/result.json

# ---- a read that fails is no bad input, not even where the model is opened
for prefetch in off resident; do
    expect 5 "layerbench generate: layer 0, *: reading * failed: Input/output error" "$L" generate -m m.gguf -p a --tokens 2 -q --prefetch $prefetch --fault eio --fault-nth 1
done

# ---- a long option comes to the sample whole, or is refused
long=$(printf 'folder-of-prompts/%.0s' $(seq 40))
mkdir -p "$long" && echo '{"text": "hello"}' >"$long/p.jsonl"
jq --arg p "$long/p.jsonl" '.fixed.prompts = $p' s.json >long-option.json
expect 0 "" "$L" run long-option.json --out l --no-plots -q
is "$(jq -r .layerbench.cells[0].options.prompts l/result.json)" "$long/p.jsonl" "a long option in the result"
jq '.fixed.prompts = "x" * 5000' s.json >too-long.json
expect 2 "layerbench run: too-long.json: *" "$L" run too-long.json --out l2 --no-plots -q
expect 2 "layerbench generate: --draft-model: *: 5000 bytes: expected less than 4096" "$L" generate -m m.gguf -p a --draft-model "$(printf 'x%.0s' $(seq 5000))"

# ---- a standard output that takes nothing
for c in --help --version list "list options" "inspect m.gguf" "generate -m m.gguf -p a --tokens 2 -q" "validate s.json"; do
    "$L" $c >/dev/full 2>err
    is $? 5 "$c to a full device: exit code"
    grep -q "cannot write to standard output" err || fail "$c to a full device: $(cat err)"
done
"$L" list >/dev/full 2>err
grep -q "cannot write to standard output: No space left on device" err || fail "the reason is not said: $(cat err)"

# ---- the gate: what it says is what it ends with
answers 5 "^verdict: no regression, but a report could not be written (exit code 5" "$L" gate s.json --baseline b.json --json /dev/full
answers 5 "/dev/full: cannot write: No space left on device" "$L" gate s.json --baseline b.json --markdown /dev/full
GITHUB_STEP_SUMMARY=nowhere/summary answers 2 "nowhere/summary: cannot write: No such file or directory" "$L" gate s.json --baseline b.json
is "$(cat out)" "" "a gate that cannot write its summary prints"
GITHUB_STEP_SUMMARY=$work/summary answers 0 "exit code 0" "$L" gate s.json --baseline b.json
grep -q "layerbench gate: no regression" summary || fail "no summary"

# ---- numbers out of range in a result: named, left out, and the figures say so
damaged() { # FILTER: a last line of the log
    rm -rf d && cp -r o d && head -1 o/layers.jsonl | sed "$1" >>d/layers.jsonl
}
line=$(($(wc -l <o/layers.jsonl) + 1))
for change in 's/"rep":[0-9]*/"rep":1e0/' 's/"rep":[0-9]*/"rep":1e308/' 's/"wait_ns":[0-9]*/"wait_ns":-1e308/' 's/"wait_ns":[0-9]*/"wait_ns":-1/' \
    's/"wait_ns":[0-9]*/"wait_ns":1.5/' 's/"need_ns":[0-9]*/"need_ns":1e308/' 's/"layer":[0-9]*/"layer":70000/' 's/"pass":[0-9]*/"pass":-1/' \
    's/"read_ns":[0-9]*/"read_ns":99999999999999999999/'; do
    damaged "$change"
    answers 0 "1 of $line lines are damaged or of an unknown cell, line $line first; left out" "$L" plot d --only latency
    grep -q "1 damaged lines of the log left out" d/plots/latency.gp || fail "$change: the figure does not say so"
    answers 0 "line $line first; left out" "$L" report d -o d.html
    answers 0 "" "$L" trace d --cell prefetch=sync -o d.trace
done
for change in '.seq = 1e308' '.rep = 1.5' '.wait_ns = -5' '.wait_ns = -1e308' '.pass_ns[0] = 1e308' '.outcomes.hit = 1e300' '.start_ns = 1e19'; do
    rm -rf d && cp -r o d && jq ".layerbench.cells[0].samples[0]$change" o/result.json >d/result.json
    answers 0 "sample 1: [a-z_]* is no whole number from 0 to 10^18; left out" "$L" plot d --only time-by-cell
    answers 0 "is no whole number" "$L" report d -o d.html
    answers 0 "" "$L" trace d --cell prefetch=sync -o d.trace
    answers 2 "expected" "$L" compare d o
    answers 2 "expected" "$L" merge d -o merged
done
answers 0 "" "$L" plot o --only latency
! grep -q "is no whole\|damaged" err || fail "a sound result: $(cat err)"

# ---- notes that name nothing have no empty name
expect 0 "layerbench simulate: cache_layers clamped to the model's 10 layers" \
    "$L" simulate --layers 10 --layer-bytes 1MB --compute 1ms --cache-layers 40 --device bandwidth=1GB/s
expect 2 "layerbench validate: .: is a directory: expected a regular file" "$L" validate .
finish
