/*
 * future: next uses in dense cycles and sequences against a search; reveals, predictions and
 * estimates of random mixtures against an account of their own.
 */
#include "base/memory.h"
#include "base/random.h"
#include "cache/future.h"
#include "tests/check.h"

#include <math.h>

enum { MOST = 200 };

/* First position >= from at which order[] (from its beginning again where it is cyclic) names the
 * unit. */
static uint64_t search(const uint32_t *order, uint64_t length, bool cyclic, uint32_t unit,
                       uint64_t from)
{
    uint64_t end = cyclic ? from + length : length;
    for (uint64_t i = from; i < end; i++)
        if (order[i % length] == unit)
            return i;
    return FUTURE_NEVER;
}

static void all_is_known(void)
{
    struct lb_random r = {3};
    for (int round = 0; round < 200; round++) {
        uint32_t order[90], n = 1 + lb_random_below(&r, 80), length = 1 + lb_random_below(&r, 90);
        bool natural = round % 3 == 0, cyclic = natural || lb_random_below(&r, 2);
        uint64_t held[2] = {lb_random_next(&r), lb_random_next(&r)};
        if (natural)
            length = n;
        for (uint32_t i = 0; i < length; i++)
            order[i] = natural ? i : lb_random_below(&r, n);
        struct future *f;
        CHECK((natural ? future_open_cycle(n, NULL, &f, NULL)
                       : future_open_sequence(n, order, length, cyclic, &f, NULL)) == LB_OK);
        CHECK(future_is_cycle(f) == natural && future_length(f) == length);
        for (uint64_t from = 0; from < 2 * length + 3; from++) {
            enum future_kind kind = FUTURE_ESTIMATED;
            for (uint32_t u = 0; u < n; u++) {
                CHECK(future_next(f, u, from, &kind) == search(order, length, cyclic, u, from) &&
                          kind == FUTURE_EXACT,
                      "seed 3, round %d", round);
            }
            uint64_t to = from + lb_random_below(&r, 2 * n), first = from;
            while (first <= to && (cyclic || first < length) &&
                   held[order[first % length] / 64] >> order[first % length] % 64 & 1)
                first++;
            if (first > to || (!cyclic && first >= length))
                first = FUTURE_NEVER;
            CHECK(future_first(f, from, to, held) == first, "seed 3, round %d", round);
            if (!cyclic && from >= length)
                continue;
            CHECK(future_at(f, from) == order[from % length]);
            CHECK(future_reach(f, future_at(f, from), from) == from);
            CHECK(future_used(f, future_at(f, from), from) == from + 1);
        }
        CHECK(fabs(future_accesses(f, 3, 17) - 14) == 0 && fabs(future_positions(f, 5) - 5) == 0);
        future_close(f);
    }
    struct lb_error err = LB_ERROR_INIT;
    struct future *f;
    uint32_t order[] = {0, 4};
    CHECK(future_open_sequence(4, order, 2, true, &f, &err) == LB_ERR_INPUT && !f);
    CHECK_TEXT(err.text, "access 1: unit 4: expected less than 4");
    err.code = LB_OK;
    CHECK(future_open_sequence(4, order, 0, true, &f, &err) == LB_ERR_INPUT && !f);
    CHECK_TEXT(err.text, "access sequence: expected at least one access");
}

/* ---- mixtures ---- */

struct mixture {
    uint32_t n, n_layers, first[12], experts[12], parts[12]; /* of a layer; parts: always needed */
    bool always[MOST], revealed[MOST], predicted[MOST];
    uint32_t uses[MOST];
};

static struct future *open_mixture(struct mixture *m, struct lb_random *r)
{
    struct future *f;
    *m = (struct mixture){.n_layers = 1 + lb_random_below(r, 12)};
    for (uint32_t l = 0; l < m->n_layers; l++) {
        m->first[l] = m->n;
        m->parts[l] = 1 + lb_random_below(r, 3);
        m->experts[l] = lb_random_below(r, 5) ? 1 + lb_random_below(r, 12) : 0; /* or dense */
        for (uint32_t i = 0; i < m->parts[l]; i++)
            m->always[m->n++] = true;
        m->n += m->experts[l];
    }
    CHECK(future_open_cycle(m->n, m->always, &f, NULL) == LB_OK);
    return f;
}

/* What the future says of every unit and position from `position` on against what the test knows.
 * `pass`: position of the turn that the layer at hand, from `layer` on, belongs to. */
