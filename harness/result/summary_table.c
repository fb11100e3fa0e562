/* summary_table: see summary_table.h. */
#include "result/summary_table.h"

#include "common/amounts.h"
#include "common/json_text.h"
#include "result/summary_usage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const summary_formats[] = {"csv", "json", "jsonl", "md", "sql", NULL};

/* ---- columns ---- */

/* One cell; figures that the summary has not got as they are wanted. */
struct row {
    struct summary s;
    struct summary_prediction predicted;
    double relative, reference, n, failed, invalid;
    struct summary_usage usage;
};

enum {
    ZERO_IS_NONE = 1,
    OF_PREDICTIONS = 2,
    COUNT = 4 /* there without a sample too */,
    OF_PROGRAMS = 8
};

struct column {
    const char *name, *unit, *about;
    size_t offset; /* of a double in struct row */
    unsigned flags;
};

#define ROW(field)       offsetof(struct row, field)
#define S(field)         offsetof(struct row, s.field)
#define USAGE(field)     offsetof(struct row, usage.field)
#define PREDICTED(field) offsetof(struct row, predicted.field)

static const struct column columns[] = {
    {"reference", "0 or 1", "a resident cell that was added for the floors", ROW(reference), COUNT},
    {"n", "samples", "measured well", ROW(n), COUNT},
    {"failed", "samples", "without figures", ROW(failed), COUNT},
    {"invalid", "samples", "with a broken identity", ROW(invalid), COUNT},
    {"pass_ns", "ns", "median over the samples of their mean decode pass", S(pass_ns), 0},
    {"pass_mean_ns", "ns", "mean of the samples' pass times", S(pass.mean), 0},
    {"pass_sd_ns", "ns", "their standard deviation", S(pass.sd), 0},
    {"pass_min_ns", "ns", "the least", S(pass.min), 0},
    {"pass_max_ns", "ns", "the most", S(pass.max), 0},
    {"prefill_ns", "ns a sample", "computing the prompt", S(prefill_ns), 0},
    {"ttft_ns", "ns a sample", "from before the model is opened to the first token", S(ttft_ns), 0},
    {"tokens_per_second", "1/s", "of the decode passes, all sequences", S(tokens_per_s), 0},
    {"floor_ns", "ns a pass", "the least time a pass can take", S(floor.ns), ZERO_IS_NONE},
    {"share_of_floor", "share", "floor / pass; above 1 where the floor is wrong", S(share_of_floor),
     ZERO_IS_NONE},
    {"relative", "ratio",
     "time of a token over that of the fastest cell that streams and has the same task (prompt, "
     "tokens, device, page cache, memory limit)",
     ROW(relative), 0},
    {"hit", "accesses a pass", "in the cache since an earlier pass", S(outcomes[LB_HIT]), 0},
    {"prefetched", "accesses a pass", "brought by prefetch, there when needed",
     S(outcomes[LB_PREFETCHED]), 0},
    {"late", "accesses a pass", "the prefetch was still in flight", S(outcomes[LB_LATE]), 0},
    {"miss", "accesses a pass", "loaded on demand", S(outcomes[LB_MISS]), 0},
    {"wasted", "units a pass", "prefetched and evicted unused", S(wasted), 0},
    {"wait_ns", "ns a pass", "the computation stood still for layers", S(wait_ns), 0},
    {"compute_ns", "ns a pass", "computing", S(compute_ns), 0},
    {"other_ns", "ns a pass", "the rest of a pass", S(other_ns), 0},
    {"bytes_read", "bytes a pass", "from storage", S(bytes_read), 0},
    {"cached_wait_ns", "ns an access", "mean wait of hits and prefetched", S(cached_ns), 0},
    {"uncached_wait_ns", "ns an access", "mean wait of late and missed ones", S(uncached_ns), 0},
    {"c_over_t", "ratio", "computing a pass over loading all layers", S(c_over_t), ZERO_IS_NONE},
    {"peak_rss_bytes", "bytes", "most memory of the process", S(peak_rss_bytes), 0},
    {"pass_low_ns", "ns", "interval of pass_ns: its lower end", S(estimate.low), 0},
    {"pass_high_ns", "ns", "and its upper end", S(estimate.high), 0},
    {"pass_cv", "share", "standard deviation over mean of the samples' pass times", S(pass.cv), 0},
    {"pass_p90_ns", "ns", "their 90th percentile, only where there are enough", S(pass.p90), 0},
    {"pass_p99_ns", "ns", "their 99th percentile, only where there are enough", S(pass.p99), 0},
    {"outliers", "samples", "flagged, never removed", S(outliers), 0},
    {"drift", "share", "last third of the samples over the first, less 1", S(pass.drift), 0},
    {"bandwidth_used", "bytes/s", "bytes_read over pass_ns", S(bandwidth_used), 0},
    {"bandwidth_raw", "bytes/s", "that the floor rests on", S(floor.bandwidth), ZERO_IS_NONE},
    {"demand_bytes", "bytes a pass",
     "of mixtures of experts, empty elsewhere: weights that a pass needs, of experts and all else",
     S(experts.demand_bytes), 0},
    {"expert_hit_rate", "share",
     "of the experts that a layer's router chose, those in the cache since an earlier pass; empty "
     "where a layer is one unit",
     S(experts.hit_rate), 0},
    {"expert_hit_rate_bytes", "share", "the same by their weights", S(experts.hit_rate_bytes), 0},
    {"experts_per_token", "experts",
     "that a layer needs, divided by the tokens of the pass: falls as tokens of a batch share "
     "experts",
     S(experts.per_token), 0},
    {"tokens_per_expert", "tokens", "of a pass that one needed expert serves", S(experts.tokens),
     0},
    {"tokens_a_pass", "tokens", "that a decode pass gave, all sequences", S(tokens_a_pass), 0},
    {"token_ns", "ns a token", "passes and drafting over their tokens", S(token_ns), 0},
    {"token_floor_ns", "ns a token", "the floor of a pass over its tokens", S(token_floor_ns),
     ZERO_IS_NONE},
    {"token_bytes", "bytes a token", "bytes_read over the tokens of a pass", S(token_bytes), 0},
    {"drafted", "tokens a pass", "guessed and checked", S(drafted), 0},
    {"drafts_kept", "tokens a pass", "of these kept", S(drafts_kept), 0},
    {"draft_ns", "ns a pass", "guessing them", S(draft_ns), 0},
    {"precision", "share",
     "of the experts guessed of the next layer, those chosen; this and what follows only in "
     "summaries of runs that predict",
     PREDICTED(precision), OF_PREDICTIONS},
    {"recall", "share", "of the experts chosen, those guessed", PREDICTED(recall), OF_PREDICTIONS},
    {"foreseen", "share", "of the misses, those guessed at any depth", PREDICTED(foreseen),
     OF_PREDICTIONS},
    {"foreseen_ns", "ns", "mean time before the router chose", PREDICTED(lead_ns), OF_PREDICTIONS},
    {"predict_misses", "units a pass", "chosen and not there since an earlier pass",
     PREDICTED(misses), OF_PREDICTIONS},
    {"predict_loads", "units a pass", "begun for a guess alone", PREDICTED(loads), OF_PREDICTIONS},
    {"predict_vain", "units a pass", "of these not needed", PREDICTED(vain), OF_PREDICTIONS},
    {"process_wall_ns", "ns a sample",
     "the whole process from outside; this and what follows only in summaries of scenarios with "
     "other programs, for each number that one prints with a column printed_NAME after them",
     USAGE(wall_ns), OF_PROGRAMS},
    {"process_cpu_ns", "ns a sample", "its processor time", USAGE(cpu_ns), OF_PROGRAMS},
    {"process_bytes_read", "bytes a sample", "from storage", USAGE(bytes_read), OF_PROGRAMS},
    {"process_major_faults", "faults a sample", "pages that were not there", USAGE(major_faults),
     OF_PROGRAMS},
    {"process_peak_rss_bytes", "bytes", "its most memory", USAGE(peak_rss_bytes), OF_PROGRAMS},
};
#define N_COLUMNS (sizeof columns / sizeof *columns)

