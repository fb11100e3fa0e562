/*
 * page: see page.h.
 *
 * Steps for each result: 1. draw its figures into a temporary folder (which reads the result and
 * its log); 2. keep what the page needs of it. When all are there: 3. write the page.
 */
#include "report/page.h"

#include "common/amounts.h"
#include "common/file_io.h"
#include "common/scratch.h"
#include "common/sha256.h"
#include "figure/draw.h"
#include "figure/plot_scripts.h"
#include "report/report_answer.h"
#include "report/report_html.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct subject {
    const char *path;
    const char *name; /* the scenario, or the path */
    struct plotted plotted;
    struct report_answer answer;
    struct scratch folder; /* of the figures */
    bool drawn;
};

/* Draws the figures; that gnuplot is missing or fails is a message, not an error. */
static enum lb_status open_subject(struct subject *s, const char *path, FILE *messages,
                                   struct lb_error *err)
{
    struct lb_error drawing = LB_ERROR_INIT;
    enum lb_status status = scratch_open(".", &s->folder, err);
    if (status != LB_OK)
        return status;
    struct plot_options options = {.out_dir = s->folder.path, .svg_only = true};
    status = plot_result(path, &options, &s->plotted, &drawing);
    struct result_view *view = &s->plotted.view;
    s->path = path;
    s->drawn = status == LB_OK;
    if (!view->dir)
        return lb_fail(err, status, "%s", drawing.text);
    if (!s->drawn) {
        view_note(view, "figures are missing: %s", drawing.text);
        s->plotted.n_outcomes = 0;
    }
    s->name = *view->scenario ? view->scenario : path;
    s->answer = report_answer(view);
    for (size_t i = 0; i < view->n_notes; i++)
        fprintf(messages, "layerbench report: %s: %s\n", path, view->notes[i]);
    return LB_OK;
}

/* ---- parts of a section ---- */

static void write_warnings(FILE *out, struct result_view *view)
{
    const json_t *warnings = json_object_get(view->document, "warnings"), *warning;
    size_t i;
    if (json_array_size(warnings) + view->n_notes == 0)
        return;
    fputs("<div class=warnings role=note><strong>Warnings</strong><ul>\n", out);
    json_array_foreach(warnings, i, warning)
    {
        const char *text = json_string_value(warning);
        html_print(out, "<li>%s</li>\n", text ? text : view_field(view, warning, "text"));
    }
    for (i = 0; i < view->n_notes; i++)
        html_print(out, "<li>%s</li>\n", view->notes[i]);
    fputs("</ul></div>\n", out);
}

static void write_figure(FILE *out, const struct subject *s, const struct plot_outcome *o,
                         size_t number)
{
    char question[256], reading[2048], prefix[64];
    char *svg = NULL;
    size_t length;
    plot_script_paragraph(o->figure->name, 0, question, sizeof question);
    plot_script_paragraph(o->figure->name, 1, reading, sizeof reading);
    char *path = file_text("%s/%s.svg", s->folder.path, o->figure->name);
    snprintf(prefix, sizeof prefix, "r%zu-%s", number, o->figure->name);
    bool there = path && file_read(path, &svg, &length, NULL) == LB_OK;
    free(path);
    if (!there)
        return;
    char *alt = file_text("%s %s", question, o->reading);
    fputs("<figure>\n", out);
    html_svg(out, svg, alt ? alt : question, prefix);
    html_print(out, "<figcaption><strong>%s</strong> %s\n", question, o->reading);
    html_print(out,
               "<details><summary>How to read it</summary>%s</details></figcaption>\n</figure>\n",
               reading);
    free(alt);
    free(svg);
}

static void write_figures(FILE *out, const struct subject *s, size_t number)
{
    const struct plotted *p = &s->plotted;
    fputs("<h3>Figures</h3>\n<div class=figures>\n", out);
    for (size_t i = 0; i < p->n_outcomes; i++)
        if (!p->outcomes[i].left_out)
            write_figure(out, s, &p->outcomes[i], number);
    fputs("</div>\n", out);
    if (p->n_outcomes > p->n_drawn) {
        fputs("<details><summary>Not drawn, and why</summary><ul>\n", out);
        for (size_t i = 0; i < p->n_outcomes; i++)
            if (p->outcomes[i].left_out)
                html_print(out, "<li>%s: %s</li>\n", p->outcomes[i].figure->name,
                           p->outcomes[i].left_out);
        fputs("</ul></details>\n", out);
    }
}

