/* TIFF through libtiff: grey of 8 to 16 bits and RGB of 8 and 16 row by row, or tile by tile;
 * palettes, bilevel and other kinds of 8 bits as libtiff makes RGB of them. Of several pages the
 * first is read. */
#include "image/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "base/error.h"
#include "image/pixels.h"

/* The file in memory, as libtiff reads it. */
typedef struct tiff_source {
    const encoded_image *encoded;
    toff_t at;
    char reason[200]; /* the first error of libtiff */
} tiff_source;

static tmsize_t read_some(thandle_t handle, void *out, tmsize_t size)
{
    tiff_source *s = (tiff_source *)handle;
    toff_t left = s->at < s->encoded->size ? s->encoded->size - s->at : 0;
    tmsize_t taken = (toff_t)size < left ? size : (tmsize_t)left;
    if (taken > 0)
        memcpy(out, s->encoded->bytes + s->at, (size_t)taken);
    s->at += (toff_t)taken;
    return taken;
}

static tmsize_t write_none(thandle_t handle, void *bytes, tmsize_t size)
{
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
    tiff_source *s = (tiff_source *)handle;
    toff_t base = whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->encoded->size : 0;
    s->at = base + offset;
    return s->at;
}

static int close_none(thandle_t handle)
{
    return 0;
}

static toff_t find_size(thandle_t handle)
{
    return ((tiff_source *)handle)->encoded->size;
}

static int map(thandle_t handle, void **bytes, toff_t *size)
{
    tiff_source *s = (tiff_source *)handle;
    *bytes = (void *)s->encoded->bytes; /* libtiff only reads a file opened with "r" */
    *size = s->encoded->size;
    return 1;
}

static void unmap(thandle_t handle, void *bytes, toff_t size)
{
}

/* Handlers of this file alone: libtiff's own are the process's. */
static int keep_error(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list arguments)
{
    tiff_source *s = user;
    if (!*s->reason)
        vsnprintf(s->reason, sizeof s->reason, format, arguments);
    return 1;
}

static int ignore_warning(TIFF *tiff, void *user, const char *module, const char *format,
                          va_list arguments)
{
    return 1;
}

static TIFF *open_source(tiff_source *s)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, s);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, s);
    TIFF *tiff = TIFFClientOpenExt(s->encoded->name, "r", (thandle_t)s, read_some, write_none, seek,
                                   close_none, find_size, map, unmap, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

static imiad_status fail_tiff(const tiff_source *s)
{
    return fail_decoding(s->encoded, "%s", *s->reason ? s->reason : "the TIFF is damaged");
}

/* ---- layouts ---- */

typedef struct tiff_layout {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planes, format;
    bool tiled;
} tiff_layout;

static imiad_status read_layout(tiff_layout *l, TIFF *tiff, const tiff_source *s)
{
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &l->width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &l->height) ||
        !TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &l->photometric))
        return fail_tiff(s);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &l->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &l->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &l->planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &l->format);
    l->tiled = TIFFIsTiled(tiff);
    TRY(check_encoded_size(s->encoded, l->width, l->height));
    if (l->format != SAMPLEFORMAT_UINT && l->format != SAMPLEFORMAT_VOID)
        return fail_decoding(s->encoded, "a TIFF of signed or floating-point samples; whole "
                                         "numbers of 8 and 16 bits are read");
    if (l->samples > 8)
        return fail_decoding(s->encoded, "a TIFF of %d samples a pixel; at most 8 are read",
                             l->samples);
    if (l->bits > 16)
        return fail_decoding(s->encoded, "a TIFF of %d bits a sample; at most 16 are read",
                             l->bits);
    return IMIAD_OK;
}

static bool is_gray(const tiff_layout *l)
{
    return l->photometric == PHOTOMETRIC_MINISBLACK || l->photometric == PHOTOMETRIC_MINISWHITE;
}

static bool is_deep_gray(const tiff_layout *l)
{
    return is_gray(l) && l->bits > 8;
}

/* Whether rows hold the samples of whole pixels that need no more than to be copied. Tiles are
 * libtiff's business, but for what it would make 8 bits of. */
static bool has_plain_rows(const tiff_layout *l)
{
    bool kind = is_gray(l) ? l->samples >= 1 : l->photometric == PHOTOMETRIC_RGB && l->samples >= 3;
    return kind && (l->bits == 8 || l->bits == 16 || is_deep_gray(l)) &&
           (!l->tiled || is_deep_gray(l)) && (l->planes == PLANARCONFIG_CONTIG || l->samples == 1);
}

