/* gate_times: see gate_times.h. */
#include "gate/gate_times.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/processors.h"
#include "common/array.h"
#include "common/file_io.h"
#include "gate/gate_order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PILOT_BLOCKS = 5, IN_BLOCK = GATE_BLOCK / 2 /* samples of an arm */ };
enum { ANEW_MOST = 3 };

#define READ_BYTES ((size_t)256 << 20) /* larger than the caches */
#define READ_NS    5000000

struct measuring {
    const struct gate_times_plan *plan;
    struct gate_times *times;
    struct lb_random random;
    int64_t start_ns;
    uint32_t next_block;
    uint32_t done, expected; /* samples, for the progress bar */
    struct lb_pool *readers; /* of `memory`, where a cell is resident */
    uint8_t *memory;
};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "gate: out of memory");
}

/* ---- one sample ---- */

/* work: the hash of the tokens that this arm computes in this cell, "" before its first sample. */
static bool take_values(const struct gate_times_plan *plan, const struct gate_cell *cell,
                        const json_t *sample, char work[64], double *values, char failed[256])
{
    const char *hash = json_string_value(json_object_get(sample, "tokens_hash"));
    if (!hash || (*work && strcmp(work, hash) != 0)) {
        snprintf(failed, 256,
                 hash ? "tokens differ from sample to sample" : "the sample has no tokens_hash");
        return false;
    }
    snprintf(work, 64, "%s", hash);
    for (size_t i = 0; i < plan->n_metrics; i++) {
        values[i] = compare_metric_value(plan->metrics[i], sample, cell->batch);
        if (!isfinite(values[i])) {
            snprintf(failed, 256, "the sample has no %s", plan->metrics[i]->name);
            return false;
        }
    }
    return true;
}

/* *values: malloc; NULL when the cell failed (the reason is in times->failed). */
static enum lb_status measure_one(struct measuring *m, uint32_t cell, bool head, double **values,
                                  struct lb_error *err)
{
    const struct gate_times_plan *plan = m->plan;
    const struct gate_cell *c = &plan->cells[cell];
    json_t *sample;
    char why[256] = "";
    *values = calloc(plan->n_metrics + 1, sizeof **values);
    if (!*values)
        return no_memory(err);
    if (plan->progress)
        plan->progress(plan->progress_ctx, m->done, m->expected, c->name);
    enum lb_status status =
        gate_arm_measure(&plan->arms[head], c, plan->timeout_s, &sample, why, err);
    m->done++;
    if (status == LB_OK && sample)
        (void)take_values(plan, c, sample, m->times->work[cell][head], *values, why);
    json_decref(sample);
    if (status != LB_OK || *why) {
        snprintf(m->times->failed[cell], 256, "%s: %.240s", head ? "head" : "base", why);
        free(*values);
        *values = NULL;
    }
    return status;
}

static bool add_sample(struct gate_times *times, struct gate_time_sample sample)
{
    struct gate_time_sample *place = array_add(&times->samples, &times->n_samples, sizeof *place);
    if (place)
        *place = sample;
    return place;
}

/* ---- the memory ---- */

static bool is_resident(const struct gate_times_plan *plan, uint32_t cell)
{
    return !plan->arms[0].command &&
           strcmp(plan->cells[cell].settings->engine.prefetch, "resident") == 0;
}

static enum lb_status open_memory(struct measuring *m, struct lb_error *err)
{
    uint32_t n = 0;
    while (n < m->plan->n_cells && !is_resident(m->plan, n))
        n++;
    if (n == m->plan->n_cells)
        return LB_OK;
    m->memory = lb_map(READ_BYTES);
    if (!m->memory)
        return no_memory(err);
    memset(m->memory, 1, READ_BYTES);
    return lb_pool_open((int)lb_processors_usable(), &m->readers, err);
}

static void close_memory(struct measuring *m)
{
    lb_pool_close(m->readers);
    if (m->memory)
        lb_unmap(m->memory, READ_BYTES);
}

