# another program as a cell: a stand-in beside layerbench, measured from outside; what it prints,
# where it stands in table, CSV, report and figures; and every way in which it can go wrong.
on_disk=yes # page_cache cold
. harness/tests/lib.sh
needs jq
synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 3 --seed 1
run() { "$LAYERBENCH" run "$@"; }

# reads the file, burns some time, prints a speed
cat >"$work/stand-in" <<END
#!/bin/sh
[ "\$3" = 3 ] && [ "\$5" = '{x}' ] || exit 9
cat "\$1" >/dev/null
"$BUILD/harness/tests/burn_time" 200 >/dev/null
echo "eval time = 5 ms, 20.5 tokens per second" >&2
echo '[{"test": "pp", "avg_ts": 80}, {"test": "tg", "avg_ts": 25}]'
END
chmod +x "$work/stand-in"
cat >"$work/s.json" <<END
{"name": "peers", "about": "Two programs?", "model": {"path": "$work/m.gguf"},
 "engine": ["layerbench",
   {"name": "stand-in", "label": "a stand-in, mapped", "command": ["$work/stand-in", "{model}", "-t", "{threads}", "{generate_tokens}", "{{x}"],
    "read": {"tokens_per_second": "/1/avg_ts", "said": "eval time.* ([0-9.]+) tokens"}},
   "plain"],
 "fixed": {"threads": 3, "generate_tokens": 4, "prompt_tokens": 2, "storage": "pread", "page_cache": "cold"},
 "matrix": {"prefetch": ["sync", "async"], "cache_layers": [1, 2]}, "repetitions": 2, "warmup": 1, "seed": 5}
END
check "the scenario fits its schema" "$LAYERBENCH" validate "$work/s.json" >/dev/null
run "$work/s.json" --list >"$work/list"
is "$(grep -c layerbench "$work/list")" 4 "cells of layerbench"
is "$(grep -v layerbench "$work/list" | tr '\n' ' ')" "engine=stand-in engine=plain reference " "what a command does not use does not vary its cells"
run "$work/s.json" --dry-run >"$work/order"
is "$(grep -c 'rep 1 *engine=stand-in' "$work/order")" 1 "another program takes its turns"
run "$work/s.json" --out "$work/r" >"$work/out" 2>"$work/err" || fail "run: exit code $?: $(tail -3 "$work/err")"
grep -q '^engine stand-in: another program, measured from outside: its work is not checked' "$work/out" || fail "the table does not say what is not checked"
r=$work/r/result.json
check "the result fits its schema" "$LAYERBENCH" validate "$r" >/dev/null
cell='(.layerbench.cells[] | select(.name == "engine=stand-in"))'
holds "$r" "$cell"' | .samples | length == 2 and all(.[]; .printed.tokens_per_second == 25 and .printed.said == 20.5)' "what it printed"
holds "$r" "$cell"' | .samples | all(.[]; (.pass_ns | length) == 4 and all(.pass_ns[]; . == 40000000) and .tokens == 4)' "a pass is a token at the speed that it prints"
holds "$r" "$cell"' | .samples | all(.[]; .usage.wall_ns > 1000000 and .usage.cpu_ns > 1000000 and .usage.peak_rss_bytes > 100000)' "what it used, from outside"
holds "$r" "$cell"' | .options | keys == ["affinity", "engine", "generate_tokens", "memory_limit", "page_cache", "threads"] and .engine == "stand-in"' "the options that its command uses" "$cell.options"
holds "$r" "$cell"' | .program.command[1] == "{model}" and .floor.ns == null and all(.samples[]; has("tokens_hash") | not)' "its command, no floor, no hash"
holds "$r" '[.layerbench.cells[] | select(.options.engine == "layerbench") | .samples[].usage.wall_ns > 0] | all and length == 10' "ours from outside too"
if holds_bytes=$(jq "$cell.samples[0].usage.bytes_read // 0" "$r") && [ "$holds_bytes" -gt 0 ]; then
    holds "$r" "$cell"' | .samples | all(.[]; .usage.bytes_read > 8000000)' "bytes of a file that its child read"
else
    part_skipped "bytes read: the file lies in memory here, or the kernel does not count"
