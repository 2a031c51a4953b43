#include "data/loaded_image.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "image/pixels.h"

/* A finished image with its mask, and the whole of it where masks have a frame of their own. */
typedef struct ready_image {
    imiad_image *image, *mask, *framed;
    int32_t native_width, native_height;
} ready_image;

static uint64_t image_bytes(const imiad_image *image)
{
    return image ? (uint64_t)image->stride * (uint64_t)image->height + sizeof *image : 0;
}

static void free_ready(const ready_image *ready)
{
    imiad_image_free(ready->image);
    imiad_image_free(ready->mask);
    imiad_image_free(ready->framed);
}

static void show(loaded *result, const ready_image *ready)
{
    result->image = ready->image;
    result->mask = ready->mask;
    result->framed = ready->framed;
    result->native_width = ready->native_width;
    result->native_height = ready->native_height;
}

size_t loaded_sample(const image_source *source, size_t position)
{
    return source->entries ? source->entries[position].sample : source->samples[position];
}

static int32_t label_at(const image_source *source, size_t position)
{
    if (!source->dataset)
        return source->labels ? source->labels[position] : 0;
    int32_t told = source->entries ? split_roles[source->entries[position].role].label : -1;
    return told >= 0 ? told : source->dataset->samples[loaded_sample(source, position)].label;
}

static split_role role_at(const image_source *source, size_t position)
{
    if (source->entries)
        return source->entries[position].role;
    if (label_at(source, position))
        return ROLE_ANOMALY;
    return source->categories && source->categories[position] ? ROLE_SOURCE : ROLE_TRAIN;
}

static int32_t category_at(const image_source *source, size_t position)
{
    if (source->dataset)
        return source->dataset->samples[loaded_sample(source, position)].category;
    return source->categories ? source->categories[position] : 0;
}

loaded loaded_describe(const image_source *source, size_t position)
{
    return (loaded){.position = position,
                    .label = label_at(source, position),
                    .role = role_at(source, position),
                    .category = category_at(source, position)};
}

/* The caller's mask of an image in memory; NULL where there is none. */
static imiad_status copy_mask(imiad_image **out, const imiad_image *mask, size_t position,
                              const imiad_image *image)
{
    *out = NULL;
    if (!mask)
        return IMIAD_OK;
    if (mask->width != image->width || mask->height != image->height)
        return fail(IMIAD_MISMATCH, "image %zu in memory is %d x %d, its mask %d x %d", position,
                    image->width, image->height, mask->width, mask->height);
    TRY(image_create(out, IMIAD_PIXEL_GRAY8, mask->width, mask->height));
    for (int32_t y = 0; y < mask->height; ++y)
        memcpy(image_row(*out, y), image_row(mask, y), (size_t)mask->width);
    return IMIAD_OK;
}

/* Whoever is told that a defective image is good must not learn better from its mask. */
static imiad_status read_told_mask(imiad_image **out, const loading *l, size_t position,
                                   const imiad_image *image)
{
    if (label_at(&l->source, position) == 0)
        return image_create(out, IMIAD_PIXEL_GRAY8, image->width, image->height);
    if (!l->source.dataset)
        return copy_mask(out, l->source.masks ? l->source.masks[position] : NULL, position, image);
    return dataset_read_mask_of(out, l->source.dataset, loaded_sample(&l->source, position), image);
}

static imiad_status load_mask(imiad_image **out, const loading *l, size_t position,
                              const imiad_image *image)
{
    imiad_image *mask;
    TRY(read_told_mask(&mask, l, position, image));
    *out = NULL;
    if (!mask)
        return IMIAD_OK;
    if (l->frame == FRAME_WHOLE && l->frame_geometry.resize == 0) {
        *out = mask;
        return IMIAD_OK;
    }
    imiad_status status = l->frame == FRAME_OPENIAD
                              ? preprocess_mask_openiad(out, mask, &l->frame_geometry)
                              : preprocess_mask(out, mask, &l->frame_geometry);
    imiad_image_free(mask);
    return status;
}

