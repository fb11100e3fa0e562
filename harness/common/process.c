/* process: see process.h. */
#include "common/process.h"

#include "base/output.h"
#include "common/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", O_RDWR) < 0) /* the lowest number that is free: this one */
            (void)memfd_create("nowhere", 0);
    }
}

static volatile pid_t along;

void process_take_along(pid_t group)
{
    along = group;
}

static char last_words[8192];

void process_say_at_end(const char *text)
{
    last_words[0] = '\0'; /* none while it is written */
    size_t n = text ? strlen(text) : 0;
    if (n > 0 && n < sizeof last_words) {
        memcpy(last_words + 1, text + 1, n);
        last_words[0] = text[0];
    }
}

/* SIG_DFL is back (SA_RESETHAND), and the signal is held back until this returns. */
static void end(int number)
{
    if (along > 0)
        kill(-along, SIGKILL);
    lb_outputs_remove();
    if (last_words[0])
        (void)!write(STDERR_FILENO, last_words, strlen(last_words));
    raise(number);
}

static void *memory_for_json(size_t bytes)
{
    static const char said[] = "layerbench: out of memory\n";
    void *memory = malloc(bytes);
    if (memory)
        return memory;
    if (along > 0)
        kill(-along, SIGKILL);
    lb_outputs_remove();
    (void)!write(STDERR_FILENO, said, sizeof said - 1);
    _exit(EXIT_FAILED);
}

void process_begin(void)
{
    static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGXCPU};
    struct sigaction old, ours = {.sa_handler = end, .sa_flags = (int)SA_RESETHAND};
    open_standard();
    sigemptyset(&ours.sa_mask);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(ending[i], &ours, NULL);
    signal(SIGXFSZ, SIG_IGN);
    json_set_alloc_funcs(memory_for_json, free);
}

const char *process_program(void)
{
    static const char self[] = "/proc/self/exe";
    return access(self, F_OK) == 0 ? self : (const char *)getauxval(AT_EXECFN);
}
