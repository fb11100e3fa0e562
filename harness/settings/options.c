/* options: the table, and the one option that is more than a number or a name: device. */
#include "settings/options.h"

#include "common/amounts.h"
#include "common/nearest.h"
#include "machine/affinity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words_auto[] = {"auto", NULL};
static const char *const words_none[] = {"none", NULL};
static const char *const words_unit[] = {"layer", "tensor", "expert", NULL};
static const char *const choices_advice[] = {"normal", "sequential", "random", "willneed", NULL};
static const char *const choices_scope[] = {"layer", "model", NULL};
static const char *const choices_resident[] = {"none", "dense", NULL};
static const char *const choices_kv[] = {"f16", "f32", "q8_0", NULL};
static const char *const choices_page_cache[] = {"as-is", "cold", "warm", NULL};
static const char *const choices_product[] = {"auto", "rows", "streams", NULL};
static const char *const choices_draft_budget[] = {"fixed", "adaptive", NULL};
static const char *const choices_prefill[] = {"layers", "chunks", NULL};
static const char *const choices_slow[] = {"", "io", "compute", "wait", NULL};
static const char *const choices_breaks[] = {"",       "outcomes", "time",   "bytes", "memory",
                                             "tokens", "needs",    "drafts", NULL};
static const char *const choices_fault[] = {"", "eio", "short", "delay", "dead", NULL};

/* One "key=value" of an emulated device. */
static bool set_device_part(struct lb_options *o, const char *key, const char *value)
{
    uint64_t depth;
    if (strcmp(key, "bandwidth") == 0)
        return amount_parse_bandwidth(value, &o->device_bandwidth) && o->device_bandwidth > 0;
    if (strcmp(key, "latency") == 0)
        return amount_parse_duration(value, &o->device_latency_ns);
    if (strcmp(key, "queue_depth") != 0 || !amount_parse_count(value, &depth) || depth < 1 ||
        depth > 1024)
        return false;
    o->device_queue_depth = (uint32_t)depth;
    return true;
}

static bool set_device(void *target, const char *text)
{
    struct settings *settings = target;
    struct lb_options device = settings->engine;
    device.device_bandwidth = 0;
    device.device_latency_ns = 0;
    device.device_queue_depth = 0;
    char copy[256], *rest = copy, *part;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return false;
    struct lb_device preset;
    if (lb_device_preset(text, &preset)) {
        device.device_bandwidth = preset.bandwidth;
        device.device_latency_ns = preset.latency_ns;
        device.device_queue_depth = preset.queue_depth;
    } else if (strcmp(text, "none") != 0) {
        while ((part = strsep(&rest, ",")) != NULL) {
            char *value = strchr(part, '=');
            if (!value)
                return false;
            *value++ = '\0';
            if (!set_device_part(&device, part, value))
                return false;
        }
    }
    settings->engine = device;
    return true;
}

static bool set_affinity(void *target, const char *text)
{
    if (!affinity_valid(text))
        return false;
    ((struct settings *)target)->affinity = text;
    return true;
}

static void format_affinity(const void *target, char *text, size_t size)
{
    const char *affinity = ((const struct settings *)target)->affinity;
    snprintf(text, size, "%s", affinity ? affinity : "");
}

static void format_device(const void *target, char *text, size_t size)
{
    const struct lb_options *o = &((const struct settings *)target)->engine;
    char part[64];
    struct lb_choice choice;
    struct lb_device preset;
    for (size_t i = 0; lb_choice_at("device", i, &choice); i++) {
        if (lb_device_preset(choice.name, &preset) && preset.bandwidth == o->device_bandwidth &&
            preset.latency_ns == o->device_latency_ns &&
            preset.queue_depth == o->device_queue_depth) {
            snprintf(text, size, "%s", choice.name);
            return;
        }
    }
    text[0] = '\0';
    if (o->device_bandwidth > 0) {
        amount_format_bandwidth(o->device_bandwidth, part, sizeof part);
        snprintf(text, size, "bandwidth=%s", part);
    }
    if (o->device_latency_ns > 0) {
        amount_format_duration(o->device_latency_ns, part, sizeof part);
        size_t n = strlen(text);
        snprintf(text + n, size - n, "%slatency=%s", n ? "," : "", part);
    }
    if (o->device_queue_depth > 0) {
        size_t n = strlen(text);
        snprintf(text + n, size - n, "%squeue_depth=%u", n ? "," : "", o->device_queue_depth);
    }
    if (text[0] == '\0')
        snprintf(text, size, "none");
}

