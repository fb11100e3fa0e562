# test_sweep: options set and varied on the command line, scenario files with comments and includes, the
# formats of -o, and what is refused, in one line each.
. harness/tests/lib.sh
needs jq
L=$LAYERBENCH
cd "$work" || exit 1
synth m.gguf --shape tiny --quant Q4_K_M --layers 4
quick=(--set threads=1 --set storage=memory --set device=bandwidth=4GB/s --set prompt_tokens=2 --set generate_tokens=2)
cells() { "$L" run "$@" --list | paste -sd' '; }

# ---- values: lists, ranges, units, what is a value as a whole
is "$(cells -m m.gguf --vary batch=2,4,8)" "batch=2 batch=4 batch=8 reference/batch=2 reference/batch=4 reference/batch=8" "a list"
is "$(cells -m m.gguf --vary queue-depth=4-16+4)" "queue_depth=4 queue_depth=8 queue_depth=12 queue_depth=16 reference" "a range with a step"
is "$(cells -m m.gguf --vary queue_depth=1-9*2)" "queue_depth=1 queue_depth=2 queue_depth=4 queue_depth=8 reference" "a range with a factor"
is "$(cells -m m.gguf --vary queue_depth=1-3,8)" "queue_depth=1 queue_depth=2 queue_depth=3 queue_depth=8 reference" "a range in a list"
is "$(cells -m m.gguf --vary chunk_bytes=256KiB-1MiB*2)" "chunk_bytes=256KiB chunk_bytes=512KiB chunk_bytes=1MiB reference" "a range of sizes"
is "$(cells -m m.gguf --vary acceptance=0.1-0.3+0.1 --set speculate=replay)" "acceptance=0.1 acceptance=0.2 acceptance=0.3 reference" "a range of shares, its end too"
is "$(cells -m m.gguf --vary cache_layers=2-3,auto)" "cache_layers=2 cache_layers=3 cache_layers=auto reference" "a word beside a range"
is "$(cells -m m.gguf --vary affinity=0-1)" "affinity=0-1 reference" "processors are no range"
is "$(cells -m m.gguf --vary device=bandwidth=1GB/s,latency=1us --vary device=none)" "device=bandwidth=1GB/s,latency=1us device=none reference" "what is varied again has more values"
is "$(cells -m m.gguf --vary prefetch=sync,async --vary cache_layers=2,3 --filter async | head -c 200)" "prefetch=async/cache_layers=2 prefetch=async/cache_layers=3 reference" "two options"

# ---- a run without a file, saved, and run from the file: the same cells and work
check "a sweep: $(cat err 2>/dev/null)" "$L" run -m m.gguf "${quick[@]}" --vary cache_layers=2-4+2 --vary prefetch=sync,async \
    --repetitions 2 --seed 5 --no-plots --save-scenario s.json --out a -o csv >a.csv 2>err
check "the saved scenario is valid" "$L" validate s.json >/dev/null
check "the saved scenario runs" "$L" run s.json --no-plots -q --out b >/dev/null 2>err
is "$(jq -c '[.layerbench.cells[] | [.name, .samples[].tokens_hash]]' a/result.json)" \
    "$(jq -c '[.layerbench.cells[] | [.name, .samples[].tokens_hash]]' b/result.json)" "cells and tokens of the sweep and of its file"
holds a/result.json '.layerbench.scenario.requested.fixed.threads == 1 and (.layerbench.scenario.sha256 | length == 64)' "what was asked for"
check "a sweep goes on" "$L" run -m m.gguf "${quick[@]}" --vary cache_layers=2-4+2 --vary prefetch=sync,async --repetitions 2 --seed 5 \
    --no-plots -q --out a --resume >/dev/null 2>err
expect 2 "*belongs to another scenario*" "$L" run -m m.gguf "${quick[@]}" --vary cache_layers=2 --repetitions 2 --seed 5 --no-plots -q --out a --resume

# ---- with a file: what is set or varied stands in place of what the file says
is "$(cells s.json --set prefetch=sync)" "cache_layers=2 cache_layers=4 reference" "an axis that is set"
is "$(cells s.json --vary cache_layers=3)" "cache_layers=3/prefetch=sync cache_layers=3/prefetch=async reference" "an axis that is varied otherwise"
is "$(cells s.json --vary threads=1,2 --filter 'cache_layers=2/prefetch=sync')" \
    "cache_layers=2/prefetch=sync/threads=1 cache_layers=2/prefetch=sync/threads=2 reference/threads=1 reference/threads=2" "a fixed option that is varied"

