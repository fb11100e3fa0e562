/* available: which of MemAvailable and the memory cgroups' limits counts, in made files of /proc
 * and /sys. */
#include "base/available.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static char root[TEMPORARY_PATH];

static void run(const char *before, const char *path, const char *after)
{
    char command[2 * TEMPORARY_PATH];
    snprintf(command, sizeof command, "%s'%s'/%s%s", before, root, path, after);
    CHECK(system(command) == 0, "%s", command);
}

static void put(const char *path, const char *text)
{
    char file[2 * TEMPORARY_PATH];
    run("mkdir -p \"$(dirname ", path, ")\"");
    snprintf(file, sizeof file, "%s/%s", root, path);
    FILE *out = fopen(file, "w");
    CHECK(out && fputs(text, out) >= 0 && fclose(out) == 0, "%s", file);
}

static void left(uint64_t bytes, bool limited, const char *why)
{
    struct lb_available a = lb_memory_available_in(root);
    CHECK(a.bytes == bytes && a.limited == limited, "%s: %llu, %d", why,
          (unsigned long long)a.bytes, a.limited);
}

int main(void)
{
    temporary_folder(root);
    left(0, false, "nothing is known");
    put("proc/meminfo", "MemTotal:  999 kB\nMemAvailable:    1024000 kB\n");
    left(1000 * MIB, false, "no cgroup");

    put("proc/self/cgroup", "4:cpu:/elsewhere\n3:memory:/a/b\n1:name=systemd:/x\n");
    left(1000 * MIB, false, "the group's files are missing");
    put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "104857600\n");
    left(1000 * MIB, false, "no limit");
    put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "524288000\n");
    left(400 * MIB, true, "500 MiB less 100 in use");
    put("sys/fs/cgroup/memory/a/b/memory.stat",
        "inactive_file 1\ntotal_inactive_file 41943040\ntotal_active_file 20971520\n");
    left(460 * MIB, true, "pages of files are given back");
    put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "314572800\n");
    put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "104857600\n");
    left(200 * MIB, true, "the group above has less");
    put("proc/meminfo", "MemAvailable:    102400 kB\n");
    left(100 * MIB, false, "the machine has less than that");

    put("proc/meminfo", "MemAvailable:    1024000 kB\n");
    put("proc/self/cgroup", "0::/user.slice/one.scope\n");
    put("sys/fs/cgroup/user.slice/one.scope/memory.max", "max\n");
    put("sys/fs/cgroup/user.slice/one.scope/memory.current", "1048576\n");
    left(1000 * MIB, false, "version 2 without a limit");
    put("sys/fs/cgroup/user.slice/one.scope/memory.max", "209715200\n");
    put("sys/fs/cgroup/user.slice/one.scope/memory.stat", "anon 5\ninactive_file 1048576\n");
    left(200 * MIB, true, "version 2 with one");
    put("sys/fs/cgroup/user.slice/one.scope/memory.current", "314572800\n");
    left(0, true, "more in use than there may be");
    run("rm -r ", "", "");
    return check_done();
}
