/*
 * probe: raw bandwidth of storage and memory, and what the machine offers.
 *
 * Each cell (back-end x block size x queue depth x idle or busy cores) gets its samples in rounds;
 * each round goes through all cells in another random order (seeded), so that a disk that slows
 * down or a neighbour that wakes up falls on all of them alike.
 */
#include "base/clock.h"
#include "base/output.h"
#include "base/processors.h"
#include "base/random.h"
#include "commands/commands.h"
#include "commands/probe_environment.h"
#include "common/amounts.h"
#include "common/array.h"
#include "common/exit_codes.h"
#include "common/json_text.h"
#include "common/progress.h"
#include "machine/probe_raw.h"
#include "machine/probe_report.h"
#include "settings/cli.h"
#include "storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_MAX = 8, DEPTH_MAX = 1024, BLOCK_MAX = 64 << 20 };

struct numbers {
    size_t count;
    uint32_t list[LIST_MAX];
};

struct names {
    size_t count;
    const char *list[LIST_MAX];
};

struct probe_options {
    const char *file, *dir;
    uint64_t size;
    const char *storage, *block, *depth; /* lists, with commas */
    const char *cores;
    uint32_t threads, io_threads, samples;
    int64_t duration_ns;
    uint64_t seed;
    bool environment, json;
};

struct probe {
    struct probe_options options;
    struct names storages;
    struct numbers blocks, depths;
    struct probe_results results;
    uint64_t position; /* in the file: where the next sample begins */
    int64_t start_ns;
};

#define OWN(field) .offset = offsetof(struct probe_options, field)
static const char *const cores_choices[] = {"both", "idle", "busy", NULL};
static const struct option own[] = {
    {"file", "FILE", "read this file; none: one is written, and removed", OPTION_TEXT, OWN(file)},
    {"dir", "DIR", "where to write it", OPTION_TEXT, OWN(dir)},
    {"size", "SIZE", "how large", OPTION_SIZE, OWN(size), .min = 1 << 20},
    {"storage", "LIST", "back-ends, with commas", OPTION_TEXT, OWN(storage)},
    {"block", "LIST", "bytes of one read", OPTION_TEXT, OWN(block)},
    {"depth", "LIST", "reads in flight", OPTION_TEXT, OWN(depth)},
    {"cores", "STATE", "of the other processors meanwhile", OPTION_CHOICE, OWN(cores),
     .choices = cores_choices},
    {"threads", "N", "busy threads, and most threads that read memory", OPTION_COUNT, OWN(threads),
     .min = 1, .max = 256},
    {"io_threads", "N", "readers of mmap, pread and direct", OPTION_COUNT, OWN(io_threads),
     .min = 1, .max = 256},
    {"samples", "N", "of each", OPTION_COUNT, OWN(samples), .min = 1, .max = 10000},
    {"duration", "TIME", "of one sample", OPTION_DURATION, OWN(duration_ns), .min = 1e6},
    {"seed", "N", "of the order of samples", OPTION_COUNT64, OWN(seed)},
    {"environment", NULL, "measure nothing: print what a result records about this machine",
     OPTION_FLAG, OWN(environment)},
    {"json", NULL, "print JSON", OPTION_FLAG, OWN(json)},
};

/* ---- lists ---- */

/* Calls `add` for each word between commas, until it says no; then *bad is that word. */
static bool each_word(const char *text, bool (*add)(struct probe *probe, const char *word),
                      struct probe *probe, char bad[32])
{
    for (;; text++) {
        size_t n = strcspn(text, ",");
        snprintf(bad, 32, "%.*s", (int)n, text);
        if (n > 31 || !add(probe, bad))
            return false;
        text += n;
        if (*text == '\0')
            return true;
    }
}

static bool add_storage(struct probe *probe, const char *word)
{
    struct names *names = &probe->storages;
    size_t count;
    const struct storage_ops *const *all = storage_list(&count);
    for (size_t i = 0; i < count && names->count < LIST_MAX; i++) {
        if (strcmp(all[i]->name, word) == 0) {
            names->list[names->count++] = all[i]->name;
            return true;
        }
    }
    return false;
}

static bool add_number(struct numbers *numbers, uint64_t value)
{
    if (numbers->count == LIST_MAX)
        return false;
    numbers->list[numbers->count++] = (uint32_t)value;
    return true;
}

static bool add_block(struct probe *probe, const char *word)
{
    uint64_t bytes;
    return amount_parse_size(word, &bytes) && bytes >= STORAGE_ALIGN &&
           bytes % STORAGE_ALIGN == 0 && bytes <= BLOCK_MAX && add_number(&probe->blocks, bytes);
}

static bool add_depth(struct probe *probe, const char *word)
{
    uint64_t depth;
    return amount_parse_count(word, &depth) && depth >= 1 && depth <= DEPTH_MAX &&
           add_number(&probe->depths, depth);
}

