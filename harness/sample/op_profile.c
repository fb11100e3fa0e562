/* op_profile: see op_profile.h. */
#include "sample/op_profile.h"

#include "common/json_text.h"

#include <stdlib.h>
#include <string.h>

/* Sums of some entries. */
struct sum {
    uint64_t calls, ns, bytes;
    double flops;
};

bool op_profile_take(struct lb_engine *engine, struct op_profile *p)
{
    const struct lb_profile_entry *entries = lb_engine_profile(engine, &p->count);
    p->entries = malloc((p->count + 1) * sizeof *p->entries);
    p->passes = lb_engine_stats(engine).passes;
    if (p->entries && p->count > 0)
        memcpy(p->entries, entries, p->count * sizeof *p->entries);
    return p->entries != NULL;
}

void op_profile_subtract(struct op_profile *p, const struct op_profile *before)
{
    for (size_t i = 0; i < p->count && i < before->count; i++) {
        p->entries[i].calls -= before->entries[i].calls;
        p->entries[i].ns -= before->entries[i].ns;
        p->entries[i].bytes -= before->entries[i].bytes;
        p->entries[i].flops -= before->entries[i].flops;
    }
    p->passes -= before->passes;
}

void op_profile_free(struct op_profile *p)
{
    free(p->entries);
    *p = (struct op_profile){0};
}

/* ---- tables ---- */

static void add(struct sum *sum, const struct lb_profile_entry *e)
{
    sum->calls += e->calls;
    sum->ns += e->ns;
    sum->bytes += e->bytes;
    sum->flops += e->flops;
}

static bool is(const struct lb_profile_entry *e, const char *op)
{
    return strcmp(e->op, op) == 0;
}

/* The entry is the first of its operation. */
static bool is_first(const struct op_profile *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is(&p->entries[k], p->entries[i].op))
            return false;
    return true;
}

static void print_operations(const struct op_profile *p, double total_ns, FILE *out)
{
    fprintf(out, "%-12s %10s %12s %6s %8s %9s\n", "operation", "calls/pass", "ms/pass", "share",
            "GB/s", "GFLOP/s");
    for (size_t i = 0; i < p->count; i++) {
        struct sum s = {0};
        for (size_t k = i; is_first(p, i) && k < p->count; k++)
            if (is(&p->entries[k], p->entries[i].op))
                add(&s, &p->entries[k]);
        if (s.calls == 0)
            continue;
        double ns = (double)s.ns + 1e-9, passes = (double)p->passes;
        char gbs[32] = "-", gflops[32] = "-";
        if (s.bytes > 0)
            snprintf(gbs, sizeof gbs, "%.2f", (double)s.bytes / ns);
        if (s.flops > 0)
            snprintf(gflops, sizeof gflops, "%.2f", s.flops / ns);
        fprintf(out, "%-12s %10.0f %12.4f %5.1f%% %8s %9s\n", p->entries[i].op,
                (double)s.calls / passes, ns / passes / 1e6, 100 * ns / total_ns, gbs, gflops);
    }
}

static void print_layers(const struct op_profile *p, double total_ns, FILE *out)
{
    int last = -1;
    for (size_t i = 0; i < p->count; i++)
        last = p->entries[i].layer > last ? p->entries[i].layer : last;
    fprintf(out, "%-12s %10s %12s %6s %10s %10s %10s\n", "layer", "", "ms/pass", "share", "acquire",
            "products", "attention");
    for (int layer = -1; layer <= last; layer++) {
        struct sum all = {0}, acquire = {0}, products = {0}, attention = {0};
        char name[16] = "outside";
        if (layer >= 0)
            snprintf(name, sizeof name, "%d", layer);
        for (size_t i = 0; i < p->count; i++) {
            const struct lb_profile_entry *e = &p->entries[i];
            if (e->layer != layer)
                continue;
            add(&all, e);
            if (is(e, "acquire"))
                add(&acquire, e);
            else if (is(e, "attention"))
                add(&attention, e);
            else if (e->bytes > 0 && e->flops > 0)
                add(&products, e);
        }
        double unit = 1e6 * (double)p->passes;
        fprintf(out, "%-12s %10s %12.4f %5.1f%% %10.4f %10.4f %10.4f\n", name, "",
                (double)all.ns / unit, 100 * (double)all.ns / total_ns, (double)acquire.ns / unit,
                (double)products.ns / unit, (double)attention.ns / unit);
    }
}

void op_profile_print(const struct op_profile *p, const char *phase, FILE *out)
{
    struct sum all = {0};
    for (size_t i = 0; i < p->count; i++)
        add(&all, &p->entries[i]);
    if (p->passes == 0 || all.ns == 0)
        return;
    fprintf(out, "%s, %llu pass%s of %.4f ms\n", phase, (unsigned long long)p->passes,
            p->passes == 1 ? "" : "es", (double)all.ns / (double)p->passes / 1e6);
    print_operations(p, (double)all.ns, out);
    print_layers(p, (double)all.ns, out);
}

/* ---- JSON ---- */

json_t *op_profile_json(const struct op_profile *p)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < p->count; i++) {
        const struct lb_profile_entry *e = &p->entries[i];
        if (e->calls == 0)
            continue;
        json_t *entry = json_object();
        json_object_set_new(entry, "op", json_text(e->op));
        json_object_set_new(entry, "layer", json_integer(e->layer));
        json_object_set_new(entry, "calls", json_integer((json_int_t)e->calls));
        json_object_set_new(entry, "ns", json_integer((json_int_t)e->ns));
        json_object_set_new(entry, "bytes", json_integer((json_int_t)e->bytes));
        json_object_set_new(entry, "flops", json_real(e->flops));
        json_array_append_new(list, entry);
    }
    return list;
}
