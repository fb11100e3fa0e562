# test_changes: what changes under a run: the model replaced, written to, cut or removed between and
# within samples ends run and gate with a line that says so and exit code 5, and a resumed run or a merge
# does not go on with another model; a clock that is set back moves no time of a result.
. harness/tests/lib.sh
needs jq
synth "$work/one.gguf" --shape tiny --layers 3 --quant Q8_0 --seed 1
synth "$work/two.gguf" --shape tiny --layers 3 --quant Q8_0 --seed 2
scenario() { # REPETITIONS BANDWIDTH
    printf '{"name":"s","about":"?","model":{"path":"%s"},"repetitions":%d,"warmup":0,
        "matrix":{"prefetch":["sync","async"]},"fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,
        "generate_tokens":4,"storage":"pread","device":{"bandwidth":"%s"}}}' "$work/m.gguf" "$1" "$2" >"$work/s.json"
}
has_samples() { [ "$(wc -l 2>/dev/null <"$work/r/layers.jsonl" || echo 0)" -gt 0 ]; }

scenario 500 1GB/s
for change in "replaced:mv $work/new.gguf $work/m.gguf" "written to:dd if=$work/new.gguf of=$work/m.gguf conv=notrunc status=none" \
    "became shorter:truncate -s 4096 $work/m.gguf" "removed:rm $work/m.gguf"; do
    rm -rf "$work/r"
    cp "$work/one.gguf" "$work/m.gguf"
    cp "$work/two.gguf" "$work/new.gguf"
    "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" >"$work/out" 2>"$work/err" &
    pid=$!
    until_true has_samples || fail "$change: no sample in 10 s"
    ${change#*:}
    wait $pid
    code=$?
    is $code 5 "$change: exit code"
    grep -q "the model changed during the run: .*m.gguf .*${change%%:*}" "$work/err" || fail "$change: said '$(cat "$work/err")'"
    jq -e '[.layerbench.warnings[] | select(test("changed during the run"))] | length == 1' "$work/r/result.json" >/dev/null ||
        fail "$change: result.json does not say it"
    [ "$(jq .layerbench.complete "$work/r/result.json")" = false ] || fail "$change: the result calls itself complete"
    # nothing of the other model is in the result: all samples gave the same tokens
    [ "$(jq '[.layerbench.cells[].samples[].tokens_hash] | unique | length' "$work/r/result.json")" -le 1 ] ||
        fail "$change: samples of two models in one result"
done

# the same size, other bytes: not the same run
scenario 2 1GB/s
rm -rf "$work/r"
cp "$work/one.gguf" "$work/m.gguf"
answers 0 "" "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r"
jq '.layerbench.complete = false | .layerbench.cells[0].samples = []' "$work/r/result.json" >"$work/part" && cp "$work/part" "$work/r/result.json"
cp "$work/two.gguf" "$work/m.gguf"
answers 2 "another model" "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" --resume
cp "$work/one.gguf" "$work/m.gguf"
answers 0 "" "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" --resume
for part in 1 2; do
    [ $part = 1 ] || cp "$work/two.gguf" "$work/m.gguf"
    answers 0 "" "$LAYERBENCH" run "$work/s.json" --no-plots -q --shard $part/2 --out "$work/part$part"
done
answers 2 "another model" "$LAYERBENCH" merge "$work/part1" "$work/part2" --out "$work/merged"

# gate: the model is another one when the head's turn comes
cp "$work/one.gguf" "$work/m.gguf"
scenario 1 2MB/s
"$LAYERBENCH" gate "$work/s.json" --baseline "$work/b.json" --update-baseline >"$work/out" 2>"$work/err" &
pid=$!
sleep 0.2
cp "$work/two.gguf" "$work/m.gguf"
wait $pid
code=$?
[ $code = 5 ] && grep -q "changed during the gate" "$work/err" && [ ! -e "$work/b.json" ] ||
    fail "gate: exit code $code, '$(cat "$work/err" "$work/out")', baseline: $(ls "$work/b.json" 2>&1)"

# wall time is a label (whether the samples are valid is not the question here)
cat >"$work/clock.c" <<'END'
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
/* every look at the wall clock is an hour before the last one; the first as many as SET_BACK says */
int clock_gettime(clockid_t clock, struct timespec *t)
{
    static long looks = -1;
    if (looks < 0)
        looks = getenv("SET_BACK") ? atol(getenv("SET_BACK")) : 0;
    long result = syscall(SYS_clock_gettime, clock, t);
    if (clock == CLOCK_REALTIME)
        t->tv_sec -= 3600 * looks++;
    return (int)result;
}
END
if ${CC:-cc} -shared -fPIC -o "$work/clock.so" "$work/clock.c" 2>"$work/err" &&
    LD_PRELOAD=$work/clock.so "$LAYERBENCH" list prefetch >"$work/out" 2>"$work/err"; then
    scenario 4 1GB/s
    cp "$work/one.gguf" "$work/m.gguf"
    rm -rf "$work/r"
    LD_PRELOAD=$work/clock.so "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" >"$work/out" 2>&1
    jq -e '[.layerbench.cells[].samples[]] | sort_by(.seq) | [.[].start_ns] |
        . == sort and .[0] >= 0 and .[-1] < 600e9' "$work/r/result.json" >/dev/null ||
        fail "clock set back: samples start at $(jq -c '[.layerbench.cells[].samples[]] | sort_by(.seq) | [.[].start_ns]' "$work/r/result.json")"
    jq '.layerbench.complete = false | .layerbench.cells[0].samples = []' "$work/r/result.json" >"$work/part" && cp "$work/part" "$work/r/result.json"
    last=$(jq '[.layerbench.cells[].samples[].start_ns] | max' "$work/r/result.json")
    SET_BACK=1000 LD_PRELOAD=$work/clock.so "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" --resume >"$work/out" 2>&1
    jq -e --argjson last "$last" '[.layerbench.cells[0].samples[].start_ns] | min > $last' "$work/r/result.json" >/dev/null ||
        fail "clock set back, resumed: samples start before the last of the first part"
else
    part_skipped "the clock: a clock of its own cannot be had: $(head -1 "$work/err")"
fi
finish
