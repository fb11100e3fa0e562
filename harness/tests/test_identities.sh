# test_identities: the engine breaks each identity on purpose; the run says which, marks the cell invalid
# and ends with exit code 5. Unbroken, the same cells are valid.
set -u
command -v jq >/dev/null || { echo "skipped: needs jq to look into JSON"; exit 77; }
dir=$(mktemp -d -p "${TEST_DISK:-.}" identities.XXXXXX) && trap 'rm -rf "$dir"' EXIT
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

"$LAYERBENCH" synth --shape tiny --quant Q8_0 --seed 1 -o "$dir/m.gguf" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
study() { # BREAKS STORAGE
    printf '{"name":"broken","about":"?","model":{"path":"%s"},"repetitions":1,"warmup":0,
        "matrix":{"prefetch":["sync"]},"fixed":{"threads":1,"cache_layers":2,"prompt_tokens":4,
        "generate_tokens":4,"storage":"%s"%s}}' "$dir/m.gguf" "$2" "${1:+,\"breaks\":\"$1\"}" >"$dir/s.json"
    rm -rf "$dir/r"
    "$LAYERBENCH" run "$dir/s.json" --no-plots -q --out "$dir/r" >"$dir/out" 2>&1
}
invalid() { jq -r "[.layerbench.cells[] | select($1) | .invalid // empty] | join(\" \")" "$dir/r/result.json"; }

study "" memory
code=$?
[ $code = 0 ] && [ -z "$(invalid true)" ] || fail "nothing broken: exit code $code, '$(invalid true)'"
for case in "outcomes:outcomes " "time:compute + wait + other = " "memory:peak RSS " "tokens:hash " \
    "needs:units had "; do
    study "${case%%:*}" memory
    code=$?
    [ $code = 5 ] || fail "${case%%:*} broken: exit code $code, expected 5"
    case "$(invalid true)" in *"${case#*:}"*) ;; *) fail "${case%%:*} broken: the cell is invalid because of '$(invalid true)'" ;; esac
    # of two cells with different tokens, the one that was measured later is the invalid one
    [ "${case%%:*}" = tokens ] || [ -z "$(invalid .reference)" ] ||
        fail "${case%%:*} broken: the resident cell is invalid too"
done

# what the kernel counts, it counts of reads from a disk
study "" direct
if [ "$(jq '[.layerbench.cells[].samples[].kernel_bytes] | max' "$dir/r/result.json" 2>/dev/null || echo 0)" -gt 0 ]; then
    [ -z "$(invalid true)" ] || fail "nothing broken, direct: '$(invalid true)'"
    study bytes direct
    code=$?
    [ $code = 5 ] || fail "bytes broken: exit code $code, expected 5"
    case "$(invalid true)" in *"bytes read "*"by the kernel"*) ;; *) fail "bytes broken: '$(invalid true)'" ;; esac
else
    echo "skipped: bytes: this kernel does not count direct reads here"
fi
[ $failures = 0 ]