fi
holds "$r" '.layerbench.cells[] | select(.name == "engine=plain") | .samples | all(.[]; .pass_ns[0] == .usage.wall_ns and .tokens == 1)' "a plain command's pass is its time"
holds "$r" '[.benchmarks[] | select(.name == "engine=stand-in" and .run_type == "iteration") | .tokens_per_second == 25 and (has("hit") | not)] | all and length == 2' "among the benchmarks"
grep -q '^| stand-in | - | - | 2 (not checked) | 40.0 ms ' "$work/r/summary.md" || fail "no row in summary.md: $(grep stand-in "$work/r/summary.md")"
grep -q '| engine=stand-in | a stand-in, mapped | .*tokens_per_second 25, said 20.5 |' "$work/r/summary.md" || fail "summary.md does not say what it printed"
column() { awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i } /engine=stand-in/ { print $k }' "$work/r/summary.csv"; }
is "$(column pass_ns) $(column tokens_per_second) $(column printed_said)" "40000000 25 20.5" "summary.csv"
is "$(column hit)$(column floor_ns)$(column wait_ns)" "" "what is not known is empty in summary.csv"
is "$(awk -F, '{ print NF }' "$work/r/summary.csv" | sort -u | wc -l)" 1 "rows of one shape"
grep -q 'a stand-in, mapped' "$work/r/report.html" || fail "the report leaves it out"
if command -v gnuplot >/dev/null; then
    grep -q '^"a stand-in, mapped" 0 0 40 ' "$work/r/plots/time-by-cell.dat" || fail "time-by-cell: $(grep stand "$work/r/plots/time-by-cell.dat")"
    grep -q '^"a stand-in, mapped" NaN 40 ' "$work/r/plots/time-by-bytes.dat" || fail "time-by-bytes: $(tail -3 "$work/r/plots/time-by-bytes.dat")"
    grep -q '^"a stand-in, mapped" [0-9.]* 25 ' "$work/r/plots/memory-by-speed.dat" || fail "memory-by-speed: $(grep stand "$work/r/plots/memory-by-speed.dat")"
    grep -q 'stand-in' "$work/r/plots/outcomes.dat" && fail "outcomes of a program whose layers nobody knows"
fi
expect 0 '' "$LAYERBENCH" compare "$work/r" "$work/r" --csv
grep -q '^"engine=stand-in",pass,ns,40000000,40000000' "$work/out" || fail "compare leaves it out"
expect 0 '' "$LAYERBENCH" merge "$work/r" --out "$work/merged"
is "$(jq -c "$cell.samples" "$work/merged/result.json")" "$(jq -c "$cell.samples" "$r")" "merged"
expect 0 '' "$LAYERBENCH" simulate --against "$work/r"
# resumed: its samples are not measured again
mkdir "$work/part" && cp "$work/r/layers.jsonl" "$work/part"
jq '.layerbench.complete = false | (.layerbench.cells[] | select(.name == "engine=plain") | .samples) |= []' "$r" >"$work/part/result.json"
expect 0 '' run "$work/s.json" --out "$work/part" --resume --no-plots
is "$(jq -c "$cell.samples" "$work/part/result.json")" "$(jq -c "$cell.samples" "$r")" "kept by a resume"
# one engine for all cells, and as an option of the matrix
jq '.engine = "plain" | .matrix = {"prefetch": ["sync"]}' "$work/s.json" >"$work/one.json"
is "$(run "$work/one.json" --list)" engine=plain "one program alone"
jq 'del(.engine) | .matrix.engine = ["plain", "layerbench"] | .exclude = [{"engine": "layerbench", "prefetch": "sync"}]' "$work/s.json" >"$work/axis.json"
is "$(run "$work/axis.json" --list | tr '\n' ' ')" "engine=plain prefetch=async/cache_layers=1/engine=layerbench prefetch=async/cache_layers=2/engine=layerbench reference " "engine as an option of the matrix"

