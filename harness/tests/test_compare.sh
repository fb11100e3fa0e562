# compare: verdicts, forms of output, and every way in which two results may not be compared.
. harness/tests/lib.sh
needs jq
# expect CODE TEXT ARGUMENT...: a comparison that is refused prints no figures
expect() {
    answers "$1" "$2" "$LAYERBENCH" compare "${@:3}"
    [ "$1" = 0 ] || [ ! -s "$work/out" ] || fail "compare ${*:3}: prints figures although it refuses"
}
verdict() { # METRIC [CELL]: of the JSON in out
    jq -r --arg m "$1" --arg c "${2:-cache_layers=4}" \
        '.comparisons[] | select(.metric == $m and .cell == $c) | .verdict' "$work/out"
}

# made NAME KEY=VALUE...: two cells, pass times with noise of 1%
made() {
    make_result "$work/made/$1" modes=async policies=belady caches=4,8 distances=2 layers=12 passes=2 noise=0.01 "${@:2}"
    cp "$work/made/$1/result.json" "$work/$1.json"
}
made base reps=20
made same reps=20 seed=2
made slower reps=20 seed=2 scale=1.05
made few reps=3 seed=2 scale=1.05
made five reps=5 seed=2 scale=1.05
made one reps=1 seed=2 scale=1.05
base=$work/base.json

# verdicts
expect 0 '"verdict"' "$base" "$work/same.json" --json
is "$(verdict pass)" same "pass against other noise"
is "$(verdict bytes_read)" same "bytes that are equal"
expect 0 '"verdict"' "$base" "$work/slower.json" --json
is "$(verdict pass)" different "pass, 5% slower"
is "$(verdict tokens_per_second)" different "tokens/s, 5% slower"
is "$(verdict bytes_read)" same "bytes of the slower"
is "$(jq '[.comparisons[] | select(.metric == "pass")][0].ratio > 1.04' "$work/out")" true "ratio is head / base"
is "$(jq '.comparisons | length' "$work/out")" 18 "rows: three cells, six metrics"
expect 0 '"verdict"' "$work/slower.json" "$base" --json
is "$(jq '[.comparisons[] | select(.metric == "pass")][0].ratio < 0.96' "$work/out")" true "ratio, arms swapped"
expect 0 '"verdict"' "$work/few.json" "$(changed "$work/few.json" '.layerbench.cells[].samples[] |= (.pass_ns |= map(. * 11 / 10 | floor))')" --json
is "$(verdict pass)" unknown "three against three cannot show a difference"
expect 0 '"verdict"' "$work/five.json" "$(changed "$work/five.json" '.layerbench.cells[].samples[] |= (.pass_ns |= map(. * 11 / 10 | floor))')" --json
is "$(verdict pass)" different "five against five without overlap"
expect 0 '"verdict"' "$base" "$work/one.json" --json
is "$(verdict pass)" unknown "one sample"
is "$(jq '[.comparisons[] | select(.metric == "pass")][0].low' "$work/out")" null "interval of one sample"
expect 0 '"verdict"' "$base" "$(changed "$base" '.layerbench.cells[].samples[].decode.bytes_read += 1')" --json
is "$(verdict bytes_read)" different "counts differ exactly"
expect 0 '"verdict"' "$(changed "$base" '.layerbench.cells[].samples[].decode.wait_ns = 0')" "$base" --json
is "$(verdict wait)" different "from nothing to something"
is "$(jq '[.comparisons[] | select(.metric == "wait")][0].ratio' "$work/out")" null "ratio to nothing"

# forms
expect 0 'different' "$base" "$work/slower.json"
expect 0 '| cache_layers=8 | pass |' "$base" "$work/slower.json" --markdown
expect 0 '"cache_layers=8",pass,ns,' "$base" "$work/slower.json" --csv
is "$(wc -l <"$work/out")" 19 "lines of CSV"
expect 2 'expected one of --json' "$base" "$base" --json --csv

# sets: directories of runs, and lists; a link such as `latest` is not counted twice
mkdir -p "$work/runs/1" "$work/runs/2"
cp "$base" "$work/runs/1/result.json"
cp "$work/same.json" "$work/runs/2/result.json"
ln -s 2 "$work/runs/latest"
expect 0 '"n_base": 40' "$work/runs" "$work/slower.json" --json
expect 0 '"n_head": 40' "$base" "$base,$work/same.json" --json
expect 0 '"n_base": 20' "$work/runs/1" "$base" --json

# what must never pass: nothing measured, a missing cell, other work, another machine
expect 5 'base measured nothing' "$(changed "$base" '.layerbench.cells[].samples = []')" "$base"
expect 5 'head measured nothing: killed' "$base" "$(changed "$base" '.layerbench.cells[0] |= (.samples = [] | .failed = "killed")')"
expect 5 'head measured nothing: outcomes' "$base" "$(changed "$base" '.layerbench.cells[0].invalid = "outcomes"')"
expect 5 'nothing to compare' "$(changed "$base" '.layerbench.cells = []')" "$(changed "$base" '.layerbench.cells = []')"
missing=$(changed "$base" '.layerbench.cells |= .[:1]')
expect 5 'head has no such cell' "$base" "$missing"
expect 5 'base has no such cell' "$missing" "$base"
expect 0 'cache_layers=4' "$base" "$missing" --ignore-missing
work_differs=$(changed "$base" '.layerbench.cells[1].samples[3].tokens_hash = "cccc"')
expect 5 'token hash' "$base" "$work_differs"
expect 5 'token hash' "$work_differs" "$base"
expect 0 'note: ' "$base" "$work_differs" --ignore-work
scenario=$(changed "$base" '.layerbench.scenario.sha256 = "cd" * 32')
expect 5 'another scenario' "$base" "$scenario"
expect 0 'note: ' "$base" "$scenario" --ignore-work
machine=$(changed "$base" '.layerbench.environment.comparability_key.value = "another"')
expect 4 'not comparable' "$base" "$machine"
expect 4 'not comparable' "$base" "$base,$machine"
expect 0 'note: ' "$base" "$machine" --ignore-machine
expect 4 'does not say on what machine' "$base" "$(changed "$base" 'del(.layerbench.environment.comparability_key)')"
expect 4 'not comparable' "$base" "$(changed "$base" '.layerbench.cells[1].machine = "another"')"
expect 5 'another scenario' "$base" "$(changed "$machine" '.layerbench.scenario.sha256 = "cd" * 32')"

# bad files: one line, exit code 2
sed 's/"bytes_read": [0-9]*/"bytes_read": NaN/' "$base" >"$work/nan.json"
expect 2 'nan.json: damaged: line' "$base" "$work/nan.json"
head -c 2000 "$base" >"$work/cut.json"
expect 2 'cut.json: damaged: line' "$work/cut.json" "$base"
expect 2 'pass_ns' "$base" "$(changed "$base" '.layerbench.cells[].samples[] |= (.pass_us = .pass_ns | del(.pass_ns))')"
expect 2 'schema_version' "$base" "$(changed "$base" '.layerbench.schema_version = 2')"
expect 2 'each name once' "$base" "$(changed "$base" '.layerbench.cells[1].name = "cache_layers=4"')"
expect 2 'No such file' "$base" "$work/nowhere.json"
mkdir "$work/empty"
expect 2 'no result.json' "$base" "$work/empty"
expect 2 'expected two results' "$base"

finish