static int read_lists(struct probe *probe)
{
    const struct probe_options *o = &probe->options;
    char bad[32];
    if (!each_word(o->storage, add_storage, probe, bad))
        return cli_fail("probe",
                        "--storage: '%s': expected up to %d back-ends of `layerbench "
                        "list storage`, with commas",
                        bad, LIST_MAX);
    if (!each_word(o->block, add_block, probe, bad))
        return cli_fail("probe",
                        "--block: '%s': expected up to %d multiples of 4096 bytes up to "
                        "64MiB, with commas",
                        bad, LIST_MAX);
    if (!each_word(o->depth, add_depth, probe, bad))
        return cli_fail("probe",
                        "--depth: '%s': expected up to %d numbers from 1 to %d, with "
                        "commas",
                        bad, LIST_MAX, DEPTH_MAX);
    return -1;
}

/* ---- the file ---- */

static enum lb_status fill(int fd, uint64_t bytes, uint64_t *words, size_t block,
                           struct lb_error *err)
{
    struct lb_random random = {bytes};
    for (uint64_t at = 0; at < bytes;) {
        for (size_t i = 0; i < block / sizeof *words; i++) /* nothing that a disk could compress */
            words[i] = lb_random_next(&random);
        size_t n = bytes - at < block ? (size_t)(bytes - at) : block;
        ssize_t written = write(fd, words, n);
        if (written <= 0)
            return lb_fail(err, LB_ERR_IO, "cannot write the file to read: %s", strerror(errno));
        at += (uint64_t)written;
    }
    if (fsync(fd) != 0)
        return lb_fail(err, LB_ERR_IO, "cannot sync the file to read: %s", strerror(errno));
    return LB_OK;
}

/* A file without a name, so that nothing is left behind however the probe ends; path[] gets one to
 * open it by. The descriptor is the caller's, -1 on error. */
static int write_file(const struct probe_options *o, char *path, size_t size, struct lb_error *err)
{
    enum { BLOCK = 1 << 20 };
    uint64_t *words = malloc(BLOCK);
    int fd = words ? lb_unnamed_file(o->dir) : -1;
    if (fd < 0) {
        lb_fail(err, LB_ERR_INPUT, "%s: cannot write a file here: %s", o->dir, strerror(errno));
    } else {
        snprintf(path, size, "/proc/self/fd/%d", fd);
        if (fill(fd, o->size, words, BLOCK, err) != LB_OK) {
            close(fd);
            fd = -1;
        }
    }
    free(words);
    return fd;
}

/* ---- cells ---- */

static bool new_cell(struct probe *probe, const char *storage, uint32_t block, uint32_t depth,
                     uint32_t busy_threads)
{
    struct probe_results *r = &probe->results;
    size_t n = probe->options.samples;
    struct probe_cell *cell = array_add(&r->cells, &r->n_cells, sizeof *cell);
    if (!cell)
        return false;
    *cell = (struct probe_cell){.storage = storage,
                                .block_bytes = block,
                                .queue_depth = depth,
                                .busy_threads = busy_threads,
                                .bandwidth = calloc(n, sizeof *cell->bandwidth),
                                .busy_rate = calloc(n, sizeof *cell->busy_rate),
                                .start_ns = calloc(n, sizeof *cell->start_ns)};
    return cell->bandwidth && cell->busy_rate && cell->start_ns;
}

static bool lay_out(struct probe *probe)
{
    const struct probe_options *o = &probe->options;
    bool good = true;
    for (uint32_t n = 1; n < o->threads; n *= 2)
        good = good && new_cell(probe, NULL, 0, 0, n);
    good = good && new_cell(probe, NULL, 0, 0, o->threads);
    for (size_t s = 0; s < probe->storages.count; s++)
        for (size_t b = 0; b < probe->blocks.count; b++)
            for (size_t d = 0; d < probe->depths.count; d++)
                for (int busy = 0; busy < 2; busy++)
                    if (strcmp(o->cores, busy ? "idle" : "busy") != 0)
                        good =
                            good && new_cell(probe, probe->storages.list[s], probe->blocks.list[b],
                                             probe->depths.list[d], busy ? o->threads : 0);
    return good;
}

static void free_cells(struct probe_results *r)
{
    for (size_t i = 0; i < r->n_cells; i++) {
        free(r->cells[i].bandwidth);
        free(r->cells[i].busy_rate);
        free(r->cells[i].start_ns);
    }
    free(r->cells);
}

/* ---- measuring ---- */

