/*
 * runner: see runner.h.
 *
 * 1. two anonymous files, for the result and for messages; 2. the page cache as the cell wants it,
 * a control group for its memory limit; 3. a child with the files as descriptors 3 and 2, stdin
 * nowhere, and as stdout a pipe that nobody writes to: that it closes says that the child has
 * ended; affinity, death with the parent; exec of this program; 4. wait, but not for ever; read the
 * files.
 */
#include "sample/runner.h"

#include "base/clock.h"
#include "common/file_io.h"
#include "machine/affinity.h"
#include "machine/cgroup.h"
#include "machine/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESULT_FD = 3, EXIT_NO_EXEC = 125, DEATH_TAKES_S = 10 };

/* ---- the command line of the child ---- */

struct arguments {
    char **list; /* NULL-terminated */
    size_t count;
};

static bool add(struct arguments *a, char *text)
{
    char **grown = text ? realloc(a->list, (a->count + 2) * sizeof *grown) : NULL;
    if (!grown) {
        free(text);
        return false;
    }
    a->list = grown;
    a->list[a->count++] = text;
    a->list[a->count] = NULL;
    return true;
}

static void free_arguments(struct arguments *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->list[i]);
    free(a->list);
}

/* Accesses of a whole sample: every pass goes through all layers. */
static uint64_t accesses(const struct runner_work *w)
{
    const struct settings *s = w->settings;
    uint64_t chunks = (s->prompt_tokens + s->engine.max_tokens - 1) / s->engine.max_tokens;
    return w->n_layers * (chunks * s->engine.batch + s->generate_tokens);
}

static bool make_arguments(const struct runner_work *w, struct arguments *a)
{
    size_t count;
    const struct option *table = options_table(&count);
    bool good = add(a, strdup("layerbench")) && add(a, strdup("sample")) &&
                add(a, file_text("--model=%s", w->model_path)) &&
                add(a, file_text("--result-fd=%d", RESULT_FD)) &&
                add(a, file_text("--work-seed=%" PRIu64, w->work_seed)) &&
                add(a, file_text("--first-prompt=%" PRIu64, w->first_prompt)) &&
                add(a, file_text("--log-capacity=%" PRIu64, accesses(w)));
    if (good && w->profile)
        good = add(a, strdup("--profile"));
    for (size_t i = 0; good && i < count; i++) {
        char text[OPTION_LONGEST];
        option_format(&table[i], w->settings, text, sizeof text);
        if (*text)
            good = add(a, file_text("--%s=%s", table[i].name, text));
    }
    return good;
}

/* ---- the child ---- */

static _Noreturn void become_sample(const struct arguments *a, const struct settings *settings,
                                    const struct cgroup *group, int result, int messages, int alive)
{
    int nowhere = open("/dev/null", O_RDONLY);
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NO_EXEC);
    if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(alive, STDOUT_FILENO) < 0 ||
        dup2(messages, STDERR_FILENO) < 0 || dup2(result, RESULT_FD) < 0 ||
        fcntl(RESULT_FD, F_SETFD, 0) != 0) /* it may have been 3, close-on-exec, all along */
        _exit(EXIT_NO_EXEC);
    if (!affinity_apply(settings->affinity)) {
        dprintf(STDERR_FILENO, "affinity %s: %s\n", settings->affinity, strerror(errno));
        _exit(EXIT_NO_EXEC);
    }
    if (!cgroup_enter(group)) {
        dprintf(STDERR_FILENO, "memory_limit: cannot enter %s: %s\n", group->path, strerror(errno));
        _exit(EXIT_NO_EXEC);
    }
    execv("/proc/self/exe", a->list);
    if (errno == ENOENT) /* no /proc: as this program was started, from the folder where it was */
        execv((const char *)getauxval(AT_EXECFN), a->list);
    dprintf(STDERR_FILENO, "cannot start /proc/self/exe: %s\n", strerror(errno));
    _exit(EXIT_NO_EXEC);
}

/* ---- the parent ---- */

/* The last line of what the child said, without "layerbench sample: ". */
static void last_message(int messages, char *text, size_t size)
{
    static const char prefix[] = "layerbench sample: ";
    char tail[4096];
    off_t end = lseek(messages, 0, SEEK_END);
    off_t from = end > (off_t)sizeof tail - 1 ? end - ((off_t)sizeof tail - 1) : 0;
    ssize_t n = pread(messages, tail, sizeof tail - 1, from);
    tail[n > 0 ? n : 0] = '\0';
    while (n > 0 && tail[n - 1] == '\n')
        tail[--n] = '\0';
    const char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    if (strncmp(line, prefix, sizeof prefix - 1) == 0)
        line += sizeof prefix - 1;
    snprintf(text, size, "%.200s", line);
}

static void say_why(int status, int messages, bool out_of_memory, struct sample *sample)
{
    char text[220];
    last_message(messages, text, sizeof text);
    if (out_of_memory)
        snprintf(sample->failed, sizeof sample->failed,
                 "out of memory: killed by the kernel at memory_limit");
    else if (WIFSIGNALED(status))
        snprintf(sample->failed, sizeof sample->failed, "killed by signal %d (%s)%s",
                 WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGKILL ? ", perhaps out of memory" : "");
    else if (*text)
        snprintf(sample->failed, sizeof sample->failed, "%s", text);
    else
        snprintf(sample->failed, sizeof sample->failed, "ended with exit code %d",
                 WEXITSTATUS(status));
}

/* Until the child has closed its end of the pipe; false when that takes longer than `seconds` (0:
 * no limit). */