# ---- a program that goes wrong: one line, the right code, and nothing measured is lost ----
bad() { # CODE TEXT COMMAND-AS-JSON READ-AS-JSON [ARGUMENT...]
    jq --argjson command "$3" --argjson read "$4" '.engine = ["layerbench", {"name": "bad", "command": $command, "read": $read}] |
        .matrix = {"prefetch": ["sync"]} | .repetitions = 1 | .warmup = 0' "$work/s.json" >"$work/bad.json"
    rm -rf "$work/b"
    run "$work/bad.json" --out "$work/b" --no-plots --quiet "${@:5}" >"$work/out" 2>"$work/err"
    is "$?" "$1" "exit code of $3"
    [ "$1" != 5 ] || is "$(cat "$work/err")" "layerbench run: engine=bad: $2" "what is said of $3"
    holds "$work/b/result.json" '.layerbench.cells[] | select(.options.engine == "layerbench" and (.reference | not)) | .samples | length == 1' "ours is kept beside $3"
}
sh() { jq -nc --arg c "$1" '["sh", "-c", $c]'; }
bad 5 'exit code 3: out of order' "$(sh 'echo starting >&2; echo out of order >&2; exit 3')" '{}'
bad 5 'killed by signal 11 (Segmentation fault)' "$(sh 'kill -SEGV $$')" '{}'
bad 5 'not done after 1 s (--timeout)' "$(sh 'sleep 62.5; true')" '{}' --timeout 1
is "$(running '^sleep 62[.]5')" 0 "nothing is left running"
bad 5 'not done after 1 s (--timeout)' "$(sh 'exec >&-; sleep 63.5')" '{}' --timeout 1
bad 5 'tokens_per_second: printed no JSON: expected a number at /0/a' "$(sh 'echo hello')" '{"tokens_per_second": "/0/a"}'
bad 5 'tokens_per_second: nothing at /1/avg_ts in the JSON that it printed' "$(sh "echo '[{\"avg_ts\": 3}]'")" '{"tokens_per_second": "/1/avg_ts"}'
bad 5 'x: "fast" at /x: expected a number' "$(sh "echo '{\"x\": \"fast\"}'")" '{"x": "/x"}'
bad 5 "x: printed nothing like 'took ([0-9]+)'" "$(sh 'echo slow')" '{"x": "took ([0-9]+)"}'
bad 5 'tokens_per_second: -1: expected a speed that a program can have' "$(sh 'echo "{\"s\": -1}"')" '{"tokens_per_second": "/s"}'
bad 0 '' '["/no/such/program"]' '{}'
holds "$work/b/result.json" '.layerbench.cells[] | select(.name == "engine=bad") | .skipped == "there is no such program here"' "a program that is not there"
jq '.engine = {"name": "bad", "command": ["no-such-program"]} | .matrix = {"prefetch": ["sync"]}' "$work/s.json" >"$work/none.json"
run "$work/none.json" --out "$work/none" --no-plots >"$work/out" 2>&1
is "$?" 5 "nothing but a program that is not there"
grep -q 'engine bad: left out: no-such-program: there is no such program here' "$work/out" || fail "it is not said that it was left out"

# ---- definitions ----
wrong() { # GLOB FILTER
    jq "$2" "$work/s.json" >"$work/wrong.json"
    expect 2 "*wrong.json: $1" run "$work/wrong.json" --list
}
wrong 'engine: "lama-bench": expected one of layerbench, llama-bench, llama-cli, plain, or an object with a command' '.engine = "lama-bench"'
wrong 'engine?0?: unknown key '"'comand': did you mean 'command'?" '.engine = [{"name": "a", "comand": ["x"]}]'
wrong 'engine: command: expected a list of words' '.engine = {"name": "a", "command": []}'
wrong 'engine: command: {modell}: expected {model}, {seed} or the name of an option' '.engine = {"name": "a", "command": ["x", "-m{modell}"]}'
wrong 'engine: read.x: *: expected a JSON pointer*' '.engine = {"name": "a", "command": ["x"], "read": {"x": "("}}'
wrong 'engine: name: *' '.engine = {"command": ["x"]}'
wrong "engine?1?: 'plain' stands there already" '.engine = ["plain", "plain"]'
wrong "matrix: 'engine' stands above too: expected it in one place" '.matrix.engine = ["plain"]'
wrong "fixed: 'engine' stands above too: expected it in one place" '.fixed.engine = "plain"'
wrong 'fixed.engine: "x": expected one of *' 'del(.engine) | .fixed.engine = "x"'
expect 2 '*--base-cmd and --head-cmd gate those' "$LAYERBENCH" gate "$work/one.json"

expect 2 '*engine: expected a cell of layerbench: other programs can only be measured' "$LAYERBENCH" simulate "$work/one.json" --compute 1ms
expect 0 '' "$LAYERBENCH" simulate "$work/s.json" --compute 1ms --device bandwidth=1GB/s --json
holds "$work/out" '[.layerbench.cells[].name | startswith("engine=layerbench")] | all and length == 4' "other programs are not simulated"

# the scenario that is shipped: what it would measure
is "$(run scenarios/peers-larger-than-memory.json --list | grep -c '^engine=llama-bench/memory_limit=')" 3 "cells of the shipped scenario"
finish
