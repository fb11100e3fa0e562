# test_package_deb: the Debian packages: lintian finds no error, they hold what they need and name what
# they depend on, the program runs where they are unpacked, and the same tree makes the same bytes.
. harness/tests/lib.sh
needs dpkg-deb dpkg-shlibdeps make
case $BUILD in */address* | */thread* | */no-async* | */static*) skip "the plain build is what is packaged" ;; esac
unset MAKEFLAGS MAKELEVEL
export DEBEMAIL='' DEBFULLNAME='' SOURCE_DATE_EPOCH=1700000000
unset DEBEMAIL DEBFULLNAME
pack() { make -s deb >"$work/out" 2>&1 && cp "$BUILD"/deb/*.deb "$1" || { tail "$work/out" && false; }; }
mkdir "$work/once" "$work/twice" "$work/root"
check "make deb" pack "$work/once"
check "make deb again" pack "$work/twice"
check "the same packages twice" diff -rq "$work/once" "$work/twice"
is "$(ls "$work/once" | cut -d _ -f 1 | tr '\n' ' ')" "layerbench libengine-dev libengine0 " "packages"
if command -v lintian >/dev/null; then
    lintian --allow-root "$work"/once/*.deb >"$work/lintian" 2>&1
    is "$(grep '^E:' "$work/lintian")" "" "errors of lintian"
    grep '^W:' "$work/lintian" | grep -v initial-upload-closes-no-bugs && fail "warnings of lintian, above"
else
    part_skipped "lintian is not installed"
fi
field() { dpkg-deb -f "$work/once/$1"_*.deb "$2"; }
grep -q 'libc6.*libjansson4' <<<"$(field layerbench Depends)" || fail "Depends: $(field layerbench Depends)"
grep -q 'liburing2' <<<"$(field libengine0 Depends)" || fail "Depends: $(field libengine0 Depends)"
for package in "$work"/once/*.deb; do check "unpack $package" dpkg-deb -x "$package" "$work/root"; done
cd "$work" || exit 1
answers 0 "^layerbench [0-9]" root/usr/bin/layerbench --version
answers 0 "prefetch=sync" root/usr/bin/layerbench run quick --list
check "libengine.so leads somewhere" [ -s "$(echo root/usr/lib/*/libengine.so)" ]
is "$(find root -path '*/man1/*' -name 'layerbench*.1.gz' | wc -l)" "$((1 + $(root/usr/bin/layerbench --help | sed -n '/^commands:/,/^$/s/^  [a-z]//p' | wc -l)))" "man pages"
finish
