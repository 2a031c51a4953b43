#include "detectors/parts/made_defects.h"

#include <string.h>

#include "base/error.h"
#include "detectors/parts/mask_shapes.h"
#include "image/pixels.h"
#include "synthesis/damage.h"
#include "synthesis/warp.h"

enum { MOST_DRAWS = 1000, SMALLEST = 50, OF_PIXELS = 512 * 512, HALF = 127 };

/* Whether it has parts, and none that is too small. */
static imiad_status check_parts(bool *fine, const imiad_image *mask)
{
    mask_components parts;
    double pixels = (double)mask->width * mask->height;
    TRY(mask_components_find(&parts, mask->pixels, mask->width, mask->height));
    *fine =
        parts.count > 0 && (double)mask_components_smallest(&parts) > SMALLEST * pixels / OF_PIXELS;
    mask_components_free(&parts);
    return IMIAD_OK;
}

static imiad_status draw_mask(imiad_image **out, int32_t width, int32_t height, random_stream *s)
{
    for (int i = 0; i < MOST_DRAWS; ++i) {
        imiad_image *mask;
        int64_t covered;
        bool fine = false;
        TRY(perlin_mask(&mask, &covered, width, height, &perlin_defaults, s));
        imiad_status status = check_parts(&fine, mask);
        if (status == IMIAD_OK && fine) {
            *out = mask;
            return IMIAD_OK;
        }
        imiad_image_free(mask);
        TRY(status);
    }
    return fail(IMIAD_INTERNAL, "no mask for a made defect in %d draws", MOST_DRAWS);
}

imiad_status defect_synthesise(imiad_image **out, imiad_image **mask, const imiad_image *image,
                               texture_source *textures, random_stream *s)
{
    memseg_options how = memseg_defaults;
    imiad_image *inside = NULL;
    how.least_opacity = 0.5;
    how.foreground = -1;
    TRY(draw_mask(&inside, image->width, image->height, s));
    imiad_status status = memseg_fill(out, image, inside, textures, &how, s);
    if (status != IMIAD_OK)
        imiad_image_free(inside);
    else
        *mask = inside;
    return status;
}

/* The first component's middle. */
static imiad_status find_middle(double out[2], const imiad_image *mask)
{
    mask_components parts;
    TRY(mask_components_find(&parts, mask->pixels, mask->width, mask->height));
    bool any = parts.count > 0;
    if (any)
        memcpy(out, parts.components[0].centre, 2 * sizeof *out);
    mask_components_free(&parts);
    return any ? IMIAD_OK : fail(IMIAD_INTERNAL, "nothing to transplant: an empty mask");
}

/* Copies the pixels of a mask that is above one half, which becomes 0 or 255. */
static void lay_over(imiad_image *image, const imiad_image *over, imiad_image *mask)
{
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *to = image_row(image, y), *inside = image_row(mask, y);
        const uint8_t *from = image_row(over, y);
        for (int32_t x = 0; x < image->width; ++x) {
            inside[x] = inside[x] > HALF ? 255 : 0;
            if (inside[x])
                memcpy(to + 3 * x, from + 3 * x, 3);
        }
    }
}

imiad_status defect_transplant(imiad_image **out, imiad_image **out_mask, const imiad_image *from,
                               const imiad_image *mask, const imiad_image *into, random_stream *s)
{
    double middle[2], degrees = random_between(s, -45, 45), scale = random_between(s, 0.8, 1.2);
    imiad_image *turned = NULL, *turned_mask = NULL, *result = NULL;
    TRY(find_middle(middle, mask));
    imiad_status status = warp_about(&turned, from, middle, degrees, scale);
    if (status == IMIAD_OK)
        status = warp_about(&turned_mask, mask, middle, degrees, scale);
    if (status == IMIAD_OK)
        status = image_to_rgb(&result, into);
    if (status == IMIAD_OK) {
        lay_over(result, turned, turned_mask);
        *out = result;
        *out_mask = turned_mask;
    } else {
        imiad_image_free(turned_mask);
    }
    imiad_image_free(turned);
    return status;
}

/* ---- of training images ---- */

static void join(imiad_image *mask, const imiad_image *other)
{
    for (size_t i = 0; i < (size_t)mask->width * (size_t)mask->height; ++i)
        mask->pixels[i] |= other->pixels[i];
}

/* A drawn good image of the training set. */
static size_t draw_good(const made_from *from, random_stream *s)
{
    size_t image;
    do
        image = (size_t)random_below(s, train_set_count(from->set));
    while (train_set_image(from->set, image).label != 0);
    return image;
}

/* What a maker makes of one image. */
typedef struct made_defect {
    imiad_image *image, *mask;
    int64_t source; /* the good image; -1: none */
} made_defect;

static imiad_status transplant(made_defect *out, const made_from *from, const imiad_image *known,
                               random_stream *s)
{
    const imiad_image *good;
    size_t into = draw_good(from, s);
    TRY(made_other(&good, NULL, from, into));
    out->source = (int64_t)into;
    return defect_transplant(&out->image, &out->mask, from->image, known, good, s);
}

static imiad_status make_variant(made_defect *out, const made_from *from,
                                 const token_labels *labels, texture_source *textures,
                                 random_stream *s)
{
    imiad_image *known;
    mask_components parts = {.count = 0};
    bool beside = random_real(s) < 0.5 || labels->mode == LABELS_TAGS;
    TRY(token_labels_known(&known, labels, from->mask, from->image));
    imiad_status status = mask_components_find(&parts, known->pixels, known->width, known->height);
    if (status == IMIAD_OK && parts.count > 0 && !beside) {
        status = transplant(out, from, known, s);
    } else if (status == IMIAD_OK) {
        status = defect_synthesise(&out->image, &out->mask, from->image, textures, s);
        if (status == IMIAD_OK)
            join(out->mask, known);
    }
    mask_components_free(&parts);
    imiad_image_free(known);
    return status;
}

imiad_status defect_make(made_output *out, const made_from *from, const token_labels *labels,
                         texture_source *textures)
{
    random_stream s = made_stream(from, "defect");
    made_defect made = {.source = -1};
    if (from->told.label) {
        TRY(make_variant(&made, from, labels, textures, &s));
    } else {
        made.source = (int64_t)from->index;
        TRY(defect_synthesise(&made.image, &made.mask, from->image, textures, &s));
    }
    size_t row = 3 * (size_t)made.image->width;
    for (int32_t y = 0; y < made.image->height; ++y)
        memcpy(out[0].bytes + (size_t)y * row, image_row(made.image, y), row);
    mask_block_shares(out[1].values, made.mask->pixels, made.mask->width, made.mask->height,
                      labels->rows, labels->columns);
    out[2].values[0] = (float)made.source;
    imiad_image_free(made.image);
    imiad_image_free(made.mask);
    return IMIAD_OK;
}

void defect_specs(made_spec out[DEFECT_OUTPUTS], const token_labels *labels)
{
    out[0] = (made_spec){.kind = MADE_IMAGE};
    out[1] = (made_spec){.kind = MADE_PLANES,
                         .channels = 1,
                         .height = (int32_t)labels->rows,
                         .width = (int32_t)labels->columns};
    out[2] = (made_spec){.kind = MADE_PLANES, .channels = 1, .height = 1, .width = 1};
}
