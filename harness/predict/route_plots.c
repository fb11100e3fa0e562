/* route_plots: tables from a trace, for the scripts of plots/. See route_plots.h. */
#include "predict/route_plots.h"

#include "base/random.h"
#include "predict/route_trace.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOGETHER = 64, MOST_GAP = 4096, DRAWS = 400 };

/* Experts of a token in a layer are a bitmap; those of a trace [token][layer][words]. */
struct tokens {
    uint64_t *chosen;
    uint64_t n_tokens;
    uint32_t n_layers, n_experts, n_words;
    double per_choice; /* experts that a token chooses in a layer */
};

static const uint64_t *chosen(const struct tokens *t, uint64_t token, uint32_t layer)
{
    return t->chosen + (token * t->n_layers + layer) * t->n_words;
}

static bool read_tokens(const struct route_trace *trace, struct tokens *t)
{
    *t = (struct tokens){.n_layers = trace->n_layers,
                         .n_experts = trace->n_experts,
                         .n_words = trace->n_experts / 64 + 1};
    for (uint64_t i = 0; i < trace->n_lines; i++)
        t->n_tokens += i == 0 || trace->lines[i].pass != trace->lines[i - 1].pass;
    t->chosen = calloc(t->n_tokens * t->n_layers * t->n_words + 1, sizeof *t->chosen);
    uint64_t token = 0, full = 0, all = 0;
    for (uint64_t i = 0; t->chosen && i < trace->n_lines; i++) {
        const struct route_line *line = &trace->lines[i];
        token += i > 0 && line->pass != trace->lines[i - 1].pass;
        uint64_t *bits = t->chosen + (token * t->n_layers + line->layer) * t->n_words;
        for (uint64_t k = line->first; k < line->first + line->n; k++) {
            uint32_t expert = trace->accesses[k] % trace->n_experts;
            bits[expert / 64] |= UINT64_C(1) << expert % 64;
        }
        full += line->n > 0;
        all += line->n;
    }
    t->per_choice = full > 0 ? (double)all / (double)full : 0;
    return t->chosen != NULL;
}

/* ---- miss ratios ---- */

static void miss_table(const struct miss_ratios *m, const struct route_trace *trace, FILE *data)
{
    fprintf(data, "# policy slots share_of_experts miss_ratio bytes_ratio\n");
    for (size_t i = 0; i < m->n; i++) {
        const struct miss_ratio *r = &m->list[i];
        fprintf(data, "\"%s\" %" PRIu32 " %.6g %.6g %.6g\n", r->policy, r->slots,
                (double)r->slots / trace->n_objects, r->misses, r->bytes);
    }
}

/* ---- popularity ---- */

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static bool popularity_table(const struct route_trace *trace, FILE *data)
{
    const uint32_t n = trace->n_experts;
    double *uses = calloc((size_t)trace->n_layers * n, sizeof *uses);
    for (uint64_t i = 0; uses && i < trace->length; i++)
        uses[trace->accesses[i]]++;
    fprintf(data, "# layer rank times_the_even_share\n");
    for (uint32_t layer = 0; uses && layer < trace->n_layers; layer++) {
        double *row = uses + (size_t)layer * n, sum = 0;
        qsort(row, n, sizeof *row, descending);
        for (uint32_t i = 0; i < n; i++)
            sum += row[i];
        for (uint32_t i = 0; sum > 0 && i < n; i++)
            fprintf(data, "%" PRIu32 " %" PRIu32 " %.6g\n", layer, i + 1, row[i] / sum * n);
    }
    free(uses);
    return uses != NULL;
}

/* ---- reuse ---- */

static bool reuse_table(const struct tokens *t, FILE *data)
{
    const size_t objects = (size_t)t->n_layers * t->n_experts;
    uint64_t *last = calloc(objects, sizeof *last), *gaps = calloc(MOST_GAP + 1, sizeof *gaps);
    uint64_t all = 0, sum = 0;
    for (uint64_t token = 0; last && gaps && token < t->n_tokens; token++)
        for (uint32_t layer = 0; layer < t->n_layers; layer++)
            for (uint32_t e = 0; e < t->n_experts; e++) {
                uint64_t *before = &last[(size_t)layer * t->n_experts + e];
                if (!(chosen(t, token, layer)[e / 64] >> e % 64 & 1))
                    continue;
                uint64_t gap = token + 1 - *before;
                if (*before > 0 && gap <= MOST_GAP)
                    gaps[gap]++;
                *before = token + 1;
                all++;
            }
    double even = t->per_choice / t->n_experts;
    fprintf(data, "# tokens share_of_choices share_of_even_choices\n");
    for (uint64_t gap = 1, next = 1; last && gaps && gap <= MOST_GAP && gap < t->n_tokens; gap++) {
        sum += gaps[gap];
        if (gap < next)
            continue;
        fprintf(data, "%" PRIu64 " %.6g %.6g\n", gap, (double)sum / (double)(all ? all : 1),
                1 - pow(1 - even, (double)gap));
        next = gap < 8 ? gap + 1 : gap + gap / 8;
    }
    bool ok = last && gaps;
    free(last);
    free(gaps);
    return ok;
}

