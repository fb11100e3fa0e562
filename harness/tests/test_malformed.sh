# 200 and more malformed scenarios and results: each gets one clear line that names the file, and exit
# code 2, from the commands that check it (run, validate, compare, merge, gate); those that draw what
# they can (plot, report, trace) and simulate --against say one line or draw, and never crash. `make
# SANITIZE=address` runs the same under ASan.
# Positions of cuts and bytes follow from SEED.
. harness/tests/lib.sh
needs jq
documents=0
SEED=20240607
RANDOM=$SEED

# refused FILE COMMAND ARGUMENT...
refused() {
    local file=$1 code
    shift
    checks=$((checks + 1))
    "$LAYERBENCH" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    [ $code = 2 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -qF "$(basename "$file")" "$work/err" && return
    fail "$* ($what): exit code $code, said: $(head -c 400 "$work/err")"
    [ $failures -lt 20 ] || { echo "and so on"; exit 1; }
}
# survives FILE COMMAND ARGUMENT...: refused in a line that names the file, or done with what is there
survives() {
    local file=$1 code
    shift
    checks=$((checks + 1))
    "$LAYERBENCH" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    grep -qE 'Sanitizer|runtime error|Assertion' "$work/err" || {
        [ $code = 0 ] && return
        [ $code = 2 ] && [ -s "$work/err" ] && return
    }
    fail "$* ($what): exit code $code, said: $(head -c 400 "$work/err")"
    [ $failures -lt 20 ] || { echo "and so on"; exit 1; }
}
scenario() { # WHAT FILE
    what=$1 documents=$((documents + 1))
    refused "$2" run "$2" --dry-run
}
result() { # WHAT FILE
    what=$1 documents=$((documents + 1))
    refused "$2" compare "$2" "$good_result"
    case $((documents % 5)) in
    0) refused "$2" merge "$2" --out "$work/merged" ;;
    1) survives "$2" plot "$2" --out "$work/plots" ;;
    2) survives "$2" report "$2" --out "$work/page.html" ;;
    3) survives "$2" trace "$2" --out "$work/trace.json" ;;
    4) survives "$2" simulate --against "$2" ;;
    esac
}
# what no command can read at all: all of them refuse it in a line
unreadable() { # WHAT FILE
    what=$1 documents=$((documents + 1))
    refused "$2" validate "$2"
    refused "$2" compare "$good_result" "$2"
    refused "$2" merge "$2" --out "$work/merged"
    refused "$2" plot "$2" --out "$work/plots"
    refused "$2" report "$2" --out "$work/page.html"
    refused "$2" trace "$2" --out "$work/trace.json"
    refused "$2" simulate --against "$2"
}
# figures are not drawn here: their data and scripts are written all the same
mkdir "$work/bin" && cat >"$work/bin/gnuplot" <<'END' && chmod +x "$work/bin/gnuplot" && PATH=$work/bin:$PATH
#!/bin/sh
# gnuplot -d -e "data = 'PATH'" SCRIPT, in no time
out=$(basename "$4" .gp)
echo '</svg>' >"$out.svg" && echo IEND >"$out.png" && echo %%EOF >"$out.pdf"
END
both() { refused "$1" validate "$1"; }

good=$work/good.json
cat >"$good" <<'END'
{"name": "made", "about": "A scenario to spoil.", "model": {"synth": {"shape": "tiny", "quant": "Q8_0", "seed": 1, "layers": 4}},
 "fixed": {"threads": 1, "queue_depth": 8, "protect": true, "device": {"bandwidth": "1GB/s", "latency": "50us"}},
 "matrix": {"prefetch": ["sync", "off"], "cache_layers": [2, 3]},
 "exclude": [{"prefetch": "off", "cache_layers": 3}], "repetitions": 3, "warmup": 1, "seed": 7}
END
good_result=$work/good-result.json
make_result "$work/good" modes=async policies=belady caches=4,8 distances=2 passes=2
cp "$work/good/result.json" "$good_result"
"$LAYERBENCH" run "$good" --dry-run >/dev/null || fail "the good scenario is refused"
"$LAYERBENCH" compare "$good_result" "$good_result" >/dev/null 2>&1 || fail "the good result is refused"

