# test_surroundings: what surrounds a command: closed descriptors, temporary folders, the user's settings,
# disks that are full or not to be written. The result is the same, or the reason is said.
. harness/tests/lib.sh
needs jq
root=$PWD
L=$(realpath "$LAYERBENCH")
cd "$work" || exit 1
synth m.gguf --shape tiny --quant Q8_0 --layers 3
echo '{"name":"s","about":"A test?","model":{"path":"m.gguf"},"matrix":{"prefetch":["sync","off"]},"warmup":0,
"fixed":{"threads":1,"prompt_tokens":2,"generate_tokens":3,"cache_layers":2,"storage":"pread"},"repetitions":2}' >s.json
"$L" run s.json --out o --no-plots -q >out 2>&1 || { cat out; exit 1; }
lines=$(wc -l <o/layers.jsonl)
"$L" gate s.json --update-baseline --baseline b.json >out 2>&1 || { cat out; exit 1; }

# ---- descriptors 0 to 2 closed, each alone and together: nothing of ours gets their numbers
closed() { # REDIRECTION COMMAND...: its exit code
    local how=$1; shift
    eval '("$L" "$@" '"$how"')'
}
for how in "<&-" ">&-" "2>&-" "<&- >&- 2>&-"; do
    rm -rf r
    closed "$how" run s.json --out r --no-plots >out 2>&1; is $? 0 "run $how: exit code"
    is "$(wc -l <r/layers.jsonl)" "$lines" "run $how: lines of the log"
    is "$(jq '[.layerbench.cells[].samples[] | select(.failed)] | length' r/result.json)" 0 "run $how: failed samples"
    "$L" validate r/result.json r/layers.jsonl >out 2>&1 || fail "run $how: $(cat out)"
    closed "$how" gate s.json --baseline b.json >out 2>&1; is $? 0 "gate $how: exit code"
    closed "$how" eval -m m.gguf --ids 1,2 --logits l.bin >out 2>&1; is $? 0 "eval $how: exit code"
    is "$(stat -c %s l.bin)" $((2 * 2048 * 4)) "eval $how: size of the logits"
    closed "$how" synth --shape tiny --layers 1 -o t.gguf >out 2>&1; is $? 0 "synth $how: exit code"
    "$L" inspect t.gguf >out 2>&1 || fail "synth $how: $(cat out)"
    closed "$how" report o -o r.html >out 2>&1; is $? 0 "report $how: exit code"
done
closed "<&- >&- 2>&-" gate s.json --base "$L" --times-only --pause-s 0 --json g.json; code=$?
case $code in 0 | 1 | 3) ;; *) fail "gate of times with closed descriptors: exit code $code" ;; esac

# ---- nothing of HOME, XDG, locale: the same result, and a run without a place of its own
env -i PATH="$PATH" "$L" run s.json --out bare --no-plots -q >out 2>err; is $? 0 "run with no environment ($(cat err))"
is "$(wc -l <bare/layers.jsonl)" "$lines" "lines of a run with no environment"
for l in de_DE.UTF-8 tr_TR.UTF-8 C POSIX nonsense; do
    LC_ALL=$l LANG=$l "$L" report o -o "r-$l.html" >out 2>err; is $? 0 "report with LC_ALL=$l"
done
NO_COLOR=1 "$L" list >colour 2>&1; ! grep -q $'\033' colour || fail "NO_COLOR: there are colours"

