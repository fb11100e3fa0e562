# test_allocations: an allocation that fails, here and there in what reads a result or makes a model, ends in
# the right files or in an error, never in files that lack a part. scripts/campaign tries every one. Not of
# merge: Google Benchmark, which writes a part of result.json, ends with exit code 1 in its place.
. harness/tests/lib.sh
needs jq
failing_ready >"$work/out" 2>"$work/err" ||
    skip "allocations cannot be made to fail here: $(tail -1 "$work/err")"
LAYERBENCH=$(realpath "$LAYERBENCH")
cd "$work" || exit 1
make_result r caches=6 policies=belady modes=async distances=4
for command in "trace r --cell async -o to/t" "synth --shape tiny --layers 2 -o to/s"; do
    mkdir to
    failing 0 ${command%% *} $command >out 2>err </dev/null
    is $? 0 "$command: $(head -1 err)"
    rm -rf whole && mv to whole
    all=$(cat count)
    for ((n = 1 + RANDOM % 7, ended = 0; n <= all; n += all / 30 + 1)); do
        mkdir to
        failing $n ${command%% *} $command >out 2>err </dev/null
        code=$?
        checks=$((checks + 1))
        if [ $code = 0 ]; then
            diff -r whole to >out || fail "$command, allocation $n of $all: other files: $(head -c 200 out)"
        elif { [ $code = 2 ] || [ $code = 5 ]; } && [ -s err ]; then
            ended=$((ended + 1))
        else
            fail "$command, allocation $n of $all: exit code $code: $(head -1 err)"
        fi
        [ -z "$(find to -name '.layerbench*')" ] || fail "$command, allocation $n of $all: leaves $(ls -A to)"
        rm -rf to
    done
    [ $ended -gt 0 ] || fail "$command: no allocation of $all made it end"
done
finish