# ---- one value replaced: PATH then the values that are wrong there
spoil() { # KIND GOOD PATH VALUE...
    local kind=$1 from=$2 path=$3 value
    shift 3
    for value; do
        jq "$path = $value" "$from" >"$work/bad.json" || { fail "jq: $path = $value"; continue; }
        $kind "$path = $value" "$work/bad.json"
    done
}
s() { spoil scenario "$good" "$@"; }
s .name null true 5 '[]' '{}' '""' '"a/b"' '"..\u0000"'
s .about null 7 '[]'
s .model null '"x"' '[]' '{}' '{"path": 1}' '{"path": "a", "synth": {}}' '{"other": 1}'
s .model.synth.shape '"nope"' 3 null
s .model.synth.quant '"Q99"' '[]'
s .model.synth.layers 0 -1 1.5 '"x"' 100000
s .model.synth.more 1
s .fixed 3 '[]' null '"x"'
s .fixed.threads 0 -1 1.5 '"many"' null '[]' '{}' 10000000000 true
s .fixed.queue_depth 0 -8 100000 '"x"'
s .fixed.protect 7 '"maybe"' '[]'
s .fixed.device 7 '[]' '{"bandwidth": "fast"}' '{"speed": 1}' '{"bandwidth": "-5MB/s"}' '{"latency": "50"}' '"no-such-disk"'
s .fixed.no_such_option 1
s .fixed.prefetch '"sync"'
s .matrix '[]' 3 '"x"' '{"prefetch": []}' '{"prefetch": {}}'
s .matrix.prefetch '["never"]' '[1]' '[null]' '[["sync"]]' '["sync", "sync"]' '""' null
s .matrix.cache_layers '[-1]' '["x"]' '[1.5]' '[{}]' '[99999999999]' '[null]'
s .matrix.no_such_option '[1]'
s .exclude 3 '{}' '[1]' '[{"no_such_option": 1}]' '[{"prefetch": "never"}]'
s .repetitions 0 -1 1.5 '"3"' null 1000000000 '[]'
s .warmup -1 '"x"' 1001
s .seed -1 1.5 '"x"'
s .more 1

r() { spoil result "$good_result" "$@"; }
r .context null 3 '"x"'
r .benchmarks null '{}' '[1]' '[{"run_type": "iteration"}]'
r .layerbench null 3 '[]' '{}' '"x"'
r .layerbench.schema_version null 0 -1 2 1.5 '"1"'
r .layerbench.scenario null '[]' '{}'
r .layerbench.scenario.sha256 null 7 '"short"' '"xyz"'
r .layerbench.environment null '[]' 3
r .layerbench.warnings null '[1]' '{}'
r .layerbench.complete null '"yes"' 1
r .layerbench.cells null '{}' '[1]' '[null]' '[[]]' '"x"'
r '.layerbench.cells[1]' '{}' '{"name": "a"}'
r '.layerbench.cells[0].name' null 4 '""'
r '.layerbench.cells[0].options' null 4 '[]'
r '.layerbench.cells[0].samples' null '{}' '[1]' '[{}]' '[null]'
r '.layerbench.cells[0].samples[1].rep' -1 1.5 '"0"' null
r '.layerbench.cells[0].samples[1].seq' -1 '"0"' null
r '.layerbench.cells[0].samples[1].pass_ns' null 5 '[-1]' '["x"]' '[1.5]' '[null]' '[[1]]'
r '.layerbench.cells[0].samples[1].ttft_ns' -5 '"x"' null 1.5
r '.layerbench.cells[0].samples[1].outcomes' null '[]' '{"hit": 1}' '{"hit": -1, "prefetched": 0, "late": 0, "miss": 0}'
r '.layerbench.cells[0].samples[1].bytes_read' -1 '"x"' null
r '.layerbench.cells[0].samples[1].tokens_hash' null 7 '""'
r '.layerbench.cells[0].samples[1].wait_ns' -1 null '[]'