static bool ends_within(int pipe_end, uint32_t seconds)
{
    int64_t deadline_ns = lb_now_ns() + seconds * INT64_C(1000000000);
    struct pollfd end = {.fd = pipe_end};
    int n;
    do {
        int64_t left_ms = (deadline_ns - lb_now_ns()) / 1000000;
        n = poll(&end, 1, seconds == 0 ? -1 : left_ms > 0 ? (int)left_ms : 0);
    } while (n < 0 && errno == EINTR);
    return n != 0;
}

/* Waits for the child and kills it when its time is over; *how is its status then. What waits for a
 * device that does not answer cannot even be killed: it is left behind. */
static enum lb_status wait_for(pid_t child, int pipe_end, uint32_t timeout_s, int *how,
                               struct sample *sample, struct lb_error *err)
{
    if (!ends_within(pipe_end, timeout_s)) {
        kill(child, SIGKILL);
        bool dead = ends_within(pipe_end, DEATH_TAKES_S);
        snprintf(sample->failed, sizeof sample->failed,
                 "not done after %" PRIu32 " s (--timeout)%s", timeout_s,
                 dead ? "" : "; it cannot be killed and is left behind");
        if (!dead)
            return LB_OK;
    }
    while (waitpid(child, how, 0) < 0) {
        if (errno != EINTR)
            return lb_fail(err, LB_ERR_STATE, "cannot wait for a sample: %s", strerror(errno));
    }
    return LB_OK;
}

static void receive(int status, int result, int messages, const struct cgroup *group,
                    struct sample *sample)
{
    FILE *in = NULL;
    bool whole = false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && lseek(result, 0, SEEK_SET) == 0) {
        in = fdopen(dup(result), "rb");
        whole = in && sample_receive(in, sample);
    }
    if (in)
        fclose(in);
    if (!whole) {
        memset(sample, 0, sizeof *sample);
        say_why(status, messages, cgroup_killed(group), sample);
    }
}

/* The page cache as the cell wants it. Under a memory limit the file must not be cached by others:
 * the pages would count as theirs. False: the sample has failed, and says why. */
static bool prepare_cache(const struct runner_work *w, struct sample *sample)
{
    struct lb_error err = LB_ERROR_INIT;
    const char *state = w->settings->page_cache;
    if (w->settings->memory_limit > 0 && strcmp(state, "as-is") == 0)
        state = "cold";
    if (page_cache_prepare(w->model_path, state, &err) == LB_OK)
        return true;
    snprintf(sample->failed, sizeof sample->failed, "%.250s", err.text);
    return false;
}

static enum lb_status start_and_wait(const struct runner_work *w, const struct arguments *arguments,
                                     int result, int messages, struct sample *sample,
                                     struct lb_error *err)
{
    struct cgroup group;
    struct lb_error refused = LB_ERROR_INIT;
    enum lb_status status = LB_OK;
    if (cgroup_open(w->settings->memory_limit, &group, &refused) != LB_OK) {
        snprintf(sample->failed, sizeof sample->failed, "%.250s", refused.text);
        return LB_OK;
    }
    if (!prepare_cache(w, sample)) {
        cgroup_close(&group);
        return LB_OK;
    }
    double cached = page_cache_share(w->model_path);
    int how = 0, alive[2];
    if (pipe2(alive, O_CLOEXEC) != 0) {
        cgroup_close(&group);
        return lb_fail(err, LB_ERR_STATE, "cannot open a pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0)
        become_sample(arguments, w->settings, &group, result, messages, alive[1]);
    close(alive[1]);
    status = child < 0 ? lb_fail(err, LB_ERR_STATE, "cannot start a sample: %s", strerror(errno))
                       : wait_for(child, alive[0], w->timeout_s, &how, sample, err);
    close(alive[0]);
    if (status == LB_OK && !*sample->failed)
        receive(how, result, messages, &group, sample);
    sample->cached_before_ppm = cached < 0 ? -1 : (int64_t)(cached * 1e6);
    cgroup_close(&group);
    return status;
}

static enum lb_status check_model(const struct runner_work *w, struct lb_error *err)
{
    struct lb_file_state now = lb_file_state_at(w->model_path);
    const char *change = lb_file_change(w->model_state, &now);
    return change ? lb_fail(err, LB_ERR_STATE,
                            "the model changed during the run: %s %s; samples of the one are not "
                            "samples of the other",
                            w->model_path, change)
                  : LB_OK;
}

enum lb_status runner_measure(const struct runner_work *w, struct sample *sample,
                              struct lb_error *err)
{
    struct arguments arguments = {NULL, 0};
    enum lb_status status = check_model(w, err);
    int result = memfd_create("sample", MFD_CLOEXEC);
    int messages = memfd_create("messages", MFD_CLOEXEC);
    memset(sample, 0, sizeof *sample);
    if (status == LB_OK && (result < 0 || messages < 0))
        status = lb_fail(err, LB_ERR_STATE, "cannot make a file for a sample: %s", strerror(errno));
    if (status == LB_OK && !make_arguments(w, &arguments))
        status = lb_fail(err, LB_ERR_NOMEM, "out of memory for a sample");
    if (status == LB_OK)
        status = start_and_wait(w, &arguments, result, messages, sample, err);
    if (status == LB_OK && check_model(w, err) != LB_OK) {
        sample_free(sample);
        status = LB_ERR_STATE;
    }
    free_arguments(&arguments);
    if (result >= 0)
        close(result);
    if (messages >= 0)
        close(messages);
    return status;
}
