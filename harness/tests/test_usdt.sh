# test_usdt: the static trace points that engine/base/probe.h promises are in the program, each with
# its arguments, for perf and bpftrace to find.
. harness/tests/lib.sh
needs readelf
notes=$(readelf -n "$LAYERBENCH" 2>/dev/null | grep -A 4 'Provider: layerbench')
[ -n "$notes" ] || skip "built without <sys/sdt.h> (Debian: systemtap-sdt-dev)"
for point in load__start:2 load__end:3 access:3 evict:1; do
    name=${point%:*} expected=${point#*:}
    arguments=$(echo "$notes" | grep -A 2 "Name: $name\$" | sed -n 's/ *Arguments: //p' | head -n 1 | wc -w)
    is "$arguments" "$expected" "arguments of $name"
done
finish
