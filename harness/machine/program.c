/*
 * program: see program.h.
 *
 * 1. a pipe for what it prints, and an anonymous file for its messages; 2. the child: its group,
 * its descriptors, affinity, control group, death with the parent, exec; 3. read until the pipe
 * ends, then wait until it has (it may close its output long before), but not for ever; 4. while it
 * is a zombie, what the kernel counted; 5. why, where it did not end well.
 */
#include "machine/program.h"

#include "base/clock.h"
#include "common/process.h"
#include "machine/affinity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESULT_FD = 3,
    EXIT_NO_EXEC = 125,
    DEATH_TAKES_S = 10,
    MOST_TEXT = 64 << 20,
    MOST_MESSAGES = 1 << 20
};

/* ---- the child ---- */

static _Noreturn void become(const struct program *p, pid_t parent, int out, int messages)
{
    int nowhere = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NO_EXEC);
    if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(messages, STDERR_FILENO) < 0)
        _exit(EXIT_NO_EXEC);
    if (p->result >= 0 && (dup2(p->result, RESULT_FD) < 0 || fcntl(RESULT_FD, F_SETFD, 0) != 0))
        _exit(EXIT_NO_EXEC); /* it may have been 3, close-on-exec, all along */
    if (!affinity_apply(p->affinity)) {
        dprintf(STDERR_FILENO, "affinity %s: %s\n", p->affinity, strerror(errno));
        _exit(EXIT_NO_EXEC);
    }
    if (p->group && !cgroup_enter(p->group)) {
        dprintf(STDERR_FILENO, "memory_limit: cannot enter %s: %s\n", p->group->path,
                strerror(errno));
        _exit(EXIT_NO_EXEC);
    }
    const char *what = p->path ? p->path : process_program();
    execvp(what, (char *const *)p->argv);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", what, strerror(errno));
    _exit(EXIT_NO_EXEC);
}

/* ---- what it prints ---- */

static int64_t deadline_in(uint32_t seconds)
{
    return lb_now_ns() + seconds * INT64_C(1000000000);
}

/* Room for one more read, and a NUL; what is beyond the most, or has no memory, is dropped. */
static char *room_in(struct program_end *end, size_t *room)
{
    static char dropped[65536];
    if (*room - end->length < sizeof dropped + 1 && *room < MOST_TEXT) {
        char *grown = realloc(end->text, 2 * *room + 2 * sizeof dropped);
        if (grown) {
            end->text = grown;
            *room = 2 * *room + 2 * sizeof dropped;
        }
    }
    return *room - end->length > sizeof dropped ? end->text + end->length : dropped;
}

static int left_ms(int64_t deadline_ns)
{
    int64_t left = (deadline_ns - lb_now_ns()) / 1000000;
    return deadline_ns == INT64_MAX ? -1 : left > INT_MAX ? INT_MAX : left > 0 ? (int)left : 0;
}

/* Until all its ends of the pipe are closed; false when the time is over. */
static bool read_all(int fd, int64_t deadline_ns, struct program_end *end, size_t *room)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int n = poll(&ready, 1, left_ms(deadline_ns));
        if (n == 0)
            return false;
        if (n < 0)
            continue; /* EINTR */
        char *to = room_in(end, room);
        ssize_t got = read(fd, to, 65536);
        if (got == 0 || (got < 0 && errno != EINTR))
            return true;
        if (got > 0 && end->text && to == end->text + end->length)
            end->length += (size_t)got;
    }
}

/* Until it has ended; false when the time is over. */
static bool ends(pid_t child, int64_t deadline_ns)
{
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    siginfo_t info = {.si_pid = 0};
    int n = 0;
    while (fd >= 0 && (n = poll(&ended, 1, left_ms(deadline_ns))) < 0)
        ;                      /* EINTR */
    while (fd < 0 && n == 0) { /* a kernel without */
        n = waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid != 0;
        if (n == 0 && left_ms(deadline_ns) == 0)
            break;
        if (n == 0)
            usleep(2000);
    }
    if (fd >= 0)
        close(fd);
    return n != 0;
}

/* ---- how it ended ---- */

static void keep_messages(int messages, struct program_end *end)
{
    off_t at = lseek(messages, 0, SEEK_END), from = at > MOST_MESSAGES ? at - MOST_MESSAGES : 0;
    end->messages = at > 0 ? malloc((size_t)(at - from) + 1) : NULL;
    ssize_t n = end->messages ? pread(messages, end->messages, (size_t)(at - from), from) : 0;
    if (end->messages)
        end->messages[n > 0 ? n : 0] = '\0';
}

