# test_cache_state: page_cache and memory_limit of a run: what a sample claims is so, a sample for
# which it is not is marked and does not count, and no control group stays, not even after a kill.
on_disk=yes
. harness/tests/lib.sh
needs jq
memory=
at_end+=('rm -rf ${memory:+"$memory"}')
result=$work/r/result.json

synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 4 --seed 1
scenario() { # MODEL MATRIX FIXED
    printf '{"name":"state","about":"A test?","model":{"path":"%s"},"matrix":%s,"fixed":{"threads":1,"prompt_tokens":2,
        "generate_tokens":2,"cache_layers":2,%s},"repetitions":2,"warmup":0}' "$1" "$2" "$3" >"$work/s.json"
    rm -rf "$work/r"
}
measure() { # MODEL MATRIX FIXED: into r; the exit code
    scenario "$@"
    "$LAYERBENCH" run "$work/s.json" --out "$work/r" --no-plots -q >"$work/out" 2>&1
}
good='.layerbench.cells[] | select(.reference | not) | .samples[]'

# ---- page_cache
if [ "$(stat -f -c %T "$work")" = tmpfs ]; then
    part_skipped "/var/tmp is a tmpfs: no file there is ever cold"
else
    measure "$work/m.gguf" '{"page_cache":["cold","warm"],"storage":["pread","mmap"]}' '"prefetch":"off"' ||
        { fail "cold and warm: exit code $?"; cat "$work/out"; }
    holds "$result" "[$good] | length == 8" "every sample is there"
    holds "$result" "[.layerbench.cells[] | select(.name | test(\"cold\")) | .samples[].cached_before_ppm | . >= 0 and . <= 5000] | length == 4 and all" "cold is cold"
    holds "$result" "[.layerbench.cells[] | select(.name | test(\"warm\")) | .samples[].cached_before_ppm | . >= 995000] | length == 4 and all" "warm is warm"
    holds "$result" \
        '[.layerbench.cells[] | select(.name | test("page_cache=cold/storage=pread")) | .samples[].kernel_bytes] | all(. > 0)' "cold reads come from the disk"
    # a mapped layer that is evicted leaves the page cache too: its next load comes from the disk
    holds "$result" \
        '[.layerbench.cells[] | select(.name | test("warm/storage=pread")) | .samples[].kernel_bytes] | all(. == 0)' "warm reads do not come from the disk"
fi
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && memory=$(mktemp -d -p /dev/shm 2>/dev/null); then
    cp "$work/m.gguf" "$memory/m.gguf"
    measure "$memory/m.gguf" '{"page_cache":["cold","warm"]}' '"prefetch":"off","storage":"pread"'
    is $? 5 "exit code with a file that cannot be cold"
    holds "$result" '[.layerbench.cells[] | select(.name == "page_cache=cold") | .samples[]] | length == 0' "samples that are not cold do not count"
    holds "$result" '[.layerbench.cells[] | select(.name == "page_cache=cold") | .failures[].failed | test("it cannot be cold")] | length == 2 and all' "and are marked"
    holds "$result" '[.layerbench.cells[] | select(.name == "page_cache=warm") | .samples[]] | length == 2' "the others count"
else
    part_skipped "no /dev/shm: no file that cannot be cold"
fi

# ---- memory_limit
left_groups() { find /sys/fs/cgroup -maxdepth 8 -type d -name 'layerbench-*' 2>/dev/null | while read -r group; do
    [ -d "/proc/${group##*-}" ] || echo "$group" # others may be at work
done; }
before=$(left_groups) # below other parents, of others that were killed
measure "$work/m.gguf" '{"memory_limit":["8MiB","512MiB"]}' '"prefetch":"off","storage":"pread"'
is $? 5 "exit code with a limit that is too small"
why=$(jq -r '.layerbench.cells[] | select(.name == "memory_limit=8MiB") | .failed' "$work/r/result.json")
if [[ $why == "memory_limit: no control group can be made here"* ]]; then
    [[ $why == *"run as root, or under"* ]] || fail "it does not say what to do: $why"
    part_skipped "memory_limit was not tried: $why"
else
    is "$why" "out of memory: killed by the kernel at memory_limit" "a limit that is too small"
    holds "$result" '[.layerbench.cells[] | select(.name == "memory_limit=512MiB") | .samples[]] | length == 2' "a limit that suffices"
    holds "$result" "[$good.cached_before_ppm] | all(. <= 5000)" "the model was not in others' page cache"
    is "$(left_groups)" "$before" "groups after a run"
    # killed while a sample is in its group: it is removed by the next run
    for i in 1 2 3; do
        scenario "$work/m.gguf" '{"memory_limit":["512MiB"]}' '"prefetch":"off","storage":"pread","device":{"bandwidth":"20MB/s"}'
        "$LAYERBENCH" run "$work/s.json" --out "$work/r" --no-plots -q >"$work/out" 2>&1 &
        sleep 0.$((RANDOM % 5 + 2))
        kill -9 $!
        wait $! 2>/dev/null
    done
    measure "$work/m.gguf" '{"memory_limit":["512MiB"]}' '"prefetch":"off","storage":"pread"' || { fail "a run after kills"; cat "$work/out"; }
    is "$(left_groups)" "$before" "groups after kills and one more run"
fi

finish
