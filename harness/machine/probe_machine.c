/* probe_machine: tries each thing out rather than asking for versions. See probe_machine.h. */
#include "machine/probe_machine.h"

#include "base/memory.h"
#include "machine/cgroup.h"
#include "storage/storage.h"

#include <stdio.h>
#include <string.h>

#define HUGE_PAGE  ((size_t)2 << 20)
#define SOME_LIMIT ((uint64_t)64 << 20)

static void look_for_storage(const char *name, const char *path, struct probe_offer *offer)
{
    struct lb_error why = LB_ERROR_INIT;
    offer->available = storage_available(name, path, &why);
    snprintf(offer->about, sizeof offer->about, "%.190s", why.text);
}

/* kB of huge pages in the mapping that holds `address`; -1: the kernel does not say. */
static long huge_kb_at(const void *address)
{
    FILE *in = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long begin, end, wanted = (unsigned long)(uintptr_t)address;
    bool inside = false;
    long kb = -1;
    while (in && kb < 0 && fgets(line, sizeof line, in)) {
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = begin <= wanted && wanted < end;
        else if (inside)
            (void)sscanf(line, "AnonHugePages: %ld", &kb);
    }
    if (in)
        fclose(in);
    return kb;
}

/* Buffers of reads lie in such memory; a device that takes few segments per request is up to
 * twice as fast with it. */
static void look_for_huge_pages(struct probe_offer *offer)
{
    char setting[64] = "";
    FILE *in = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (in) {
        if (fgets(setting, sizeof setting, in))
            setting[strcspn(setting, "\n")] = '\0';
        fclose(in);
    }
    char *block = lb_map(2 * HUGE_PAGE);
    if (block)
        memset(block, 1, 2 * HUGE_PAGE);
    long kb = block ? huge_kb_at(block) : -1;
    lb_unmap(block, 2 * HUGE_PAGE);
    offer->available = kb > 0;
    snprintf(offer->about, sizeof offer->about, "transparent: %s%s",
             *setting ? setting : "not in this kernel", kb == 0 ? ", but none given" : "");
}

static void look_for_memory_limit(struct probe_offer *offer)
{
    struct lb_error why = LB_ERROR_INIT;
    struct cgroup group;
    offer->available = cgroup_open(SOME_LIMIT, &group, &why) == LB_OK;
    if (offer->available) {
        snprintf(offer->about, sizeof offer->about, "cgroup v%d", group.v2 ? 2 : 1);
        cgroup_close(&group);
    } else {
        snprintf(offer->about, sizeof offer->about, "%.190s", why.text);
    }
}

void probe_machine_look(const char *path, struct probe_machine *machine)
{
    *machine = (struct probe_machine){0};
    look_for_storage("uring", path, &machine->io_uring);
    look_for_storage("direct", path, &machine->o_direct);
    look_for_huge_pages(&machine->huge_pages);
    look_for_memory_limit(&machine->memory_limit);
}
