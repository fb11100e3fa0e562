# test_probe: layerbench probe as text and JSON, its lists, its errors, and that it leaves no file.
on_disk=yes
. harness/tests/lib.sh
run=$LAYERBENCH

bad() { expect 2 "$1" "$LAYERBENCH" probe --size 1MiB --dir "$work" "${@:2}"; } # GLOB OPTION...

quick=(--samples 2 --duration 2ms --threads 1 --size 2MiB --dir "$work")

# ---- JSON: every cell with its samples, in any order
"$run" probe "${quick[@]}" --storage uring,memory --block 4KiB,1MiB --depth 1,8 --json \
    >"$work/json" 2>"$work/err" || fail "probe --json: $(cat "$work/err")"
is "$(jq -r '.storage | length' "$work/json")" 16 "2 storages x 2 blocks x 2 depths x idle and busy"
is "$(jq -r '[.storage[], .memory[]] | all(.bandwidth | length == 2)' "$work/json")" true "two samples each"
is "$(jq -r '[.storage[], .memory[]] | all(.bandwidth | all(. > 0))' "$work/json")" true "bandwidths are positive"
is "$(jq -r '[.memory[].threads] | join(" ")' "$work/json")" 1 "one row for the memory"
is "$(jq .file_bytes "$work/json")" 2097152 "the file's size"
is "$(jq -r '[.storage[].failed] | all(. == null)' "$work/json")" true "nothing failed"
holds "$work/json" '.storage | all((.busy_threads > 0) == (.compute_share != null))' \
    "compute is given for busy cores only"
holds "$work/json" '([.storage[].start_ns[0]] | max) < ([.storage[].start_ns[1]] | min)' "samples are in rounds"
is "$(jq -r '.available | keys | join(" ")' "$work/json")" 'huge_pages io_uring memory_limit o_direct' "what is available"

# ---- text; only one state of the cores; a given file
head -c 100000 /dev/urandom >"$work/file"
"$run" probe "${quick[@]}" --file "$work/file" --storage pread --block 64KiB --depth 2 --cores idle \
    >"$work/text" 2>"$work/err" || fail "probe: $(cat "$work/err")"
check "one row" [ "$(grep -c '^  pread  *64KiB  *2  *idle  *[0-9.e+]* GB/s (' "$work/text")" = 1 ]
check "no busy row" [ "$(grep -c ' busy  ' "$work/text")" = 0 ]
check "the file is named" grep -q "^file: $work/file, 100 kB" "$work/text"
rm -f "$work/out" "$work/err" "$work/json" "$work/text"
check "only the given file is there" [ "$(ls "$work")" = file ]

# ---- the environment
"$run" probe --environment --dir "$work" --json >"$work/json"
is "$(jq -r '.environment | length > 5' "$work/json")" true "the environment has entries"
is "$(jq -r '.warnings | all(type == "string")' "$work/json")" true "warnings are texts"
"$run" probe --environment --dir "$work" >"$work/text"
check "the environment as text" grep -q '^environment:' "$work/text"

# ---- bad input
bad "layerbench probe: --storage: 'floppy': expected *" --storage pread,floppy
bad "layerbench probe: --storage: '': expected *" --storage pread,
bad "layerbench probe: --block: '5000': expected *" --block 4KiB,5000
bad "layerbench probe: --block: '128MiB': expected *" --block 128MiB
bad "layerbench probe: --depth: '0': expected *" --depth 0
bad "layerbench probe: --depth: '9': expected *" --depth 1,2,3,4,5,6,7,8,9
bad "layerbench probe: --cores: 'warm': expected *" --cores warm
bad "layerbench probe: $work/none: expected *" --file "$work/none"
bad "layerbench probe: $work: expected *" --file "$work"
bad "layerbench probe: $work/none: cannot write a file here: *" --dir "$work/none"
bad "layerbench probe: 'x': expected options only" x

finish
