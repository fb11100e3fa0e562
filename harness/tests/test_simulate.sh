#!/bin/bash
# test_simulate: predictions that are known beforehand, every way to say what is simulated, refusals.
. harness/tests/lib.sh
needs jq
# simulate FILTER ARGUMENT...: true when the filter holds for the JSON of the cells
simulate() {
    local filter=$1
    shift
    "$LAYERBENCH" simulate --json "$@" >"$work/out" 2>"$work/err" ||
        { cat "$work/err" && return 1; }
    jq -e ".layerbench.cells | $filter" "$work/out" >/dev/null ||
        { jq -c '.layerbench.cells[] | [.name, .pass_ns, .loads, .outcomes]' "$work/out" && return 1; }
}
refused() { # refused TEXT ARGUMENT...
    local text=$1
    shift
    "$LAYERBENCH" simulate "$@" >"$work/out" 2>"$work/err"
    local code=$?
    [ $code = 2 ] && grep -qF -- "$text" "$work/err" || { echo "code $code: $(cat "$work/err")" && return 1; }
}

# N = 32, C = 16, c = t/2, t = 1 ms, one read at a time: the pass in ms is the pass in t.
table=(--layers 32 --layer-bytes 1MB --device bandwidth=1GB/s --compute 16ms --cache-layers 16
    --queue-depth 1 --chunk-bytes 4MiB --max-loads 1 --scheduler fixed --warmup 60 --passes 124)
near='def near($x): (. / $x - 1 | fabs) < 0.03;'
check "sync LRU" simulate "$near .[0] | .pass_ns / 1e6 | near(48)" "${table[@]}" --prefetch sync \
    --replacement lru
check "async LRU: no miss, and yet half the pass is waiting" simulate \
    "$near .[0] | (.pass_ns / 1e6 | near(32)) and .outcomes.miss == 0 and .outcomes.late == 32" \
    "${table[@]}" --replacement lru
check "Belady without prefetch loads N(N-C)/(N-1)" simulate \
    ".[0] | (.loads - 512/31 | fabs) < 1e-9 and .bytes_read == .optimum_bytes" \
    "${table[@]}" --prefetch off
check "distances" simulate "$near [.[] | .pass_ns / 1e6] | (.[0] | near(24.5)) and (.[1] | near(17.5)) and (.[2] | near(17.6))" \
    "${table[@]}" --vary prefetch_distance=1,2,4
check "small units reach the floor" simulate ".[0] | .floor_ns / .pass_ns > 0.95 and .loads < 16.5" \
    --layers 32 --layer-bytes 2MiB --unit 256KiB --chunk-bytes 64KiB --queue-depth 4 \
    --device bandwidth=1GB/s --compute 33ms --cache-layers 16
check "drafts: a pass costs the same while loading takes the time, and gives 1 + a + a^2 + ... tokens" simulate \
    "$near [.[] | {t: .tokens_a_pass, s: .tokens_per_s, p: .pass_ns}] | .[0].t == 1.5 and .[1].t == 1.9375 and
        .[0].p == .[1].p and (.[1].s / .[0].s | near(1.9375 / 1.5))" \
    "${table[@]}" --speculate replay --acceptance 0.5 --vary draft_tokens=1,4
check "drafts: where arithmetic takes the time, a pass grows with them" simulate \
    "$near [.[].pass_ns / 1e6] | (.[0] | near(200)) and (.[1] | near(500))" \
    "${table[@]}" --compute 0ms --compute-rate 100GB/s --token-rate 10 --speculate draft --vary draft_tokens=1,4
check "resident: compute alone" simulate ".[0] | .pass_ns == 16e6 and .bytes_read == 0 and .outcomes.hit == 32" \
    "${table[@]}" --prefetch resident

# What streams, how long it takes.
check "the cells of --vary" simulate 'length == 12 and .[0].name == "replacement=lru/cache_layers=4/prefetch=off" and
    .[11].name == "replacement=belady/cache_layers=8/prefetch=async"' \
    --layers 24 --layer-bytes 4MiB --device bandwidth=1GB/s --compute-rate 10GB/s \
    --vary replacement=lru,belady --vary cache_layers=4,8 --vary prefetch=off,sync,async