/* ---- pixels ---- */

/* Sample i of a row of more than 8 bits each. Those of 9 to 15 follow each other without gaps, the
 * first in the highest bits. */
static unsigned deep_sample(const uint8_t *row, size_t i, int bits)
{
    if (bits == 16)
        return pixel_get16(row, (int32_t)i);
    size_t bit = i * (size_t)bits;
    unsigned value = 0;
    for (int left = bits; left > 0;) {
        int there = 8 - (int)(bit % 8), taken = there < left ? there : left;
        unsigned part = (unsigned)row[bit / 8] >> (there - taken) & ((1u << taken) - 1);
        value = value << taken | part;
        bit += (size_t)taken;
        left -= taken;
    }
    return value;
}

/* `count` pixels; alpha and others are left out. */
static void copy_pixels(uint8_t *out, const uint8_t *row, size_t count, const tiff_layout *l,
                        deep_range *range)
{
    size_t kept = is_gray(l) ? 1 : 3, bytes = range->wide ? 2 : 1;
    bool whole = l->bits == 8 && l->samples == kept;
    if (whole)
        memcpy(out, row, count * kept);
    for (size_t x = 0; !whole && x < count; ++x)
        for (size_t c = 0; c < kept; ++c) {
            size_t i = x * l->samples + c, at = (x * kept + c) * bytes;
            if (l->bits == 8)
                out[at] = row[i];
            else
                deep_put(out + at, range, deep_sample(row, i, l->bits));
        }
    for (size_t i = 0; l->photometric == PHOTOMETRIC_MINISWHITE && i < count * kept * bytes; ++i)
        out[i] ^= 255;
}

static uint64_t row_bytes(const tiff_layout *l, uint64_t width)
{
    return (width * l->samples * l->bits + 7) / 8;
}

static imiad_status read_rows(imiad_image *image, TIFF *tiff, const tiff_layout *l,
                              const tiff_source *s)
{
    tmsize_t size = TIFFScanlineSize(tiff);
    if (size < 0 || (uint64_t)size < row_bytes(l, l->width))
        return fail_tiff(s);
    uint8_t *row = malloc((size_t)size);
    if (!row)
        return fail_memory("a TIFF's row", (size_t)size);
    imiad_status status = IMIAD_OK;
    for (uint32_t y = 0; status == IMIAD_OK && y < l->height; ++y) {
        if (TIFFReadScanline(tiff, row, y, 0) < 0)
            status = fail_tiff(s);
        else
            copy_pixels(image_row(image, (int32_t)y), row, l->width, l, s->encoded->range);
    }
    free(row);
    return status;
}

/* The part of a tile that lies in the image. */
static void copy_tile(imiad_image *image, const uint8_t *tile, uint32_t left, uint32_t top,
                      uint32_t side, uint32_t rows, const tiff_layout *l, deep_range *range)
{
    size_t bytes = range->wide ? 2 : 1, count = l->width - left < side ? l->width - left : side;
    for (uint32_t y = top; y < l->height && y - top < rows; ++y)
        copy_pixels(image_row(image, (int32_t)y) + left * bytes,
                    tile + (y - top) * row_bytes(l, side), count, l, range);
}

/* A header may promise any tile, even one far larger than its image. */
enum { TILE_BYTES = 1 << 26 };

static imiad_status read_tiles(imiad_image *image, TIFF *tiff, const tiff_layout *l,
                               const tiff_source *s)
{
    uint32_t side = 0, rows = 0;
    if (!TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &side) ||
        !TIFFGetField(tiff, TIFFTAG_TILELENGTH, &rows) || side == 0 || rows == 0)
        return fail_tiff(s);
    uint64_t bytes = row_bytes(l, side);
    if (bytes > TILE_BYTES / rows || TIFFTileSize64(tiff) != bytes * rows)
        return fail_decoding(s->encoded, "the TIFF has tiles of %u x %u pixels", side, rows);
    uint8_t *tile = malloc((size_t)bytes * rows);
    if (!tile)
        return fail_memory("a TIFF's tile", (size_t)bytes * rows);
    imiad_status status = IMIAD_OK;
    for (uint64_t y = 0; status == IMIAD_OK && y < l->height; y += rows)
        for (uint64_t x = 0; status == IMIAD_OK && x < l->width; x += side)
            if (TIFFReadTile(tiff, tile, (uint32_t)x, (uint32_t)y, 0, 0) < 0)
                status = fail_tiff(s);
            else
                copy_tile(image, tile, (uint32_t)x, (uint32_t)y, side, rows, l, s->encoded->range);
    free(tile);
    return status;
}

