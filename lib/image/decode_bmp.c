/* BMP: uncompressed, bit fields and runs of eight bits, as Pillow shows them. */
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

enum { PLAIN = 0, RUNS_OF_8 = 1, BIT_FIELDS = 3, ALPHA_FIELDS = 6 };
enum { FILE_HEADER = 14, CORE = 12, MOST_COLORS = 256 };

typedef struct bmp_file {
    const encoded_image *encoded;
    int64_t width, height;
    bool top_first;
    int64_t offset, stride; /* of the rows */
    int bits;               /* a pixel */
    uint32_t compression;
    uint32_t fields[3]; /* the bits of red, green and blue, where pixels have 16 or 32 */
    int64_t colors;     /* in the palette */
    int color_bytes;    /* of one of them: blue, green, red */
    const uint8_t *palette;
} bmp_file;

static uint32_t little_endian(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; ++i)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

/* ---- headers ---- */

static bool is_header_size(uint32_t size)
{
    static const uint32_t sizes[] = {CORE, 40, 52, 56, 64, 108, 124};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        if (sizes[i] == size)
            return true;
    return false;
}

static imiad_status check_kind(const bmp_file *bmp)
{
    const encoded_image *e = bmp->encoded;
    int bits = bmp->bits;
    uint32_t method = bmp->compression;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
        return fail_decoding(e, "no BMP has %d bits a pixel", bits);
    bool fields = method == BIT_FIELDS || method == ALPHA_FIELDS;
    if (method != PLAIN && !fields && method != RUNS_OF_8)
        return fail_decoding(e, "a compressed BMP (method %u) is not supported", method);
    if ((method == RUNS_OF_8 && bits != 8) || (fields && bits != 16 && bits != 32))
        return fail_decoding(e, "no BMP has %d bits a pixel with method %u", bits, method);
    return IMIAD_OK;
}

/* Bits of a mask lie side by side. */
static imiad_status check_fields(const bmp_file *bmp)
{
    for (int i = 0; i < 3; ++i) {
        uint32_t mask = bmp->fields[i], low = mask & (0 - mask);
        if (mask == 0 || ((mask + low) & mask) != 0)
            return fail_decoding(bmp->encoded, "the BMP's field of a colour is %08x", mask);
    }
    return IMIAD_OK;
}

/* Where the header does not say which bits are red, green and blue: 5 each, or 8 each. */
static imiad_status read_fields(bmp_file *bmp, uint32_t header)
{
    static const uint32_t five[3] = {0x7C00, 0x3E0, 0x1F}, eight[3] = {0xFF0000, 0xFF00, 0xFF};
    const encoded_image *e = bmp->encoded;
    memcpy(bmp->fields, bmp->bits == 16 ? five : eight, sizeof five);
    if (bmp->compression != BIT_FIELDS && bmp->compression != ALPHA_FIELDS)
        return IMIAD_OK;
    /* they follow the header of 40 bytes, and are a part of larger ones: at the same place */
    if (e->size < FILE_HEADER + 40 + 12 || header < 40)
        return fail_decoding(e, "the BMP is truncated after %zu bytes", e->size);
    uint32_t given[3];
    for (int i = 0; i < 3; ++i)
        given[i] = little_endian(e->bytes + FILE_HEADER + 40 + 4 * i, 4);
    if (given[0] || given[1] || given[2]) /* Pillow reads none as the usual ones */
        memcpy(bmp->fields, given, sizeof given);
    return check_fields(bmp);
}

/* The colours between the headers and the pixels: as many as the header says, or as there could
 * be; fewer where the file has no room for them. */
static void find_palette(bmp_file *bmp, uint32_t header)
{
    const encoded_image *e = bmp->encoded;
    bool core = header == CORE;
    int64_t used = core ? 0 : little_endian(e->bytes + FILE_HEADER + 32, 4);
    int64_t start = FILE_HEADER + (int64_t)header;
    bmp->color_bytes = core ? 3 : 4;
    bmp->palette = e->bytes + start;
    bmp->colors = bmp->bits > 8 ? 0 : used > 0 ? used : (int64_t)1 << bmp->bits;
    if (bmp->colors > MOST_COLORS)
        bmp->colors = MOST_COLORS;
    if (bmp->colors > (bmp->offset - start) / bmp->color_bytes)
        bmp->colors = (bmp->offset - start) / bmp->color_bytes;
}

/* The file header of 14 bytes, then one of: the core header of OS/2 (12 bytes), Windows' (40),
 * and its extensions. */