static bool add_memory(struct gate_times *times, struct gate_memory memory)
{
    struct gate_memory *place = array_add(&times->memory, &times->n_memory, sizeof *place);
    if (place)
        *place = memory;
    return place;
}

bool gate_times_memory(const struct gate_times *times, uint32_t cell, struct memory_rate *median)
{
    double *values = calloc(4 * times->n_memory + 1, sizeof *values);
    double *in_order = values, *in_streams = values + 2 * times->n_memory;
    size_t n = 0;
    for (size_t i = 0; values && i < 2 * times->n_memory; i++) {
        const struct gate_memory *memory = &times->memory[i / 2];
        if (memory->cell != cell)
            continue;
        in_order[n] = memory->rate[i % 2].in_order;
        in_streams[n++] = memory->rate[i % 2].in_streams;
    }
    if (n > 0)
        *median = (struct memory_rate){stats_median(in_order, n), stats_median(in_streams, n)};
    free(values);
    return n > 0;
}

/* ---- blocks ---- */

static enum lb_status measure_samples(struct measuring *m, uint32_t cell, uint32_t block,
                                      bool confirming, struct lb_error *err)
{
    bool head[GATE_BLOCK];
    gate_order_block(&m->random, head);
    for (int i = 0; i < GATE_BLOCK && !*m->times->failed[cell]; i++) {
        double *values;
        int64_t start = lb_now_ns() - m->start_ns;
        enum lb_status status = measure_one(m, cell, head[i], &values, err);
        if (status != LB_OK)
            return status;
        struct gate_time_sample sample = {.seq = (uint32_t)m->times->n_samples,
                                          .cell = cell,
                                          .block = block,
                                          .head = head[i],
                                          .confirming = confirming,
                                          .start_ns = start,
                                          .values = values};
        if (values && !add_sample(m->times, sample)) {
            free(values);
            return no_memory(err);
        }
    }
    return LB_OK;
}

static enum lb_status measure_block(struct measuring *m, uint32_t cell, bool confirming,
                                    struct lb_error *err)
{
    struct gate_memory memory = {.cell = cell, .block = m->next_block++};
    const bool resident = m->readers && is_resident(m->plan, cell);
    if (resident)
        memory.rate[0] = memory_rate_measure(m->readers, m->memory, READ_BYTES, READ_NS);
    enum lb_status status = measure_samples(m, cell, memory.block, confirming, err);
    if (status != LB_OK || !resident)
        return status;
    memory.rate[1] = memory_rate_measure(m->readers, m->memory, READ_BYTES, READ_NS);
    return add_memory(m->times, memory) ? LB_OK : no_memory(err);
}

/* Rounds of blocks until each cell has blocks[cell] more. */
static enum lb_status measure_blocks(struct measuring *m, const uint32_t *blocks, bool confirming,
                                     struct lb_error *err)
{
    size_t n_cells = m->plan->n_cells;
    uint32_t *order = calloc(n_cells + 1, sizeof *order), most = 0;
    enum lb_status status = order ? LB_OK : no_memory(err);
    for (size_t i = 0; i < n_cells; i++) {
        most = blocks[i] > most ? blocks[i] : most;
        m->expected += blocks[i] * GATE_BLOCK;
    }
    for (uint32_t round = 0; status == LB_OK && round < most; round++) {
        size_t n = 0;
        for (uint32_t i = 0; i < n_cells; i++)
            if (blocks[i] > round)
                order[n++] = i;
        gate_order_round(&m->random, order, n);
        for (size_t i = 0; i < n && status == LB_OK; i++)
            status = measure_block(m, order[i], confirming, err);
    }
    free(order);
    return status;
}

/* ---- how many? ---- */

