/* merge_lines: see merge_lines.h. */
#include "result/merge_lines.h"

#include "common/array.h"
#include "common/file_io.h"
#include "result/access_line.h"
#include "result/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Neighbouring lines of one sample in one file. */
struct segment {
    size_t file;
    long offset, length;
    int64_t place;
    size_t found; /* in order of discovery, for equal places */
};

struct segments {
    struct segment *list;
    size_t n;
};

/* The part of a line that names its sample, up to "pass"; 0: the line is damaged. */
static size_t head_length(const char *line)
{
    const char *end = strstr(line, ",\"pass\":");
    return end ? (size_t)(end - line) : 0;
}

static bool add_segment(struct segments *s, struct segment segment)
{
    segment.found = s->n;
    struct segment *place = array_add(&s->list, &s->n, sizeof *place);
    if (place)
        *place = segment;
    return place;
}

/* Finds the segments of one log that the merged result wants. */
static enum lb_status scan(FILE *in, size_t file, merge_place *place, void *ctx,
                           struct segments *found, struct lb_error *err)
{
    char *line = NULL, *head = NULL;
    size_t room = 0;
    ssize_t length;
    long at = 0;
    bool keep = false, good = true;
    struct access_line access = {.json = NULL};
    for (; good && (length = getline(&line, &room, in)) > 0; at += length) {
        size_t n = head_length(line);
        if (n > 0 && head && strncmp(line, head, n) == 0 && head[n] == '\0') {
            if (keep)
                found->list[found->n - 1].length += length;
            continue;
        }
        free(head);
        head = strndup(line, n);
        bool whole = line[length - 1] == '\n' && access_line_read(&access, line);
        char *cell = whole ? access_line_cell(&access) : NULL;
        int64_t at_place = cell ? place(ctx, file, cell, (int32_t)access.event.rep) : -1;
        free(cell);
        keep = at_place >= 0;
        if (keep)
            good = add_segment(found, (struct segment){file, at, length, at_place, 0});
    }
    access_line_free(&access);
    free(head);
    free(line);
    return good ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "merge: out of memory");
}

static int by_place(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->found < y->found ? -1 : x->found > y->found;
}

static bool copy(FILE *in, const struct segment *segment, FILE *out)
{
    char buffer[65536];
    long left = segment->length;
    if (fseek(in, segment->offset, SEEK_SET) != 0)
        return false;
    while (left > 0) {
        size_t n = left < (long)sizeof buffer ? (size_t)left : sizeof buffer;
        if (fread(buffer, 1, n, in) != n || fwrite(buffer, 1, n, out) != n)
            return false;
        left -= (long)n;
    }
    return true;
}

/* NULL: there is none, or err. */
static FILE *open_log(const char *result, struct lb_error *err)
{
    char *path = document_file(result, "layers.jsonl");
    FILE *log = path && file_exists(path) ? file_open(path, err) : NULL;
    free(path);
    return log;
}

static enum lb_status write_segments(FILE **logs, struct segments *found, const char *path,
                                     struct lb_error *err)
{
    struct file_stream to;
    enum lb_status status = file_stream_open(path, &to, err);
    if (status != LB_OK)
        return status;
    bool good = true;
    if (found->n > 0)
        qsort(found->list, found->n, sizeof *found->list, by_place);
    for (size_t i = 0; good && i < found->n; i++)
        good = copy(logs[found->list[i].file], &found->list[i], to.out);
    if (good)
        return file_stream_finish(&to, err);
    status = lb_fail(err, LB_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    file_stream_abandon(&to);
    return status;
}

enum lb_status merge_lines(const struct result_set *set, merge_place *place, void *ctx,
                           const char *path, struct lb_error *err)
{
    struct segments found = {NULL, 0};
    FILE **logs = calloc(set->count + 1, sizeof *logs);
    bool any = false;
    enum lb_status status = logs ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "merge: out of memory");
    for (size_t i = 0; i < set->count && status == LB_OK; i++) {
        logs[i] = open_log(set->files[i].path, err);
        any = any || logs[i];
        if (err->code != LB_OK)
            status = err->code;
        else if (logs[i])
            status = scan(logs[i], i, place, ctx, &found, err);
    }
    if (status == LB_OK && any)
        status = write_segments(logs, &found, path, err);
    for (size_t i = 0; logs && i < set->count; i++)
        if (logs[i])
            fclose(logs[i]);
    free(logs);
    free(found.list);
    return status;
}
