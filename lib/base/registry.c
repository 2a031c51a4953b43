#include "base/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct registered {
    const void *item;
    struct registered *next;
};

static const char *name_of(const void *item)
{
    return *(const char *const *)item;
}

const void *table_at(const void *const *table, size_t index)
{
    while (*table && index > 0)
        ++table, --index;
    return *table;
}

/* The number of the library's own. */
static size_t built_in_count(const registry *r)
{
    size_t count = 0;
    while (r->built_in(count))
        ++count;
    return count;
}

imiad_status registry_add(registry *r, const void *item)
{
    const char *name = name_of(item);
    for (size_t i = 0; r->built_in(i); ++i)
        if (strcmp(name_of(r->built_in(i)), name) == 0)
            return fail(IMIAD_INVALID_ARGUMENT, "the name \"%s\" is taken", name);
    struct registered *added = malloc(sizeof *added);
    if (!added)
        return fail_memory("a registry", sizeof *added);
    *added = (struct registered){item, NULL};
    imiad_status status = IMIAD_OK;
    pthread_mutex_lock(&r->lock);
    struct registered **end = &r->first;
    for (; *end && status == IMIAD_OK; end = &(*end)->next)
        if (strcmp(name_of((*end)->item), name) == 0)
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
    size_t count = built_in_count(r);
    pthread_mutex_lock(&r->lock);
    for (const struct registered *at = r->first; at; at = at->next)
        ++count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

const void *registry_at(registry *r, size_t index)
{
    size_t own = built_in_count(r);
    if (index < own)
        return r->built_in(index);
    index -= own;
    pthread_mutex_lock(&r->lock);
    const struct registered *at = r->first;
    for (; at && index > 0; --index)
        at = at->next;
    const void *item = at ? at->item : NULL;
    pthread_mutex_unlock(&r->lock);
    return item;
}

const char *registry_name_at(registry *r, size_t index)
{
    const void *item = registry_at(r, index);
    return item ? name_of(item) : NULL;
}

imiad_status registry_find(const void **out, registry *r, const char *name)
{
    if (!name)
        return fail(IMIAD_INVALID_ARGUMENT, "the %s's name is NULL", r->kind);
    char known[1024] = "";
    size_t used = 0;
    const void *item;
    for (size_t i = 0; (item = registry_at(r, i)); ++i) {
        if (strcmp(name_of(item), name) == 0) {
            *out = item;
            return IMIAD_OK;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, " %s", name_of(item));
    }
    return fail(IMIAD_UNKNOWN_OPTION, "no %s is named \"%s\"; there are:%s", r->kind, name, known);
}

bool registry_is_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < length; ++i)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return length > 0 && length < 48;
}
