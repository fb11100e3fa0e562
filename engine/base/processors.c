/* processors: see processors.h. Reads cpu.cfs_quota_us, cpu.cfs_period_us (v1), cpu.max (v2). */
#include "base/processors.h"

#include "base/control_group.h"
#include "base/memory.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum { MASK_MAX = 1 << 16 };

static void take_quota(void *ctx, const char *folder, bool v2)
{
    double *least = ctx, quota = 0, period = 0;
    char file[1600];
    uint64_t number;
    if (v2) {
        snprintf(file, sizeof file, "%s/cpu.max", folder);
        FILE *f = fopen(file, "re"); /* "max 100000": none */
        if (f && fscanf(f, "%lf %lf", &quota, &period) != 2)
            quota = 0;
        if (f)
            fclose(f);
    } else {
        snprintf(file, sizeof file, "%s/cpu.cfs_period_us", folder);
        period = lb_file_number(file, "", &number) ? (double)number : 0;
        snprintf(file, sizeof file, "%s/cpu.cfs_quota_us", folder);
        quota = lb_file_number(file, "", &number) ? (double)(int64_t)number : 0; /* -1: none */
    }
    if (quota > 0 && period > 0 && (*least == 0 || quota / period < *least))
        *least = quota / period;
}

double lb_processors_quota_in(const char *root)
{
    double least = 0;
    lb_control_groups(root, "cpu", take_quota, &least);
    return least;
}

/* The mask is as large as the kernel wants it: machines have more than 1024 processors. */
static long in_affinity(void)
{
    for (int size = 1024; size <= MASK_MAX; size *= 4) {
        cpu_set_t *set = lb_calloc(1, CPU_ALLOC_SIZE((size_t)size));
        int error = set ? sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)size), set) : -1;
        int count = error == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)size), set) : 0;
        lb_free(set);
        if (count > 0)
            return count;
    }
    return sysconf(_SC_NPROCESSORS_ONLN);
}

uint32_t lb_processors_usable(void)
{
    long count = in_affinity();
    double quota = lb_processors_quota_in("");
    if (quota > 0 && quota + 0.5 < (double)count)
        count = (long)(quota + 0.5);
    return count < 1 ? 1 : (uint32_t)count;
}
