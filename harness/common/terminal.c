/* terminal: see terminal.h. */
#include "common/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int terminal_width(int fd)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    int width = columns ? atoi(columns) : 0;
    if (width > 0)
        return width;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t terminal_length(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '\033') {
            text += strcspn(text, "m");
            if (!*text)
                break;
        } else {
            n += ((unsigned char)*text & 0xc0) != 0x80;
        }
    }
    return n;
}

void terminal_wrap(FILE *out, const char *text, size_t used, int indent, int width)
{
    size_t begun = used;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (width > 0 && used > begun && used + 1 + n > (size_t)width) {
            fprintf(out, "\n%*s", indent, "");
            begun = used = (size_t)indent;
        }
        used += (size_t)fprintf(out, "%s%.*s", used > begun ? " " : "", (int)n, text);
        text += n + strspn(text + n, " ");
    }
    fputc('\n', out);
}
