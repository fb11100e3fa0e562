# test_probe: layerbench probe as text and JSON, its lists, its errors, and that it leaves no file.
set -u
failures=0 checks=0
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/probe-XXXXXX") && trap 'rm -rf "$dir"' EXIT
run=$LAYERBENCH

# check WHAT CONDITION...: the condition is a command
check() {
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" >/dev/null 2>&1 || { failures=$((failures + 1)) && echo "not so: $what"; }
}

# bad 'STDERR GLOB' OPTION...: exit code 2 and one line
bad() {
    local glob=$1
    shift
    "$run" probe --size 1MiB --dir "$dir" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    local code=$? line
    line=$(cat "$dir/err")
    checks=$((checks + 1))
    # shellcheck disable=SC2053
    if [ $code != 2 ] || [[ $line != $glob ]] || [ -s "$dir/out" ]; then
        failures=$((failures + 1))
        echo "probe $*: exit code $code, said '$line' (expected '$glob')"
    fi
}

quick=(--samples 2 --duration 2ms --threads 1 --size 2MiB --dir "$dir")

# ---- JSON: every cell with its samples, in any order
"$run" probe "${quick[@]}" --storage uring,memory --block 4KiB,1MiB --depth 1,8 --json \
    >"$dir/json" 2>"$dir/err" || { echo "probe --json: $(cat "$dir/err")" && failures=1; }
is() { [ "$(jq -r "$1" "$dir/json")" = "$2" ]; }
check "2 storages x 2 blocks x 2 depths x idle and busy" is '.storage | length' 16
check "two samples each" is '[.storage[], .memory[]] | all(.bandwidth | length == 2)' true
check "bandwidths are positive" is '[.storage[], .memory[]] | all(.bandwidth | all(. > 0))' true
check "one row for the memory" is '[.memory[].threads] | join(" ")' 1
check "the file's size" is .file_bytes 2097152
check "nothing failed" is '[.storage[].failed] | all(. == null)' true
check "compute is given for busy cores only" is \
    '.storage | all((.busy_threads > 0) == (.compute_share != null))' true
check "samples are in rounds" is \
    '([.storage[].start_ns[0]] | max) < ([.storage[].start_ns[1]] | min)' true
check "what is available" is '.available | keys | join(" ")' \
    'huge_pages io_uring memory_limit o_direct'

# ---- text; only one state of the cores; a given file
head -c 100000 /dev/urandom >"$dir/file"
"$run" probe "${quick[@]}" --file "$dir/file" --storage pread --block 64KiB --depth 2 --cores idle \
    >"$dir/text" 2>"$dir/err" || { echo "probe: $(cat "$dir/err")" && failures=1; }
check "one row" [ "$(grep -c '^  pread  *64KiB  *2  *idle  *[0-9.e+]* GB/s (' "$dir/text")" = 1 ]
check "no busy row" [ "$(grep -c ' busy  ' "$dir/text")" = 0 ]
check "the file is named" grep -q "^file: $dir/file, 100 kB" "$dir/text"
rm -f "$dir/out" "$dir/err" "$dir/json" "$dir/text"
check "only the given file is there" [ "$(ls "$dir")" = file ]

# ---- the environment
"$run" probe --environment --dir "$dir" --json >"$dir/json"
check "the environment has entries" is '.environment | length > 5' true
check "warnings are texts" is '.warnings | all(type == "string")' true
"$run" probe --environment --dir "$dir" >"$dir/text"
check "the environment as text" grep -q '^environment:' "$dir/text"

# ---- bad input
bad "layerbench probe: --storage: 'floppy': expected *" --storage pread,floppy
bad "layerbench probe: --storage: '': expected *" --storage pread,
bad "layerbench probe: --block: '5000': expected *" --block 4KiB,5000
bad "layerbench probe: --block: '128MiB': expected *" --block 128MiB
bad "layerbench probe: --depth: '0': expected *" --depth 0
bad "layerbench probe: --depth: '9': expected *" --depth 1,2,3,4,5,6,7,8,9
bad "layerbench probe: --cores: 'warm': expected *" --cores warm
bad "layerbench probe: $dir/none: expected *" --file "$dir/none"
bad "layerbench probe: $dir: expected *" --file "$dir"
bad "layerbench probe: $dir/none: cannot write a file here: *" --dir "$dir/none"
bad "layerbench probe: 'x': expected options only" x

echo "$checks checks, $failures failures"
[ $failures = 0 ]
