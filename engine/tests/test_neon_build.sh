#!/bin/bash
# The kernels for 64-bit ARM, on a machine of another kind: cross-compiles the rooms they need and
# their tests without a warning, and runs the tests where there is an emulator.
set -u
cross=${CROSS:-aarch64-linux-gnu-gcc}
command -v "$cross" >/dev/null || { echo "skipped: no $cross (Debian: gcc-aarch64-linux-gnu)" >&2; exit 77; }
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
echo '#include <stdio.h>
int main(void) { return puts("x") < 0; }' | "$cross" -xc - -static -o "$out/probe" 2>/dev/null ||
    { echo "skipped: $cross makes no program (Debian: libc6-dev-arm64-cross)" >&2; exit 77; }
flags="-std=c11 -O2 -ffp-contract=off -Iengine -D_GNU_SOURCE -Wall -Wextra -Wshadow -Werror -pthread"

rooms="engine/base engine/quant engine/kernels engine/kernels/arm"
objects=
for source in $(ls $(printf '%s/*.c ' $rooms) | grep -v '_avx'); do
    object=$out/$(basename "$source" .c).o
    case $source in *_neon.c) isa=-march=armv8.2-a+dotprod ;; *) isa= ;; esac
    # shellcheck disable=SC2086
    "$cross" $flags $isa -c -o "$object" "$source" || exit 1
    objects="$objects $object"
done
for test in test_kernels test_kernels_vectors; do
    # shellcheck disable=SC2086
    "$cross" $flags -static -o "$out/$test" "engine/tests/$test.c" $objects -lm || exit 1
done

emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || {
    echo "compiled; not run, as there is no qemu-aarch64 (Debian: qemu-user)"
    exit 0
}
# every 7th shape: all types and fills, emulation is slow
"$emulator" -cpu max "$out/test_kernels" 7 && "$emulator" -cpu max "$out/test_kernels_vectors"
