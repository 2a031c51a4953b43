/* Writing PNG (ISO/IEC 15948): 8 bits, not interlaced, compressed by zlib. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file_writer.h"
#include "image/pixels.h"

enum { DATA_BYTES = 1 << 16, LEVEL = 6, FILTERS = 5 };

typedef struct png_writer {
    FILE *stream;
    z_stream deflate;
    size_t pixel, row;        /* bytes */
    uint8_t *above, *current; /* rows, each behind `pixel` zero bytes */
    uint8_t *filtered;        /* FILTERS rows, each behind its filter's number */
    uint8_t data[DATA_BYTES];
} png_writer;

static void big_endian(uint8_t out[4], uint32_t value)
{
    for (int i = 0; i < 4; ++i)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A failed write shows at the file's commit. */
static void write_chunk(FILE *stream, const char type[4], const uint8_t *bytes, size_t size)
{
    uint8_t head[8], tail[4];
    big_endian(head, (uint32_t)size);
    memcpy(head + 4, type, 4);
    uLong sum = crc32(0, head + 4, 4);
    if (size > 0)
        sum = crc32(sum, bytes, (uInt)size);
    big_endian(tail, (uint32_t)sum);
    fwrite(head, 1, sizeof head, stream);
    fwrite(bytes, 1, size, stream);
    fwrite(tail, 1, sizeof tail, stream);
}

static void write_header(FILE *stream, const imiad_image *image)
{
    static const uint8_t color_types[] = {
        [IMIAD_PIXEL_GRAY8] = 0, [IMIAD_PIXEL_RGB8] = 2,  [IMIAD_PIXEL_BGR8] = 2,
        [IMIAD_PIXEL_RGBA8] = 6, [IMIAD_PIXEL_BGRA8] = 6, [IMIAD_PIXEL_GRAY16] = 0};
    uint8_t depth = image->format == IMIAD_PIXEL_GRAY16 ? 16 : 8;
    uint8_t header[13] = {[8] = depth, [9] = color_types[image->format]};
    big_endian(header, (uint32_t)image->width);
    big_endian(header + 4, (uint32_t)image->height);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, stream);
    write_chunk(stream, "IHDR", header, sizeof header);
}

/* Paeth's predictor: whichever of left, above and above-left is nearest to their plane. */
static inline uint8_t paeth(int left, int above, int corner)
{
    int to_left = abs(above - corner), to_above = abs(left - corner);
    int to_corner = abs(left + above - 2 * corner);
    int nearest = to_above <= to_corner ? above : corner;
    return (uint8_t)(to_left <= to_above && to_left <= to_corner ? left : nearest);
}

static void filter_rows(uint8_t *const out[FILTERS], const uint8_t *restrict current,
                        const uint8_t *restrict above, size_t row, size_t pixel)
{
    const uint8_t *left = current - pixel, *corner = above - pixel;
    memcpy(out[0], current, row);
    for (size_t i = 0; i < row; ++i)
        out[1][i] = (uint8_t)(current[i] - left[i]);
    for (size_t i = 0; i < row; ++i)
        out[2][i] = (uint8_t)(current[i] - above[i]);
    for (size_t i = 0; i < row; ++i)
        out[3][i] = (uint8_t)(current[i] - ((left[i] + above[i]) >> 1));
    for (size_t i = 0; i < row; ++i)
        out[4][i] = (uint8_t)(current[i] - paeth(left[i], above[i], corner[i]));
}

/* The usual heuristic (section 12.8): the filter whose bytes, taken as signed, are the smallest. */
static uint8_t *best_filtered(png_writer *w)
{
    uint8_t *rows[FILTERS], *best = NULL;
    for (int f = 0; f < FILTERS; ++f)
        rows[f] = w->filtered + (size_t)f * (w->row + 1) + 1;
    filter_rows(rows, w->current + w->pixel, w->above + w->pixel, w->row, w->pixel);
    uint64_t least = UINT64_MAX;
    for (int f = 0; f < FILTERS; ++f) {
        uint64_t sum = 0;
        for (size_t i = 0; i < w->row; ++i)
            sum += (uint64_t)abs((int8_t)rows[f][i]);
        if (sum < least) {
            least = sum;
            best = rows[f];
            best[-1] = (uint8_t)f;
        }
    }
    return best - 1;
}

