/* Image files: whatever the bytes, decoding ends, and what it gives can be worked with. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../image/deep_files.h"
#include "../image/format_files.h"
#include "fuzz.h"
#include "image/decode.h"
#include "image/pixels.h"
#include "image/preprocess.h"
#include "imiad/limits.h"

#define FILE_SEED(name)                                                                            \
    {                                                                                              \
        name, sizeof name                                                                          \
    }

const fuzz_seed fuzz_seeds[] = {
    FILE_SEED(grey1_png),
    FILE_SEED(grey2_png),
    FILE_SEED(grey4_png),
    FILE_SEED(grey8_png),
    FILE_SEED(grey16_png),
    FILE_SEED(grey_alpha_png),
    FILE_SEED(palette1_png),
    FILE_SEED(palette4_png),
    FILE_SEED(palette8_png),
    FILE_SEED(rgb_png),
    FILE_SEED(rgba_png),
    FILE_SEED(rgb_interlaced_png),
    FILE_SEED(grey_interlaced_png),
    FILE_SEED(rgba16_png),
    FILE_SEED(grey_transparent_png),
    FILE_SEED(palette_transparent_png),
    FILE_SEED(one_pixel_png),
    FILE_SEED(grey_jpg),
    FILE_SEED(color444_jpg),
    FILE_SEED(color420_jpg),
    FILE_SEED(progressive_jpg),
    FILE_SEED(one_bit_bmp),
    FILE_SEED(grey_bmp),
    FILE_SEED(palette_bmp),
    FILE_SEED(rgb_bmp),
    FILE_SEED(rgba_bmp),
    FILE_SEED(gap24_bmp),
    FILE_SEED(fields_v3_bmp),
    FILE_SEED(gap_after_palette_bmp),
    FILE_SEED(runs_bmp),
    FILE_SEED(bits565_bmp),
    FILE_SEED(cmyk_jpg),
    FILE_SEED(ycck_jpg),
    FILE_SEED(bitmap_pbm),
    FILE_SEED(grey_pgm),
    FILE_SEED(rgb_ppm),
    FILE_SEED(deep_pgm),
    FILE_SEED(grey_tif),
    FILE_SEED(grey_lzw_tif),
    FILE_SEED(rgb_deflate_tif),
    FILE_SEED(palette_tif),
    FILE_SEED(one_bit_tif),
    FILE_SEED(deep_tif),
    FILE_SEED(pages_tif),
    FILE_SEED(lossless_webp),
    FILE_SEED(lossy_webp),
    FILE_SEED(alpha_webp),
    FILE_SEED(deep_deep_alpha_png),
    FILE_SEED(deep_sbit12_png),
    FILE_SEED(deep_deep_lzw_tif),
    FILE_SEED(deep_deep_tiles_tif),
    FILE_SEED(deep_packed12_tif),
    FILE_SEED(deep_inverse_tif),
    FILE_SEED(deep_deep12_pgm),
    FILE_SEED(deep_deep12_text_pgm),
    {NULL, 0},
};

static void work_with(const imiad_image *image)
{
    imiad_image *small = NULL, *mask = NULL;
    if (image_check(image, "decoded") != IMIAD_OK)
        abort();
    const preprocessing p = {false, 16, 12, {0, 0, 0}, {1, 1, 1}, image->width % 2 == 1};
    preprocess_image(&small, image, &p);
    preprocess_mask(&mask, image, &p);
    imiad_image_free(small);
    imiad_image_free(mask);
}

static void decode(const uint8_t *bytes, size_t size)
{
    imiad_image *image = NULL;
    const imiad_decode_options options = {.struct_size = sizeof options,
                                          .upright = 1,
                                          .high = size % 4 == 1 ? 4095 : 0,
                                          .deep = size % 4 > 1};
    if (image_decode(&image, bytes, size, "fuzzed", size % 4 ? &options : NULL) == IMIAD_OK)
        work_with(image);
    else if (image)
        abort(); /* a failure leaves its result alone */
    imiad_image_free(image);
}

/* A changed PNG fails at its checksums: with these put right, what lies behind them is reached. */
static void repair_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = 8; size - at >= 12;) {
        size_t length = (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 |
                        (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (length > size - at - 12)
            return;
        uint32_t sum = (uint32_t)crc32(0, bytes + at + 4, (uInt)length + 4);
        for (int i = 0; i < 4; ++i)
            bytes[at + 8 + length + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += length + 12;
    }
}

/* Large images only take longer, and what they would find a small one finds: one input in 256 may
 * be of any size, for the numbers that overflow. */
static void limit_pixels(const uint8_t *bytes, size_t size)
{
    imiad_limits limits = IMIAD_LIMITS_INIT;
    limits.image_pixels = crc32_z(0, bytes, size) % 256 == 0 ? 0 : 1 << 14;
    if (imiad_set_limits(&limits) != IMIAD_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > 1 << 16)
        return 0;
    limit_pixels(bytes, size);
    decode(bytes, size);
    if (size < 8 || memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) != 0)
        return 0;
    uint8_t *repaired = malloc(size);
    if (!repaired)
        abort();
    memcpy(repaired, bytes, size);
    repair_checksums(repaired, size);
    decode(repaired, size);
    free(repaired);
    return 0;
}