# ---- formats: the same figures in each, numbers as numbers, nothing else on stdout
is "$(head -n 1 a.csv | cut -d, -f1-4)" "scenario,cell,prefetch,cache_layers" "columns of CSV"
is "$(wc -l <a.csv)" 6 "rows of CSV"
"$L" run s.json s.json --no-plots -o json >two.json 2>err
holds two.json 'length == 10' "two scenarios are one list"
holds two.json 'all(.pass_ns > 0 and (.share_of_floor > 0 or .share_of_floor == null) and .demand_bytes == null and .threads == 1)' "figures and options are numbers" '.[0]'
holds two.json 'map(.cache_layers) == [2,2,4,4,"auto",2,2,4,4,"auto"]' "cache sizes"
grep -q '^result: ' err || fail "the result is not named on stderr"
"$L" run s.json --no-plots -q -o jsonl >lines 2>/dev/null
is "$(jq -s 'length' lines)" 5 "a line a cell"
is "$(jq -r 'keys_unsorted | join(",")' lines | sort -u)" "$(head -n 1 a.csv)" "the columns of all formats are the same"
"$L" run s.json --no-plots -q -o md >table.md 2>/dev/null
is "$(grep -c '^|' table.md)" 7 "rows of Markdown"
"$L" run s.json --no-plots -q -o sql >table.sql 2>/dev/null
if command -v python3 >/dev/null; then
    is "$(python3 -c '
import sqlite3, sys
db = sqlite3.connect(":memory:")
db.executescript(open("table.sql").read())
print(db.execute("select count(*), sum(typeof(pass_ns)=\"real\"), sum(cache_layers is null) from layerbench").fetchone())' 2>&1)" "(5, 5, 1)" "SQL"
    # what pandas and R make of summary.csv: a column is of numbers where every field that is not empty is one
    is "$(python3 -c '
import csv
rows = list(csv.DictReader(open("a/summary.csv")))
def number(text):
    try: return text == "" or float(text) == float(text)
    except ValueError: return False
print([name for name in rows[0] if not all(number(row[name]) for row in rows)])' 2>&1)" "['cell', 'prefetch']" "columns of summary.csv that are texts"
else
    part_skipped "SQL and CSV: needs python3"
fi
if python3 -c 'import pandas' 2>/dev/null; then
    is "$(python3 -c 'import pandas; t = pandas.read_csv("a/summary.csv"); print(list(t.select_dtypes(exclude="number")))')" "['cell', 'prefetch']" "pandas"
fi
if command -v Rscript >/dev/null; then
    is "$(Rscript -e 'd <- read.csv("a/summary.csv"); cat(names(d)[!sapply(d, function(x) is.numeric(x) || all(is.na(x)))])')" "cell prefetch" "R"
fi

# ---- files: comments, include, a model beside the scenario
mkdir -p deep/er
cp m.gguf deep/beside.gguf
cat >deep/common.json <<'X'
{ // what all of them share
  "model": {"path": "beside.gguf"}, /* beside this file, "//" and all
  of it */ "fixed": {"threads": 1, "storage": "memory", "prefetch": "sync"},
  "repetitions": 2, "about": "// is no comment in a text" }
X
cat >deep/er/one.json <<'X'
{"$schema": "any", "include": "../common.json", "name": "one", "fixed": {"threads": 2},
 "matrix": {"prefetch": ["off", "async"]}} // the end
X
is "$(cells deep/er/one.json)" "prefetch=off prefetch=async reference" "an included option gives way to the file's"
check "and runs" "$L" run deep/er/one.json --no-plots -q --out one >/dev/null 2>err
holds one/result.json '.layerbench.scenario.requested | .model.path == "deep/er/../beside.gguf" and .repetitions == 2 and .fixed == {"threads": 2, "storage": "memory"} and .about == "// is no comment in a text" and (has("include") | not)' "what the two come to" .layerbench.scenario.requested
check "validate takes them too" "$L" validate deep/er/one.json >/dev/null
before=$(jq -r .layerbench.scenario.sha256 one/result.json)
sed -i 's/share/share now/' deep/common.json
"$L" run deep/er/one.json --no-plots -q --out one2 >/dev/null 2>err
[ "$before" != "$(jq -r .layerbench.scenario.sha256 one2/result.json)" ] || fail "an included file is part of the scenario's hash"
# ---- every file of a scenario: beside it, in the folder of an included file, else as it stands
synth deep/draft.gguf --shape tiny --quant Q4_K_M --layers 2
echo "one two three one two three" >deep/er/p.txt
echo "far away" >far.txt
cat >deep/drafts.json <<'X'
{ "model": {"path": "beside.gguf"}, "about": "?", "repetitions": 1, "warmup": 0,
  "fixed": {"threads": 1, "storage": "memory", "speculate": "draft", "draft_model": "draft.gguf",
            "model_copy": "beside.gguf,elsewhere.gguf", "prompt_tokens": 4, "generate_tokens": 4} }
X
cat >deep/er/files.json <<'X'
{"include": "../drafts.json", "name": "files",
 "matrix": {"prompts": ["p.txt", "far.txt"], "prefetch": ["off", "sync"]},
 "exclude": [{"prompts": "p.txt", "prefetch": "off"}]}
