/* progress: a bar with the time left. See progress.h. */
#include "common/progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR 24

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

struct progress progress_begin(const char *label)
{
    return (struct progress){
        .label = label, .shown = isatty(STDERR_FILENO) == 1, .start_ns = lb_now_ns()};
}

void progress_update(struct progress *p, uint64_t done, uint64_t total, const char *note)
{
    int64_t now = lb_now_ns();
    if (!p->shown || total == 0 || (p->drawn_ns && done < total && now - p->drawn_ns < 100000000))
        return;
    p->drawn_ns = now;
    double share = (double)done / (double)total;
    char bar[BAR + 1], left[32] = "", line[256];
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    if (done > 0) {
        double seconds = (double)(now - p->start_ns) / 1e9 / share * (1 - share);
        snprintf(left, sizeof left, " %d:%02d left", (int)seconds / 60, (int)seconds % 60);
    }
    snprintf(line, sizeof line, "%s [%s] %3.0f%%%s %s", p->label, bar, share * 100, left,
             note ? note : "");
    fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, line);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->drawn_ns)
        fputs("\r\033[K", stderr);
    p->drawn_ns = 0;
}
