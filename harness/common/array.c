/* array: see array.h. There is room for the next power of two. */
#include "common/array.h"

#include <stdlib.h>
#include <string.h>

void *array_add(void *list, size_t *count, size_t size)
{
    char *first;
    memcpy(&first, list, sizeof first);
    if ((*count & (*count - 1)) == 0) {
        first = realloc(first, (*count ? 2 * *count : 1) * size);
        if (!first)
            return NULL;
        memcpy(list, &first, sizeof first);
    }
    return memset(first + (*count)++ * size, 0, size);
}
