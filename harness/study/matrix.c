/* matrix: cross product, exclusions, clamping, order. See matrix.h. */
#include "study/matrix.h"

#include "base/random.h"
#include "common/array.h"
#include "common/file_io.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "matrix: out of memory");
}

static enum lb_status add_note(struct matrix *m, char *note, struct lb_error *err)
{
    char **place = note ? array_add(&m->notes, &m->n_notes, sizeof *place) : NULL;
    if (place)
        *place = note;
    else
        free(note);
    return place ? LB_OK : no_memory(err);
}

/* Different for work that differs, but for chance: comparing all options takes long. */
static uint64_t work_of(const struct settings *settings)
{
    size_t count;
    const struct option *table = options_table(&count);
    uint64_t work = 0;
    for (size_t i = 0; i < count; i++) {
        char text[OPTION_LONGEST];
        if (table[i].flags & OPTION_STREAMING)
            continue;
        option_format(&table[i], settings, text, sizeof text);
        work = 31 * work + matrix_hash(text);
    }
    return work;
}

static enum lb_status add_cell(struct matrix *m, struct cell cell, struct lb_error *err)
{
    cell.work = work_of(&cell.settings);
    struct cell *place = cell.name ? array_add(&m->cells, &m->count, sizeof *place) : NULL;
    if (place)
        *place = cell;
    else
        free(cell.name);
    return place ? LB_OK : no_memory(err);
}

/* `index` of each axis -> does an exclusion name this combination? */
static bool excluded(const struct scenario *s, const size_t *index)
{
    for (size_t e = 0; e < s->n_exclusions; e++) {
        const struct scenario_exclusion *x = &s->exclusions[e];
        size_t same = 0;
        for (size_t v = 0; v < x->count; v++) {
            for (size_t a = 0; a < s->n_axes; a++)
                same += s->axes[a].option == x->values[v].option &&
                        strcmp(s->axes[a].texts[index[a]], x->values[v].text) == 0;
        }
        if (same == x->count)
            return true;
    }
    return false;
}

static void set(struct settings *settings, const struct option *o, const char *text)
{
    struct lb_error err = LB_ERROR_INIT;
    (void)option_set(o, settings, text, &err); /* the scenario reader has tried it */
}

/* "a=1/b=2"; of another program only what varies its cells; malloc. */
static char *name_of(const struct scenario *s, const struct settings *settings)
{
    const struct peer *peer = scenario_peer(s, settings->program);
    bool varies = false;
    for (size_t a = 0; a < s->n_axes; a++)
        varies |= strcmp(s->axes[a].option->name, "engine") == 0;
    char *name = peer && !varies ? file_text("engine=%s", peer->name) : strdup("");
    for (size_t a = 0; name && a < s->n_axes; a++) {
        if (peer && !peer_uses(peer, s->axes[a].option->name))
            continue;
        char text[OPTION_LONGEST];
        option_format(s->axes[a].option, settings, text, sizeof text);
        char *longer =
            file_text("%s%s%s=%s", name, *name ? "/" : "", s->axes[a].option->name, text);
        free(name);
        name = longer;
    }
    return name;
}

int matrix_find(const struct matrix *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->cells[i].name, name) == 0)
            return (int)i;
    return -1;
}

static const char *why_skipped(const struct settings *settings)
{
    struct lb_choice choice;
    return lb_choice_find("prefetch", settings->engine.prefetch, &choice) >= 0 && !choice.available
               ? "this build has no async prefetch (ASYNC_PREFETCH=0)"
               : NULL;
}

static enum lb_status add_combination(const struct scenario *s, const size_t *index,
                                      uint32_t n_layers, struct matrix *m, struct lb_error *err)
{
    struct cell cell = {.settings = settings_default()};
    for (size_t i = 0; i < s->n_fixed; i++)
        set(&cell.settings, s->fixed[i].option, s->fixed[i].text);
    for (size_t a = 0; a < s->n_axes; a++)
        set(&cell.settings, s->axes[a].option, s->axes[a].texts[index[a]]);
    struct lb_options *o = &cell.settings.engine;
    char *asked = NULL;
    if (o->cache_layers > n_layers && !scenario_peer(s, cell.settings.program)) {
        asked = name_of(s, &cell.settings);
        o->cache_layers = n_layers;
    }
    cell.name = name_of(s, &cell.settings);
    cell.peer = scenario_peer(s, cell.settings.program);
    cell.skipped = cell.peer ? NULL : why_skipped(&cell.settings);
    enum lb_status status = LB_OK;
    bool merged = cell.name && matrix_find(m, cell.name) >= 0;
    if (asked && cell.name)
        status = add_note(m,
                          file_text("%s%scache_layers clamped to the model's %u layers%s", asked,
                                    *asked ? ": " : "", n_layers,
                                    merged ? ": the same as another cell, merged" : ""),
                          err);
    free(asked);
    if (merged) {
        free(cell.name);
        return status;
    }
    return status == LB_OK ? add_cell(m, cell, err) : status;
}