/* NAN: none. */
static double figure(const struct row *row, const struct column *c)
{
    double value = *(const double *)(const void *)((const char *)row + c->offset);
    bool none = (row->n == 0 && !(c->flags & COUNT)) || ((c->flags & ZERO_IS_NONE) && value <= 0);
    return none || !isfinite(value) ? NAN : value;
}

/* ---- options ---- */

/* The number that the option's text is; NAN: none. */
static double number_of(const struct option *o, const char *text)
{
    uint64_t whole;
    double real;
    if (option_is_size(o))
        return amount_parse_size(text, &whole) ? (double)whole : NAN;
    bool number = o->kind == OPTION_COUNT || o->kind == OPTION_COUNT64 || o->kind == OPTION_REAL;
    return number && amount_parse_real(text, &real) ? real : NAN;
}

/* An option of numbers, whatever the result; one of several words is none. */
static bool is_number_kind(const struct option *o)
{
    return (option_is_size(o) || o->kind == OPTION_COUNT || o->kind == OPTION_COUNT64 ||
            o->kind == OPTION_REAL) &&
           !(o->words && o->words[1]);
}

/* Of a result: whether the column is of numbers, but for what added cells have in it. */
static bool is_numeric(const struct results *r, const struct option *o)
{
    char text[OPTION_LONGEST];
    bool numeric = false;
    for (size_t i = 0; i < r->matrix->count; i++) {
        const struct peer *peer = r->matrix->cells[i].peer;
        if (r->matrix->cells[i].reference || (peer && !peer_uses(peer, o->name)))
            continue;
        option_format(o, &r->matrix->cells[i].settings, text, sizeof text);
        if (isnan(number_of(o, text)))
            return false;
        numeric = true;
    }
    return numeric;
}

