/*
 * draw: data, scripts and pictures of a result. See draw.h.
 *
 * Steps: 1. read the result, and its log of accesses; 2. let each figure write its table;
 * 3. write NAME.dat and NAME.gp (caption, style and script in one); 4. run gnuplot on all of them,
 * as many at a time as there are processors, into a folder of its own; 5. what is whole there takes
 * its place.
 */
#include "figure/draw.h"

#include "base/processors.h"
#include "common/file_io.h"
#include "common/folder_lock.h"
#include "common/scratch.h"
#include "common/sha256.h"
#include "figure/plot_scripts.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPTION_LINES 4
#define CAPTION_WIDTH 80 /* characters of the small font across a figure */

/* ---- captions ---- */

/* gnuplot's single quotes protect everything but themselves; control characters have no place. */
static const char *quoted(struct result_view *view, const char *text)
{
    char *out = view_alloc(view, 2 * strlen(text) + 3, 1), *o = out;
    *o++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            *o++ = '\'';
        *o++ = (unsigned char)*text < ' ' ? ' ' : *text;
    }
    *o = '\'';
    return out;
}

/* Parts joined by "; ", broken into at most CAPTION_LINES lines where they get too long. */
static void wrap_caption(struct result_view *view, const char *const *parts, size_t n,
                         const char *lines[CAPTION_LINES])
{
    size_t line = 0;
    for (size_t i = 0; i < CAPTION_LINES; i++)
        lines[i] = "";
    for (size_t i = 0; i < n; i++) {
        if (!parts[i] || !*parts[i])
            continue;
        bool full = *lines[line] && strlen(lines[line]) + strlen(parts[i]) + 2 > CAPTION_WIDTH;
        if (full && line + 1 < CAPTION_LINES)
            line++;
        lines[line] = view_text(view, "%s%s%s", lines[line], *lines[line] ? "; " : "", parts[i]);
    }
    for (line = 0; line < CAPTION_LINES; line++)
        if (strlen(lines[line]) > CAPTION_WIDTH)
            lines[line] = view_text(view, "%.*s...", CAPTION_WIDTH - 3, lines[line]);
}

/* "C=" or "d=" at the beginning of a word. */
static bool has_letter(const char *name, size_t length, const char *letter)
{
    const char *at = memmem(name, length, letter, 2);
    return at && (at == name || at[-1] == ' ');
}

/* What the letters of cells' names stand for, those that stand in the table's first column. */
static const char *letters(struct result_view *view, const char *data)
{
    bool c = false, d = false;
    for (const char *line = data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *name = *line == '"' ? line + 1 : "", *end = name + strcspn(name, "\"\n");
        c |= has_letter(name, (size_t)(end - name), "C=");
        d |= has_letter(name, (size_t)(end - name), "d=");
    }
    bool layers = view->cache_unit && strcmp(view->cache_unit, "layers") == 0;
    return view_text(view, "%s%s%s",
                     !c       ? ""
                     : layers ? "C: layers in the cache"
                              : "C: size of the cache",
                     c && d ? ", " : "", d ? "d: layers prefetched ahead" : "");
}

static const char *data_hash(struct result_view *view, const char *data, size_t length)
{
    struct sha256 hash;
    char hex[65];
    sha256_begin(&hash);
    sha256_add(&hash, data, length);
    sha256_end(&hash, hex);
    return view_text(view, "data %.12s", hex);
}

/* ---- files ---- */

static const char *script_of(struct result_view *view, const struct figure_input *in,
                             const char *name, const char *const lines[CAPTION_LINES],
                             const char *formats)
{
    const char *body = plot_script(name), *load = strstr(body, "\nload ARG0");
    assert(load); /* every script loads the style, which takes the place of that line */
    const char *rest = strchr(load + 1, '\n');
    return view_text(view,
                     "#!/usr/bin/env gnuplot\n"
                     "# Drawn from %s.dat by `gnuplot %s.gp` in this folder.\n"
                     "formats = '%s'\n"
                     "caption1 = %s\ncaption2 = %s\ncaption3 = %s\ncaption4 = %s\n%s\n%.*s\n%s%s",
                     name, name, formats, quoted(view, lines[0]), quoted(view, lines[1]),
                     quoted(view, lines[2]), quoted(view, lines[3]), in->settings,
                     (int)(load + 1 - body), body, plot_script("style"), rest);
}

