/*
 * test_budget: settings as units and frames. What the automatic budget gives is accepted, leaves no
 * more unused than it says, and never exceeds what there is.
 */
#include "plan/budget.h"
#include "tests/check.h"

#define MIB ((uint64_t)1 << 20)

/* Layers of 1, 2, 1, 3 MiB, in frames of 64 KiB */
static struct layout *unequal_layers(uint64_t unit_bytes)
{
    static const uint32_t rows[] = {256, 512, 256, 768};
    struct layout_tensor tensors[4];
    uint64_t at = 0;
    for (uint32_t i = 0; i < 4; i++) {
        tensors[i] = (struct layout_tensor){
            .layer = i, .file_offset = at, .row_bytes = 4096, .n_rows = rows[i]};
        at += rows[i] * 4096ul;
    }
    struct layout_options o = {
        .unit_bytes = unit_bytes, .frame_bytes = 65536, .align = 4096, .file_bytes = at};
    struct layout *layout = NULL;
    struct lb_error err = LB_ERROR_INIT;
    CHECK(layout_build(tensors, 4, &o, &layout, &err) == LB_OK, "%s", err.text);
    return layout;
}

static void automatic(uint64_t unit_bytes, uint64_t largest)
{
    struct layout *l = unequal_layers(unit_bytes);
    struct lb_error err = LB_ERROR_INIT;
    struct budget b;
    for (int alone = 0; alone <= 1; alone++)
        for (uint64_t available = 0; available < 40 * MIB; available += MIB / 3) {
            uint64_t taken = available / 7;
            uint64_t got = budget_automatic(l, available, alone, taken);
            CHECK(budget_find(l, 0, got, &b, &err) == LB_OK, "%llu of %llu bytes: %s",
                  (unsigned long long)got, (unsigned long long)available, err.text);
            CHECK(got >= largest && got <= 7 * MIB);
            if (available == 0 || got == largest || got == 7 * MIB)
                continue;
            uint64_t spare = alone ? available / 50 + 16 * MIB : available / 10;
            CHECK(got + taken + spare == available, "what is neither taken nor spare is used");
        }
    CHECK(budget_automatic(l, 100 * MIB, true, 0) == 7 * MIB, "everything, where it fits");
    CHECK(budget_automatic(l, 0, false, 0) == (7 * MIB / 2 > largest ? 7 * MIB / 2 : largest));
    layout_free(l);
}

static void slots(void)
{
    struct layout *l = unequal_layers(LAYOUT_UNIT_LAYER);
    struct lb_error err = LB_ERROR_INIT;
    struct budget b;
    CHECK(budget_find(l, 2, 0, &b, &err) == LB_OK && b.units == 2 && b.frames == 5 * 16,
          "two slots hold the two largest layers");
    CHECK(budget_find(l, 9, 0, &b, &err) == LB_OK && b.frames == budget_all(l), "all of them");
    CHECK(budget_find(l, 0, 3 * MIB - 1, &b, &err) == LB_ERR_INPUT, "less than the largest layer");
    CHECK(budget_distance(l, 2) == 2 && budget_distance(l, 99) == 3);
    layout_free(l);
    l = unequal_layers(2 * MIB);
    CHECK(budget_find(l, 1, 0, &b, &err) == LB_OK && b.units == 0 && b.frames == 2 * 16,
          "a layer of 1.75 MiB on average, and a unit of 2: %llu frames",
          (unsigned long long)b.frames);
    layout_free(l);
}

int main(void)
{
    automatic(LAYOUT_UNIT_LAYER, 3 * MIB);
    automatic(MIB, MIB);
    slots();
    return check_done();
}
