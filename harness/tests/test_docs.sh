# test_docs: what the documents say of options, schema and scenarios is what the program says, and the
# committed summaries are what it makes of their samples.
set -u
command -v jq >/dev/null || { echo "skipped: needs jq to look into JSON"; exit 77; }
bad=0
scripts/docs "$LAYERBENCH" --check || bad=1
scripts/summaries "$LAYERBENCH" --check || bad=1
for column in $(head -n 1 results/baselines/quick/summary.csv | tr ',' ' '); do
    case $column in prefetch | replacement | cache_layers | prefetch_distance) continue ;; esac
    grep -q "\`$column\`" results/README.md || { echo "results/README.md: no word on the column $column" && bad=1; }
done
exit $bad
