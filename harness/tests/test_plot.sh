#!/bin/bash
# test_plot: figures of results that are whole, large, damaged and empty.
. harness/tests/lib.sh
needs gnuplot
plot() { "$LAYERBENCH" plot "$@" >"$work/out" 2>"$work/err"; }

# A whole result: every figure whose data is there, each with its files.
make_result "$work/a"
plot "$work/a"
check "plot of a whole result ends with 0" [ $? = 0 ]
for figure in pass-time-by-cache pass-time-by-distance cache-by-distance time-by-cell outcomes timeline \
    wait-by-layer wait-by-layer-and-pass latency roofline memory-by-speed drift; do
    for ending in dat gp svg png pdf; do
        check "$figure.$ending is written" [ -s "$work/a/plots/$figure.$ending" ]
    done
    check "$figure.svg says its data's hash" grep -q \
        "data $(sha256sum "$work/a/plots/$figure.dat" | cut -c1-12)" "$work/a/plots/$figure.svg"
done
check "what is left out is said" grep -q "no prediction: the result holds no prediction" "$work/err"
check "nothing is empty" [ ! -e "$work/a/plots/prediction.svg" ]
check "no path of the machine in a picture" \
    bash -c "! grep -l '$work' $work/a/plots/*.svg $work/a/plots/*.gp"

# The figures show what summary.csv says: the same medians, in milliseconds.
column() { # NAME: cell and that column of summary.csv, in ms, without the reference cells
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i; next }
        $6 == 0 { printf "%.4g\n", $k / 1e6 }' "$work/noisy/summary.csv"
}
shown() { awk -v k="$2" '!/^#/ { n = NF; printf "%.4g\n", $(n - 7 + k) }' "$work/noisy/plots/$1.dat"; }
make_result "$work/noisy" modes=sync policies=lru,belady reps=8 noise=0.3 caches=3,6 distances=1
plot "$work/noisy" --only time-by-cell
for of in compute_ns:2 wait_ns:3 other_ns:4 floor_ns:5 pass_low_ns:6 pass_high_ns:7; do
    is "$(shown time-by-cell ${of#*:} | sort)" "$(column ${of%:*} | sort)" "time-by-cell shows ${of%:*}"
done

# Of mapped cells what page faults took is waiting, not computing: compute falls to the resident cell's,
# the sum stays; without faults, and of other storages, nothing is moved.
faulted() { # FILTER: the data of noisy changed by it
    mkdir -p "$work/mapped" && cp "$work/noisy/layers.jsonl" "$work/mapped"
    jq "$1" "$work/noisy/result.json" >"$work/mapped/result.json"
    plot "$work/mapped" --only time-by-cell
    grep -v '^#' "$work/mapped/plots/time-by-cell.dat"
}
as_measured=$(grep -v '^#' "$work/noisy/plots/time-by-cell.dat")
mapped='(.layerbench.cells[] | select(.reference | not)) |= (.options.storage = "mmap" | .samples[] |= (.major_faults = 50 | .decode.compute_ns += 100e6 * (.pass_ns | length)))'
is "$(faulted "${mapped/= 50/= 0}" | awk '{ print $(NF - 4) }' | sort)" "$(awk '{ print $(NF - 4) }' <<<"$as_measured" | sort)" "waiting without a page fault"
is "$(faulted "${mapped/mmap/pread}" | awk '{ print $(NF - 4) }' | sort)" "$(awk '{ print $(NF - 4) }' <<<"$as_measured" | sort)" "waiting of cells that are not mapped"
faulted "$mapped" >"$work/moved"
check "page faults are waiting" awk '/resident/ { next } $(NF - 4) < 90 || $(NF - 5) > 90 { bad = 1 } END { exit bad || NR < 4 }' "$work/moved"

# The same data gives the same bytes, elsewhere too, and by hand from the script beside it.
make_result "$work/b"
plot "$work/b"
same_figures "$work/a/plots" "$work/b/plots" "SVG, PNG and PDF for the same data"
if ! grep -aq /ObjStm "$work/a/plots/drift.pdf"; then
    check "a PDF bears no date" grep -aq "CreationDate (D:19700101000000" "$work/a/plots/drift.pdf"
