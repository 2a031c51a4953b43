/* What programs add to a table of the library's at run time: named items, never taken back. */
#ifndef BASE_REGISTRY_H
#define BASE_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>

#include "imiad/common.h"

typedef struct registry {
    pthread_mutex_t lock;
    struct registered *first; /* in the order of adding */
} registry;
#define REGISTRY_INIT                                                                              \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, NULL                                                            \
    }

/* The item and the name live as long as the process. IMIAD_INVALID_ARGUMENT where the name is
 * taken. */
imiad_status registry_add(registry *r, const char *name, const void *item);
size_t registry_count(registry *r);
const void *registry_at(registry *r, size_t index); /* NULL past the last */

/* 1 to 47 letters, digits and underscores. */
bool registry_is_name(const char *name);

#endif
