/* test_matrix: cells, names, exclusions, clamping, references, order. */
#include "study/matrix.h"
#include "study/scenario_file.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <unistd.h>

static void read_scenario(const char *matrix, const char *more, struct scenario *s)
{
    char path[TEMPORARY_PATH];
    struct lb_error err = LB_ERROR_INIT;
    int fd = temporary_file(path);
    dprintf(fd,
            "{\"name\": \"x\", \"about\": \"y\", \"model\": {\"path\": \"m\"}, "
            "\"matrix\": %s %s}",
            matrix, more);
    close(fd);
    CHECK(scenario_read(path, s, &err) == LB_OK, "%s", err.text);
    unlink(path);
    if (err.code != LB_OK)
        exit(1);
}

static void build(const char *matrix, const char *more, uint32_t n_layers, struct scenario *s,
                  struct matrix *m)
{
    struct lb_error err = LB_ERROR_INIT;
    read_scenario(matrix, more, s);
    CHECK(matrix_build(s, n_layers, m, &err) == LB_OK, "%s", err.text);
}

static void test_product(void)
{
    struct scenario s;
    struct matrix m;
    build("{\"prefetch\": [\"sync\", \"async\"], \"cache_layers\": [2, 4, 6]}",
          ", \"fixed\": {\"threads\": 3}, \"exclude\": [{\"prefetch\": \"sync\", "
          "\"cache_layers\": 4}]",
          12, &s, &m);
    static const char *const names[] = {
        "prefetch=sync/cache_layers=2", "prefetch=sync/cache_layers=6",
        "prefetch=async/cache_layers=2", "prefetch=async/cache_layers=4",
        "prefetch=async/cache_layers=6"};
    CHECK(m.count == 5, "%zu cells", m.count);
    for (size_t i = 0; i < m.count && i < 5; i++) {
        CHECK_TEXT(m.cells[i].name, names[i]);
        CHECK(m.cells[i].settings.engine.threads == 3, "fixed option");
    }
    CHECK(m.cells[2].settings.engine.cache_layers == 2, "value");
    CHECK(m.n_notes == 0, "no note");
    matrix_free(&m);
    scenario_free(&s);
}

static void test_clamping(void)
{
    struct scenario s;
    struct matrix m;
    build("{\"cache_layers\": [2, 8, 16]}", "", 5, &s, &m);
    CHECK(m.count == 2, "%zu cells: 8 and 16 are both 5", m.count);
    CHECK_TEXT(m.cells[1].name, "cache_layers=5");
    CHECK(m.cells[1].settings.engine.cache_layers == 5, "clamped");
    CHECK(m.n_notes == 2, "%zu notes", m.n_notes);
    CHECK_TEXT(m.notes[0], "cache_layers=8: cache_layers clamped to the model's 5 layers");
    CHECK_TEXT(m.notes[1], "cache_layers=16: cache_layers clamped to the model's 5 layers: the "
                           "same as another cell, merged");
    matrix_free(&m);
    scenario_free(&s);
}

static void test_nothing_left(void)
{
    struct scenario s;
    struct matrix m;
    struct lb_error err = LB_ERROR_INIT;
    read_scenario("{\"cache_layers\": [2]}", ", \"exclude\": [{\"cache_layers\": 2}]", &s);
    CHECK(matrix_build(&s, 4, &m, &err) == LB_ERR_INPUT, "an empty matrix was taken");
    CHECK(strstr(err.text, "exclude: expected it to leave at least one cell"), "%s", err.text);
    scenario_free(&s);
}

static void test_references(void)
{
    struct scenario s;
    struct matrix m;
    struct lb_error err = LB_ERROR_INIT;
    build("{\"prefetch\": [\"sync\", \"async\"], \"threads\": [1, 2]}", "", 12, &s, &m);
    CHECK(matrix_add_references(&m, &err) == LB_OK && m.count == 6, "one for each kind of work");
    CHECK(m.cells[4].reference && !m.cells[3].reference, "marked");
    CHECK_TEXT(m.cells[4].name, "reference/threads=1");
    CHECK_TEXT(m.cells[5].name, "reference/threads=2");
    CHECK(matrix_reference(&m, 0) == 4 && matrix_reference(&m, 3) == 5, "found again");
    CHECK_TEXT(m.cells[4].settings.engine.prefetch, "resident");
    matrix_free(&m);
    scenario_free(&s);
    /* one that was asked for serves as well; streaming options do not matter to it */
    build("{\"prefetch\": [\"sync\", \"resident\"]}", "", 12, &s, &m);
    CHECK(matrix_add_references(&m, &err) == LB_OK && m.count == 2, "%zu cells", m.count);
    CHECK(matrix_reference(&m, 0) == 1, "the cell that was asked for");
    matrix_free(&m);
    scenario_free(&s);
    /* but not one that is short of memory: the kernel may drop what it maps */
    build("{\"prefetch\": [\"resident\", \"async\"], \"memory_limit\": [\"64MiB\"]}", "", 12, &s,
          &m);
    CHECK(matrix_add_references(&m, &err) == LB_OK && m.count == 3, "%zu cells", m.count);
    CHECK(matrix_reference(&m, 0) == 2 && matrix_reference(&m, 1) == 2, "a cell of its own");
    matrix_free(&m);
    scenario_free(&s);
}

