#!/bin/bash
# test_figures: figures of results with odd contents, and whether their texts can be read: none
# overlap, run together or leave the canvas, on the report page too.
. harness/tests/lib.sh
needs gnuplot jq
only() { "$LAYERBENCH" plot "$work/$1" --only "$2" -o "$work/$1/plots" >"$work/out" 2>"$work/err"; }

# The check itself finds what it is for.
text() { echo "<g transform=\"translate($1,$2)\" font-size=\"18.00\" text-anchor=\"$3\"><text>$4</text></g>"; }
page() { # TEXT...: as a picture
    printf '<svg\n viewBox="0 0 640 100"\n>\n%s\n' "$(printf '%s\n' "$@")" >"$work/texts.svg"
    scripts/check-figures "$work/texts.svg" >"$work/found"
}
check "texts side by side are none" page "$(text 10 40 start 1.25)" "$(text 60 40 start 1.5)"
! page "$(text 10 40 start 1.25)" "$(text 40 40 start 1.5)" && grep -q '"1.25" overlaps "1.5"' "$work/found" ||
    fail "overlapping texts are found"
! page "$(text 635 40 start 'wait (ms)')" || fail "a text that leaves the canvas is found"

# Each figure has its script with a question, each script is one of them or of a trace.
"$LAYERBENCH" list figures >"$work/list"
check "each figure asks a question" bash -c "! sed '/^metrics/,\$d' '$work/list' | grep -v '[?]\$'"
is "$({ awk '/^metrics/ { exit } { print $1 }' "$work/list"; printf '%s\n' style history expert-{miss-ratio,popularity,reuse,union}; } |
    sort | tr '\n' ' ')" "$(basename -a -s .gp plots/*.gp | sort | tr '\n' ' ')" "scripts of the list"

# odd NAME ...: a made result, changed by jq (FILTER), as a report; it must neither crash nor overlap.
odd() { # NAME FILTER KEY=VALUE...
    local name=$1 filter=$2
    shift 2
    make_result "$work/$name" "$@"
    if [ "$filter" != . ]; then
        jq -c "$filter" "$work/$name/result.json" >"$work/changed" || fail "$name: jq"
        mv "$work/changed" "$work/$name/result.json"
    fi
    "$LAYERBENCH" report "$work/$name" -o "$work/$name.html" >/dev/null 2>"$work/err"
    check "$name: a report (exit code $?): $(head -c 300 "$work/err")" [ -s "$work/$name.html" ]
    check "$name: gnuplot draws: $(grep -m1 gnuplot "$work/err")" bash -c "! grep -q 'gnuplot failed' '$work/err'"
    [ "${3:-}" = nothing ] || check "$name: can be read" scripts/check-figures "$work/$name.html"
}
small="modes=async policies=belady caches=4 distances=2 passes=2"
cells='.layerbench.cells[]'
odd whole .
# shellcheck disable=SC2086
odd one-sample . $small reps=1
odd no-waits . modes=async policies=lru caches=100 distances=1
odd many-cells . modes=off,sync,async policies=lru,belady,pin-spread,mru caches=2,4,6,8,10 distances=1,2 reps=1
odd microseconds . scale=0.001
odd minutes . scale=3000
odd days . scale=3000000
odd layers . layers=126 caches=10,90 passes=3 reps=1
long=$(printf 'replacement_with_a_name_that_nobody_would_give_%.0s' 1 2 3)
odd long-names ".layerbench.scenario.name = \"$long\" | ($cells | select(.reference | not)).options |=
    (.replacement += \"_$long\" | .storage = \"$long\")" reps=1
odd no-options "($cells).options |= del(.cache_layers, .prefetch_distance, .threads)" reps=1
odd only-names "($cells).options = {}" reps=1
odd few-figures "$cells |= (.floor = null | .samples[] |= {rep, seq, pass_ns, start_ns})" reps=2
odd other-programs "($cells | select(.name | contains(\"sync/\"))) |= (.options = {} | .name = \"llama.cpp \" + .name |
    .floor = null | .samples[] |= {rep, seq, pass_ns, start_ns, peak_rss_bytes})" reps=2
odd options "[1, 2, 4, 16] as \$n | .layerbench.cells |= (to_entries | map(.key as \$k | .value |
    .options.threads = \$n[\$k % 4] | .options.storage = [\"pread\", \"uring\"][\$k % 2]))" reps=3 noise=0.1
odd drafts "[\"off\", \"ngram\", \"replay\"] as \$how | .layerbench.cells |= (to_entries | map(.key as \$k | .value |
    .options.speculate = \$how[(\$k + \$k / 3 | floor) % 3] | .options.draft_tokens = [1, 4, 16][\$k / 3 % 3 | floor] | .options.acceptance = 0.7 |
    .samples[] |= (.tokens = (.pass_ns | length) * (1 + (\$k + \$k / 3 | floor) % 3) | .draft_reached = [9, 6, 4, 2] |
    .draft_right = [6, 4, 2, 1]))) " reps=1 policies=belady distances=2
for figure in token-time-by-draft-length acceptance-by-place break-even; do
    only drafts $figure
    check "$figure: $(cat "$work/err")" [ -s "$work/drafts/plots/$figure.svg" ]
done
# of guesses that are right with a chance of 0.6, 1 + 0.6 tokens a pass come of one: solved for, and back
check "break-even: as many tokens as the pass gave" awk '$1 == "cell" && $2 == 1 { if ($4 > 0.9999) full++ } END { exit !full }' \
    "$work/drafts/plots/break-even.dat"
check "break-even: nothing to win back where loading takes the time" awk '$1 == "line" && $3 < 0.06 && $4 > 0.01 { exit 1 }' \
    "$work/drafts/plots/break-even.dat"
make_result "$work/failed"
jq -c "$cells |= (.samples = [] | .failed = \"it did not start\")" "$work/failed/result.json" >"$work/changed"
mv "$work/changed" "$work/failed/result.json"
"$LAYERBENCH" plot "$work/failed" >"$work/out" 2>"$work/err"
check "only failed cells: bad input, and no crash" [ $? = 2 ]
check "only failed cells: said" grep -q "no cell was measured" "$work/err"

# Any metric over any option; by itself of those that have no other figure.
only options by-option
row() { awk -F'"' -v o="$1" '$2 == o { print $8 }' "$work/options/plots/by-option.dat" | sort -nu | tr '\n' ' '; }
is "$(row threads)" "1 2 4 16 " "the values of threads"
is "$(row prefetch)" "" "prefetch has figures of its own"
plot_over() { "$LAYERBENCH" plot "$work/options" --over "$1" ${2:+--metric "$2"} -o "$work/over" >"$work/out" 2>"$work/err"; }
check "one option that is asked for" plot_over cache-layers wait_ms
check "and its metric" grep -q '^"cache_layers" "wait a pass (ms)"' "$work/over/by-option.dat"
plot_over cache-layers ttft_ms
check "a metric that is not of passes" awk '!/^#/ && $(NF - 4) > 0 { n++ } END { exit n < 3 }' "$work/over/by-option.dat"
plot_over threads nothing
is "$?" 2 "a metric that there is not"
check "says which there are" grep -q "expected one of.* pass_ms.* wait_ms" "$work/err"
plot_over nothing
is "$?" 2 "an option that there is not"
plot_over replacement && check "best of the rest at each point" grep -qE "(best|at) .*prefetch_distance" "$work/over/by-option.gp"

# A figure that is a script and a line of the list: its columns, from the cells.
only whole time-by-bytes
jq -r '.layerbench.cells[] | select(.reference | not) | .samples as $s | [.options.prefetch,
    ($s[0].decode.bytes_read / ($s[0].pass_ns | length) / 1048576)] | @tsv' "$work/whole/result.json" |
    awk '{ printf "\"%s\" %.6g\n", $1, $2 }' | sort >"$work/expected"
awk '!/^#/ && !/"resident"/ { print $1, $2 }' "$work/whole/plots/time-by-bytes.dat" | sort >"$work/got"
check "columns of time-by-bytes" cmp "$work/expected" "$work/got"

# Names in a caption are explained where they stand, and only there.
said() { grep -q "C: layers in the cache" "$work/whole/plots/$1.svg"; }
only whole outcomes && check "what C= is" said outcomes
only whole drift && ! said drift || fail "what C= is, where no C= stands"
only whole timeline
shown=$(awk -F'"' '!/^#/ { print $2 }' "$work/whole/plots/timeline.dat" | sort -u | wc -l)
check "as many cells as are said" grep -q "$shown of [0-9]* cells" "$work/whole/plots/timeline.gp"

# A floor above the pass is not called the least possible, and lies within the axis.
make_result "$work/floor"
"$LAYERBENCH" plot "$work/floor" --only time-by-cell >/dev/null 2>&1
check "a floor" grep -q "floor: least possible pass" "$work/floor/plots/time-by-cell.gp"
jq -c '.layerbench.cells |= map(.floor.ns *= 3)' "$work/floor/result.json" >"$work/changed" && mv "$work/changed" "$work/floor/result.json"
"$LAYERBENCH" plot "$work/floor" --only time-by-cell >/dev/null 2>&1
check "one that passes went below" grep -q "floor: wrong, since passes are below it" "$work/floor/plots/time-by-cell.gp"
check "its marks are inside" awk '/font-size="18/ { size = 1 } /^\t\t<text>/ && size { gsub(/<[^>]*>|\t/, ""); if ($0 + 0 > most) most = $0 + 0 }
    END { exit most < 100 }' "$work/floor/plots/time-by-cell.svg"

# Waits that wander are not averaged away; those that stay are.
only whole wait-by-layer
check "a mean that hides a diagonal" grep -q '^"async lru [^"]*, one pass"' "$work/whole/plots/wait-by-layer.dat"
make_result "$work/steady" modes=async policies=pin-first caches=6 distances=2
only steady wait-by-layer
check "waits for the same layers" bash -c "! grep -q 'one pass' '$work/steady/plots/wait-by-layer.dat'"

# Which side of a comparison is better.
compared() { # METRIC: settings of its figure
    echo "{\"comparisons\":[{\"cell\":\"a\",\"metric\":\"$1\",\"ratio\":1.05,\"low\":1.03,\"high\":1.07,\"verdict\":\"different\"}]}" \
        >"$work/c.json"
    "$LAYERBENCH" plot "$work/c.json" -o "$work/c" >/dev/null 2>&1
    grep "^below" "$work/c/comparison.gp"
}
is "$(compared pass)" "below = 'second is better'; above = 'second is worse'" "a shorter pass"
is "$(compared tokens_per_second)" "below = 'second is worse'; above = 'second is better'" "more tokens"

# All committed results.
for result in results/baselines/*/result.json; do
    name=$(basename "$(dirname "$result")")
    "$LAYERBENCH" report "$result" -o "$work/$name.html" >/dev/null 2>"$work/err"
    check "$name: texts" scripts/check-figures "$work/$name.html"
done
finish