/* ---- unions ---- */

static uint32_t count_union(const struct tokens *t, const uint64_t *tokens, uint32_t n,
                            uint32_t layer)
{
    uint32_t count = 0;
    for (uint32_t word = 0; word < t->n_words; word++) {
        uint64_t bits = 0;
        for (uint32_t i = 0; i < n; i++)
            bits |= chosen(t, tokens[i], layer)[word];
        count += (uint32_t)__builtin_popcountll(bits);
    }
    return count;
}

/* Mean over draws and layers that have experts of what n tokens need; in a row, or anywhere. */
static double mean_union(const struct tokens *t, uint32_t n, bool in_a_row, struct lb_random *r)
{
    uint64_t tokens[MOST_TOGETHER];
    double sum = 0, counted = 0;
    for (int draw = 0; draw < DRAWS; draw++) {
        uint64_t first = lb_random_next(r) % (t->n_tokens - n + 1);
        for (uint32_t i = 0; i < n; i++)
            tokens[i] = in_a_row ? first + i : lb_random_next(r) % t->n_tokens;
        for (uint32_t layer = 0; layer < t->n_layers; layer++) {
            uint32_t needs = count_union(t, tokens, n, layer);
            sum += needs;
            counted += needs > 0;
        }
    }
    return counted > 0 ? sum / counted : 0;
}

static void union_table(const struct tokens *t, FILE *data)
{
    struct lb_random r = {1};
    fprintf(data, "# tokens in_a_row apart even all_different\n");
    for (uint32_t n = 1; n <= MOST_TOGETHER && n <= t->n_tokens; n *= 2)
        fprintf(data, "%" PRIu32 " %.6g %.6g %.6g %.6g\n", n, mean_union(t, n, true, &r),
                mean_union(t, n, false, &r),
                t->n_experts * (1 - pow(1 - t->per_choice / t->n_experts, n)), n * t->per_choice);
}

/* ---- all of them ---- */

enum { MISSES, POPULARITY, REUSE, UNIONS, N_TABLES };

static enum lb_status make_tables(const struct route_trace *trace, const struct miss_ratios *m,
                                  char *text[N_TABLES], struct lb_error *err)
{
    struct tokens tokens;
    size_t length;
    bool ok = read_tokens(trace, &tokens);
    for (int i = 0; i < N_TABLES && ok; i++) {
        FILE *data = open_memstream(&text[i], &length);
        ok = data != NULL;
        if (ok && i == MISSES)
            miss_table(m, trace, data);
        else if (ok && i == POPULARITY)
            ok = popularity_table(trace, data);
        else if (ok && i == REUSE)
            ok = reuse_table(&tokens, data);
        else if (ok)
            union_table(&tokens, data);
        ok = data && fclose(data) == 0 && ok;
    }
    free(tokens.chosen);
    return ok ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "figures of a trace: out of memory");
}

enum lb_status route_plots(const char *path, const struct plot_options *options,
                           struct plotted *plotted, struct lb_error *err)
{
    static const char *const names[N_TABLES] = {"expert-miss-ratio", "expert-popularity",
                                                "expert-reuse", "expert-union"};
    struct route_trace trace;
    struct miss_ratios misses = {.list = NULL};
    char *text[N_TABLES] = {NULL}, settings[128], note[128];
    struct plot_table tables[N_TABLES];
    *plotted = (struct plotted){.dir = NULL};
    enum lb_status status = route_trace_read(path, NULL, &trace, err);
    if (status == LB_OK)
        status = miss_ratios_count(&trace, 0, &misses, err);
    if (status == LB_OK)
        status = make_tables(&trace, &misses, text, err);
    snprintf(settings, sizeof settings, "demand = %" PRIu32 "\nsizes = %d", trace.largest_demand,
             trace.bytes != NULL);
    snprintf(note, sizeof note,
             "%" PRIu64 " choices of %" PRIu32 " experts in %" PRIu32 " layers; %s", trace.length,
             trace.n_objects, trace.n_layers, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    for (int i = 0; i < N_TABLES; i++)
        tables[i] = (struct plot_table){.name = names[i],
                                        .data = text[i],
                                        .note = note,
                                        .settings = i == MISSES ? settings : ""};
    if (status == LB_OK)
        status = plot_tables(tables, N_TABLES, options, plotted, err);
    for (int i = 0; i < N_TABLES; i++)
        free(text[i]);
    miss_ratios_free(&misses);
    route_trace_free(&trace);
    return status;
}
