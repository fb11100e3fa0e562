/* access_spill: see access_spill.h. */
#include "predict/access_spill.h"

#include "base/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct access_spill {
    FILE *file;
    uint64_t length, at;
};

enum { BLOCK = 1 << 17 };

/* As it is added; in place of it comes a replay_access, of the same size. */
struct added {
    uint32_t layer, expert;
};
_Static_assert(sizeof(struct added) == sizeof(struct replay_access), "one takes the other's place");

static enum lb_status broken(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_IO, "temporary file of a trace: %s", strerror(errno ? errno : EIO));
}

enum lb_status access_spill_open(struct access_spill **out, struct lb_error *err)
{
    const char *folder = getenv("TMPDIR");
    struct access_spill *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    if (!folder || !*folder)
        folder = "/tmp";
    int fd = lb_unnamed_file(folder);
    s->file = fd >= 0 ? fdopen(fd, "w+b") : NULL;
    if (!s->file) {
        enum lb_status status = broken(err);
        lb_error_prefix(err, "%s", folder);
        if (fd >= 0)
            close(fd);
        free(s);
        return status;
    }
    *out = s;
    return LB_OK;
}

void access_spill_close(struct access_spill *spill)
{
    if (!spill)
        return;
    fclose(spill->file);
    free(spill);
}

enum lb_status access_spill_add(struct access_spill *spill, uint32_t layer, uint32_t expert,
                                struct lb_error *err)
{
    const struct added added = {layer, expert};
    spill->length++;
    return fwrite(&added, sizeof added, 1, spill->file) == 1 ? LB_OK : broken(err);
}

static bool move_to(struct access_spill *s, uint64_t access)
{
    s->at = access;
    return fseeko(s->file, (off_t)(access * sizeof(struct added)), SEEK_SET) == 0;
}

/* Accesses first.. of the file, in memory for both forms. */
static bool seal_block(struct access_spill *s, struct replay_access *block, uint64_t first,
                       size_t n, uint32_t n_experts, double *uses, uint64_t *next)
{
    if (!move_to(s, first) || fread(block, sizeof *block, n, s->file) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct added added;
        memcpy(&added, &block[i], sizeof added);
        block[i].unit = added.layer * n_experts + added.expert;
        uses[block[i].unit]++;
    }
    replay_look_ahead(block, n, first, next);
    return move_to(s, first) && fwrite(block, sizeof *block, n, s->file) == n;
}

enum lb_status access_spill_seal(struct access_spill *spill, uint32_t n_experts, uint32_t n_objects,
                                 double *uses, struct lb_error *err)
{
    struct replay_access *block = malloc(BLOCK * sizeof *block);
    uint64_t *next = calloc(n_objects, sizeof *next);
    enum lb_status status =
        block && next ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (uint64_t end = spill->length; status == LB_OK && end > 0;) {
        size_t n = end < BLOCK ? (size_t)end : BLOCK;
        end -= n;
        if (!seal_block(spill, block, end, n, n_experts, uses, next))
            status = broken(err);
    }
    if (status == LB_OK && (fflush(spill->file) != 0 || !move_to(spill, 0)))
        status = broken(err);
    free(block);
    free(next);
    return status;
}

enum lb_status access_spill_read(struct access_spill *spill, struct replay_access *accesses,
                                 size_t most, size_t *n, struct lb_error *err)
{
    uint64_t left = spill->length - spill->at;
    *n = left < most ? (size_t)left : most;
    if (fread(accesses, sizeof *accesses, *n, spill->file) != *n ||
        !move_to(spill, *n > 0 ? spill->at + *n : 0))
        return broken(err);
    return LB_OK;
}
