/* summary_text: see summary_text.h. */
#include "result/summary_text.h"

#include "common/amounts.h"
#include "common/json_text.h"
#include "common/terminal.h"
#include "common/text_table.h"
#include "result/summary_usage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- pieces ---- */

static const char *duration(double ns, char *text, size_t size)
{
    if (isnan(ns) || ns < 0)
        snprintf(text, size, "-");
    else
        amount_human_duration(ns, text, size);
    return text;
}

static const char *why_no_figures(const struct results *r, uint32_t i)
{
    const char *failed = summary_failed(&r->by_cell[i]);
    return r->matrix->cells[i].skipped ? r->matrix->cells[i].skipped
           : failed                    ? failed
                                       : "not measured yet";
}

/* "3.1 / 13.5 / 0.4 / 0": whole numbers without a point. */
static const char *outcomes(const struct summary *s, char *text, size_t size)
{
    const double *values = s->outcomes;
    size_t n = 0;
    snprintf(text, size, "%s", isnan(s->outcomes[LB_HIT]) ? "-" : "");
    for (size_t i = 0; !isnan(s->outcomes[LB_HIT]) && i < 4 && n < size; i++) {
        bool whole = fabs(values[i] - round(values[i])) < 0.05;
        n += (size_t)snprintf(text + n, size - n, "%s%.*f", i ? " / " : "", whole ? 0 : 1,
                              values[i]);
    }
    return text;
}

/* Of all cells. */
struct figures {
    struct summary *summaries;
    double *relative;
};

static bool figures_of(const struct results *r, struct figures *f)
{
    f->summaries = results_summaries(r);
    f->relative = f->summaries ? results_relative(r, f->summaries) : NULL;
    return f->relative != NULL;
}

static void figures_free(struct figures *f)
{
    free(f->summaries);
    free(f->relative);
}

/* The texts of one row; what the table and Markdown share. */
enum {
    PASS,
    INTERVAL,
    RELATIVE,
    FLOOR,
    SHARE,
    OUTCOMES,
    WAIT,
    BYTES,
    TOKENS,
    RATIO,
    USUAL, /* columns; those that follow are of mixtures of experts */
    DEMAND = USUAL,
    HITS,
    HITS_BYTES,
    PER_TOKEN,
    PER_EXPERT,
    COLUMNS
};
static const char *const titles[COLUMNS] = {
    "pass",     "interval",      "relative",     "floor", "share of floor", "hit/pref/late/miss",
    "wait",     "bytes",         "tok/s",        "c/t",   "demand",         "expert hits",
    "of bytes", "experts/token", "tokens/expert"};

static int columns_of(const struct results *r, const struct figures *f)
{
    for (uint32_t i = 0; i < r->matrix->count; i++)
        if (!isnan(f->summaries[i].experts.per_token) && f->summaries[i].n > 0)
            return COLUMNS;
    return USUAL;
}

static void expert_texts(const struct sample_experts *e, char texts[COLUMNS][64])
{
    const size_t size = sizeof texts[0];
    for (int k = DEMAND; k < COLUMNS; k++)
        snprintf(texts[k], size, "-");
    if (!isnan(e->demand_bytes))
        amount_human_size(e->demand_bytes, texts[DEMAND], size);
    if (!isnan(e->hit_rate)) {
        snprintf(texts[HITS], size, "%.1f%%", 100 * e->hit_rate);
        snprintf(texts[HITS_BYTES], size, "%.1f%%", 100 * e->hit_rate_bytes);
    }
    if (!isnan(e->per_token)) {
        snprintf(texts[PER_TOKEN], size, "%.3g", e->per_token);
        snprintf(texts[PER_EXPERT], size, "%.3g", e->tokens);
    }
}

