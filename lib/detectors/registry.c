#include "detectors/registry.h"

#include "base/error.h"
#include "base/registry.h"
#include "detectors/detector.h"
#include "detectors/plugin.h"

static const void *built_in(size_t index)
{
    return table_at((const void *const *)detector_table, index);
}

static registry registered = REGISTRY_INIT("detector", built_in);

imiad_status detector_find(const detector_ops **out, const char *name)
{
    const void *ops;
    TRY(registry_find(&ops, &registered, name));
    *out = ops;
    return IMIAD_OK;
}

imiad_status imiad_detector_register(const imiad_detector_functions *functions)
{
    detector_ops *ops;
    TRY(detector_plugin_adapt(&ops, functions));
    imiad_status status = registry_add(&registered, ops);
    if (status == IMIAD_OK)
        return status;
    detector_plugin_abandon(ops);
    return fail_within(status, "detector");
}

size_t imiad_detector_type_count(void)
{
    return registry_count(&registered);
}

const char *imiad_detector_type_name(size_t index)
{
    return registry_name_at(&registered, index);
}

const char *imiad_detector_type_title(size_t index)
{
    const detector_ops *ops = registry_at(&registered, index);
    return ops ? ops->title : NULL;
}

const char *imiad_detector_type_benchmarks(size_t index)
{
    const detector_ops *ops = registry_at(&registered, index);
    return !ops ? NULL : ops->of ? ops->of : "";
}

const char *imiad_detector_type_new_task(size_t index)
{
    const detector_ops *ops = registry_at(&registered, index);
    return !ops ? NULL : !ops->fit_more ? "forgets" : ops->joins_tasks ? "joins" : "goes on";
}

imiad_status imiad_detector_option_info(imiad_option_info *out, const char *name, size_t index)
{
    const detector_ops *ops;
    TRY(detector_find(&ops, name));
    const option_spec *tables[5];
    return options_info(out, detector_option_tables(tables, ops), index);
}

imiad_status imiad_detector_create(imiad_detector **out, const char *name, imiad_backbone *backbone,
                                   const imiad_option *options, size_t option_count)
{
    if (!out || !name)
        return fail(IMIAD_INVALID_ARGUMENT, "detector: out or name is NULL");
    const detector_ops *ops;
    TRY(detector_find(&ops, name));
    return detector_create(out, ops, backbone, options, option_count);
}
