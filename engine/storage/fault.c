/*
 * fault: failures around another storage, for tests: a chosen read fails, comes short or
 * comes late, or the reader dies and serves nothing from then on. The buffer of a spoiled
 * read holds garbage, so that a result computed from it cannot be right by accident.
 */
#include "base/memory.h"
#include "storage/wrapper.h"

#include <errno.h>
#include <string.h>

#define GARBAGE 0xa5

struct faults {
    struct storage_fault fault;
    uint64_t submitted;
};

static void stamp(void *own, struct held *held)
{
    struct faults *f = own;
    f->submitted++;
    bool lasts = f->fault.every || f->fault.kind == STORAGE_FAULT_DEAD;
    if (lasts ? f->submitted < f->fault.nth : f->submitted != f->fault.nth)
        return;
    if (f->fault.kind == STORAGE_FAULT_DELAY)
        held->due_ns += f->fault.delay_ns;
    else
        held->faulty = true;
}

static void spoil(void *own, struct held *held)
{
    const struct faults *f = own;
    struct storage_done *done = &held->done;
    uint32_t kept = 0;
    if (f->fault.kind == STORAGE_FAULT_DEAD) {
        done->result = -EOWNERDEAD;
    } else if (f->fault.kind == STORAGE_FAULT_EIO || done->result < 0) {
        done->result = -EIO;
    } else {
        kept = (uint32_t)done->result / 2;
        done->result = (int32_t)kept;
    }
    if (held->read.buffer)
        memset((char *)held->read.buffer + kept, GARBAGE, held->read.bytes - kept);
}

static const struct wrapper_hooks hooks = {.stamp = stamp, .spoil = spoil};

enum lb_status storage_inject(struct storage *inner, const struct storage_fault *fault,
                              struct storage **storage, struct lb_error *err)
{
    *storage = NULL;
    if (fault->nth < 1 || fault->delay_ns < 0) {
        storage_close(inner);
        return lb_fail(err, LB_ERR_INPUT,
                       "fault: expected nth of at least 1 and a delay of at least 0, got %llu and "
                       "%lld ns",
                       (unsigned long long)fault->nth, (long long)fault->delay_ns);
    }
    struct faults *own = lb_calloc(1, sizeof *own);
    if (own)
        own->fault = *fault;
    return wrapper_open(inner, 0, &hooks, own, storage, err);
}