static void row_texts(const struct summary *s, double relative, char texts[COLUMNS][64])
{
    char low[24], high[24];
    size_t size = sizeof texts[0];
    duration(s->pass_ns, texts[PASS], size);
    if (s->estimate.n < 2)
        snprintf(texts[INTERVAL], size, "-");
    else
        snprintf(texts[INTERVAL], size, "%s - %s", duration(s->estimate.low, low, sizeof low),
                 duration(s->estimate.high, high, sizeof high));
    if (isnan(relative))
        snprintf(texts[RELATIVE], size, "-");
    else
        snprintf(texts[RELATIVE], size, "%.2f", relative);
    duration(s->floor.ns > 0 ? s->floor.ns : NAN, texts[FLOOR], size);
    if (s->share_of_floor > 0)
        snprintf(texts[SHARE], size, "%.2f%s", s->share_of_floor,
                 floor_is_wrong(&s->floor, s->pass_ns) ? "?" : "");
    else
        snprintf(texts[SHARE], size, "-");
    outcomes(s, texts[OUTCOMES], size);
    duration(s->wait_ns, texts[WAIT], size);
    if (isnan(s->bytes_read))
        snprintf(texts[BYTES], size, "-");
    else
        amount_human_size(s->bytes_read, texts[BYTES], size);
    snprintf(texts[TOKENS], size, s->tokens_per_s < 1000 ? "%.3g" : "%.0f", s->tokens_per_s);
    if (s->c_over_t > 0)
        snprintf(texts[RATIO], size, "%.2g", s->c_over_t);
    else
        snprintf(texts[RATIO], size, "-");
    expert_texts(&s->experts, texts);
}

/* ---- the cell in columns: one for each option that differs between cells ---- */

enum { MAX_LEADS = 16 };
struct leads {
    const struct option *options[MAX_LEADS];
    size_t count;
};

/* Column k of the cell. Streaming options say nothing about a reference cell: "-". The first column
 * says "resident", beside the option's value where that tells; under the option `resident`, which
 * is what of the layers stays, "all". */
static const char *lead_text(const struct cell *cell, const struct leads *leads, size_t k,
                             char *text, size_t size)
{
    const struct option *o = leads->options[k];
    char value[OPTION_LONGEST] = "";
    bool tells = (!cell->reference || !(o->flags & OPTION_STREAMING)) &&
                 (!cell->peer || peer_uses(cell->peer, o->name));
    if (tells)
        option_format(o, &cell->settings, value, sizeof value);
    if (cell->reference && k == 0)
        snprintf(text, size, "%s%s%s", value, *value ? " " : "",
                 strcmp(o->name, "resident") == 0 ? "all" : "resident");
    else
        snprintf(text, size, "%s", tells ? value : "-");
    return text;
}

static bool varies(const struct results *r, const struct option *o)
{
    char first[OPTION_LONGEST], text[OPTION_LONGEST];
    for (size_t i = 0; i < r->matrix->count; i++) {
        option_format(o, &r->matrix->cells[i].settings, i ? text : first, sizeof text);
        if (i > 0 && !r->matrix->cells[i].reference && strcmp(first, text) != 0)
            return true;
    }
    return false;
}

static struct leads leads_of(const struct results *r)
{
    struct leads leads = {.count = 0};
    for (size_t a = 0; a < r->scenario->n_axes && leads.count < MAX_LEADS; a++) {
        const struct option *o = r->scenario->axes[a].option;
        if (a > 0 && !varies(r, o))
            continue;
        leads.options[leads.count++] = o;
    }
    return leads;
}

/* ---- terminal ---- */

static const char *bar(double share, char *text, size_t size)
{
    enum { WIDTH = 10 };
    size_t n = 0;
    for (int i = 0; i < WIDTH && n + 4 < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s",
                              share * WIDTH >= i + 0.5 ? "\xe2\x96\x88" : "\xc2\xb7");
    return text;
}

/* Where each figure stands on a terminal, and which leave first where it is narrow. */
enum { BAR = COLUMNS, N = COLUMNS + 1 };
static const struct {
    int text, leaves;
} shown[] = {{N, 9},         {PASS, TEXT_TABLE_ALWAYS},
             {INTERVAL, 10}, {RELATIVE, 1},
             {FLOOR, 4},     {BAR, 13},
             {SHARE, 2},     {OUTCOMES, 11},
             {WAIT, 5},      {BYTES, 6},
             {TOKENS, 3},    {RATIO, 8},
             {DEMAND, 12},   {HITS, 7}};
#define N_SHOWN (sizeof shown / sizeof *shown)

static size_t choose_columns(const struct leads *leads, int last, struct text_column *columns,
                             int *texts)
{
    size_t n = 0;
    for (; n < leads->count; n++)
        columns[n] = (struct text_column){leads->options[n]->name, true, TEXT_TABLE_ALWAYS};
    for (size_t k = 0; k < N_SHOWN; k++) {
        int text = shown[k].text;
        if (text < COLUMNS && text >= last)
            continue;
        texts[n] = text;
        columns[n++] = (struct text_column){text == BAR ? ""
                                            : text == N ? "n"
                                                        : titles[text],
                                            false, shown[k].leaves};
    }
    return n;
}

