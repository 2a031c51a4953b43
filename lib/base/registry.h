/* What there is of one kind (detectors, datasets, settings, backbones): the library's own, in a
 * table, then what programs add at run time and never take back. Every item is a structure whose
 * first member is its name, a `const char *`. */
#ifndef BASE_REGISTRY_H
#define BASE_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>

#include "imiad/common.h"

typedef struct registry {
    const char *kind;                      /* "detector": what messages call an item */
    const void *(*built_in)(size_t index); /* the library's own; NULL past the last */
    pthread_mutex_t lock;
    struct registered *first; /* those that programs added, in the order of adding */
} registry;
#define REGISTRY_INIT(kind, built_in)                                                              \
    {                                                                                              \
        kind, built_in, PTHREAD_MUTEX_INITIALIZER, NULL                                            \
    }

/* The item lives as long as the process. IMIAD_INVALID_ARGUMENT where its name is taken. */
imiad_status registry_add(registry *r, const void *item);
size_t registry_count(registry *r);
const void *registry_at(registry *r, size_t index);      /* NULL past the last */
const char *registry_name_at(registry *r, size_t index); /* likewise */
/* IMIAD_UNKNOWN_OPTION names all that there are; IMIAD_INVALID_ARGUMENT for NULL. */
imiad_status registry_find(const void **out, registry *r, const char *name);

/* The item at a place of a table of pointers that ends in NULL; NULL past the last. */
const void *table_at(const void *const *table, size_t index);

/* 1 to 47 letters, digits and underscores. */
bool registry_is_name(const char *name);

#endif