static void write_hash(FILE *out, const char *what, const char *value)
{
    if (*value)
        html_print(out, "<tr><th scope=\"row\">%s</th><td><code>%s</code></td></tr>\n", what,
                   value);
}

/* The command that was given, words joined; else one that runs the scenario again. */
static const char *run_command(struct result_view *view)
{
    const json_t *environment = json_object_get(view->document, "environment");
    const json_t *entry = json_object_get(environment, "command_line"), *word;
    const json_t *words = json_object_get(entry, "value");
    const char *text = "";
    size_t i;
    json_array_foreach(words, i, word)
    {
        text = view_text(view, "%s%s%s", text, *text ? " " : "",
                         json_string_value(word) ? json_string_value(word) : "");
    }
    if (*text)
        return text;
    const char *file = view_field(view, view->document, "scenario.file");
    const char *seed = view_field(view, view->document, "scenario.effective.seed");
    return *file ? view_text(view, "layerbench run %s%s%s", file, *seed ? " --seed " : "", seed)
                 : "";
}

static void write_reproduce(FILE *out, struct subject *s)
{
    struct result_view *view = &s->plotted.view;
    const char *command = run_command(view), *tokens = "";
    char *text = NULL, hash[65] = "";
    size_t length;
    char *file = file_text("%s/result.json", view->dir);
    if (file && file_read(file, &text, &length, NULL) == LB_OK) {
        struct sha256 state;
        sha256_begin(&state);
        sha256_add(&state, text, length);
        sha256_end(&state, hash);
    }
    for (size_t i = 0; i < view->n_cells && !*tokens; i++)
        if (view->cells[i].samples.count > 0)
            tokens = view->cells[i].samples.list[0].tokens_hash;
    fputs("<h3>Reproduce it</h3>\n", out);
    if (*command)
        html_print(out, "<pre><code>%s</code></pre>\n", command);
    fputs("<div class=scroll tabindex=0 role=region aria-label=\"Hashes\"><table "
          "class=facts><tbody>\n",
          out);
    write_hash(out, "git revision", view->revision);
    write_hash(out, "scenario, SHA-256", view_field(view, view->document, "scenario.sha256"));
    write_hash(out, "model", view_field(view, view->document, "scenario.effective.model.path"));
    write_hash(out, "model, SHA-256", view_field(view, view->document, "environment.model_sha256"));
    write_hash(out, "binary, SHA-256",
               view_field(view, view->document, "environment.binary_sha256"));
    write_hash(out, "tokens that every cell computed", tokens);
    write_hash(out, "result.json, SHA-256", hash);
    fputs("</tbody></table></div>\n", out);
    free(text);
    free(file);
}

static void write_section(FILE *out, struct subject *s, size_t number)
{
    struct result_view *view = &s->plotted.view;
    html_print(out, "<section id=\"result-%zu\">\n<h2>%s</h2>\n", number, s->name);
    if (*view->about)
        html_print(out, "<p><strong>Question.</strong> %s</p>\n", view->about);
    if (*view->routing)
        html_print(out,
                   "<p><strong>Model.</strong> Random weights with %s: which experts a token "
                   "needs was made, not learned.</p>\n",
                   view->routing);
    fputs("<div class=answer>", out);
    for (int i = 0; i < 3; i++)
        if (*s->answer.sentences[i])
            html_print(out, "<p>%s</p>\n", s->answer.sentences[i]);
    fputs("</div>\n", out);
    write_warnings(out, view);
    if (s->plotted.n_drawn > 0 && s->drawn)
        write_figures(out, s, number);
    if (view->n_cells > 0) {
        fputs("<h3>All cells</h3>\n", out);
        html_cells(out, view, s->answer.best);
        html_layers(out, view);
    }
    fputs("<h3>Environment</h3>\n", out);
    html_environment(out, view);
    write_reproduce(out, s);
    fputs("</section>\n", out);
}

/* ---- several results ---- */

static const struct view_cell *same_cell(const struct subject *s, const char *name)
{
    const struct result_view *view = &s->plotted.view;
    for (size_t i = 0; i < view->n_cells; i++)
        if (strcmp(view->cells[i].name, name) == 0 && view_measured(&view->cells[i]))
            return &view->cells[i];
    return NULL;
}

