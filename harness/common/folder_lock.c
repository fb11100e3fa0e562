/* folder_lock: see folder_lock.h. */
#include "common/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 25, PAUSE_NS = 20000000 };

/* Whose lock is on the file, as proc_locks(5) says; 0: unknown. */
static long holder(int fd)
{
    struct stat info;
    FILE *in = fstat(fd, &info) == 0 ? fopen("/proc/locks", "re") : NULL;
    long found = 0, pid;
    unsigned long long inode;
    for (char line[256]; in && !found && fgets(line, sizeof line, in);)
        if (sscanf(line, "%*s FLOCK %*s %*s %ld %*[0-9a-f]:%*[0-9a-f]:%llu", &pid, &inode) == 2 &&
            inode == info.st_ino && pid > 0)
            found = pid;
    if (in)
        fclose(in);
    return found;
}

enum lb_status folder_lock(const char *folder, int *lock, struct lb_error *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int e = *lock < 0 ? EBADF : 0;
    for (int i = 0; e == 0 && flock(*lock, LOCK_EX | LOCK_NB) != 0; i++) {
        e = i < TRIES && errno == EWOULDBLOCK ? 0 : errno;
        nanosleep(&pause, NULL); /* what a process that was killed had begun to write ends soon */
    }
    if (e == 0)
        return LB_OK;
    if (e != EWOULDBLOCK) {
        folder_unlock(lock);
        return LB_OK;
    }
    long pid = holder(*lock);
    char whose[64] = "";
    if (pid)
        snprintf(whose, sizeof whose, ", process %ld", pid);
    folder_unlock(lock);
    return lb_fail(err, LB_ERR_INPUT, "%s: is being written by another layerbench%s", folder,
                   whose);
}

int folder_lock_wait(const char *folder, const char *what)
{
    struct lb_error busy = LB_ERROR_INIT;
    int lock;
    if (folder_lock(folder, &lock, &busy) == LB_OK)
        return lock;
    fprintf(stderr, "note: %s; this one waits before it %s\n", busy.text, what);
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (lock >= 0 && flock(lock, LOCK_EX) != 0 && errno == EINTR)
        ;
    return lock;
}

void folder_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}
