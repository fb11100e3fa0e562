/*
 * cgroup: what is written to the files of a control group and read from them, for both versions, in
 * a made-up tree of plain files: the kernel of one machine has only one of them. The files that the
 * kernel would make in a new group are there beforehand. test_cache_state.sh tries the real thing.
 */
#include "common/file_io.h"
#include "machine/cgroup.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree[TEMPORARY_PATH];

static char *in_tree(const char *prefix, long pid)
{
    return file_text("%s/%s-%ld", tree, prefix, pid);
}

static void put(const char *directory, const char *name, const char *text)
{
    struct lb_error err = LB_ERROR_INIT;
    char *path = file_text("%s/%s", directory, name);
    CHECK(file_replace(path, text, strlen(text), &err) == LB_OK, "%s", err.text);
    free(path);
}

static void holds(const char *directory, const char *name, const char *expected)
{
    struct lb_error err = LB_ERROR_INIT;
    char *path = file_text("%s/%s", directory, name), *text = NULL;
    size_t length;
    CHECK(file_read(path, &text, &length, &err) == LB_OK, "%s", err.text);
    CHECK(text && strcmp(text, expected) == 0, "%s holds '%s', expected '%s'", name, text,
          expected);
    free(text);
    free(path);
}

static void forget(const char *directory, const char *const *names)
{
    for (; *names; names++) {
        char *path = file_text("%s/%s", directory, *names);
        unlink(path);
        free(path);
    }
    rmdir(directory);
}

static void version(bool v2)
{
    static const char *const files[2][5] = {
        {"memory.limit_in_bytes", "memory.swappiness", "memory.oom_control", "cgroup.procs"},
        {"memory.max", "memory.swap.max", "memory.events", "cgroup.procs"}};
    const char *const *names = files[v2];
    char *own = in_tree("layerbench", (long)getpid());
    struct cgroup group;
    CHECK(mkdir(own, 0755) == 0);
    for (int i = 0; names[i]; i++)
        put(own, names[i], "");
    CHECK(cgroup_open_in(tree, v2, 123456789, &group), "%s", strerror(errno));
    CHECK(group.v2 == v2 && group.path && strcmp(group.path, own) == 0);
    holds(own, names[0], "123456789");
    holds(own, names[1], "0");
    CHECK(cgroup_enter(&group));
    holds(own, "cgroup.procs", "0");
    CHECK(!cgroup_killed(&group), "an empty file of events tells of a kill");
    put(own, names[2], "low 0\nmax 17\noom 1\noom_kill 0\noom_group_kill 0\n");
    CHECK(!cgroup_killed(&group), "a limit that was reached is no kill");
    put(own, names[2], "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    CHECK(cgroup_killed(&group));
    forget(own, names); /* the kernel's files do not keep a group from being removed: these do */
    CHECK(mkdir(own, 0755) == 0);
    cgroup_close(&group);
    CHECK(access(own, F_OK) != 0 && !group.path, "the group is still there");
    free(own);
}

/* Where the controller is not on for the groups below, it is asked for; without it no group stays.
 */
static void controller_off(void)
{
    char *own = in_tree("layerbench", (long)getpid());
    struct cgroup group;
    put(tree, "cgroup.subtree_control", "");
    CHECK(!cgroup_open_in(tree, true, 1000000, &group) && errno == ENOENT && !group.path);
    holds(tree, "cgroup.subtree_control", "+memory");
    CHECK(access(own, F_OK) != 0, "a group without a limit stays");
    free(own);
}

/* Groups of processes that are gone go; those of others stay, and what has another name. */
static void leftovers(void)
{
    char *gone = in_tree("layerbench", 999999999), *alive = in_tree("layerbench", 1);
    char *other = in_tree("else", 999999999);
    struct cgroup group;
    CHECK(mkdir(gone, 0755) == 0 && mkdir(alive, 0755) == 0 && mkdir(other, 0755) == 0);
    (void)cgroup_open_in(tree, true, 1000000, &group);
    CHECK(access(gone, F_OK) != 0, "the group of a process that is gone stays");
    CHECK(access(alive, F_OK) == 0 && access(other, F_OK) == 0);
    rmdir(alive);
    rmdir(other);
    free(gone);
    free(alive);
    free(other);
}

int main(void)
{
    struct cgroup none;
    struct lb_error err = LB_ERROR_INIT;
    temporary_folder(tree);
    CHECK(cgroup_open(0, &none, &err) == LB_OK && !none.path && cgroup_enter(&none));
    CHECK(!cgroup_killed(&none));
    cgroup_close(&none);
    version(false);
    version(true);
    controller_off();
    leftovers();
    CHECK(!cgroup_open_in("/nowhere", true, 1000000, &none) && !none.path);
    forget(tree, (const char *const[]){"cgroup.subtree_control", NULL});
    return check_done();
}
