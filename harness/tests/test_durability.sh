# test_durability: a run that is killed at any moment, hangs, or fills the disk leaves valid files, and
# goes on to the result that it would have had. LAYERBENCH_LONG=1 kills 50 runs and 20 merges instead
# of 4 and 3; SEED chooses the moments.
. harness/tests/lib.sh
needs jq
mounted=
at_end+=('[ -z "$mounted" ] || umount "$mounted"')
kills=4 merges=3
[ -z "${LAYERBENCH_LONG:-}" ] || { kills=50 && merges=20; }
RANDOM=${SEED:=$RANDOM}
echo "SEED=$SEED: $kills runs and $merges merges are killed"

synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 4 --seed 1
scenario() { # NAME MATRIX MORE
    printf '{"name":"%s","about":"A test?","model":{"path":"%s"},"matrix":%s,"warmup":0,"fixed":{"threads":1,%s' \
        "$1" "$work/m.gguf" "$2" "$3" >"$work/$1.json"
}
# no async: what it does follows from times
scenario whole '{"prefetch":["off","sync"],"replacement":["lru","belady"],"cache_layers":[2,3]}' \
    '"prompt_tokens":3,"generate_tokens":4,"storage":"memory","device":{"bandwidth":"4GB/s"}},"repetitions":3,"seed":7}'
now() { date +%s%N; }
run() { "$LAYERBENCH" run "$work/$1.json" --no-plots -q "${@:2}"; }

start=$(now)
run whole --out "$work/whole" >"$work/out" 2>&1 || { fail "the whole run: exit code $?"; cat "$work/out"; exit 1; }
took=$((($(now) - start) / 1000000))
whole=$(untimed "$work/whole/result.json")
whole_log=$(untimed_log "$work/whole")

# Every file of a directory is valid. The process that appends to the log outlives the run by a
# moment, so that a kill cannot cut its line: it is given that moment.
valid() { # DIR WHAT
    local try file left
    checks=$((checks + 1))
    for try in 1 2 3 4 5; do
        left=
        for file in "$1"/result.json "$1"/layers.jsonl; do
            [ ! -e "$file" ] || "$LAYERBENCH" validate "$file" >"$work/out" 2>&1 || left="$left $(cat "$work/out")"
        done
        for file in "$1"/summary.csv "$1"/summary.md "$1"/layers.csv; do
            [ ! -e "$file" ] || [ "$(tail -c 1 "$file" | wc -l)" = 1 ] || left="$left $file is cut"
        done
        [ -n "$left" ] || return
        sleep 0.1
    done
    fail "$2:$left"
}
equals_whole() { # DIR WHAT
    is "$(untimed "$1/result.json")" "$whole" "$2: the result"
    is "$(untimed_log "$1")" "$whole_log" "$2: the layer log"
    is "$(jq .layerbench.complete "$1/result.json")" true "$2: complete"
    is "$(cut -d, -f1-3 "$1/layers.csv")" "$(cut -d, -f1-3 "$work/whole/layers.csv")" "$2: waits and reads"
    is "$(find "$1" -maxdepth 1 -name '*.tmp*')" "" "$2: leftovers"
    valid "$1" "$2"
}
# die MILLISECONDS COMMAND...: kills it by then, with signal 9
die() {
    local after=$1 pid
    shift
    "$@" >"$work/out" 2>&1 &
    pid=$!
    sleep_ms $after
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
}

# ---- killed, and resumed until done: each time at another moment, from the start to the end
for ((i = 0; i < kills; i++)); do
    at_random moment $((took + took / 20))
    rm -rf "$work/k"
    die "$moment" "$LAYERBENCH" run "$work/whole.json" --no-plots -q --out "$work/k"
    valid "$work/k" "killed after $moment of $took ms"
    if [ $((i % 3)) = 0 ]; then # and once more, on the way
        at_random next $((took / 2))
        die $next "$LAYERBENCH" run "$work/whole.json" --no-plots -q --out "$work/k" --resume
        valid "$work/k" "killed after $moment of $took ms and when resumed"
    fi
    run whole --out "$work/k" --resume >"$work/out" 2>&1 || { fail "resume after $moment ms: exit code $?"; cat "$work/out"; }
    equals_whole "$work/k" "resumed after $moment of $took ms"
done
# in the last steps: predictions, layers.csv, figures, report
if command -v gnuplot >/dev/null; then
    for ((i = 0; i < (kills + 3) / 4; i++)); do
        rm -rf "$work/k" && cp -r "$work/whole" "$work/k"
        rm "$work/k/layers.csv"
        at_random moment 1500
        die "$moment" "$LAYERBENCH" run "$work/whole.json" -q --out "$work/k" --resume
        valid "$work/k" "killed $moment ms after the last sample"
        run whole --out "$work/k" --resume >"$work/out" 2>&1 || fail "resume of a finished run: exit code $?"
        equals_whole "$work/k" "finished again after $moment ms"
    done
