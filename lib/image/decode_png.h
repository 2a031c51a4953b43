/* The two halves of reading a PNG: its chunks (decode_png.c), its pixels (decode_png_pixels.c). */
#ifndef IMAGE_DECODE_PNG_H
#define IMAGE_DECODE_PNG_H

#include "image/decode.h"

typedef struct png_layout {
    int32_t width, height;
    int depth, color, samples; /* bits a sample, colour type, samples a pixel */
    bool interlaced;
    const uint8_t *palette; /* three bytes a colour */
    int colors;
    int significant;     /* bits of a grey sample that count (sBIT) */
    const uint8_t *data; /* the first IDAT chunk, at its length */
    size_t data_bytes, data_chunks;
} png_layout;

/* The size of the decompressed data: filtered rows, each behind its filter's number. */
uint64_t png_raw_bytes(const png_layout *png);

/* Whether the decompressed rows are, but for their filters, those of the image. */
bool png_is_plain(const png_layout *png);
/* Turns decompressed data of that kind into the image's contiguous rows, at the same place. */
imiad_status png_pixels_in_place(uint8_t *raw, const png_layout *png, const encoded_image *e);

/* Undoes the filters, and the interlacing, and converts to the image's GRAY8 or RGB8. */
imiad_status png_pixels(imiad_image *image, const uint8_t *raw, const png_layout *png,
                        const encoded_image *e);

#endif