enum lb_status matrix_build(const struct scenario *s, uint32_t n_layers, struct matrix *m,
                            struct lb_error *err)
{
    double combinations = 1;
    memset(m, 0, sizeof *m);
    for (size_t a = 0; a < s->n_axes; a++)
        combinations *= (double)s->axes[a].count;
    if (combinations > MATRIX_MOST)
        return lb_fail(err, LB_ERR_INPUT, "%s: matrix: %.0f combinations: expected at most %d",
                       s->path, combinations, MATRIX_MOST);
    size_t *index = calloc(s->n_axes + 1, sizeof *index);
    enum lb_status status = index ? LB_OK : no_memory(err);
    bool more = true;
    while (status == LB_OK && more) {
        if (!excluded(s, index))
            status = add_combination(s, index, n_layers, m, err);
        /* the next combination: the last axis runs fastest */
        size_t a = s->n_axes;
        while (a > 0 && ++index[a - 1] == s->axes[a - 1].count)
            index[--a] = 0;
        more = a > 0;
    }
    free(index);
    if (status == LB_OK && m->count == 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: exclude: expected it to leave at least one cell",
                         s->path);
    if (status != LB_OK)
        matrix_free(m);
    return status;
}

/* ---- reference cells ---- */

bool matrix_shows_compute(const struct settings *s)
{
    return strcmp(s->engine.prefetch, "resident") == 0 && !*s->engine.slow && !*s->engine.fault &&
           strcmp(s->engine.speculation.speculate, "off") == 0 && s->memory_limit == 0;
}

/* In the options whose flags under `mask` are `wanted`. */
static bool same_options(const struct settings *a, const struct settings *b, unsigned mask,
                         unsigned wanted)
{
    size_t count;
    const struct option *table = options_table(&count);
    for (size_t i = 0; i < count; i++) {
        char x[OPTION_LONGEST], y[OPTION_LONGEST];
        if ((table[i].flags & mask) != wanted)
            continue;
        option_format(&table[i], a, x, sizeof x);
        option_format(&table[i], b, y, sizeof y);
        if (strcmp(x, y) != 0)
            return false;
    }
    return true;
}

bool matrix_same_work(const struct settings *a, const struct settings *b)
{
    return same_options(a, b, OPTION_STREAMING, 0);
}

bool matrix_same_task(const struct settings *a, const struct settings *b)
{
    return same_options(a, b, OPTION_TASK, OPTION_TASK);
}

int matrix_reference(const struct matrix *m, size_t i)
{
    for (size_t k = 0; k < m->count; k++) {
        if (!m->cells[k].peer && m->cells[k].work == m->cells[i].work &&
            matrix_shows_compute(&m->cells[k].settings) &&
            matrix_same_work(&m->cells[i].settings, &m->cells[k].settings))
            return (int)k;
    }
    return -1;
}

/* "reference/threads=2": what tells the kinds of work of this matrix apart; malloc. */
static char *reference_name(const struct matrix *m, const struct settings *settings)
{
    size_t count;
    const struct option *table = options_table(&count);
    char *name = strdup("reference");
    for (size_t i = 0; name && i < count; i++) {
        char mine[OPTION_LONGEST], other[OPTION_LONGEST];
        bool varies = false;
        if (table[i].flags & OPTION_STREAMING)
            continue;
        option_format(&table[i], settings, mine, sizeof mine);
        for (size_t k = 0; k < m->count && !varies; k++) {
            option_format(&table[i], &m->cells[k].settings, other, sizeof other);
            varies = !m->cells[k].reference && !m->cells[k].peer && strcmp(mine, other) != 0;
        }
        if (varies) {
            char *longer = file_text("%s/%s=%s", name, table[i].name, mine);
            free(name);
            name = longer;
        }
    }
    return name;
}

