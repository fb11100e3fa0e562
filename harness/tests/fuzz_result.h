/* fuzz_result: a result's folder for the fuzz targets that read one, and everything that is made of
 * it: view and log, the data of every figure, the page, traces, a comparison, predictions. */
#ifndef FUZZ_RESULT_H
#define FUZZ_RESULT_H

#include "figure/figure.h"
#include "gate/compare_rows.h"
#include "predict/simulate_against.h"
#include "report/page.h"
#include "report/trace_events.h"
#include "tests/fuzz_input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char fuzz_dir[64];

/* No processes: what removes scratch folders and what draws is not what is looked at, and a fork
 * takes longer than everything else. */
pid_t fork(void);
pid_t fork(void)
{
    errno = EAGAIN;
    return -1;
}

static inline void fuzz_remove_dir(void)
{
    static const char *const names[] = {"result.json", "layers.jsonl", "samples.jsonl"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", fuzz_dir, names[i]);
        unlink(path);
    }
    rmdir(fuzz_dir);
}

/* NULL data: no such file. */
static inline void fuzz_put(const char *name, const void *data, size_t size)
{
    char path[128];
    if (!*fuzz_dir) {
        snprintf(fuzz_dir, sizeof fuzz_dir, "%s/layerbench-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_CHECK(mkdtemp(fuzz_dir));
        atexit(fuzz_remove_dir);
        setenv("TMPDIR", fuzz_dir, 1); /* in memory, where nothing waits for a disk */
        FUZZ_CHECK(freopen("/dev/null", "w", stdout));
    }
    snprintf(path, sizeof path, "%s/%s", fuzz_dir, name);
    if (!data) {
        unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static inline bool fuzz_every_cell(void *ctx, size_t cell)
{
    (void)ctx, (void)cell;
    return true;
}

static inline void fuzz_figures(FILE *out)
{
    struct result_view view;
    struct access_log log = {.events = NULL};
    struct lb_error err = LB_ERROR_INIT, no_log = LB_ERROR_INIT;
    enum lb_status status = view_open(fuzz_dir, &view, &err);
    fuzz_check_error(status, &err);
    if (status != LB_OK)
        return;
    struct figure_input in = {.view = &view};
    figure_choose(&in);
    if (access_log_read(&view, fuzz_every_cell, NULL, &log, &no_log) == LB_OK)
        in.log = &log;
    for (size_t i = 0; i < n_figures; i++) {
        in.note = in.legend = in.reading = in.runs = in.settings = "";
        const char *why = figures[i].write(&in, out);
        FUZZ_CHECK(!why || *why);
    }
    access_log_close(&log);
    view_close(&view);
}

static inline void fuzz_compare(void)
{
    struct result_set sets[2] = {{.count = 0}, {.count = 0}};
    struct comparison comparison = {0};
    struct gate_rule rule = gate_rule_default();
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status = result_set_read(fuzz_dir, &sets[0], &err);
    if (status == LB_OK)
        status = result_set_read(fuzz_dir, &sets[1], &err);
    fuzz_check_error(status, &err);
    if (status == LB_OK)
        FUZZ_CHECK(compare_sets(&rule, &sets[0], &sets[1], &comparison));
    compare_free(&comparison);
    result_set_free(&sets[0]);
    result_set_free(&sets[1]);
}

static inline void fuzz_read_result(void)
{
    static FILE *out;
    struct sim_checks checks = {.count = 0};
    struct trace_options options = {NULL, -1};
    char *paths[] = {fuzz_dir};
    struct lb_error err = LB_ERROR_INIT;
    if (!out)
        FUZZ_CHECK((out = fopen("/dev/null", "w")));
    fuzz_figures(out);
    fuzz_check_error(report_write(paths, 1, out, out, &err), &err);
    err = (struct lb_error)LB_ERROR_INIT;
    fuzz_check_error(trace_write(fuzz_dir, &options, out, &err), &err);
    err = (struct lb_error)LB_ERROR_INIT;
    fuzz_check_error(trace_write_folded(fuzz_dir, &options, out, &err), &err);
    fuzz_compare();
    err = (struct lb_error)LB_ERROR_INIT;
    enum lb_status status = sim_check_result(fuzz_dir, &checks, &err);
    fuzz_check_error(status, &err);
    sim_checks_free(&checks);
}

#endif