static void check_known(const struct future *f, const struct mixture *m, uint64_t position,
                        const char *what)
{
    uint64_t held[4] = {0}, first_missing = FUTURE_NEVER;
    uint32_t n_revealed = 0;
    for (uint64_t at = position; at < position + m->n; at++) {
        uint32_t unit = (uint32_t)(at % m->n);
        bool known = m->always[unit] || m->revealed[unit] || m->predicted[unit];
        enum future_kind kind;
        uint64_t next = future_next(f, unit, position, &kind);
        n_revealed += m->revealed[unit];
        CHECK(future_at(f, at) == (known ? unit : FUTURE_UNKNOWN), "%s: unit %u", what, unit);
        CHECK(kind == (m->always[unit] || m->revealed[unit] ? FUTURE_EXACT
                       : m->predicted[unit]                 ? FUTURE_PREDICTED
                                                            : FUTURE_ESTIMATED),
              "%s: unit %u", what, unit);
        CHECK(known ? next == at : next >= at, "%s: unit %u", what, unit);
        CHECK(future_next(f, unit, at + 1, &kind) > at &&
                  kind == (m->always[unit] ? FUTURE_EXACT : FUTURE_ESTIMATED),
              "%s: unit %u: a need speaks for one turn", what, unit);
        if (unit % 3 == 0)
            held[unit / 64] |= UINT64_C(1) << unit % 64;
        else if (known && first_missing == FUTURE_NEVER)
            first_missing = at;
    }
    CHECK(future_n_revealed(f) == n_revealed, "%s", what);
    CHECK(future_first(f, position, position + m->n - 1, held) == first_missing, "%s", what);
    CHECK(first_missing == FUTURE_NEVER || first_missing == position ||
              future_first(f, position, first_missing - 1, held) == FUTURE_NEVER,
          "%s", what);
    int64_t before = -1;
    uint32_t start = (uint32_t)(position % m->n);
    for (uint32_t i = 1; i <= m->n && before < 0; i++) {
        uint32_t unit = (start + m->n - i) % m->n;
        if (unit % 3 == 0 && (m->always[unit] || m->revealed[unit] || m->predicted[unit]))
            before = unit;
    }
    CHECK(future_before(f, start, held) == before, "%s", what);
}

static uint32_t choose(struct lb_random *r, uint32_t first, uint32_t n, uint32_t *units)
{
    uint32_t k = 0, most = 1 + lb_random_below(r, n);
    for (uint32_t i = 0; i < n && k < most; i++)
        if (lb_random_below(r, 2) || n - i == most - k)
            units[k++] = first + i;
    for (uint32_t i = k; i > 1; i--) { /* in the router's order */
        uint32_t other = lb_random_below(r, i), unit = units[i - 1];
        units[i - 1] = units[other];
        units[other] = unit;
    }
    return k;
}

static void mixtures(void)
{
    struct lb_random r = {29};
    for (int round = 0; round < 150; round++) {
        struct mixture m;
        struct future *f = open_mixture(&m, &r);
        uint64_t position = 0;
        char what[60];
        snprintf(what, sizeof what, "seed 29, round %d", round);
        for (uint32_t pass = 0; pass < 6; pass++) {
            for (uint32_t l = 0; l < m.n_layers; l++) {
                uint32_t units[MOST], n = 0, experts = m.first[l] + m.parts[l];
                /* a guess at the next layer's experts */
                uint32_t ahead = (l + 1) % m.n_layers;
                if (m.experts[ahead] && lb_random_below(&r, 2)) {
                    n = choose(&r, m.first[ahead] + m.parts[ahead], m.experts[ahead], units);
                    future_predict(f, units, n, 0.5f);
                    for (uint32_t i = 0; i < n; i++)
                        m.predicted[units[i]] = true;
                }
                for (uint32_t i = 0; i < m.parts[l]; i++) {
                    uint32_t unit = m.first[l] + i;
                    if (i + 1 < m.parts[l])
                        CHECK(future_reach(f, unit + 1, position) == FUTURE_NEVER, "%s", what);
                    position = future_reach(f, unit, position);
                    CHECK(position == (uint64_t)pass * m.n + unit, "%s", what);
                    check_known(f, &m, position, what);
                    position = future_used(f, unit, position);
                }
                if (m.experts[l] == 0)
                    continue;
                n = choose(&r, experts, m.experts[l], units);
                position = future_reveal(f, units, n, position);
                memset(m.predicted + experts, 0, m.experts[l]);
                for (uint32_t i = 0; i < n; i++)
                    m.revealed[units[i]] = true;
                uint64_t last = 0;
                for (uint32_t i = 0; i < n; i++)
                    last = units[i] > last ? units[i] : last;
                CHECK(future_demand_end(f) == (uint64_t)pass * m.n + last, "%s", what);
                check_known(f, &m, position, what);
                for (uint32_t i = 0; i < n; i++) { /* used in any order */
                    CHECK(future_reach(f, units[i], position) == position, "%s", what);
                    position = future_used(f, units[i], position);
                    m.revealed[units[i]] = false;
                    m.uses[units[i]]++;
                    check_known(f, &m, position, what);
                    CHECK(future_reach(f, units[i], position) == FUTURE_NEVER, "%s: twice", what);
                }
            }
            if (lb_random_below(&r, 8) == 0) { /* the next pass breaks off in the middle */
                uint32_t unit;
                do {
                    unit = (uint32_t)(position % m.n);
                    position = future_used(f, unit, future_reach(f, unit, position));
                } while (m.always[position % m.n] && position % m.n != 0);
                position = future_break_off(f, position);
                memset(m.predicted, 0, sizeof m.predicted);
                CHECK(position % m.n == 0, "%s", what);
                check_known(f, &m, position, what);
                break;
            }
        }
        /* who was used more often is needed sooner, as far as anybody knows */
        for (uint32_t a = 0; a < m.n; a++)
            for (uint32_t b = 0; b < m.n; b++)
                if (m.uses[a] > m.uses[b] + 1 && !m.always[b] && !m.predicted[a] && !m.predicted[b])
                    CHECK(future_popularity(f, a) > future_popularity(f, b) &&
                              future_likelihood(f, a) > future_likelihood(f, b),
                          "%s: %u uses against %u", what, m.uses[a], m.uses[b]);
        future_close(f);
    }
}