/* The samples of a metric, as the rule takes them. *list: malloc; NULL: out of memory. */
static size_t samples_of(const struct gate_times *times, uint32_t cell, size_t metric,
                         bool confirming, struct gate_value **list)
{
    size_t n = 0;
    *list = malloc((times->n_samples + 1) * sizeof **list);
    for (size_t i = 0; *list && i < times->n_samples; i++) {
        const struct gate_time_sample *s = &times->samples[i];
        if (s->cell == cell && s->confirming == confirming && !s->set_aside)
            (*list)[n++] = (struct gate_value){s->values[metric], s->block, s->head};
    }
    return n;
}

static struct gate_metric describe(const struct measuring *m, uint32_t cell, size_t metric,
                                   const struct gate_value *samples, size_t n)
{
    const struct compare_metric *what = m->plan->metrics[metric];
    char(*work)[64] = m->times->work[cell];
    return (struct gate_metric){.name = what->name,
                                .higher_is_better = what->higher_is_better,
                                .unit = {what->unit, what->unit},
                                .work = {work[0], work[1]},
                                .machine = {m->plan->machine[0], m->plan->machine[1]},
                                .samples = samples,
                                .n = n};
}

/* The noise of a cell, that of its noisiest metric, and *too_noisy where that lets a metric not be
 * judged (NULL: not asked for). false: out of memory. */
static bool noise_of(const struct measuring *m, uint32_t cell, bool confirming, double *cv,
                     bool *too_noisy)
{
    struct gate_rule rule = m->plan->rule;
    if (!too_noisy)
        rule.rounds = 1; /* the interval is not asked for */
    *cv = 0;
    for (size_t k = 0; k < m->plan->n_metrics; k++) {
        struct gate_value *list;
        struct gate_result result;
        size_t n = samples_of(m->times, cell, k, confirming, &list);
        struct gate_metric metric = describe(m, cell, k, list, n);
        bool good = list && gate_decide(&rule, &metric, 1, &result);
        free(list);
        if (!good)
            return false;
        *cv = result.cv > *cv ? result.cv : *cv; /* NaN is not greater */
        if (too_noisy && result.cv > rule.max_cv && result.verdict == GATE_INCONCLUSIVE)
            *too_noisy = true;
    }
    return true;
}

/* Samples an arm for the noise seen so far; min_n where no number is enough: the cell is measured
 * anew, or its verdict is inconclusive. 0: out of memory. */
static size_t samples_needed(const struct measuring *m, uint32_t cell)
{
    double cv;
    if (!noise_of(m, cell, false, &cv, NULL))
        return 0;
    size_t least = m->plan->rule.min_n, need = gate_samples_needed(&m->plan->rule, cv);
    return need > least ? need : least;
}

/* Blocks that each cell still lacks; sets lacking[]. */
static enum lb_status count_lacking(const struct measuring *m, uint32_t *have, uint32_t *lacking,
                                    struct lb_error *err)
{
    for (uint32_t i = 0; i < m->plan->n_cells; i++) {
        size_t need = *m->times->failed[i] ? 1 : samples_needed(m, i);
        if (need == 0)
            return no_memory(err);
        uint32_t blocks = (uint32_t)((need + IN_BLOCK - 1) / IN_BLOCK);
        lacking[i] = *m->times->failed[i] || blocks <= have[i] ? 0 : blocks - have[i];
        have[i] += lacking[i];
    }
    return LB_OK;
}

static enum lb_status warm_up(struct measuring *m, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    m->expected += 2 * (uint32_t)m->plan->n_cells;
    for (uint32_t i = 0; i < m->plan->n_cells; i++) {
        for (int head = 0; head < 2 && status == LB_OK && !*m->times->failed[i]; head++) {
            double *values;
            status = measure_one(m, i, head, &values, err);
            free(values);
        }
    }
    return status;
}