/* Palettes, bilevel, YCbCr, tiles: libtiff's own conversion, whose rows begin at the top here. */
static imiad_status read_converted(imiad_image *image, TIFF *tiff, const tiff_layout *l,
                                   const tiff_source *s)
{
    size_t count = (size_t)l->width * l->height;
    uint32_t *pixels = malloc(count * sizeof *pixels);
    if (!pixels)
        return fail_memory("a TIFF's pixels", count * sizeof *pixels);
    imiad_status status = IMIAD_OK;
    if (!TIFFReadRGBAImageOriented(tiff, l->width, l->height, pixels, ORIENTATION_TOPLEFT, 1))
        status = fail_tiff(s);
    size_t channels = image->format == IMIAD_PIXEL_GRAY8 ? 1 : 3;
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        uint8_t *out = image->pixels + channels * i;
        out[0] = (uint8_t)TIFFGetR(pixels[i]);
        if (channels == 3) {
            out[1] = (uint8_t)TIFFGetG(pixels[i]);
            out[2] = (uint8_t)TIFFGetB(pixels[i]);
        }
    }
    free(pixels);
    return status;
}

/* Rows are turned only where the caller asks; libtiff's conversion would do it by itself. */
static imiad_status read_page(imiad_image **out, TIFF *tiff, const tiff_source *s)
{
    tiff_layout l = {.width = 0};
    TRY(read_layout(&l, tiff, s));
    /* the best compression makes 1032 bytes of one (deflate); a bilevel one far more, of an image
     * whose rows are all alike */
    if (l.bits >= 8 && (uint64_t)l.width * l.height / 4096 > s->encoded->size)
        return fail_decoding(s->encoded, "the TIFF has %zu bytes for %u x %u pixels",
                             s->encoded->size, l.width, l.height);
    bool plain = has_plain_rows(&l);
    if (plain && l.bits > 8)
        TRY(deep_prepare(s->encoded->range, is_gray(&l), (1u << l.bits) - 1, l.bits));
    imiad_image *image;
    TRY(image_create(&image, deep_format(s->encoded->range, is_gray(&l)), l.width, l.height));
    imiad_status status;
    if (plain) {
        status = l.tiled ? read_tiles(image, tiff, &l, s) : read_rows(image, tiff, &l, s);
    } else {
        TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
        status = read_converted(image, tiff, &l, s);
    }
    if (status == IMIAD_OK)
        *out = image;
    else
        imiad_image_free(image);
    return status;
}

static bool has_more_pages(TIFF *tiff)
{
    return !TIFFLastDirectory(tiff);
}

imiad_status decode_tiff(imiad_image **out, const encoded_image *e)
{
    tiff_source s = {.encoded = e};
    TIFF *tiff = open_source(&s);
    if (!tiff)
        return fail_tiff(&s);
    imiad_status status = read_page(out, tiff, &s);
    if (status == IMIAD_OK && has_more_pages(tiff))
        log_message(IMIAD_LOG_WARNING, "%s has several pages; the first is read", e->name);
    TIFFClose(tiff);
    return status;
}

int tiff_orientation(const encoded_image *e)
{
    tiff_source s = {.encoded = e};
    TIFF *tiff = open_source(&s);
    uint16_t orientation = 1;
    if (tiff) {
        TIFFGetField(tiff, TIFFTAG_ORIENTATION, &orientation);
        TIFFClose(tiff);
    }
    return orientation;
}

imiad_status tiff_size(int64_t *width, int64_t *height, const encoded_image *e)
{
    tiff_source s = {.encoded = e};
    TIFF *tiff = open_source(&s);
    if (!tiff)
        return fail_tiff(&s);
    uint32_t across = 0, down = 0;
    bool found = TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &across) &&
                 TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &down);
    TIFFClose(tiff);
    *width = across;
    *height = down;
    return found ? IMIAD_OK : fail_tiff(&s);
}
