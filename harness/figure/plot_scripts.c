/* plot_scripts: see plot_scripts.h. */
#include "figure/plot_scripts.h"

#include "common/embedded.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *plot_script(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "plots/%s.gp", name);
    const struct embedded_file *file = embedded_find(path);
    return file ? file->text : NULL;
}

const char *plot_script_paragraph(const char *name, int n, char *text, size_t size)
{
    size_t length = 0;
    for (const char *line = plot_script(name); line && *line == '#' && n >= 0;) {
        size_t end = strcspn(line, "\n"), skip = line[1] == ' ' ? 2 : 1;
        bool empty = end <= skip;
        for (size_t i = skip; n == 0 && i <= end && length + 1 < size; i++)
            text[length++] = i == end ? ' ' : line[i];
        n -= empty;
        line += end + (line[end] == '\n');
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
    return text;
}
