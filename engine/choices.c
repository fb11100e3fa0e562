/* choices: what can be chosen, from the lists of the rooms. */
#include "engine.h"

#include "cache/cache.h"
#include "draft/drafters.h"
#include "kernels/kernels.h"
#include "plan/planner.h"
#include "plan/prediction.h"
#include "quant/quant.h"
#include "storage/storage.h"
#include "synth/synth.h"
#include "text/chat_format.h"

#include <stdio.h>
#include <string.h>

static bool choice_set(struct lb_choice *choice, const char *name, const char *about,
                       bool available)
{
    *choice = (struct lb_choice){.name = name, .about = about, .available = available};
    return true;
}

static bool prefetch_at(size_t i, struct lb_choice *choice)
{
    static const struct lb_choice modes[] = {
        {.name = "off",
         .about = "every missing layer is loaded when the computation needs it",
         .available = true},
        {.name = "sync", .about = "blocking read-ahead on the computing thread", .available = true},
        {.name = "async",
         .about = "a background thread reads ahead while the computation runs",
         .available = LB_ASYNC_PREFETCH != 0},
        {.name = "resident",
         .about = "all layers are loaded at open and stay; nothing streams",
         .available = true},
    };
    if (i >= sizeof modes / sizeof *modes)
        return false;
    *choice = modes[i];
    return true;
}

static bool drafter_at(size_t i, struct lb_choice *choice)
{
    static const struct lb_choice ways[] = {
#define X(id, word, what) {.name = word, .about = what, .available = true},
        DRAFTERS(X)
#undef X
    };
    if (i >= sizeof ways / sizeof *ways)
        return false;
    *choice = ways[i];
    return true;
}

bool lb_choice_at(const char *kind, size_t i, struct lb_choice *choice)
{
    size_t n;
    if (strcmp(kind, "prefetch") == 0)
        return prefetch_at(i, choice);
    if (strcmp(kind, "chat_template") == 0) {
        const struct chat_format *format = i > 0 ? chat_at(i - 1) : NULL;
        if (i > 0 && !format)
            return false;
        return choice_set(choice, format ? format->name : "auto",
                          format ? format->before : "what the model's template is of", true);
    }
    if (strcmp(kind, "speculate") == 0)
        return drafter_at(i, choice);
    if (strcmp(kind, "replacement") == 0) {
        const struct cache_policy *const *list = cache_policies(&n);
        if (i >= n)
            return false;
        choice_set(choice, list[i]->name, list[i]->about, true);
        choice->tuned = list[i]->tuned;
        return true;
    }
    if (strcmp(kind, "scheduler") == 0) {
        const struct planner_scheduler *const *list = planner_schedulers(&n);
        if (i >= n)
            return false;
        choice_set(choice, list[i]->name, list[i]->about, true);
        choice->by_distance = list[i]->by_distance;
        return true;
    }
    if (strcmp(kind, "predict") == 0) {
        const struct predictor *const *list = predictors(&n);
        return i < n && choice_set(choice, list[i]->name, list[i]->about, true);
    }
    if (strcmp(kind, "storage") == 0) {
        const struct storage_ops *const *list = storage_list(&n);
        if (i > n)
            return false;
        choice_set(choice, "auto", "uring, direct or pread: the first that works here", true);
        choice->direct = true;
        if (i > 0)
            *choice = (struct lb_choice){.name = list[i - 1]->name,
                                         .about = list[i - 1]->about,
                                         .available = true,
                                         .direct = list[i - 1]->direct,
                                         .mapped = list[i - 1]->map != NULL,
                                         .copied = list[i - 1]->copied};
        return true;
    }
    if (strcmp(kind, "device") == 0) {
        const struct storage_preset *list = storage_presets(&n);
        return i < n && choice_set(choice, list[i].name, list[i].about, true);
    }
    if (strcmp(kind, "kernels") == 0) {
        const struct kernels_ops *const *list = kernels_list(&n);
        if (i == 0)
            return choice_set(choice, "auto", "the best that this processor has", true);
        return i <= n &&
               choice_set(choice, list[i - 1]->name, list[i - 1]->about, list[i - 1]->available());
    }
    if (strcmp(kind, "shape") == 0) {
        const struct synth_shape *list = synth_shapes(&n);
        return i < n && choice_set(choice, list[i].name, list[i].architecture, true);
    }
    if (strcmp(kind, "quant") == 0) {
        const char *const *list = synth_mixes(&n);
        return i < n && choice_set(choice, list[i], "", true);
    }
    return false;
}

int lb_choice_find(const char *kind, const char *name, struct lb_choice *choice)
{
    for (int i = 0; lb_choice_at(kind, (size_t)i, choice); i++)
        if (strcmp(choice->name, name) == 0)
            return i;
    *choice = (struct lb_choice){.name = NULL};
    return -1;
}

bool lb_device_preset(const char *name, struct lb_device *device)
{
    size_t n;
    const struct storage_preset *list = storage_presets(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0) {
            const struct storage_device *d = &list[i].device;
            *device = (struct lb_device){d->bandwidth, d->latency_ns, d->queue_depth};
            return true;
        }
    }
    return false;
}