static imiad_status compress_bytes(png_writer *w, uint8_t *bytes, size_t size, int flush)
{
    w->deflate.next_in = bytes;
    w->deflate.avail_in = (uInt)size;
    int result;
    do {
        result = deflate(&w->deflate, flush);
        if (result == Z_STREAM_ERROR)
            return fail(IMIAD_INTERNAL, "writing a PNG: zlib failed");
        if (w->deflate.avail_out == 0 || flush == Z_FINISH) {
            write_chunk(w->stream, "IDAT", w->data, DATA_BYTES - w->deflate.avail_out);
            w->deflate.next_out = w->data;
            w->deflate.avail_out = DATA_BYTES;
        }
    } while (w->deflate.avail_in > 0 || (flush == Z_FINISH && result != Z_STREAM_END));
    return IMIAD_OK;
}

static void load_row(png_writer *w, const imiad_image *image, int32_t y)
{
    uint8_t *swap = w->above;
    w->above = w->current;
    w->current = swap;
    if (image->format == IMIAD_PIXEL_BGR8)
        pixels_to_rgb(w->current + w->pixel, image_row(image, y), (size_t)image->width,
                      image->format);
    else
        memcpy(w->current + w->pixel, image_row(image, y), w->row);
    for (int32_t x = 0; image->format == IMIAD_PIXEL_GRAY16 && x < image->width; ++x) {
        uint8_t *at = w->current + w->pixel + 2 * (size_t)x; /* a PNG's high byte comes first */
        uint16_t value = pixel_get16(at, 0);
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
    }
    for (size_t i = w->pixel; image->format == IMIAD_PIXEL_BGRA8 && i <= w->row; i += 4) {
        uint8_t blue = w->current[i];
        w->current[i] = w->current[i + 2];
        w->current[i + 2] = blue;
    }
}

static imiad_status write_image(png_writer *w, const imiad_image *image)
{
    w->pixel = (size_t)pixel_bytes(image->format);
    w->row = (size_t)image->width * w->pixel;
    w->above = calloc(w->row + w->pixel, 1);
    w->current = calloc(w->row + w->pixel, 1);
    w->filtered = malloc(FILTERS * (w->row + 1));
    if (!w->above || !w->current || !w->filtered)
        return fail_memory("writing a PNG", (FILTERS + 2) * w->row);
    w->deflate.next_out = w->data;
    w->deflate.avail_out = DATA_BYTES;
    write_header(w->stream, image);
    for (int32_t y = 0; y < image->height; ++y) {
        load_row(w, image, y);
        TRY(compress_bytes(w, best_filtered(w), w->row + 1, Z_NO_FLUSH));
    }
    TRY(compress_bytes(w, NULL, 0, Z_FINISH));
    write_chunk(w->stream, "IEND", w->data, 0);
    return IMIAD_OK;
}

imiad_status imiad_image_write_png(const imiad_image *image, const char *path)
{
    if (!path)
        return fail(IMIAD_INVALID_ARGUMENT, "writing a PNG: path is NULL");
    TRY(image_check(image, "writing a PNG: image"));
    png_writer *w = calloc(1, sizeof *w);
    /* Z_FILTERED: 7 % smaller than zlib's default strategy on a photograph of 1024 x 1024 */
    if (!w || deflateInit2(&w->deflate, LEVEL, Z_DEFLATED, 15, 9, Z_FILTERED) != Z_OK) {
        free(w);
        return fail_memory("writing a PNG", sizeof *w);
    }
    file_writer file;
    imiad_status status = file_write_begin(&file, path);
    if (status == IMIAD_OK) {
        w->stream = file.stream;
        status = write_image(w, image);
        if (status == IMIAD_OK)
            status = file_write_commit(&file);
        else
            file_write_abandon(&file);
    }
    deflateEnd(&w->deflate);
    free(w->above);
    free(w->current);
    free(w->filtered);
    free(w);
    return status;
}
