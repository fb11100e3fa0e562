/* gate_arm: see gate_arm.h. */
#include "gate/gate_arm.h"

#include "base/clock.h"
#include "common/file_io.h"
#include "machine/affinity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 128, EXIT_NO_EXEC = 125 };

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "gate: out of memory");
}

/* ---- arguments ---- */

static char *argument(const struct option *option, const struct settings *settings)
{
    char text[OPTION_LONGEST];
    option_format(option, settings, text, sizeof text);
    return file_text("--%s=%s", option->name, text);
}

static bool make_arguments(const struct scenario *s, const char *model_path, struct gate_cell *cell)
{
    size_t n = 0, room = s->n_fixed + s->n_axes + 3;
    cell->arguments = room < MAX_ARGUMENTS - 8 ? calloc(room, sizeof *cell->arguments) : NULL;
    if (!cell->arguments)
        return false;
    cell->arguments[n++] = file_text("--model=%s", model_path);
    cell->arguments[n++] = file_text("--work-seed=%" PRIu64, s->seed);
    for (size_t i = 0; i < s->n_fixed; i++)
        cell->arguments[n++] = argument(s->fixed[i].option, cell->settings);
    for (size_t i = 0; i < s->n_axes; i++)
        cell->arguments[n++] = argument(s->axes[i].option, cell->settings);
    for (size_t i = 0; i < n; i++)
        if (!cell->arguments[i])
            return false;
    return true;
}

enum lb_status gate_cells_make(const struct scenario *s, const struct matrix *matrix,
                               const char *model_path, struct gate_cell **cells,
                               struct lb_error *err)
{
    *cells = calloc(matrix->count + 1, sizeof **cells);
    if (!*cells)
        return no_memory(err);
    for (size_t i = 0; i < matrix->count; i++) {
        const struct cell *from = &matrix->cells[i];
        (*cells)[i] = (struct gate_cell){
            .name = from->name, .settings = &from->settings, .batch = from->settings.engine.batch};
        if (!make_arguments(s, model_path, &(*cells)[i]))
            return no_memory(err);
    }
    return LB_OK;
}

void gate_cells_free(struct gate_cell *cells, size_t count)
{
    for (size_t i = 0; cells && i < count; i++) {
        for (char **a = cells[i].arguments; a && *a; a++)
            free(*a);
        free(cells[i].arguments);
    }
    free(cells);
}

/* ---- the process ---- */

static _Noreturn void become(const struct gate_arm *arm, const struct gate_cell *cell, int out,
                             int messages)
{
    const char *list[MAX_ARGUMENTS] = {arm->program, "sample", "--json"};
    size_t n = 3;
    for (char **a = cell->arguments; *a; a++)
        list[n++] = *a;
    for (const char *const *a = arm->extra; a && *a && n < MAX_ARGUMENTS - 1; a++)
        list[n++] = *a;
    int nowhere = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(messages, STDERR_FILENO) < 0 || !affinity_apply(cell->settings->affinity))
        _exit(EXIT_NO_EXEC);
    execv(arm->program, (char *const *)list);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", arm->program, strerror(errno));
    _exit(EXIT_NO_EXEC);
}

/* Reads until the process closes its end; false when the time is over. *text: malloc. */
static bool read_all(int fd, int64_t deadline_ns, char **text, size_t *length)
{
    size_t room = 0;
    *text = NULL;
    *length = 0;
    for (;;) {
        int64_t left = (deadline_ns - lb_now_ns()) / 1000000;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&ready, 1, (int)left) == 0)
            return false;
        if (room - *length < 4096) {
            char *grown = realloc(*text, room + 65536);
            if (!grown)
                return true; /* what is read so far is no JSON */
            *text = grown;
            room += 65536;
        }
        ssize_t n = read(fd, *text + *length, room - *length);
        if (n == 0 || (n < 0 && errno != EINTR))
            return true;
        *length += n > 0 ? (size_t)n : 0;
    }
}

static void say_why(int status, int messages, bool late, uint32_t timeout_s, char failed[256])
{
    static const char prefix[] = "layerbench sample: ";
    char line[200] = "";
    ssize_t n = pread(messages, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    const char *text =
        strncmp(line, prefix, sizeof prefix - 1) == 0 ? line + sizeof prefix - 1 : line;
    if (late)
        snprintf(failed, 256, "not done after %" PRIu32 " s", timeout_s);
    else if (WIFSIGNALED(status))
        snprintf(failed, 256, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(failed, 256, "exit code %d: %s", WEXITSTATUS(status),
                 *text ? text : "without a message");
}

static void run(const struct gate_arm *arm, const struct gate_cell *cell, uint32_t timeout_s,
                const int out[2], int messages, json_t **sample, char failed[256])
{
    char *text = NULL;
    size_t length = 0;
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        become(arm, cell, out[1], messages);
    close(out[1]);
    if (child < 0) {
        snprintf(failed, 256, "no process: %s", strerror(errno));
        return;
    }
    bool late = !read_all(out[0], lb_now_ns() + timeout_s * INT64_C(1000000000), &text, &length);
    if (late)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (late || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        say_why(status, messages, late, timeout_s, failed);
    } else {
        *sample = text ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (!*sample)
            snprintf(failed, 256, "no result: expected JSON from %s sample --json", arm->program);
    }
    free(text);
}

enum lb_status gate_arm_measure(const struct gate_arm *arm, const struct gate_cell *cell,
                                uint32_t timeout_s, json_t **sample, char failed[256],
                                struct lb_error *err)
{
    int out[2], messages = memfd_create("messages", MFD_CLOEXEC);
    *sample = NULL;
    failed[0] = '\0';
    if (messages < 0 || pipe2(out, O_CLOEXEC) != 0) {
        if (messages >= 0)
            close(messages);
        return lb_fail(err, LB_ERR_STATE, "gate: cannot open a pipe: %s", strerror(errno));
    }
    run(arm, cell, timeout_s, out, messages, sample, failed);
    close(out[0]);
    close(messages);
    return LB_OK;
}
