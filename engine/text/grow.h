/* grow: room in an array that doubles. */
#ifndef TEXT_GROW_H
#define TEXT_GROW_H

#include "base/memory.h"

#include <stdbool.h>

/* Makes *array (elements of `size` bytes, room for *capacity) hold `need` elements; false when out
 * of memory, and then nothing has changed. */
static inline bool text_grow(void *array, size_t *capacity, size_t need, size_t size)
{
    void **block = array;
    if (need <= *capacity)
        return true;
    size_t room = *capacity * 2 > need ? *capacity * 2 : need + 16;
    void *grown = lb_realloc(*block, room, size);
    if (!grown)
        return false;
    *block = grown;
    *capacity = room;
    return true;
}

#endif
