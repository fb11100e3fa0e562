/* result_view: memory, notes, and the document of a result. See result_view.h; the cells are in
 * result_view_cells.c. */
#include "result/result_view.h"

#include "common/amounts.h"
#include "result/document.h"
#include "settings/options.h"
#include "study/model_file.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct view_block {
    struct view_block *next;
    max_align_t data[];
};

void *view_alloc(struct result_view *view, size_t count, size_t size)
{
    struct view_block *block = NULL;
    if (size == 0 || count < (SIZE_MAX - sizeof *block) / size)
        block = calloc(1, sizeof *block + count * size);
    if (!block) {
        fputs("layerbench: out of memory\n", stderr);
        exit(5);
    }
    block->next = view->blocks;
    view->blocks = block;
    return block->data;
}

__attribute__((format(printf, 2, 0))) static char *format_text(struct result_view *view,
                                                               const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = view_alloc(view, (size_t)(length < 0 ? 0 : length) + 1, 1);
    vsnprintf(text, (size_t)(length < 0 ? 0 : length) + 1, format, args);
    return text;
}

char *view_text(struct result_view *view, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(view, format, args);
    va_end(args);
    return text;
}

void *view_grow(struct result_view *view, void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    void *larger = view_alloc(view, count ? 2 * count : 1, size);
    if (count)
        memcpy(larger, array, count * size);
    return larger;
}

void view_note(struct result_view *view, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    view->notes = view_grow(view, view->notes, view->n_notes, sizeof *view->notes);
    view->notes[view->n_notes++] = format_text(view, format, args);
    va_end(args);
}

/* ---- JSON ---- */

static const char *text_of(struct result_view *view, const json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "on" : "off";
    if (json_is_integer(value))
        return view_text(view, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return view_text(view, "%.6g", json_real_value(value));
    const char *text = "", *key;
    json_t *item;
    size_t i;
    json_array_foreach(value, i, item) text =
        view_text(view, "%s%s%s", text, *text ? " " : "", text_of(view, item));
    json_object_foreach((json_t *)value, key, item) text =
        view_text(view, "%s%s%s", text, *text ? " " : "", text_of(view, item));
    return text;
}

const char *view_field(struct result_view *view, const json_t *object, const char *path)
{
    char key[64];
    while (*path) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = json_object_get(object, key);
        path += length + (path[length] == '.');
    }
    const json_t *inner = json_object_get(object, "value");
    return text_of(view, inner ? inner : object);
}

const char *view_option(struct result_view *view, const struct view_cell *cell, const char *key)
{
    return text_of(view, json_object_get(cell->options, key));
}

