/* raw_paths: see raw_paths.h. */
#include "sample/raw_paths.h"

#include "base/clock.h"
#include "common/array.h"
#include "common/file_io.h"
#include "common/json_text.h"
#include "machine/probe_raw.h"
#include "stats/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DURATION_NS 150000000
#define LIMIT_S     60 /* for a process that measures: then the storage hangs */

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "bandwidth: out of memory");
}

/* Do the reads of such a cell come from storage, and is it not an emulated one? */
static bool has_raw_path(const struct settings *s)
{
    struct lb_choice storage;
    bool cold = strcmp(s->page_cache, "cold") == 0 || s->memory_limit > 0;
    if (s->engine.device_bandwidth > 0 || strcmp(s->engine.prefetch, "resident") == 0)
        return false;
    lb_choice_find("storage", s->engine.storage, &storage);
    return storage.direct || (cold && !storage.copied);
}

/* Equal for cells that read in the same way; malloc. */
static char *name_of(const struct settings *s)
{
    static const char *const names[] = {"storage",    "advice", "queue_depth", "chunk_bytes",
                                        "io_threads", "device", "threads",     "model_copy"};
    size_t count;
    const struct option *table = options_table(&count);
    char *name = strdup("");
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        char text[OPTION_LONGEST];
        const struct option *o = option_find(table, count, names[i]);
        option_format(o, s, text, sizeof text);
        if (!*text)
            continue;
        char *longer = file_text("%s%s%s=%s", name, *name ? "/" : "", o->name, text);
        free(name);
        name = longer;
    }
    return name;
}

/* The path of that name, added when it is new; -1 when out of memory. */
static int path_named(struct raw_paths *paths, char *name, uint32_t cell)
{
    for (size_t k = 0; name && k < paths->count; k++) {
        if (strcmp(paths->list[k].name, name) == 0) {
            free(name);
            return (int)k;
        }
    }
    struct raw_path *path = name ? array_add(&paths->list, &paths->count, sizeof *path) : NULL;
    if (!path) {
        free(name);
        return -1;
    }
    *path = (struct raw_path){.name = name, .cell = cell};
    return (int)(path - paths->list);
}

enum lb_status raw_paths_plan(const struct matrix *matrix, struct raw_paths *paths,
                              struct lb_error *err)
{
    memset(paths, 0, sizeof *paths);
    paths->of_cell = malloc((matrix->count + 1) * sizeof *paths->of_cell);
    if (!paths->of_cell)
        return no_memory(err);
    for (uint32_t i = 0; i < matrix->count; i++) {
        const struct cell *cell = &matrix->cells[i];
        paths->of_cell[i] = -1;
        if (cell->skipped || cell->peer || !has_raw_path(&cell->settings))
            continue;
        paths->of_cell[i] = path_named(paths, name_of(&cell->settings), i);
        if (paths->of_cell[i] < 0)
            return no_memory(err);
    }
    return LB_OK;
}

/* ---- measuring ---- */

struct answer { /* shared with the process that measures */
    struct probe_raw_reading sample;
    struct lb_error err;
};