enum lb_status matrix_add_references(struct matrix *m, struct lb_error *err)
{
    size_t asked = m->count;
    for (size_t i = 0; i < asked; i++) {
        if (m->cells[i].skipped || m->cells[i].peer || matrix_reference(m, i) >= 0)
            continue;
        struct settings defaults = settings_default();
        struct cell cell = {.settings = m->cells[i].settings, .reference = true};
        struct lb_options *o = &cell.settings.engine;
        o->prefetch = "resident";
        o->cache_layers = 0;
        o->cache_bytes = 0;
        o->device_bandwidth = 0;
        o->device_latency_ns = 0;
        o->device_queue_depth = 0;
        o->unit_bytes = defaults.engine.unit_bytes;
        o->resident = defaults.engine.resident;
        o->speculation = defaults.engine.speculation;
        o->slow = "";
        o->slow_percent = 0;
        o->fault = "";
        o->breaks = "";
        cell.settings.memory_limit = 0;
        cell.settings.page_cache = defaults.page_cache;
        cell.name = reference_name(m, &cell.settings);
        enum lb_status status = add_cell(m, cell, err);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

/* ---- which, and in what order ---- */

uint64_t matrix_hash(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

/* Keeps the cells with keep[i]; keep[i] becomes 1 + the new index, or 0. */
static void compact(struct matrix *m, uint32_t *keep)
{
    uint32_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!keep[i]) {
            free(m->cells[i].name);
            continue;
        }
        m->cells[kept] = m->cells[i];
        keep[i] = ++kept;
    }
    m->count = kept;
}

enum lb_status matrix_filter(struct matrix *m, const char *expression, struct lb_error *err)
{
    regex_t filter;
    char why[128];
    int code = regcomp(&filter, expression, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        regerror(code, &filter, why, sizeof why);
        return lb_fail(err, LB_ERR_INPUT, "--filter: '%s': %s", expression, why);
    }
    uint32_t *keep = calloc(m->count + 1, sizeof *keep);
    enum lb_status status = keep ? LB_OK : no_memory(err);
    for (size_t i = 0; keep && i < m->count; i++)
        keep[i] = regexec(&filter, m->cells[i].name, 0, NULL, 0) == 0;
    if (keep)
        compact(m, keep);
    free(keep);
    regfree(&filter);
    if (status == LB_OK && m->count == 0)
        status = lb_fail(err, LB_ERR_INPUT,
                         "--filter: '%s': expected it to match at least one cell", expression);
    return status;
}

enum lb_status matrix_leave_out_peers(struct matrix *m, struct lb_error *err)
{
    uint32_t *keep = calloc(m->count + 1, sizeof *keep);
    if (!keep)
        return no_memory(err);
    for (size_t i = 0; i < m->count; i++)
        keep[i] = !m->cells[i].peer;
    compact(m, keep);
    free(keep);
    return m->count > 0 ? LB_OK
                        : lb_fail(err, LB_ERR_INPUT,
                                  "engine: expected a cell of " PEER_OURS
                                  ": other programs can only be measured");
}

/* The shard of a cell. The remainders of FNV-1a alone are uneven (modulo 3 its multiplier is 1), so
 * its bits are mixed first, by the finalizer of SplitMix64. */
static uint32_t shard_of(const char *name, uint32_t n_shards)
{
    uint64_t hash = matrix_hash(name);
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((hash ^ hash >> 31) % n_shards);
}

enum lb_status matrix_cut(struct matrix *m, uint32_t shard, uint32_t n_shards,
                          struct matrix_slot *order, size_t *n_order, struct lb_error *err)
{
    uint32_t *keep = calloc(m->count + 1, sizeof *keep);
    size_t kept = 0;
    if (!keep)
        return no_memory(err);
    for (size_t i = 0; i < m->count; i++)
        keep[i] = shard_of(m->cells[i].name, n_shards) == shard;
    for (size_t i = 0; i < m->count; i++) {
        int reference = matrix_reference(m, i);
        if (keep[i] && !m->cells[i].borrowed && reference >= 0 && !keep[reference]) {
            keep[reference] = 1;
            m->cells[reference].borrowed = true;
        }
    }
    compact(m, keep);
    for (size_t i = 0; i < *n_order; i++) {
        uint32_t place = keep[order[i].cell];
        if (place == 0)
            continue;
        order[kept] = order[i];
        order[kept++].cell = place - 1;
    }
    *n_order = kept;
    free(keep);
    return LB_OK;
}

enum lb_status matrix_order(const struct matrix *m, uint32_t repetitions, uint32_t warmup,
                            uint64_t seed, struct matrix_slot **order, size_t *count,
                            struct lb_error *err)
{
    struct lb_random random = {seed};
    size_t n = 0;
    struct matrix_slot *list =
        malloc((m->count * ((size_t)repetitions + warmup) + 1) * sizeof *list);
    if (!list)
        return no_memory(err);
    for (int64_t rep = -(int64_t)warmup; rep < (int64_t)repetitions; rep++) {
        struct matrix_slot *round = list + n;
        uint32_t in_round = 0;
        for (uint32_t i = 0; i < m->count; i++) {
            if (!m->cells[i].skipped)
                round[in_round++] = (struct matrix_slot){i, (int32_t)rep, 0};
        }
        for (uint32_t i = in_round; i > 1; i--) { /* Fisher and Yates */
            uint32_t k = lb_random_below(&random, i);
            struct matrix_slot other = round[k];
            round[k] = round[i - 1];
            round[i - 1] = other;
        }
        n += in_round;
    }
    for (size_t i = 0; i < n; i++)
        list[i].seq = (uint32_t)i;
    *order = list;
    *count = n;
    return LB_OK;
}

void matrix_free(struct matrix *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->cells[i].name);
    for (size_t i = 0; i < m->n_notes; i++)
        free(m->notes[i]);
    free(m->cells);
    free(m->notes);
    memset(m, 0, sizeof *m);
}
