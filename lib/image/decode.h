/* Image files in memory: told apart by their first bytes, checked for completeness, decoded. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include <stdbool.h>

#include "imiad/image.h"

/* GRAY8 or RGB8, as imiad_image_read says. name is what messages call it: the file's path. */
imiad_status image_decode(imiad_image **out, const void *bytes, size_t size, const char *name);

/* An image file's size in pixels as its header says it; nothing else of the file is looked at. */
imiad_status image_file_size(int32_t *width, int32_t *height, const char *path);

/* ---- the parts ---- */

typedef struct encoded_image {
    const uint8_t *bytes;
    size_t size;
    const char *name;
} encoded_image;

/* Fails with IMIAD_FORMAT and "cannot decode NAME: ...". */
imiad_status fail_decoding(const encoded_image *e, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* What an image's own header says. */
typedef struct encoded_layout {
    int64_t width, height;
    bool gray;
} encoded_layout;

/* Refuses an empty image and one above IMAGE_PIXELS_MAX. */
imiad_status check_encoded_size(const encoded_image *e, int64_t width, int64_t height);

imiad_status decode_png(imiad_image **out, const encoded_image *e);
imiad_status decode_jpeg(imiad_image **out, const encoded_image *e);
imiad_status decode_bmp(imiad_image **out, const encoded_image *e);

/* Decodes with stb_image, after the checks. */
imiad_status decode_with_stb(imiad_image **out, const encoded_image *e, const encoded_layout *l);

/* Decodes a JPEG with libjpeg, after the checks. Only where IMIAD_LIBJPEG is defined. */
imiad_status decode_with_libjpeg(imiad_image **out, const encoded_image *e,
                                 const encoded_layout *l);

#endif