/* Its pictures, or all of it. */
static void remove_figure(struct result_view *view, const char *dir, const char *name,
                          bool pictures)
{
    static const char *const endings[] = {"svg", "png", "pdf", "dat", "gp"};
    for (size_t i = 0; i < (pictures ? 3 : sizeof endings / sizeof *endings); i++)
        unlink(view_text(view, "%s/%s.%s", dir, name, endings[i]));
}

/* Data and script, in p->dir; p->outcomes has room for one more. What is left out is not there. */
static enum lb_status write_figure(struct plotted *p, struct figure_input *in,
                                   const struct figure *figure, const struct plot_options *options,
                                   struct lb_error *err)
{
    struct result_view *view = in->view;
    struct plot_outcome *outcome = &p->outcomes[p->n_outcomes++];
    *outcome = (struct plot_outcome){.figure = figure, .caption = "", .reading = ""};
    char *data = NULL;
    size_t length = 0;
    in->name = figure->name;
    in->note = in->legend = in->reading = in->runs = in->settings = "";
    FILE *stream = open_memstream(&data, &length);
    if (!stream)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory");
    outcome->left_out = figure->write(in, stream);
    if (fclose(stream) != 0) {
        free(data);
        return lb_fail(err, LB_ERR_NOMEM, "out of memory");
    }
    outcome->reading = in->reading;
    enum lb_status status = LB_OK;
    if (outcome->left_out) {
        remove_figure(view, p->dir, figure->name, false);
    } else {
        const char *parts[] = {
            *view->scenario ? view_text(view, "scenario %s", view->scenario) : "",
            view->routing,
            in->runs,
            in->note,
            in->log && in->log->n_damaged
                ? view_text(view, "%zu damaged lines of the log left out", in->log->n_damaged)
                : "",
            in->legend,
            letters(view, data),
            view->machine,
            *view->revision ? view_text(view, "git %s", view->revision) : "",
            data_hash(view, data, length),
        };
        const char *lines[CAPTION_LINES];
        wrap_caption(view, parts, sizeof parts / sizeof *parts, lines);
        outcome->caption =
            view_text(view, "%s\n%s\n%s\n%s", lines[0], lines[1], lines[2], lines[3]);
        const char *formats = options->svg_only ? "svg" : "svg png pdf";
        const char *script = script_of(view, in, figure->name, lines, formats);
        status =
            file_replace(view_text(view, "%s/%s.dat", p->dir, figure->name), data, length, err);
        if (status == LB_OK)
            status = file_replace(view_text(view, "%s/%s.gp", p->dir, figure->name), script,
                                  strlen(script), err);
    }
    free(data);
    return status;
}

/* ---- gnuplot ---- */

enum { EXIT_NO_GNUPLOT = 127, EXIT_NO_EXEC = 126 };

struct drawing {
    pid_t pid;          /* 0: not running */
    const char *folder; /* where gnuplot draws */
    bool svg_only;
    FILE *messages;
    struct plot_outcome *outcome;
};

