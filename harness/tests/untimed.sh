# untimed: what two runs of the same work have in common. To be sourced.
#
# untimed RESULT: everything of a result.json but times and what follows from them (names, order,
# sequence numbers, counts, hashes), as one line; untimed_log DIR: the same of layers.jsonl. Both
# as a hash.
untimed() {
    jq -S 'def plain: walk(if type == "object" then with_entries(select(.key | test("_ns$|_time$|^(date|products_rows|products_streams|product_changes|load_avg|environment|started|bandwidth|warnings|command_line|floor|peak_rss_bytes|kernel_bytes|real|tokens_per_second|[a-z]+_ms|items_per_second|machine|major_faults|cached_before_ppm|cpu_.*|caches|host_name|executable)$") | not)) else . end);
      (.benchmarks |= map(select(.run_type == "iteration"))) | plain' "$1" | sha256sum
}
untimed_log() { jq -c '[.cell, .rep, .pass, .phase, .layer, .outcome, .bytes, .evicted]' "$1/layers.jsonl" | sha256sum; }