fi
cp -r "$work/a/plots" "$work/c"
rm "$work"/c/*.svg "$work"/c/*.png
for script in "$work"/c/*.gp; do
    (cd "$work/c" && gnuplot "$(basename "$script")" >/dev/null 2>&1) || fail "$script"
done
check "the script in the folder draws the same" diff -r -x "*.pdf" "$work/a/plots" "$work/c"
check "a script of plots/ works by hand" gnuplot -e "data='$work/a/plots/drift.dat'; out='$work/drift'" \
    plots/drift.gp
check "it draws SVG and PNG" [ -s "$work/drift.svg" -a -s "$work/drift.png" ]

# Routes of experts: 2 layers of 8 experts, 2 a token; objects of two sizes as a cache simulator has them.
{
    echo token,layer,experts
    for token in {0..99}; do for layer in 0 1; do echo "$token,$layer,$((token * token % 7)),7"; done; done
} >"$work/routes.csv"
plot "$work/routes.csv" -o "$work/routes"
check "routes of experts are drawn" [ $? = 0 ]
for figure in expert-miss-ratio expert-popularity expert-reuse expert-union; do
    check "$figure.svg" [ -s "$work/routes/$figure.svg" ]
done
check "no policy is below Belady's" awk '$1 ~ /^"/ { if ($1 == "\"belady\"") least[$2] = $4; else got[$1 " " $2] = $4 }
    END { for (k in got) { split(k, p, " "); if (got[k] < least[p[2]] - 1e-9) exit 1; n++ } exit n < 100 }' \
    "$work/routes/expert-miss-ratio.dat"
# expert 7 is always needed: half of the choices, four times the even share; two tokens share it
check "popularity" grep -qx "1 1 4" "$work/routes/expert-popularity.dat"
check "one token needs two experts" grep -q "^1 2 2 2 2" "$work/routes/expert-union.dat"
check "several share them" awk '$1 == 64 { exit !($2 < 6 && $2 > 2 && $5 == 128) }' "$work/routes/expert-union.dat"
check "reuse" awk '$1 == 1 { exit !($2 > 0.5 && $2 < 0.8) }' "$work/routes/expert-reuse.dat"
awk -F, 'NR == 1 { print "time,object,size" } NR > 1 { for (i = 3; i <= NF; i++) print $1 "," $2 * 8 + $i "," 100 * ($2 + 1) }' \
    "$work/routes.csv" >"$work/sizes.csv"
plot "$work/sizes.csv" -o "$work/sizes"
check "sizes have a panel of bytes" grep -q "^sizes = 1" "$work/sizes/expert-miss-ratio.gp"

# Damage: half a result.json, half a line in the log, no log, nothing at all.
make_result "$work/d"
head -c 3000 "$work/d/result.json" >"$work/d/half" && mv "$work/d/half" "$work/d/result.json"
plot "$work/d" --only timeline
check "a truncated result.json: what the log shows is drawn" [ $? = 0 -a -s "$work/d/plots/timeline.svg" ]
check "and said" grep -q "result.json: damaged: line .*; drawn is what layers.jsonl shows" "$work/err"

make_result "$work/e"
size=$(stat -c %s "$work/e/layers.jsonl")
truncate -s $((size - 40)) "$work/e/layers.jsonl"
plot "$work/e" --only timeline
check "half a line at the end is no reason to stop" [ $? = 0 ]
check "and said" grep -q "layers.jsonl: 1 of [0-9]* lines" "$work/err"

# Lines as other programs write the same JSON: blanks, escapes.
make_result "$work/j"
plot "$work/j" --only timeline
cp "$work/j/plots/timeline.dat" "$work/plain.dat"
sed -i 's/"cell":"p/ "cell" : "\\u0070/; s/"rep":/"rep" : /' "$work/j/layers.jsonl"
plot "$work/j" --only timeline
check "any spelling of the same JSON" cmp "$work/plain.dat" "$work/j/plots/timeline.dat"
check "nothing of it is damaged" bash -c "! grep damaged '$work/err'"

rm "$work/e/layers.jsonl"
plot "$work/e"
check "no log: the figures of cells are drawn" [ $? = 0 -a -s "$work/e/plots/outcomes.svg" ]
check "the others go, and say why" [ ! -e "$work/e/plots/timeline.svg" ]
check "the log is named" grep -q "no timeline: needs the accesses in layers.jsonl" "$work/err"

# A run that was stopped: cells without samples, one sample without times.
make_result "$work/k"
jq -c '.layerbench.complete = false | .layerbench.cells[3].samples = [] |
    .layerbench.cells[5].samples[0].pass_ns = []' "$work/k/result.json" >"$work/k/new"
mv "$work/k/new" "$work/k/result.json"
plot "$work/k"
check "an incomplete result: the rest is drawn" [ $? = 0 -a -s "$work/k/plots/outcomes.svg" ]
check "that it is incomplete is said" grep -q "the run is not complete; drawn is what was measured" "$work/err"
check "a cell without samples is named" grep -q "is not drawn: no sample was measured" "$work/err"
check "a sample without times is named" grep -q "1 sample without times; left out" "$work/err"

mkdir "$work/f"
echo '{"layerbench":{"cells":[]}}' >"$work/f/result.json"
plot "$work/f"
check "a result without cells is bad input" [ $? = 2 ]
check "and said" grep -q "holds no cell" "$work/err"
echo '{"cells":1}' >"$work/f/result.json"
plot "$work/f"
check "a file of another kind is bad input" [ $? = 2 ]
check "and said" grep -q "not a result of layerbench" "$work/err"
plot "$work/nowhere"
check "no such result is bad input" [ $? = 2 ]
plot "$work/a" --only nothing
check "no such figure is bad input" [ $? = 2 ]

# A name that gnuplot or a shell could take for more than a name.
make_result "$work/g"
sed -i "s/\"name\":\"fixture\"/\"name\":\"it's \`touch x\` @b\"/" "$work/g/result.json"
plot "$work/g" --only drift
check "any scenario name can be drawn" [ $? = 0 -a ! -e "$work/g/plots/x" ]

# A comparison.
mkdir "$work/h"
echo '{"comparisons":[{"cell":"a","metric":"pass_ns","ratio":1.05,"low":1.03,"high":1.07,"verdict":"different"},
 {"cell":"b","metric":"pass_ns","ratio":1.0,"low":0.99,"high":1.02,"verdict":"same"}]}' >"$work/h/c.json"
plot "$work/h/c.json"
check "a comparison is drawn" [ $? = 0 -a -s "$work/h/plots/comparison.svg" -a -s "$work/h/plots/comparison.pdf" ]

# Of another version, with a byte-order mark, of another program: every reader refuses it and says why.
make_result "$work/v"
refused() { # TEXT FILTER...: result.json is what the filter makes of a good one
    local text=$1 command
    shift
    mkdir -p "$work/w" && rm -f "$work"/w/*
    "$@" <"$work/v/result.json" >"$work/w/result.json"
    for command in "plot $work/w" "report $work/w -o $work/w/r.html" "trace $work/w" \
        "simulate --against $work/w" "compare $work/w $work/w" "merge $work/w --out $work/w/m"; do
        # shellcheck disable=SC2086
        "$LAYERBENCH" $command >/dev/null 2>"$work/err"
        check "$command: bad input ($text)" [ $? = 2 ]
        check "$command says: $text" grep -q "result.json: .*$text" "$work/err"
        check "in one line" [ "$(wc -l <"$work/err")" = 1 ]
    done
}
refused 'schema_version: 99: expected 1' sed 's/"schema_version": *1/"schema_version": 99/'
refused 'byte-order mark' sed "1s/^/$(printf '\357\273\277')/"
refused "expected a key 'layerbench'" sed 's/"layerbench":/"other":/; s/"benchmarks":/"rows":/'

# Many accesses: the time is printed, not judged.
make_result "$work/i" layers=32 passes=12 reps=6 caches=4,8,16,24 distances=1,2
start=$(date +%s%N)
plot "$work/i"
check "a large result is drawn" [ $? = 0 ]
echo "$(wc -l <"$work/i/layers.jsonl") accesses drawn in $((($(date +%s%N) - start) / 1000000)) ms"
finish
