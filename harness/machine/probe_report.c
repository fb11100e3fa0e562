/* probe_report: see probe_report.h. */
#include "machine/probe_report.h"

#include "common/amounts.h"
#include "common/json_text.h"
#include "stats/stats.h"

#include <stdio.h>

static struct stats_summary spread_of(const double *x, uint32_t n)
{
    struct stats_summary s = {.n = 0};
    if (n > 0)
        (void)stats_summarise(x, n, &s);
    return s;
}

/* What the busy threads still did beside the reads, as a share of what they do alone; < 0: there
 * is nothing to say. */
static double compute_share(const struct probe_results *r, const struct probe_cell *cell)
{
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct probe_cell *alone = &r->cells[i];
        if (!alone->storage && alone->busy_threads == cell->busy_threads && alone->n_samples &&
            cell->n_samples && cell->busy_threads)
            return spread_of(cell->busy_rate, cell->n_samples).median /
                   spread_of(alone->bandwidth, alone->n_samples).median;
    }
    return -1;
}

/* ---- text ---- */

static void print_offer(const char *name, const struct probe_offer *offer)
{
    printf("  %-14s %-4s %s\n", name, offer->available ? "yes" : "no", offer->about);
}

static void print_spread(const double *x, uint32_t n)
{
    struct stats_summary s = spread_of(x, n);
    char median[32], range[80];
    snprintf(median, sizeof median, "%.3g GB/s", s.median * 1e-9);
    snprintf(range, sizeof range, "(%.3g to %.3g)", s.min * 1e-9, s.max * 1e-9);
    printf("%11s %-16s", median, range);
}

static void print_cell(const struct probe_results *r, const struct probe_cell *c)
{
    char block[32];
    amount_format_size(c->block_bytes, block, sizeof block);
    printf("  %-8s %8s %6u  %-5s ", c->storage, block, c->queue_depth,
           c->busy_threads ? "busy" : "idle");
    if (c->n_samples)
        print_spread(c->bandwidth, c->n_samples);
    double share = compute_share(r, c);
    if (share >= 0)
        printf(" %7.0f %%", share * 100);
    if (*c->failed)
        printf("  failed: %s", c->failed);
    putchar('\n');
}

void probe_report_text(const struct probe_results *r)
{
    char size[32];
    bool storage = false;
    printf("file: %s%s, %s\n\navailable here:\n", r->written_in ? "a new one in " : "",
           r->written_in ? r->written_in : r->file,
           amount_human_size((double)r->file_bytes, size, sizeof size));
    print_offer("io_uring", &r->machine.io_uring);
    print_offer("O_DIRECT", &r->machine.o_direct);
    print_offer("huge pages", &r->machine.huge_pages);
    print_offer("memory limit", &r->machine.memory_limit);
    printf("\nmedians (least to most) of %u samples, order shuffled with seed %llu\n",
           r->n_cells ? r->cells[0].n_samples : 0, (unsigned long long)r->seed);
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct probe_cell *c = &r->cells[i];
        if (!c->storage) {
            printf("%s  %2u thread%s ", i ? "" : "\nmemory, read:\n", c->busy_threads,
                   c->busy_threads > 1 ? "s" : " ");
            print_spread(c->bandwidth, c->n_samples);
            putchar('\n');
            continue;
        }
        if (!storage)
            printf(
                "\nstorage, read (busy: %u threads stream memory; compute: what they still do):\n"
                "  %-8s %8s %6s  %-5s %11s %-16s %9s\n",
                r->threads, "storage", "block", "depth", "cores", "bandwidth", "", "compute");
        storage = true;
        print_cell(r, c);
    }
}

/* ---- JSON ---- */

static json_t *offer_as_json(const struct probe_offer *offer)
{
    json_t *object = json_object();
    json_object_set_new(object, "available", json_boolean(offer->available));
    json_object_set_new(object, "about", json_text(offer->about));
    return object;
}

static json_t *numbers(const double *x, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(x[i]));
    return list;
}

static json_t *cell_as_json(const struct probe_results *r, const struct probe_cell *c)
{
    json_t *object = json_object(), *starts = json_array();
    double share = compute_share(r, c);
    if (c->storage) {
        json_object_set_new(object, "storage", json_text(c->storage));
        json_object_set_new(object, "used", json_text(c->n_samples ? c->storage : ""));
        json_object_set_new(object, "block_bytes", json_integer(c->block_bytes));
        json_object_set_new(object, "queue_depth", json_integer(c->queue_depth));
    }
    json_object_set_new(object, c->storage ? "busy_threads" : "threads",
                        json_integer(c->busy_threads));
    for (uint32_t i = 0; i < c->n_samples; i++)
        json_array_append_new(starts, json_integer(c->start_ns[i]));
    json_object_set_new(object, "start_ns", starts);
    json_object_set_new(object, "bandwidth", numbers(c->bandwidth, c->n_samples));
    json_object_set_new(object, "median",
                        c->n_samples ? json_real(spread_of(c->bandwidth, c->n_samples).median)
                                     : json_null());
    if (c->storage)
        json_object_set_new(object, "compute_share", share >= 0 ? json_real(share) : json_null());
    json_object_set_new(object, "failed", *c->failed ? json_text(c->failed) : json_null());
    return object;
}

void probe_report_json(const struct probe_results *r)
{
    json_t *root = json_object(), *available = json_object();
    json_t *memory = json_array(), *storage = json_array();
    json_object_set_new(root, "file", json_text(r->written_in ? NULL : r->file));
    json_object_set_new(root, "written_in", json_text(r->written_in));
    json_object_set_new(root, "file_bytes", json_integer((json_int_t)r->file_bytes));
    json_object_set_new(root, "seed", json_integer((json_int_t)r->seed));
    json_object_set_new(available, "io_uring", offer_as_json(&r->machine.io_uring));
    json_object_set_new(available, "o_direct", offer_as_json(&r->machine.o_direct));
    json_object_set_new(available, "huge_pages", offer_as_json(&r->machine.huge_pages));
    json_object_set_new(available, "memory_limit", offer_as_json(&r->machine.memory_limit));
    json_object_set_new(root, "available", available);
    for (size_t i = 0; i < r->n_cells; i++)
        json_array_append_new(r->cells[i].storage ? storage : memory,
                              cell_as_json(r, &r->cells[i]));
    json_object_set_new(root, "memory", memory);
    json_object_set_new(root, "storage", storage);
    json_dumpf(root, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(root);
}
