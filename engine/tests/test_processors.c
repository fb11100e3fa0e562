/* processors: the quota of control groups, in made files of /proc and /sys, and the affinity. */
#include "base/processors.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char root[TEMPORARY_PATH];

static void put(const char *path, const char *text)
{
    char file[2 * TEMPORARY_PATH], command[sizeof file + 32];
    snprintf(file, sizeof file, "%s/%s", root, path);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", file);
    CHECK(system(command) == 0, "%s", command);
    FILE *out = fopen(file, "w");
    CHECK(out && fputs(text, out) >= 0 && fclose(out) == 0, "%s", file);
}

static void quota(double expected, const char *why)
{
    double got = lb_processors_quota_in(root);
    CHECK(got == expected, "%s: %g, expected %g", why, got, expected);
}

static void quotas(void)
{
    quota(0, "no files");
    put("proc/self/cgroup", "7:cpuset:/c\n5:cpuacct,cpu:/a/b\n3:memory:/m\n0::/\n");
    quota(0, "the group's files are missing");
    put("sys/fs/cgroup/cpuset/c/cpu.cfs_quota_us", "1\n");
    put("sys/fs/cgroup/cpuset/c/cpu.cfs_period_us", "1\n");
    put("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
    quota(0, "version 1 without a quota");
    put("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "400000\n");
    quota(4, "version 1");
    put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000\n");
    put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    quota(1.5, "the group above has less");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
    quota(1, "the root, which is a container's own group, has less");
    put("proc/self/cgroup", "5:cpuacct,cpu:/docker/elsewhere\n");
    quota(1, "a path of the host's in a container");
    put("proc/self/cgroup", "4:cpu,cpuacct:/x\n");
    put("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "25000\n");
    put("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    quota(0.25, "a tree under the names of all its controllers");

    put("proc/self/cgroup", "0::/user.slice/one.scope\n");
    quota(0, "version 2: the group's files are missing");
    put("sys/fs/cgroup/user.slice/one.scope/cpu.max", "max 100000\n");
    quota(0, "version 2 without a quota");
    put("sys/fs/cgroup/user.slice/one.scope/cpu.max", "300000 100000\n");
    quota(3, "version 2");
    put("sys/fs/cgroup/user.slice/cpu.max", "40000 20000\n");
    quota(2, "version 2: the group above has less");
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    quota(1, "version 2: a container's own group");
    put("sys/fs/cgroup/cpu.max", "nonsense\n");
    quota(0, "what is no quota");
}

static void affinity(void)
{
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    uint32_t before = lb_processors_usable();
    CHECK(before >= 1 && before <= (uint32_t)CPU_COUNT(&all), "%u of %d", before, CPU_COUNT(&all));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        CHECK(lb_processors_usable() == 1, "on processor %d: %u", cpu, lb_processors_usable());
        break;
    }
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    CHECK(lb_processors_usable() == before);
}

int main(void)
{
    char command[TEMPORARY_PATH + 16];
    temporary_folder(root);
    quotas();
    affinity();
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK(system(command) == 0);
    return check_done();
}