struct settings settings_default(void)
{
    return (struct settings){.engine = lb_options_default(),
                             .prompt_tokens = 16,
                             .prompts = "",
                             .generate_tokens = 8,
                             .page_cache = "as-is",
                             .affinity = "",
                             .program = "layerbench"};
}

#define ENGINE(field)      offsetof(struct settings, engine.field)
#define WORK(field)        offsetof(struct settings, field)
#define SPECULATION(field) ENGINE(speculation.field)

static const struct option table[] = {
    {"prefetch", "HOW", "how layers come; resident: they do not, all are loaded at open and stay",
     OPTION_CHOICE, ENGINE(prefetch), .choice_kind = "prefetch", .flags = OPTION_STREAMING},
    {"cache_layers", "N", "layers kept in memory, the ones in use and in flight counted",
     OPTION_COUNT, ENGINE(cache_layers), .min = 1, .words = words_auto, .flags = OPTION_STREAMING,
     .unit = "layers"},
    {"cache_bytes", "SIZE", "the same as a budget in bytes", OPTION_SIZE, ENGINE(cache_bytes),
     .min = 1, .words = words_auto, .flags = OPTION_STREAMING},
    {"prefetch_distance", "N", "layers to look ahead", OPTION_COUNT, ENGINE(prefetch_distance),
     .flags = OPTION_STREAMING, .unit = "layers"},
    {"replacement", "POLICY", "which layer leaves", OPTION_CHOICE, ENGINE(replacement),
     .choice_kind = "replacement", .flags = OPTION_STREAMING},
    {"cache_scope", "WHAT", "layer: a cache for each layer, with its share; model: one for all",
     OPTION_CHOICE, ENGINE(cache_scope), .choices = choices_scope, .flags = OPTION_STREAMING},
    {"half_life", "N", "lfu, lfru: passes after which a use counts half; 0: never", OPTION_REAL,
     ENGINE(half_life), .max = 1e6, .flags = OPTION_STREAMING, .unit = "passes"},
    {"scheduler", "NAME", "when a prefetch starts, and of what", OPTION_CHOICE, ENGINE(scheduler),
     .choice_kind = "scheduler", .flags = OPTION_STREAMING},
    {"predict", "HOW", "of experts, before the router has chosen them", OPTION_CHOICE,
     ENGINE(predict), .choice_kind = "predict", .flags = OPTION_STREAMING},
    {"predict_depth", "N", "layers ahead that are predicted", OPTION_COUNT, ENGINE(predict_depth),
     .min = 1, .max = 64, .flags = OPTION_STREAMING, .unit = "layers"},
    {"protect", "on|off", "layers inside the prefetch window may not be evicted", OPTION_BOOL,
     ENGINE(protect), .flags = OPTION_STREAMING},
    {"resident", "WHAT",
     "what of the layers is loaded at open and stays while the rest streams: of a mixture, "
     "dense: all but the experts",
     OPTION_CHOICE, ENGINE(resident), .choices = choices_resident, .flags = OPTION_STREAMING},
    {"streaming_threshold", "SIZE", "models up to this size load whole", OPTION_SIZE,
     ENGINE(streaming_threshold), .flags = OPTION_STREAMING},
    {"storage", "NAME", "how the file is read", OPTION_CHOICE, ENGINE(storage),
     .choice_kind = "storage", .flags = OPTION_STREAMING},
    {"model_copy", "FILE,...", "copies of the model on other drives: reads are spread over all",
     OPTION_TEXT, ENGINE(model_copy), .flags = OPTION_STREAMING | OPTION_FILES},
    {"advice", "HOW", "what mmap tells the kernel", OPTION_CHOICE, ENGINE(advice),
     .choices = choices_advice, .flags = OPTION_STREAMING},
    {"unit", "UNIT", "what is loaded and evicted as one; expert: a layer where there are none",
     OPTION_SIZE, ENGINE(unit_bytes), .min = 4096, .words = words_unit, .flags = OPTION_STREAMING},
    {"queue_depth", "N", "reads in flight", OPTION_COUNT, ENGINE(queue_depth), .min = 1,
     .max = 1024, .flags = OPTION_STREAMING, .unit = "reads"},
    {"chunk_bytes", "SIZE", "largest single read", OPTION_SIZE32, ENGINE(chunk_bytes), .min = 4096,
     .flags = OPTION_STREAMING},
    {"io_threads", "N", "readers of the pread and direct storage", OPTION_COUNT, ENGINE(io_threads),
     .min = 1, .max = 1024, .flags = OPTION_STREAMING, .unit = "threads"},
    {"max_loads", "N", "units in flight at most", OPTION_COUNT, ENGINE(max_loads), .min = 1,
     .words = words_auto, .flags = OPTION_STREAMING, .unit = "units"},
    {"device", "DEVICE", "emulated storage: bandwidth=500MB/s,latency=100us, a preset, or none",
     OPTION_CUSTOM, .set = set_device, .format = format_device,
     .flags = OPTION_STREAMING | OPTION_MACHINE | OPTION_TASK,
     .expected = "'none', a preset of 'layerbench list device', or any of "
                 "bandwidth=500MB/s,latency=100us,queue_depth=8"},
    {"threads", "N", "compute threads", OPTION_COUNT, ENGINE(threads), .min = 1, .max = 256,
     .unit = "threads"},
    {"kernels", "NAME", "instruction set", OPTION_CHOICE, ENGINE(kernels),
     .choice_kind = "kernels"},
    {"product", "ORDER",
     "in which products of one token ask for their weights; auto: the faster one", OPTION_CHOICE,
     ENGINE(product), .choices = choices_product},
    {"context", "N", "positions a sequence can hold; auto: what the model was trained for",
     OPTION_COUNT, ENGINE(context), .min = 1, .words = words_auto, .unit = "tokens"},
    {"batch", "N", "sequences decoded in one pass", OPTION_COUNT, ENGINE(batch), .min = 1,
     .max = 4096, .unit = "sequences"},
    {"max_tokens", "N", "tokens of a prompt that are computed together", OPTION_COUNT,
     ENGINE(max_tokens), .min = 1, .unit = "tokens"},
    {"prefill", "HOW",
     "layers: chunks of a prompt go through each layer together, where layers stream",
     OPTION_CHOICE, ENGINE(prefill), .choices = choices_prefill, .flags = OPTION_STREAMING},
    {"kv", "TYPE", "what keys and values are stored as: q8_0 takes half the memory of f16",
     OPTION_CHOICE, ENGINE(kv), .choices = choices_kv},
    {"speculate", "HOW", "tokens to come are guessed, and several checked in one pass",
     OPTION_CHOICE, SPECULATION(speculate), .choice_kind = "speculate", .flags = OPTION_STREAMING},
    {"draft_tokens", "N", "tokens guessed at a time", OPTION_COUNT, SPECULATION(draft_tokens),
     .min = 1, .max = LB_DRAFT_MOST, .flags = OPTION_STREAMING, .unit = "tokens"},
    {"draft_budget", "HOW", "adaptive: fewer tokens where more do not pay off", OPTION_CHOICE,
     SPECULATION(draft_budget), .choices = choices_draft_budget, .flags = OPTION_STREAMING},
    {"ngram_min", "N", "ngram: tokens that must match at least", OPTION_COUNT,
     SPECULATION(ngram_min), .min = 1, .max = 16, .flags = OPTION_STREAMING, .unit = "tokens"},
    {"ngram_max", "N", "ngram: tokens that are tried to match first", OPTION_COUNT,
     SPECULATION(ngram_max), .min = 1, .max = 16, .flags = OPTION_STREAMING, .unit = "tokens"},
    {"draft_model", "FILE", "draft: the smaller model, of the same vocabulary", OPTION_TEXT,
     SPECULATION(draft_model), .flags = OPTION_STREAMING | OPTION_FILE},
    {"acceptance", "SHARE", "replay: how many of its tokens are right", OPTION_REAL,
     SPECULATION(acceptance), .max = 1, .flags = OPTION_STREAMING, .unit = "share"},
    {"prompt_tokens", "N", "prompt of each sequence", OPTION_COUNT, WORK(prompt_tokens), .min = 1,
     .flags = OPTION_RUN_ONLY | OPTION_TASK, .unit = "tokens"},
    {"prompts", "FILE", "texts, one a line or .jsonl, in turn; cut to their last prompt_tokens",
     OPTION_TEXT, WORK(prompts), .flags = OPTION_RUN_ONLY | OPTION_TASK | OPTION_FILE},
    {"generate_tokens", "N", "tokens decoded of each sequence in one sample", OPTION_COUNT,
     WORK(generate_tokens), .min = 1, .flags = OPTION_RUN_ONLY | OPTION_TASK, .unit = "tokens"},
    {"page_cache", "STATE", "of the model file before each sample", OPTION_CHOICE, WORK(page_cache),
     .choices = choices_page_cache,
     .flags = OPTION_RUN_ONLY | OPTION_STREAMING | OPTION_MACHINE | OPTION_TASK},
    {"memory_limit", "SIZE", "for the whole process, enforced by a cgroup", OPTION_SIZE,
     WORK(memory_limit), .min = 1 << 20, .words = words_none,
     .flags = OPTION_RUN_ONLY | OPTION_STREAMING | OPTION_MACHINE | OPTION_TASK},
    {"affinity", "CPUS", "processors to run on, such as 0-3,6", OPTION_CUSTOM, .set = set_affinity,
     .format = format_affinity, .flags = OPTION_RUN_ONLY | OPTION_MACHINE,
     .expected = "processors such as 0-3,6"},
    {"engine", "NAME",
     "the program that is measured: layerbench, or another (scenarios/engines, or the key engine)",
     OPTION_TEXT, WORK(program), .flags = OPTION_RUN_ONLY},
    {"log_routes", "on|off", "routes.csv: the experts that each token was sent to", OPTION_BOOL,
     WORK(log_routes), .flags = OPTION_RUN_ONLY | OPTION_STREAMING},
    {"engine_seed", "N", "of random replacement", OPTION_COUNT64, ENGINE(seed),
     .flags = OPTION_HIDDEN | OPTION_STREAMING},
    {"slow", "WHAT", "adds time to io, compute or wait", OPTION_CHOICE, ENGINE(slow),
     .choices = choices_slow, .flags = OPTION_HIDDEN | OPTION_STREAMING},
    {"slow_percent", "P", "how much of it", OPTION_REAL, ENGINE(slow_percent), .max = 10000,
     .flags = OPTION_HIDDEN | OPTION_STREAMING},
    {"breaks", "IDENTITY", "makes the engine break one of the identities that runs check",
     OPTION_CHOICE, ENGINE(breaks), .choices = choices_breaks,
     .flags = OPTION_HIDDEN | OPTION_STREAMING},
    {"fault", "KIND", "makes reads fail", OPTION_CHOICE, ENGINE(fault), .choices = choices_fault,
     .flags = OPTION_HIDDEN | OPTION_STREAMING},
    {"fault_nth", "N", "which read fails", OPTION_COUNT64, ENGINE(fault_nth),
     .flags = OPTION_HIDDEN | OPTION_STREAMING},
    {"fault_every", "on|off", "all reads from that one on", OPTION_BOOL, ENGINE(fault_every),
     .flags = OPTION_HIDDEN | OPTION_STREAMING},
};

const struct option *options_table(size_t *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}

const struct option *options_named(const char *name, struct lb_error *err)
{
    enum { COUNT = sizeof table / sizeof *table };
    const char *names[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
        names[i] = table[i].name;
    }
    const char *near = nearest_name(name, names, COUNT);
    lb_fail(err, LB_ERR_INPUT, "unknown option '%.60s'%s%s%s", name, near ? ": did you mean '" : "",
            near ? near : "", near ? "'?" : "; see 'layerbench list options'");
    return NULL;
}

uint32_t settings_drives(const struct settings *settings)
{
    const char *copies = settings->engine.model_copy;
    uint32_t n = 1;
    while (copies && *copies) {
        n++;
        copies = strchr(copies + 1, ',');
    }
    return n;
}
