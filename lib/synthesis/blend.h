/* A texture laid into an image where a mask says so. */
#ifndef SYNTHESIS_BLEND_H
#define SYNTHESIS_BLEND_H

#include <stdbool.h>

#include "base/random.h"
#include "imiad/image.h"

/* opacity * texture + (1 - opacity) * image where the mask (GRAY8) is not zero, the image
 * elsewhere. All of one size, RGB8; values are cut to whole numbers. */
imiad_status blend_texture(imiad_image **out, const imiad_image *image, const imiad_image *texture,
                           const imiad_image *mask, double opacity);
/* The same of planes and not cut: 3 x height x width floats, which take the texture's values as
 * 0..1, as DRAEM trains on them. */
void blend_texture_planes(float *out, const float *image, const imiad_image *texture,
                          const imiad_image *mask, double opacity);

/* MemSeg's foreground: GRAY8, 255 where an RGB8 image's grey value is at most the threshold, or
 * above it where the object is brighter than what is around it. */
imiad_status foreground_mask(imiad_image **out, const imiad_image *image, int threshold,
                             bool brighter);
/* Leaves of a mask what lies in the other one; returns how many pixels that is. */
int64_t mask_intersect(imiad_image *mask, const imiad_image *other);

/* The image cut into columns x rows equal parts in a drawn order. Pixels beyond the last whole part
 * stay. */
imiad_status shuffle_parts(imiad_image **out, const imiad_image *image, int32_t columns,
                           int32_t rows, random_stream *s);
/* Part i of the result, counted along the rows, is part order[i] of the image. */
imiad_status arrange_parts(imiad_image **out, const imiad_image *image, int32_t columns,
                           int32_t rows, const size_t *order);

#endif