static void put_figures(struct text_table *t, const struct results *r, uint32_t i,
                        const struct figures *f, size_t n_leads, const int *texts, bool colour)
{
    const struct summary *s = &f->summaries[i];
    char values[COLUMNS][64], drawn[64];
    const char *tint = !colour || s->foreign      ? ""
                       : s->share_of_floor >= 0.9 ? "\033[32m"
                       : s->share_of_floor >= 0.6 ? "\033[33m"
                                                  : "\033[31m";
    const char *plain = colour ? "\033[0m" : "";
    row_texts(s, f->relative[i], values);
    for (size_t k = n_leads; k < t->n_columns; k++) {
        if (texts[k] == N)
            text_table_put(t, i, k, "%zu", s->n);
        else if (texts[k] == BAR)
            text_table_put(t, i, k, "%s%s%s", tint, bar(s->share_of_floor, drawn, sizeof drawn),
                           plain);
        else if (texts[k] == SHARE)
            text_table_put(t, i, k, "%s%s%s", tint, values[SHARE], plain);
        else
            text_table_put(t, i, k, "%s", values[texts[k]]);
    }
    const char *broken = summary_broken(&r->by_cell[i]);
    if (s->n_failed > 0)
        text_table_say(t, i, "%zu failed: %s", s->n_failed, why_no_figures(r, i));
    if (broken)
        text_table_say(t, i, "INVALID: %s", broken);
}

static void print_cells(const struct results *r, const struct figures *f, int width, bool colour,
                        FILE *out)
{
    struct leads leads = leads_of(r);
    struct text_column columns[MAX_LEADS + N_SHOWN];
    int texts[MAX_LEADS + N_SHOWN];
    struct text_table t;
    size_t n = choose_columns(&leads, columns_of(r, f), columns, texts);
    if (text_table_open(&t, columns, n, r->matrix->count)) {
        for (uint32_t i = 0; i < r->matrix->count; i++) {
            char text[OPTION_LONGEST];
            for (size_t k = 0; k < leads.count; k++)
                text_table_put(&t, i, k, "%s",
                               lead_text(&r->matrix->cells[i], &leads, k, text, sizeof text));
            if (f->summaries[i].n > 0)
                put_figures(&t, r, i, f, leads.count, texts, colour);
            else
                text_table_say(&t, i, "%s", why_no_figures(r, i));
        }
        text_table_print(&t, width, "a wider terminal or summary.md shows them", out);
    }
    text_table_free(&t);
}

void summary_print_table(const struct results *r, FILE *out, bool colour)
{
    char routing[96];
    struct figures f;
    if (r->model.synthetic_routing)
        fprintf(out, "%s\n", model_routing_text(&r->model.routing, routing, sizeof routing));
    if (figures_of(r, &f))
        print_cells(r, &f, terminal_width(fileno(out)), colour, out);
    figures_free(&f);
    summary_usage_notes(r, out);
}

/* ---- Markdown ---- */

static void markdown_leads(const struct results *r, const struct leads *leads, uint32_t i,
                           FILE *out)
{
    char text[OPTION_LONGEST];
    fputc('|', out);
    for (size_t k = 0; k < leads->count; k++)
        fprintf(out, " %s |", lead_text(&r->matrix->cells[i], leads, k, text, sizeof text));
}

static void markdown_title(const struct leads *leads, const char *const *more, size_t count,
                           FILE *out)
{
    fputc('|', out);
    for (size_t k = 0; k < leads->count; k++)
        fprintf(out, " %s |", leads->options[k]->name);
    for (size_t k = 0; k < count; k++)
        fprintf(out, " %s |", more[k]);
    fputs("\n|", out);
    for (size_t k = 0; k < leads->count + count; k++)
        fputs("---|", out);
    fputc('\n', out);
}

static void print_figures(const struct results *r, const struct figures *f,
                          const struct leads *leads, FILE *out)
{
    const char *more[COLUMNS + 1] = {"n"};
    const int columns = columns_of(r, f);
    memcpy(more + 1, titles, sizeof titles);
    markdown_title(leads, more, (size_t)columns + 1, out);
    for (uint32_t i = 0; i < r->matrix->count; i++) {
        struct summary s = f->summaries[i];
        char t[COLUMNS][64];
        markdown_leads(r, leads, i, out);
        fprintf(out, " %zu%s |", s.n,
                summary_broken(&r->by_cell[i]) ? " **(invalid)**"
                : s.foreign                    ? " (not checked)"
                                               : "");
        if (s.n == 0) {
            fprintf(out, " %s |", why_no_figures(r, i));
            for (int k = 1; k < columns; k++)
                fputs(" |", out);
            fputc('\n', out);
            continue;
        }
        row_texts(&s, f->relative[i], t);
        for (int k = 0; k < columns; k++)
            fprintf(out, " %s |", t[k]);
        fputc('\n', out);
    }
}

