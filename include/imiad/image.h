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
    IMIAD_PIXEL_RGBA8 = 4, /* four bytes; alpha is ignored where an image is scored */
    IMIAD_PIXEL_BGRA8 = 5, /* four bytes: blue, green, red, alpha, which is ignored likewise */
    IMIAD_PIXEL_GRAY16 = 6 /* two bytes in the machine's order: 0 is black, 65535 white */
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

/* Reads an image file: PNG, JPEG, BMP, PNM, and TIFF and WebP where the library was built with
 * them. Grey or grey+alpha becomes GRAY8, everything else RGB8; 16 bits are reduced to their high
 * byte, palettes are expanded, alpha is dropped, CMYK is converted: what Pillow's convert("RGB")
 * shows, but for 16-bit grey, which Pillow clips. Of several pages the first is read, and the log
 * says so. A file that is truncated, fails its checksums or has more than 2^28 pixels is refused.
 * Errors: IMIAD_NOT_FOUND, IMIAD_IO, IMIAD_FORMAT (with the file's name), IMIAD_UNSUPPORTED (a
 * format that the library was built without). */
IMIAD_API imiad_status imiad_image_read(imiad_image **out, const char *path);

/* How an image file is read. */
typedef struct imiad_decode_options {
    uint32_t struct_size;
    /* 1: turned as the EXIF orientation of a JPEG or PNG, or a TIFF's, says; 0: as it is stored,
     * which is what Pillow opens */
    int32_t upright;
    /* Values of samples with more than 8 bits that become 0 and 255; what lies beyond is clamped.
     * 0 and 4095 for a camera of 12 bits. Equal: the range of the type, 0 and 65535. */
    double low, high;
    /* 1: grey of more than 8 bits becomes GRAY16, nothing of it is lost, and low and high become 0
     * and 65535. Equal, they are what the file says of itself: the significant bits of a PNG
     * (sBIT), the largest value of a PNM, the bits of a TIFF. 0: GRAY8. Colours are always 8 bits.
     */
    int32_t deep;
} imiad_decode_options;
#define IMIAD_DECODE_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(imiad_decode_options), 0, 0, 0, 0                                                   \
    }
/* The same with options, which may be NULL. Errors: also IMIAD_INVALID_ARGUMENT (a range that is
 * none). */
IMIAD_API imiad_status imiad_image_read_with(imiad_image **out, const char *path,
                                             const imiad_decode_options *options);
/* The same from the bytes of a file in memory, such as a message holds it; borrowed for the call.
 */
IMIAD_API imiad_status imiad_image_decode(imiad_image **out, const void *bytes, size_t size,
                                          const imiad_decode_options *options);
IMIAD_API void imiad_image_free(imiad_image *image);

/* A new image, all zeros, that imiad_image_free takes back: for functions of the caller's that hand
 * images to the library. Errors: IMIAD_INVALID_ARGUMENT, IMIAD_OUT_OF_RANGE (more than 2^28
 * pixels). */
IMIAD_API imiad_status imiad_image_create(imiad_image **out, imiad_pixel_format format,
                                          int32_t width, int32_t height);

/* Pixels as floats, interleaved or in planes: the value of channel c at (x, y) is
 * values[y * row_stride + x * pixel_stride + c * channel_stride]. 16-bit cameras convert to this.
 */
typedef struct imiad_float_pixels {
    uint32_t struct_size;
    int32_t width, height;                              /* at least 1 */
    int32_t channels;                                   /* 1: grey; 3: red, green, blue */
    const float *values;                                /* borrowed for the call */
    ptrdiff_t row_stride, pixel_stride, channel_stride; /* in floats; negative ones flip */
    float low, high; /* the values that become 0 and 255; what lies beyond is clamped */
    int32_t deep;    /* 1: GRAY16 of one channel, high becomes 65535; 0: 8 bits a channel */
} imiad_float_pixels;
#define IMIAD_FLOAT_PIXELS_INIT                                                                    \
    {                                                                                              \
        sizeof(imiad_float_pixels), 0, 0, 0, 0, 0, 0, 0, 0, 1, 0                                   \
    }