X
is "$(cells deep/er/files.json --filter sync)" "prompts=deep/er/p.txt/prefetch=sync prompts=far.txt/prefetch=sync reference/prompts=deep/er/p.txt reference/prompts=far.txt" "files of options"
is "$(cells deep/er/files.json --filter off | grep -c 'p.txt/prefetch=off')" 0 "an exclusion by a file"
check "runs with them: $(cat err)" "$L" run deep/er/files.json --set model_copy= --no-plots -q --out files >/dev/null 2>err
holds files/result.json '.layerbench.scenario.requested | .fixed.draft_model == "deep/er/../draft.gguf" and .fixed.model_copy == "" and .matrix.prompts == ["deep/er/p.txt", "far.txt"]' "where files were found" .layerbench.scenario.requested
if command -v gnuplot >/dev/null; then
    "$L" plot files --only time-by-cell --out figures >out 2>&1 || fail "plot: $(cat out)"
    is "$(sed -n 's/^"\([^"]*\)".*/\1/p' figures/time-by-cell.dat | paste -sd,)" "sync p,off far,sync far,resident p,resident far" "files by their names in a figure"
    "$L" run -m m.gguf "${quick[@]}" --vary cache_layers=2,3 --repetitions 1 --no-plots -q --out letters >/dev/null 2>err
    "$L" plot letters --only time-by-cell --out figures >out 2>&1 || fail "plot: $(cat out)"
    check "a caption says what C is where names begin with it" grep -q "^caption.*C: layers in the cache" figures/time-by-cell.gp
else
    part_skipped "no figure: needs gnuplot"
fi
"$L" run deep/er/files.json --no-plots -q --list --save-scenario saved.json >/dev/null 2>err
holds saved.json '.fixed.model_copy == "deep/er/../beside.gguf,elsewhere.gguf"' "each of several files by itself" .fixed
echo '{"include": "self.json"}' >self.json
expect 2 "layerbench run: self.json: include: 'self.json': expected at most 8 files deep*" "$L" run self.json --list
echo '{"include": ["none.json"]}' >bad.json
expect 2 "layerbench run: none.json: cannot open*" "$L" run bad.json --list
echo '{"include": 3}' >bad.json
expect 2 "layerbench run: bad.json: include: expected a path*" "$L" run bad.json --list
printf '{"name": "x", /* not closed\n}' >bad.json
expect 2 "layerbench run: bad.json: line 1, column *" "$L" run bad.json --list
printf '{"name": "x", // a comment\n  "about": }' >bad.json
expect 2 "layerbench run: bad.json: line 2, column *" "$L" run bad.json --list

# ---- all are checked before the first is measured
expect 2 "layerbench run: none.json: *" "$L" run s.json none.json --no-plots -q
rm -rf results
"$L" run s.json none.json --no-plots -q >/dev/null 2>&1
[ ! -e results ] || fail "a scenario was measured before the second was found missing"

# ---- refused
no() { # TEXT ARGUMENTS...
    local text=$1
    shift
    expect 2 "layerbench run: $text" "$L" run "$@" --no-plots
}
m=(-m m.gguf)
no "expected at least one scenario file, or --model with --vary*" "${m[@]}"
no "--vary: expected a scenario file, or --model FILE" --vary batch=1
no "--vary: unknown option 'cache_layer': did you mean 'cache_layers'?" "${m[@]}" --vary cache_layer=1
no "--set: unknown option 'zzz'; see *" "${m[@]}" --set zzz=1 --vary batch=1
no "--vary: 'batch': expected NAME=VALUE" "${m[@]}" --vary batch
no "--set: '=1': expected NAME=VALUE" "${m[@]}" --set =1 --vary batch=1
no "--vary batch: '': expected a whole number from 1 to 4096" "${m[@]}" --vary batch=
no "--vary batch: '': expected*" "${m[@]}" --vary batch=1,,2
no "--vary batch: '4097': expected a whole number from 1 to 4096" "${m[@]}" --vary batch=4095-5000
no "--vary prefetch: 'on': expected one of off*" "${m[@]}" --vary prefetch=sync,on
no "--vary batch: '4-2': an empty range*" "${m[@]}" --vary batch=4-2
no "--vary batch: '1-4+0': a range without end: expected a step above 0" "${m[@]}" --vary batch=1-4+0
no "--vary batch: '1-4*1': a range without end: expected a factor above 1*" "${m[@]}" --vary 'batch=1-4*1'
no "--vary prefetch_distance: '0-4*2': a range without end*" "${m[@]}" --vary 'prefetch_distance=0-4*2'
no "--vary prefetch_distance: '0-99999': expected at most 10000 values" "${m[@]}" --vary prefetch_distance=0-99999
no "*matrix: 14400 combinations: expected at most 10000" "${m[@]}" --vary batch=1-120 --vary queue_depth=1-120
no "*: 2: expected a value that does not stand there already" "${m[@]}" --vary batch=2,1-3
no "--set threads: '1,2': expected a whole number*" "${m[@]}" --set threads=1,2 --vary batch=1
no "--output: 'xml': expected one of csv, json, jsonl, md, sql" s.json -o xml
no "--save-scenario: expected one scenario, not 2" s.json s.json --save-scenario x.json
no "*cache_layers' stands beside 'cache_bytes'*" s.json --set cache_bytes=1MiB
finish