void summary_print_markdown_table(const struct results *r, FILE *out)
{
    struct leads leads = leads_of(r);
    struct figures f;
    if (figures_of(r, &f))
        print_figures(r, &f, &leads, out);
    figures_free(&f);
}

/* The figures by which earlier work judged prefetching, beside the ones that tell. */
static void print_old_and_honest(const struct results *r, const struct figures *f,
                                 const struct leads *leads, FILE *out)
{
    static const char *const more[] = {"synchronous loads",
                                       "prefetch hits",
                                       "access, cached",
                                       "access, not cached",
                                       "late",
                                       "wait",
                                       "pass",
                                       "floor",
                                       "share of floor"};
    fputs("\n## The usual figures beside the honest ones\n\n"
          "Synchronous loads (what the computing thread reads itself: every load without a "
          "background thread, misses with one) and prefetch hits say how a layer came, not how "
          "long the computation stood still: that is wait, and what it could have been is the "
          "floor. All per decode pass; an access is the mean wait for one layer.\n\n",
          out);
    markdown_title(leads, more, sizeof more / sizeof *more, out);
    for (uint32_t i = 0; i < r->matrix->count; i++) {
        struct summary s = f->summaries[i];
        char cached[32], uncached[32], t[COLUMNS][64];
        if (s.n == 0 || r->matrix->cells[i].reference || s.foreign)
            continue;
        bool background = strcmp(r->matrix->cells[i].settings.engine.prefetch, "async") == 0;
        row_texts(&s, f->relative[i], t);
        markdown_leads(r, leads, i, out);
        fprintf(out, " %.1f | %.1f | %s | %s | %.1f | %s | %s | %s | %s |\n",
                background ? s.outcomes[LB_MISS]
                           : s.outcomes[LB_PREFETCHED] + s.outcomes[LB_LATE] + s.outcomes[LB_MISS],
                s.outcomes[LB_PREFETCHED], duration(s.cached_ns, cached, sizeof cached),
                duration(s.uncached_ns, uncached, sizeof uncached), s.outcomes[LB_LATE], t[WAIT],
                t[PASS], t[FLOOR], t[SHARE]);
    }
}

static bool has_drafts(const struct results *r, uint32_t i)
{
    return strcmp(r->matrix->cells[i].settings.engine.speculation.speculate, "off") != 0;
}

/* What drafts brought, where a cell makes them; the cells without beside them. */
static void print_drafts(const struct results *r, const struct figures *f,
                         const struct leads *leads, FILE *out)
{
    static const char *const more[] = {"tokens a pass", "token", "floor a token", "bytes a token",
                                       "drafted",       "kept",  "drafting",      "kept by place"};
    bool any = false;
    for (uint32_t i = 0; i < r->matrix->count; i++)
        any |= has_drafts(r, i);
    if (!any)
        return;
    fputs("\n## Several tokens a pass\n\n"
          "Tokens to come are guessed, and several checked in one pass; the text is the same. A "
          "token's time is passes and drafting over tokens, its floor that of a pass over the "
          "tokens it gives. Drafted, kept and drafting are per decode pass; by place: how often "
          "the first, second, ... token of a draft is kept once those before it are. Drafts of "
          "`speculate: replay` are told the text: no drafter, but what one of that acceptance "
          "would bring.\n\n",
          out);
    markdown_title(leads, more, sizeof more / sizeof *more, out);
    for (uint32_t i = 0; i < r->matrix->count; i++) {
        struct summary s = f->summaries[i];
        char token[32], least[32], bytes[32], drafting[32];
        if (s.n == 0 || r->matrix->cells[i].reference || s.foreign)
            continue;
        markdown_leads(r, leads, i, out);
        fprintf(out, " %.2f | %s | %s | %s | %.2f | %.2f | %s |", s.tokens_a_pass,
                duration(s.token_ns, token, sizeof token),
                duration(s.token_floor_ns > 0 ? s.token_floor_ns : NAN, least, sizeof least),
                amount_human_size(s.token_bytes, bytes, sizeof bytes), s.drafted, s.drafts_kept,
                duration(s.draft_ns, drafting, sizeof drafting));
        for (size_t k = 0; k < LB_DRAFT_MOST && !isnan(s.acceptance[k]); k++)
            fprintf(out, " %.2f", s.acceptance[k]);
        fputs(" |\n", out);
    }
}

