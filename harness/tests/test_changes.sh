# test_changes: what changes under a run: the model replaced, written to, cut or removed between and
# within samples ends run and gate with a line that says so and exit code 5, and a resumed run or a merge
# does not go on with another model; a clock that is set back moves no time of a result.
set -u
command -v jq >/dev/null || { echo "skipped: needs jq to look into JSON"; exit 77; }
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }
synth() { "$LAYERBENCH" synth --shape tiny --layers 3 --quant Q8_0 --seed "$1" -o "$2" 2>"$dir/err" || { cat "$dir/err"; exit 1; }; }
synth 1 "$dir/one.gguf"
synth 2 "$dir/two.gguf"
scenario() { # REPETITIONS BANDWIDTH
    printf '{"name":"s","about":"?","model":{"path":"%s"},"repetitions":%d,"warmup":0,
        "matrix":{"prefetch":["sync","async"]},"fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,
        "generate_tokens":4,"storage":"pread","device":{"bandwidth":"%s"}}}' "$dir/m.gguf" "$1" "$2" >"$dir/s.json"
}
# becomes true when the command below has measured something
wait_for() { # CONDITION...
    for _ in $(seq 200); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}
has_samples() { [ "$(wc -l 2>/dev/null <"$dir/r/layers.jsonl" || echo 0)" -gt 0 ]; }

scenario 500 1GB/s
for change in "replaced:mv $dir/new.gguf $dir/m.gguf" "written to:dd if=$dir/new.gguf of=$dir/m.gguf conv=notrunc status=none" \
    "became shorter:truncate -s 4096 $dir/m.gguf" "removed:rm $dir/m.gguf"; do
    rm -rf "$dir/r"
    cp "$dir/one.gguf" "$dir/m.gguf"
    cp "$dir/two.gguf" "$dir/new.gguf"
    "$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" >"$dir/out" 2>"$dir/err" &
    pid=$!
    wait_for has_samples || fail "$change: no sample in 10 s"
    ${change#*:}
    wait $pid
    code=$?
    [ $code = 5 ] || fail "$change: exit code $code, expected 5"
    grep -q "the model changed during the run: .*m.gguf .*${change%%:*}" "$dir/err" || fail "$change: said '$(cat "$dir/err")'"
    jq -e '[.layerbench.warnings[] | select(test("changed during the run"))] | length == 1' "$dir/r/result.json" >/dev/null ||
        fail "$change: result.json does not say it"
    [ "$(jq .layerbench.complete "$dir/r/result.json")" = false ] || fail "$change: the result calls itself complete"
    # nothing of the other model is in the result: all samples gave the same tokens
    [ "$(jq '[.layerbench.cells[].samples[].tokens_hash] | unique | length' "$dir/r/result.json")" -le 1 ] ||
        fail "$change: samples of two models in one result"
done

# the same size, other bytes: not the same run
scenario 2 1GB/s
rm -rf "$dir/r"
cp "$dir/one.gguf" "$dir/m.gguf"
"$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" >"$dir/out" 2>&1 || fail "run: $(cat "$dir/out")"
jq '.layerbench.complete = false | .layerbench.cells[0].samples = []' "$dir/r/result.json" >"$dir/part" && cp "$dir/part" "$dir/r/result.json"
cp "$dir/two.gguf" "$dir/m.gguf"
"$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" --resume >"$dir/out" 2>"$dir/err"
code=$?
[ $code = 2 ] && grep -q "another model" "$dir/err" || fail "resumed with another model: exit code $code, '$(cat "$dir/err")'"
cp "$dir/one.gguf" "$dir/m.gguf"
"$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" --resume >"$dir/out" 2>"$dir/err" || fail "resumed: $(cat "$dir/err")"
for part in 1 2; do
    [ $part = 1 ] || cp "$dir/two.gguf" "$dir/m.gguf"
    "$LAYERBENCH" run "$dir/s.json" --no-plots -q --shard $part/2 --out "$dir/part$part" >"$dir/out" 2>&1 || fail "shard $part: $(cat "$dir/out")"
done
"$LAYERBENCH" merge "$dir/part1" "$dir/part2" --out "$dir/merged" >"$dir/out" 2>"$dir/err"
code=$?
[ $code != 0 ] && grep -q "another model" "$dir/err" || fail "merged two models: exit code $code, '$(cat "$dir/err")'"

# gate: the model is another one when the head's turn comes
cp "$dir/one.gguf" "$dir/m.gguf"
scenario 1 2MB/s
"$LAYERBENCH" gate "$dir/s.json" --baseline "$dir/b.json" --update-baseline >"$dir/out" 2>"$dir/err" &
pid=$!
sleep 0.2
cp "$dir/two.gguf" "$dir/m.gguf"
wait $pid
code=$?
[ $code = 5 ] && grep -q "changed during the gate" "$dir/err" && [ ! -e "$dir/b.json" ] ||
    fail "gate: exit code $code, '$(cat "$dir/err" "$dir/out")', baseline: $(ls "$dir/b.json" 2>&1)"

# wall time is a label (whether the samples are valid is not the question here)
cat >"$dir/clock.c" <<'END'
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
/* every look at the wall clock is an hour before the last one */
int clock_gettime(clockid_t clock, struct timespec *t)
{
    static long looks;
    long result = syscall(SYS_clock_gettime, clock, t);
    if (clock == CLOCK_REALTIME)
        t->tv_sec -= 3600 * looks++;
    return (int)result;
}
END
if ${CC:-cc} -shared -fPIC -o "$dir/clock.so" "$dir/clock.c" 2>"$dir/err" &&
    LD_PRELOAD=$dir/clock.so "$LAYERBENCH" list prefetch >"$dir/out" 2>"$dir/err"; then
    scenario 4 1GB/s
    cp "$dir/one.gguf" "$dir/m.gguf"
    rm -rf "$dir/r"
    LD_PRELOAD=$dir/clock.so "$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" >"$dir/out" 2>&1
    jq -e '[.layerbench.cells[].samples[]] | sort_by(.seq) | [.[].start_ns] |
        . == sort and .[0] >= 0 and .[-1] < 600e9' "$dir/r/result.json" >/dev/null ||
        fail "clock set back: samples start at $(jq -c '[.layerbench.cells[].samples[]] | sort_by(.seq) | [.[].start_ns]' "$dir/r/result.json")"
    jq '.layerbench.complete = false | .layerbench.cells[0].samples = []' "$dir/r/result.json" >"$dir/part" && cp "$dir/part" "$dir/r/result.json"
    last=$(jq '[.layerbench.cells[].samples[].start_ns] | max' "$dir/r/result.json")
    LD_PRELOAD=$dir/clock.so "$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" --resume >"$dir/out" 2>&1
    jq -e --argjson last "$last" '[.layerbench.cells[0].samples[].start_ns] | min > $last' "$dir/r/result.json" >/dev/null ||
        fail "clock set back, resumed: samples start before the last of the first part"
else
    echo "skipped: the clock: a clock of its own cannot be had: $(head -1 "$dir/err")"
fi
[ $failures = 0 ]
