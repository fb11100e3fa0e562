/* line_file: see line_file.h. */
#include "result/line_file.h"

#include "common/file_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum lb_status line_file_append(const char *path, FILE *stream, char **text, size_t *length,
                                struct lb_error *err)
{
    enum lb_status status = fclose(stream) == 0 && *text
                                ? file_append(path, *text, *length, err)
                                : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    free(*text);
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
    return good && !ferror(in) && fflush(out) == 0 && fsync(fileno(out)) == 0;
}

/* All kept lines of `from` to the end of `to`, opened as `mode` says. */
static enum lb_status copy_lines(const char *from, const char *to, const struct filter *f,
                                 struct lb_error *err)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    bool good = in && out && filter_lines(in, out, f);
    int error = errno;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        good = false;
    return good ? LB_OK
                : lb_fail(err, LB_ERR_IO, "%s: cannot copy to %s: %s", from, to, strerror(error));
}

enum lb_status line_file_mend(const char *path, line_file_whose *whose, line_file_keep *keep,
                              void *ctx, struct lb_error *err)
{
    const struct filter filter = {whose, keep, ctx};
    if (!file_exists(path))
        return LB_OK;
    char *temporary = file_text("%s.tmp", path);
    if (!temporary)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    enum lb_status status = copy_lines(path, temporary, &filter, err);
    if (status == LB_OK && rename(temporary, path) != 0)
        status = lb_fail(err, LB_ERR_IO, "%s: cannot mend: %s", path, strerror(errno));
    if (status != LB_OK)
        unlink(temporary);
    free(temporary);
    return status;
}
