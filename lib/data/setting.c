/* The registry of settings, and splits drawn by a setting's name. */
#include "base/error.h"
#include "base/registry.h"
#include "data/split.h"

static const void *built_in(size_t index)
{
    return table_at((const void *const *)setting_table, index);
}

static registry settings = REGISTRY_INIT("setting", built_in);

size_t imiad_setting_count(void)
{
    return registry_count(&settings);
}

const char *imiad_setting_name(size_t index)
{
    return registry_name_at(&settings, index);
}

const char *imiad_setting_title(size_t index)
{
    const setting_ops *setting = registry_at(&settings, index);
    return setting ? setting->title : NULL;
}

imiad_status setting_find(const setting_ops **out, const char *name)
{
    const void *setting;
    TRY(registry_find(&setting, &settings, name));
    *out = setting;
    return IMIAD_OK;
}

imiad_status imiad_setting_option_info(imiad_option_info *out, const char *name, size_t index)
{
    const setting_ops *setting;
    TRY(setting_find(&setting, name));
    return options_info(
        out, (const option_spec *const[]){setting_common_options, setting->options, NULL}, index);
}

imiad_status imiad_split_create(imiad_split **out, const imiad_dataset *dataset,
                                const char *category, const char *setting,
                                const imiad_option *options, size_t option_count)
{
    const setting_ops *ops;
    imiad_split *split = NULL;
    TRY(setting_find(&ops, setting));
    TRY(split_begin(out ? &split : NULL, dataset, category, ops, options, option_count));
    imiad_status status = ops->draw(split);
    if (status == IMIAD_OK)
        status = split_finish(split);
    if (status != IMIAD_OK) {
        imiad_split_free(split);
        return status;
    }
    *out = split;
    return IMIAD_OK;
}
