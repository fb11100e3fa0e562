# test_researcher: a researcher with a model of their own, from the first question to a figure in a paper: a
# sweep without a file, its scenario kept and extended, the result read elsewhere, drawn, told and shared.
. harness/tests/lib.sh
needs jq gnuplot
L=$LAYERBENCH
cd "$work" || exit 1
mkdir -p models study
synth models/mine.gguf --shape tiny --quant Q4_K_M --layers 6
step() { # WHAT COMMAND...
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" >said 2>err || fail "$what (exit code $?): $(tail -n 3 err)"
}

# 1. what is there to choose from, and in which units? All in the tool.
for word in cache_layers prefetch replacement memory_limit; do
    "$L" list options | grep -A1 "^$word: " | grep -q "default: " || fail "list options does not explain $word"
done
"$L" list options | grep -A1 '^cache_layers: ' | grep -q 'unit: layers' || fail "no unit of cache_layers"
"$L" list keys | grep -q '^repetitions: .*unit: samples; default: 3' || fail "list keys does not explain repetitions"
"$L" run --help | grep -q 'threads' || fail "run --help has no example"

# 2. a first sweep, kept as a scenario
step "a sweep" "$L" run -m models/mine.gguf --vary cache_layers=2-4+2 --vary prefetch=sync,async --set threads=1 --set storage=memory \
    --set device=bandwidth=2GB/s --set prompt_tokens=4 --set generate_tokens=4 --repetitions 2 --save-scenario study/first.json
result=$(sed -n 's/^result: \(.*\)\/result.json$/\1/p' said)
[ -s "$result/result.json" ] || fail "the run does not say where its result is: $(cat said)"
grep -q '^The fastest setting is cache_layers=.*what limits it is' <(paste -sd' ' said | grep -o 'The fastest.*') || fail "no sentence at the end: $(cat said)"

# 3. the question grows: what is shared lies in one file, with comments, and the model beside it
cp models/mine.gguf study/mine.gguf
cat >study/common.json <<'X'
{ "$schema": "../scenario.schema.json",
  "model": {"path": "mine.gguf"}, // lies here
  "fixed": {"threads": 1, "storage": "memory", "device": {"bandwidth": "2GB/s"}, "prompt_tokens": 4, "generate_tokens": 4},
  /* few, to be quick */ "repetitions": 2 }
X
echo '{"include": "common.json", "name": "policies", "about": "Which layer should leave?", "matrix": {"replacement": ["lru", "belady"], "cache_layers": [3]}}' >study/policies.json
echo '{"include": "common.json", "name": "distance", "about": "How far ahead?", "matrix": {"prefetch_distance": [1, 2]}, "fixed": {"cache_layers": 4}}' >study/distance.json
step "the scenarios are valid" "$L" validate study/first.json study/policies.json study/distance.json
"$L" list scenario-schema >scenario.schema.json
holds scenario.schema.json '."$id" | startswith("urn:layerbench:")' "the schema has an id that stays"
holds scenario.schema.json '[."$defs" | to_entries[] | select(.key != "program") | .value | has("description")] | all' "each option is described"
holds scenario.schema.json '[.properties, .properties.model.properties, .properties.model.properties.synth.properties | .[] | has("description")] | all' "each key is described"
step "both, one after the other" "$L" run study/policies.json study/distance.json --no-plots -o csv
is "$(grep -c '^"' said)" 6 "a row a cell, of both"
is "$(awk -F, 'NR == 1 { n = NF } NF != n { bad++ } END { print bad + 0 }' <(sed 's/"[^"]*"/x/g' said))" 0 "one table of both"

# 4. elsewhere: the columns are explained, the numbers are numbers
while IFS= read -r column; do
    grep -q "^| \`$column\` |" <("$L" list columns) || case $column in cache_layers | prefetch) ;; *) fail "no word on the column $column" ;; esac
done < <(head -n 1 "$result/summary.csv" | tr , '\n')

# 5. figures, page, two settings beside each other, a row to share
[ -s "$result/report.html" ] && ls "$result"/plots/*.pdf >/dev/null || fail "no page or no figures in $result"
step "two settings of one run" "$L" compare "$result:sync,cache_layers=2" "$result:async,cache_layers=2"
grep -q '^  pass ' said || fail "compare: $(cat said)"
step "a row to share" "$L" datapoint "$result"
! grep -q "mine\|$work" said || fail "the row names the model's file: $(cat said)"

# 6. the same again, from what was kept
step "again" "$L" run study/first.json --no-plots -q --out again
is "$(jq -c '[.layerbench.cells[] | [.name, .samples[].tokens_hash]]' again/result.json)" \
    "$(jq -c '[.layerbench.cells[] | [.name, .samples[].tokens_hash]]' "$result/result.json")" "cells and tokens"
finish
