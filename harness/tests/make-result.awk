# make-result: writes a small run directory in the format of results/schema, without measuring:
# a deterministic simulation of layers streaming over one I/O channel, so that plots, report and
# trace can be tested on results of any size.
#
#   awk -v dir=OUT [-v layers=12 -v caches="3 6 9" ...] -f make-result.awk
#
# Variables: dir (exists), layers, passes (decode), reps, modes, policies, caches, distances,
# load_ns, compute_ns (per layer), noise (0.05 = 5%), seed, units (of a layer, loaded in turn).

function either(value, otherwise) { return value == "" ? otherwise : value }
function jitter() { return 1 + noise * (rand() + rand() - 1) }

function floor_of(slots,    loads) {
    loads = (layers - slots) * load_ns
    return loads > layers * compute_ns ? loads : layers * compute_ns
}

# Accesses until `layer` is needed again, seen from position `now` of the cyclic scan.
function next_use(layer, now,    ahead) {
    ahead = (layer - now % layers + layers) % layers
    return ahead == 0 ? layers : ahead
}

# The resident layer to leave for one that is needed `ahead` accesses from now; -1: none may.
function victim(policy, now, ahead, window,    l, best, score, highest) {
    best = -1
    highest = -1
    for (l = 0; l < layers; l++) {
        if (!(l in ready) || l == now % layers || ready[l] > clock)
            continue
        if (policy == "belady") {
            score = next_use(l, now)
            if (score <= ahead)
                continue
        } else {
            if (window > 0 && next_use(l, now) <= window)
                continue
            score = now - used[l]
        }
        if (score > highest) {
            highest = score
            best = l
        }
    }
    return best
}

# Starts a load of `layer`, asked for now; returns 0 where no slot may be freed.
function load(layer, policy, now, ahead, window, how,    out) {
    evicted[layer] = 0
    if (held >= cache) {
        out = victim(policy, now, ahead, window)
        if (out < 0)
            return 0
        delete ready[out]
        evicted[layer] = 1
        held--
        if (brought[out] == "prefetched" && !(out in seen))
            wasted++
    }
    start = clock > channel ? clock : channel
    queue[layer] = start - clock
    read[layer] = int(load_ns * jitter())
    channel = start + read[layer]
    ready[layer] = channel
    used[layer] = now
    brought[layer] = how
    delete seen[layer]
    held++
    return 1
}

# A layer's access as that of its units: the first is waited for, all compute alike.
function units_of(layer, outcome, wait, compute, ready_after,    k, text, rank, part, loaded, done) {
    rank = outcome == "hit" ? 0 : outcome == "prefetched" ? 1 : outcome == "late" ? 2 : 3
    part = int(compute / units)
    loaded = outcome != "hit"
    for (k = 0; k < units; k++) {
        done = ready_after - int((units - 1 - k) * read[layer] / units)
        text = text sprintf("%s[%d,%d,%d,%d,%d,%d,%d,%d,%d]", k ? "," : "", layer * units + k, rank,
                            k ? wait + k * part : 0, k ? 0 : wait,
                            k + 1 < units ? part : compute - (units - 1) * part,
                            loaded ? queue[layer] + read[layer] - int(read[layer] / units) - \
                                (ready_after - done) : 0,
                            loaded ? int(read[layer] / units) : 0, loaded ? done : 0,
                            loaded ? layer_bytes / units : 0)
    }
    return ",\"units\":[" text "]"
}

function access(mode, policy, distance, now, pass,    layer, outcome, need, k, wait, compute) {
    layer = now % layers
    need = clock
    if (!(layer in ready)) {
        outcome = "miss"
        load(layer, policy, now, 0, 0, "demand")
        clock = ready[layer]
    } else if (brought[layer] == "prefetched" && !(layer in seen)) {
        outcome = ready[layer] > clock ? "late" : "prefetched"
        if (ready[layer] > clock)
            clock = ready[layer]
    } else
        outcome = "hit"
    seen[layer] = 1
    used[layer] = now
    ready_at = outcome == "hit" ? need : ready[layer]
    for (k = 1; k <= distance && mode != "off"; k++) {
        if ((now + k) % layers in ready)
            continue
        if (!load((now + k) % layers, policy, now, k, distance, "prefetched"))
            break
        if (mode == "sync")
            clock = ready[(now + k) % layers]
    }
    wait = clock - need
    compute = int(compute_ns * (pass == 0 ? 4 : 1) * jitter())
    clock += compute
    count[outcome]++
    sum_wait += wait
    sum_compute += compute
    if (outcome != "hit")
        bytes_read += layer_bytes
    if (pass > 0) {
        decode[outcome]++
        decode["wait"] += wait
        decode["compute"] += compute
        decode["bytes"] += outcome == "hit" ? 0 : layer_bytes
    }
    printf "{\"cell\":\"%s\",\"rep\":%d,\"pass\":%d,\"phase\":\"%s\",\"layer\":%d,\"outcome\":\"%s\"," \
           "\"wait_ns\":%d,\"queue_ns\":%d,\"read_ns\":%d,\"compute_ns\":%d,\"need_ns\":%.0f," \
           "\"ready_ns\":%.0f,\"bytes\":%d,\"evicted\":%d,\"held_bytes\":%.0f%s}\n", name, rep, pass,
           pass == 0 ? "prefill" : "decode", layer, outcome, wait,
           outcome == "hit" ? 0 : queue[layer], outcome == "hit" ? 0 : read[layer], compute, need,
           ready_at, outcome == "hit" ? 0 : layer_bytes,
           outcome == "hit" ? 0 : evicted[layer], held * layer_bytes,
           (units > 1 ? units_of(layer, outcome, wait, compute, ready_at - need) : "") >> log_file
}

