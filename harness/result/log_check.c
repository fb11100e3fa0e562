/* log_check: see log_check.h. */
#include "result/log_check.h"

#include "result/layer_lines.h"

#include <stdlib.h>
#include <string.h>

struct count {
    const struct results *results;
    uint32_t origin;
    uint64_t **lines; /* [cell][sample] */
    uint32_t last;    /* cell of the line before */
};

static void count_line(void *ctx, const char *cell, int32_t rep)
{
    struct count *c = ctx;
    const struct matrix *m = c->results->matrix;
    uint32_t i = c->last;
    if (i >= m->count || strcmp(m->cells[i].name, cell) != 0)
        i = (uint32_t)matrix_find(m, cell);
    if (i >= m->count)
        return;
    c->last = i;
    const struct cell_samples *samples = &c->results->by_cell[i];
    for (size_t k = 0; k < samples->count; k++)
        c->lines[i][k] += samples->list[k].rep == rep && samples->list[k].origin == c->origin;
}

static uint64_t expected_lines(const struct sample *s)
{
    return *s->failed || s->all.accesses < s->log_dropped ? 0 : s->all.accesses - s->log_dropped;
}

static void compare(const struct count *c, log_check_found *found, void *ctx)
{
    const struct results *r = c->results;
    for (uint32_t i = 0; i < r->matrix->count; i++)
        for (size_t k = r->by_cell[i].count; k-- > 0;) { /* backwards: found() may remove it */
            const struct sample *s = &r->by_cell[i].list[k];
            if (s->origin == c->origin && c->lines[i][k] != expected_lines(s))
                found(ctx, i, k, c->lines[i][k], expected_lines(s));
        }
}

enum lb_status log_check(const struct results *r, const char *path, uint32_t origin,
                         log_check_found *found, void *ctx, struct lb_error *err)
{
    struct count c = {.results = r, .origin = origin, .last = UINT32_MAX};
    bool good = (c.lines = calloc(r->matrix->count + 1, sizeof *c.lines)) != NULL;
    for (uint32_t i = 0; good && i < r->matrix->count; i++)
        good = (c.lines[i] = calloc(r->by_cell[i].count + 1, sizeof **c.lines)) != NULL;
    enum lb_status status = good ? layer_lines_each(path, count_line, &c, err)
                                 : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    if (status == LB_OK)
        compare(&c, found, ctx);
    for (uint32_t i = 0; c.lines && i < r->matrix->count; i++)
        free(c.lines[i]);
    free(c.lines);
    return status;
}

static void forget(void *ctx, uint32_t cell, size_t k, uint64_t lines, uint64_t expected)
{
    struct results *r = ctx;
    struct cell_samples *c = &r->by_cell[cell];
    results_warn(r,
                 "%s: repetition %d: %llu of %llu lines of its log are there: it is measured again",
                 r->matrix->cells[cell].name, c->list[k].rep + 1, (unsigned long long)lines,
                 (unsigned long long)expected);
    sample_free(&c->list[k]);
    memmove(&c->list[k], &c->list[k + 1], (c->count - k - 1) * sizeof *c->list);
    c->count--;
}

enum lb_status log_check_forget(struct results *r, const char *path, struct lb_error *err)
{
    return log_check(r, path, 0, forget, r, err);
}