/* Of a path, without folder and ending. */
static const char *file_name(struct result_view *view, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return view_text(view, "%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

const char *view_option_label(struct result_view *view, const struct view_cell *cell,
                              const char *key)
{
    const char *value = view_option(view, cell, key);
    size_t count;
    const struct option *table = options_table(&count), *option = option_find(table, count, key);
    if (option && option->flags & OPTION_FILE)
        return file_name(view, value);
    bool size = option && option_is_size(option);
    uint64_t bytes;
    char text[32];
    if (!size || !amount_parse_size(value, &bytes))
        return value;
    amount_format_size(bytes, text, sizeof text);
    return view_text(view, "%s", text);
}

/* ---- the document ---- */

static const char *routing_text(struct result_view *view)
{
    static const char key[] = "scenario.effective.model.synthetic_routing";
    const char *skew = view_field(view, view->document, view_text(view, "%s.skew", key));
    char text[96];
    struct lb_routing routing = {.skew = strtod(skew, NULL)};
    routing.persistence =
        strtod(view_field(view, view->document, view_text(view, "%s.persistence", key)), NULL);
    return *skew ? view_text(view, "%s", model_routing_text(&routing, text, sizeof text)) : "";
}

static void read_document(struct result_view *view)
{
    const json_t *cells = json_object_get(view->document, "cells");
    view->scenario = view_field(view, view->document, "scenario.requested.name");
    view->about = view_field(view, view->document, "scenario.requested.about");
    view->machine = view_field(view, view->document, "environment.cpu_model");
    view->revision = view_field(view, view->document, "environment.git_revision");
    view->routing = routing_text(view);
    view->n_layers = (size_t)strtoul(
        view_field(view, view->document, "scenario.effective.model.layers"), NULL, 10);
    if (!json_is_array(cells))
        view_note(view, "result.json has no list layerbench.cells");
    else if (json_array_size(cells) == 0)
        view_note(view, "result.json holds no cell: nothing has been measured");
    if (json_is_false(json_object_get(view->document, "complete")))
        view_note(view, "the run is not complete; drawn is what was measured");
    view_read_cells(view, cells);
}

enum lb_status view_open(const char *path, struct result_view *view, struct lb_error *err)
{
    *view = VIEW_EMPTY;
    view->cache_unit = "layers";
    struct stat st;
    if (stat(path, &st) != 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: no such result", path);
    const char *slash = strrchr(path, '/');
    if (S_ISDIR(st.st_mode))
        view->dir = view_text(view, "%s", path);
    else
        view->dir =
            slash ? view_text(view, "%.*s", (int)(slash - path) + 1, path) : view_text(view, ".");
    for (size_t n = strlen(view->dir); n > 1 && view->dir[n - 1] == '/'; n--)
        view->dir[n - 1] = '\0';
    const char *file = S_ISDIR(st.st_mode) ? view_text(view, "%s/result.json", path) : path;
    struct lb_error damage = LB_ERROR_INIT;
    if (document_read(file, &view->root, &damage) == LB_OK) {
        if (json_object_get(view->root, "comparisons")) /* of compare --json */
            return LB_OK;
        view->document = json_object_get(view->root, "layerbench");
        if (document_check(file, view->root, &damage) == LB_OK) {
            read_document(view);
            return LB_OK;
        }
    }
    /* without a readable result its log may still tell something */
    const char *log = view_text(view, "%s/layers.jsonl", view->dir);
    if (view->root || access(log, R_OK) != 0) {
        lb_fail(err, LB_ERR_INPUT, "%s", damage.text);
        view_close(view);
        return LB_ERR_INPUT;
    }
    view_note(view, "%s; drawn is what layers.jsonl shows", damage.text);
    return LB_OK;
}

void view_close(struct result_view *view)
{
    json_decref(view->root);
    for (size_t i = 0; i < view->n_cells; i++)
        for (size_t k = 0; k < view->cells[i].samples.count; k++)
            sample_free(&view->cells[i].samples.list[k]);
    while (view->blocks) {
        struct view_block *next = view->blocks->next;
        free(view->blocks);
        view->blocks = next;
    }
    *view = (struct result_view){.dir = NULL};
}

/* Not as a part of another word: 'sync' is none of 'async', 'C=6' none of 'C=64'. */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        bool begins = at == text || !isalnum((unsigned char)at[-1]);
        if (begins && !isalnum((unsigned char)at[n]))
            return true;
    }
    return false;
}

/* Whether each word of the text is part of the cell's name or label. */
static bool has_words(const struct view_cell *cell, const char *text)
{
    char word[128];
    for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
        size_t length = strcspn(text, " ,");
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        if (!has_word(cell->name, word) && !has_word(cell->label, word))
            return false;
        text += length;
    }
    return true;
}

/* By name or label; else the only one that has all words of the text. Returns view->n_cells when
 * there is none, and counts in *matches. */
static size_t find_cell(const struct result_view *view, const char *text, size_t *matches)
{
    size_t found = view->n_cells;
    *matches = 0;
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *cell = &view->cells[i];
        if (text && (strcmp(cell->name, text) == 0 || strcmp(cell->label, text) == 0)) {
            *matches = 1;
            return i;
        }
        if (!text || has_words(cell, text)) {
            found = i;
            ++*matches;
        }
    }
    return found;
}

enum lb_status view_find_cell(const struct result_view *view, const char *text, size_t *cell,
                              struct lb_error *err)
{
    size_t matches;
    *cell = find_cell(view, text, &matches);
    if (matches == 1)
        return LB_OK;
    if (matches == 0)
        return lb_fail(err, LB_ERR_INPUT, "no cell '%s' in the result (the first of %zu is '%s')",
                       text ? text : "", view->n_cells, view->n_cells ? view->cells[0].label : "");
    return lb_fail(err, LB_ERR_INPUT, "%zu cells match '%s', '%s' for one: name it more exactly",
                   matches, text ? text : "", view->cells[*cell].name);
}
