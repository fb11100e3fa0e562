# lib: what the shell tests share. To be sourced first, from the root of the tree.
#
# Each test has a folder of its own, $work (on_disk=yes: on a disk), which is removed at the end, and what `make_result`
# makes in place of a measurement. A check counts, and says what went wrong; `finish` ends the test
# with the count. A part that cannot run here is `part_skipped`, which the summary of all tests shows.
set -u
checks=0 failures=0 skipped_parts=0
folder=${TMPDIR:-/tmp}
[ -z "${on_disk:-}" ] || folder=${TEST_DISK:-/var/tmp} # where /tmp may be in memory
for folder in "$folder" "$(realpath "${BUILD:-build}")"; do # the second where the first is read-only or noexec
    work=$(mktemp -d "$folder/test.XXXXXX" 2>/dev/null) || continue
    printf '#!/bin/sh\n' >"$work/runs" && chmod +x "$work/runs" && "$work/runs" 2>/dev/null && rm "$work/runs" && break
    rm -rf "$work" && work=
done
[ -n "$work" ] || { echo "skipped: no folder to write to and to run programs from" && exit 77; }
at_end=()
end_test() {
    local command
    for command in "${at_end[@]}"; do eval "$command"; done
    rm -rf "$work"
}
trap end_test EXIT

# needs PROGRAM...: skips the test where one is not installed.
needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "needs $program"
    done
}
skip() {
    echo "skipped: $*"
    exit 77
}
part_skipped() {
    skipped_parts=$((skipped_parts + 1))
    echo "part skipped: $*"
}

fail() {
    failures=$((failures + 1))
    echo "FAIL: $*"
}
is() { # GOT EXPECTED WHAT
    checks=$((checks + 1))
    [ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"
}
check() { # WHAT COMMAND...: the command succeeds
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$what"
}
holds() { # FILE FILTER WHAT [SHOWN]: jq finds it true; SHOWN is a filter of what to show if not
    checks=$((checks + 1))
    { [ -s "$1" ] && jq -e "$2" "$1" >/dev/null; } || fail "$3: $(jq -c "[${4:-$2}]" "$1" 2>&1 | head -c 300)"
}

# answers CODE TEXT COMMAND...: the exit code, and TEXT in what it prints (out and err in $work). A
# command that fails has not crashed.
answers() {
    local code=$1 text=$2 got
    shift 2
    checks=$((checks + 1))
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ $got = "$code" ] || fail "$* (exit code $got, expected $code): $(head -c 400 "$work/err")"
    [ -z "$text" ] || cat "$work/out" "$work/err" | grep -q -- "$text" || fail "$*: does not say '$text'"
    ! grep -qE "Sanitizer|Assertion|runtime error" "$work/err" || fail "$*: $(head -3 "$work/err")"
}
# expect CODE GLOB COMMAND...: the exit code, and stderr, which is one line like the glob where the
# command fails; '' stands for silence or whatever a command that succeeds has to say.
expect() {
    local code=$1 glob=$2 got line
    shift 2
    checks=$((checks + 1))
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    line=$(cat "$work/err")
    # shellcheck disable=SC2053
    if [ $got != "$code" ] || { [ -n "$glob" ] && [[ $line != $glob ]]; } ||
        { [ "$code" != 0 ] && [ "$(wc -l <"$work/err")" != 1 ]; }; then
        fail "$* (exit code $got, expected $code): said '$line', expected '$glob'"
    fi
}
# same_figures A B WHAT: two folders hold the same. Cairo from 1.18 on compresses a PDF's date, which
# layerbench takes out where it can be read: those PDFs are left out.
same_figures() {
    local pdf plain=()
    checks=$((checks + 1))
    pdf=$(find "$1" -name '*.pdf' | head -1)
    if [ -n "$pdf" ] && grep -aq /ObjStm "$pdf"; then
        plain=(-x '*.pdf')
        [ -n "${said_pdf:-}" ] || part_skipped "PDFs were not compared: this Cairo compresses their dates"
        said_pdf=yes
    fi
    diff -r "${plain[@]}" "$1" "$2" || fail "$3: other figures"
}
running() { # RE: how many processes have a command line like it
    local f n=0
    for f in /proc/[0-9]*/cmdline; do
        { tr '\0' ' ' <"$f" | grep -qE -- "$1" && n=$((n + 1)); } 2>/dev/null
    done
    echo $n
}

until_true() { # COMMAND...: within 10 s, or as long as the process $pid is there
    local i
    for ((i = 0; i < 2000; i++)); do
        "$@" && return
        [ -d "/proc/${pid:-self}" ] || return 1
        sleep 0.005
    done
    return 1
}

# at_random NAME MOST: the variable becomes a number from 0 to MOST, which follows from RANDOM's seed as
# nothing does in a subshell: each has numbers of its own.
at_random() { printf -v "$1" %d $(((RANDOM * 32768 + RANDOM) % ($2 + 1))); }
sleep_ms() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

synth() { # FILE OPTION...: a synthetic model, or the test ends
    "$LAYERBENCH" synth -o "$@" >/dev/null 2>"$work/err" || { cat "$work/err" && exit 1; }
}
# make_result DIR [KEY=VALUE ...]: a result that was not measured; see make_result.c.
make_result() { "$BUILD/harness/tests/make_result" "$@" || exit 1; }
# failing NTH COMMAND ARGUMENT...: the program with these arguments; the NTH allocation of each of its
# processes that is a COMMAND fails (0: none), and $work/count gets how many there were. Made ready by
# failing_ready, from the root of the tree.
failing_ready() {
    ${CC:-cc} -O1 -shared -fPIC -o "$work/fail.so" scripts/fail_allocation.c || return
    failing 0 list list prefetch >/dev/null
    [ -s "$work/count" ] || { echo "$work/fail.so was not loaded" >&2 && return 1; }
}
failing() {
    rm -f "$work/count"
    FAIL_NTH=$1 FAIL_IN=$2 FAIL_COUNT=$work/count LD_PRELOAD=$work/fail.so timeout 60 "$LAYERBENCH" "${@:3}"
}
# changed FILE FILTER: FILE changed by a jq filter; prints the new file's name.
changed() {
    local out
    out=$(mktemp -p "$work" XXXXXX.json)
    jq "$2" "$1" >"$out" && echo "$out"
}

# untimed RESULT: everything of a result.json but times and what follows from them (names, order,
# sequence numbers, counts, hashes), as one line; untimed_log DIR: the same of layers.jsonl. Both
# are what two runs of the same work have in common.
untimed() {
    jq -S 'def plain: walk(if type == "object" then with_entries(select(.key | test("_ns$|_time$|^(date|products_rows|products_streams|product_changes|load_avg|environment|started|bandwidth|warnings|command_line|floor|peak_rss_bytes|kernel_bytes|real|usage|tokens_per_second|[a-z]+_ms|items_per_second|machine|major_faults|cached_before_ppm|cpu_.*|caches|host_name|executable)$") | not)) else . end);
      (.benchmarks |= map(select(.run_type == "iteration"))) | plain' "$1" | sha256sum
}
untimed_log() { jq -c '[.cell, .rep, .pass, .phase, .layer, .outcome, .bytes, .evicted]' "$1/layers.jsonl" | sha256sum; }

finish() {
    echo "$checks checks, $failures failed"
    [ $checks -gt 0 ] || fail "nothing was checked"
    exit $((failures > 0))
}
