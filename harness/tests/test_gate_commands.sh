# gate of any command: verdicts on commands that print chosen figures, their wall time, and all that
# must never pass. Then what a maintainer of another program does with it, from a repository with a
# merge to the reports that a CI reads. No verdict here depends on how fast this machine is.
. harness/tests/lib.sh
needs jq git
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY
burn=$BUILD/harness/tests/burn_time

expect() { answers "$1" "$2" "$LAYERBENCH" gate "${@:3}"; } # CODE TEXT ARGUMENT...

# command_of NAME SCALE [NOISE]: prints 10 ms x SCALE/1000 with noise of +-NOISE/2 thousandths
command_of() {
    cat >"$work/$1" <<END2
#!/bin/bash
n=0; [ -e "$work/$1.n" ] && read -r n <"$work/$1.n"; echo \$((n + 1)) >"$work/$1.n"
h=\$(((n + 1) * 2654435761 + ${#1} * 40503)); h=\$(((h ^ (h >> 13)) * 1103515245 & 0x7fffffff))
ns=\$((10000 * $2 * (1000000 + (h % 1000 - 500) * ${3:-10}) / 1000000))
echo "loading model" >&2
echo "speed: \$((1000000000000 / ns)) units per 1000 s" >&2
echo '[{"test": "pp"},'
echo "{\"test\": \"tg\", \"took_ns\": \$ns, \"a/b\": \$ns, \"text\": \"x\"}]"
END2
    chmod +x "$work/$1"
}
for c in "base 1000" "same 1000" "slower 1050" "faster 950" "noisy 1000 400"; do
    # shellcheck disable=SC2086
    command_of $c
done
commands() { # CODE TEXT HEAD ARGUMENT...
    rm -f "$work"/*.n
    expect "$1" "$2" --base-cmd "$work/base" --head-cmd "$work/$3" "${@:4}"
}
ns=took=/1/took_ns
commands 0 'no regression (exit code 0' same --metric $ns --json "$work/same.json"
holds "$work/same.json" '[.samples | group_by(.block)[] | map(.arm)] | unique | sort == [["base","head","head","base"],["head","base","base","head"]]' "turns of commands"
holds "$work/same.json" '.scenario == "commands" and (.times | length == 1) and .times[0].metric == "took" and .times[0].n == 20' "what was gated"
commands 1 'regression: worse by' slower --metric $ns --junit "$work/j.xml" --markdown "$work/m.md" --github --json "$work/slower.json"
holds "$work/slower.json" '.times[0].measured_again and .times[0].ratio > 1.04 and .times[0].ratio < 1.06' "a command's regression is confirmed"
grep -q '^::error title=regression::command took: worse by' "$work/out" || fail "no annotation for a command"
grep -q '| command | took |.*\*\*regression\*\*' "$work/m.md" || fail "no row in the Markdown"
commands 0 'improvement' faster --metric $ns
commands 1 'regression' faster --metric 'took=/1/took_ns:higher'
commands 1 'regression' slower --metric 'took=/1/a~1b'
commands 1 'regression' slower --metric 'speed=speed: ([0-9.]+) units:higher'
commands 0 'no regression' same --metric 'speed=speed: ([0-9.]+) units:higher' --metric $ns

# noise: a failure unless it is to be a warning, in code, annotation and JUnit alike
commands 3 'inconclusive' noisy --metric $ns --pause-s 0 --github --junit "$work/j1.xml"
is "$(grep -c '<error type="inconclusive"' "$work/j1.xml")" 1 "noise is an error"
grep -q '^::error title=inconclusive.*::exit code 3' "$work/out" || fail "no error for exit code 3"
commands 0 'too noisy to say, a warning as --noise-is says (exit code 0' noisy --metric $ns --pause-s 0 --github --junit "$work/j2.xml" --noise-is warning
is "$(grep -c '<skipped message' "$work/j2.xml") $(grep -c 'errors="0" skipped="1"' "$work/j2.xml")" "1 1" "noise as a warning is skipped in JUnit"
grep -q '^::warning title=inconclusive.*::exit code 0' "$work/out" || fail "no warning for noise that does not fail"
grep '^::error' "$work/out" && fail "an error where the exit code is 0"
commands 1 'regression' slower --metric $ns --noise-is warning

# what never passes
commands 5 'nothing at /1/nothing in the JSON' same --metric x=/1/nothing
commands 5 '"x" at /1/text: expected a number' same --metric x=/1/text
commands 5 "printed nothing like 'time: " same --metric 'x=time: ([0-9]+)'
expect 5 'exit code 127: .*not found' --base-cmd "$work/nothing-here" --head-cmd "$work/same"
expect 5 'base: exit code 3: out of order' --base-cmd 'echo out of order >&2; exit 3' --head-cmd true
expect 5 'head: killed by signal 11' --base-cmd true --head-cmd 'kill -SEGV $$'
expect 5 'printed no JSON' --base-cmd 'echo hello' --head-cmd 'echo hello' --metric x=/a
expect 5 'not done after 1 s' --base-cmd "$burn 1 && (sleep 61.5; true)" --head-cmd true --timeout 1
is "$(running '^sleep 61[.]5')" 0 "what a command started ends with its time"
expect 2 'both --base-cmd and --head-cmd' --base-cmd true
expect 2 'expected no scenario' scenarios/gate.json --base-cmd true --head-cmd true
expect 2 "'x': expected wall or NAME=PLACE" --base-cmd true --head-cmd true --metric x
expect 2 'expected wall or NAME=PLACE' --base-cmd true --head-cmd true --metric 'x=('
expect 2 'stands there twice' --base-cmd true --head-cmd true --metric wall --metric wall
expect 2 '--metric: expected --base-cmd' --metric wall

# wall time is measured, whatever the verdict
"$LAYERBENCH" gate --base-cmd "$burn 20" --head-cmd "$burn 40" --pause-s 0 --json "$work/wall.json" >/dev/null 2>&1
holds "$work/wall.json" '[.samples[] | .values.wall > 100000] | length >= 40 and all' "wall times of commands"

# ---- a maintainer with another program, and a merge to judge ----
repo=$work/repo
git -c init.defaultBranch=main init -q "$repo"
in_repo() { git -C "$repo" -c user.name=a -c user.email=a@example.org "$@"; }
commit() { in_repo add -A && in_repo commit -qm "$1"; }
sort_in() { printf '#!/bin/sh\n"%s"\n' "$work/$1" >"$repo/bench" && chmod +x "$repo/bench"; }
sort_in base && commit first
in_repo checkout -qb change && sort_in slower && commit "a change that costs 5%"
in_repo checkout -q main && echo x >"$repo/README" && commit "main goes on"
in_repo merge -q --no-ff -m merge change
in_repo worktree add -q "$work/first-parent" HEAD^1
rm -f "$work"/*.n
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$work/summary.md answers 1 '::error title=regression' "$LAYERBENCH" gate \
    --base-cmd "$work/first-parent/bench" --head-cmd "$repo/bench" --metric $ns --noise-is warning --junit "$work/role.xml" --json "$work/role.json"
grep -q '### layerbench gate: regression' "$work/summary.md" || fail "nothing in the step summary"
holds "$work/role.json" '.exit_code == 1 and .times[0].ratio > 1.03' "the change is found"
in_repo worktree add -q "$work/second" HEAD^1
rm -f "$work"/*.n
expect 0 'no regression' --base-cmd "$work/first-parent/bench" --head-cmd "$work/second/bench" --metric $ns

# the workflow that is ready to copy: its options exist, and the gate is called where its exit code arrives
workflow=scripts/ci/github-actions.yml
"$LAYERBENCH" gate --help >"$work/help"
for option in $(grep 'gate-against' $workflow | grep -o -- '--[a-z-]*'); do
    check "$workflow: gate has no $option" grep -q -- "$option" "$work/help"
done
check "$workflow: the base is the merge's first parent" grep -q 'gate-against HEAD^1 ' $workflow
grep -q 'make gate' $workflow && fail "$workflow: make hides the exit code"
finish
