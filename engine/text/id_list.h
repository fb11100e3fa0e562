/* id_list: token ids that are being collected. Zeroed at first. */
#ifndef TEXT_ID_LIST_H
#define TEXT_ID_LIST_H

#include "base/status.h"
#include "text/grow.h"

#include <stdint.h>

struct id_list {
    int32_t *ids;
    size_t count, room;
};

static inline enum lb_status id_list_add(struct id_list *list, int32_t id, struct lb_error *err)
{
    if (!text_grow(&list->ids, &list->room, list->count + 1, sizeof *list->ids))
        return lb_fail(err, LB_ERR_NOMEM, "tokenizer: out of memory");
    list->ids[list->count++] = id;
    return LB_OK;
}

#endif
