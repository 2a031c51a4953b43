#include "loco.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const loco_names[LOCO_VALUES] = {
    "structural_image_auroc", "structural_spro_0.01", "structural_spro_0.05", "structural_spro_0.1",
    "structural_spro_0.3",    "structural_spro_1.0",  "logical_image_auroc",  "logical_spro_0.01",
    "logical_spro_0.05",      "logical_spro_0.1",     "logical_spro_0.3",     "logical_spro_1.0",
    "mean_image_auroc",       "mean_spro_0.01",       "mean_spro_0.05",       "mean_spro_0.1",
    "mean_spro_0.3",          "mean_spro_1.0"};

static imiad_spro_kind kind_of(const imiad_scored *scored)
{
    if (scored->info.label == 0)
        return IMIAD_SPRO_GOOD;
    return strncmp(scored->info.kind, "logical", 7) == 0 ? IMIAD_SPRO_LOGICAL
                                                         : IMIAD_SPRO_STRUCTURAL;
}

/* A channel holds 0 and one value, which says what the defect is and hence when it is found. */
static imiad_status describe_channel(imiad_spro_channel *out, const imiad_dataset *dataset,
                                     const imiad_scored *scored, const imiad_image *mask)
{
    imiad_defect_info defect = IMIAD_DEFECT_INFO_INIT;
    int32_t value = 0;
    for (int32_t y = 0; y < mask->height; ++y)
        for (int32_t x = 0; x < mask->width; ++x) {
            uint8_t pixel = mask->pixels[(size_t)y * mask->stride + (size_t)x];
            value = pixel > value ? pixel : value;
        }
    imiad_status status =
        imiad_dataset_find_defect(&defect, dataset, (size_t)scored->info.category, value);
    *out = (imiad_spro_channel){mask, defect.saturation_threshold, defect.relative_saturation};
    return status;
}

imiad_status loco_add(imiad_spro *spro, const imiad_dataset *dataset, const imiad_scored *scored)
{
    size_t count = imiad_dataset_mask_channels(dataset, scored->sample), read = 0;
    imiad_image **masks = calloc(count + 1, sizeof *masks);
    imiad_spro_channel *channels = calloc(count + 1, sizeof *channels);
    imiad_status status = masks && channels ? IMIAD_OK : IMIAD_NO_MEMORY;
    for (; status == IMIAD_OK && read < count; ++read) {
        status = imiad_dataset_read_mask_channel(&masks[read], dataset, scored->sample, read);
        if (status == IMIAD_OK)
            status = describe_channel(&channels[read], dataset, scored, masks[read]);
    }
    if (status == IMIAD_OK)
        status = imiad_spro_add_image(spro, kind_of(scored), (double)scored->score);
    if (status == IMIAD_OK && scored->map)
        status = imiad_spro_add_map(spro, scored->map, scored->width, scored->height,
                                    kind_of(scored), channels, count);
    for (size_t i = 0; masks && i < read; ++i)
        imiad_image_free(masks[i]);
    free(masks);
    free(channels);
    return status;
}

void loco_read(double out[LOCO_VALUES], const imiad_spro *spro, int openiad_order)
{
    static const imiad_spro_kind kinds[] = {IMIAD_SPRO_STRUCTURAL, IMIAD_SPRO_LOGICAL,
                                            IMIAD_SPRO_MEAN};
    static const double limits[] = {0.01, 0.05, 0.1, 0.3, 1};
    for (int i = 0; i < LOCO_VALUES; ++i)
        out[i] = NAN;
    for (int k = 0; k < 3; ++k) {
        (openiad_order ? imiad_spro_image_auroc_loco_order
                       : imiad_spro_image_auroc)(&out[6 * k], spro, kinds[k]);
        for (int l = 0; l < 5; ++l)
            imiad_spro_area(&out[6 * k + 1 + l], spro, kinds[k], limits[l]);
    }
}
