/* scenario: the strict reader. See scenario.h. */
#include "study/scenario.h"

#include "common/nearest.h"
#include "settings/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the functions below share: the scenario being filled, and where errors go. */
struct reader {
    struct scenario *s;
    struct lb_error *err;
};

static bool fail(const struct reader *r, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(const struct reader *r, const char *where, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    lb_fail(r->err, LB_ERR_INPUT, "%s: %s%s%s", r->s->path, where, *where ? ": " : "", text);
    return false;
}

static bool no_memory(const struct reader *r)
{
    lb_fail(r->err, LB_ERR_NOMEM, "%s: out of memory", r->s->path);
    return false;
}

/* Keeps a copy of text for as long as the scenario lives. */
static const char *keep(const struct reader *r, const char *text)
{
    struct scenario *s = r->s;
    char **grown = realloc(s->texts, (s->n_texts + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    s->texts = grown;
    char *copy = strdup(text);
    if (copy)
        s->texts[s->n_texts++] = copy;
    return copy;
}

/* A value as it stood in the document, short enough for a message. */
static void show(const json_t *value, char *text, size_t size)
{
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(text, size, "%.80s", dumped ? dumped : "?");
    free(dumped);
}

static bool wrong(const struct reader *r, const char *where, const json_t *value,
                  const char *expected)
{
    char got[128];
    show(value, got, sizeof got);
    return fail(r, where, "%s: expected %s", got, expected);
}

/* Refuses keys that are not in the NULL-terminated list. */
static bool known_keys(const struct reader *r, const char *where, json_t *object,
                       const char *const *known)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    while (known[count])
        count++;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(known[i], key) != 0)
            i++;
        if (i < count)
            continue;
        const char *near = nearest_name(key, known, count);
        if (near)
            return fail(r, where, "unknown key '%.60s': did you mean '%s'?", key, near);
        char names[160] = "";
        for (size_t k = 0, used = 0; k < count && used < sizeof names; k++)
            used +=
                (size_t)snprintf(names + used, sizeof names - used, "%s%s", k ? " " : "", known[k]);
        return fail(r, where, "unknown key '%.60s': expected one of %s", key, names);
    }
    return true;
}

/* ---- values of options ---- */

/* {"bandwidth": "500MB/s", "latency": "100us"} as the option's text; numbers are bytes/s and a
 * depth. False: a wrong type inside. */
static bool device_text(json_t *object, char *text, size_t size)
{
    const char *key;
    json_t *value;
    size_t n = 0;
    text[0] = '\0';
    json_object_foreach(object, key, value)
    {
        char number[32];
        const char *amount = json_string_value(value);
        if (json_is_number(value)) {
            snprintf(number, sizeof number, "%.17g", json_number_value(value));
            amount = number;
        }
        if (!amount || n >= size)
            return false;
        n += (size_t)snprintf(text + n, size - n, "%s%s=%s", n ? "," : "", key, amount);
    }
    return n > 0 && n < size;
}

bool scenario_option_text(const struct option *o, json_t *value, char *text, size_t size)
{
    bool count = o->kind == OPTION_COUNT || o->kind == OPTION_COUNT64;
    bool amount = count || option_is_size(o);
    bool real = o->kind == OPTION_REAL || o->kind == OPTION_BANDWIDTH;
    if (json_is_string(value)) {
        bool word = count;
        for (const char *const *w = o->words; word && w && *w; w++)
            word = strcmp(*w, json_string_value(value)) != 0;
        if (word || o->kind == OPTION_REAL) /* "8" is no number */
            return false;
        return snprintf(text, size, "%s", json_string_value(value)) < (int)size;
    }
    if (json_is_boolean(value) && o->kind == OPTION_BOOL)
        return snprintf(text, size, "%s", json_is_true(value) ? "on" : "off") > 0;
    if (json_is_integer(value) && (amount || real))
        return snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) > 0;
    if (json_is_real(value) && real)
        return snprintf(text, size, "%.17g", json_real_value(value)) > 0;
    if (json_is_object(value) && o->kind == OPTION_CUSTOM)
        return device_text(value, text, size);
    return false;
}

/* The option's canonical text for a JSON value, kept; NULL after an error. */
static const char *option_text(const struct reader *r, const char *where, const struct option *o,
                               json_t *value)
{
    char text[OPTION_LONGEST], canonical[OPTION_LONGEST],
        expected[400]; /* the settings point into text */
    struct settings settings = settings_default();
    struct lb_error ignored = LB_ERROR_INIT;
    if (!scenario_option_text(o, value, text, sizeof text) ||
        option_set(o, &settings, text, &ignored) != LB_OK) {
        option_expected(o, expected, sizeof expected);
        wrong(r, where, value, expected);
        return NULL;
    }
    option_format(o, &settings, canonical, sizeof canonical);
    const char *kept = keep(r, canonical);
    if (!kept)
        no_memory(r);
    return kept;
}

