/* shipped: see shipped.h. */
#include "common/shipped.h"

#include "common/file_io.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* From the program's folder; build/ has folders for other configurations in it. */
static const char *const places[] = {"/../share/layerbench/", "/../", "/../../", "/../../../"};

static bool find(const char *path, char *room, size_t size)
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return false;
    program[n] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(room, size, "%s%s%s", program, places[i], path) < (int)size &&
            file_exists(room))
            return true;
    return false;
}

const char *shipped_file(const char *path, char *room, size_t size)
{
    return *path == '/' || file_exists(path) || !find(path, room, size) ? path : room;
}

const char *shipped_scenario(const char *path, char *room, size_t size)
{
    char named[NAME_MAX];
    if (strchr(path, '/') || file_exists(path) ||
        snprintf(named, sizeof named, "scenarios/%s.json", path) >= (int)sizeof named)
        return shipped_file(path, room, size);
    return find(named, room, size) ? room : path;
}
