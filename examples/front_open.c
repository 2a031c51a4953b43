/* Opening what a command line names: dataset, backbone, detector, split. */
#include <stdio.h>
#include <string.h>

#include "front.h"

typedef imiad_status (*schema)(imiad_option_info *, const char *, size_t);

imiad_status front_dataset(imiad_dataset **out, const front *f)
{
    return imiad_dataset_open(out, f->dataset, f->root, f->dataset_settings,
                              f->dataset_setting_count);
}

imiad_status front_backbone(imiad_backbone **out, const front *f)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.default_weights = f->weights && strcmp(f->weights, "default") == 0;
    options.weights = options.default_weights ? NULL : f->weights;
    options.seed = f->seed;
    options.device = f->device;
    options.precision = f->precision;
    const char *otherwise = options.default_weights ? NULL : "resnet18";
    return imiad_backbone_create(out, f->backbone ? f->backbone : otherwise, &options);
}

/* Whether there is an option of that name; --seed and --device go there, ahead of what --set says.
 */
static int has_option(schema look, const char *name, const char *option)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; look(&info, name, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, option) == 0)
            return 1;
    return 0;
}

imiad_status front_detector(imiad_detector **out, const front *f, imiad_backbone *backbone,
                            uint64_t seed)
{
    imiad_option options[MOST_SETTINGS + 2];
    char text[32];
    size_t count = 0;
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    if (has_option(imiad_detector_option_info, f->detector, "seed"))
        options[count++] = (imiad_option){"seed", text};
    if (f->device && has_option(imiad_detector_option_info, f->detector, "device"))
        options[count++] = (imiad_option){"device", f->device};
    memcpy(options + count, f->settings, f->setting_count * sizeof *options);
    return imiad_detector_create(out, f->detector, backbone, options, count + f->setting_count);
}

imiad_status front_split(imiad_split **out, const front *f, const imiad_dataset *dataset,
                         const char *category, const char *setting, const char *name,
                         const char *value, uint64_t seed)
{
    imiad_option options[MOST_SETTINGS + 2];
    char text[32];
    size_t count = 0;
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    if (has_option(imiad_setting_option_info, setting, "seed"))
        options[count++] = (imiad_option){"seed", text};
    if (name)
        options[count++] = (imiad_option){name, value};
    memcpy(options + count, f->split_settings, f->split_setting_count * sizeof *options);
    imiad_status status = imiad_split_create(out, dataset, category, setting, options,
                                             count + f->split_setting_count);
    if (status != IMIAD_OK)
        return status;
    /* what is known to stop the measuring is said before a long fit */
    status = imiad_split_test_count(*out) > 0
                 ? imiad_split_check(*out)
                 : imiad_fail(IMIAD_NOT_FOUND, "there are no test images to measure it with");
    if (status != IMIAD_OK) {
        imiad_split_free(*out);
        *out = NULL;
    }
    return status;
}

size_t front_category_count(const front *f, const imiad_dataset *dataset)
{
    return f->category_count ? f->category_count : imiad_dataset_category_count(dataset);
}

const char *front_category(const front *f, const imiad_dataset *dataset, size_t index)
{
    return f->category_count ? f->categories[index] : imiad_dataset_category(dataset, index);
}
