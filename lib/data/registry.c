#include "base/registry.h"

#include "base/error.h"
#include "data/plugin.h"

static const void *built_in(size_t index)
{
    return table_at((const void *const *)dataset_table, index);
}

static registry registered = REGISTRY_INIT("dataset", built_in);

imiad_status dataset_find(const dataset_ops **out, const char *name)
{
    const void *ops;
    TRY(registry_find(&ops, &registered, name));
    *out = ops;
    return IMIAD_OK;
}

size_t imiad_dataset_type_count(void)
{
    return registry_count(&registered);
}

const char *imiad_dataset_type_name(size_t index)
{
    return registry_name_at(&registered, index);
}

const char *imiad_dataset_type_title(size_t index)
{
    const dataset_ops *ops = registry_at(&registered, index);
    return ops ? ops->title : NULL;
}

imiad_status imiad_dataset_register(const imiad_dataset_functions *functions)
{
    dataset_ops *ops;
    TRY(dataset_plugin_adapt(&ops, functions));
    ops->release = NULL; /* its datasets come and go, it stays */
    imiad_status status = registry_add(&registered, ops);
    if (status == IMIAD_OK)
        return status;
    dataset_plugin_abandon(ops);
    return fail_within(status, "dataset");
}

imiad_status imiad_dataset_option_info(imiad_option_info *out, const char *name, size_t index)
{
    const dataset_ops *ops;
    TRY(dataset_find(&ops, name));
    return options_info(
        out, (const option_spec *const[]){dataset_common_options, ops->options, NULL}, index);
}

imiad_status imiad_dataset_open(imiad_dataset **out, const char *name, const char *root,
                                const imiad_option *options, size_t option_count)
{
    const dataset_ops *ops;
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_dataset_open: out is NULL");
    TRY(dataset_find(&ops, name));
    return dataset_open(out, ops, root, options, option_count);
}
