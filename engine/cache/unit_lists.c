/* unit_lists: circles through one array of nodes; behind the units' nodes lie those of the lists,
 * each the end and the beginning of its circle. See unit_lists.h. */
#include "cache/unit_lists.h"

#include "base/memory.h"

#include <assert.h>

struct node {
    uint32_t next, before;
    uint32_t list; /* of a unit: the one it is on; of a list: how many units are on it */
};

struct unit_lists {
    uint32_t n_units;
    struct node nodes[]; /* [n_units + n_lists] */
};

struct unit_lists *unit_lists_open(uint32_t n_units, uint32_t n_lists)
{
    uint32_t n = n_units + n_lists;
    struct unit_lists *l = lb_calloc(1, sizeof *l + n * sizeof *l->nodes);
    if (!l)
        return NULL;
    l->n_units = n_units;
    for (uint32_t i = 0; i < n; i++)
        l->nodes[i] = (struct node){i, i, i < n_units ? UNIT_LIST_NONE : 0};
    return l;
}

void unit_lists_close(struct unit_lists *lists)
{
    lb_free(lists);
}

uint32_t unit_list_of(const struct unit_lists *lists, uint32_t unit)
{
    return lists->nodes[unit].list;
}

uint32_t unit_list_count(const struct unit_lists *lists, uint32_t list)
{
    return lists->nodes[lists->n_units + list].list;
}

static void insert(struct unit_lists *l, uint32_t list, uint32_t unit, uint32_t before)
{
    struct node *nodes = l->nodes;
    unit_list_remove(l, unit);
    nodes[unit] = (struct node){nodes[before].next, before, list};
    nodes[nodes[before].next].before = unit;
    nodes[before].next = unit;
    nodes[l->n_units + list].list++;
}

void unit_list_append(struct unit_lists *lists, uint32_t list, uint32_t unit)
{
    unit_list_remove(lists, unit);
    insert(lists, list, unit, lists->nodes[lists->n_units + list].before);
}

void unit_list_prepend(struct unit_lists *lists, uint32_t list, uint32_t unit)
{
    insert(lists, list, unit, lists->n_units + list);
}

void unit_list_remove(struct unit_lists *lists, uint32_t unit)
{
    struct node *node = &lists->nodes[unit];
    assert(unit < lists->n_units);
    if (node->list == UNIT_LIST_NONE)
        return;
    lists->nodes[lists->n_units + node->list].list--;
    lists->nodes[node->before].next = node->next;
    lists->nodes[node->next].before = node->before;
    node->list = UNIT_LIST_NONE;
}

static int64_t unit_or_end(const struct unit_lists *l, uint32_t node)
{
    return node < l->n_units ? (int64_t)node : -1;
}

int64_t unit_list_first(const struct unit_lists *lists, uint32_t list)
{
    return unit_or_end(lists, lists->nodes[lists->n_units + list].next);
}

int64_t unit_list_last(const struct unit_lists *lists, uint32_t list)
{
    return unit_or_end(lists, lists->nodes[lists->n_units + list].before);
}

int64_t unit_list_next(const struct unit_lists *lists, uint32_t unit)
{
    return unit_or_end(lists, lists->nodes[unit].next);
}

int64_t unit_list_before(const struct unit_lists *lists, uint32_t unit)
{
    return unit_or_end(lists, lists->nodes[unit].before);
}

int64_t unit_list_victim(const struct unit_lists *lists, uint32_t list,
                         const struct cache_choice *choice)
{
    int64_t unit = unit_list_first(lists, list);
    while (unit >= 0 && !cache_may_evict(choice, (uint32_t)unit))
        unit = unit_list_next(lists, (uint32_t)unit);
    return unit;
}
