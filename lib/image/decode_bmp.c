/* BMP, uncompressed. stb_image fills what a file lacks with zeros and looks colours up without a
 * bound, so both are checked here first. */
#include "image/decode.h"

#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

typedef struct bmp_layout {
    encoded_layout layout;
    int64_t offset, stride; /* of the rows */
    int bits;               /* a pixel */
    int64_t colors;         /* in the palette */
} bmp_layout;

static uint32_t little_endian(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; ++i)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

/* The file header of 14 bytes, then one of: the core header of OS/2 (12 bytes), Windows' (40),
 * and its extensions. */
static imiad_status read_header(bmp_layout *bmp, const encoded_image *e)
{
    const uint8_t *b = e->bytes;
    if (e->size < 26)
        return fail_decoding(e, "the BMP is truncated after %zu bytes", e->size);
    uint32_t header = little_endian(b + 14, 4);
    bool core = header == 12;
    if (!core && header != 40 && header != 56 && header != 108 && header != 124)
        return fail_decoding(e, "the BMP has an unknown header of %u bytes", header);
    if (e->size < 14 + header)
        return fail_decoding(e, "the BMP is truncated after %zu bytes", e->size);
    int64_t width = core ? little_endian(b + 18, 2) : (int64_t)(int32_t)little_endian(b + 18, 4);
    int64_t height = core ? little_endian(b + 20, 2) : (int64_t)(int32_t)little_endian(b + 22, 4);
    if (height < 0) /* top row first */
        height = -height;
    TRY(check_encoded_size(e, width, height));
    bmp->bits = (int)little_endian(b + (core ? 24 : 28), 2);
    uint32_t compression = core ? 0 : little_endian(b + 30, 4);
    if (compression != 0 && compression != 3)
        return fail_decoding(e, "a compressed BMP (method %u) is not supported", compression);
    if (bmp->bits != 1 && bmp->bits != 4 && bmp->bits != 8 && bmp->bits != 16 && bmp->bits != 24 &&
        bmp->bits != 32)
        return fail_decoding(e, "no BMP has %d bits a pixel", bmp->bits);
    bmp->layout = (encoded_layout){width, height, false};
    bmp->offset = little_endian(b + 10, 4);
    bmp->stride = (width * bmp->bits + 31) / 32 * 4;
    bmp->colors = (bmp->offset - 14 - (int64_t)header) / (core ? 3 : 4);
    if (bmp->offset < 14 + (int64_t)header)
        return fail_decoding(e, "the BMP's pixels begin at byte %lld, within its header",
                             (long long)bmp->offset);
    return IMIAD_OK;
}

static imiad_status check_colors(const bmp_layout *bmp, const encoded_image *e)
{
    int bits = bmp->bits;
    if (bits > 8 || bmp->colors >= 1 << bits)
        return IMIAD_OK;
    for (int64_t y = 0; y < bmp->layout.height; ++y) {
        const uint8_t *row = e->bytes + bmp->offset + y * bmp->stride;
        for (int64_t bit = 0; bit < bmp->layout.width * bits; bit += bits) {
            int color = row[bit / 8] >> (8 - bits - bit % 8) & ((1 << bits) - 1);
            if (color >= bmp->colors)
                return fail_decoding(e, "a pixel of the BMP has colour %d of %lld", color,
                                     (long long)bmp->colors);
        }
    }
    return IMIAD_OK;
}

imiad_status decode_bmp(imiad_image **out, const encoded_image *e)
{
    bmp_layout bmp;
    TRY(read_header(&bmp, e));
    /* some writers leave the last row's padding out */
    int64_t last_row = (bmp.layout.width * bmp.bits + 7) / 8;
    int64_t needed = bmp.offset + (bmp.layout.height - 1) * bmp.stride + last_row;
    if ((uint64_t)needed > e->size)
        return fail_decoding(e, "the BMP is truncated: %zu bytes of %lld", e->size,
                             (long long)needed);
    TRY(check_colors(&bmp, e));
    return decode_with_stb(out, e, &bmp.layout);
}