/* ---- rows ---- */

struct table {
    const struct results *r;
    const struct option **options;
    bool *numeric;
    size_t n_options;
    struct summary *summaries; /* of cells */
    double *relative;
    bool scenario, predictions, programs; /* columns */
    json_t *printed;                      /* by other programs: names; or NULL */
    const char *format;
    FILE *out;
    bool first; /* field of its row */
};

static void row_of(const struct table *t, uint32_t i, struct row *row)
{
    const struct results *r = t->r;
    struct summary s = t->summaries[i];
    *row = (struct row){.s = s,
                        .relative = t->relative[i],
                        .predicted = {NAN, NAN, NAN, NAN, NAN, NAN, NAN},
                        .reference = r->matrix->cells[i].reference,
                        .n = (double)s.n,
                        .failed = (double)s.n_failed,
                        .invalid = (double)s.n_broken,
                        .usage = summary_usage(&r->by_cell[i])};
    (void)summary_prediction(&r->by_cell[i], 1, &row->predicted);
}

static bool is(const struct table *t, const char *format)
{
    return strcmp(t->format, format) == 0;
}

static void quote(const struct table *t, const char *text, char mark)
{
    fputc(mark, t->out);
    for (; *text; text++) {
        if (*text == mark)
            fputc(mark, t->out);
        fputc(*text, t->out);
    }
    fputc(mark, t->out);
}

static void json_quote(const struct table *t, const char *text)
{
    json_t *value = json_text(text);
    char *dumped = json_dumps(value, JSON_ENCODE_ANY);
    fputs(dumped ? dumped : "null", t->out);
    free(dumped);
    json_decref(value);
}

static void begin_field(struct table *t, const char *name)
{
    bool json = is(t, "json") || is(t, "jsonl");
    if (!t->first)
        fputs(json ? ", " : ",", t->out);
    t->first = false;
    if (json)
        fprintf(t->out, "\"%s\": ", name);
}

static void put_text(struct table *t, const char *name, const char *text)
{
    begin_field(t, name);
    if (is(t, "csv"))
        quote(t, text, '"');
    else if (is(t, "sql"))
        quote(t, text, '\'');
    else
        json_quote(t, text);
}

static void put_number(struct table *t, const char *name, double value)
{
    begin_field(t, name);
    if (!isnan(value))
        fprintf(t->out, "%.10g", value);
    else if (!is(t, "csv"))
        fputs(is(t, "sql") ? "NULL" : "null", t->out);
}

static bool is_shown(const struct table *t, const struct column *c)
{
    return (t->predictions || !(c->flags & OF_PREDICTIONS)) &&
           (t->programs || !(c->flags & OF_PROGRAMS));
}

static void put_row(struct table *t, uint32_t i)
{
    const struct cell *cell = &t->r->matrix->cells[i];
    struct row row;
    char text[OPTION_LONGEST];
    row_of(t, i, &row);
    t->first = true;
    if (t->scenario)
        put_text(t, "scenario", t->r->scenario->name);
    put_text(t, "cell", cell->name);
    for (size_t k = 0; k < t->n_options; k++) {
        const struct option *o = t->options[k];
        option_format(o, &cell->settings, text, sizeof text);
        if (cell->peer && !peer_uses(cell->peer, o->name))
            *text = '\0';
        double number = number_of(o, text);
        bool json = is(t, "json") || is(t, "jsonl"); /* has values of both kinds */
        if (json ? !isnan(number) : t->numeric[k])
            put_number(t, o->name, number);
        else
            put_text(t, o->name, text);
    }
    for (size_t k = 0; k < N_COLUMNS; k++)
        if (is_shown(t, &columns[k]))
            put_number(t, columns[k].name, figure(&row, &columns[k]));
    const char *name;
    json_t *unused;
    json_object_foreach(t->printed, name, unused)
        put_number(t, name, summary_usage_printed(&t->r->by_cell[i], name));
}

