#include "base/registry.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct registered {
    const char *name;
    const void *item;
    struct registered *next;
};

imiad_status registry_add(registry *r, const char *name, const void *item)
{
    struct registered *added = malloc(sizeof *added);
    if (!added)
        return fail_memory("a registry", sizeof *added);
    *added = (struct registered){name, item, NULL};
    imiad_status status = IMIAD_OK;
    pthread_mutex_lock(&r->lock);
    struct registered **end = &r->first;
    for (; *end && status == IMIAD_OK; end = &(*end)->next)
        if (strcmp((*end)->name, name) == 0)
            status = fail(IMIAD_INVALID_ARGUMENT, "the name \"%s\" is taken", name);
    if (status == IMIAD_OK)
        *end = added;
    pthread_mutex_unlock(&r->lock);
    if (status != IMIAD_OK)
        free(added);
    return status;
}

size_t registry_count(registry *r)
{
    size_t count = 0;
    pthread_mutex_lock(&r->lock);
    for (const struct registered *at = r->first; at; at = at->next)
        ++count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

const void *registry_at(registry *r, size_t index)
{
    pthread_mutex_lock(&r->lock);
    const struct registered *at = r->first;
    for (; at && index > 0; --index)
        at = at->next;
    const void *item = at ? at->item : NULL;
    pthread_mutex_unlock(&r->lock);
    return item;
}

bool registry_is_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < length; ++i)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return length > 0 && length < 48;
}
