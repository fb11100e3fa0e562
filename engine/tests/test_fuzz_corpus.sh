# test_fuzz_corpus: every fuzz target on its seeds and on what fuzzing has found (tests/fuzz/NAME in both
# trees), without a fuzzer; under `make SANITIZE=address` with all that it checks.
set -u
failures=0 inputs=0
log=$(mktemp) && trap 'rm -f "$log"' EXIT
for source in engine/tests/fuzz_*.c harness/tests/fuzz_*.c; do
    name=$(basename "$source" .c) && name=${name#fuzz_}
    [ "$name" = replay ] && continue
    seeds=$(dirname "$source")/fuzz/$name
    [ -n "$(ls "$seeds" 2>/dev/null)" ] || { echo "FAIL: $source has no seeds in $seeds"; failures=1; continue; }
    if "$BUILD/${source%.c}" "$seeds" >"$log" 2>&1; then
        inputs=$((inputs + $(sed -n 's/^\([0-9]*\) inputs$/\1/p' "$log")))
    else
        failures=1 && echo "FAIL: $name" && tail -n 25 "$log"
    fi
done
echo "$inputs inputs"
[ $failures = 0 ] && [ $inputs -gt 0 ]
