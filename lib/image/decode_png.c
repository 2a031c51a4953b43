/* PNG (ISO/IEC 15948): the file's structure, and its compressed pixels. */
#include "image/decode_png.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef IMIAD_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "base/error.h"
#include "image/pixels.h"

enum { SIGNATURE = 8, CHUNK_FRAME = 12 /* length, type, checksum */ };

#define CHUNK(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

typedef struct png_chunk {
    uint32_t type, length;
    const uint8_t *bytes;
} png_chunk;

static uint32_t big_endian(const uint8_t *bytes)
{
    return CHUNK(bytes[0], bytes[1], bytes[2], bytes[3]);
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
#ifdef IMIAD_LIBDEFLATE
    return libdeflate_crc32(0, bytes, size);
#else
    return (uint32_t)crc32_z(0, bytes, size);
#endif
}

static imiad_status read_chunk(png_chunk *chunk, const encoded_image *e, size_t at)
{
    if (e->size - at < CHUNK_FRAME)
        return fail_decoding(e, "the PNG is truncated after %zu bytes", e->size);
    *chunk =
        (png_chunk){big_endian(e->bytes + at + 4), big_endian(e->bytes + at), e->bytes + at + 8};
    if (chunk->length > e->size - at - CHUNK_FRAME)
        return fail_decoding(e, "the PNG is truncated after %zu bytes", e->size);
    if (checksum(e->bytes + at + 4, chunk->length + 4) != big_endian(chunk->bytes + chunk->length))
        return fail_decoding(e, "the PNG is damaged: wrong checksum of the chunk at byte %zu", at);
    return IMIAD_OK;
}

/* Table 11.1: which depths a colour type has, as bits 1 << depth; and its samples a pixel. */
static const struct {
    uint32_t depths;
    int samples;
} color_types[7] = {
    [0] = {1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 16, 1}, /* grey */
    [2] = {1 << 8 | 1 << 16, 3},                            /* RGB */
    [3] = {1 << 1 | 1 << 2 | 1 << 4 | 1 << 8, 1},           /* palette */
    [4] = {1 << 8 | 1 << 16, 2},                            /* grey, alpha */
    [6] = {1 << 8 | 1 << 16, 4},                            /* RGB, alpha */
};

static imiad_status read_header(png_layout *png, const encoded_image *e, const png_chunk *c)
{
    if (c->type != CHUNK('I', 'H', 'D', 'R') || c->length != 13)
        return fail_decoding(e, "the PNG does not begin with its header");
    int64_t width = big_endian(c->bytes), height = big_endian(c->bytes + 4);
    int depth = c->bytes[8], color = c->bytes[9];
    if (color > 6 || depth > 16 || !(color_types[color].depths >> depth & 1) || c->bytes[10] != 0 ||
        c->bytes[11] != 0 || c->bytes[12] > 1)
        return fail_decoding(e, "no PNG has depth %d, colour type %d, methods %d, %d, %d", depth,
                             color, c->bytes[10], c->bytes[11], c->bytes[12]);
    TRY(check_encoded_size(e, width, height));
    *png = (png_layout){.width = (int32_t)width,
                        .height = (int32_t)height,
                        .depth = depth,
                        .color = color,
                        .samples = color_types[color].samples,
                        .significant = depth,
                        .interlaced = c->bytes[12] == 1};
    return IMIAD_OK;
}

static imiad_status note_chunk(png_layout *png, const encoded_image *e, const png_chunk *c)
{
    switch (c->type) {
    case CHUNK('P', 'L', 'T', 'E'):
        if (c->length == 0 || c->length > 3 * 256 || c->length % 3 != 0 || png->palette)
            return fail_decoding(e, "the PNG's palette has %u bytes", c->length);
        png->palette = c->bytes;
        png->colors = (int)c->length / 3;
        break;
    case CHUNK('I', 'D', 'A', 'T'):
        png->data_bytes += c->length;
        png->data_chunks += 1;
        png->data = png->data ? png->data : c->bytes - 8;
        break;
    case CHUNK('s', 'B', 'I', 'T'): /* one that is damaged is no reason to refuse the image */
        if (c->length > 0 && c->bytes[0] >= 1 && c->bytes[0] <= png->depth)
            png->significant = c->bytes[0];
        break;
    case CHUNK('I', 'E', 'N', 'D'):
        break;
    default:
        if (!(c->type & CHUNK(0x20, 0, 0, 0))) /* its capital letter says that it matters */
            return fail_decoding(e, "the PNG has an unknown critical chunk at byte %zu",
                                 (size_t)(c->bytes - e->bytes) - 8);
    }
    return IMIAD_OK;
}

/* Deflate makes at most 1032 bytes of one (a match of 258 in two bits): a file that has less than
 * its header promises is refused before anything is allocated. */
