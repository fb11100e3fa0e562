/* affinity: see affinity.h. */
#include "machine/affinity.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

static bool parse(const char *list, cpu_set_t *set)
{
    CPU_ZERO(set);
    while (*list) {
        char *end;
        if (*list < '0' || *list > '9')
            return false;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (*end == '-') {
            if (end[1] < '0' || end[1] > '9')
                return false;
            last = strtoul(end + 1, &end, 10);
        }
        if (last < first || last >= CPU_SETSIZE || (*end != '\0' && *end != ','))
            return false;
        for (unsigned long cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, set);
        list = end + (*end == ',');
        if (*end == ',' && *list == '\0')
            return false;
    }
    return true;
}

bool affinity_valid(const char *list)
{
    cpu_set_t set;
    return parse(list, &set);
}

bool affinity_apply(const char *list)
{
    cpu_set_t set;
    if (!*list)
        return true;
    errno = EINVAL;
    return parse(list, &set) && sched_setaffinity(0, sizeof set, &set) == 0;
}
