#include "synthesis/damage.h"

#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/blend.h"
#include "synthesis/warp.h"

/* ---- DRAEM ---- */

const draem_options draem_defaults = {
    .rotated = 0.3, .whole = 0.5, .operations = NULL, .perlin = {0, 5, 90, 0.5}};

void draem_damage_free(draem_damage *d)
{
    imiad_image_free(d->clean);
    imiad_image_free(d->texture);
    imiad_image_free(d->mask);
    *d = (draem_damage){NULL, NULL, NULL, 0};
}

static imiad_status draw_clean(imiad_image **out, const imiad_image *image, const draem_options *o,
                               random_stream *s)
{
    bool turned = random_real(s) < o->rotated;
    double degrees = random_between(s, -90, 90);
    return turned ? warp_rotate(out, image, degrees) : image_to_rgb(out, image);
}

static imiad_status draw_damage(draem_damage *d, const imiad_image *image, texture_source *textures,
                                const draem_options *o, random_stream *s)
{
    int64_t covered;
    TRY(draw_clean(&d->clean, image, o, s));
    TRY(texture_draw(&d->texture, textures, image->width, image->height, image, s));
    augmenter_kind drawn[TEXTURE_OPERATIONS];
    augmenters_choose(drawn, TEXTURE_OPERATIONS, s);
    TRY(augmenters_apply(&d->texture, o->operations ? o->operations : drawn, TEXTURE_OPERATIONS,
                         s));
    TRY(perlin_mask(&d->mask, &covered, image->width, image->height, &o->perlin, s));
    d->opacity = 1 - 0.8 * random_real(s);
    if (random_real(s) < o->whole)
        memset(d->mask->pixels, 0, d->mask->stride * (size_t)d->mask->height);
    return IMIAD_OK;
}

imiad_status draem_draw(draem_damage *out, const imiad_image *image, texture_source *textures,
                        const draem_options *o, random_stream *s)
{
    draem_damage d = {NULL, NULL, NULL, 0};
    imiad_status status = draw_damage(&d, image, textures, o, s);
    if (status != IMIAD_OK)
        draem_damage_free(&d);
    else
        *out = d;
    return status;
}

/* ---- MemSeg ---- */

const memseg_options memseg_defaults = {.least_opacity = 0.15,
                                        .most_opacity = 1,
                                        .textured = 0.5,
                                        .parts = 8,
                                        .foreground = 100,
                                        .perlin = {0, 5, 90, 0.5}};

static imiad_status draw_structure(imiad_image **out, const imiad_image *image, int32_t parts,
                                   random_stream *s)
{
    imiad_image *changed;
    TRY(image_to_rgb(&changed, image));
    augmenter_kind drawn[TEXTURE_OPERATIONS];
    augmenters_choose(drawn, TEXTURE_OPERATIONS, s);
    imiad_status status = augmenters_apply(&changed, drawn, TEXTURE_OPERATIONS, s);
    if (status == IMIAD_OK)
        status = shuffle_parts(out, changed, parts, parts, s);
    imiad_image_free(changed);
    return status;
}

static imiad_status draw_object_mask(imiad_image **out, const imiad_image *image,
                                     const memseg_options *o, random_stream *s)
{
    imiad_image *mask, *object;
    int64_t covered;
    TRY(perlin_mask(&mask, &covered, image->width, image->height, &o->perlin, s));
    if (o->foreground >= 0) {
        imiad_status status = foreground_mask(&object, image, o->foreground, o->brighter);
        if (status != IMIAD_OK) {
            imiad_image_free(mask);
            return status;
        }
        mask_intersect(mask, object);
        imiad_image_free(object);
    }
    *out = mask;
    return IMIAD_OK;
}

imiad_status memseg_fill(imiad_image **out, const imiad_image *image, const imiad_image *mask,
                         texture_source *textures, const memseg_options *o, random_stream *s)
{
    imiad_image *source;
    if (random_real(s) < o->textured)
        TRY(texture_draw(&source, textures, image->width, image->height, image, s));
    else
        TRY(draw_structure(&source, image, o->parts, s));
    double opacity = random_between(s, o->least_opacity, o->most_opacity);
    imiad_status status = blend_texture(out, image, source, mask, opacity);
    imiad_image_free(source);
    return status;
}

imiad_status memseg_damage(imiad_image **out, imiad_image **mask, const imiad_image *image,
                           texture_source *textures, const memseg_options *o, random_stream *s)
{
    imiad_image *inside;
    TRY(draw_object_mask(&inside, image, o, s));
    imiad_status status = memseg_fill(out, image, inside, textures, o, s);
    if (status != IMIAD_OK)
        imiad_image_free(inside);
    else
        *mask = inside;
    return status;
}
