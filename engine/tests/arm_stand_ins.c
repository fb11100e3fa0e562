/*
 * arm_stand_ins: in place of what the cross-compiled engine of test_arm_engine.sh has no library
 * for: io_uring (the engine falls back, as on a kernel without it) and the pre-tokenizer's regular
 * expressions (byte-level BPE is refused).
 */
#include "storage/backend.h"
#include "text/pretokenize.h"

static enum lb_status no_uring(const char *path, const struct storage_options *options, void **ctx,
                               uint64_t *file_bytes, struct lb_error *err)
{
    (void)path, (void)options, (void)ctx, (void)file_bytes;
    return lb_fail(err, LB_ERR_UNSUPPORTED, "built without liburing");
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static enum storage_submit never(void *ctx, const struct storage_read *read)
{
    (void)ctx, (void)read;
    return STORAGE_BUSY;
}

static int none(void *ctx, struct storage_done *done, int min, int max, int64_t timeout_ns)
{
    (void)ctx, (void)done, (void)min, (void)max, (void)timeout_ns;
    return 0;
}

const struct storage_ops storage_uring_ops = {.name = "uring",
                                              .about = "not built in",
                                              .direct = true,
                                              .open = no_uring,
                                              .close = nothing,
                                              .submit = never,
                                              .reap = none,
                                              .wake = nothing};

enum lb_status pretokenizer_open(const char *name, struct pretokenizer **pretokenizer,
                                 struct lb_error *err)
{
    *pretokenizer = NULL;
    return lb_fail(err, LB_ERR_UNSUPPORTED, "pre-tokenizer '%s': built without PCRE2", name);
}

void pretokenizer_close(struct pretokenizer *pretokenizer)
{
    (void)pretokenizer;
}

struct pretokenizer_traits pretokenizer_traits(const struct pretokenizer *pretokenizer)
{
    (void)pretokenizer;
    return (struct pretokenizer_traits){0};
}

enum lb_status pretokenizer_split(const struct pretokenizer *pretokenizer, const char *text,
                                  size_t length, struct pretokenizer_scratch *scratch,
                                  struct lb_error *err)
{
    (void)pretokenizer, (void)text, (void)length, (void)scratch;
    return lb_fail(err, LB_ERR_UNSUPPORTED, "built without PCRE2");
}

void pretokenizer_scratch_close(struct pretokenizer_scratch *scratch)
{
    (void)scratch;
}