static const struct option *known_option(const struct reader *r, const char *where, const char *key)
{
    struct lb_error unknown = LB_ERROR_INIT;
    const struct option *o = options_named(key, &unknown);
    if (!o)
        fail(r, where, "%s", unknown.text);
    return o;
}

/* An object of options with one value each, into *values (allocated). */
static bool read_values(const struct reader *r, const char *where, json_t *object,
                        struct scenario_value **values, size_t *count)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return wrong(r, where, object, "an object of options");
    *values = calloc(json_object_size(object) + 1, sizeof **values);
    if (!*values)
        return no_memory(r);
    json_object_foreach(object, key, value)
    {
        char place[192];
        snprintf(place, sizeof place, "%s.%.80s", where, key);
        const struct option *o = known_option(r, where, key);
        const char *text = o ? option_text(r, place, o, value) : NULL;
        if (!text)
            return false;
        (*values)[(*count)++] = (struct scenario_value){o, text};
    }
    return true;
}

/* ---- other programs ---- */

const struct peer *scenario_peer(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (strcmp(s->peers[i].name, name) == 0)
            return &s->peers[i];
    return NULL;
}

/* A definition, or a name: kept once, where it is not layerbench. *name lives with the scenario. */
static bool add_peer(const struct reader *r, const char *where, json_t *value, const char **name)
{
    struct scenario *s = r->s;
    *name = json_is_string(value) ? json_string_value(value) : NULL;
    if (*name && (strcmp(*name, PEER_OURS) == 0 || scenario_peer(s, *name)))
        return true;
    struct peer *grown = realloc(s->peers, (s->n_peers + 1) * sizeof *grown);
    if (!grown)
        return no_memory(r);
    s->peers = grown;
    struct peer *peer = &grown[s->n_peers];
    if (peer_open(value, peer, r->err) != LB_OK) {
        lb_error_prefix(r->err, "%s: %s", s->path, where);
        return false;
    }
    *name = peer->name;
    if (scenario_peer(s, peer->name)) {
        fail(r, where, "name: '%s' stands there already", peer->name);
        peer_close(peer);
        return false;
    }
    s->n_peers++;
    return true;
}

/* ---- the parts of the document ---- */

static bool read_axis(const struct reader *r, const char *key, json_t *list,
                      struct scenario_axis *axis)
{
    char where[192];
    snprintf(where, sizeof where, "matrix.%.80s", key);
    axis->option = known_option(r, "matrix", key);
    if (!axis->option)
        return false;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return wrong(r, where, list, "a list with at least one value");
    axis->texts = calloc(json_array_size(list), sizeof *axis->texts);
    if (!axis->texts)
        return no_memory(r);
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(where, sizeof where, "matrix.%.80s[%zu]", key, i);
        const char *text = option_text(r, where, axis->option, json_array_get(list, i));
        if (!text)
            return false;
        for (size_t j = 0; j < axis->count; j++) {
            if (strcmp(axis->texts[j], text) == 0)
                return fail(r, where, "%s: expected a value that does not stand there already",
                            text);
        }
        axis->texts[axis->count++] = text;
    }
    return true;
}

/* The key `engine`: a program for all cells, or a list of them, which is the first axis. */
static bool read_engine(const struct reader *r, json_t *value)
{
    struct scenario *s = r->s;
    const struct option *o = known_option(r, "engine", "engine");
    struct scenario_axis *axis = s->axes;
    const char *name;
    if (!value)
        return true;
    for (size_t i = 0; i < s->n_fixed; i++)
        if (s->fixed[i].option == o)
            return fail(r, "fixed", "'engine' stands above too: expected it in one place");
    if (!json_is_array(value)) {
        struct scenario_value *grown = realloc(s->fixed, (s->n_fixed + 1) * sizeof *grown);
        if (!grown)
            return no_memory(r);
        s->fixed = grown;
        if (!add_peer(r, "engine", value, &name))
            return false;
        s->fixed[s->n_fixed++] = (struct scenario_value){o, name};
        return true;
    }
    axis->texts = calloc(json_array_size(value) + 1, sizeof *axis->texts);
    axis->option = o;
    s->n_axes = 1;
    if (!axis->texts)
        return no_memory(r);
    for (size_t i = 0; i < json_array_size(value); i++) {
        char where[32];
        snprintf(where, sizeof where, "engine[%zu]", i);
        if (!add_peer(r, where, json_array_get(value, i), &name))
            return false;
        for (size_t k = 0; k < axis->count; k++)
            if (strcmp(axis->texts[k], name) == 0)
                return fail(r, where, "'%s' stands there already", name);
        axis->texts[axis->count++] = name;
    }
    return axis->count > 0 || fail(r, "engine", "expected at least one in the list");
}