else
    part_skipped "no gnuplot: no kill while figures are drawn"
fi

# ---- merges that are killed
for i in 1 2 3; do run whole --shard $i/3 --out "$work/$i" >"$work/out" 2>&1 || { fail "shard $i"; cat "$work/out"; }; done
start=$(now)
"$LAYERBENCH" merge "$work/1" "$work/2" "$work/3" --out "$work/merged" >"$work/out" 2>&1 || { fail "merge"; cat "$work/out"; }
took=$((($(now) - start) / 1000000))
for ((i = 0; i < merges; i++)); do
    at_random moment "$took"
    rm -rf "$work/k"
    die "$moment" "$LAYERBENCH" merge "$work/1" "$work/2" "$work/3" --out "$work/k"
    valid "$work/k" "merge killed after $moment of $took ms"
    rm -rf "$work/k"
    "$LAYERBENCH" merge "$work/1" "$work/2" "$work/3" --out "$work/k" >"$work/out" 2>&1 || fail "merge after a merge was killed"
    diff -rq "$work/merged" "$work/k" || fail "merge after a merge was killed: another result"
done

# ---- a sample that hangs: failed with the reason, and the run goes on
scenario hangs '{"device":["none",{"bandwidth":"1GB/s","latency":"1000s"}]}' \
    '"prefetch":"off","cache_layers":2,"prompt_tokens":2,"generate_tokens":2,"storage":"memory"},"repetitions":1}'
start=$(now)
run hangs --out "$work/h" --timeout 1 >"$work/out" 2>&1
is $? 5 "exit code of a run with a sample that hangs"
[ $((($(now) - start) / 1000000000)) -lt 100 ] || fail "a sample that hangs holds up the run"
is "$(jq -r '.layerbench.cells[] | select(.failed) | .failed' "$work/h/result.json")" "not done after 1 s (--timeout)" "the reason"
is "$(jq '[.layerbench.cells[] | select(.failed | not) | .samples | length == 1] | all' "$work/h/result.json")" true "the other cells"
is "$(jq .layerbench.complete "$work/h/result.json")" true "a run with a sample that hangs is complete"
valid "$work/h" "a sample hangs"
"$LAYERBENCH" run "$work/hangs.json" --timeout 0 >"$work/out" 2>&1
is $? 2 "exit code of --timeout 0"

# ---- a full disk: a clear error and intact files; with room again, the run goes on
mkdir "$work/small"
if mount -t tmpfs -o size=192k layerbench-test "$work/small" 2>"$work/err"; then
    mounted=$work/small
    run whole --out "$work/small/r" >"$work/out" 2>"$work/err"
    is $? 5 "exit code with a full disk"
    is "$(wc -l <"$work/err")" 1 "lines on stderr with a full disk"
    grep -q "^layerbench run: $work/small/r/.*: cannot write: No space left on device" "$work/err" || fail "a full disk: $(cat "$work/err")"
    valid "$work/small/r" "a full disk"
    n=$(($(jq '[.layerbench.cells[].samples[]] | length' "$work/small/r/result.json") + \
        $(cat "$work/small/r/samples.jsonl" 2>/dev/null | wc -l))) # in the result, and in its journal
    [ "$n" -ge 1 ] && [ "$n" -lt 27 ] || fail "$n samples on the small disk: expected some, not all 27"
    is "$(jq .layerbench.complete "$work/small/r/result.json")" false "complete with a full disk"
    mount -o remount,size=64m "$work/small" || fail "cannot enlarge the small disk"
    run whole --out "$work/small/r" --resume >"$work/out" 2>&1 || { fail "resume with room again: exit code $?"; cat "$work/out"; }
    equals_whole "$work/small/r" "resumed with room again"
    mount -o remount,size=64k "$work/small" 2>/dev/null
    rm -rf "$work/small/r"
    mount -o remount,size=64k "$work/small" || fail "cannot make the disk smaller"
    "$LAYERBENCH" merge "$work/1" "$work/2" "$work/3" --out "$work/small/m" >"$work/out" 2>"$work/err"
    is $? 5 "exit code of merge with a full disk"
    is "$(wc -l <"$work/err")" 1 "lines on stderr of merge with a full disk"
    grep -q 'No space left on device' "$work/err" || fail "merge on a full disk: $(cat "$work/err")"
    valid "$work/small/m" "merge on a full disk"
else
    part_skipped "a full disk was not tried: $(cat "$work/err")"
fi

finish