static imiad_status read_header(bmp_file *bmp, const encoded_image *e)
{
    const uint8_t *b = e->bytes;
    if (e->size < 26)
        return fail_decoding(e, "the BMP is truncated after %zu bytes", e->size);
    uint32_t header = little_endian(b + 14, 4);
    bool core = header == CORE;
    if (!is_header_size(header))
        return fail_decoding(e, "the BMP has an unknown header of %u bytes", header);
    if (e->size < FILE_HEADER + header)
        return fail_decoding(e, "the BMP is truncated after %zu bytes", e->size);
    bmp->encoded = e;
    bmp->width = core ? little_endian(b + 18, 2) : (int64_t)(int32_t)little_endian(b + 18, 4);
    bmp->height = core ? little_endian(b + 20, 2) : (int64_t)(int32_t)little_endian(b + 22, 4);
    bmp->top_first = bmp->height < 0;
    if (bmp->top_first)
        bmp->height = -bmp->height;
    TRY(check_encoded_size(e, bmp->width, bmp->height));
    bmp->bits = (int)little_endian(b + (core ? 24 : 28), 2);
    bmp->compression = core ? PLAIN : little_endian(b + 30, 4);
    TRY(check_kind(bmp));
    bmp->offset = little_endian(b + 10, 4);
    bmp->stride = (bmp->width * bmp->bits + 31) / 32 * 4;
    if (bmp->offset < FILE_HEADER + (int64_t)header)
        return fail_decoding(e, "the BMP's pixels begin at byte %lld, within its header",
                             (long long)bmp->offset);
    find_palette(bmp, header);
    return read_fields(bmp, header);
}

/* ---- pixels ---- */

static imiad_status look_up(uint8_t *rgb, const bmp_file *bmp, int color)
{
    if (color >= bmp->colors)
        return fail_decoding(bmp->encoded, "a pixel of the BMP has colour %d of %lld", color,
                             (long long)bmp->colors);
    const uint8_t *bgr = bmp->palette + (size_t)color * (size_t)bmp->color_bytes;
    rgb[0] = bgr[2];
    rgb[1] = bgr[1];
    rgb[2] = bgr[0];
    return IMIAD_OK;
}

static imiad_status read_indices(uint8_t *rgb, const bmp_file *bmp, const uint8_t *row)
{
    int bits = bmp->bits;
    for (int64_t x = 0; x < bmp->width; ++x) {
        int64_t bit = x * bits;
        int color = row[bit / 8] >> (8 - bits - bit % 8) & ((1 << bits) - 1);
        TRY(look_up(rgb + 3 * x, bmp, color));
    }
    return IMIAD_OK;
}

/* The bits of a field as 0..255, rounded down as Pillow does. */
static uint8_t field_of(uint32_t pixel, uint32_t mask)
{
    uint64_t low = mask & (0 - mask), top = mask / low;
    return (uint8_t)((pixel & mask) / low * 255 / top);
}

static void read_fields_of_row(uint8_t *rgb, const bmp_file *bmp, const uint8_t *row)
{
    int bytes = bmp->bits / 8;
    for (int64_t x = 0; x < bmp->width; ++x) {
        uint32_t pixel = little_endian(row + x * bytes, bytes);
        for (int c = 0; c < 3; ++c)
            rgb[3 * x + c] = field_of(pixel, bmp->fields[c]);
    }
}

/* Blue, green, red, and a byte that is left alone where there are four. */
static void read_bytes_of_row(uint8_t *rgb, const bmp_file *bmp, const uint8_t *row)
{
    size_t bytes = (size_t)bmp->bits / 8;
    for (int64_t x = 0; x < bmp->width; ++x, row += bytes) {
        rgb[3 * x] = row[2];
        rgb[3 * x + 1] = row[1];
        rgb[3 * x + 2] = row[0];
    }
}

static bool has_byte_fields(const bmp_file *bmp)
{
    return bmp->fields[0] == 0xFF0000 && bmp->fields[1] == 0xFF00 && bmp->fields[2] == 0xFF;
}

static imiad_status read_row(uint8_t *rgb, const bmp_file *bmp, const uint8_t *row)
{
    if (bmp->bits <= 8)
        return read_indices(rgb, bmp, row);
    if (bmp->bits == 16 || !has_byte_fields(bmp))
        read_fields_of_row(rgb, bmp, row);
    else
        read_bytes_of_row(rgb, bmp, row);
    return IMIAD_OK;
}

static imiad_status read_rows(imiad_image *image, const bmp_file *bmp, const uint8_t *rows)
{
    for (int32_t y = 0; y < image->height; ++y) {
        int32_t to = bmp->top_first ? y : image->height - 1 - y;
        TRY(read_row(image_row(image, to), bmp, rows + y * bmp->stride));
    }
    return IMIAD_OK;
}