static void measure(struct probe *probe, struct probe_cell *cell)
{
    struct lb_options how = lb_options_default();
    struct probe_raw_reading sample;
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status;
    how.storage = cell->storage;
    how.queue_depth = cell->queue_depth;
    how.chunk_bytes = cell->block_bytes;
    how.io_threads = probe->options.io_threads;
    struct probe_raw_work work = {.path = probe->results.file,
                                  .options = &how,
                                  .start = probe->position,
                                  .duration_ns = probe->options.duration_ns,
                                  .busy_threads = cell->busy_threads};
    if (*cell->failed)
        return;
    status = cell->storage
                 ? probe_raw_measure(&work, &sample, &err)
                 : probe_memory_measure(cell->busy_threads, work.duration_ns, &sample, &err);
    if (status != LB_OK) {
        snprintf(cell->failed, sizeof cell->failed, "%.255s", err.text);
        return;
    }
    probe->position += sample.bytes;
    cell->bandwidth[cell->n_samples] = sample.bandwidth;
    cell->busy_rate[cell->n_samples] = sample.busy_rate;
    cell->start_ns[cell->n_samples++] = sample.start_ns - probe->start_ns;
}

/* Samples of all cells, in rounds of shuffled order (Fisher and Yates). */
static bool measure_all(struct probe *probe)
{
    struct probe_results *r = &probe->results;
    struct lb_random random = {r->seed};
    size_t *order = malloc(r->n_cells * sizeof *order);
    if (!order)
        return false;
    struct progress progress = progress_begin("probe");
    for (size_t i = 0; i < r->n_cells; i++)
        order[i] = i;
    for (uint32_t round = 0; round < probe->options.samples; round++) {
        for (size_t i = r->n_cells; i > 1; i--) {
            size_t j = lb_random_below(&random, (uint32_t)i), kept = order[i - 1];
            order[i - 1] = order[j];
            order[j] = kept;
        }
        for (size_t i = 0; i < r->n_cells; i++) {
            measure(probe, &r->cells[order[i]]);
            progress_update(&progress, round * r->n_cells + i + 1,
                            (uint64_t)probe->options.samples * r->n_cells, NULL);
        }
    }
    progress_end(&progress);
    free(order);
    return true;
}

static int report(const struct probe *probe)
{
    const struct probe_results *r = &probe->results;
    if (probe->options.json)
        probe_report_json(r);
    else
        probe_report_text(r);
    for (size_t i = 0; i < r->n_cells; i++)
        if (*r->cells[i].failed)
            return EXIT_FAILED;
    return EXIT_OK;
}

/* With r->file there. */
static int probe_file(struct probe *probe)
{
    struct probe_results *r = &probe->results;
    struct stat st;
    if (stat(r->file, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return cli_fail("probe", "%s: expected a file that is not empty", r->file);
    r->file_bytes = (uint64_t)st.st_size;
    r->seed = probe->options.seed;
    r->threads = probe->options.threads;
    probe_machine_look(r->file, &r->machine);
    if (!lay_out(probe) || !measure_all(probe)) {
        cli_fail("probe", "out of memory");
        return EXIT_FAILED;
    }
    return report(probe);
}

static struct probe_options defaults(void)
{
    return (struct probe_options){.dir = ".",
                                  .size = (uint64_t)1 << 30,
                                  .storage = "uring,direct,pread,mmap",
                                  .block = "256KiB,1MiB,4MiB",
                                  .depth = "4,32",
                                  .cores = "both",
                                  .threads = lb_processors_usable(),
                                  .io_threads = lb_options_default().io_threads,
                                  .samples = 5,
                                  .duration_ns = 100000000,
                                  .seed = 1};
}

int command_probe(int argc, char **argv)
{
    struct probe probe = {.options = defaults(), .start_ns = lb_now_ns()};
    struct cli cli = {
        "probe", "[options]",
        "Measures how fast storage and memory can be read here, with idle and with\n"
        "busy cores, and says what else streaming could use: io_uring, O_DIRECT, huge\n"
        "pages, a memory limit. Files read through the page cache are read cold.",
        CLI_OWN(own, &probe.options)};
    int code = cli_parse(&cli, &argc, argv);
    if (code < 0)
        code = argc > 1 ? cli_fail("probe", "'%s': expected options only", argv[1])
                        : read_lists(&probe);
    if (code >= 0)
        return code;
    if (probe.options.environment)
        return probe_environment(probe.options.file, probe.options.dir, probe.options.json);
    struct lb_error err = LB_ERROR_INIT;
    if (probe.options.json && json_can_name(probe.options.file, "the output", &err) != LB_OK)
        return cli_fail("probe", "%s", err.text);
    char path[4096];
    int fd = -1;
    probe.results.file = probe.options.file;
    if (!probe.options.file) {
        fd = write_file(&probe.options, path, sizeof path, &err);
        probe.results.file = path;
        probe.results.written_in = probe.options.dir;
    }
    code = err.code == LB_OK ? probe_file(&probe) : cli_fail("probe", "%s", err.text);
    if (fd >= 0)
        close(fd);
    free_cells(&probe.results);
    return code;
}
