/* PNG (ISO/IEC 15948). The file's structure is checked here: stb_image compares no checksums, and
 * takes a file for whole that lost its end. */
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "image/pixels.h"

enum { SIGNATURE = 8, CHUNK_FRAME = 12 /* length, type, checksum */, PALETTE = 3 * 256 };

#define CHUNK(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

typedef struct png_layout {
    encoded_layout layout;
    int depth, color;
    uint64_t data;                  /* bytes of compressed pixels */
    size_t palette, palette_length; /* where PLTE's bytes are */
} png_layout;

typedef struct png_chunk {
    uint32_t type, length;
    const uint8_t *bytes;
} png_chunk;

static uint32_t big_endian(const uint8_t *bytes)
{
    return CHUNK(bytes[0], bytes[1], bytes[2], bytes[3]);
}

static imiad_status read_chunk(png_chunk *chunk, const encoded_image *e, size_t at)
{
    if (e->size - at < CHUNK_FRAME)
        return fail_decoding(e, "the PNG is truncated after %zu bytes", e->size);
    *chunk =
        (png_chunk){big_endian(e->bytes + at + 4), big_endian(e->bytes + at), e->bytes + at + 8};
    if (chunk->length > e->size - at - CHUNK_FRAME)
        return fail_decoding(e, "the PNG is truncated after %zu bytes", e->size);
    uint32_t sum = (uint32_t)crc32(0, e->bytes + at + 4, chunk->length + 4);
    if (sum != big_endian(chunk->bytes + chunk->length))
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
    *png = (png_layout){{width, height, color == 0 || color == 4, 0}, depth, color, 0, 0, 0};
    return IMIAD_OK;
}

static imiad_status note_chunk(png_layout *png, const encoded_image *e, const png_chunk *c)
{
    switch (c->type) {
    case CHUNK('P', 'L', 'T', 'E'):
        if (c->length == 0 || c->length > PALETTE || c->length % 3 != 0 || png->palette)
            return fail_decoding(e, "the PNG's palette has %u bytes", c->length);
        png->palette = (size_t)(c->bytes - e->bytes);
        png->palette_length = c->length;
        break;
    case CHUNK('I', 'D', 'A', 'T'):
        png->data += c->length;
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
static imiad_status check_data(png_layout *png, const encoded_image *e)
{
    if (png->color == 3 && !png->palette)
        return fail_decoding(e, "the PNG lacks its palette");
    uint64_t bits = (uint64_t)png->depth * (uint64_t)color_types[png->color].samples;
    uint64_t row = ((uint64_t)png->layout.width * bits + 7) / 8 + 1;
    uint64_t raw = row * (uint64_t)png->layout.height;
    if (png->data == 0 || raw / 1032 > png->data)
        return fail_decoding(e, "the PNG has %llu bytes of data for %lld x %lld pixels",
                             (unsigned long long)png->data, (long long)png->layout.width,
                             (long long)png->layout.height);
    /* interlacing adds a few bytes a row of its seven passes; some writers pad the end; stb_image
     * works in up to eight bytes a pixel and doubles a buffer that is too small */
    uint64_t pixels = (uint64_t)png->layout.width * (uint64_t)png->layout.height;
    png->layout.budget = 8 * pixels + 4 * raw + 2 * e->size + (1 << 16);
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

/* stb_image reads beyond a palette that has fewer colours than pixels may ask for: such a file is
 * decoded from a copy with all 256, the missing ones black. */
static imiad_status decode_with_whole_palette(imiad_image **out, const encoded_image *e,
                                              const png_layout *png)
{
    size_t size = e->size + PALETTE - png->palette_length;
    size_t end = png->palette + png->palette_length;
    uint8_t *bytes = calloc(size, 1);
    if (!bytes)
        return fail_memory("an image with a palette", size);
    memcpy(bytes, e->bytes, end);
    memcpy(bytes + png->palette + PALETTE, e->bytes + end, e->size - end);
    bytes[png->palette - 6] = PALETTE >> 8; /* the chunk's length */
    bytes[png->palette - 5] = PALETTE & 255;
    encoded_image whole = {bytes, size, e->name};
    imiad_status status = decode_with_stb(out, &whole, &png->layout);
    free(bytes);
    return status;
}

imiad_status decode_png(imiad_image **out, const encoded_image *e)
{
    if (e->size < SIGNATURE)
        return fail_decoding(e, "the PNG is truncated after %zu bytes", e->size);
    png_layout png;
    TRY(check_png(&png, e));
    if (png.color == 3 && png.palette_length < PALETTE)
        return decode_with_whole_palette(out, e, &png);
    return decode_with_stb(out, e, &png.layout);
}
