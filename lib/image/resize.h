/* Pillow's resizing, whole or a part of the result. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "imiad/image.h"

/* A rectangle of an image that has been resized to full_width x full_height. */
typedef struct resize_region {
    int32_t full_width, full_height;
    int32_t x, y, width, height;
} resize_region;

/* Both antialiased; the cubic is Keys' with a = -0.5, and may overshoot. */
typedef enum resize_filter { RESIZE_BILINEAR, RESIZE_BICUBIC } resize_filter;

/* Only the region is computed; alpha is filtered like a colour. Writes region.height rows of
 * region.width pixels in the image's format, `stride` bytes apart. */
imiad_status resize_image(uint8_t *out, size_t stride, const imiad_image *image,
                          const resize_region *region, resize_filter filter);

/* The same of a GRAY16 image: in double precision, each pass rounded to 16 bits, as Pillow does
 * with its mode I;16. */
imiad_status resize_deep(uint8_t *out, size_t stride, const imiad_image *image,
                         const resize_region *region, resize_filter filter);
/* How many weights a result has at most. */
int64_t resize_taps(double scale, resize_filter filter);
/* The weights of one result: the filter around its centre, 1 in sum. Their number, and the first
 * pixel that has one. */
int32_t resize_shares(double *shares, int32_t *begin, double center, double scale, int32_t size,
                      resize_filter filter);

/* The source index of each of `count` resized positions from `first` on, by nearest neighbour. */
void nearest_indices(int32_t *out, int32_t size, int32_t full, int32_t first, int32_t count);
/* A GRAY8 image to another size by nearest neighbour: each value is one of the source's. */
imiad_status resize_nearest(imiad_image **out, const imiad_image *gray, int32_t width,
                            int32_t height);

#endif
