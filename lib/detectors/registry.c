#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "detectors/schema.h"

extern const detector_ops padim_ops, patchcore_ops, spade_ops;

const detector_ops *const detector_registry[] = {
    &padim_ops,
    &patchcore_ops,
    &spade_ops,
    NULL,
};

static const option_spec common_options[] = {
    {"resize_mode", OPT_CHOICE, "shorter", "shorter|squash",
     "resize the shorter side and keep the shape, or squash to a square"},
    {"resize", OPT_INT, "256", "8..8192", "size of the shorter side, or of the square, in pixels"},
    {"crop", OPT_INT, "224", "0..8192", "side of the centre crop in pixels; 0 crops nothing"},
    {"batch", OPT_INT, "8", "1..256", "images that pass through the network together"},
    {"smoothing", OPT_REAL, "4", "0..64", "sigma of the Gaussian over the map, in pixels; 0: none"},
    {0},
};

imiad_status detector_find(const detector_ops **out, const char *name)
{
    char known[512] = "";
    size_t used = 0;
    for (const detector_ops *const *ops = detector_registry; *ops; ++ops) {
        if (!(*ops)->name)
            return fail(IMIAD_INTERNAL, "entry %td of detector_registry has no name",
                        ops - detector_registry);
        if (strcmp((*ops)->name, name) == 0) {
            *out = *ops;
            return IMIAD_OK;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, " %s", (*ops)->name);
    }
    return fail(IMIAD_UNKNOWN_OPTION, "no detector \"%s\"; there are:%s", name, known);
}

imiad_status detector_parse_options(option_set **out, const detector_ops *ops,
                                    const imiad_option *given, size_t given_count)
{
    char owner[64];
    snprintf(owner, sizeof owner, "detector %s", ops->name);
    return options_parse(out, owner,
                         (const option_spec *const[]){common_options, ops->options, NULL}, given,
                         given_count);
}

size_t imiad_detector_type_count(void)
{
    return sizeof detector_registry / sizeof *detector_registry - 1;
}

const char *imiad_detector_type_name(size_t index)
{
    return index < imiad_detector_type_count() ? detector_registry[index]->name : NULL;
}

const char *imiad_detector_type_title(size_t index)
{
    return index < imiad_detector_type_count() ? detector_registry[index]->title : NULL;
}

imiad_status imiad_detector_option_info(imiad_option_info *out, const char *name, size_t index)
{
    if (!name)
        return fail(IMIAD_INVALID_ARGUMENT, "detector options: name is NULL");
    const detector_ops *ops;
    TRY(detector_find(&ops, name));
    return options_info(out, (const option_spec *const[]){common_options, ops->options, NULL},
                        index);
}