static void write_shared_row(FILE *out, const struct subject *subjects, size_t n,
                             const struct view_cell *first)
{
    html_print(out, "<tr><th scope=\"row\">%s</th>", first->label);
    for (size_t k = 0; k < n; k++) {
        const struct view_cell *c = k ? same_cell(&subjects[k], first->name) : first;
        if (!c) {
            fputs(k ? "<td data-v=\"\">&ndash;</td><td data-v=\"\">&ndash;</td>" : "", out);
            continue;
        }
        fprintf(out, "<td data-v=\"%.6g\">%.4g</td>", c->pass.median / 1e6, c->pass.median / 1e6);
        if (k)
            fprintf(out, "<td data-v=\"%.6g\">%.3f</td>", c->pass.median / first->pass.median,
                    c->pass.median / first->pass.median);
    }
    fputs("</tr>\n", out);
}

/* How many of the other results have this cell. */
static size_t count_shared(const struct subject *subjects, size_t n, const struct view_cell *cell)
{
    size_t count = 0;
    for (size_t k = 1; k < n && view_measured(cell); k++)
        count += same_cell(&subjects[k], cell->name) != NULL;
    return count;
}

static void write_shared_cells(FILE *out, const struct subject *subjects, size_t n)
{
    const struct result_view *view = &subjects[0].plotted.view;
    fputs("<div class=scroll tabindex=0 role=region aria-label=\"Cells side by side\">"
          "<table class=sortable><caption>Median pass in ms of the cells that the first result "
          "shares, and the ratio to it. Whether a ratio differs from 1 is for compare to say."
          "</caption><thead><tr><th scope=col>cell</th>",
          out);
    for (size_t i = 0; i < n; i++) {
        html_print(out, "<th scope=col>%zu: %s ms</th>", i + 1, subjects[i].name);
        if (i)
            html_print(out, "<th scope=col>%zu / 1</th>", i + 1);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (size_t i = 0; i < view->n_cells; i++)
        if (count_shared(subjects, n, &view->cells[i]) > 0)
            write_shared_row(out, subjects, n, &view->cells[i]);
    fputs("</tbody></table></div>\n", out);
}

static void write_side_by_side(FILE *out, const struct subject *subjects, size_t n)
{
    const struct result_view *view = &subjects[0].plotted.view;
    size_t shared = 0;
    fputs("<section>\n<h2>Side by side</h2>\n<ol>\n", out);
    for (size_t i = 0; i < n; i++)
        html_print(out, "<li><a href=\"#result-%zu\">%s</a> <span class=soft>%s</span>: %s</li>\n",
                   i + 1, subjects[i].name, subjects[i].path, subjects[i].answer.sentences[0]);
    fputs("</ol>\n", out);
    for (size_t i = 0; i < view->n_cells; i++)
        shared += count_shared(subjects, n, &view->cells[i]);
    if (shared > 0)
        write_shared_cells(out, subjects, n);
    else
        fputs("<p>The first result has no cell in common with the others.</p>\n", out);
    fputs("</section>\n", out);
}

enum lb_status report_write(char *const *paths, size_t n, FILE *out, FILE *messages,
                            struct lb_error *err)
{
    enum lb_status status = LB_OK;
    struct subject *subjects = calloc(n, sizeof *subjects);
    size_t opened = 0;
    if (!subjects)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory");
    for (; opened < n && status == LB_OK; opened++)
        status = open_subject(&subjects[opened], paths[opened], messages, err);
    if (status == LB_OK) {
        char *title = file_text("layerbench: %s%s", subjects[0].name, n > 1 ? " and others" : "");
        html_head(out, title ? title : "layerbench");
        html_print(out,
                   "<header><h1>layerbench report</h1>\n<p class=soft>How fast a model runs whose "
                   "layers stream from storage, and how far that is from the best "
                   "possible.</p></header>\n<main>\n");
        if (n > 1)
            write_side_by_side(out, subjects, n);
        for (size_t i = 0; i < n; i++)
            write_section(out, &subjects[i], i + 1);
        fputs("</main>\n", out);
        html_tail(out);
        free(title);
    }
    for (size_t i = 0; i < opened; i++) {
        scratch_close(&subjects[i].folder);
        plot_close(&subjects[i].plotted);
    }
    free(subjects);
    return status;
}