/* The same data gives the same figure for everyone: nothing of the user's settings gets in. */
static void forget_settings(void)
{
    extern char **environ;
    static const char *const others[] = {"GDFONTPATH", "FIT_LOG", "FIT_SCRIPT"};
    for (char **e = environ; *e;) {
        char *name = strncmp(*e, "GNU", 3) == 0 ? strndup(*e, strcspn(*e, "=")) : NULL;
        e = name && unsetenv(name) == 0 ? environ : e + 1;
        free(name);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        unsetenv(others[i]);
    setenv("LC_ALL", "C.UTF-8", 1);
}

static enum lb_status start_gnuplot(struct drawing *d, struct plotted *p,
                                    struct plot_outcome *outcome, struct lb_error *err)
{
    /* it draws into the folder where it is; a path in `out` could have characters of its own */
    const char *name = outcome->figure->name;
    char *dir = realpath(p->dir, NULL);
    if (!dir)
        return lb_fail(err, LB_ERR_IO, "%s: %s", p->dir, strerror(errno));
    const char *script = view_text(&p->view, "%s/%s.gp", dir, name);
    const char *data = quoted(&p->view, view_text(&p->view, "%s/%s.dat", dir, name));
    data = view_text(&p->view, "data = %s", data);
    free(dir);
    d->outcome = outcome;
    int messages = memfd_create("messages", MFD_CLOEXEC);
    d->messages = messages >= 0 ? fdopen(messages, "w+") : NULL;
    if (!d->messages)
        return lb_fail(err, LB_ERR_STATE, "no file for gnuplot's messages: %s", strerror(errno));
    d->pid = fork();
    if (d->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        forget_settings();
        if (chdir(d->folder) == 0 && dup2(fileno(d->messages), 1) >= 0 &&
            dup2(fileno(d->messages), 2) >= 0)
            execlp("gnuplot", "gnuplot", "-d", "-e", data, script, (char *)NULL);
        _exit(errno == ENOENT ? EXIT_NO_GNUPLOT : EXIT_NO_EXEC);
    }
    if (d->pid > 0)
        return LB_OK;
    d->pid = 0;
    fclose(d->messages);
    return lb_fail(err, LB_ERR_STATE, "cannot start gnuplot: %s", strerror(errno));
}

/* A PDF says when it was made; without that the same data gives the same bytes (Cairo from 1.18 on
 * compresses it: it stays). */
static void drop_date(char *text, size_t length)
{
    static const char mark[] = "/CreationDate (D:", digits[] = "19700101000000";
    char *date = memmem(text, length, mark, strlen(mark));
    if (date && (size_t)(text + length - date) > strlen(mark) + strlen(digits))
        memcpy(date + strlen(mark), digits, strlen(digits));
}

/* gnuplot does not notice that it cannot write: the end of the picture has to be there. */
static bool is_whole(const char *text, size_t length, const char *end)
{
    enum { TAIL = 64 };
    size_t tail = length < TAIL ? length : TAIL;
    return memmem(text + length - tail, tail, end, strlen(end)) != NULL;
}

/* The pictures, from where gnuplot drew them to where they belong. */
static enum lb_status take_pictures(const struct drawing *d, struct plotted *p,
                                    struct lb_error *err)
{
    static const struct {
        const char *ending, *end;
    } kinds[] = {{"svg", "</svg>"}, {"png", "IEND"}, {"pdf", "%%EOF"}};
    const char *name = d->outcome->figure->name;
    enum lb_status status = LB_OK;
    for (size_t i = 0; i < (d->svg_only ? 1 : sizeof kinds / sizeof *kinds); i++) {
        const char *from = view_text(&p->view, "%s/%s.%s", d->folder, name, kinds[i].ending);
        const char *to = view_text(&p->view, "%s/%s.%s", p->dir, name, kinds[i].ending);
        char *text = NULL;
        size_t length = 0;
        status = file_read(from, &text, &length, err);
        if (status == LB_OK && !is_whole(text, length, kinds[i].end))
            status = lb_fail(err, LB_ERR_IO,
                             "%s: cannot write: gnuplot wrote a part of it (is %s full?)", to,
                             d->folder);
        if (status == LB_OK && i == 2)
            drop_date(text, length);
        if (status == LB_OK)
            status = file_replace(to, text, length, err);
        free(text);
        unlink(from);
        if (status != LB_OK)
            break;
    }
    return status;
}

/* Its first error: the line that names a line of the script, or the first that says anything. */
static const char *first_message(struct plotted *p, FILE *messages)
{
    const char *said = "";
    rewind(messages);
    for (char line[300]; fgets(line, sizeof line, messages);) {
        bool names_line = line[0] == '"' && strstr(line, "\" line ");
        if (strspn(line, " \n^") == strlen(line) || (*said && !names_line))
            continue;
        said = view_text(&p->view, "%.*s", (int)strcspn(line, "\n"), line);
        if (names_line)
            break;
    }
    return said;
}

/* A figure that gnuplot fails on is left out and says why; without gnuplot all fail. */
static enum lb_status end_gnuplot(struct drawing *d, struct plotted *p, struct lb_error *err)
{
    struct lb_error why = LB_ERROR_INIT;
    int state = 0;
    while (waitpid(d->pid, &state, 0) < 0 && errno == EINTR)
        ;
    bool drawn = WIFEXITED(state) && WEXITSTATUS(state) == 0;
    if (drawn && take_pictures(d, p, &why) == LB_OK) {
        p->n_drawn++;
    } else {
        const char *said = drawn ? why.text : first_message(p, d->messages);
        d->outcome->left_out =
            drawn   ? view_text(&p->view, "%s", said)
            : *said ? view_text(&p->view, "gnuplot failed: %s", said)
            : WIFSIGNALED(state)
                ? view_text(&p->view, "gnuplot was killed by signal %d", WTERMSIG(state))
                : "gnuplot could not be run";
        d->outcome->failed = true;
        remove_figure(&p->view, p->dir, d->outcome->figure->name, true);
        p->n_failed++;
    }
    fclose(d->messages);
    d->pid = 0;
    if (WIFEXITED(state) && WEXITSTATUS(state) == EXIT_NO_GNUPLOT)
        return lb_fail(err, LB_ERR_UNSUPPORTED,
                       "gnuplot is not installed (Debian: gnuplot-nox); data and scripts are "
                       "written, `gnuplot NAME.gp` draws them");
    return LB_OK;
}

static enum lb_status draw_all(struct plotted *p, const char *folder, bool svg_only,
                               struct lb_error *err)
{
    enum { MOST = 8 };
    struct drawing running[MOST] = {{0}};
    uint32_t processors = lb_processors_usable();
    size_t slots = processors > MOST ? MOST : processors, next = 0;
    enum lb_status status = LB_OK;
    for (size_t i = 0; i < p->n_outcomes && status == LB_OK; i++) {
        if (p->outcomes[i].left_out)
            continue;
        struct drawing *d = &running[next++ % slots];
        if (d->pid)
            status = end_gnuplot(d, p, err);
        d->folder = folder;
        d->svg_only = svg_only;
        if (status == LB_OK)
            status = start_gnuplot(d, p, &p->outcomes[i], err);
    }
    for (size_t i = 0; i < slots; i++) {
        enum lb_status ended = running[i].pid ? end_gnuplot(&running[i], p, err) : LB_OK;
        status = status == LB_OK ? ended : status;
    }
    return status;
}

static enum lb_status draw_in_scratch(struct plotted *p, const struct plot_options *options,
                                      struct lb_error *err)
{
    struct scratch scratch = {NULL, -1, 0};
    enum lb_status status = scratch_open(p->dir, &scratch, err);
    if (status == LB_OK)
        status = draw_all(p, scratch.path, options->svg_only, err);
    scratch_close(&scratch);
    return status;
}

/* ---- a result ---- */

/* A cell that is chosen, as long as its accesses take no more memory than is good. */
static bool is_chosen(void *ctx, size_t cell)
{
    struct figure_input *in = ctx;
    if (!in->view->document) { /* only the log knows the cells: the first ones */
        while (in->n_chosen < FIGURE_CHOSEN && in->n_chosen < in->view->n_cells) {
            in->chosen[in->n_chosen] = in->n_chosen;
            in->n_chosen++;
        }
    }
    for (size_t i = 0; i < in->n_chosen; i++)
        if (in->chosen[i] == cell)
            return in->n_events[i]++ < FIGURE_EVENTS;
    return false;
}

static void note_left_out(struct figure_input *in)
{
    for (size_t i = 0; i < in->n_chosen; i++)
        if (in->n_events[i] > FIGURE_EVENTS)
            view_note(in->view, "%s: figures of single accesses show the first %d of %zu",
                      in->view->cells[in->chosen[i]].name, FIGURE_EVENTS, in->n_events[i]);
}

static enum lb_status write_all(struct plotted *p, struct figure_input *in,
                                const struct plot_options *options, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    p->outcomes = view_alloc(&p->view, n_figures, sizeof *p->outcomes);
    for (size_t i = 0; i < n_figures && status == LB_OK; i++) {
        bool fits = (in->comparison != NULL) == (figures[i].write == figure_comparison);
        if (options->only ? strcmp(options->only, figures[i].name) != 0 : !fits)
            continue;
        status = write_figure(p, in, &figures[i], options, err);
    }
    return status;
}

enum lb_status plot_result(const char *path, const struct plot_options *options,
                           struct plotted *plotted, struct lb_error *err)
{
    *plotted = (struct plotted){.dir = NULL};
    struct result_view *view = &plotted->view;
    struct access_log log = {.events = NULL};
    struct figure_input in = {.view = view, .option = options->option, .metric = options->metric};
    enum lb_status status = view_open(path, view, err);
    if (status != LB_OK)
        return status;
    plotted->dir = options->out_dir ? options->out_dir : view_text(view, "%s/plots", view->dir);
    in.comparison = json_object_get(view->root, "comparisons");
    if (!in.comparison) {
        struct lb_error log_error = LB_ERROR_INIT;
        figure_choose(&in);
        if (access_log_read(view, is_chosen, &in, &log, &log_error) == LB_OK) {
            in.log = &log;
            note_left_out(&in);
        } else {
            view_note(view, "%s", log_error.text);
        }
    }
    status = file_make_directory(plotted->dir, err);
    int lock = status == LB_OK ? folder_lock_wait(plotted->dir, "draws") : -1;
    if (status == LB_OK)
        status = write_all(plotted, &in, options, err);
    if (status == LB_OK)
        status = draw_in_scratch(plotted, options, err);
    folder_unlock(&lock);
    access_log_close(&log);
    return status;
}

static const char *write_table(struct figure_input *in, FILE *data)
{
    fputs(in->table->data, data);
    in->note = in->table->note;
    in->settings = in->table->settings;
    return NULL;
}

enum lb_status plot_tables(const struct plot_table *tables, size_t n,
                           const struct plot_options *options, struct plotted *plotted,
                           struct lb_error *err)
{
    struct result_view *view = &plotted->view;
    *plotted = (struct plotted){.dir = options->out_dir ? options->out_dir : "plots"};
    *view = VIEW_EMPTY;
    struct figure_input in = {.view = view};
    enum lb_status status = file_make_directory(plotted->dir, err);
    int lock = status == LB_OK ? folder_lock_wait(plotted->dir, "draws") : -1;
    plotted->outcomes = view_alloc(view, n, sizeof *plotted->outcomes);
    for (size_t i = 0; i < n && status == LB_OK; i++) {
        struct figure *figure = view_alloc(view, 1, sizeof *figure);
        *figure = (struct figure){tables[i].name, write_table};
        if (options->only && strcmp(options->only, figure->name) != 0)
            continue;
        in.table = &tables[i];
        status = write_figure(plotted, &in, figure, options, err);
    }
    if (status == LB_OK && plotted->n_outcomes == 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: no figure of a trace", options->only);
    if (status == LB_OK)
        status = draw_in_scratch(plotted, options, err);
    folder_unlock(&lock);
    return status;
}

void plot_close(struct plotted *plotted)
{
    view_close(&plotted->view);
}