/* Every sample once; rounds are whole; the same seed gives the same order, another another. */
static void test_order(void)
{
    struct scenario s;
    struct matrix m;
    struct lb_error err = LB_ERROR_INIT;
    struct matrix_slot *a, *b, *c;
    size_t n, same = 0, first_cell_changes = 0;
    build("{\"cache_layers\": [1, 2, 3, 4, 5, 6, 7, 8]}", "", 12, &s, &m);
    CHECK(matrix_order(&m, 5, 2, 42, &a, &n, &err) == LB_OK && n == 8 * 7, "%zu samples", n);
    CHECK(matrix_order(&m, 5, 2, 42, &b, &n, &err) == LB_OK, "again");
    CHECK(matrix_order(&m, 5, 2, 43, &c, &n, &err) == LB_OK, "another seed");
    CHECK(memcmp(a, b, n * sizeof *a) == 0, "the order depends on more than the seed");
    for (size_t i = 0; i < n; i++) {
        same += memcmp(&a[i], &c[i], sizeof *a) == 0;
        CHECK(a[i].rep == (int32_t)(i / 8) - 2, "sample %zu is of repetition %d", i, a[i].rep);
    }
    CHECK(same < n / 2, "two seeds agree in %zu of %zu places", same, n);
    for (size_t round = 0; round < 7; round++) {
        unsigned seen = 0;
        for (size_t i = 0; i < 8; i++)
            seen |= 1u << a[round * 8 + i].cell;
        CHECK(seen == 0xff, "round %zu has cells %x", round, seen);
        first_cell_changes += a[round * 8].cell != a[0].cell;
    }
    CHECK(first_cell_changes > 0, "each round begins with the same cell");
    free(a);
    free(b);
    free(c);
    matrix_free(&m);
    scenario_free(&s);
}

static void test_filter_and_hash(void)
{
    struct scenario s;
    struct matrix m;
    struct lb_error err = LB_ERROR_INIT;
    build("{\"cache_layers\": [1, 2, 3, 4]}", "", 12, &s, &m);
    CHECK(matrix_filter(&m, "=[24]$", &err) == LB_OK && m.count == 2, "%zu left", m.count);
    CHECK_TEXT(m.cells[0].name, "cache_layers=2");
    CHECK(matrix_filter(&m, "(", &err) == LB_ERR_INPUT && m.count == 2, "a broken expression");
    /* published vectors of FNV-1a */
    CHECK(matrix_hash("") == 0xcbf29ce484222325u, "offset basis");
    CHECK(matrix_hash("a") == 0xaf63dc4c8601ec8cu, "a");
    CHECK(matrix_hash("foobar") == 0x85944171f73967e8u, "foobar");
    matrix_free(&m);
    scenario_free(&s);
}

/* The shards together are the whole, in its order; each has the references its cells need. */
static void test_shards(void)
{
    enum { SHARDS = 3 };
    struct scenario s;
    struct matrix m;
    struct lb_error err = LB_ERROR_INIT;
    struct matrix_slot *order;
    size_t n, total, seen = 0;
    unsigned char found[256] = {0};
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        build("{\"threads\": [1, 2], \"cache_layers\": [1, 2, 3, 4]}", "", 12, &s, &m);
        CHECK(matrix_add_references(&m, &err) == LB_OK && m.count == 10, "%zu cells", m.count);
        CHECK(matrix_order(&m, 2, 0, 5, &order, &n, &err) == LB_OK && n == 20, "%zu", n);
        total = n;
        CHECK(matrix_cut(&m, shard, SHARDS, order, &n, &err) == LB_OK, "%s", err.text);
        for (size_t i = 0; i < n; i++) {
            const struct cell *cell = &m.cells[order[i].cell];
            CHECK(i == 0 || order[i].seq > order[i - 1].seq, "out of order");
            if (!cell->borrowed) {
                seen++;
                CHECK(found[order[i].seq]++ == 0, "sample %u is in two shards", order[i].seq);
            }
        }
        for (size_t i = 0; i < m.count; i++)
            CHECK(m.cells[i].reference || matrix_reference(&m, i) >= 0, "%s: no reference",
                  m.cells[i].name);
        free(order);
        matrix_free(&m);
        scenario_free(&s);
    }
    CHECK(seen == total, "%zu of %zu samples", seen, total);
}

int main(void)
{
    test_product();
    test_shards();
    test_clamping();
    test_nothing_left();
    test_references();
    test_order();
    test_filter_and_hash();
    return check_done();
}