/* Names of other programs under `fixed` and `matrix` are those of `engine`, or templates. */
static bool find_engines(const struct reader *r)
{
    const struct scenario *s = r->s;
    for (size_t i = 0; i < s->n_fixed + s->n_axes; i++) {
        const struct option *o =
            i < s->n_fixed ? s->fixed[i].option : s->axes[i - s->n_fixed].option;
        size_t count = i < s->n_fixed ? 1 : s->axes[i - s->n_fixed].count;
        for (size_t k = 0; k < count && strcmp(o->name, "engine") == 0; k++) {
            const char *text = i < s->n_fixed ? s->fixed[i].text : s->axes[i - s->n_fixed].texts[k];
            json_t *name = json_string(text);
            bool good =
                name ? add_peer(r, i < s->n_fixed ? "fixed.engine" : "matrix.engine", name, &text)
                     : no_memory(r);
            json_decref(name);
            if (!good)
                return false;
        }
    }
    return true;
}

static bool read_matrix(const struct reader *r, json_t *object, json_t *engine)
{
    const char *key;
    json_t *list;
    if (!object)
        return fail(r, "", "no 'matrix': expected an object of options with lists of values");
    if (!json_is_object(object) || json_object_size(object) == 0)
        return wrong(r, "matrix", object,
                     "an object with at least one option and a list of its values");
    r->s->axes = calloc(json_object_size(object) + 1, sizeof *r->s->axes);
    if (!r->s->axes)
        return no_memory(r);
    if (!read_engine(r, engine))
        return false;
    if (r->s->n_axes + json_object_size(object) > 1 && engine && json_object_get(object, "engine"))
        return fail(r, "matrix", "'engine' stands above too: expected it in one place");
    json_object_foreach(object, key, list)
    {
        if (!read_axis(r, key, list, &r->s->axes[r->s->n_axes++]))
            return false;
    }
    return true;
}

static const struct scenario_axis *axis_of(const struct scenario *s, const struct option *o)
{
    for (size_t i = 0; i < s->n_axes; i++) {
        if (s->axes[i].option == o)
            return &s->axes[i];
    }
    return NULL;
}

/* An exclusion can only mean values of the matrix: anything else is a slip of the pen. */
static bool check_exclusion(const struct reader *r, const char *where,
                            const struct scenario_exclusion *e)
{
    if (e->count == 0)
        return fail(r, where, "{}: expected at least one option of the matrix");
    for (size_t i = 0; i < e->count; i++) {
        const struct scenario_axis *axis = axis_of(r->s, e->values[i].option);
        size_t k = 0;
        while (axis && k < axis->count && strcmp(axis->texts[k], e->values[i].text) != 0)
            k++;
        if (!axis || k == axis->count)
            return fail(r, where, "%s = %s: expected %s", e->values[i].option->name,
                        e->values[i].text,
                        axis ? "a value that stands under matrix" : "an option of the matrix");
    }
    return true;
}

static bool read_exclusions(const struct reader *r, json_t *list)
{
    if (!list)
        return true;
    if (!json_is_array(list))
        return wrong(r, "exclude", list, "a list of objects of options");
    r->s->exclusions = calloc(json_array_size(list) + 1, sizeof *r->s->exclusions);
    if (!r->s->exclusions)
        return no_memory(r);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char where[32];
        snprintf(where, sizeof where, "exclude[%zu]", i);
        struct scenario_exclusion *e = &r->s->exclusions[r->s->n_exclusions++];
        if (!read_values(r, where, json_array_get(list, i), &e->values, &e->count) ||
            !check_exclusion(r, where, e))
            return false;
    }
    return true;
}

static bool read_text(const struct reader *r, const char *where, json_t *value, const char **text)
{
    if (!json_is_string(value) || json_string_length(value) == 0)
        return wrong(r, where, value, "a text that is not empty");
    *text = keep(r, json_string_value(value));
    return *text ? true : no_memory(r);
}

