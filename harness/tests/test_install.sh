# test_install: a packager's way. What `make install` puts there runs from anywhere, is stripped, and is
# all removed again; the libraries show lb_ names only, C and C++ programs link them by pkg-config;
# the user's flags are added and not put in place of ours; two folders build the same bytes.
. harness/tests/lib.sh
needs pkg-config make cc g++ nm
case $BUILD in */address* | */thread* | */no-async* | */static*) skip "the plain build is what is installed" ;; esac
tree=$PWD root=$work/root
unset MAKEFLAGS MAKELEVEL
quiet() { "$@" >"$work/out" 2>&1 || { tail -n 15 "$work/out" && false; }; }

check "make install" quiet make -s install DESTDIR="$root" PREFIX=/usr
check "uninstall leaves nothing" quiet make -s uninstall DESTDIR="$root" PREFIX=/usr
is "$(find "$root" -type f -o -type l | wc -l)" 0 "files after uninstall"
is "$(find "$root" -name '*layerbench*' | wc -l)" 0 "folders of ours after uninstall"
answers 2 "nothing of 'make install' is there" scripts/install --remove "$root" /usr

# ---- where it really lies
check "make install to a prefix" quiet make -s install PREFIX="$root"
cd "$work" || exit 1
program=$root/bin/layerbench
answers 0 "^compiler .*" "$program" --version
grep -q "^revision ." out && grep -q "^kernels .*generic" out || fail "--version: $(cat out)"
answers 0 "prefetch=sync" "$program" run quick --list
answers 0 "prefetch=sync" "$program" run scenarios/quick.json --list
answers 2 "layerbench run: qick: no such file, and no such scenario: layerbench list" "$program" run qick
answers 0 "  quick  *[A-Z]" "$program" list scenarios
answers 0 "prompts=scenarios/prompts" "$program" run tokens-per-pass --list
answers 0 "" "$program" gate
is "$(readelf -S "$program" "$root/lib/libengine.so.0" | grep -c debug_info)" 0 "sections for debuggers"
names_tree() { find "$root" -type f | while read -r file; do sed "s|$root||g" "$file" | grep -qaF "$tree" && echo "$file"; done; }
is "$(names_tree)" "" "files that name the folder they were built in"
for file in share/layerbench/plots/style.gp share/layerbench/results/schema/scenario.schema.json share/doc/layerbench/LICENSE; do
    check "$file is there" [ -s "$root/$file" ]
done

# ---- libraries
exported() { nm "$@" | awk '$3 != "" { print $3 }' | sort -u; }
declared=$(cat "$root"/include/layerbench/engine.h "$root"/include/layerbench/base/status.h |
    tr '\n' ' ' | grep -oE '\blb_[a-z0-9_]+\([a-z]' | tr -d '(' | sed 's/.$//' | sort -u)
is "$(exported -D --defined-only "$root/lib/libengine.so.0")" "$declared" "names that the shared library shows"
is "$(exported -g --defined-only "$root/lib/libengine.a")" "$declared" "names that the archive shows"

export PKG_CONFIG_PATH=$root/lib/pkgconfig LD_LIBRARY_PATH=$root/lib
synth m.gguf --shape tiny --quant Q8_0
"$program" generate -m m.gguf -p hello -n 6 --temperature 0 -q >expected 2>err
cp -r "$root/share/doc/layerbench/example" .
check "the example builds" quiet make -C example
"example/continue" m.gguf hello 6 >text 2>err
is "$(cat text)" "$(tail -c +6 expected)" "what the example continues with"
grep -q '[1-9][0-9]* layers read' err || fail "the example streams nothing: $(cat err)"
answers 1 "continue: nowhere.gguf" example/continue nowhere.gguf hello 6
# shellcheck disable=SC2046
check "the example with the archive" cc -o static-engine example/continue.c $(pkg-config --cflags layerbench) \
    "$root/lib/libengine.a" $(pkg-config --libs --static layerbench | sed 's/-lengine//')
is "$(LD_LIBRARY_PATH='' ./static-engine m.gguf hello 6 2>/dev/null)" "$(cat text)" "what it continues with"
# shellcheck disable=SC2046
if [ -e "$(cc -print-file-name=libc.a)" ] && [ -e "$(cc -print-file-name=liburing.a)" ]; then
    check "the example, all static" cc -static -o static-engine example/continue.c $(pkg-config --cflags --libs --static layerbench) 2>out
    is "$(./static-engine m.gguf hello 6 2>/dev/null)" "$(cat text)" "what it continues with, all static"
else
    part_skipped "no static program: no libc.a or liburing.a"