/* ---- runs of eight bits ---- */

typedef struct run_reader {
    const bmp_file *bmp;
    size_t at;
    int64_t x, y;
    uint8_t *indices; /* rows of `stride` bytes, the lowest row first; zeros where nothing is */
} run_reader;

static bool next_byte(int *out, run_reader *r)
{
    if (r->at >= r->bmp->encoded->size)
        return false;
    *out = r->bmp->encoded->bytes[r->at++];
    return true;
}

/* What lies beyond the end of a row is lost, as Pillow has it. */
static void put_index(run_reader *r, int index)
{
    if (r->x < r->bmp->width && r->y < r->bmp->height)
        r->indices[r->y * r->bmp->stride + r->x] = (uint8_t)index;
    ++r->x;
}

/* `count` indices as they are, up to an even byte. */
static bool copy_indices(run_reader *r, int count)
{
    int index;
    for (int i = 0; i < count; ++i) {
        if (!next_byte(&index, r))
            return false;
        put_index(r, index);
    }
    return count % 2 == 0 || next_byte(&index, r);
}

/* One step; *done behind the last. False at the end of the file. */
static bool read_run(run_reader *r, bool *done)
{
    int count, value, right, up;
    if (!next_byte(&count, r) || !next_byte(&value, r))
        return false;
    if (count > 0) {
        for (int i = 0; i < count; ++i)
            put_index(r, value);
    } else if (value == 0) { /* the end of a row */
        r->x = 0;
        ++r->y;
    } else if (value == 1) { /* the end of the image */
        *done = true;
    } else if (value == 2) { /* a jump */
        if (!next_byte(&right, r) || !next_byte(&up, r))
            return false;
        r->x += right;
        r->y += up;
    } else {
        return copy_indices(r, value);
    }
    return true;
}

/* A row or more without a pixel at the end of the data is a file that was cut. */
static imiad_status decode_runs(imiad_image *image, const bmp_file *bmp)
{
    const encoded_image *e = bmp->encoded;
    run_reader r = {.bmp = bmp, .at = (size_t)bmp->offset};
    r.indices = calloc((size_t)bmp->height, (size_t)bmp->stride);
    if (!r.indices)
        return fail_memory("a BMP's pixels", (size_t)(bmp->height * bmp->stride));
    bool done = false, complete = true;
    while (complete && !done && r.y < bmp->height)
        complete = read_run(&r, &done);
    imiad_status status = IMIAD_OK;
    if (!complete || r.y < bmp->height - 1)
        status = fail_decoding(e, "the BMP is truncated: its runs end in row %lld of %lld",
                               (long long)r.y, (long long)bmp->height);
    else
        status = read_rows(image, bmp, r.indices);
    free(r.indices);
    return status;
}

/* A run makes at most 255 pixels of two bytes, but jumps make any number: a file that has less than
 * two bytes for each row and each 255 pixels is refused before anything is allocated. */
static imiad_status check_runs(const bmp_file *bmp)
{
    uint64_t least = (uint64_t)(bmp->width * bmp->height) / 255 / 64;
    if ((uint64_t)bmp->offset > bmp->encoded->size || least > bmp->encoded->size)
        return fail_decoding(bmp->encoded, "the BMP is truncated: %zu bytes for %lld x %lld pixels",
                             bmp->encoded->size, (long long)bmp->width, (long long)bmp->height);
    return IMIAD_OK;
}

static imiad_status check_rows(const bmp_file *bmp)
{
    /* some writers leave the last row's padding out */
    int64_t last_row = (bmp->width * bmp->bits + 7) / 8;
    int64_t needed = bmp->offset + (bmp->height - 1) * bmp->stride + last_row;
    if ((uint64_t)needed > bmp->encoded->size)
        return fail_decoding(bmp->encoded, "the BMP is truncated: %zu bytes of %lld",
                             bmp->encoded->size, (long long)needed);
    return IMIAD_OK;
}

imiad_status decode_bmp(imiad_image **out, const encoded_image *e)
{
    bmp_file bmp = {.encoded = e};
    TRY(read_header(&bmp, e));
    bool runs = bmp.compression == RUNS_OF_8;
    TRY(runs ? check_runs(&bmp) : check_rows(&bmp));
    imiad_image *image;
    TRY(image_create(&image, IMIAD_PIXEL_RGB8, bmp.width, bmp.height));
    imiad_status status =
        runs ? decode_runs(image, &bmp) : read_rows(image, &bmp, e->bytes + bmp.offset);
    if (status == IMIAD_OK)
        *out = image;
    else
        imiad_image_free(image);
    return status;
}
