/* sources: see sources.h. */
#include "storage/sources.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 64, SAMPLE_BYTES = 4096 }; /* compared, from the first bytes to the last */

static bool same_at(const struct source *a, const struct source *b, uint64_t offset)
{
    char x[SAMPLE_BYTES], y[SAMPLE_BYTES];
    ssize_t n = pread(a->fd, x, sizeof x, (off_t)offset);
    return n > 0 && pread(b->fd, y, sizeof y, (off_t)offset) == n && memcmp(x, y, (size_t)n) == 0;
}

static enum lb_status check_copy(const char *path, const struct source *first,
                                 const struct source *copy, struct lb_error *err)
{
    if (copy->bytes != first->bytes)
        return lb_fail(err, LB_ERR_INPUT, "%s: %llu bytes: expected a copy of the model, %llu",
                       path, (unsigned long long)copy->bytes, (unsigned long long)first->bytes);
    uint64_t last = first->bytes > SAMPLE_BYTES ? first->bytes - SAMPLE_BYTES : 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t offset = last / (SAMPLES - 1) * i;
        offset = i + 1 < SAMPLES ? offset : last;
        if (!same_at(first, copy, offset))
            return lb_fail(err, LB_ERR_INPUT,
                           "%s: differs at byte %llu: expected a copy of the model", path,
                           (unsigned long long)offset);
    }
    return LB_OK;
}

static enum lb_status open_copy(const char *path, bool direct, struct sources *s,
                                struct lb_error *err)
{
    if (s->n == STORAGE_COPIES)
        return lb_fail(err, LB_ERR_INPUT, "%s: expected at most %d copies of the model", path,
                       STORAGE_COPIES - 1);
    enum lb_status status = source_open(path, direct, &s->of[s->n], err);
    if (status != LB_OK)
        return status;
    s->n++;
    return s->n > 1 ? check_copy(path, &s->of[0], &s->of[s->n - 1], err) : LB_OK;
}

uint32_t sources_count(const char *copies)
{
    uint32_t n = copies && *copies ? 2 : 1;
    for (; copies && *copies; copies++)
        n += *copies == ',';
    return n;
}

enum lb_status sources_open(const char *path, const char *copies, bool direct,
                            struct sources *sources, struct lb_error *err)
{
    sources->n = 0;
    enum lb_status status = open_copy(path, direct, sources, err);
    for (uint32_t n = sources_count(copies); status == LB_OK && sources->n < n;) {
        char one[4096];
        size_t length = strcspn(copies, ",");
        snprintf(one, sizeof one, "%.*s", (int)length, copies);
        status = open_copy(one, direct, sources, err);
        copies += length + (copies[length] == ',');
    }
    if (status != LB_OK)
        sources_close(sources);
    return status;
}

void sources_close(struct sources *sources)
{
    while (sources->n > 0)
        source_close(&sources->of[--sources->n]);
}
