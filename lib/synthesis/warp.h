/* Rotations of what is synthesised. Zeros fill what nothing covers. */
#ifndef SYNTHESIS_WARP_H
#define SYNTHESIS_WARP_H

#include "imiad/image.h"

/* About the centre on the same canvas, clockwise as the image is looked at, bilinear: what imgaug's
 * Affine(rotate=degrees) makes by way of OpenCV's warpAffine, whose positions are multiples of 1/32
 * of a pixel. Of GRAY8 and RGB8. */
imiad_status warp_rotate(imiad_image **out, const imiad_image *image, double degrees);
/* About a point (x, y), counter-clockwise and scaled: OpenCV's getRotationMatrix2D and warpAffine.
 */
imiad_status warp_about(imiad_image **out, const imiad_image *image, const double point[2],
                        double degrees, double scale);
/* As warp_rotate, of a plane of width x height numbers; out is another one. */
void warp_rotate_plane(double *out, const double *plane, int32_t width, int32_t height,
                       double degrees);

/* About the centre, counter-clockwise, by nearest neighbour, onto a canvas that holds all of it:
 * Pillow's rotate(degrees, expand=True). *inside is GRAY8, 255 where the result shows the image.
 * Of RGB8. */
imiad_status warp_rotate_expanded(imiad_image **out, imiad_image **inside, const imiad_image *image,
                                  double degrees);
/* The size of that canvas for an image of *width x *height. */
void warp_expanded_size(int32_t *width, int32_t *height, double degrees);

#endif