/* The last line, without the "layerbench sample: " of this program itself. */
static void last_message(const char *messages, char *text, size_t size)
{
    static const char prefix[] = "layerbench sample: ";
    size_t end = messages ? strlen(messages) : 0;
    while (end > 0 && strchr("\r\n ", messages[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && messages[begin - 1] != '\n')
        begin--;
    if (end - begin >= sizeof prefix - 1 &&
        strncmp(messages + begin, prefix, sizeof prefix - 1) == 0)
        begin += sizeof prefix - 1;
    snprintf(text, size, "%.*s", end - begin < 200 ? (int)(end - begin) : 200,
             messages ? messages + begin : "");
}

static void say_why(const struct program *p, int status, struct program_end *end)
{
    char text[220];
    int code = WEXITSTATUS(status);
    last_message(end->messages, text, sizeof text);
    if (end->out_of_memory)
        snprintf(end->failed, sizeof end->failed,
                 "out of memory: killed by the kernel at memory_limit");
    else if (WIFSIGNALED(status))
        snprintf(end->failed, sizeof end->failed, "killed by signal %d (%s)%s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGKILL ? ", perhaps out of memory" : "");
    else if (code == EXIT_NO_EXEC || (!p->path && *text)) /* of ours, the message says it all */
        snprintf(end->failed, sizeof end->failed, "%s", *text ? text : "could not be started");
    else if (code != 0)
        snprintf(end->failed, sizeof end->failed, "exit code %d: %s", code,
                 *text ? text : "without a message");
}

static int64_t bytes_read_by(pid_t child)
{
    char path[64], line[128];
    int64_t bytes = -1;
    snprintf(path, sizeof path, "/proc/%ld/io", (long)child);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        (void)sscanf(line, "read_bytes: %" SCNd64, &bytes);
    if (in)
        fclose(in);
    return bytes;
}

static int64_t ns_of(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

static enum lb_status take_leave(pid_t child, int64_t start_ns, int *status,
                                 struct program_usage *usage, struct lb_error *err)
{
    struct rusage used;
    siginfo_t info;
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) != 0)
        if (errno != EINTR)
            return lb_fail(err, LB_ERR_STATE, "cannot wait for a program: %s", strerror(errno));
    usage->wall_ns = lb_now_ns() - start_ns;
    usage->bytes_read = bytes_read_by(child);
    while (wait4(child, status, 0, &used) < 0)
        if (errno != EINTR)
            return lb_fail(err, LB_ERR_STATE, "cannot wait for a program: %s", strerror(errno));
    usage->cpu_ns = ns_of(used.ru_utime) + ns_of(used.ru_stime);
    usage->major_faults = used.ru_majflt;
    usage->peak_rss_bytes = (int64_t)used.ru_maxrss * 1024;
    return LB_OK;
}

/* ---- all of it ---- */

static enum lb_status attend(const struct program *p, pid_t child, int out, int messages,
                             int64_t start_ns, struct program_end *end, struct lb_error *err)
{
    size_t room = 0;
    int status = 0;
    int64_t deadline_ns = p->timeout_s ? deadline_in(p->timeout_s) : INT64_MAX;
    bool late = !read_all(out, deadline_ns, end, &room) || !ends(child, deadline_ns);
    bool left = false;
    if (late) {
        kill(-child, SIGKILL);
        left = !ends(child, deadline_in(DEATH_TAKES_S));
    }
    process_take_along(0);
    if (end->text)
        end->text[end->length] = '\0';
    keep_messages(messages, end);
    if (!left && take_leave(child, start_ns, &status, &end->usage, err) != LB_OK)
        return err->code;
    end->out_of_memory = p->group && !late && cgroup_killed(p->group);
    if (late)
        snprintf(end->failed, sizeof end->failed, "not done after %" PRIu32 " s (--timeout)%s",
                 p->timeout_s, left ? "; it cannot be killed and is left behind" : "");
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        say_why(p, status, end);
    return LB_OK;
}

enum lb_status program_run(const struct program *p, struct program_end *end, struct lb_error *err)
{
    int out[2] = {-1, -1}, messages = memfd_create("messages", MFD_CLOEXEC);
    enum lb_status status = LB_OK;
    *end = (struct program_end){.usage.bytes_read = -1};
    if (messages < 0 || pipe2(out, O_CLOEXEC) != 0) {
        status = lb_fail(err, LB_ERR_STATE, "cannot open a pipe: %s", strerror(errno));
    } else {
        int64_t start_ns = lb_now_ns();
        pid_t parent = getpid(), child = fork();
        if (child == 0)
            become(p, parent, out[1], messages);
        close(out[1]);
        if (child > 0) {
            setpgid(child, child); /* both do: neither need wait for the other */
            process_take_along(child);
            status = attend(p, child, out[0], messages, start_ns, end, err);
        } else {
            status = lb_fail(err, LB_ERR_STATE, "cannot start a process: %s", strerror(errno));
        }
        close(out[0]);
    }
    if (messages >= 0)
        close(messages);
    return status;
}

void program_free(struct program_end *end)
{
    free(end->text);
    free(end->messages);
    end->text = end->messages = NULL;
}