static enum lb_status measure_in_process(const struct probe_raw_work *work, struct answer *answer,
                                         struct lb_error *err)
{
    int how = 0;
    answer->err = (struct lb_error){LB_ERR_STATE, "the process that measured it ended"};
    pid_t child = fork();
    if (child == 0) {
        struct lb_error mine = LB_ERROR_INIT;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(LIMIT_S);
        probe_raw_measure(work, &answer->sample, &mine);
        answer->err = mine;
        _exit(0);
    }
    if (child < 0)
        return lb_fail(err, LB_ERR_STATE, "bandwidth: %s", strerror(errno));
    while (waitpid(child, &how, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGALRM)
        return lb_fail(err, LB_ERR_IO, "bandwidth: not measured within %d s", LIMIT_S);
    if (answer->err.code != LB_OK)
        return lb_fail(err, answer->err.code, "bandwidth: %s", answer->err.text);
    return LB_OK;
}

static enum lb_status add_sample(struct raw_path *path, struct raw_reading sample,
                                 struct lb_error *err)
{
    struct raw_reading *place = array_add(&path->samples, &path->count, sizeof *place);
    if (place)
        *place = sample;
    return place ? LB_OK : no_memory(err);
}

enum lb_status raw_paths_measure(struct raw_paths *paths, size_t k, const struct matrix *matrix,
                                 const char *model_path, int64_t start_ns, struct lb_error *err)
{
    struct raw_path *path = &paths->list[k];
    const struct settings *s = &matrix->cells[path->cell].settings;
    struct answer *answer =
        mmap(NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    enum lb_status status = answer == MAP_FAILED ? no_memory(err) : LB_OK;
    int64_t begin = lb_now_ns();
    for (int busy = 0; status == LB_OK && busy <= 1; busy++) {
        struct probe_raw_work work = {.path = model_path,
                                      .options = &s->engine,
                                      .start = path->count * (uint64_t)0x9e3779b9,
                                      .duration_ns = DURATION_NS,
                                      .busy_threads = busy ? s->engine.threads : 0};
        int64_t at = start_ns + lb_now_ns() - begin;
        status = measure_in_process(&work, answer, err);
        if (status != LB_OK)
            break;
        snprintf(path->used, sizeof path->used, "%s", answer->sample.used);
        status =
            add_sample(path, (struct raw_reading){at, busy == 1, answer->sample.bandwidth}, err);
    }
    if (answer != MAP_FAILED)
        munmap(answer, sizeof *answer);
    return status;
}

/* ---- what it gives ---- */

static double median_of(const struct raw_path *path, bool busy)
{
    double *values = malloc((path->count + 1) * sizeof *values), median = 0;
    size_t n = 0;
    for (size_t i = 0; values && i < path->count; i++) {
        if (path->samples[i].busy == busy)
            values[n++] = path->samples[i].bandwidth;
    }
    if (n > 0)
        median = stats_median(values, n);
    free(values);
    return median;
}

double raw_paths_bandwidth(const struct raw_paths *paths, const struct matrix *matrix, size_t i,
                           const char **source)
{
    const struct settings *s = &matrix->cells[i].settings;
    *source = NULL;
    if (s->engine.device_bandwidth > 0 && strcmp(s->engine.prefetch, "resident") != 0) {
        uint32_t n = settings_drives(s);
        *source = n > 1 ? "the emulated devices" : "the emulated device";
        return n * s->engine.device_bandwidth;
    }
    if (!paths->of_cell || paths->of_cell[i] < 0)
        return 0;
    const struct raw_path *path = &paths->list[paths->of_cell[i]];
    double best = 0;
    for (size_t k = 0; k < path->count; k++) {
        if (path->samples[k].bandwidth <= best)
            continue;
        best = path->samples[k].bandwidth;
        *source = path->samples[k].busy ? "raw reads, busy cores" : "raw reads, idle cores";
    }
    return best;
}

bool raw_paths_same(const struct raw_paths *paths, size_t a, size_t b)
{
    return paths->of_cell && paths->of_cell[a] >= 0 && paths->of_cell[a] == paths->of_cell[b];
}

json_t *raw_paths_to_json(const struct raw_paths *paths)
{
    json_t *list = json_array();
    for (size_t k = 0; k < paths->count; k++) {
        const struct raw_path *path = &paths->list[k];
        json_t *object = json_object(), *samples = json_array();
        for (size_t i = 0; i < path->count; i++) {
            const struct raw_reading *s = &path->samples[i];
            json_array_append_new(samples,
                                  json_pack("{s:I, s:b, s:f}", "start_ns", (json_int_t)s->start_ns,
                                            "busy", s->busy, "bytes_per_second", s->bandwidth));
        }
        json_object_set_new(object, "path", json_text(path->name));
        json_object_set_new(object, "used", json_text(path->used));
        json_object_set_new(object, "idle", json_real(median_of(path, false)));
        json_object_set_new(object, "busy", json_real(median_of(path, true)));
        json_object_set_new(object, "samples", samples);
        json_array_append_new(list, object);
    }
    return list;
}

static int by_start(const void *a, const void *b)
{
    const struct raw_reading *x = a, *y = b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    return (int)x->busy - (int)y->busy;
}

static bool has_sample(const struct raw_path *path, struct raw_reading s)
{
    for (size_t i = 0; i < path->count; i++)
        if (path->samples[i].start_ns == s.start_ns && path->samples[i].busy == s.busy)
            return true;
    return false;
}

static void take_path(struct raw_path *path, const json_t *list, int64_t shift_ns)
{
    struct lb_error ignored = LB_ERROR_INIT;
    size_t n;
    json_t *sample;
    json_array_foreach(list, n, sample)
    {
        struct raw_reading s = {json_integer_value(json_object_get(sample, "start_ns")) + shift_ns,
                                json_is_true(json_object_get(sample, "busy")),
                                json_number_value(json_object_get(sample, "bytes_per_second"))};
        if (!has_sample(path, s))
            (void)add_sample(path, s, &ignored);
    }
    if (path->count > 0)
        qsort(path->samples, path->count, sizeof *path->samples, by_start);
}

void raw_paths_from_json(struct raw_paths *paths, const json_t *list, int64_t shift_ns)
{
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        const char *name = json_string_value(json_object_get(object, "path"));
        for (size_t k = 0; name && k < paths->count; k++)
            if (strcmp(paths->list[k].name, name) == 0)
                take_path(&paths->list[k], json_object_get(object, "samples"), shift_ns);
    }
}

void raw_paths_free(struct raw_paths *paths)
{
    for (size_t k = 0; k < paths->count; k++) {
        free(paths->list[k].name);
        free(paths->list[k].samples);
    }
    free(paths->list);
    free(paths->of_cell);
    memset(paths, 0, sizeof *paths);
}
