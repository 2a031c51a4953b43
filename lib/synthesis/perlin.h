/* Perlin noise (Perlin, SIGGRAPH 1985; with the fade of 2002) as the masks of synthetic defects. */
#ifndef SYNTHESIS_PERLIN_H
#define SYNTHESIS_PERLIN_H

#include "base/random.h"
#include "imiad/image.h"

/* The slope of the noise at a corner of its lattice: a unit vector. */
typedef struct gradient {
    double down, right;
} gradient;

/* width x height numbers, about -1..1, of a lattice of rows x columns cells, from the gradients at
 * its (rows + 1) x (columns + 1) corners. There are at most as many cells a side as pixels. */
void perlin_noise(double *out, int32_t width, int32_t height, int32_t rows, int32_t columns,
                  const gradient *gradients);
/* The same from gradients that the stream draws. */
imiad_status perlin_draw_noise(double *out, int32_t width, int32_t height, int32_t rows,
                               int32_t columns, random_stream *s);

typedef struct perlin_options {
    int32_t least, most; /* powers of two, both included, of which cells a side are drawn */
    double rotation;     /* the noise is turned by up to so many degrees to either side */
    double threshold;    /* noise above it is the mask */
} perlin_options;
extern const perlin_options perlin_defaults; /* DRAEM's: 0..5, 90, 0.5 */

/* GRAY8, 0 or 255; *covered: pixels of the mask. Sides smaller than the cells that were drawn get
 * as many cells as they have pixels. */
imiad_status perlin_mask(imiad_image **out, int64_t *covered, int32_t width, int32_t height,
                         const perlin_options *options, random_stream *s);

#endif
