/* progress: a bar with the time left. See progress.h. */
#include "common/progress.h"

#include "base/clock.h"
#include "common/terminal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR 24

#define FIRST_LINE_NS    INT64_C(30000000000)
#define LONGEST_PAUSE_NS INT64_C(300000000000)

struct progress progress_begin(const char *label)
{
    return (struct progress){.label = label,
                             .shown = true,
                             .terminal = isatty(STDERR_FILENO) == 1,
                             .start_ns = lb_now_ns(),
                             .pause_ns = FIRST_LINE_NS};
}

/* A line after 30 s, 1, 2, 4 minutes, then every 5. */
static bool is_time_for_line(struct progress *p, int64_t now)
{
    int64_t since = now - (p->drawn_ns ? p->drawn_ns : p->start_ns);
    if (since < p->pause_ns)
        return false;
    p->pause_ns = p->pause_ns < LONGEST_PAUSE_NS / 2 ? 2 * p->pause_ns : LONGEST_PAUSE_NS;
    return true;
}

void progress_update(struct progress *p, uint64_t done, uint64_t total, const char *note)
{
    int64_t now = lb_now_ns();
    if (!p->shown || total == 0)
        return;
    if (p->terminal ? p->drawn_ns && done < total && now - p->drawn_ns < 100000000
                    : !is_time_for_line(p, now))
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
    if (!p->terminal) {
        fprintf(stderr, "%s: %3.0f%%%s\n", p->label, share * 100, left);
        return;
    }
    int width = terminal_width(STDERR_FILENO);
    snprintf(line, sizeof line, "%s [%s] %3.0f%%%s %s", p->label, bar, share * 100, left,
             note ? note : "");
    fprintf(stderr, "\r\033[K%.*s", (width > 0 ? width : 80) - 1, line);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->terminal && p->drawn_ns)
        fputs("\r\033[K", stderr);
    if (p->terminal)
        p->drawn_ns = 0;
}
