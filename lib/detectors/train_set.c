/* The training images of one fit. */
#include <sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/detector.h"

struct train_set {
    imiad_detector *detector;
    loader *images;
    image_source source;
    const imiad_image *batch[256]; /* the one handed out */
};

/* Detectors that train have options of their own for steps and for keeping images. */
static int64_t option_or(const imiad_detector *self, const char *name, int64_t otherwise)
{
    return options_find(self->options, name) ? options_int(self->options, name) : otherwise;
}

imiad_status train_set_open(train_set **out, imiad_detector *detector, const image_source *source)
{
    train_set *set = calloc(1, sizeof *set);
    if (!set)
        return fail_memory("a training set", sizeof *set);
    set->detector = detector;
    set->source = *source;
    int64_t size = option_or(detector, "train_batch", detector_batch_size(detector));
    loader_settings settings = {.geometry = detector->preprocessing,
                                .batch = (size_t)size,
                                .cache_bytes =
                                    (uint64_t)option_or(detector, "image_cache", 0) * 1000000};
    imiad_status status = loader_open(&set->images, source, &settings);
    if (status != IMIAD_OK) {
        free(set);
        return status;
    }
    *out = set;
    return IMIAD_OK;
}

void train_set_close(train_set *set)
{
    loader_close(set->images);
    free(set);
}

size_t train_set_count(const train_set *set)
{
    return set->source.count;
}

bool train_set_next(train_set *set, batch *out)
{
    const loaded *items;
    size_t count = 0;
    if (t_failed())
        return false;
    imiad_status status = loader_next(&items, &count, set->images);
    if (status != IMIAD_OK) {
        t_fail(status, "%s", imiad_last_error());
        return false;
    }
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; ++i) {
        set->batch[i] = items[i].image;
        detector_add_loading(set->detector, items[i].decode_seconds, items[i].resize_seconds);
    }
    detector_make_batch(out, set->detector, set->batch, count);
    return !t_failed();
}

imiad_status train_set_rewind(train_set *set, const size_t *order)
{
    return loader_rewind(set->images, order);
}

/* ---- identity ---- */

/* Every text with its NUL: no two lists can run together into the same bytes. */
static void digest_text(SHA2_CTX *hash, const char *text)
{
    SHA256Update(hash, (const uint8_t *)text, strlen(text) + 1);
}

static void digest_entry(SHA2_CTX *hash, const image_source *source, size_t i)
{
    char augmented[AUGMENT_TEXT_BYTES] = "";
    size_t index = source->entries ? source->entries[i].sample : source->samples[i];
    const sample *s = &source->dataset->samples[index];
    digest_text(hash, source->dataset->categories[s->category].name);
    digest_text(hash, s->path);
    if (source->entries) {
        augment_print(augmented, &source->entries[i].augment);
        digest_text(hash, split_roles[source->entries[i].role].name);
    }
    digest_text(hash, augmented);
}

static void digest_pixels(SHA2_CTX *hash, const imiad_image *image)
{
    static const size_t pixel_bytes[] = {[IMIAD_PIXEL_GRAY8] = 1,
                                         [IMIAD_PIXEL_RGB8] = 3,
                                         [IMIAD_PIXEL_BGR8] = 3,
                                         [IMIAD_PIXEL_RGBA8] = 4};
    const int32_t shape[3] = {(int32_t)image->format, image->width, image->height};
    SHA256Update(hash, (const uint8_t *)shape, sizeof shape);
    for (int32_t y = 0; y < image->height; ++y)
        SHA256Update(hash, image->pixels + (size_t)y * image->stride,
                     (size_t)image->width * pixel_bytes[image->format]);
}

imiad_status train_set_digest(char out[65], const train_set *set)
{
    const image_source *source = &set->source;
    SHA2_CTX hash;
    SHA256Init(&hash);
    if (source->dataset) {
        const option_set *options = source->dataset->options;
        digest_text(&hash, source->dataset->ops->name);
        for (size_t i = 0; i < options_count(options); ++i) {
            digest_text(&hash, options_get(options, i).name);
            digest_text(&hash, options_get(options, i).value);
        }
    }
    for (size_t i = 0; i < source->count; ++i) {
        if (source->dataset)
            digest_entry(&hash, source, i);
        else
            digest_pixels(&hash, source->images[i]);
    }
    SHA256End(&hash, out);
    return IMIAD_OK;
}
