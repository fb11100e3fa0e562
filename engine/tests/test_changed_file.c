/*
 * changed file: what happens to a model file under an engine. Whatever was cut, written to or
 * replaced while it was read is an error that says so, with every storage, also where the
 * computation takes weights straight from the mapping (a SIGBUS); a file that only lost its name is
 * none. What is in memory needs no file any more.
 */
#include "engine.h"
#include "made_model.h"
#include "settings.h"
#include "storage/mapped_guard.h"
#include "tests/check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CONTEXT = 8 }; /* positions: three of the prompt, at most four decoded, and one */

static const char *path, *other;

static void cut(void)
{
    CHECK(truncate(path, 4096) == 0);
}

static void lengthen(void)
{
    struct stat st;
    CHECK(stat(path, &st) == 0 && truncate(path, st.st_size + 1) == 0);
}

/* The last byte, in place; the clock of file times moves in steps. */
static void write_to(void)
{
    struct stat before, after;
    CHECK(stat(path, &before) == 0);
    do {
        int fd = open(path, O_RDWR);
        char byte;
        CHECK(pread(fd, &byte, 1, before.st_size - 1) == 1 &&
              pwrite(fd, &byte, 1, before.st_size - 1) == 1);
        close(fd);
        CHECK(stat(path, &after) == 0);
    } while (after.st_mtim.tv_nsec == before.st_mtim.tv_nsec &&
             after.st_mtim.tv_sec == before.st_mtim.tv_sec);
}

static void replace(void)
{
    CHECK(rename(other, path) == 0);
}

static void forget(void)
{
    CHECK(unlink(path) == 0);
}

static const struct change {
    void (*make)(void);
    const char *said; /* NULL: the engine goes on */
} changes[] = {{cut, "the file became shorter while it was read"},
               {lengthen, "the file was written to while it was read"},
               {write_to, "the file was written to while it was read"},
               {replace, NULL},
               {forget, NULL}};

/* A pass, the change, passes until one fails. A failed pass leaves the sequence as it was. */
static void change_under(const char *storage, const char *prefetch, const struct change *change)
{
    struct made_model made = made_usual();
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *engine;
    static const int32_t ids[] = {1, 2, 3, 4};
    float logits[64];
    char expected[256];
    made.n_layers = 4;
    made_write(&made, path);
    made_write(&made, other);
    o.model_path = path;
    o.storage = settings_storage(storage, path);
    o.prefetch = prefetch;
    o.cache_layers = 1 + (strcmp(prefetch, "async") == 0);
    o.threads = 2;
    o.context = CONTEXT;
    CHECK(lb_engine_open(&o, &engine, &err) == LB_OK, "%s", err.text);
    CHECK(lb_engine_prefill(engine, 0, ids, 3, false, logits, &err) == LB_OK, "%s", err.text);
    change->make();
    enum lb_status status = LB_OK;
    for (int i = 0; i < 4 && status == LB_OK; i++)
        status = lb_engine_decode(engine, ids, 1, logits, &err);
    bool in_memory = strcmp(storage, "memory") == 0 ||
                     (strcmp(prefetch, "resident") == 0 && strcmp(storage, "mmap") != 0);
    if (change->said && !in_memory) {
        snprintf(expected, sizeof expected, "%s: %s", path, change->said);
        CHECK(status == LB_ERR_IO, "%s, %s, %s: %s", storage, prefetch, change->said,
              lb_status_name(status));
        CHECK_TEXT(err.text, expected);
        for (int i = 0; i <= CONTEXT; i++) /* no position is taken, or there would be no room */
            CHECK(lb_engine_decode(engine, ids, 1, logits, &err) == LB_ERR_IO, "%s, %s, again: %s",
                  storage, prefetch, err.text);
    } else {
        CHECK(status == LB_OK, "%s, %s: %s", storage, prefetch, err.text);
    }
    lb_engine_close(engine);
    unlink(path);
    unlink(other);
}

/* ---- the guard alone ---- */

/* How a process ends that reads `at`. */
static int end_of_reader(const volatile char *at)
{
    pid_t child = fork();
    int how = 0;
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        _exit(*at == 0 ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &how, 0) == child);
    return how;
}

static char *map_file(size_t bytes, int *fd)
{
    *fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(*fd >= 0 && ftruncate(*fd, (off_t)bytes) == 0);
    char *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, *fd, 0);
    CHECK(map != MAP_FAILED);
    return map;
}

static void guard(void)
{
    enum { BYTES = 1 << 20 };
    int fd, fd2;
    char *guarded = map_file(BYTES, &fd);
    CHECK(pwrite(fd, "x", 1, 100) == 1);
    _Atomic bool lost = false;
    CHECK(mapped_guard_add(guarded, BYTES, &lost));
    CHECK(guarded[100] == 'x' && !atomic_load(&lost));
    CHECK(ftruncate(fd, 4096) == 0);
    CHECK(guarded[100] == 'x' && !atomic_load(&lost), "what the file still has is there");
    volatile char *v = guarded;
    CHECK(v[BYTES - 1] == 0 && v[8192] == 0 && atomic_load(&lost), "zeros beyond, and it is noted");
    CHECK(guarded[100] == 'x');
    mapped_guard_remove(guarded);
    munmap(guarded, BYTES);
    close(fd);
    /* a mapping of somebody else's ends the process, as ever, or goes to his handler */
    char *foreign = map_file(BYTES, &fd2);
    CHECK(ftruncate(fd2, 0) == 0);
    int how = end_of_reader(foreign);
    CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGBUS, "status %d", how);
    munmap(foreign, BYTES);
    close(fd2);
    unlink(path);
    for (int i = 0; i < 1000; i++) { /* slots are given back */
        CHECK(mapped_guard_add((void *)(uintptr_t)(4096u * (1 + (unsigned)i)), 4096, &lost));
        mapped_guard_remove((void *)(uintptr_t)(4096u * (1 + (unsigned)i)));
    }
}

int main(void)
{
    static const char *const prefetches[] = {"off", "sync", "async", "resident"};
    struct lb_choice storage;
    path = strdup(made_path("changed.gguf"));
    other = strdup(made_path("other.gguf"));
    for (size_t s = 0; lb_choice_at("storage", s, &storage); s++)
        for (size_t p = 0; p < sizeof prefetches / sizeof *prefetches; p++)
            for (size_t c = 0; c < sizeof changes / sizeof *changes; c++)
                change_under(storage.name, prefetches[p], &changes[c]);
    guard();
    made_clean();
    return check_done();
}
