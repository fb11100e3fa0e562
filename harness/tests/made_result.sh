# made_result: results made of chosen figures, for tests of what reads results. To be sourced.
#
# made_result FILE SCALE [REPS [SEED]]: two cells, REPS samples each (20), pass times of about 10 ms
# with noise of 0.5%, multiplied by SCALE; SEED chooses the noise. The noise is a fixed sequence, so
# that every test sees the same figures.
made_result() {
    jq -n --argjson scale "$2" --argjson reps "${3:-20}" --argjson seed "${4:-1}" '
    def noise($i): ((($i * 7919 + $seed * 104729) % 1009) / 1009 - 0.5) / 50;
    def sample($i; $hash): (10000000 * $scale * (1 + noise($i)) | floor) as $pass |
      {rep: $i, seq: (2 * $i), start_ns: ($i * 50000000), ttft_ns: (3 * $pass), prefill_ns: (2 * $pass),
       pass_ns: [$pass, $pass], floor_ns: 9000000,
       outcomes: {hit: 4, prefetched: 8, late: 0, miss: 0}, wasted: 0, bytes_read: 1048576,
       wait_ns: (1000000 * $scale * (1 + noise($i)) | floor), compute_ns: 8000000, other_ns: 1000000,
       peak_rss_bytes: 20000000, tokens_hash: $hash};
    def cell($name; $hash): {name: $name, options: {batch: 1}, samples: [range($reps) | sample(.; $hash)]};
    {context: {}, benchmarks: [], layerbench: {schema_version: 1,
      scenario: {requested: {}, effective: {}, sha256: ("ab" * 32)},
      environment: {comparability_key: {value: "this machine", source: "test"}},
      cells: [cell("cache_layers=4"; "aaaa"), cell("cache_layers=8"; "bbbb")],
      warnings: [], complete: true}}' >"$1"
}

# changed FILE FILTER: FILE changed by a jq filter; prints the new file's name.
changed() {
    local out
    out=$(mktemp -p "$work" XXXXXX.json)
    jq "$2" "$1" >"$out" && echo "$out"
}