/* Two units always needed, ten experts of which two a pass: what one needs is as likely as seen. */
static void estimates(void)
{
    bool always[12] = {true};
    struct future *f;
    uint64_t position = 0;
    always[11] = true;
    CHECK(future_open_cycle(12, always, &f, NULL) == LB_OK);
    for (uint32_t pass = 0; pass < 20000; pass++) { /* expert 3 each time, 4 to 8 by turns */
        uint32_t units[2] = {3, 4 + pass % 5};
        position = future_used(f, 0, future_reach(f, 0, position));
        position = future_reveal(f, units, 2, position);
        for (uint32_t i = 0; i < 2; i++)
            position = future_used(f, units[i], future_reach(f, units[i], position));
        position = future_used(f, 11, future_reach(f, 11, position));
    }
    CHECK(fabs(future_likelihood(f, 3) - 1) < 1e-9 && fabs(future_likelihood(f, 6) - 0.2) < 0.02);
    CHECK(future_likelihood(f, 9) == 0 && future_next(f, 9, position, NULL) == FUTURE_NEVER);
    CHECK(fabs(future_accesses(f, position, position + 120) - 40) < 1e-6);
    CHECK(fabs(future_positions(f, 40) - 120) < 1e-6);
    enum future_kind kind;
    uint64_t next = future_next(f, 6, position, &kind); /* four turns of five are missed */
    CHECK(kind == FUTURE_ESTIMATED && fabs((double)(next - position) - (6 + 4 * 12)) < 6, "%llu",
          (unsigned long long)(next - position));
    future_predict(f, (uint32_t[]){9, 3}, 2, 0.7f);
    future_predict(f, (uint32_t[]){9}, 1, 0.3f);
    CHECK(fabs(future_likelihood(f, 9) - 0.7) < 1e-6);
    CHECK(future_next(f, 9, position, &kind) == position + 9 && kind == FUTURE_PREDICTED);
    future_close(f);
}

/* Several in use at a time, given back in any order. */
static void overlapping(void)
{
    bool always[6] = {true, true, true, false, false, true};
    struct future *f;
    CHECK(future_open_cycle(6, always, &f, NULL) == LB_OK);
    CHECK(future_reach(f, 0, 0) == 0 && future_reach(f, 1, 0) == 0);
    CHECK(future_reach(f, 5, 0) == FUTURE_NEVER, "unit 2 would be left out");
    CHECK(future_used(f, 1, 0) == 0 && future_used(f, 0, 0) == 2);
    /* the router has chosen, unit 2 is still to be used */
    CHECK(future_reveal(f, (uint32_t[]){4, 3}, 2, 2) == 2);
    CHECK(future_reach(f, 4, 2) == 2 && future_used(f, 4, 2) == 2);
    CHECK(future_reach(f, 5, 2) == FUTURE_NEVER);
    CHECK(future_reach(f, 2, 2) == 2 && future_reach(f, 3, 2) == 2);
    CHECK(future_used(f, 3, 2) == 2 && future_used(f, 2, 2) == 3);
    CHECK(future_reach(f, 3, 3) == FUTURE_NEVER && future_reach(f, 5, 3) == 5);
    CHECK(future_used(f, 5, 5) == 6);
    for (uint64_t at = 6; at < 9; at++)
        CHECK(future_used(f, (uint32_t)at - 6, future_reach(f, (uint32_t)at - 6, at)) == at + 1);
    CHECK(future_reveal(f, (uint32_t[]){4}, 1, 9) == 9);
    CHECK(future_reach(f, 5, 9) == FUTURE_NEVER, "unit 4 would be left out");
    CHECK(future_used(f, 4, future_reach(f, 4, 9)) == 11 && future_reach(f, 5, 11) == 11);
    future_close(f);
}

static void out_of_memory(void)
{
    for (uint64_t k = 1;; k++) {
        struct lb_error err = LB_ERROR_INIT;
        struct future *f;
        lb_memory_fail_at(k);
        enum lb_status s = future_open_cycle(70, NULL, &f, &err);
        lb_memory_fail_at(0);
        CHECK(s == LB_OK || (s == LB_ERR_NOMEM && !f));
        future_close(f);
        if (s == LB_OK)
            break;
    }
}

int main(void)
{
    all_is_known();
    mixtures();
    estimates();
    overlapping();
    out_of_memory();
    return check_done();
}
