/* Whole recipes: an image, its damage, and the mask of it. All images are RGB8, masks GRAY8, 0 or
 * 255. */
#ifndef SYNTHESIS_DAMAGE_H
#define SYNTHESIS_DAMAGE_H

#include <stdbool.h>

#include "synthesis/augmenters.h"
#include "synthesis/perlin.h"
#include "synthesis/texture_source.h"

/* DRAEM (Zavrtanik, Kristan, Skocaj: ICCV 2021): what a step needs to damage an image. */
typedef struct draem_damage {
    imiad_image *clean;   /* the image, perhaps rotated: what repair must give back */
    imiad_image *texture; /* after three of the ten operations */
    imiad_image *mask;    /* thresholded Perlin noise; all zero: nothing to damage */
    double opacity;       /* of the texture: 0.2..1 */
} draem_damage;

enum { TEXTURE_OPERATIONS = 3 };

typedef struct draem_options {
    double rotated; /* how often the image is turned, by up to 90 degrees to either side */
    double whole;   /* how often it stays undamaged */
    const augmenter_kind *operations; /* three on the texture; NULL: drawn each time */
    perlin_options perlin;
} draem_options;
extern const draem_options draem_defaults;

imiad_status draem_draw(draem_damage *out, const imiad_image *image, texture_source *textures,
                        const draem_options *o, random_stream *s);
void draem_damage_free(draem_damage *d);

/* MemSeg (Yang, Wu, Feng: EAAI 2023): half of the damage is a texture, half the image itself, three
 * operations on it, its parts shuffled. */
typedef struct memseg_options {
    double least_opacity, most_opacity;
    double textured;       /* how often the damage is a texture */
    int32_t parts;         /* a side, of what is shuffled */
    int foreground;        /* grey value that parts object and background; below 0: all is object */
    bool brighter;         /* the object is above that value */
    perlin_options perlin; /* of the mask, before it is kept to the object */
} memseg_options;
extern const memseg_options memseg_defaults;

/* Damages an image where a mask (GRAY8) that the caller drew is not zero. */
imiad_status memseg_fill(imiad_image **out, const imiad_image *image, const imiad_image *mask,
                         texture_source *textures, const memseg_options *o, random_stream *s);
/* Draws the mask too. */
imiad_status memseg_damage(imiad_image **out, imiad_image **mask, const imiad_image *image,
                           texture_source *textures, const memseg_options *o, random_stream *s);

#endif
