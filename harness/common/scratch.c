/* scratch: see scratch.h. */
#include "common/scratch.h"

#include "common/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024, TRIES = 50, PAUSE_NS = 20000000 };

/* The files in the folder, and the folder; again where somebody still writes into it. */
static void remove_folder(const char *path)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < TRIES; i++) {
        DIR *dir = opendir(path);
        struct dirent *entry;
        while (dir && (entry = readdir(dir)) != NULL)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir)
            closedir(dir);
        if (rmdir(path) == 0 || (errno != ENOTEMPTY && errno != EEXIST))
            return;
        nanosleep(&pause, NULL);
    }
}

static _Noreturn void guard(const char *path, int end)
{
    static const int passed_over[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    char none;
    setsid();
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++)
        signal(passed_over[i], SIG_IGN);
    for (int fd = 0; fd < DESCRIPTORS; fd++) /* locks and pipes of the other end with it */
        if (fd != end)
            close(fd);
    while (read(end, &none, 1) < 0 && errno == EINTR)
        ;
    remove_folder(path);
    _exit(0);
}

static void start_guard(struct scratch *s)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    pid_t child = fork();
    if (child == 0)
        guard(s->path, ends[0]);
    close(ends[0]);
    s->end = ends[1];
    s->guard = child > 0 ? child : 0;
}

enum lb_status scratch_open(const char *last, struct scratch *s, struct lb_error *err)
{
    const char *given = getenv("TMPDIR"), *folders[] = {given, "/tmp", "/var/tmp", last};
    int first = 0;
    *s = (struct scratch){.end = -1};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!folders[i] || !*folders[i])
            continue;
        s->path = file_text("%s/layerbench.XXXXXX", folders[i]);
        char *made = s->path && mkdtemp(s->path) ? realpath(s->path, NULL) : NULL;
        first = first ? first : errno;
        free(s->path);
        s->path = made;
        if (made) {
            start_guard(s);
            return LB_OK;
        }
    }
    return lb_fail(err, LB_ERR_IO, "no folder for temporary files (TMPDIR, /tmp, /var/tmp, %s): %s",
                   last, strerror(first));
}

void scratch_close(struct scratch *s)
{
    if (!s->path)
        return;
    if (s->end >= 0)
        close(s->end);
    if (s->guard)
        while (waitpid((pid_t)s->guard, NULL, 0) < 0 && errno == EINTR)
            ;
    else
        remove_folder(s->path);
    free(s->path);
    *s = (struct scratch){.end = -1};
}