/* As many blocks as each cell lacks, then as many more as their noise asks for. */
static enum lb_status measure_enough(struct measuring *m, uint32_t *have, uint32_t *lacking,
                                     struct lb_error *err)
{
    enum lb_status status = measure_blocks(m, lacking, false, err);
    for (int more = 0; more < 2 && status == LB_OK; more++) {
        status = count_lacking(m, have, lacking, err);
        if (status == LB_OK)
            status = measure_blocks(m, lacking, false, err);
    }
    return status;
}

/* ---- too noisy ---- */

static void set_aside(struct gate_times *times, uint32_t cell, bool confirming)
{
    for (size_t i = 0; i < times->n_samples; i++)
        if (times->samples[i].cell == cell && times->samples[i].confirming == confirming)
            times->samples[i].set_aside = true;
}

/* Sets aside the cells with blocks[cell] > 0 that are too noisy, the others to 0; *any: there are
 * some. Then lets the spell pass. */
static enum lb_status set_noisy_aside(struct measuring *m, bool confirming, uint32_t *blocks,
                                      bool *any, struct lb_error *err)
{
    *any = false;
    for (uint32_t i = 0; i < m->plan->n_cells; i++) {
        double cv;
        bool too_noisy = false;
        if (blocks[i] && !*m->times->failed[i] && !noise_of(m, i, confirming, &cv, &too_noisy))
            return no_memory(err);
        if (too_noisy) {
            set_aside(m->times, i, confirming);
            *any = true;
        } else {
            blocks[i] = 0;
        }
    }
    if (*any)
        (void)nanosleep(&(struct timespec){.tv_sec = m->plan->pause_s}, NULL);
    return LB_OK;
}

/* have[cell]: blocks measured in the end. */
static enum lb_status measure_first(struct measuring *m, uint32_t *have, uint32_t *lacking,
                                    struct lb_error *err)
{
    enum lb_status status = warm_up(m, err);
    for (size_t i = 0; i < m->plan->n_cells; i++)
        have[i] = lacking[i] = PILOT_BLOCKS;
    if (status == LB_OK)
        status = measure_enough(m, have, lacking, err);
    bool noisy = true;
    for (int again = 0; again < ANEW_MOST && noisy && status == LB_OK; again++) {
        memcpy(lacking, have, m->plan->n_cells * sizeof *lacking);
        status = set_noisy_aside(m, false, lacking, &noisy, err);
        for (size_t i = 0; i < m->plan->n_cells; i++)
            if (lacking[i])
                have[i] = lacking[i] = PILOT_BLOCKS;
        if (noisy && status == LB_OK)
            status = measure_enough(m, have, lacking, err);
    }
    return status;
}

/* ---- verdicts ---- */

static bool is_flagged(const struct gate_result *result)
{
    return result->verdict == GATE_REGRESSION || result->verdict == GATE_IMPROVEMENT;
}

/* A cell that failed has no metrics to judge. */
static void put_failure(const struct measuring *m, struct gate_times_row *row)
{
    const char *why = m->times->failed[row->cell - m->plan->cells];
    if (*why) {
        row->result.verdict = GATE_FAILED;
        snprintf(row->result.reason, sizeof row->result.reason, "%.190s", why);
    }
}

/* Judges the rows (all of them, or with `confirming` the flagged ones by their fresh samples). */
static enum lb_status judge(struct measuring *m, bool confirming, struct lb_error *err)
{
    struct gate_times *t = m->times;
    size_t n = 0;
    struct gate_metric *metrics = calloc(t->n_rows + 1, sizeof *metrics);
    struct gate_value **lists = calloc(t->n_rows + 1, sizeof *lists);
    struct gate_result *results = calloc(t->n_rows + 1, sizeof *results);
    size_t *which = calloc(t->n_rows + 1, sizeof *which);
    bool good = metrics && lists && results && which;
    for (size_t i = 0; good && i < t->n_rows; i++) {
        uint32_t cell = (uint32_t)(i / m->plan->n_metrics);
        size_t metric = i % m->plan->n_metrics;
        if (confirming && !is_flagged(&t->rows[i].first))
            continue;
        size_t count = samples_of(t, cell, metric, confirming, &lists[n]);
        good = lists[n] != NULL;
        metrics[n] = describe(m, cell, metric, lists[n], count);
        which[n++] = i;
    }
    good = good && gate_decide(&m->plan->rule, metrics, n, results);
    for (size_t k = 0; good && k < n; k++) {
        struct gate_times_row *row = &t->rows[which[k]];
        if (confirming)
            gate_confirm(&row->result, &results[k]);
        else
            row->result = row->first = results[k];
        row->measured_again = confirming;
        put_failure(m, row);
    }
    for (size_t k = 0; lists && k < n; k++)
        free(lists[k]);
    free(metrics);
    free(lists);
    free(results);
    free(which);
    return good ? LB_OK : no_memory(err);
}

