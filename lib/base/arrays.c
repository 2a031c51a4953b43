#include "base/arrays.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

imiad_status array_grow(void *array, size_t *room, size_t element, const char *what)
{
    void *elements; /* copied, because the caller's pointer has another type */
    size_t wanted = *room ? 2 * *room : 64;
    memcpy(&elements, array, sizeof elements);
    void *grown = realloc(elements, wanted * element);
    if (!grown)
        return fail_memory(what, wanted * element);
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    return IMIAD_OK;
}
