/* array: arrays that grow by one element at a time. */
#ifndef ARRAY_H
#define ARRAY_H

#include <stddef.h>

/* One more element in *list (the address of a pointer that began as NULL and grew here alone) of
 * *count elements of `size` bytes: its place, zeroed. NULL: out of memory, all is as it was. */
void *array_add(void *list, size_t *count, size_t size);

#endif
