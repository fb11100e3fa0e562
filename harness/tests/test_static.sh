# test_static: `make STATIC=1` says what is missing and how to get it; with that there (scripts/static-benchmark,
# or LIBRARY_PATH) the program needs no shared library and writes the same texts and results.
. harness/tests/lib.sh
needs make g++ readelf
case $BUILD in */address* | */thread* | */no-async* | */static*) skip "the plain build is what it is compared with" ;; esac
unset MAKEFLAGS MAKELEVEL
tree=$PWD long=${LAYERBENCH_LONG:-}
quiet() { "$@" >"$work/out" 2>&1 || { tail -n 5 "$work/out" && false; }; }

# ---- what is missing, and what cannot be had
mkdir "$work/tree"
ln -s "$tree/Makefile" "$tree"/engine "$tree"/harness "$tree"/scripts "$tree"/plots "$tree"/scenarios "$tree"/results "$work/tree"
if [ "$(g++ -print-file-name=libbenchmark.a)" = libbenchmark.a ]; then
    answers 2 "STATIC=1: no libbenchmark.a:.*scripts/static-benchmark build/static/lib" make -C "$work/tree" STATIC=1
fi
answers 2 "usage: scripts/static-benchmark FOLDER" scripts/static-benchmark
mkdir "$work/bin"
for program in sh grep sed; do ln -s "$(command -v $program)" "$work/bin"; done
answers 2 "static-benchmark: \(no apt-get\|not Debian\).*" env PATH="$work/bin" scripts/static-benchmark "$work/lib"

# ---- the program
if [ "$long" ] && [ ! -e build/static/lib/libbenchmark.a ]; then
    scripts/static-benchmark build/static/lib 2>"$work/err" || part_skipped "static program: $(cat "$work/err")"
fi
if [ -e build/static/lib/libbenchmark.a ] || [ "$(g++ -print-file-name=libbenchmark.a)" != libbenchmark.a ]; then
    check "make STATIC=1" quiet make -s STATIC=1 build/static/layerbench
    static=$tree/build/static/layerbench
    is "$(readelf -d "$static" | grep -c NEEDED)" 0 "shared libraries that it needs"
    cd "$work" || exit 1
    synth m.gguf --shape tiny --quant Q4_K_M --layers 4
    for program in "$LAYERBENCH" "$static"; do
        "$program" generate -m m.gguf -p hello -n 12 --temperature 0 --prefetch async --cache-layers 2 -q >"$(basename "$(dirname "$program")").text" 2>err
        "$program" run -m m.gguf --vary prefetch=off,async --set storage=memory --set cache_layers=2 --repetitions 1 \
            --no-plots -q --out "$(basename "$(dirname "$program")").result" >out 2>err || fail "run: $(cat err)"
    done
    check "the same text" cmp build.text static.text
    work_of() { jq -c '[.layerbench.cells[] | [.name, .samples[0].tokens_hash, if .name == "prefetch=async" then null else .samples[0].outcomes end]]' "$1.result/result.json"; }
    is "$(work_of static)" "$(work_of build)" "what a run did"
    answers 0 "^compiler " "$static" --version
elif [ ! "$long" ]; then
    part_skipped "static program: no build/static/lib/libbenchmark.a (scripts/static-benchmark; LAYERBENCH_LONG=1 makes it)"
fi
finish