static void share(double value, FILE *out)
{
    if (isfinite(value))
        fprintf(out, " %.3f |", value);
    else
        fputs(" - |", out);
}

/* Experts guessed before their router chose them; a row for each depth. */
static void print_predictions(const struct results *r, const struct leads *leads, FILE *out)
{
    static const char *const more[] = {"layers ahead",    "precision", "recall", "misses",
                                       "misses foreseen", "before",    "loads",  "in vain"};
    struct summary_prediction p;
    if (!results_predicts(r))
        return;
    fputs("\n## Predictions\n\n"
          "Precision: of what was guessed of a layer, the share that its router then chose; "
          "recall: of what it chose, the share that was guessed. Misses: what was chosen and not "
          "there since an earlier pass; of these foreseen: guessed at any depth, so long before "
          "the router chose. Loads begun for a guess alone, and those that were not needed. "
          "Per decode pass, in units.\n\n",
          out);
    markdown_title(leads, more, sizeof more / sizeof *more, out);
    for (uint32_t i = 0; i < r->matrix->count; i++)
        for (size_t depth = 1; summary_prediction(&r->by_cell[i], depth, &p); depth++) {
            char lead[32];
            markdown_leads(r, leads, i, out);
            fprintf(out, " %zu |", depth);
            share(p.precision, out);
            share(p.recall, out);
            if (depth > 1) {
                fputs(" | | | | |\n", out);
                continue;
            }
            fprintf(out, " %.1f |", p.misses);
            share(p.foreseen, out);
            fprintf(out, " %s | %.1f | %.1f |\n", duration(p.lead_ns, lead, sizeof lead), p.loads,
                    p.vain);
        }
}

static void print_notes(const char *title, const json_t *texts, FILE *out)
{
    size_t i;
    json_t *text;
    if (json_array_size(texts) == 0)
        return;
    fprintf(out, "\n## %s\n\n", title);
    json_array_foreach(texts, i, text) fprintf(out, "- %s\n", json_string_value(text));
}

void summary_print_markdown(const struct results *r, FILE *out)
{
    char model[32], layers[32], routing[96] = "";
    if (r->model.synthetic_routing)
        model_routing_text(&r->model.routing, routing, sizeof routing);
    fprintf(out, "# %s\n\n%s\n\n", r->scenario->name, r->scenario->about);
    fprintf(
        out,
        "Model %s (%s, %u layers of together %s); %u repetitions, seed %llu%s. Pass: median of "
        "the samples' mean decode pass. Interval: 95%% of that median by order statistics; below "
        "%d samples there is none: least to most. Relative: time of a token over that of the "
        "fastest that streams. "
        "Floor: the least time a pass can take, the "
        "larger of resident compute and (bytes that a pass needs - cache) / bandwidth, each the "
        "best that was seen in the run; a pass below it, marked ?, shows that it is wrong. Share "
        "of floor: floor over pass. "
        "Outcomes, wait and bytes are per decode pass.\n\n%s%s%s",
        r->model_path, amount_human_size((double)r->model.file_bytes, model, sizeof model),
        r->model.n_layers, amount_human_size((double)r->model.layer_bytes, layers, sizeof layers),
        r->repetitions, (unsigned long long)r->seed, r->complete ? "" : "; **not complete**",
        STATS_INTERVAL_NEEDS, *routing ? "The model has " : "", routing,
        *routing ? ": its weights are random, and made so.\n\n" : "");
    struct leads leads = leads_of(r);
    struct figures f;
    bool all = figures_of(r, &f);
    if (all && columns_of(r, &f) > USUAL)
        fputs("Demand: weights that a pass needs. Expert hits: share of the experts that a layer's "
              "router chose which the cache held since an earlier pass, in accesses and in bytes. "
              "Experts/token: experts that a layer needs, divided by the tokens of the pass; "
              "tokens/expert: how many of them one expert serves.\n\n",
              out);
    if (all) {
        print_figures(r, &f, &leads, out);
        print_old_and_honest(r, &f, &leads, out);
        print_drafts(r, &f, &leads, out);
    }
    figures_free(&f);
    print_predictions(r, &leads, out);
    summary_usage_markdown(r, out);
    print_notes("Warnings", r->warnings, out);
}
