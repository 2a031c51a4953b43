/* Images as plain pixel buffers: reading, resizing, writing, and drawing anomaly maps over them. */
#ifndef IMIAD_IMAGE_H
#define IMIAD_IMAGE_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum imiad_pixel_format {
    IMIAD_PIXEL_GRAY8 = 1, /* one byte a pixel */
    IMIAD_PIXEL_RGB8 = 2,  /* three bytes: red, green, blue */
    IMIAD_PIXEL_BGR8 = 3,  /* three bytes: blue, green, red */
    IMIAD_PIXEL_RGBA8 = 4  /* four bytes; alpha is ignored where an image is scored */
} imiad_pixel_format;

/* A rectangle of pixels. Either the caller's own memory (fill the fields in and keep it alive), or
 * one that the library gave and imiad_image_free takes back. Row y begins at pixels + y * stride.
 */
typedef struct imiad_image {
    uint32_t struct_size;
    imiad_pixel_format format;
    int32_t width, height; /* pixels, at least 1 */
    size_t stride;         /* bytes from one row to the next */
    uint8_t *pixels;
} imiad_image;
#define IMIAD_IMAGE_INIT                                                                           \
    {                                                                                              \
        sizeof(imiad_image), (imiad_pixel_format)0, 0, 0, 0, 0                                     \
    }

/* Reads a PNG, JPEG or BMP file: grey or grey+alpha becomes GRAY8, everything else RGB8, 16 bits
 * are reduced to their high byte, palettes are expanded, alpha is dropped: what Pillow's
 * convert("RGB") shows, but for 16-bit grey, which Pillow clips. A file that is truncated, fails its
 * checksums or has more than 2^28 pixels is refused.
 * Errors: IMIAD_NOT_FOUND, IMIAD_IO, IMIAD_FORMAT (with the file's name). */
IMIAD_API imiad_status imiad_image_read(imiad_image **out, const char *path);
IMIAD_API void imiad_image_free(imiad_image *image);

/* Writes a PNG file, whole or not at all; missing folders are made. */
IMIAD_API imiad_status imiad_image_write_png(const imiad_image *image, const char *path);

/* Pillow's antialiased bilinear resize, byte for byte (Image.resize with BILINEAR), in the image's
 * own format. RGBA8 is weighted with its alpha, as Pillow does. */
IMIAD_API imiad_status imiad_image_resize(imiad_image **out, const imiad_image *image,
                                          int32_t width, int32_t height);

typedef struct imiad_heatmap_options {
    uint32_t struct_size;
    float low, high;   /* scores at the ends of the colour scale; equal: the map's own range */
    float opacity;     /* of the heat map over the image, 0..1 */
    const char *title; /* one line of ASCII above the picture, or NULL */
    const imiad_image
        *mask; /* ground truth, non-zero is defective: its outline is drawn; or NULL */
} imiad_heatmap_options;
#define IMIAD_HEATMAP_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(imiad_heatmap_options), 0, 0, 0.6f, 0, 0                                            \
    }

/* A picture for people: the image, the image under its heat map with the ground truth's outline,
 * and a colour bar with its scale. The map is width x height floats, rows first, and is stretched
 * over the image. An image whose longer side is below 200 pixels is magnified by a whole factor. A
 * constant map on its own range is drawn as its lowest colour. options may be NULL.
 * Errors: IMIAD_INVALID_ARGUMENT, IMIAD_OUT_OF_RANGE (opacity), IMIAD_NOT_FINITE, IMIAD_MISMATCH
 * (the mask's size is not the image's). */
IMIAD_API imiad_status imiad_image_draw_heatmap(imiad_image **out, const imiad_image *image,
                                                const float *map, int32_t width, int32_t height,
                                                const imiad_heatmap_options *options);

#ifdef __cplusplus
}
#endif
#endif