# ---- temporary folders
long=$work/$(printf 'a-long-folder-for-the-files-of-a-job-%.0s' 1 2 3 4 5)
mkdir -p "$long"
TMPDIR=$long "$L" report o -o r.html >out 2>err; is $? 0 "report with a long TMPDIR ($(cat err))"
is "$(ls -A "$long")" "" "what report leaves in TMPDIR"
TMPDIR=$work/none "$L" report o -o r2.html >out 2>err; is $? 0 "report with a TMPDIR that is not there ($(cat err))"
TMPDIR="it's" && mkdir "it's" && TMPDIR="it's" "$L" report o -o r3.html >out 2>err; is $? 0 "report with a quote in TMPDIR ($(cat err))"
is "$(ls -A "it's")" "" "what report leaves there"
unset TMPDIR
if command -v gnuplot >/dev/null; then
    figures=$(grep -c '<figure>' r.html)
    [ "$figures" -gt 2 ] || fail "report with a long TMPDIR: $figures figures"
    is "$(grep -c '<figure>' r2.html) $(grep -c '<figure>' r3.html)" "$figures $figures" "figures with other TMPDIRs"
    "$L" plot o -o p0 >out 2>err; is $? 0 plot
    if [[ $(realpath "$LAYERBENCH") == /tmp/* ]]; then
        part_skipped "/tmp that cannot be written: the program lies there"
    elif unshare -m true 2>/dev/null && [ -d /root ]; then # /tmp not to be written
        away=$(mktemp -d /root/layerbench-test.XXXXXX)
        cp -r o "$away" && mkdir "$away/t"
        for t in "TMPDIR=$away/t" "TMPDIR=" "TMPDIR=/tmp"; do
            unshare -m sh -c 'mount -t tmpfs -o ro none /tmp && mount -t tmpfs -o ro none /var/tmp && cd "$1" && shift && exec "$@"' \
                sh "$away" env "$t" "$L" plot o -o "p" >"$away/out" 2>&1
            is $? 0 "plot with /tmp read-only, $t ($(cat "$away/out"))"
            same_figures p0 "$away/p" "plot with /tmp read-only, $t"
            rm -rf "$away/p"
            is "$(ls -A "$away/t")" "" "what plot leaves, $t"
        done
        rm -rf "$away"
    fi
    # killed: nothing is left in the temporary folder, and no picture is cut
    mkdir t
    for s in TERM KILL; do
        TMPDIR=$work/t env --default-signal "$L" plot o -o pk >out 2>&1 & pid=$!
        until_true compgen -G 't/*/*.svg' >/dev/null
        kill -$s $pid 2>/dev/null; wait $pid 2>/dev/null
        for ((i = 0; i < 100; i++)); do [ -z "$(ls -A t)" ] && break; sleep 0.05; done
        is "$(ls -A t)" "" "SIG$s: what plot leaves in TMPDIR"
        for f in pk/*.svg; do [ ! -e "$f" ] || cmp -s "$f" "p0/$(basename "$f")" || fail "SIG$s: $f is cut"; done
    done

    # ---- gnuplot takes nothing of the user's: the same bytes for everyone
    mkdir h1 h2 && echo 'set decimalsign ","' >h1/.gnuplot && printf 'set logscale y\nset xrange [0:1]\n' >h2/.gnuplot
    other() { # WHAT ENVIRONMENT...
        rm -rf p1
        env "${@:2}" "$L" plot o -o p1 >out 2>err; is $? 0 "plot with $1 ($(cat err))"
        same_figures p0 p1 "plot with $1"
    }
    other "a decimal comma" HOME="$work/h1"
    other "other axes" HOME="$work/h2"
    other "a terminal of the user's" GNUTERM=qt
    other "folders of the user's" GNUPLOT_LIB="$work/h2" GNUPLOT_PS_DIR=/none GNUPLOT_FONTPATH=/none FIT_LOG=/none/x
    other "another locale" LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 LC_NUMERIC=de_DE.UTF-8
    other "no HOME" -u HOME -u XDG_CONFIG_HOME -u XDG_CACHE_HOME
    # a failure shows gnuplot's first error, not its last line
    mkdir bin && printf '#!/bin/sh\necho; echo "plot x"; echo "     ^"; echo "\\"a.gp\\" line 3: the cause" >&2; echo "and more" >&2; exit 1\n' >bin/gnuplot && chmod +x bin/gnuplot
    PATH=$work/bin:$PATH "$L" plot o -o pf >out 2>err; is $? 5 "plot with a gnuplot that fails"
    grep -q 'no outcomes: gnuplot failed: "a.gp" line 3: the cause$' err || fail "gnuplot's first error: $(cat err)"
    printf '#!/bin/sh\nexit 0\n' >bin/gnuplot # draws nothing and says nothing
    PATH=$work/bin:$PATH "$L" plot o -o pf >out 2>err; is $? 5 "plot with a gnuplot that draws nothing"
    PATH=$work/bin:$PATH "$L" run s.json --out rf -q >out 2>err; is $? 5 "run with a gnuplot that draws nothing"
    is "$(find pf rf -size 0 -o -name '*.svg' -o -name '*.pdf' -o -name '*.png' | wc -l)" 0 "pictures that nobody drew"

    # ---- a disk that is full when the pictures come
    mkdir small
    if mount -t tmpfs -o size=500k layerbench-test small 2>err; then
        at_end+=("umount $work/small 2>/dev/null")
        "$L" run s.json --out small/o -q >out 2>err; is $? 5 "run on a small disk"
        grep -q "^layerbench run: no .*: cannot write: No space left on device" err || fail "run on a small disk: $(cat err)"
        is "$(find small -type f -size 0 | wc -l)" 0 "empty files on a small disk"
        for f in small/o/plots/*.svg; do [ ! -e "$f" ] || tail -c 20 "$f" | grep -q '</svg>' || fail "$f is cut"; done
        "$L" validate small/o/result.json >out 2>&1 || fail "the result on a small disk: $(cat out)"
        "$L" plot small/o >out 2>err; is $? 5 "plot on a small disk"
        TMPDIR=$work/small "$L" plot o -o p2 >out 2>err; is $? 5 "plot with a full TMPDIR ($(head -1 err))"
        is "$(find p2 -type f -size 0 | wc -l)" 0 "empty pictures with a full TMPDIR"
        umount small
    else
        part_skipped "a small disk was not tried: $(cat err)"
    fi
fi

# ---- a results folder that is not to be written: said before anything is measured
if mkdir ro && mount -t tmpfs -o ro layerbench-test ro 2>err; then
    at_end+=("umount $work/ro 2>/dev/null")
    "$L" run s.json --out ro/o --no-plots >out 2>err; is $? 2 "run into a read-only folder"
    grep -q "^layerbench run: ro/o: .*Read-only file system" err || fail "run into a read-only folder: $(cat err)"
    "$L" run s.json --out ro --no-plots -q >out 2>err; is $? 2 "run into a read-only folder that is there"
    grep -q "^layerbench run: ro.*Read-only file system" err || fail "run into a read-only folder that is there: $(cat err)"
    (cd ro && "$L" run ../s.json -m ../m.gguf --no-plots -q >../out 2>../err); is $? 2 "run where results/ cannot be made"
    grep -q "Read-only file system" err || fail "run where results/ cannot be made: $(cat err)"
    umount ro
else
    part_skipped "a read-only folder was not tried: $(cat err)"
fi

# ---- quiet still says why
sed 's/"cache_layers":2/"cache_layers":2,"fault":"eio:1"/' s.json >bad.json
"$L" run bad.json --out bad --no-plots -q >out 2>err; code=$?
[ $code = 0 ] || [ -s err ] || fail "run --quiet: exit code $code without a reason"

finish
