#include "metrics/sizes.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/frame.h"
#include "image/resize.h"

size_rule size_rule_named(const char *name)
{
    return strcmp(name, "mask") == 0  ? SIZES_MASK
           : strcmp(name, "map") == 0 ? SIZES_MAP
                                      : SIZES_EQUAL;
}

static bool has_size(const imiad_image *mask, int32_t width, int32_t height)
{
    return mask->width == width && mask->height == height;
}

/* Differences of two scores within these bounds are finite. */
static imiad_status check_scores(const float *map, int32_t width, int32_t height)
{
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            float score = map[(size_t)y * (size_t)width + (size_t)x];
            if (!(fabsf(score) <= FLT_MAX / 2))
                return fail(IMIAD_NOT_FINITE,
                            "the map's score at row %d, column %d is %s, and the map is to be "
                            "resized to the mask's size",
                            (int)y, (int)x,
                            isnan(score)   ? "NaN"
                            : isinf(score) ? "infinite"
                                           : "beyond half of what a float holds");
        }
    return IMIAD_OK;
}

static imiad_status add_at_mask(pixel_store *store, const float *map, int32_t width, int32_t height,
                                ground_truth truth, pixel_rules rules)
{
    int32_t wide = truth.mask->width, high = truth.mask->height;
    size_t size = (size_t)wide * (size_t)high * sizeof *map;
    TRY(check_scores(map, width, height));
    float *resized = malloc(size);
    if (!resized)
        return fail_memory("a resized map", size);
    resize_map(resized, wide, high, map, width, height);
    imiad_status status = pixel_store_add(store, resized, wide, high, truth, rules);
    free(resized);
    return status;
}

static imiad_status add_mask_at_map(pixel_store *store, const float *map, int32_t width,
                                    int32_t height, ground_truth truth, pixel_rules rules)
{
    imiad_image *resized;
    TRY(resize_nearest(&resized, truth.mask, width, height));
    truth.mask = resized;
    imiad_status status = pixel_store_add(store, map, width, height, truth, rules);
    imiad_image_free(resized);
    return status;
}

static imiad_status add_channels_at_map(pixel_store *store, const float *map, int32_t width,
                                        int32_t height, ground_truth truth, pixel_rules rules)
{
    size_t count = truth.channel_count, made = 0;
    imiad_status status = IMIAD_OK;
    imiad_spro_channel *channels = calloc(count, sizeof *channels);
    imiad_image **masks = calloc(count, sizeof *masks);
    if (!channels || !masks)
        status = fail_memory("resized channels", count * sizeof *channels);
    for (; status == IMIAD_OK && made < count; ++made) {
        status = resize_nearest(&masks[made], truth.channels[made].mask, width, height);
        channels[made] = truth.channels[made];
        channels[made].mask = masks[made];
    }
    truth.channels = channels;
    if (status == IMIAD_OK)
        status = pixel_store_add(store, map, width, height, truth, rules);
    for (size_t i = 0; i < made; ++i)
        imiad_image_free(masks[i]);
    free(masks);
    free(channels);
    return status;
}

static imiad_status fail_sizes(const imiad_image *mask, int32_t width, int32_t height)
{
    return fail(IMIAD_MISMATCH,
                "the mask is %d x %d but the map is %d x %d: option sizes says whose size counts",
                (int)mask->width, (int)mask->height, (int)width, (int)height);
}

imiad_status add_sized(pixel_store *store, const float *map, int32_t width, int32_t height,
                       ground_truth truth, pixel_rules rules)
{
    size_t odd = 0; /* the first channel of another size */
    while (odd < truth.channel_count && has_size(truth.channels[odd].mask, width, height))
        ++odd;
    bool odd_mask = truth.mask && !has_size(truth.mask, width, height);
    bool odd_channel = odd < truth.channel_count;
    if (!odd_mask && !odd_channel)
        return pixel_store_add(store, map, width, height, truth, rules);
    if (rules.sizes == SIZES_EQUAL)
        return odd_mask ? fail_sizes(truth.mask, width, height)
                        : fail_within(fail_sizes(truth.channels[odd].mask, width, height),
                                      "channel %zu", odd);
    if (odd_channel)
        return add_channels_at_map(store, map, width, height, truth, rules);
    return (rules.sizes == SIZES_MASK ? add_at_mask : add_mask_at_map)(store, map, width, height,
                                                                       truth, rules);
}
