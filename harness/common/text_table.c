/* text_table: see text_table.h. */
#include "common/text_table.h"

#include "common/file_io.h"
#include "common/terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_TITLE = 8 }; /* stays on one line */

bool text_table_open(struct text_table *t, const struct text_column *columns, size_t n_columns,
                     size_t n_rows)
{
    *t = (struct text_table){.columns = columns, .n_columns = n_columns, .n_rows = n_rows};
    t->texts = calloc(n_columns * n_rows + 1, sizeof *t->texts);
    t->rest = calloc(n_rows + 1, sizeof *t->rest);
    return t->texts && t->rest;
}

void text_table_put(struct text_table *t, size_t row, size_t column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vasprintf(&t->texts[row * t->n_columns + column], format, args) < 0)
        t->texts[row * t->n_columns + column] = NULL;
    va_end(args);
}

void text_table_say(struct text_table *t, size_t row, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *old = t->rest[row];
    t->rest[row] = old ? file_text("%s\n    %s", old, text) : strdup(text);
    free(old);
}

void text_table_free(struct text_table *t)
{
    for (size_t i = 0; t->texts && i < t->n_rows * t->n_columns; i++)
        free(t->texts[i]);
    for (size_t i = 0; t->rest && i < t->n_rows; i++)
        free(t->rest[i]);
    free(t->texts);
    free(t->rest);
    *t = (struct text_table){0};
}

/* Where the title's second line begins; 0: it is one line. */
static size_t break_of(const char *title)
{
    size_t best = 0, n = strlen(title);
    if (n <= SHORT_TITLE)
        return 0;
    for (size_t i = 1; i < n; i++) {
        bool here = title[i - 1] == ' ' || title[i - 1] == '_' || title[i - 1] == '/';
        size_t longer = i > n - i ? i : n - i, least = best > n - best ? best : n - best;
        if (here && longer < least)
            best = i;
    }
    return best;
}

static const char *text_at(const struct text_table *t, size_t row, size_t column)
{
    const char *text = t->texts[row * t->n_columns + column];
    return text ? text : "";
}

static size_t width_of(const struct text_table *t, size_t column)
{
    const char *title = t->columns[column].title;
    size_t first = break_of(title), second = strlen(title) - first;
    size_t widest = first > second ? first : second;
    for (size_t row = 0; row < t->n_rows; row++) {
        size_t n = terminal_length(text_at(t, row, column));
        widest = n > widest ? n : widest;
    }
    return widest;
}

/* shown[i]: the width of column i, or 0: it is left out. */
static void choose(const struct text_table *t, size_t *shown, int width)
{
    size_t total = 0;
    for (size_t i = 0; i < t->n_columns; i++)
        total += (shown[i] = width_of(t, i)) + 2;
    while (width > 0 && total > (size_t)width + 2) {
        size_t next = t->n_columns;
        for (size_t i = 0; i < t->n_columns; i++)
            if (shown[i] && t->columns[i].leaves > TEXT_TABLE_ALWAYS &&
                (next == t->n_columns || t->columns[i].leaves > t->columns[next].leaves))
                next = i;
        if (next == t->n_columns)
            return;
        total -= shown[next] + 2;
        shown[next] = 0;
    }
}

static void put(const char *text, size_t width, bool left, bool last, FILE *out)
{
    int gap = (int)(width - terminal_length(text));
    fprintf(out, "%*s%s%*s", left ? 0 : gap, "", text, left && !last ? gap : 0, "");
}

static void print_titles(const struct text_table *t, const size_t *shown, FILE *out)
{
    bool two = false;
    for (size_t i = 0; i < t->n_columns; i++)
        two |= shown[i] && break_of(t->columns[i].title) > 0;
    for (int line = two ? 0 : 1; line < 2; line++) {
        const char *gap = "";
        for (size_t i = 0; i < t->n_columns; i++) {
            const char *title = t->columns[i].title;
            size_t first = break_of(title);
            char text[64];
            if (!shown[i])
                continue;
            snprintf(text, sizeof text, "%.*s",
                     (int)(first && title[first - 1] == ' ' ? first - 1 : first), title);
            fputs(gap, out);
            put(line == 0 ? text : title + first, shown[i], t->columns[i].left, false, out);
            gap = "  ";
        }
        fputc('\n', out);
    }
}

static void print_row(const struct text_table *t, size_t row, const size_t *shown, FILE *out)
{
    const char *gap = "";
    size_t last = 0;
    bool whole = t->texts[(row + 1) * t->n_columns - 1] != NULL;
    for (size_t i = 0; i < t->n_columns; i++)
        if (shown[i] && *text_at(t, row, i))
            last = i;
    for (size_t i = 0; i <= last; i++) {
        if (!shown[i])
            continue;
        fputs(gap, out);
        put(text_at(t, row, i), shown[i], t->columns[i].left, i == last && (whole || !t->rest[row]),
            out);
        gap = "  ";
    }
    if (t->rest[row])
        fprintf(out, "%s%s", whole ? "\n    " : "  ", t->rest[row]);
    fputc('\n', out);
}

static void print_left_out(const struct text_table *t, const size_t *shown, int width,
                           const char *elsewhere, FILE *out)
{
    char text[512] = "";
    for (size_t i = 0; i < t->n_columns; i++) {
        size_t used = strlen(text);
        if (!shown[i] && *t->columns[i].title)
            snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "",
                     t->columns[i].title);
    }
    size_t used = strlen(text);
    if (!used || !elsewhere)
        return;
    snprintf(text + used, sizeof text - used, ": %s", elsewhere);
    fputs("not shown: ", out);
    terminal_wrap(out, text, 11, 0, width);
}

void text_table_print(const struct text_table *t, int width, const char *elsewhere, FILE *out)
{
    size_t *shown = calloc(t->n_columns + 1, sizeof *shown);
    if (!shown)
        return;
    choose(t, shown, width);
    print_titles(t, shown, out);
    for (size_t row = 0; row < t->n_rows; row++)
        print_row(t, row, shown, out);
    print_left_out(t, shown, width, elsewhere, out);
    free(shown);
}
