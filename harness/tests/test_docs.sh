# test_docs: what the documents say of options, schema and scenarios is what the program says, and the
# committed summaries are what it makes of their samples.
. harness/tests/lib.sh
needs jq
check "options, schema and scenarios: see above (make docs)" scripts/docs "$LAYERBENCH" --check
check "summaries: see above (make summaries)" scripts/summaries "$LAYERBENCH" --check
finish
