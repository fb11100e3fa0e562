/* sweep: see sweep.h. */
#include "study/sweep.h"

#include "common/amounts.h"
#include "common/array.h"
#include "common/json_text.h"
#include "settings/options.h"
#include "study/matrix.h"
#include "study/scenario_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sweep_add(struct sweep_list *list, const char *text)
{
    const char **place = array_add(&list->texts, &list->count, sizeof *place);
    if (place)
        *place = text;
    return place;
}

void sweep_free(struct sweep *sweep)
{
    free(sweep->set.texts);
    free(sweep->vary.texts);
    *sweep = (struct sweep){0};
}

/* ---- values ---- */

static bool has_ranges(const struct option *o)
{
    return option_is_size(o) || o->kind == OPTION_COUNT || o->kind == OPTION_COUNT64 ||
           o->kind == OPTION_REAL;
}

json_t *sweep_value(const struct option *o, const char *text, struct lb_error *err)
{
    struct settings settings = settings_default();
    uint64_t whole;
    double real;
    if (option_set(o, &settings, text, err) != LB_OK)
        return NULL;
    if (o->kind == OPTION_REAL && amount_parse_real(text, &real))
        return json_real(real);
    if (has_ranges(o) && !option_is_size(o) && amount_parse_count(text, &whole))
        return json_integer((json_int_t)whole);
    return json_text(text);
}

static bool number_of(const struct option *o, const char *text, double *number)
{
    uint64_t whole;
    if (o->kind == OPTION_REAL)
        return amount_parse_real(text, number);
    if (!(option_is_size(o) ? amount_parse_size : amount_parse_count)(text, &whole))
        return false;
    *number = (double)whole;
    return true;
}

static void format(const struct option *o, double number, char *text, size_t size)
{
    if (option_is_size(o))
        amount_format_size((uint64_t)number, text, size);
    else
        snprintf(text, size, "%.12g", number);
}

struct range {
    double first, last, step;
    bool times;
};

/* False: not of that form. */
static bool parse_range(const struct option *o, const char *text, struct range *r)
{
    char copy[128], *last, *step;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy || !(last = strchr(copy, '-')))
        return false;
    *last++ = '\0';
    *r = (struct range){.step = 1};
    if ((step = strpbrk(last, "+*"))) {
        r->times = *step == '*';
        *step++ = '\0';
        if (!(r->times ? amount_parse_real(step, &r->step) : number_of(o, step, &r->step)))
            return false;
    }
    return number_of(o, copy, &r->first) && number_of(o, last, &r->last);
}

static enum lb_status add_range(const struct option *o, const char *text, const struct range *r,
                                json_t *list, struct lb_error *err)
{
    if (r->last < r->first)
        return lb_fail(err, LB_ERR_INPUT,
                       "'%s': an empty range: expected its last value to be at least its first",
                       text);
    if (r->times ? r->step <= 1 || r->first <= 0 : r->step <= 0)
        return lb_fail(err, LB_ERR_INPUT, "'%s': a range without end: expected %s", text,
                       r->times ? "a factor above 1, and a first value above 0" : "a step above 0");
    double most = r->last * (1 + 1e-12); /* 0.1 + 0.1 + 0.1 is more than 0.3 */
    for (size_t i = 0;; i++) {
        char one[64];
        double number =
            r->times ? r->first * pow(r->step, (double)i) : r->first + (double)i * r->step;
        if (number > most)
            return LB_OK;
        if (json_array_size(list) == MATRIX_MOST)
            return lb_fail(err, LB_ERR_INPUT, "'%s': expected at most %d values", text,
                           MATRIX_MOST);
        format(o, number, one, sizeof one);
        json_t *value = sweep_value(o, one, err);
        if (!value)
            return err->code;
        json_array_append_new(list, value);
    }
}

