/* identities: see identities.h. The tolerances are those of the design. */
#include "result/identities.h"

#include "common/file_io.h"
#include "common/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHADOW_MEMORY 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_MEMORY 1
#endif
#ifndef SHADOW_MEMORY
#define SHADOW_MEMORY 0 /* a sanitizer's shadow counts as resident: nothing to compare then */
#endif

/* Every sequence got its tokens, and no pass gave fewer than one; drafts account for the rest. */
static void check_tokens(const struct sample *s, const struct settings *settings, json_t *broken)
{
    const uint64_t batch = settings->engine.batch, expected = settings->generate_tokens * batch;
    const bool off = strcmp(settings->engine.speculation.speculate, "off") == 0;
    if (off ? s->n_pass != settings->generate_tokens : s->n_pass > settings->generate_tokens)
        json_append_text(broken, "%u decode passes: expected %s%u", s->n_pass,
                         off ? "" : "at most ", settings->generate_tokens);
    if (s->tokens != expected)
        json_append_text(broken, "%" PRIu64 " tokens decoded: expected %" PRIu64, s->tokens,
                         expected);
    if (s->drafts_kept > s->drafted || (batch == 1 && s->n_pass + s->drafts_kept != s->tokens))
        json_append_text(broken,
                         "%" PRIu64 " of %" PRIu64
                         " drafted tokens kept, in %u passes that gave %" PRIu64
                         " tokens: expected passes + kept = tokens",
                         s->drafts_kept, s->drafted, s->n_pass, s->tokens);
}

static void check_counts(const struct sample *s, const struct settings *settings, json_t *broken)
{
    const struct lb_stats *a = &s->all, *d = &s->decode;
    uint64_t outcomes = a->hits + a->prefetched + a->late + a->misses;
    uint64_t decoded = d->hits + d->prefetched + d->late + d->misses;
    if (outcomes != a->accesses || a->accesses != s->layers * a->passes)
        json_append_text(broken,
                         "outcomes %" PRIu64 ", accesses %" PRIu64 ", layers x passes %" PRIu64
                         ": expected all the same",
                         outcomes, a->accesses, s->layers * a->passes);
    if (a->unit_accesses != a->units_needed)
        json_append_text(broken, "units had %" PRIu64 ", needed %" PRIu64 ": expected the same",
                         a->unit_accesses, a->units_needed);
    if (decoded != s->layers * s->n_pass)
        json_append_text(broken, "decode: outcomes %" PRIu64 ": expected layers x passes, %" PRIu64,
                         decoded, s->layers * s->n_pass);
    check_tokens(s, settings, broken);
    if (s->log_dropped > 0)
        json_append_text(broken, "%" PRIu64 " accesses were not logged: expected none",
                         s->log_dropped);
}

/* compute + wait + other = wall within 1%; 2 us a pass are the clock's own. */
static void check_times(const struct sample *s, json_t *broken)
{
    const struct lb_stats *a = &s->all;
    int64_t parts = a->compute_ns + a->wait_ns + a->other_ns;
    double off = fabs((double)(parts - a->wall_ns));
    if (off > 0.01 * (double)a->wall_ns + 2000.0 * (double)a->passes)
        json_append_text(
            broken, "compute + wait + other = %" PRId64 " ns, wall %" PRId64 " ns: expected 1%%",
            parts, a->wall_ns);
}

/* Bytes of direct reads as the kernel counts them, within 1%; what is in flight when the passes
 * begin or end is on one side only. */
static void check_bytes(const struct sample *s, const struct settings *settings, json_t *broken)
{
    struct lb_choice storage;
    double in_flight = (double)settings->engine.queue_depth * (double)settings->engine.chunk_bytes;
    double largest = (double)s->layer_bytes / (double)(s->layers ? s->layers : 1);
    double off = fabs((double)s->kernel_bytes - (double)s->all.bytes_read);
    if (in_flight < 2 * largest)
        in_flight = 2 * largest;
    if (in_flight > (double)s->all.cache_bytes) /* what is in flight has its place in the cache */
        in_flight = (double)s->all.cache_bytes;
    lb_choice_find("storage", s->storage, &storage);
    if (!storage.direct || s->kernel_bytes <= 0 || s->all.read_errors > 0 ||
        strcmp(s->prefetch, "resident") == 0)
        return;
    if (off > 0.01 * (double)s->all.bytes_read + in_flight)
        json_append_text(broken, "bytes read %" PRIu64 ", by the kernel %" PRId64 ": expected 1%%",
                         s->all.bytes_read, s->kernel_bytes);
}

static void check_memory(const struct sample *s, json_t *broken)
{
    /* mapped and in-memory files count as resident memory of the process, by their nature */
    struct lb_choice storage;
    double bound =
        1.02 * (double)(s->all.resident_bytes + s->all.cache_bytes + s->all.kv_bytes) + 0x1p24;
    if (SHADOW_MEMORY)
        return;
    lb_choice_find("storage", s->storage, &storage);
    if (storage.mapped || storage.copied)
        bound += (double)s->file_bytes;
    if ((double)s->peak_rss_bytes > bound)
        json_append_text(broken,
                         "peak RSS %" PRIu64 ": expected at most %.0f (beside layers %" PRIu64
                         " + cache %" PRIu64 " + KV %" PRIu64 " + 2%% + 16 MiB)",
                         s->peak_rss_bytes, bound, s->all.resident_bytes, s->all.cache_bytes,
                         s->all.kv_bytes);
}

json_t *identities_check(const struct sample *s, const struct settings *settings)
{
    json_t *broken = json_array();
    check_counts(s, settings, broken);
    check_times(s, broken);
    check_bytes(s, settings, broken);
    check_memory(s, broken);
    return broken;
}

char *identities_compare(const struct sample *s, const struct sample *other, const char *other_cell)
{
    bool tokens = strcmp(s->tokens_hash, other->tokens_hash) == 0;
    if (tokens && strcmp(s->logits_hash, other->logits_hash) == 0)
        return NULL;
    return file_text("%s hash %s: expected %s as in %s", tokens ? "logits" : "tokens",
                     tokens ? s->logits_hash : s->tokens_hash,
                     tokens ? other->logits_hash : other->tokens_hash, other_cell);
}
