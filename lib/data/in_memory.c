/* Datasets of images in memory: a reader whose functions hand out copies. */
#include <sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/dataset.h"
#include "image/pixels.h"

typedef struct album {
    imiad_memory_sample *samples; /* images and masks are the album's; text, while it is opened,
                                   * the caller's */
    size_t count;
} album;

static imiad_status copy_image(imiad_image **out, const imiad_image *image)
{
    TRY(imiad_image_create(out, image->format, image->width, image->height));
    size_t row = (size_t)image->width * (size_t)pixel_bytes(image->format);
    for (int32_t y = 0; y < image->height; ++y)
        memcpy(image_row(*out, y), image_row(image, y), row);
    return IMIAD_OK;
}

static void release(void *user)
{
    album *a = user;
    for (size_t i = 0; i < a->count; ++i) {
        imiad_image_free((imiad_image *)a->samples[i].image);
        imiad_image_free((imiad_image *)a->samples[i].mask);
    }
    free(a->samples);
    free(a);
}

static imiad_status list(void *user, imiad_listing *listing, const imiad_dataset *dataset)
{
    static const char *const subsets[] = {[IMIAD_SUBSET_TRAIN] = "train",
                                          [IMIAD_SUBSET_VALIDATION] = "validation",
                                          [IMIAD_SUBSET_TEST] = "test"};
    const album *a = user;
    for (size_t i = 0; i < a->count; ++i) {
        const imiad_memory_sample *s = &a->samples[i];
        char path[512];
        const char *category = s->category ? s->category : "default";
        if (s->subset < IMIAD_SUBSET_TRAIN || s->subset > IMIAD_SUBSET_TEST)
            return fail(IMIAD_INVALID_ARGUMENT, "sample %zu is in no subset", i);
        snprintf(path, sizeof path, "%s/%s/%s/%06zu", category, subsets[s->subset],
                 s->kind    ? s->kind
                 : s->label ? "defect"
                            : "good",
                 i);
        imiad_listed_sample listed = {.struct_size = sizeof listed,
                                      .subset = s->subset,
                                      .category = category,
                                      .label = s->label,
                                      .kind = s->kind,
                                      .path = s->path ? s->path : path,
                                      .has_mask = s->mask != NULL,
                                      .key = i};
        TRY(imiad_listing_add(listing, &listed));
    }
    return IMIAD_OK;
}

static imiad_status read_image(void *user, imiad_image **out, const imiad_dataset *dataset,
                               const imiad_sample *s, uint64_t key)
{
    return copy_image(out, ((const album *)user)->samples[key].image);
}

static imiad_status read_mask(void *user, imiad_image **out, const imiad_dataset *dataset,
                              const imiad_sample *s, uint64_t key)
{
    return copy_image(out, ((const album *)user)->samples[key].mask);
}

/* ---- copying ---- */

static imiad_status check_sample(const imiad_memory_sample *s)
{
    TRY(image_check(s->image, "image"));
    if (!s->mask)
        return IMIAD_OK;
    TRY(image_check(s->mask, "mask"));
    if (s->mask->format != IMIAD_PIXEL_GRAY8)
        return fail(IMIAD_MISMATCH, "its mask must be GRAY8, one byte a pixel");
    if (s->mask->width != s->image->width || s->mask->height != s->image->height)
        return fail(IMIAD_MISMATCH, "its mask is %dx%d pixels, but its image is %dx%d",
                    s->mask->width, s->mask->height, s->image->width, s->image->height);
    return IMIAD_OK;
}

static void digest_image(SHA2_CTX *hash, const imiad_image *image)
{
    const int32_t shape[3] = {(int32_t)image->format, image->width, image->height};
    SHA256Update(hash, (const uint8_t *)shape, sizeof shape);
    SHA256Update(hash, image->pixels, image->stride * (size_t)image->height);
}

/* `s` comes with the caller's images and leaves with copies, or none. */
static imiad_status keep_images(imiad_memory_sample *s, SHA2_CTX *hash)
{
    const imiad_image *image = s->image, *mask = s->mask;
    imiad_image *kept = NULL;
    imiad_status status = check_sample(s);
    s->image = s->mask = NULL;
    TRY(status);
    TRY(copy_image(&kept, image));
    s->image = kept;
    digest_image(hash, kept);
    if (!mask)
        return IMIAD_OK;
    TRY(copy_image(&kept, mask));
    s->mask = kept;
    digest_image(hash, kept);
    return IMIAD_OK;
}

static imiad_status fill_album(album *a, char digest[65], const imiad_memory_sample *samples,
                               size_t count)
{
    SHA2_CTX hash;
    SHA256Init(&hash);
    a->samples = calloc(count, sizeof *a->samples);
    if (!a->samples)
        return fail_memory("a dataset in memory", count * sizeof *a->samples);
    for (size_t i = 0; i < count; ++i) {
        const char *given = (const char *)samples + i * samples->struct_size;
        imiad_memory_sample *s = &a->samples[a->count++];
        memcpy(s, given, sizeof *s);
        imiad_status status = keep_images(s, &hash);
        if (status != IMIAD_OK)
            return fail_within(status, "a dataset in memory: sample %zu", i);
    }
    SHA256End(&hash, digest);
    return IMIAD_OK;
}

imiad_status imiad_dataset_from_images(imiad_dataset **out, const char *name,
                                       const imiad_memory_sample *samples, size_t count,
                                       const imiad_option *options, size_t option_count)
{
    if (!out || !name || !samples || count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "a dataset in memory: NULL, or no samples");
    if (samples->struct_size < sizeof *samples)
        return fail(IMIAD_INVALID_ARGUMENT, "a dataset in memory: struct_size is not set");
    char digest[65];
    album *a = calloc(1, sizeof *a);
    if (!a)
        return fail_memory("a dataset in memory", sizeof *a);
    imiad_status status = fill_album(a, digest, samples, count);
    if (status != IMIAD_OK) {
        release(a);
        return status;
    }
    /* an option, so that whatever depends on the dataset's options depends on its pixels */
    const imiad_option_info content = {
        sizeof content, IMIAD_OPTION_TEXT, "content", digest, "", "SHA-256 of the pixels"};
    const imiad_dataset_functions functions = {.struct_size = sizeof functions,
                                               .name = name,
                                               .title = "Images in memory",
                                               .options = &content,
                                               .option_count = 1,
                                               .user = a,
                                               .list = list,
                                               .read_image = read_image,
                                               .read_mask = read_mask,
                                               .release = release};
    return imiad_dataset_open_functions(out, &functions, NULL, options, option_count);
}