static enum lb_status confirm(struct measuring *m, const uint32_t *have, uint32_t *again,
                              struct lb_error *err)
{
    bool any = false;
    for (size_t i = 0; i < m->plan->n_cells; i++)
        again[i] = 0;
    for (size_t i = 0; i < m->times->n_rows; i++) {
        size_t cell = i / m->plan->n_metrics;
        if (is_flagged(&m->times->rows[i].first)) {
            again[cell] = have[cell];
            any = true;
        }
    }
    if (!any)
        return LB_OK;
    enum lb_status status = measure_blocks(m, again, true, err);
    for (int anew = 0; anew < ANEW_MOST && any && status == LB_OK; anew++) {
        status = set_noisy_aside(m, true, again, &any, err);
        if (any && status == LB_OK)
            status = measure_blocks(m, again, true, err);
    }
    return status == LB_OK ? judge(m, true, err) : status;
}

static bool open_times(const struct gate_times_plan *plan, struct gate_times *t)
{
    size_t n = plan->n_cells * plan->n_metrics;
    *t = (struct gate_times){.rows = calloc(n + 1, sizeof *t->rows),
                             .failed = calloc(plan->n_cells + 1, sizeof *t->failed),
                             .work = calloc(plan->n_cells + 1, sizeof *t->work)};
    if (!t->rows || !t->failed || !t->work)
        return false;
    for (; t->n_rows < n; t->n_rows++) {
        struct gate_times_row *row = &t->rows[t->n_rows];
        row->cell = &plan->cells[t->n_rows / plan->n_metrics];
        row->metric = plan->metrics[t->n_rows % plan->n_metrics];
        row->name = file_text("%s %s", row->cell->name, row->metric->name);
        if (!row->name)
            return false;
    }
    return true;
}

enum lb_status gate_times_measure(const struct gate_times_plan *plan, struct gate_times *times,
                                  struct lb_error *err)
{
    struct measuring m = {
        .plan = plan, .times = times, .random = {plan->seed}, .start_ns = lb_now_ns()};
    uint32_t *have = calloc(plan->n_cells + 1, sizeof *have);
    uint32_t *blocks = calloc(plan->n_cells + 1, sizeof *blocks);
    enum lb_status status = open_times(plan, times) && have && blocks ? LB_OK : no_memory(err);
    if (status == LB_OK)
        status = open_memory(&m, err);
    if (status == LB_OK)
        status = measure_first(&m, have, blocks, err);
    if (status == LB_OK)
        status = judge(&m, false, err);
    if (status == LB_OK)
        status = confirm(&m, have, blocks, err);
    close_memory(&m);
    free(have);
    free(blocks);
    return status;
}

void gate_times_free(struct gate_times *t)
{
    for (size_t i = 0; i < t->n_rows; i++)
        free(t->rows[i].name);
    for (size_t i = 0; i < t->n_samples; i++)
        free(t->samples[i].values);
    free(t->rows);
    free(t->samples);
    free(t->memory);
    free(t->failed);
    free(t->work);
    *t = (struct gate_times){0};
}
