/* All architectures: a family a line, each with a table of its own that ends in a NULL name. New
 * architectures go to the end of their family's table, new families to the end of this one. */
#include "base/error.h"
#include "base/registry.h"
#include "nn/backbone.h"

/* clang-format off */
#define EACH_FAMILY(DO) \
    DO(resnet) \
    DO(vgg) \
    DO(efficientnet) \
    DO(mobilenet) \
    DO(densenet) \
    DO(vit) \
    DO(vig)
/* clang-format on */

#define DECLARE(name) extern const architecture name##_architectures[];
#define LIST(name)    name##_architectures,

EACH_FAMILY(DECLARE)

static const architecture *const families[] = {EACH_FAMILY(LIST) NULL};

const architecture *architecture_at(size_t index)
{
    for (const architecture *const *family = families; *family; ++family)
        for (const architecture *a = *family; a->name; ++a)
            if (index-- == 0)
                return a;
    return NULL;
}

static const void *built_in(size_t index)
{
    return architecture_at(index);
}

imiad_status architecture_find(const architecture **out, const char *name)
{
    static registry all = REGISTRY_INIT("backbone", built_in);
    const void *found;
    TRY(registry_find(&found, &all, name));
    *out = found;
    return IMIAD_OK;
}
