# test_outputs: what a command writes to: devices, pipes and links stay what they are, files of others
# stay theirs, nothing temporary is left, and what cannot be read or written is said at once.
. harness/tests/lib.sh
needs jq
root=$PWD
L=$(realpath "$LAYERBENCH")
cd "$work" || exit 1
synth m.gguf --shape tiny --quant Q8_0 --layers 3
echo '{"name":"s","about":"A test?","model":{"path":"m.gguf"},"matrix":{"prefetch":["sync"]},"warmup":0,
"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":2,"cache_layers":2,"storage":"pread"},"repetitions":1}' >s.json
"$L" run s.json --out o --no-plots -q >out 2>&1 || { cat out; exit 1; }
"$L" gate s.json -m m.gguf --update-baseline --baseline b.json >out 2>&1 || { cat out; exit 1; }
# What every command writes, to a file of the given name.
declare -A writes=(
    [synth]="synth --shape tiny --layers 1 -o"
    [report]="report o -o"
    [trace]="trace o --cell prefetch=sync -o"
    [eval]="eval -m m.gguf --ids 1,2 --logits"
    [tune]="tune -m m.gguf --memory 64MiB --scenario"
    [micro]="micro --filter event --sample-time 1ms --repetitions 1 --json"
    [gate-json]="gate s.json -m m.gguf --baseline b.json --json"
    [gate-junit]="gate s.json -m m.gguf --baseline b.json --junit"
    [gate-markdown]="gate s.json -m m.gguf --baseline b.json --markdown"
    [gate-baseline]="gate s.json -m m.gguf --update-baseline --baseline"
)
w() { timeout 60 "$L" ${writes[$1]} "$2" >out 2>err </dev/null; }
kind() { stat -c %F "$1"; }

for c in "${!writes[@]}"; do
    w "$c" plain; is $? 0 "$c"; [ -s plain ] || fail "$c: writes nothing: $(cat err)"
    cp plain "whole-$c"
    # a device
    if mknod dev c 1 3 2>/dev/null; then
        w "$c" dev; code=$?
        is "$(stat -c '%F %t %T' dev)" "character special file 1 3" "$c to a device"
        [ "$c" = gate-baseline ] || is $code 0 "$c to a device: exit code"
        rm -f dev
    fi
    # a pipe, with somebody who reads it; gate reads its baseline again
    if [ "$c" != gate-baseline ]; then
        rm -f pipe; mkfifo pipe
        cat pipe >through & reader=$!
        w "$c" pipe; is $? 0 "$c to a pipe: exit code"
        wait $reader
        is "$(kind pipe)" fifo "$c to a pipe"
        [ "$(wc -c <through)" -gt 0 ] || fail "$c to a pipe: nothing comes out"
        case $c in synth | report | trace | eval) cmp through "whole-$c" || fail "$c to a pipe: other bytes" ;; esac
    fi
    # links: to a file, and to what is not there yet, from another folder
    rm -rf sub && mkdir sub && echo keep >sub/old && ln -s old sub/link && ln -s sub/link link && ln -sf ../new sub/away
    w "$c" link; is $? 0 "$c to a link"
    is "$(kind link) $(kind sub/link) $(kind sub/old)" "symbolic link symbolic link regular file" "$c to a link"
    [ "$(cat sub/old | head -c 4)" != keep ] || fail "$c to a link: its target is not written"
    rm -f new
    if [ "$c" != gate-baseline ]; then
        w "$c" sub/away; is $? 0 "$c to a dangling link"
        [ -s new ] || fail "$c to a dangling link: no file where it leads to"
    fi
    rm -f link new
    [ $c != tune ] || continue # takes seconds each time
    # files of the user with names that look temporary, and the mode of the old file
    echo precious >plain.tmp; chmod 640 plain
    w "$c" plain; is $? 0 "$c again"
    is "$(cat plain.tmp)" precious "$c: a file of the user named .tmp"
    is "$(stat -c %a plain)" 640 "$c: the mode of a file that is replaced"
    # not to be written: said, code 2, and the old file is as it was
    mkdir -p folder
    w "$c" folder; is $? 2 "$c to a folder: exit code"
    grep -q "folder: cannot write: Is a directory" err || fail "$c to a folder: $(cat err)"
    w "$c" nowhere/x; code=$?
    case $c in synth) ;; *) is $code 2 "$c to a missing folder: exit code"
        grep -q "nowhere/x: cannot write: No such file or directory" err || fail "$c to a missing folder: $(cat err)" ;; esac
    rm -rf nowhere
    # a full device: the reason, code 5, and no verdict of success
    if [ "$c" != gate-baseline ]; then
        w "$c" /dev/full; is $? 5 "$c to a full device: exit code"
        grep -q "/dev/full: cannot write: No space left on device" err || fail "$c to a full device: $(cat err)"
        ! grep -q "exit code 0" out || fail "$c to a full device: says exit code 0"
    fi
    # a name as long as a name may be
    name=$(printf 'n%.0s' $(seq 255))
    w "$c" "$name"; is $? 0 "$c: a name of 255 characters"; w "$c" "$name"; is $? 0 "$c: and again"
    rm -f "$name"
    is "$(ls -A | grep -E '^\.layerbench|\.part' || true)" "" "$c: leftovers"
done

