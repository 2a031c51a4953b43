/* Image files in memory: told apart by their first bytes, checked for completeness, decoded. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include <stdbool.h>
#include <string.h>

#include "imiad/image.h"

/* GRAY8, RGB8 or GRAY16, as imiad_image_read_with says. name is what messages call it: the file's
 * path. options may be NULL. */
imiad_status image_decode(imiad_image **out, const void *bytes, size_t size, const char *name,
                          const imiad_decode_options *options);

/* An image file's size in pixels as its header says it, and as `options` turn it; nothing else of
 * the file is looked at. */
imiad_status image_file_size(int32_t *width, int32_t *height, const char *path,
                             const imiad_decode_options *options);

/* Whether a name ends in the extension of a format that this library decodes, in any case. */
bool image_has_name(const char *name);
/* Why it does not. Static text. */
const char *image_name_problem(const char *name);

/* ---- the parts ---- */

typedef struct encoded_image encoded_image;

/* What becomes of samples of more than 8 bits, and what was seen of them. */
typedef struct deep_range {
    double low, high; /* values that become black and white; equal: those that the file says */
    bool deep;        /* grey becomes GRAY16 */
    bool wide;        /* what this file's samples become: 16 bits each, not a byte */
    uint16_t *values; /* what each value becomes; NULL: itself, or its high byte */
    unsigned highest; /* that was met */
} deep_range;

/* Before the first value, once the file's header says what they are: `top` is the largest that its
 * kind has, of which `bits` bits count. */
imiad_status deep_prepare(deep_range *range, bool gray, unsigned top, int bits);
/* Tells the log of a file that is nearly black because nobody said its range. */
void deep_warn(const encoded_image *e);
imiad_pixel_format deep_format(const deep_range *range, bool gray);

/* One sample of a deep file to its place in the image: a byte, or two. */
static inline void deep_put(uint8_t *out, deep_range *range, unsigned value)
{
    range->highest = value > range->highest ? value : range->highest;
    uint16_t made = range->values ? range->values[value]
                    : range->wide ? (uint16_t)value
                                  : (uint16_t)(value >> 8);
    if (range->wide)
        memcpy(out, &made, sizeof made);
    else
        *out = (uint8_t)made;
}

struct encoded_image {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    deep_range *range;
};

/* Fails with IMIAD_FORMAT and "cannot decode NAME: ...". */
imiad_status fail_decoding(const encoded_image *e, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* What an image's own header says. */
typedef struct encoded_layout {
    int64_t width, height;
    bool gray, cmyk;
} encoded_layout;

/* Refuses an empty image and one above IMAGE_PIXELS_MAX. */
imiad_status check_encoded_size(const encoded_image *e, int64_t width, int64_t height);

imiad_status decode_png(imiad_image **out, const encoded_image *e);
imiad_status decode_jpeg(imiad_image **out, const encoded_image *e);
imiad_status decode_bmp(imiad_image **out, const encoded_image *e);
imiad_status decode_pnm(imiad_image **out, const encoded_image *e);
/* Only where IMIAD_LIBTIFF and IMIAD_LIBWEBP are defined. */
imiad_status decode_tiff(imiad_image **out, const encoded_image *e);
imiad_status decode_webp(imiad_image **out, const encoded_image *e);

/* From the headers alone. */
imiad_status pnm_size(int64_t *width, int64_t *height, const encoded_image *e);
imiad_status tiff_size(int64_t *width, int64_t *height, const encoded_image *e);
imiad_status webp_size(int64_t *width, int64_t *height, const encoded_image *e);

/* The orientation that a JPEG's or PNG's EXIF data, or a TIFF, gives: 1 to 8; 1 where none does. */
int image_orientation(const encoded_image *e);
int tiff_orientation(const encoded_image *e);
/* Turns the image upright; takes it, and gives a new one or itself. */
imiad_status image_turn(imiad_image **image, int orientation);

/* Decodes a JPEG with stb_image, after the checks. */
imiad_status decode_with_stb(imiad_image **out, const encoded_image *e, const encoded_layout *l);

/* Decodes a JPEG with libjpeg, after the checks. Only where IMIAD_LIBJPEG is defined. */
imiad_status decode_with_libjpeg(imiad_image **out, const encoded_image *e,
                                 const encoded_layout *l);

#endif
