# test_docs: what the documents say of options, schema and scenarios is what the program says, and the
# committed summaries are what it makes of their samples.
. harness/tests/lib.sh
needs jq
check "options, schema and scenarios: see above (make docs)" scripts/docs "$LAYERBENCH" --check
check "summaries: see above (make summaries)" scripts/summaries "$LAYERBENCH" --check
for column in $(head -n 1 results/baselines/quick/summary.csv | tr ',' ' '); do
    case $column in prefetch | replacement | cache_layers | prefetch_distance) continue ;; esac
    check "results/README.md has a word on the column $column" grep -q "\`$column\`" results/README.md
done
finish