check "a shape nobody here could hold" simulate '.[0] | .bytes_read > 1e11 and .outcomes.miss == 0' \
    --shape llama-3.1-405b --quant Q4_K_M --device bandwidth=7GB/s,latency=80us --compute-rate 100GB/s \
    --cache-bytes 64GB --passes 8 --warmup 4
check "a batch beyond what memory bandwidth gives" simulate '.[1].compute_ns > 3 * .[0].compute_ns' \
    --layers 8 --layer-bytes 8MiB --device bandwidth=1GB/s --compute-rate 20GB/s --token-rate 1000 \
    --cache-layers 4 --vary batch=1,16
check "unequal layers in bytes" simulate '.[0] | .cache_bytes <= 1500000000 and .loads > 10' \
    --shape llama-2-7b --device bandwidth=2GB/s --compute-rate 30GB/s --cache-bytes 1500MB
for scenario in scenarios/*.json; do
    ! grep -q '"quant": \[' "$scenario" || continue # several models are the gate's
    check "$scenario" simulate 'length > 0 and all(.pass_ns > 0)' "$scenario" --compute-rate 10GB/s \
        --cache-layers 4 --device bandwidth=1GB/s
done

# Accesses of other kinds.
for pattern in sequential reversed strided; do
    check "$pattern: each layer once" simulate ".[0] | (.loads - 512/31 | fabs) < 1e-9" \
        "${table[@]}" --prefetch off --pattern $pattern --stride 5
done
check "skewed: LRU hits, Belady more" simulate '(.[0].outcomes.hit > 300) and .[1].loads < .[0].loads' \
    --layers 32 --layer-bytes 1MB --device bandwidth=1GB/s --compute 16ms --cache-layers 16 \
    --pattern skewed --accesses 500 --skew 1.2 --prefetch off --vary replacement=lru,belady
for layer in 0 1 2 3 0 1 2 3; do
    echo "{\"cell\": \"x\", \"rep\": 0, \"pass\": 0, \"phase\": \"decode\", \"layer\": $layer, \"outcome\": \"miss\",
        \"wait_ns\": 0, \"compute_ns\": 1000000, \"need_ns\": 0, \"bytes\": 1000000}" | tr -d '\n' && echo
done >"$work/layers.jsonl"
check "a recorded run" simulate '.[0] | .pass_ns > 8e6 and .loads > 3 and (.compute_ns - 8e6 | fabs) < 1' \
    --replay "$work/layers.jsonl" --device bandwidth=1GB/s --cache-layers 2

# Routes of experts: 3 layers, 8 experts, 2 of them a token and layer; by turns 0 1, 2 3, 4 5, 6 7.
# A token's demand is 6. lru hits nothing below the 24 that are used in a turn; each slot more than
# six saves belady about one load a turn.
{
    echo token,layer,e0,e1
    for token in {0..79}; do
        for layer in 0 1 2; do echo "$token,$layer,$((token % 4 * 2)),$((token % 4 * 2 + 1))"; done
    done
} >"$work/plain.csv"
{
    echo cell,rep,sequence,position,pass,layer,experts,weights
    tail -n +2 "$work/plain.csv" | sed -E 's/^([0-9]+),([0-9]+),([0-9]+),([0-9]+)$/"off, 2",0,0,\1,\1,\2,\3 \4,0.5 0.5/'
    echo '"off, 2",1,0,0,0,0,7 7,0.5 0.5'
    echo 'other,0,0,0,0,0,7 7,0.5 0.5'
} >"$work/routes.csv"
routes() { # routes FILTER FILE ARGUMENT...
    "$LAYERBENCH" simulate --json --replay "$@" >"$work/out" 2>"$work/err" && jq -e "$filter" "$work/out" >/dev/null ||
        { cat "$work/out" "$work/err" && return 1; }
}
filter='.layerbench | .accesses == 480 and .objects == 24 and .largest_demand == 6 and
    ([.miss_ratios[] | select(.policy == "lru") | .misses] == [480, 480, 24]) and
    ([.miss_ratios[] | select(.policy == "belady") | .misses] | .[0] > .[1] and .[1] < 300 and .[2] == 24)'
check "routes as plain lines" routes "$work/plain.csv" --slots 6,18,24
check "routes of a result" routes "$work/routes.csv" --slots 6,18,24
check "routes of a cell" routes "$work/routes.csv" --slots 6,18,24 --replay-cell "off, 2"
filter='.layerbench.accesses == 2'
check "routes of another cell" routes "$work/routes.csv" --replay-cell other
filter='[.layerbench.miss_ratios[] | .policy] | unique == ["arc", "lfu"]'
check "some policies" routes "$work/plain.csv" --vary replacement=lfu,arc
"$LAYERBENCH" simulate --replay "$work/plain.csv" --slots 24 >"$work/out"
check "every policy" [ "$(tail -n +3 "$work/out" | wc -l)" = "$("$LAYERBENCH" list replacement | grep -c '^  ')" ]
check "room for all" [ "$(tail -n +3 "$work/out" | cut -f3 | sort -u)" = 24 ]

# As a cache simulator reads them, and back: the same counts; the number of an object's next access.
"$LAYERBENCH" trace "$work/plain.csv" --format libcachesim -o "$work/cachesim.csv"
filter='.layerbench | .accesses == 480 and .objects == 24 and .largest_demand == 6 and
    ([.miss_ratios[] | select(.policy == "lru") | .misses] == [480, 480, 24]) and
    ([.miss_ratios[] | select(.policy == "lru") | .bytes_ratio] == [1, 1, 0.05])'
check "there and back" routes "$work/cachesim.csv" --slots 6,18,24
check "next accesses" awk -F, 'NR == 1 { if ($0 != "time,object,size,next_access") exit 1; next }
    $4 >= 0 { next_of[$4] = $2; if ($4 != NR - 2 + 24) exit 1 }
    NR - 2 in next_of && next_of[NR - 2] != $2 { exit 1 }
    $4 < 0 { last++ } END { exit last != 24 }' "$work/cachesim.csv"
"$LAYERBENCH" trace "$work/routes.csv" --cell "off, 2" --format routes | sed 1d | cmp -s - <(sed 1d "$work/plain.csv")
is $? 0 "routes of a cell as plain lines"
# objects of 1 and 3 bytes, by turns, in a cache of one mean object (2, so 3): each misses but for repeats
{
    echo time,object,size
    for i in {0..9}; do printf '%s\n' "$i,18446744073709551615,3" "$i,7,1" "$i,7,1"; done
} >"$work/sizes.csv"
filter='.layerbench | .accesses == 30 and .objects == 2 and
    (.miss_ratios | map([.misses, .bytes_ratio]) == [[20, 0.8], [2, 0.08]])'
check "sizes" routes "$work/sizes.csv" --slots 1,2 --vary replacement=lru

# Over the routes of a run the simulated passes of the same model read what the run read.
shared=${LAYERBENCH_SHARED:-../shared}
for name in olmoe-q8_0 deepseek2-q4_k_m; do
    model=$shared/experts/models/tiny-$name.gguf
    [ -e "$model" ] || { echo "skipped: the routes of $model, which is not there" && continue; }
    for unit in expert 64KiB; do
        cat >"$work/s.json" <<END
{"name": "routes", "about": "Routes.", "model": {"path": "$(realpath "$model")"},
 "fixed": {"storage": "pread", "log_routes": true, "threads": 1, "prompt_tokens": 4, "generate_tokens": 12,
           "cache_bytes": "3MiB", "unit": "$unit"},
 "matrix": {"prefetch": ["off", "sync"], "replacement": ["lru", "belady", "s3-fifo"]},
 "repetitions": 1, "warmup": 0}
END
        rm -rf "$work/result"
        "$LAYERBENCH" run "$work/s.json" --out "$work/result" >"$work/out" 2>&1 || { cat "$work/out" && failed=1; }
        measured=$(jq -c '[.layerbench.cells[] | select(.name != "reference") | [.name, .samples[0].bytes_read]] | sort' "$work/result/result.json")
        "$LAYERBENCH" simulate --json --replay "$work/result/routes.csv" --model "$model" --storage pread \
            --device bandwidth=1GB/s --compute 1ms --cache-bytes 3MiB --unit "$unit" --warmup 0 --passes 13 \
            --vary prefetch=off,sync --vary replacement=lru,belady,s3-fifo >"$work/out" 2>"$work/err" || cat "$work/err"
        simulated=$(jq -c '[.layerbench.cells[] | [.name, (.bytes_read * 13 | round)]] | sort' "$work/out")
        [ "$(jq length <<<"$measured")" = 6 ] && [ "$measured" = "$simulated" ] ||
            fail "$name, unit $unit: read $measured, simulated $simulated"
        jq -e 'all(.layerbench.cells[]; .optimum_bytes <= .bytes_read)' "$work/out" >/dev/null ||
            fail "$name, unit $unit: less read than the optimum"
    done
done
check "an expert that the model does not have" refused "the model, by this unit, has no such expert" \
    --replay "$work/plain.csv" --shape tiny --device bandwidth=1GB/s --compute 1ms --cache-layers 2

# Profiled on this machine.
"$LAYERBENCH" synth --shape tiny --quant Q8_0 --seed 1 -o "$work/tiny.gguf" 2>/dev/null
check "a profiled model" simulate '.[0] | .compute_ns > 0 and .pass_ns >= .floor_ns * 0.999' \
    --model "$work/tiny.gguf" --measure --cache-layers 2 --storage pread
check "profiled, with an emulated device" simulate '.[0] | .wait_ns > 0' \
    --model "$work/tiny.gguf" --measure --cache-layers 2 --device bandwidth=50MB/s --as-run

# A thousand cells; the time itself is checked in test_virtual.
check "1,000 cells" simulate 'length == 1000' --layers 32 --layer-bytes 8MiB --compute-rate 10GB/s \
    --device bandwidth=1GB/s --vary cache_layers=1,2,3,4,6,8,12,16,24,32 \
    --vary replacement=lru,fifo,mru,pin-spread,belady --vary prefetch_distance=1,2,4,8 \
    --vary scheduler=fixed,horizon,aggressive,conservative,forestall

# Refusals, one line each.
check "nothing to stream" refused "what to stream: expected a scenario, --model, --shape, or --layers" --compute 1ms
check "no compute" refused "compute time: expected --compute, --compute-rate or --measure" \
    --layers 4 --layer-bytes 1MiB --cache-layers 2 --device bandwidth=1GB/s
check "no bandwidth" refused "storage bandwidth: expected --device or --measure" \
    --layers 4 --layer-bytes 1MiB --cache-layers 2 --compute 1ms
check "no cache" refused "cache size: expected --cache-layers or --cache-bytes" \
    --layers 4 --layer-bytes 1MiB --device bandwidth=1GB/s --compute 1ms
check "a cache too small" refused "expected at least" \
    --layers 4 --layer-bytes 1MiB --device bandwidth=1GB/s --compute 1ms --cache-bytes 4096
check "an unknown pattern" refused "pattern 'zigzag': expected sequential" \
    --layers 4 --layer-bytes 1MiB --device bandwidth=1GB/s --compute 1ms --cache-layers 2 --pattern zigzag
check "an unknown option in --vary" refused "--vary: unknown option 'cash'" \
    --layers 4 --layer-bytes 1MiB --vary cash=1
check "a bad value in --vary" refused "--vary cache_layers" --layers 4 --layer-bytes 1MiB --vary cache_layers=0
echo '{"cell": 1}' >>"$work/layers.jsonl"
check "a damaged record" refused "$work/layers.jsonl:9: expected" --replay "$work/layers.jsonl" \
    --device bandwidth=1GB/s --cache-layers 2
printf 'token,layer,e0\n0,0,1\n0,1,x\n' >"$work/bad.csv"
check "a damaged route" refused "$work/bad.csv:3: expected the numbers of the experts" --replay "$work/bad.csv"
printf 'token,layer,e0\n' >"$work/bad.csv"
check "no route" refused "$work/bad.csv: no routes" --replay "$work/bad.csv"
printf 'time,object,size\n1,2,0\n' >"$work/bad.csv"
check "an object of no size" refused "$work/bad.csv:2: expected time,object,size" --replay "$work/bad.csv"
check "routes of no cell" refused "no routes of cell none" --replay "$work/routes.csv" --replay-cell none
check "no slots" refused "--slots 4,0: expected at most 1000 counts" --replay "$work/plain.csv" --slots 4,0
check "an unknown policy" refused "replacement 'best': expected lru" --replay "$work/plain.csv" --vary replacement=best
check "slots of what" refused "--slots: expected with --replay of routes and no model" --layers 4 --layer-bytes 1MiB --slots 4
check "no such record" refused "No such file" --replay "$work/none.jsonl" --device bandwidth=1GB/s
check "no such model" refused "none.gguf" --model "$work/none.gguf" --cache-layers 2

finish