fi
cat >use.cc <<'END'
#include <engine.h>
#include <cstdio>
int main()
{
    lb_error err = LB_ERROR_INIT;
    lb_options options = lb_options_default();
    lb_engine *engine = nullptr;
    options.model_path = "nowhere.gguf";
    if (lb_engine_open(&options, &engine, &err) == LB_OK)
        return 1;
    std::puts(lb_status_name(err.code));
}
END
# shellcheck disable=SC2046
check "C++ takes the header without a warning" g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -o use use.cc $(pkg-config --cflags --libs layerbench)
is "$(./use)" input "what a C++ program is told"

# ---- manual and completions
commands=$("$program" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for command in $commands; do
    page=$root/share/man/man1/layerbench-$command.1
    for option in $("$program" "$command" --help | grep -o '^  \(-., \)*--[a-z0-9-]*' | grep -o -- '--[a-z0-9-]*'); do
        grep -qF -- "${option//-/\\-}" "$page" || fail "layerbench-$command.1 has no $option"
        for file in bash-completion/completions/layerbench zsh/site-functions/_layerbench; do
            grep -q -- "$option\b" "$root/share/$file" || fail "$file has no $option"
        done
    done
    checks=$((checks + 1))
done
if command -v man >/dev/null && man -w man >/dev/null 2>&1; then
    for page in "$root"/share/man/man1/*.1; do
        is "$(MANROFFSEQ='' LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null | head -3)" "" "man on ${page##*/}"
    done
else
    part_skipped "man pages are not formatted: no man"
fi
export PATH=$root/bin:$PATH
bash_completes() { # WORD...: what completes the last one
    bash -c '. "$0"; COMP_WORDS=(layerbench "$@") COMP_CWORD=$#; _layerbench 2>/dev/null; printf "%s\n" "${COMPREPLY[@]}"' \
        "$root/share/bash-completion/completions/layerbench" "$@" | tr '\n' ' '
}
zsh_completes() { # a line, as the terminal shows what Tab makes of it
    zsh -f -c 'zmodload zsh/zpty; zpty shell zsh -f -i
        zpty -w shell "PS1=; unsetopt zle_bracketed_paste; fpath=('"$root"'/share/zsh/site-functions \$fpath); autoload -U compinit; compinit -u -d '"$work"'/dump; zstyle \":completion:*\" list-prompt \"\"; LISTMAX=1000; print READY"
        zpty -r shell text "*READY*READY*"
        zpty -w -n shell "$0"$'"'\t\t'"'; sleep 2; zpty -r -t shell text; while zpty -r -t shell more; do text+=$more; done; print -r -- "$text"; zpty -d shell' "$*" 2>/dev/null | tr '\r\n' '  '
}
fish_completes() { XDG_DATA_DIRS=$root/share HOME=$work fish --no-config -c "source $root/share/fish/vendor_completions.d/layerbench.fish; complete -C '$*'" | cut -f 1 | tr '\n' ' '; }
for shell in bash zsh fish; do
    command -v $shell >/dev/null || { part_skipped "completions of $shell: it is not installed" && continue; }
    line() { if [ $shell = bash ]; then bash_completes "$@"; else ${shell}_completes "layerbench $*"; fi; }
    [[ $(line gen) == *generate* ]] || fail "$shell: gen: $(line gen)"
    [[ $(line generate --prefetch '') == *async*resident* ]] || fail "$shell: generate --prefetch: $(line generate --prefetch '')"
    [[ $(line generate --cache-l) == *--cache-layers* ]] || fail "$shell: generate --cache-l: $(line generate --cache-l)"
    [[ $(line run seed-) == *seed-comparison* ]] || fail "$shell: run seed-: $(line run seed-)"
    [[ $(line inspect m.g) == *m.gguf* ]] || fail "$shell: inspect m.g: $(line inspect m.g)"
    checks=$((checks + 5))
done

# ---- the user's flags; the folder
cd "$tree" || exit 1
objects=(engine/base/status.o engine/cache/cache.o engine/kernels/x86/float_avx2.o)
[ "$(uname -m)" = x86_64 ] || unset "objects[2]"
build_in() { quiet env CCACHE_DISABLE=1 make -C "$1" BUILD=b "${objects[@]/#/b/}" "${@:2}"; }
check "make CFLAGS=-O2" quiet env CCACHE_DISABLE=1 make V=1 BUILD="$work/b" CFLAGS='-O2 -DMINE=1' CPPFLAGS=-DTOO "${objects[@]/#/$work/b/}"
grep -q -- '-std=c11.*-pthread.*-O2 -DMINE=1' "$work/out" || fail "CFLAGS=-O2: $(cat "$work/out")"
for folder in one two/deeper; do
    mkdir -p "$work/$folder" && cp -r Makefile engine harness scripts plots results/schema "$work/$folder" 2>/dev/null
    check "builds in $folder" build_in "$work/$folder"
done
for object in "${objects[@]}"; do
    check "$object is the same in both folders" cmp "$work/one/b/$object" "$work/two/deeper/b/$object"
done
finish
