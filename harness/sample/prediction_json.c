/* prediction_json: see prediction_json.h. */
#include "sample/prediction_json.h"

static json_t *scores_of(const struct lb_engine *engine)
{
    json_t *depths = json_array(), *layers = NULL;
    struct lb_prediction p;
    uint32_t depth = 0;
    for (size_t i = 0; lb_engine_prediction_at(engine, i, &p); i++) {
        if (p.depth != depth)
            json_array_append_new(depths, layers = json_array());
        depth = p.depth;
        json_array_append_new(layers, json_pack("[I, I, I]", (json_int_t)p.guessed,
                                                (json_int_t)p.right, (json_int_t)p.needed));
    }
    return depths;
}

json_t *prediction_json(struct lb_engine *engine)
{
    struct lb_prediction any;
    struct lb_stats s = lb_engine_stats(engine);
    if (!lb_engine_prediction_at(engine, 0, &any))
        return NULL;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "misses", (json_int_t)s.predict_misses,
                     "foreseen", (json_int_t)s.predict_foreseen, "foreseen_ns",
                     (json_int_t)s.predict_foreseen_ns, "loads", (json_int_t)s.predict_loads,
                     "vain", (json_int_t)s.predict_vain, "scores", scores_of(engine));
}

void prediction_json_subtract(json_t *prediction, const json_t *before)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_integer(prediction))
        json_integer_set(prediction, json_integer_value(prediction) - json_integer_value(before));
    json_object_foreach(prediction, key, value)
    {
        prediction_json_subtract(value, json_object_get(before, key));
    }
    json_array_foreach(prediction, i, value)
    {
        prediction_json_subtract(value, json_array_get(before, i));
    }
}

static double number(const json_t *object, const char *key)
{
    return (double)json_integer_value(json_object_get(object, key));
}

bool prediction_json_add(const json_t *prediction, size_t depth, struct prediction_figures *f)
{
    const json_t *layers = json_array_get(json_object_get(prediction, "scores"), depth - 1);
    size_t i;
    json_t *score;
    if (!layers)
        return false;
    f->misses += number(prediction, "misses");
    f->foreseen += number(prediction, "foreseen");
    f->foreseen_ns += number(prediction, "foreseen_ns");
    f->loads += number(prediction, "loads");
    f->vain += number(prediction, "vain");
    json_array_foreach(layers, i, score)
    {
        f->guessed += (double)json_integer_value(json_array_get(score, 0));
        f->right += (double)json_integer_value(json_array_get(score, 1));
        f->needed += (double)json_integer_value(json_array_get(score, 2));
    }
    return true;
}
