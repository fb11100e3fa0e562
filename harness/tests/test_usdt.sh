# test_usdt: the static trace points that engine/base/probe.h promises are in the program, each with
# its arguments, for perf and bpftrace to find.
set -u
command -v readelf >/dev/null || { echo "skipped: needs readelf"; exit 77; }
notes=$(readelf -n "$LAYERBENCH" 2>/dev/null | grep -A 4 'Provider: layerbench')
[ -n "$notes" ] || { echo "skipped: built without <sys/sdt.h> (Debian: systemtap-sdt-dev)"; exit 77; }
failures=0
for point in load__start:2 load__end:3 access:3 evict:1; do
    name=${point%:*} expected=${point#*:}
    arguments=$(echo "$notes" | grep -A 2 "Name: $name\$" | sed -n 's/ *Arguments: //p' | head -n 1 | wc -w)
    [ "$arguments" = "$expected" ] || { echo "$name: $arguments arguments, expected $expected"; failures=1; }
done
exit $failures
