# test_arm_engine: the whole engine on 64-bit ARM, under an emulator: it opens models, streams their layers
# through the cache with every way of prefetching, and generates the ids that the reference has, with NEON
# and with the portable kernels. Without io_uring and PCRE2, whose ARM libraries are not asked for.
set -u
cross=${CROSS:-aarch64-linux-gnu-gcc}
command -v "$cross" >/dev/null || { echo "skipped: no $cross (Debian: gcc-aarch64-linux-gnu)"; exit 77; }
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || { echo "skipped: no qemu-aarch64 (Debian: qemu-user)"; exit 77; }
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
echo '#include <stdio.h>
int main(void) { return puts("x") < 0; }' | "$cross" -xc - -static -o "$out/probe" 2>/dev/null ||
    { echo "skipped: $cross makes no program (Debian: libc6-dev-arm64-cross)"; exit 77; }
failures=0 checks=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

flags="-std=c11 -O1 -ffp-contract=off -Iengine -D_GNU_SOURCE -DLB_ASYNC_PREFETCH=1 -Wall -Wextra -Wshadow -Werror -pthread"
objects=
for source in engine/*.c engine/*/*.c engine/kernels/arm/*.c; do
    case $source in
    engine/tests/whole_engine.c | engine/tests/arm_stand_ins.c) ;;
    engine/tests/* | */storage_uring.c | */pretokenize.c) continue ;;
    esac
    object=$out/$(basename "$source" .c).o
    case $source in *_neon.c) isa=-march=armv8.2-a+dotprod ;; *) isa= ;; esac
    # shellcheck disable=SC2086
    "$cross" $flags $isa -c -o "$object" "$source" || exit 1
    objects="$objects $object"
done
# shellcheck disable=SC2086
"$cross" -static -pthread -o "$out/arm" $objects -lm || exit 1
# the same program for this machine
# shellcheck disable=SC2086,SC2046
${CC:-cc} $flags -o "$out/here" engine/tests/whole_engine.c "$BUILD/libengine.a" $(pkg-config --libs liburing libpcre2-8) -lm -lstdc++ || exit 1

# same WHAT FILE-OF-EXPECTED KERNELS STORAGE PREFETCH MODEL N ID...
same() {
    local what=$1 expected=$2 kernels=$3 storage=$4 prefetch=$5 model=$6
    shift 6
    checks=$((checks + 1))
    "$emulator" -cpu max "$out/arm" "$model" "$kernels" "$storage" "$prefetch" "$@" >"$out/got" 2>"$out/err" ||
        { fail "$what, $kernels, $storage, $prefetch: $(cat "$out/err")"; return; }
    cmp -s "$out/got" "$expected" || fail "$what, $kernels, $storage, $prefetch: other ids: $(paste -sd' ' "$out/got" | cut -c1-100)"
}
for quant in Q8_0 Q4_K_M; do
    "$LAYERBENCH" synth --shape tiny --layers 3 --quant $quant --seed 5 -o "$out/m.gguf" 2>"$out/err" || { cat "$out/err"; exit 1; }
    "$out/here" "$out/m.gguf" generic pread off 6 1 17 300 >"$out/expected" || { fail "$quant here"; continue; }
    same "$quant" "$out/expected" generic auto sync "$out/m.gguf" 6 1 17 300
    same "$quant" "$out/expected" generic mmap async "$out/m.gguf" 6 1 17 300
done
shared=${LAYERBENCH_SHARED:-../shared}
reference=$shared/oracle/stories260K-greedy.json
if [ -e "$reference" ] && command -v jq >/dev/null; then
    jq -r '.ids[:60][]' "$reference" >"$out/expected"
    prompt=$(jq -r '.prompt_ids | join(" ")' "$reference")
    for kernels in auto generic; do
        for prefetch in off sync async; do
            # shellcheck disable=SC2086
            same "stories260K" "$out/expected" $kernels pread $prefetch "$shared/models/stories260K.gguf" 60 $prompt
        done
    done
else
    echo "part skipped: no reference ids beside the checkout"
fi
echo "$checks checks, $failures failed"
[ $failures = 0 ] && [ $checks -gt 0 ]
