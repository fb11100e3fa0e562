# test_two_at_once: two processes in one place: one of them is refused or waits, and nothing of the two
# gets mixed.
. harness/tests/lib.sh
needs jq
root=$PWD
L=$(realpath "$LAYERBENCH")
cd "$work" || exit 1
synth m.gguf --shape tiny --quant Q8_0 --layers 3
scenario() { # NAME MODEL REPETITIONS
    printf '{"name":"%s","about":"A test?","model":%s,"matrix":{"prefetch":["sync","off"]},"warmup":0,
"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":2,"cache_layers":2,"storage":"pread"},"repetitions":%d}' "$@" >"$1.json"
}
scenario s '{"path":"m.gguf"}' 2
scenario long '{"path":"m.gguf"}' 100000
"$L" run s.json --out alone --no-plots -q >out 2>&1 || { cat out; exit 1; }
lines=$(wc -l <alone/layers.jsonl)

# ---- two runs into one folder at the same moment: one measures, the other says why not
for k in 1 2 3 4; do
    rm -rf o
    "$L" run s.json --out o --no-plots -q >a.out 2>a.err & a=$!
    "$L" run s.json --out o --no-plots -q >b.out 2>b.err & b=$!
    wait $a; a=$?; wait $b; b=$?
    is "$(((a < b ? a : b)))$(((a < b ? b : a)))" 02 "exit codes of two runs into one folder"
    cat a.err b.err | grep -qE "^layerbench run: o: is (being written by another layerbench|not empty)" || fail "two runs: $(cat a.err b.err)"
    is "$(cat a.err b.err | wc -l)" 1 "lines of two runs"
    is "$(wc -l <o/layers.jsonl)" "$lines" "lines of the log"
    "$L" validate o/result.json o/layers.jsonl >out 2>&1 || fail "two runs: $(cat out)"
done

# ---- while one is at work: run, --resume and merge into its folder are refused, and it is named
"$L" run long.json --out o2 --no-plots -q >long.out 2>&1 & pid=$!
until_true [ -s o2/samples.jsonl ]
for c in "run s.json --out o2 --no-plots" "run long.json --out o2 --no-plots --resume" "run long.json --out ./o2/ --no-plots --resume" "merge alone -o o2"; do
    "$L" $c >out 2>err; is $? 2 "$c: exit code"
    grep -qE "o2/?: is being written by another layerbench, process $pid$" err || fail "$c: $(cat err)"
done
"$L" validate o2/result.json >out 2>&1 || fail "the run that was there first: $(cat out)"
"$L" report o2 -o page.html >out 2>err; is $? 0 "report of a run at work"
# the lock ends with it, however it ends
kill -KILL $pid; wait $pid 2>/dev/null
"$L" run long.json --out o2 --no-plots -q --resume --repetitions 100000 >out 2>err & pid=$!
sleep 0.3; kill -0 $pid 2>/dev/null || fail "resume after a kill: $(cat err)"
kill -TERM $pid; wait $pid 2>/dev/null
# a closed lock is not inherited by what a run leaves behind
is "$(ls -A o2 | grep -vxE 'layers.csv|layers.jsonl|samples.jsonl|result.json|summary.csv|summary.md' || true)" "" "files in a folder of two runs"

# ---- runs that make the same model: it is made once, whole, and both measure
scenario cached '{"synth":{"shape":"tiny","quant":"Q8_0","seed":9}}' 1
"$L" run cached.json --out c1 --no-plots -q >c1.out 2>&1 & a=$!
"$L" run cached.json --out c2 --no-plots -q >c2.out 2>&1 & b=$!
"$L" gate cached.json --update-baseline --baseline c.json >c3.out 2>&1 & c=$!
wait $a; is $? 0 "the first run of a new model ($(cat c1.out))"
wait $b; is $? 0 "the second run of a new model ($(cat c2.out))"
wait $c; is $? 0 "a gate of a new model ($(cat c3.out))"
is "$(ls -A models)" tiny-Q8_0-9.gguf "the models that were made"

# ---- two synth into one file: one of the two, whole
for k in 1 2; do
    "$L" synth --shape tiny --layers 2 --seed 1 -o same.gguf >a.out 2>&1 & a=$!
    "$L" synth --shape tiny --layers 2 --seed 1 -o same.gguf >b.out 2>&1 & b=$!
    wait $a; is $? 0 "synth beside synth ($(cat a.out))"; wait $b; is $? 0 "synth beside synth ($(cat b.out))"
    "$L" inspect same.gguf >out 2>&1 || fail "two synth: $(cat out)"
    is "$(ls -A | grep -c layerbench-)" 0 "leftovers of two synth"
done

# ---- runs without a folder of their own choice: two folders, and "latest" is one of them
"$L" run s.json --no-plots -q >a.out 2>&1 & a=$!
"$L" run s.json --no-plots -q >b.out 2>&1 & b=$!
wait $a; is $? 0 "a run beside another ($(cat a.out))"; wait $b; is $? 0 "a run beside another ($(cat b.out))"
is "$(cat a.out b.out | sort -u | wc -l)" 2 "folders of two runs"
is "$(jq .layerbench.complete results/runs/s/latest/result.json)" true "latest"
is "$(find results/runs/s -maxdepth 1 -name '.*' -type l | wc -l)" 0 "temporary links"

# ---- two plots of one result: both whole
if command -v gnuplot >/dev/null; then
    "$L" plot alone -o p0 >out 2>&1
    "$L" plot alone -o p1 >a.out 2>&1 & a=$!
    "$L" plot alone -o p1 >b.out 2>&1 & b=$!
    wait $a; is $? 0 "plot beside plot ($(cat a.out))"; wait $b; is $? 0 "plot beside plot ($(cat b.out))"
    same_figures p0 p1 "two plots"
fi

# ---- two make: the second waits for what the first installs and builds
if command -v flock >/dev/null; then
    for target in run test quick-test; do
        make -n -C "$root" $target 2>/dev/null | grep -E "setup|all( test-binaries)?$" | grep -v flock >out
        is "$(cat out)" "" "steps of make $target that take no lock"
    done
fi

finish