# ---- the text spoiled: cuts, doubled keys, huge numbers, nesting, bytes that are no UTF-8
spoil_text() { # KIND GOOD
    local kind=$1 from=$2 size at i bytes
    size=$(wc -c <"$from")
    for ((i = 0; i < 20; i++)); do
        at=$(((RANDOM * 32768 + RANDOM) % (size - 2)))
        head -c $at "$from" >"$work/bad.json"
        $kind "cut at $at" "$work/bad.json"
    done
    for bytes in '\xff' '\xc0\x80' '\xed\xa0\x80' '\xf5\x80\x80\x80' '\xe2\x82' '\x00' '\x01'; do
        sed "0,/: \"/s//: \"$bytes/" "$from" >"$work/bad.json"
        [ "$bytes" = '\x00' ] && { head -c 1 "$from" && printf '\0' && tail -c +2 "$from"; } >"$work/bad.json"
        $kind "bytes $bytes" "$work/bad.json"
    done
    for ((i = 0; i < 5; i++)); do # a byte in the middle of anything
        at=$(((RANDOM * 32768 + RANDOM) % (size - 2)))
        { head -c $at "$from" && printf '\xfe' && tail -c +$((at + 2)) "$from"; } >"$work/bad.json"
        $kind "byte at $at" "$work/bad.json"
    done
    for i in 1e999 -1e999 123456789012345678901234567890 NaN Infinity -Infinity 0x10 01 +1 .5 1. "'a'"; do
        sed "0,/: [0-9][0-9]*/s//: $i/" "$from" >"$work/bad.json"
        $kind "number $i" "$work/bad.json"
    done
    sed '0,/{/s//{"name": "twice", "name": "twice", /' "$from" >"$work/bad.json"
    $kind "key twice" "$work/bad.json"
    { head -c -2 "$from" && echo ', "made": 1, "made": 2}'; } >"$work/bad.json"
    $kind "last key twice" "$work/bad.json"
    for i in 100 3000 100000; do
        { printf '{"name": ' && printf '[%.0s' $(seq $i) && printf ']%.0s' $(seq $i) && echo '}'; } >"$work/bad.json"
        $kind "$i lists in each other" "$work/bad.json"
        { printf '{"name": ' && printf '{"a":%.0s' $(seq $i); } >"$work/bad.json"
        $kind "$i objects, never closed" "$work/bad.json"
    done
    : >"$work/bad.json" && $kind "empty" "$work/bad.json"
    echo '   ' >"$work/bad.json" && $kind "spaces" "$work/bad.json"
    echo '[]' >"$work/bad.json" && $kind "a list" "$work/bad.json"
    echo '"text"' >"$work/bad.json" && $kind "a text" "$work/bad.json"
    echo 'null' >"$work/bad.json" && $kind "null" "$work/bad.json"
    { cat "$from" && cat "$from"; } >"$work/bad.json" && $kind "two documents" "$work/bad.json"
    [ $kind = scenario ] || { { cat "$from" && echo "// end"; } >"$work/bad.json" && $kind "a comment" "$work/bad.json"; }
    { printf '\xef\xbb\xbf' && cat "$from"; } >"$work/bad.json" && $kind "byte order mark" "$work/bad.json"
    for ((i = 0; i < 1000; i++)); do printf "\\x$(printf %02x $((RANDOM % 256)))"; done >"$work/bad.json" && $kind "random bytes" "$work/bad.json"
}
spoil_text scenario "$good"
spoil_text result "$good_result"

# by all commands
head -c 700 "$good_result" >"$work/bad.json" && unreadable "cut" "$work/bad.json"
sed '0,/: "/s//: "\xff\xfe/' "$good_result" >"$work/bad.json" && unreadable "no UTF-8" "$work/bad.json"
sed '0,/: [0-9][0-9]*/s//: 1e400/' "$good_result" >"$work/bad.json" && unreadable "1e400" "$work/bad.json"
sed '0,/: [0-9][0-9]*/s//: 1000000000000000000000000000000/' "$good_result" >"$work/bad.json" && unreadable "10^30" "$work/bad.json"
{ head -c 300 "$good_result" && printf '\0' && tail -c +301 "$good_result"; } >"$work/bad.json" && unreadable "a NUL byte" "$work/bad.json"
{ printf '[%.0s' $(seq 200000); } >"$work/bad.json" && unreadable "200000 lists" "$work/bad.json"
: >"$work/bad.json" && unreadable "empty" "$work/bad.json"