/* The whole image where masks show it whole. */
static imiad_status frame_image(imiad_image **out, const loading *l, const imiad_image *decoded)
{
    if (!l->with_masks || l->frame != FRAME_WHOLE)
        return IMIAD_OK;
    preprocessing as_it_is = {.squash = false,
                              .resize = decoded->width < decoded->height ? decoded->width
                                                                         : decoded->height};
    imiad_image *framed;
    TRY(preprocess_image(&framed, decoded,
                         l->frame_geometry.resize ? &l->frame_geometry : &as_it_is));
    TRY(image_show(&framed, IMIAD_PIXEL_RGB8));
    *out = framed;
    return IMIAD_OK;
}

/* Failures to decode name their file; those of the geometry cannot. */
static imiad_status fail_geometry(imiad_status status, const loading *l, size_t position)
{
    if (!l->source.dataset)
        return fail_within(status, "image %zu in memory", position);
    return fail_within(status, "image %s",
                       l->source.dataset->samples[loaded_sample(&l->source, position)].path);
}

/* Puts what `change` makes of the image in its place. */
static imiad_status replace(imiad_image **image,
                            imiad_status (*change)(imiad_image **out, const imiad_image *image,
                                                   const augmentation *a),
                            const augmentation *a)
{
    imiad_image *changed;
    TRY(change(&changed, *image, a));
    imiad_image_free(*image);
    *image = changed;
    return IMIAD_OK;
}

/* NULL where the image stays as it is. */
static const augmentation *augmentation_of(const image_source *source, size_t position)
{
    const augmentation *a = source->entries ? &source->entries[position].augment : NULL;
    return a && a->kind != AUGMENT_NONE ? a : NULL;
}

static imiad_status augment(ready_image *ready, const image_source *source, size_t position)
{
    const augmentation *a = augmentation_of(source, position);
    if (!a)
        return IMIAD_OK;
    TRY(replace(&ready->image, augment_image, a));
    return ready->mask ? replace(&ready->mask, augment_mask, a) : IMIAD_OK;
}

static imiad_status finish_image(loaded *result, const loading *l, size_t position,
                                 const imiad_image *decoded)
{
    ready_image ready = {.native_width = decoded->width, .native_height = decoded->height};
    double before = clock_seconds();
    imiad_status status = preprocess_image(&ready.image, decoded, &l->geometry);
    if (status != IMIAD_OK)
        return fail_geometry(status, l, position);
    result->resize_seconds = clock_seconds() - before;
    if (l->with_masks)
        status = load_mask(&ready.mask, l, position, decoded);
    if (status == IMIAD_OK)
        status = augment(&ready, &l->source, position);
    if (status == IMIAD_OK)
        status = frame_image(&ready.framed, l, decoded);
    if (status != IMIAD_OK)
        free_ready(&ready);
    else
        show(result, &ready);
    return status;
}

imiad_status loaded_read(loaded *result, const loading *l)
{
    size_t position = result->position;
    if (!l->source.dataset)
        return finish_image(result, l, position, l->source.images[position]);
    imiad_image *decoded;
    double before = clock_seconds();
    TRY(imiad_dataset_read_deep_image(&decoded, l->source.dataset,
                                      loaded_sample(&l->source, position)));
    result->decode_seconds = clock_seconds() - before;
    imiad_status status = finish_image(result, l, position, decoded);
    imiad_image_free(decoded);
    return status;
}

static imiad_status read_rgb(imiad_image **out, const image_source *source, size_t position)
{
    if (!source->dataset)
        return image_to_rgb(out, source->images[position]);
    imiad_image *decoded;
    TRY(imiad_dataset_read_image(&decoded, source->dataset, loaded_sample(source, position)));
    imiad_status status = image_to_rgb(out, decoded);
    imiad_image_free(decoded);
    return status;
}

imiad_status loaded_read_native(imiad_image **out, const loading *l, size_t position)
{
    const augmentation *a = augmentation_of(&l->source, position);
    imiad_image *image;
    TRY(read_rgb(&image, &l->source, position));
    imiad_status status = a ? replace(&image, augment_image, a) : IMIAD_OK;
    if (status != IMIAD_OK) {
        imiad_image_free(image);
        return status;
    }
    *out = image;
    return IMIAD_OK;
}

uint64_t loaded_bytes(const loaded *result)
{
    return image_bytes(result->image) + image_bytes(result->mask) + image_bytes(result->framed);
}

void loaded_free(const loaded *result)
{
    ready_image ready = {(imiad_image *)result->image, (imiad_image *)result->mask,
                         (imiad_image *)result->framed, 0, 0};
    free_ready(&ready);
}
