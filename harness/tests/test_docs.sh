# test_docs: what the documents say of options, schema and scenarios is what the program says, and the
# committed summaries are what it makes of their samples.
set -u
command -v jq >/dev/null || { echo "skipped: needs jq to look into JSON"; exit 77; }
scripts/docs "$LAYERBENCH" --check && scripts/summaries "$LAYERBENCH" --check
