/* Pixels of a dataset: its images, and the ground truth that belongs to them. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/dataset.h"
#include "image/decode.h"
#include "image/pixels.h"

static imiad_status check_index(const void *out, const imiad_dataset *dataset, size_t index)
{
    if (!out || !dataset)
        return fail(IMIAD_INVALID_ARGUMENT, "reading a dataset's image: out or dataset is NULL");
    if (index >= dataset->sample_count)
        return fail(IMIAD_OUT_OF_RANGE, "sample %zu of %zu", index, dataset->sample_count);
    return IMIAD_OK;
}

static imiad_status read_below_root(imiad_image **out, const imiad_dataset *dataset,
                                    const char *path, const imiad_decode_options *options)
{
    char *whole = path_join(dataset->root, path);
    if (!whole)
        return fail_memory("a path", strlen(path));
    imiad_status status = imiad_image_read_with(out, whole, options);
    free(whole);
    return status;
}

static imiad_status read_image(imiad_image **out, const imiad_dataset *dataset, size_t index,
                               bool deep)
{
    TRY(check_index(out, dataset, index));
    const sample *s = &dataset->samples[index];
    if (!dataset->ops->draw_image) {
        imiad_decode_options options = dataset->decoding;
        options.deep = deep;
        return read_below_root(out, dataset, s->path, &options);
    }
    imiad_image *drawn;
    TRY(dataset->ops->draw_image(&drawn, dataset, s));
    TRY(deep ? IMIAD_OK : image_show(&drawn, IMIAD_PIXEL_GRAY8));
    *out = drawn;
    return IMIAD_OK;
}

imiad_status imiad_dataset_read_image(imiad_image **out, const imiad_dataset *dataset, size_t index)
{
    return read_image(out, dataset, index, false);
}

imiad_status imiad_dataset_read_deep_image(imiad_image **out, const imiad_dataset *dataset,
                                           size_t index)
{
    return read_image(out, dataset, index, true);
}

imiad_status imiad_dataset_image_size(int32_t *width, int32_t *height, const imiad_dataset *dataset,
                                      size_t index)
{
    TRY(check_index(width && height ? width : NULL, dataset, index));
    const sample *s = &dataset->samples[index];
    if (dataset->ops->draw_image) {
        imiad_image *image;
        TRY(dataset->ops->draw_image(&image, dataset, s));
        *width = image->width;
        *height = image->height;
        imiad_image_free(image);
        return IMIAD_OK;
    }
    char *whole = path_join(dataset->root, s->path);
    if (!whole)
        return fail_memory("a path", strlen(s->path));
    imiad_status status = image_file_size(width, height, whole, &dataset->decoding);
    free(whole);
    return status;
}

static imiad_status check_size(const imiad_dataset *dataset, const sample *s, const char *mask_path,
                               const imiad_image *mask, int32_t width, int32_t height)
{
    if (mask->width == width && mask->height == height)
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH,
                "dataset %s at %s: the mask %s is %dx%d pixels, but its image %s is %dx%d",
                dataset->ops->name, dataset->root, mask_path, mask->width, mask->height, s->path,
                width, height);
}

/* The largest of a pixel's channels: masks come as grey, palette or colour files. Alpha was dropped
 * by the decoder. */
static imiad_status to_gray(imiad_image **out, const imiad_image *mask)
{
    imiad_image *gray;
    TRY(image_create(&gray, IMIAD_PIXEL_GRAY8, mask->width, mask->height));
    size_t channels = mask->format == IMIAD_PIXEL_GRAY8 ? 1 : 3;
    for (int32_t y = 0; y < mask->height; ++y) {
        const uint8_t *from = mask->pixels + (size_t)y * mask->stride;
        uint8_t *to = gray->pixels + (size_t)y * gray->stride;
        for (int32_t x = 0; x < mask->width; ++x) {
            uint8_t largest = 0;
            for (size_t c = 0; c < channels; ++c)
                if (from[(size_t)x * channels + c] > largest)
                    largest = from[(size_t)x * channels + c];
            to[x] = largest;
        }
    }
    *out = gray;
    return IMIAD_OK;
}

static imiad_status read_channel(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                                 size_t channel, int32_t width, int32_t height)
{
    imiad_image *mask, *gray;
    imiad_decode_options options = dataset->decoding; /* a mask's values are its own */
    options.low = options.high = 0;
    TRY(read_below_root(&mask, dataset, s->mask_paths[channel], &options));
    imiad_status status = check_size(dataset, s, s->mask_paths[channel], mask, width, height);
    if (status == IMIAD_OK)
        status = to_gray(&gray, mask);
    imiad_image_free(mask);
    if (status == IMIAD_OK)
        *out = gray;
    return status;
}