# a baseline of the gate
"$LAYERBENCH" synth --shape tiny --quant Q8_0 --layers 2 --seed 1 -o "$work/m.gguf" 2>/dev/null || fail "no model"
jq --arg model "$work/m.gguf" '.model = {path: $model} | .name = "gate-made" | .fixed = {threads: 1, prompt_tokens: 2,
    generate_tokens: 2, storage: "memory"} | .matrix = {prefetch: ["off"], cache_layers: [1]} | del(.exclude)' "$good" >"$work/gate.json"
"$LAYERBENCH" gate "$work/gate.json" --baseline "$work/baseline.json" --update-baseline >/dev/null 2>&1 || fail "no baseline"
baseline() { what=$1 documents=$((documents + 1)) && refused "$work/bad.json" gate "$work/gate.json" --baseline "$work/bad.json"; }
head -c 200 "$work/baseline.json" >"$work/bad.json" && baseline "a baseline that is cut"
sed '0,/: "/s//: "\xff/' "$work/baseline.json" >"$work/bad.json" && baseline "a baseline that is no UTF-8"
sed '0,/{/s//{"cells": {}, /' "$work/baseline.json" >"$work/bad.json" && baseline "a key twice in a baseline"
sed '0,/: [0-9][0-9]*/s//: 1e400/' "$work/baseline.json" >"$work/bad.json" && baseline "1e400 in a baseline"
for filter in 'del(.cells)' '.cells = []' '.cells = 3' '.schema_version = "1"' '.schema_version = 99' 'del(.scenario_sha256)' '[.]' '3'; do
    jq "$filter" "$work/baseline.json" >"$work/bad.json" && baseline "a baseline changed by $filter"
done

# lines of a layer log
line='{"cell":"a","rep":0,"pass":0,"phase":"decode","layer":0,"outcome":"hit","wait_ns":1,"queue_ns":0,"read_ns":0,"compute_ns":5,"need_ns":9,"ready_ns":9,"bytes":0,"evicted":0}'
log() { what=$1 documents=$((documents + 1)) && printf '%s\n' "$line" "$2" "$line" >"$work/layers.jsonl" && refused layers.jsonl validate "$work/layers.jsonl"; }
log "half a line" "${line:0:40}"
log "a line twice in one" "$line$line"
log "a key twice" "${line/\"rep\":0/\"rep\":0,\"rep\":0}"
log "a phase that is none" "${line/decode/dream}"
log "an outcome that is none" "${line/hit/perhaps}"
log "a negative time" "${line/\"wait_ns\":1/\"wait_ns\":-1}"
log "1e400" "${line/\"read_ns\":0/\"read_ns\":1e400}"
log "10^30" "${line/\"bytes\":0/\"bytes\":1000000000000000000000000000000}"
log "no layer" "${line/\"layer\":0,/}"
log "no object" "[1]"
log "no UTF-8" "${line/\"a\"/\"$(printf '\xff')\"}"
log "an empty line" ""
mkdir "$work/logged" && { echo "$line" && echo "${line/\"layer\":0/\"layer\":1e400}" && echo "${line:0:50}" && printf '\0\n' && echo "$line"; } >"$work/logged/layers.jsonl"
what="a log with damaged lines" && survives layers.jsonl plot "$work/logged" && survives layers.jsonl trace "$work/logged" --out "$work/trace.json" &&
    survives layers.jsonl report "$work/logged" --out "$work/page.html"

# validate says the same of both kinds
for path in .name=3 .repetitions=0 .more=1 .matrix.prefetch='["never"]'; do
    what=$path
    jq "$path" "$good" >"$work/bad.json" && both "$work/bad.json"
done
for path in .layerbench.schema_version=null '.layerbench.cells[0].samples[0].pass_ns="x"' '.layerbench.cells=3'; do
    what=$path
    jq "$path" "$good_result" >"$work/bad.json" && both "$work/bad.json"
done
what="a directory" && mkdir "$work/bad.d" && refused "$work/bad.d" validate "$work/bad.d" && refused "$work/bad.d" run "$work/bad.d" --dry-run

[ $documents -ge 200 ] || fail "$documents documents: expected at least 200"
echo "$documents malformed documents, $checks checks, $failures failed"
finish
