/* Opening what a command line names: dataset, backbone, detector, split. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "torch_start.h"

imiad_status arguments_dataset(imiad_dataset **out, const arguments *a)
{
    return imiad_dataset_open(out, a->dataset, a->root, a->dataset_settings,
                              a->dataset_setting_count);
}

imiad_status arguments_backbone(imiad_backbone **out, const arguments *a)
{
    imiad_backbone_options options = IMIAD_BACKBONE_OPTIONS_INIT;
    options.default_weights = a->weights && strcmp(a->weights, "default") == 0;
    options.weights = options.default_weights ? NULL : a->weights;
    options.seed = a->seed;
    options.device = a->device;
    options.precision = a->precision;
    const char *otherwise = options.default_weights ? NULL : "resnet18";
    imiad_status status = torch_start();
    return status == IMIAD_OK
               ? imiad_backbone_create(out, a->backbone ? a->backbone : otherwise, &options)
               : status;
}

int option_known(option_schema of, const char *owner, const char *name)
{
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    for (size_t i = 0; of(&info, owner, i) == IMIAD_OK; ++i)
        if (strcmp(info.name, name) == 0)
            return 1;
    return 0;
}

json_t *number_record(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

/* --seed and --device go to options of that name, ahead of what --set says. */
imiad_status arguments_detector(imiad_detector **out, const arguments *a, imiad_backbone *backbone,
                                uint64_t seed)
{
    imiad_option options[MOST_SETTINGS + 2];
    char text[32];
    size_t count = 0;
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    if (option_known(imiad_detector_option_info, a->detector, "seed"))
        options[count++] = (imiad_option){"seed", text};
    if (a->device && option_known(imiad_detector_option_info, a->detector, "device"))
        options[count++] = (imiad_option){"device", a->device};
    memcpy(options + count, a->settings, a->setting_count * sizeof *options);
    return imiad_detector_create(out, a->detector, backbone, options, count + a->setting_count);
}

imiad_status arguments_split(imiad_split **out, const arguments *a, const imiad_dataset *dataset,
                             const char *category, const char *setting, const char *name,
                             const char *value, uint64_t seed)
{
    imiad_option options[MOST_SETTINGS + 2];
    char text[32];
    size_t count = 0;
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    if (option_known(imiad_setting_option_info, setting, "seed"))
        options[count++] = (imiad_option){"seed", text};
    if (name)
        options[count++] = (imiad_option){name, value};
    memcpy(options + count, a->split_settings, a->split_setting_count * sizeof *options);
    imiad_status status = imiad_split_create(out, dataset, category, setting, options,
                                             count + a->split_setting_count);
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

size_t arguments_category_count(const arguments *a, const imiad_dataset *dataset)
{
    return a->category_count ? a->category_count : imiad_dataset_category_count(dataset);
}

const char *arguments_category(const arguments *a, const imiad_dataset *dataset, size_t index)
{
    return a->category_count ? a->categories[index] : imiad_dataset_category(dataset, index);
}