static enum lb_status add_part(const struct option *o, const char *text, json_t *list,
                               struct lb_error *err)
{
    struct lb_error ignored = LB_ERROR_INIT;
    struct range range;
    json_t *value = sweep_value(o, text, &ignored);
    if (value) {
        json_array_append_new(list, value);
        return LB_OK;
    }
    if (has_ranges(o) && parse_range(o, text, &range))
        return add_range(o, text, &range, list, err);
    (void)sweep_value(o, text, err); /* its error */
    return err->code;
}

static enum lb_status add_values(const struct option *o, const char *text, json_t *list,
                                 struct lb_error *err)
{
    struct lb_error ignored = LB_ERROR_INIT;
    json_t *whole = sweep_value(o, text, &ignored);
    char *copy = strdup(text), *rest = copy, *part;
    enum lb_status status =
        copy ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "out of memory for '%s'", text);
    if (whole)
        json_array_append_new(list, whole);
    while (!whole && status == LB_OK && (part = strsep(&rest, ",")) != NULL)
        status = add_part(o, part, list, err);
    free(copy);
    return status;
}

/* ---- the document ---- */

/* "cache-layers=2,4": its option, and what follows the '='. */
static const struct option *split(const char *text, const char **values, struct lb_error *err)
{
    char name[64];
    size_t n = strcspn(text, "=");
    if (text[n] != '=' || n == 0 || n >= sizeof name) {
        lb_fail(err, LB_ERR_INPUT, "'%.100s': expected NAME=VALUE", text);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        name[i] = text[i] == '-' ? '_' : text[i];
    name[n] = '\0';
    *values = text + n + 1;
    return options_named(name, err);
}

static enum lb_status set_one(const char *text, json_t *document, struct lb_error *err)
{
    const char *values;
    const struct option *o = split(text, &values, err);
    json_t *value = o ? sweep_value(o, values, err) : NULL;
    if (value) {
        scenario_put(document, "fixed", o->name, value);
        return LB_OK;
    }
    lb_error_prefix(err, "--set%s%s", o ? " " : "", o ? o->name : "");
    return err->code;
}

const struct option *sweep_values(const char *text, json_t *lists, struct lb_error *err)
{
    const char *values;
    const struct option *o = split(text, &values, err);
    json_t *list = o ? json_object_get(lists, o->name) : NULL;
    if (o && !list)
        json_object_set_new(lists, o->name, list = json_array());
    if (o && add_values(o, values, list, err) == LB_OK)
        return o;
    lb_error_prefix(err, "--vary%s%s", o ? " " : "", o ? o->name : "");
    return NULL;
}

enum lb_status sweep_apply(const struct sweep *sweep, json_t *document, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    json_t *varied = json_object(), *list;
    const char *name;
    for (size_t i = 0; i < sweep->set.count && status == LB_OK; i++)
        status = set_one(sweep->set.texts[i], document, err);
    for (size_t i = 0; i < sweep->vary.count && status == LB_OK; i++)
        status = sweep_values(sweep->vary.texts[i], varied, err) ? LB_OK : err->code;
    json_object_foreach(varied, name, list)
    {
        if (status == LB_OK)
            scenario_put(document, "matrix", name, json_incref(list));
    }
    json_decref(varied);
    return status;
}

static bool varied_before(const struct sweep_list *vary, size_t i, size_t length)
{
    for (size_t k = 0; k < i; k++)
        if (strncmp(vary->texts[k], vary->texts[i], length + 1) == 0)
            return true;
    return false;
}

json_t *sweep_document(const struct sweep *sweep, const char *model)
{
    char name[81] = "sweep", about[256] = "";
    for (size_t i = 0; i < sweep->vary.count; i++) {
        const char *text = sweep->vary.texts[i];
        int n = (int)strcspn(text, "=");
        size_t used = strlen(name), told = strlen(about);
        if (varied_before(&sweep->vary, i, (size_t)n))
            continue;
        snprintf(name + used, sizeof name - used, "-%.*s", n, text);
        snprintf(about + told, sizeof about - told, "%s%.*s", i ? ", " : "", n, text);
    }
    return json_pack("{s:o, s:o, s:{s:o}}", "name", json_text(name), "about",
                     json_sprintf("What do these change: %s?", about), "model", "path",
                     json_text(model));
}
