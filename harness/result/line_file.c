/* line_file: see line_file.h. */
#include "result/line_file.h"

#include "common/file_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum lb_status line_file_append(const char *path, FILE *stream, char **text, size_t *length,
                                struct lb_error *err)
{
    enum lb_status status = fclose(stream) == 0 && *text
                                ? file_append(path, *text, *length, err)
                                : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    free(*text);
    return status;
}

enum lb_status line_file_each(const char *path, line_file_whose *whose,
                              void (*seen)(void *ctx, const char *cell, int32_t rep), void *ctx,
                              struct lb_error *err)
{
    FILE *in = fopen(path, "rb");
    char *line = NULL, cell[4096];
    size_t size = 0;
    ssize_t length;
    int32_t rep;
    if (!in && errno == ENOENT)
        return LB_OK;
    if (!in)
        return lb_fail(err, LB_ERR_IO, "%s: %s", path, strerror(errno));
    while ((length = getline(&line, &size, in)) > 0)
        if (line[length - 1] == '\n' && whose(line, (size_t)length, cell, sizeof cell, &rep) &&
            *cell)
            seen(ctx, cell, rep);
    enum lb_status status =
        ferror(in) ? lb_fail(err, LB_ERR_IO, "%s: %s", path, strerror(errno)) : LB_OK;
    free(line);
    fclose(in);
    return status;
}

struct filter {
    line_file_whose *whose;
    line_file_keep *keep;
    void *ctx;
};

static bool line_is_kept(const struct filter *f, const char *line, size_t length)
{
    char cell[4096];
    int32_t rep;
    return f->whose(line, length, cell, sizeof cell, &rep) &&
           (cell[0] == '\0' || f->keep(f->ctx, cell, rep));
}

/* Whole lines of `in` that are kept, to the end of `out`. */
static bool filter_lines(FILE *in, FILE *out, const struct filter *f)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&line, &size, in)) > 0) {
        if (line[length - 1] == '\n' && line_is_kept(f, line, (size_t)length))
            good = fwrite(line, 1, (size_t)length, out) == (size_t)length;
    }
    free(line);
    return good && !ferror(in) && fflush(out) == 0;
}

enum lb_status line_file_mend(const char *path, line_file_whose *whose, line_file_keep *keep,
                              void *ctx, struct lb_error *err)
{
    const struct filter filter = {whose, keep, ctx};
    struct file_stream to;
    if (!file_exists(path))
        return LB_OK;
    FILE *in = file_open(path, err);
    if (!in)
        return LB_ERR_INPUT;
    enum lb_status status = file_stream_open(path, &to, err);
    if (status == LB_OK && filter_lines(in, to.out, &filter)) {
        status = file_stream_finish(&to, err);
    } else if (status == LB_OK) {
        status = lb_fail(err, LB_ERR_IO, "%s: cannot mend: %s", path, strerror(errno));
        file_stream_abandon(&to);
    }
    fclose(in);
    return status;
}
