# test_identities: the engine breaks each identity on purpose; the run says which, marks the cell invalid
# and ends with exit code 5. Unbroken, the same cells are valid.
on_disk=yes
. harness/tests/lib.sh
needs jq
synth "$work/m.gguf" --shape tiny --quant Q8_0 --seed 1
study() { # BREAKS STORAGE
    printf '{"name":"broken","about":"?","model":{"path":"%s"},"repetitions":1,"warmup":0,
        "matrix":{"prefetch":["sync"]},"fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,
        "generate_tokens":4,"storage":"%s"%s}}' "$work/m.gguf" "$2" "${1:+,\"breaks\":\"$1\"}" >"$work/s.json"
    rm -rf "$work/r"
    "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/r" >"$work/out" 2>&1
}
invalid() { jq -r "[.layerbench.cells[] | select($1) | .invalid // empty] | join(\" \")" "$work/r/result.json"; }

study "" memory
is $? 0 "exit code, nothing broken"
is "$(invalid true)" "" "invalid, nothing broken"
for case in "outcomes:outcomes " "time:compute + wait + other = " "memory:peak RSS " "tokens:hash " \
    "needs:units had "; do
    what=${case%%:*}
    study "$what" memory
    is $? 5 "exit code, $what broken"
    check "$what broken: the cell is invalid because of it" grep -qF "${case#*:}" <<<"$(invalid true)"
    # of two cells with different tokens, the one that was measured later is the invalid one
    [ "$what" = tokens ] || is "$(invalid .reference)" "" "$what broken: the resident cell is invalid too"
done

# what the kernel counts, it counts of reads from a disk
study "" direct
if [ "$(jq '[.layerbench.cells[].samples[].kernel_bytes] | max' "$work/r/result.json" 2>/dev/null || echo 0)" -gt 0 ]; then
    is "$(invalid true)" "" "invalid, nothing broken, direct"
    study bytes direct
    is $? 5 "exit code, bytes broken"
    check "bytes broken: the cell is invalid because of it" grep -q "bytes read .*by the kernel" <<<"$(invalid true)"
else
    part_skipped "bytes: this kernel does not count direct reads here"
fi
finish
