/* Arrays that grow an element at a time. */
#ifndef BASE_ARRAYS_H
#define BASE_ARRAYS_H

#include <stddef.h>

#include "imiad/common.h"

/* Twice the room; after a failure everything is as it was. */
imiad_status array_grow(void *array, size_t *room, size_t element, const char *what);

/* Room for one more than `count` elements of so many bytes. `array` is the address of the pointer
 * to them, `what` names them where memory runs out:
 *     TRY(array_reserve(&list->items, list->count, &list->room, sizeof *list->items, "a list")); */
static inline imiad_status array_reserve(void *array, size_t count, size_t *room, size_t element,
                                         const char *what)
{
    return count < *room ? IMIAD_OK : array_grow(array, room, element, what);
}

#endif