static bool read_count(const struct reader *r, const char *where, json_t *value, json_int_t least,
                       json_int_t most, json_int_t *count)
{
    char expected[96];
    snprintf(expected, sizeof expected,
             "a whole number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, least, most);
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return wrong(r, where, value, expected);
    *count = json_integer_value(value);
    return true;
}

/* A number from 0 to most. */
static bool read_real(const struct reader *r, const char *where, json_t *value, double most,
                      double *number)
{
    char expected[64];
    *number = json_number_value(value);
    if (json_is_number(value) && *number >= 0 && *number <= most)
        return true;
    snprintf(expected, sizeof expected, "a number from 0 to %g", most);
    return wrong(r, where, value, expected);
}

static bool read_choice(const struct reader *r, const char *where, const char *kind, json_t *value,
                        const char **text)
{
    struct option o = {.name = kind, .kind = OPTION_CHOICE, .choice_kind = kind, .offset = 0};
    const char *chosen = NULL;
    struct lb_error ignored = LB_ERROR_INIT;
    if (json_is_string(value) &&
        option_set(&o, &chosen, json_string_value(value), &ignored) == LB_OK)
        return read_text(r, where, value, text);
    char expected[400];
    option_expected(&o, expected, sizeof expected);
    return wrong(r, where, value, expected);
}

/* One, or a list of which each is a model of its own */
static bool read_quants(const struct reader *r, json_t *value)
{
    struct scenario *s = r->s;
    if (!json_is_array(value))
        return read_choice(r, "model.synth.quant", "quant", value, &s->model_synth.quant);
    if (json_array_size(value) == 0 || json_array_size(value) > SCENARIO_QUANTS)
        return wrong(r, "model.synth.quant", value, "one, or a list of up to 8");
    for (; s->n_quants < json_array_size(value); s->n_quants++)
        if (!read_choice(r, "model.synth.quant", "quant", json_array_get(value, s->n_quants),
                         &s->quants[s->n_quants]))
            return false;
    s->model_synth.quant = s->quants[0];
    return true;
}

static bool read_synth(const struct reader *r, json_t *object)
{
    static const char *const known[] = {
        "shape", "quant", "seed", "layers", "routing_skew", "routing_persistence", NULL};
    struct model_synth *synth = &r->s->model_synth;
    json_t *value;
    json_int_t number;
    if (!json_is_object(object))
        return wrong(r, "model.synth", object, "an object with shape and quant");
    if (!json_object_get(object, "shape") || !json_object_get(object, "quant"))
        return fail(r, "model.synth", "no '%s': expected a text",
                    json_object_get(object, "shape") ? "quant" : "shape");
    if (!known_keys(r, "model.synth", object, known))
        return false;
    if ((value = json_object_get(object, "shape")) &&
        !read_choice(r, "model.synth.shape", "shape", value, &synth->shape))
        return false;
    if ((value = json_object_get(object, "quant")) && !read_quants(r, value))
        return false;
    if ((value = json_object_get(object, "seed"))) {
        if (!read_count(r, "model.synth.seed", value, 0, INT64_MAX, &number))
            return false;
        synth->seed = (uint64_t)number;
    }
    if ((value = json_object_get(object, "layers"))) {
        if (!read_count(r, "model.synth.layers", value, 1, 65535, &number))
            return false;
        synth->n_layers = (uint32_t)number;
    }
    if ((value = json_object_get(object, "routing_skew")) &&
        !read_real(r, "model.synth.routing_skew", value, 10, &synth->routing.skew))
        return false;
    if ((value = json_object_get(object, "routing_persistence")) &&
        !read_real(r, "model.synth.routing_persistence", value, 1, &synth->routing.persistence))
        return false;
    return true;
}

static bool read_model(const struct reader *r, json_t *object)
{
    static const char *const known[] = {"path", "synth", NULL};
    if (!object)
        return fail(r, "", "no 'model': expected an object with either 'path' or 'synth'");
    if (!json_is_object(object) || json_object_size(object) != 1)
        return wrong(r, "model", object, "an object with either 'path' or 'synth'");
    if (!known_keys(r, "model", object, known))
        return false;
    json_t *path = json_object_get(object, "path");
    if (path)
        return read_text(r, "model.path", path, &r->s->model_path);
    return read_synth(r, json_object_get(object, "synth"));
}

static bool read_numbers(const struct reader *r, json_t *root)
{
    json_int_t repetitions = 3, warmup = 1, seed = 1;
    json_t *value;
    if ((value = json_object_get(root, "repetitions")) &&
        !read_count(r, "repetitions", value, 1, 1000000, &repetitions))
        return false;
    if ((value = json_object_get(root, "warmup")) &&
        !read_count(r, "warmup", value, 0, 1000, &warmup))
        return false;
    if ((value = json_object_get(root, "seed")) &&
        !read_count(r, "seed", value, 0, INT64_MAX, &seed))
        return false;
    r->s->repetitions = (uint32_t)repetitions;
    r->s->warmup = (uint32_t)warmup;
    r->s->seed = (uint64_t)seed;
    return true;
}

/* An option stands in one place only, and one budget rules the cache. */
static bool check_together(const struct reader *r)
{
    const struct scenario *s = r->s;
    const char *budget = NULL;
    for (size_t i = 0; i < s->n_fixed + s->n_axes; i++) {
        bool fixed = i < s->n_fixed;
        const struct option *o = fixed ? s->fixed[i].option : s->axes[i - s->n_fixed].option;
        if (fixed && axis_of(s, o))
            return fail(r, "fixed", "'%s' stands under matrix too: expected it in one place",
                        o->name);
        if (strcmp(o->name, "cache_layers") == 0 || strcmp(o->name, "cache_bytes") == 0) {
            if (budget)
                return fail(r, fixed ? "fixed" : "matrix",
                            "'%s' stands beside '%s': expected one of them", o->name, budget);
            budget = o->name;
        }
    }
    return true;
}

/* The name becomes a directory and part of file names. */
static bool check_name(const struct reader *r)
{
    const char *n = r->s->name;
    if (strlen(n) > 80 || strchr("-_.", n[0]) ||
        n[strspn(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
        return fail(r, "name", "\"%.80s\": expected at most 80 letters, digits, '-', '_', '.'", n);
    return true;
}

static bool read_document(const struct reader *r, json_t *root)
{
    static const char *const known[] = {
        "$schema", "name",   "about",   "expected_minutes", "expected_reading", "model",
        "fixed",   "matrix", "exclude", "repetitions",      "warmup",           "seed",
        "engine",  NULL};
    json_t *value;
    const char *reading;
    if (!json_is_object(root))
        return wrong(r, "", root, "an object with name, about, matrix");
    if (!known_keys(r, "", root, known))
        return false;
    if (!(value = json_object_get(root, "name")))
        return fail(r, "", "no 'name': expected a text");
    if (!read_text(r, "name", value, &r->s->name) || !check_name(r))
        return false;
    if (!(value = json_object_get(root, "about")))
        return fail(r, "", "no 'about': expected a text that says which question is asked");
    if (!read_text(r, "about", value, &r->s->about))
        return false;
    if ((value = json_object_get(root, "expected_reading")) &&
        !read_text(r, "expected_reading", value, &reading))
        return false;
    if ((value = json_object_get(root, "expected_minutes")) &&
        !(json_is_number(value) && json_number_value(value) > 0))
        return wrong(r, "expected_minutes", value, "a number above 0: how long the run takes");
    if ((value = json_object_get(root, "fixed")) &&
        !read_values(r, "fixed", value, &r->s->fixed, &r->s->n_fixed))
        return false;
    return read_model(r, json_object_get(root, "model")) &&
           read_matrix(r, json_object_get(root, "matrix"), json_object_get(root, "engine")) &&
           find_engines(r) && read_exclusions(r, json_object_get(root, "exclude")) &&
           read_numbers(r, root) && check_together(r);
}

enum lb_status scenario_of_one_model(const struct scenario *s, struct lb_error *err)
{
    if (s->n_quants < 2)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT,
                   "%s: model.synth.quant: %zu of them: expected one (only `gate` takes several)",
                   s->path, s->n_quants);
}

enum lb_status scenario_from_json(json_t *document, const char *path, const char *sha256,
                                  struct scenario *s, struct lb_error *err)
{
    struct reader r = {s, err};
    memset(s, 0, sizeof *s);
    s->path = path;
    s->model_synth = model_synth_default();
    s->document = json_incref(document);
    snprintf(s->sha256, sizeof s->sha256, "%s", sha256);
    (void)read_document(&r, document);
    if (err->code != LB_OK)
        scenario_free(s);
    return err->code;
}

void scenario_free(struct scenario *s)
{
    for (size_t i = 0; i < s->n_axes; i++)
        free(s->axes[i].texts);
    for (size_t i = 0; i < s->n_exclusions; i++)
        free(s->exclusions[i].values);
    for (size_t i = 0; i < s->n_texts; i++)
        free(s->texts[i]);
    for (size_t i = 0; i < s->n_peers; i++)
        peer_close(&s->peers[i]);
    free(s->peers);
    free(s->axes);
    free(s->exclusions);
    free(s->fixed);
    free(s->texts);
    json_decref(s->document);
    memset(s, 0, sizeof *s);
}
