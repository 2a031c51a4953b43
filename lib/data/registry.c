#include <string.h>

#include "base/error.h"
#include "base/registry.h"
#include "data/functions.h"

extern const dataset_ops mvtec_ad_ops, mvtec_loco_ops, mpdd_ops, btad_ops, visa_ops, mtd_ops,
    dagm_ops, mvtec_3d_rgb_ops, folder_ops, synthetic_ops;

static const dataset_ops *const built_in[] = {
    &mvtec_ad_ops, &mvtec_loco_ops, &mpdd_ops,         &btad_ops,   &visa_ops,
    &mtd_ops,      &dagm_ops,       &mvtec_3d_rgb_ops, &folder_ops, &synthetic_ops,
};

enum { BUILT_IN = sizeof built_in / sizeof *built_in };

static registry registered = REGISTRY_INIT;

const dataset_ops *dataset_type(size_t index)
{
    return index < BUILT_IN ? built_in[index] : registry_at(&registered, index - BUILT_IN);
}

size_t imiad_dataset_type_count(void)
{
    return BUILT_IN + registry_count(&registered);
}

const char *imiad_dataset_type_name(size_t index)
{
    const dataset_ops *ops = dataset_type(index);
    return ops ? ops->name : NULL;
}

const char *imiad_dataset_type_title(size_t index)
{
    const dataset_ops *ops = dataset_type(index);
    return ops ? ops->title : NULL;
}

imiad_status imiad_dataset_register(const imiad_dataset_functions *functions)
{
    dataset_ops *ops;
    TRY(functions_adapt(&ops, functions));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < BUILT_IN && status == IMIAD_OK; ++i)
        if (strcmp(built_in[i]->name, ops->name) == 0)
            status = fail(IMIAD_INVALID_ARGUMENT, "the name \"%s\" is taken", ops->name);
    ops->release = NULL; /* its datasets come and go, it stays */
    if (status == IMIAD_OK)
        status = registry_add(&registered, ops->name, ops);
    if (status == IMIAD_OK)
        return status;
    functions_abandon(ops);
    return fail_within(status, "dataset");
}