# descriptors of the shell: what it redirected stays, and gets all of it, in its order
"$L" report o -o /dev/stdout >r.html 2>err; is $? 0 "report to /dev/stdout"
cmp <(head -c "$(wc -c <whole-report)" r.html) whole-report || fail "report to /dev/stdout of a file: other bytes"
"$L" trace o --cell prefetch=sync -o /dev/fd/7 7>t.json >/dev/null 2>err; is $? 0 "trace to /dev/fd/7"
cmp t.json whole-trace || fail "trace to /dev/fd/7: other bytes"
"$L" eval -m m.gguf --ids 1,2 --logits >(cat >l.bin) 2>err; is $? 0 "eval to a process"
sleep 0.2; cmp l.bin whole-eval || fail "eval to a process: other bytes"

# a gate that cannot write its report measures nothing
"$L" gate s.json -m m.gguf --baseline b.json --junit nowhere/j.xml >out 2>err; is $? 2 "gate without a folder for its report"
is "$(cat out)" "" "gate without a folder for its report prints"
is "$(wc -l <err)" 1 "lines about a report's folder"

# a folder that takes no new file: an old one is written in place
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    mkdir locked && echo old >locked/file && chmod 666 locked/file && chmod 755 . locked && chmod a+rx "$work"
    setpriv --reuid=65534 --regid=65534 --clear-groups "$L" report o -o locked/file >out 2>err; code=$?
    if [ -x "$L" ] && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$L"; then
        is $code 0 "a file in a folder of another"
        cmp locked/file whole-report || fail "a file in a folder of another: $(cat err)"
    fi
fi

# ---- interrupted: nothing temporary stays, the old file is whole
# A shell starts what runs beside it with SIGINT ignored, which stays so.
begin() { env --default-signal "$@" >out 2>&1 & pid=$!; }
writes_unnamed() { ls -l /proc/$pid/fd 2>/dev/null | grep -q "$work/#.*(deleted)"; }
names() { find . -maxdepth 1 -name '.layerbench*' | wc -l; }
has_name() { [ "$(names)" = 1 ]; }
for s in INT TERM HUP KILL; do
    for target in new.gguf old.gguf; do
        cp m.gguf old.gguf; rm -f new.gguf
        begin "$L" synth --shape smollm-135m -o $target
        until_true writes_unnamed || fail "synth does not write into a file without a name"
        kill -$s $pid; wait $pid 2>/dev/null; code=$?
        [ $code -gt 128 ] || fail "SIG$s: synth had ended before (exit code $code)"
        cmp -s m.gguf old.gguf || fail "SIG$s: synth to $target: the old file is changed"
        is "$(ls -A | grep -E '^\.layerbench|new.gguf|old.gguf.' || true)" "" "SIG$s: leftovers of synth to $target"
    done
done
# where a file needs a name from the start (no /proc to give it one later): removed by signals, and
# after a kill by whoever comes next
if unshare -m true 2>/dev/null; then
    without_proc=(unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' sh)
    for s in INT TERM KILL; do
        begin "${without_proc[@]}" "$L" synth --shape smollm-135m -o late.gguf
        until_true has_name || fail "a synth without /proc has no name"
        kill -$s $pid; wait $pid 2>/dev/null
        is "$(names)" "$([ $s = KILL ] && echo 1 || echo 0)" "SIG$s without /proc: leftovers"
    done
    "${without_proc[@]}" "$L" report o -o next.html >out 2>&1; is $? 0 "report without /proc"
    cmp next.html whole-report || fail "report without /proc: other bytes"
    is "$(names)" 0 "what a kill left, after the next command"
    # the name of a process that lives stays
    begin "${without_proc[@]}" "$L" synth --shape smollm-135m -o late.gguf
    until_true has_name && "${without_proc[@]}" "$L" report o -o next.html >next 2>&1
    wait $pid; is $? 0 "a synth beside which another command removes leftovers"
else
    part_skipped "no mount namespaces here: files that need a name were not tried"
fi

# ---- inputs that are no regular files: refused at once
mkfifo never
refused() { # WHAT COMMAND...
    local what=$1; shift
    timeout 60 "$L" "$@" >out 2>err </dev/null
    is $? 2 "$*: exit code"
    is "$(wc -l <err)" 1 "$*: lines"
    grep -q "is $what: expected a regular file" err || fail "$*: $(cat err)"
}
for in in "a pipe:never" "a directory:sub" "a device:/dev/zero"; do
    what=${in%%:*} file=${in#*:}
    for c in "run $file --out x" "run s.json -m $file --out x" "validate $file" "generate -m $file -p x" "eval -m $file --ids 1 --logits l" \
        "inspect $file" "tokenize -m $file x" "tune -m $file --memory 64MiB" "gate $file" "gate s.json -m m.gguf --baseline $file" \
        "simulate --replay $file --layers 3" "perplexity -m m.gguf $file" "micro --filter storage --file $file"; do
        refused "$what" $c
    done
    [ -d "$file" ] || for c in "report $file" "plot $file" "trace $file --cell x" "compare $file o"; do refused "$what" $c; done
done
[ ! -e x ] || fail "a refused run makes its folder"
# but what the shell hands over is read
"$L" validate <(cat s.json) >out 2>err; is $? 0 "validate of what a process writes"
"$L" run <(cat s.json) --out handed --no-plots -q >out 2>err; is $? 0 "run of what a process writes"

finish