static imiad_status all_zero(imiad_image **out, const imiad_image *image)
{
    imiad_image *mask;
    TRY(image_create(&mask, IMIAD_PIXEL_GRAY8, image->width, image->height));
    memset(mask->pixels, 0, (size_t)mask->height * mask->stride);
    *out = mask;
    return IMIAD_OK;
}

/* Binary at native size, before anybody resizes it (shared rule of all datasets). */
static void add_channel(imiad_image *sum, const imiad_image *channel, int threshold)
{
    for (int32_t y = 0; y < sum->height; ++y) {
        uint8_t *to = sum->pixels + (size_t)y * sum->stride;
        const uint8_t *from = channel->pixels + (size_t)y * channel->stride;
        for (int32_t x = 0; x < sum->width; ++x)
            if (from[x] >= threshold)
                to[x] = 255;
    }
}

static imiad_status unite_channels(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                                   const imiad_image *image)
{
    int threshold = (int)options_int(dataset->options, "mask_threshold");
    imiad_image *sum;
    TRY(all_zero(&sum, image));
    for (size_t i = 0; i < s->mask_count; ++i) {
        imiad_image *channel;
        imiad_status status = read_channel(&channel, dataset, s, i, image->width, image->height);
        if (status != IMIAD_OK) {
            imiad_image_free(sum);
            return status;
        }
        add_channel(sum, channel, threshold);
        imiad_image_free(channel);
    }
    *out = sum;
    return IMIAD_OK;
}

imiad_status dataset_fail_missing_mask(const imiad_dataset *dataset, size_t index)
{
    const sample *s = &dataset->samples[index];
    return fail(IMIAD_NOT_FOUND,
                "dataset %s at %s: the defective image %s has no mask%s%s; "
                "option missing_mask can be skip or empty",
                dataset->ops->name, dataset->root, s->path,
                s->mask_expected ? ": there is no " : "", s->mask_expected ? s->mask_expected : "");
}

static bool policy_is(const imiad_dataset *dataset, const char *policy)
{
    return strcmp(options_text(dataset->options, "missing_mask"), policy) == 0;
}

bool dataset_lacks_mask(const imiad_dataset *dataset, size_t index)
{
    const sample *s = &dataset->samples[index];
    return s->label != 0 && !s->mask_drawn && s->mask_count == 0 && policy_is(dataset, "error");
}

imiad_status dataset_read_mask_of(imiad_image **out, const imiad_dataset *dataset, size_t index,
                                  const imiad_image *image)
{
    const sample *s = &dataset->samples[index];
    if (s->label == 0)
        return all_zero(out, image);
    if (s->mask_drawn)
        return dataset->ops->draw_mask(out, dataset, s, image);
    if (s->mask_count > 0)
        return unite_channels(out, dataset, s, image);
    if (policy_is(dataset, "error"))
        return dataset_fail_missing_mask(dataset, index);
    if (policy_is(dataset, "empty"))
        return all_zero(out, image);
    *out = NULL;
    return IMIAD_OK;
}

imiad_status imiad_dataset_read_mask(imiad_image **out, const imiad_dataset *dataset, size_t index)
{
    TRY(check_index(out, dataset, index));
    imiad_image *image, *mask;
    TRY(imiad_dataset_read_image(&image, dataset, index));
    imiad_status status = dataset_read_mask_of(&mask, dataset, index, image);
    imiad_image_free(image);
    TRY(status);
    if (!mask)
        return dataset_fail_missing_mask(dataset, index);
    *out = mask;
    return IMIAD_OK;
}

size_t imiad_dataset_mask_channels(const imiad_dataset *dataset, size_t index)
{
    if (!dataset || index >= dataset->sample_count)
        return 0;
    const sample *s = &dataset->samples[index];
    return s->mask_drawn ? 1 : s->mask_count;
}

imiad_status imiad_dataset_read_mask_channel(imiad_image **out, const imiad_dataset *dataset,
                                             size_t index, size_t channel)
{
    TRY(check_index(out, dataset, index));
    const sample *s = &dataset->samples[index];
    size_t channels = imiad_dataset_mask_channels(dataset, index);
    if (channel >= channels)
        return fail(IMIAD_OUT_OF_RANGE, "mask channel %zu of %zu of %s", channel, channels,
                    s->path);
    if (!s->mask_drawn) {
        int32_t width, height;
        TRY(imiad_dataset_image_size(&width, &height, dataset, index));
        return read_channel(out, dataset, s, channel, width, height);
    }
    imiad_image *image;
    TRY(imiad_dataset_read_image(&image, dataset, index));
    imiad_status status = dataset->ops->draw_mask(out, dataset, s, image);
    imiad_image_free(image);
    return status;
}