static imiad_status check_data(const png_layout *png, const encoded_image *e)
{
    if (png->color == 3 && !png->palette)
        return fail_decoding(e, "the PNG lacks its palette");
    if (png->data_bytes == 0 || png_raw_bytes(png) / 1032 > png->data_bytes)
        return fail_decoding(e, "the PNG has %zu bytes of data for %d x %d pixels", png->data_bytes,
                             png->width, png->height);
    return IMIAD_OK;
}

static imiad_status check_png(png_layout *png, const encoded_image *e)
{
    png_chunk chunk = {0, 0, NULL};
    for (size_t at = SIGNATURE; chunk.type != CHUNK('I', 'E', 'N', 'D');
         at += chunk.length + CHUNK_FRAME) {
        TRY(read_chunk(&chunk, e, at));
        TRY(at == SIGNATURE ? read_header(png, e, &chunk) : note_chunk(png, e, &chunk));
    }
    return check_data(png, e);
}

/* The data of all IDAT chunks, which have been checked, in one piece. */
static void gather(uint8_t *out, const png_layout *png)
{
    const uint8_t *at = png->data;
    for (size_t found = 0; found < png->data_chunks;) {
        uint32_t length = big_endian(at);
        if (big_endian(at + 4) == CHUNK('I', 'D', 'A', 'T')) {
            memcpy(out, at + 8, length);
            out += length;
            ++found;
        }
        at += length + CHUNK_FRAME;
    }
}

/* Fills `out`; more data than that is ignored, as other readers do. */
static bool inflate_with_zlib(uint8_t *out, size_t size, const uint8_t *data, size_t data_size)
{
    z_stream stream = {.next_in = (uint8_t *)data, .avail_in = (uInt)data_size, .next_out = out};
    if (inflateInit(&stream) != Z_OK)
        return false;
    int result = Z_OK;
    while (size > 0 && result == Z_OK) { /* avail_out may be narrower than size */
        uInt step = size < 1u << 30 ? (uInt)size : 1u << 30;
        stream.avail_out = step;
        result = inflate(&stream, Z_NO_FLUSH);
        size -= step - stream.avail_out;
    }
    inflateEnd(&stream);
    return size == 0 && result != Z_DATA_ERROR;
}

static bool inflate_all(uint8_t *out, size_t size, const uint8_t *data, size_t data_size)
{
#ifdef IMIAD_LIBDEFLATE
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    enum libdeflate_result result = LIBDEFLATE_BAD_DATA;
    if (inflater)
        result = libdeflate_zlib_decompress(inflater, data, data_size, out, size, NULL);
    libdeflate_free_decompressor(inflater);
    if (inflater && result != LIBDEFLATE_INSUFFICIENT_SPACE)
        return result == LIBDEFLATE_SUCCESS;
#endif
    return inflate_with_zlib(out, size, data, data_size);
}

static imiad_status inflate_pixels(uint8_t *raw, size_t size, const png_layout *png,
                                   const encoded_image *e)
{
    const uint8_t *data = png->data + 8;
    uint8_t *whole = NULL;
    if (png->data_chunks > 1) {
        whole = malloc(png->data_bytes);
        if (!whole)
            return fail_memory("a PNG's data", png->data_bytes);
        gather(whole, png);
        data = whole;
    }
    bool complete = inflate_all(raw, size, data, png->data_bytes);
    free(whole);
    return complete ? IMIAD_OK : fail_decoding(e, "the PNG's compressed pixels are damaged");
}

/* Takes `raw` where the image is made in it. */
static imiad_status make_pixels(imiad_image **out, uint8_t **raw, const png_layout *png,
                                const encoded_image *e)
{
    bool gray = png->color == 0 || png->color == 4;
    imiad_pixel_format format = gray ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8;
    if (png_is_plain(png)) {
        TRY(png_pixels_in_place(*raw, png, e));
        uint8_t *pixels = *raw;
        *raw = NULL;
        return image_adopt(out, format, png->width, png->height, pixels);
    }
    if (png->depth == 16) {
        TRY(deep_prepare(e->range, gray, 65535, png->significant));
        format = deep_format(e->range, gray);
    }
    imiad_image *image = NULL;
    TRY(image_create(&image, format, png->width, png->height));
    imiad_status status = png_pixels(image, *raw, png, e);
    if (status == IMIAD_OK)
        *out = image;
    else
        imiad_image_free(image);
    return status;
}

imiad_status decode_png(imiad_image **out, const encoded_image *e)
{
    if (e->size < SIGNATURE)
        return fail_decoding(e, "the PNG is truncated after %zu bytes", e->size);
    png_layout png = {.width = 0};
    TRY(check_png(&png, e));
    size_t size = (size_t)png_raw_bytes(&png);
    uint8_t *raw = malloc(size);
    if (!raw)
        return fail_memory("a PNG's pixels", size);
    imiad_status status = inflate_pixels(raw, size, &png, e);
    if (status == IMIAD_OK)
        status = make_pixels(out, &raw, &png, e);
    free(raw);
    return status;
}