/* A new GRAY8 or RGB8 image: (value - low) / (high - low) * 255, rounded to the nearest whole
 * number, or GRAY16 likewise. Choose low and high once for a station, not image by image. Errors:
 * IMIAD_INVALID_ARGUMENT (low not below high, another number of channels), IMIAD_NOT_FINITE (a
 * NaN). */
IMIAD_API imiad_status imiad_image_from_floats(imiad_image **out, const imiad_float_pixels *pixels);

/* A new GRAY16 image of a GRAY16 one: low becomes 0, high 65535, rounded between, clamped beyond. A
 * camera of 12 bits has 0 and 4095. Errors: IMIAD_INVALID_ARGUMENT (another format, low not below
 * high). */
IMIAD_API imiad_status imiad_image_stretch(imiad_image **out, const imiad_image *image, double low,
                                           double high);

/* Squares of side x side pixels that cover an image: as few as overlap by at least overlap * side
 * pixels (overlap in [0, 0.5]), evenly spaced, rows first. 0 where the image is smaller than a tile
 * or an argument is out of range. */
IMIAD_API size_t imiad_image_tile_count(int32_t width, int32_t height, int32_t side,
                                        double overlap);
/* One of them as a view: *out borrows the pixels of `image` and is not freed.
 * Errors: IMIAD_OUT_OF_RANGE past the last, IMIAD_MISMATCH where the image is smaller than a tile.
 */
IMIAD_API imiad_status imiad_image_tile(imiad_image *out, const imiad_image *image, int32_t side,
                                        double overlap, size_t index);

/* Writes a PNG file, of 16 bits where the image is GRAY16, whole or not at all; missing folders are
 * made. */
IMIAD_API imiad_status imiad_image_write_png(const imiad_image *image, const char *path);

/* Pillow's antialiased bilinear resize, byte for byte (Image.resize with BILINEAR), in the image's
 * own format. RGBA8 is weighted with its alpha, as Pillow does; GRAY16 is its mode I;16. */
IMIAD_API imiad_status imiad_image_resize(imiad_image **out, const imiad_image *image,
                                          int32_t width, int32_t height);

/* What a picture says of its part. */
enum {
    IMIAD_VERDICT_NONE = 0,     /* nothing */
    IMIAD_VERDICT_OK = 1,       /* "OK" on green */
    IMIAD_VERDICT_ANOMALOUS = 2 /* "NOT OK" on red */
};

typedef struct imiad_heatmap_options {
    uint32_t struct_size;
    float low, high;   /* scores at the ends of the colour scale; equal: the map's own range */
    float opacity;     /* of the heat map over the image, 0..1 */
    const char *title; /* one line of UTF-8 above the picture, or NULL. Letters of Latin alphabets
                        * are drawn; other characters become a box. */
    const imiad_image
        *mask;             /* ground truth, non-zero is defective: its outline is drawn; or NULL */
    int32_t has_threshold; /* 1: `threshold` is marked on the colour bar */
    float threshold;       /* a value of the map, between low and high */
    int32_t verdict;       /* IMIAD_VERDICT_...: drawn in front of the title */
} imiad_heatmap_options;
#define IMIAD_HEATMAP_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(imiad_heatmap_options), 0, 0, 0.6f, 0, 0, 0, 0, 0                                   \
    }

/* A picture for people: the image, the image under its heat map with the ground truth's outline,
 * and a colour bar with its scale. The two images stand side by side, or one above the other where
 * they are more than twice as wide as high. The map is width x height floats, rows first, and is
 * stretched over the image. An image whose longer side is below 200 pixels is magnified by a whole
 * factor. A constant map on its own range is drawn as its lowest colour. options may be NULL.
 * Errors: IMIAD_INVALID_ARGUMENT, IMIAD_OUT_OF_RANGE (opacity), IMIAD_NOT_FINITE, IMIAD_MISMATCH
 * (the mask's size is not the image's). */
IMIAD_API imiad_status imiad_image_draw_heatmap(imiad_image **out, const imiad_image *image,
                                                const float *map, int32_t width, int32_t height,
                                                const imiad_heatmap_options *options);

#ifdef __cplusplus
}
#endif
#endif