/* The names, as the head of CSV or the columns of SQL. */
static void put_names(const struct table *t)
{
    bool sql = is(t, "sql");
    const char *text = sql ? " TEXT" : "", *number = sql ? " REAL" : "";
    if (t->scenario)
        fprintf(t->out, "scenario%s,", text);
    fprintf(t->out, "cell%s", text);
    for (size_t k = 0; k < t->n_options; k++)
        fprintf(t->out, ",%s%s", t->options[k]->name, t->numeric[k] ? number : text);
    for (size_t k = 0; k < N_COLUMNS; k++)
        if (is_shown(t, &columns[k]))
            fprintf(t->out, ",%s%s", columns[k].name, number);
    const char *name;
    json_t *unused;
    json_object_foreach(t->printed, name, unused) fprintf(t->out, ",printed_%s", name);
}

static void put_head(const struct table *t)
{
    bool csv = is(t, "csv"), sql = is(t, "sql");
    if (sql)
        fputs("CREATE TABLE IF NOT EXISTS layerbench (", t->out);
    if (csv || sql)
        put_names(t);
    fputs(csv ? "\n" : sql ? ");\n" : is(t, "json") ? "[" : "", t->out);
}

static void put_rows(struct table *t, bool first)
{
    bool json = is(t, "json"), jsonl = is(t, "jsonl"), sql = is(t, "sql");
    for (uint32_t i = 0; i < t->r->matrix->count; i++, first = false) {
        if (json)
            fputs(first ? "\n {" : ",\n {", t->out);
        else
            fputs(jsonl ? "{" : sql ? "INSERT INTO layerbench VALUES (" : "", t->out);
        put_row(t, i);
        fputs(json ? "}" : jsonl ? "}\n" : sql ? ");\n" : "\n", t->out);
    }
}

static bool prepare(struct table *t, size_t n)
{
    t->options = calloc(n + 1, sizeof *t->options);
    t->numeric = calloc(n + 1, sizeof *t->numeric);
    t->summaries = results_summaries(t->r);
    t->relative = t->summaries ? results_relative(t->r, t->summaries) : NULL;
    return t->options && t->numeric && t->relative;
}

static void release(struct table *t)
{
    free(t->options);
    free(t->numeric);
    json_decref(t->printed);
    free(t->summaries);
    free(t->relative);
}

void summary_print_csv(const struct results *r, FILE *out)
{
    struct table t = {.r = r,
                      .predictions = results_predicts(r),
                      .programs = r->scenario->n_peers > 0,
                      .printed = summary_usage_names(r),
                      .format = "csv",
                      .out = out};
    if (prepare(&t, r->scenario->n_axes)) {
        for (size_t a = 0; a < r->scenario->n_axes; a++) {
            t.numeric[t.n_options] = is_numeric(r, r->scenario->axes[a].option);
            t.options[t.n_options++] = r->scenario->axes[a].option;
        }
        put_head(&t);
        put_rows(&t, true);
    }
    release(&t);
}

void summary_print_rows(const struct results *r, const char *format, bool first, FILE *out)
{
    struct table t = {.r = r,
                      .scenario = true,
                      .predictions = true,
                      .programs = true,
                      .format = format,
                      .out = out};
    size_t count;
    const struct option *all = options_table(&count);
    if (prepare(&t, count)) {
        for (size_t k = 0; k < count; k++) {
            if (all[k].flags & OPTION_HIDDEN)
                continue;
            t.numeric[t.n_options] = is_number_kind(&all[k]);
            t.options[t.n_options++] = &all[k];
        }
        if (first)
            put_head(&t);
        put_rows(&t, first);
    }
    release(&t);
}

void summary_end_rows(const char *format, bool any, FILE *out)
{
    if (strcmp(format, "json") == 0)
        fputs(any ? "\n]\n" : "[]\n", out);
}

void summary_print_columns(FILE *out)
{
    fputs("| column | unit | meaning |\n|---|---|---|\n"
          "| `cell` | | its name: the options that vary |\n"
          "| the options that vary | as in scenarios/README.md, sizes in bytes | numbers where all "
          "cells measured have one, else texts |\n",
          out);
    for (size_t k = 0; k < N_COLUMNS; k++)
        fprintf(out, "| `%s` | %s | %s |\n", columns[k].name, columns[k].unit, columns[k].about);
}
