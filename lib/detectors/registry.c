#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/registry.h"
#include "detectors/plugin.h"
#include "detectors/schema.h"

static const option_spec common_options[] = {
    {"resize_mode", OPT_CHOICE, "shorter", "shorter|squash",
     "resize the shorter side and keep the shape, or squash to a square"},
    {"resize", OPT_INT, "256", "8..8192", "size of the shorter side, or of the square, in pixels"},
    {"crop", OPT_INT, "224", "0..8192", "side of the centre crop in pixels; 0 crops nothing"},
    {"batch", OPT_INT, "8", "1..256", "images that pass through the network together"},
    {"smoothing", OPT_REAL, "4", "0..64", "sigma of the Gaussian over the map, in pixels; 0: none"},
    {0},
};

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
    TRY(plugin_adapt(&ops, functions));
    imiad_status status = registry_add(&registered, ops);
    if (status == IMIAD_OK)
        return status;
    plugin_abandon(ops);
    return fail_within(status, "detector");
}

/* All tables of a detector's schema, the common one first. */
static const option_spec *const *list_tables(const option_spec *tables[4], const detector_ops *ops)
{
    int count = 0;
    tables[count++] = common_options;
    if (ops->family_options)
        tables[count++] = ops->family_options;
    tables[count++] = ops->options;
    tables[count] = NULL;
    return tables;
}

/* The last value given for an option, or its default; NULL where the schema lacks it. */
static const char *value_of(const detector_ops *ops, const char *name, const imiad_option *given,
                            size_t given_count)
{
    for (size_t i = given_count; i-- > 0;)
        if (given[i].name && strcmp(given[i].name, name) == 0)
            return given[i].value;
    for (const option_spec *spec = ops->options; spec->name; ++spec)
        if (strcmp(spec->name, name) == 0)
            return spec->default_value;
    return NULL;
}

/* What the chosen preset sets, then what is given: the later value counts. */
imiad_status detector_parse_options(option_set **out, const detector_ops *ops,
                                    const imiad_option *given, size_t given_count)
{
    char owner[64];
    snprintf(owner, sizeof owner, "detector %s", ops->name);
    if (given_count > 0 && !given)
        return fail(IMIAD_INVALID_ARGUMENT, "%s: options is NULL but their count is %zu", owner,
                    given_count);
    size_t count = 0, rows = 0;
    while (ops->presets && ops->presets[rows].preset)
        ++rows;
    imiad_option *all = malloc((rows + given_count + 1) * sizeof *all);
    if (!all)
        return fail_memory("options", (rows + given_count + 1) * sizeof *all);
    const char *preset = rows ? value_of(ops, "preset", given, given_count) : NULL;
    for (size_t i = 0; preset && i < rows; ++i)
        if (strcmp(ops->presets[i].preset, preset) == 0)
            all[count++] = (imiad_option){ops->presets[i].option, ops->presets[i].value};
    for (size_t i = 0; i < given_count; ++i)
        all[count++] = given[i];
    const option_spec *tables[4];
    imiad_status status = options_parse(out, owner, list_tables(tables, ops), all, count);
    free(all);
    return status;
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

imiad_status imiad_detector_option_info(imiad_option_info *out, const char *name, size_t index)
{
    const detector_ops *ops;
    TRY(detector_find(&ops, name));
    const option_spec *tables[4];
    return options_info(out, list_tables(tables, ops), index);
}
