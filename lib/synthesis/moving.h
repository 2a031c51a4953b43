/* An image and its mask whose pixels come from other places: what albumentations' geometric
 * operations do by way of OpenCV's remap. The image is interpolated bilinearly, the mask takes the
 * nearest pixel; beyond the edges both are mirrored without repeating the edge. */
#ifndef SYNTHESIS_MOVING_H
#define SYNTHESIS_MOVING_H

#include "base/random.h"
#include "imiad/image.h"

/* Where every pixel of the result comes from, along the rows. */
typedef struct place_from {
    double x, y;
} place_from;

/* Replaces an RGB8 image and its GRAY8 mask. */
imiad_status move_pixels(imiad_image **image, imiad_image **mask, const place_from *places);

/* By quarters of a turn, counter-clockwise; an odd number needs a square. */
void places_quarters(place_from *out, int32_t width, int32_t height, int quarters);
void places_flipped(place_from *out, int32_t width, int32_t height, int across, int down);
/* Rows become columns, of a square. */
void places_transposed(place_from *out, int32_t width, int32_t height);
/* OpenCV's undistortion of a camera whose focal lengths are the image's sides, with k for both of
 * the first two coefficients: r is stretched by 1 + k r^2 + k r^4. */
void places_lens(place_from *out, int32_t width, int32_t height, double k);
/* Turned counter-clockwise by degrees, scaled and moved by shares of the sides. */
void places_affine(place_from *out, int32_t width, int32_t height, double degrees, double scale,
                   double right, double down);
/* Five strips a side, each stretched by its factor; the sixth factor is of what is left over. */
enum { GRID_STRIPS = 6 };
void places_grid(place_from *out, int32_t width, int32_t height, const double across[GRID_STRIPS],
                 const double down[GRID_STRIPS]);
/* A lattice of 4 x 4 points, each moved by its shares of the sides; affine in each triangle
 * between three neighbours. */
enum { LATTICE = 4 };
void places_lattice(place_from *out, int32_t width, int32_t height,
                    const place_from moved[LATTICE * LATTICE]);

#endif