function sample(mode, policy, distance, seq,    pass, i, started, pass_start, text) {
    split("", ready); split("", seen); split("", used); split("", brought); split("", count); split("", decode)
    held = wasted = sum_wait = sum_compute = bytes_read = other = 0
    count["hit"] = count["prefetched"] = count["late"] = count["miss"] = 0
    started = channel = clock
    text = ""
    for (pass = 0; pass <= passes; pass++) {
        pass_start = clock
        for (i = 0; i < layers; i++)
            access(mode, policy, distance, pass * layers + i, pass)
        clock += 50000
        other += 50000
        if (pass == 0)
            prefill = clock - pass_start
        else
            text = text (pass > 1 ? "," : "") sprintf("%d", clock - pass_start)
    }
    return sprintf("{\"rep\":%d,\"seq\":%d,\"start_ns\":%.0f,\"ttft_ns\":%d,\"prefill_ns\":%d," \
                   "\"pass_ns\":[%s],\"floor_ns\":%d,\"outcomes\":{\"hit\":%d,\"prefetched\":%d," \
                   "\"late\":%d,\"miss\":%d},\"wasted\":%d,\"bytes_read\":%.0f,\"wait_ns\":%.0f," \
                   "\"compute_ns\":%.0f,\"other_ns\":%.0f,\"peak_rss_bytes\":%.0f," \
                   "\"tokens_hash\":\"9f2c61d0\",\"decode\":{\"outcomes\":{\"hit\":%d," \
                   "\"prefetched\":%d,\"late\":%d,\"miss\":%d},\"wait_ns\":%.0f," \
                   "\"compute_ns\":%.0f,\"other_ns\":%.0f,\"bytes_read\":%.0f}}", rep, seq, started, prefill, prefill, text, floor_of(cache),
                   count["hit"], count["prefetched"], count["late"], count["miss"], wasted, bytes_read,
                   sum_wait, sum_compute, other, resident_bytes + cache * layer_bytes,
                   decode["hit"], decode["prefetched"], decode["late"], decode["miss"],
                   decode["wait"], decode["compute"], passes * 50000, decode["bytes"])
}

BEGIN {
    layers = either(layers, 12); passes = either(passes, 4); reps = either(reps, 3)
    modes = either(modes, "off sync async"); policies = either(policies, "lru belady")
    caches = either(caches, "3 6 9"); distances = either(distances, "1 2 4")
    load_ns = either(load_ns, 4000000); compute_ns = either(compute_ns, 2000000)
    noise = either(noise, 0.05); srand(either(seed, 1)); units = either(units, 1)
    layer_bytes = 4194304; resident_bytes = 16777216
    log_file = dir "/layers.jsonl"
    printf "" > log_file
    m = split(modes, mode_of, " "); p = split(policies, policy_of, " ")
    c = split(caches, cache_of, " "); d = split(distances, distance_of, " ")
    cells = 0
    for (i = 1; i <= m; i++)
        for (j = 1; j <= p; j++)
            for (k = 1; k <= c; k++)
                for (l = 1; l <= (mode_of[i] == "off" ? 1 : d); l++) {
                    cells++
                    cell_mode[cells] = mode_of[i]; cell_policy[cells] = policy_of[j]
                    cell_cache[cells] = cache_of[k]; cell_distance[cells] = distance_of[l]
                }
    for (rep = 0; rep < reps; rep++)
        for (i = 1; i <= cells; i++) {
            cache = cell_cache[i]
            name = "fixture/prefetch:" cell_mode[i] "/replacement:" cell_policy[i] \
                   "/cache_layers:" cache "/prefetch_distance:" cell_distance[i]
            names[i] = name
            samples[i] = samples[i] (rep ? "," : "") \
                         sample(cell_mode[i], cell_policy[i], cell_distance[i], rep * cells + i - 1)
        }
    out = dir "/result.json"
    printf "{\"context\":{\"num_cpus\":2},\"benchmarks\":[],\"layerbench\":{\"schema_version\":1," \
           "\"scenario\":{\"requested\":{\"name\":\"fixture\",\"about\":\"Which cache size and " \
           "distance hide the loads of a simulated model?\",\"repetitions\":%d}," \
           "\"effective\":{\"model\":{\"layers\":%d}}," \
           "\"sha256\":\"%064d\"},\"environment\":{\"cpu_model\":{\"value\":\"simulated\"," \
           "\"source\":\"make-result.awk\"}},\"complete\":true,\"warnings\":[],\"cells\":[", reps,
           layers, 0 > out
    for (i = 1; i <= cells; i++)
        printf "%s{\"name\":\"%s\",\"options\":{\"prefetch\":\"%s\",\"replacement\":\"%s\"," \
               "\"cache_layers\":%d,\"prefetch_distance\":%d,\"batch\":1,\"threads\":2},"\
               "\"floor\":{\"ns\":%d,\"compute_ns\":%d,\"load_ns\":%d,\"all_load_ns\":%d," \
               "\"bandwidth\":%.0f},\"samples\":[%s]}",
               (i > 1 ? "," : ""), names[i], cell_mode[i], cell_policy[i], cell_cache[i],
               cell_distance[i], floor_of(cell_cache[i]), layers * compute_ns,
               (layers - cell_cache[i]) * load_ns, layers * load_ns, layer_bytes / load_ns * 1e9,
               samples[i] > out
    printf "]}}\n" > out
}
