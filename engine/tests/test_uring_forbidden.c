/* uring_forbidden: a filter of system calls forbids one of io_uring's three. `auto` then reads
 * in another way and says so, `uring` is refused; nothing aborts and nothing hangs. */
#include "storage/storage.h"
#include "tests/check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SETUP = 425, ENTER = 426, REGISTER = 427, BYTES = 1 << 20, PART = 1 << 16 };

static bool forbid(int call, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Every byte of the file, by reads that are all in flight at once. */
static bool reads_all(struct storage *storage, unsigned char *buffer)
{
    struct storage_done done;
    bool good = true;
    for (uint64_t at = 0; at < BYTES; at += PART) {
        struct storage_read read = {
            .offset = at, .bytes = PART, .buffer = buffer + at, .tag = at / PART};
        good = good && storage_submit(storage, &read) == STORAGE_QUEUED;
    }
    for (int i = 0; i < BYTES / PART && good; i++)
        good = storage_reap(storage, &done, 1, -1) == 1 && done.result == PART;
    for (size_t i = 0; i < BYTES && good; i++)
        good = buffer[i] == (unsigned char)(i >> 8);
    return good;
}

/* In a process of its own: the filter stays. */
static int in_child(const char *path, int call, int error, bool late)
{
    const struct storage_options options = {.queue_depth = 32, .io_threads = 2};
    struct lb_error err = LB_ERROR_INIT;
    struct storage *storage;
    char notice[256];
    unsigned char *buffer = aligned_alloc(4096, BYTES);
    if (!late && !forbid(call, error))
        return 77;
    enum lb_status named = storage_open("uring", path, &options, NULL, 0, &storage, &err);
    if (named != (late || call == REGISTER ? LB_OK : LB_ERR_UNSUPPORTED) ||
        (named != LB_OK && (storage || !strstr(err.text, "uring is not available (io_uring: "))))
        return 7;
    storage_close(storage);
    if (storage_open("auto", path, &options, notice, sizeof notice, &storage, &err) != LB_OK)
        return 1;
    bool other = strcmp(storage_name(storage), "uring") != 0;
    if (!late && other != (call != REGISTER))
        return other ? 2 : 3;
    if (other != (strstr(notice, "is not available") != NULL))
        return 4;
    if (late) { /* an open ring that may not be entered any more: the read fails */
        struct storage_done done = {.result = 0};
        struct storage_read read = {.offset = 0, .bytes = PART, .buffer = buffer};
        if (other || !forbid(ENTER, error))
            return 77;
        if (storage_submit(storage, &read) != STORAGE_QUEUED ||
            storage_reap(storage, &done, 1, -1) != 1 || done.result != -error)
            return 5;
    } else if (!reads_all(storage, buffer)) {
        return 6;
    }
    storage_close(storage);
    free(buffer);
    return 0;
}

static bool tried(const char *path, int call, int error, bool late)
{
    int how = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(in_child(path, call, error, late));
    }
    CHECK(child > 0 && waitpid(child, &how, 0) == child);
    bool skipped = WIFEXITED(how) && WEXITSTATUS(how) == 77;
    CHECK(skipped || how == 0, "call %d, %s%s: %s %d", call, strerror(error), late ? ", late" : "",
          WIFEXITED(how) ? "step" : "signal", WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
    return !skipped;
}

int main(void)
{
    static const int calls[] = {SETUP, ENTER, REGISTER}, errors[] = {EPERM, ENOSYS, EACCES};
    static unsigned char data[BYTES];
    char path[] = "/var/tmp/test_uring_forbidden-XXXXXX";
    bool any = false;
    int fd = mkstemp(path);
    if (fd < 0)
        check_skip("/var/tmp cannot be written");
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (unsigned char)(i >> 8);
    CHECK(write(fd, data, BYTES) == BYTES && fsync(fd) == 0);
    struct lb_error why = LB_ERROR_INIT;
    bool there = storage_available("uring", path, &why);
    for (size_t c = 0; c < sizeof calls / sizeof *calls && there; c++)
        for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
            any = tried(path, calls[c], errors[e], false) || any;
    if (there)
        any = tried(path, ENTER, EPERM, true) || any;
    close(fd);
    unlink(path);
    if (!there)
        check_skip(why.text);
    if (!any)
        check_skip("no filter of system calls can be set here");
    return check_done();
}
