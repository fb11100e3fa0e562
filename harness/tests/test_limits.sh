# test_limits: limits of containers and shells: the same text and a run that measures, or the reason.
. harness/tests/lib.sh
needs jq
L=$(realpath "$LAYERBENCH")
cd "$work" || exit 1
synth m.gguf --shape tiny --quant Q8_0 --layers 3
echo '{"name":"s","about":"A test?","model":{"path":"m.gguf"},"matrix":{"prefetch":["sync","async"]},"warmup":0,
"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":3,"cache_layers":2},"repetitions":1}' >s.json
generate=("$L" generate -m m.gguf -p hello --tokens 4 --cache-layers 2 -q)
"${generate[@]}" >text 2>err || fail "generate: $(cat err)"
# same WHAT COMMAND...: the command prints the text
same() {
    local what=$1; shift
    timeout 60 "$@" >got 2>err </dev/null
    is $? 0 "$what: exit code ($(head -1 err))"
    cmp -s text got || fail "$what: other text"
}
limited=(bash -c 'ulimit $1 && shift && exec "$@"' sh) # LIMIT COMMAND...
same "no locked memory" "${limited[@]}" "-l 0" "${generate[@]}"
for files in 16 8 6 5; do same "$files open files" "${limited[@]}" "-n $files" "${generate[@]}"; done
grep -q "Too many open files" err || fail "5 open files: the reason is not said: $(cat err)"
same "300 MB of address space" "${limited[@]}" "-v 300000" "${generate[@]}" --threads 1
same "300 MB of address space, cache: auto" "${limited[@]}" "-v 300000" "$L" generate -m m.gguf -p hello --tokens 4 -q --threads 1
timeout 60 "${limited[@]}" "-n 4" "${generate[@]}" >got 2>err
cmp -s text got || grep -q "Too many open files" err || fail "4 open files: $(cat err)"
answers 0 "" "${limited[@]}" "-n 16" "$L" run s.json --out files --no-plots -q
is "$(jq '[.layerbench.cells[].samples[] | select(.failed)] | length' files/result.json)" 0 "failed samples with 16 open files"

# threads: as many as the affinity allows, and a note for more
cpu=$(taskset -cp $$ 2>/dev/null | sed 's/.*: //; s/[-,].*//')
if [ -n "$cpu" ]; then
    for c in generate micro; do
        is "$(taskset -c "$cpu" "$L" $c --help | sed -n 's/.*--threads.*\[\([0-9]*\)\].*/\1/p')" 1 "threads of $c on one processor"
    done
    taskset -c "$cpu" "${generate[@]:0:10}" --threads 3 >got 2>err
    grep -qE "threads 3: this process may use 1 processor(;|$)" err || fail "more threads than processors: $(cat err)"
    # a cell's affinity reaches its samples
    jq --arg cpu "$cpu" '.fixed += {threads: 2, affinity: $cpu}' s.json >affinity.json
    answers 0 "" "$L" run affinity.json --out affinity --no-plots -q
    holds affinity/result.json '[.layerbench.cells[].samples[].notice | test("threads 2: this process may use 1 processor(;|$)")] | all' \
        "samples with an affinity" '.layerbench.cells[].samples[].notice'
fi
jq '.fixed.affinity = "1023"' s.json >affinity.json # is not here
answers 2 "'1023': expected processors of this machine" "$L" gate s.json --baseline none.json --affinity 1023
answers 5 "affinity 1023: Invalid argument" "$L" run affinity.json --out nowhere --no-plots -q
# the quota of a control group (version 1, where it can be made)
group=/sys/fs/cgroup/cpu/layerbench-test-$$
if mkdir "$group" 2>/dev/null && echo 100000 >"$group/cpu.cfs_period_us" && echo 100000 >"$group/cpu.cfs_quota_us" 2>/dev/null; then
    at_end+=("sleep 0.1; rmdir $group")
    is "$(sh -c "echo \$\$ >$group/cgroup.procs; exec $L generate --help" | sed -n 's/.*--threads.*\[\([0-9]*\)\].*/\1/p')" 1 "threads with a quota of one processor"
    mkdir "$group/below" && at_end=("rmdir $group/below; sleep 0.1; rmdir $group")
    is "$(sh -c "echo \$\$ >$group/below/cgroup.procs; exec $L generate --help" | sed -n 's/.*--threads.*\[\([0-9]*\)\].*/\1/p')" 1 "threads with a quota of the group above"
else
    part_skipped "the quota of a control group: none can be made here"
fi

# no /proc
if unshare -m true 2>/dev/null; then
    without=(unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' sh)
    same "without /proc" "${without[@]}" "${generate[@]}"
    answers 0 "" "${without[@]}" "$L" run s.json --out noproc --no-plots -q
    is "$(jq '[.layerbench.cells[].samples[] | select(.failed)] | length' noproc/result.json)" 0 "failed samples without /proc"
    check "the result without /proc" "$L" validate noproc/result.json noproc/layers.jsonl
else
    part_skipped "without /proc: no mount namespaces here"
fi

# another user with no more processes: the threads cannot start, and that is said
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid=65533 --clear-groups test -x "$L"; then
    chmod a+rx . && chmod a+r m.gguf
    timeout 60 setpriv --reuid=65533 --clear-groups bash -c 'ulimit -u 1; exec "$@"' sh "$L" generate -m m.gguf -p hello --tokens 4 -q --threads 2 >got 2>err
    is $? 5 "no more processes: exit code"
    grep -q "cannot start thread 2 of 2: Resource temporarily unavailable" err || fail "no more processes: $(cat err)"
fi
finish
