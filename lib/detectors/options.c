/* The options of a detector: the common ones, its own, and what presets set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/detector.h"

static const option_spec common_options[] = {
    {"resize_mode", OPT_CHOICE, "shorter", "shorter|squash",
     "resize the shorter side and keep the shape, or squash to a square"},
    {"resize", OPT_INT, "256", "8..8192", "size of the shorter side, or of the square, in pixels"},
    {"crop", OPT_INT, "224", "0..8192", "side of the centre crop in pixels; 0 crops nothing"},
    {"batch", OPT_INT, "8", "1..256", "images that pass through the network together"},
    {"smoothing", OPT_REAL, "4", "0..64", "sigma of the Gaussian over the map, in pixels; 0: none"},
    {0},
};

static const option_spec device_options[] = {
    {"device", OPT_TEXT, "cpu", "", "where it computes: cpu, cuda or cuda:N"},
    {0},
};

const option_spec *const *detector_option_tables(const option_spec *tables[5],
                                                 const detector_ops *ops)
{
    int count = 0;
    tables[count++] = common_options;
    if (ops->own_device)
        tables[count++] = device_options;
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
    const option_spec *tables[5];
    imiad_status status =
        options_parse(out, owner, detector_option_tables(tables, ops), all, count);
    free(all);
    return status;
}
