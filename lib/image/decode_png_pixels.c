/* PNG (ISO/IEC 15948): from decompressed data to pixels. */
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/error.h"
#include "image/decode_png.h"
#include "image/pixels.h"

/* Which pixels a pass has: every step-th from the first on. Adam7 has seven (section 8.2). */
typedef struct pass {
    int32_t x, y, step_x, step_y;
} pass;

static const pass whole[] = {{0, 0, 1, 1}};
static const pass adam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                             {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};

static const pass *passes_of(const png_layout *png, size_t *count)
{
    *count = png->interlaced ? sizeof adam7 / sizeof *adam7 : 1;
    return png->interlaced ? adam7 : whole;
}

static int32_t pass_width(const png_layout *png, const pass *p)
{
    return (png->width - p->x + p->step_x - 1) / p->step_x;
}

static int32_t pass_height(const png_layout *png, const pass *p)
{
    return (png->height - p->y + p->step_y - 1) / p->step_y;
}

static size_t row_bytes(const png_layout *png, int32_t width)
{
    return ((size_t)width * (size_t)(png->depth * png->samples) + 7) / 8;
}

uint64_t png_raw_bytes(const png_layout *png)
{
    size_t count;
    const pass *passes = passes_of(png, &count);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
        int32_t width = pass_width(png, &passes[i]), height = pass_height(png, &passes[i]);
        if (width > 0 && height > 0)
            bytes += (uint64_t)height * (row_bytes(png, width) + 1);
    }
    return bytes;
}

/* ---- filters (section 9) ---- */

/* Whichever of left, above and above-left is nearest to left + above - corner. */
static inline int paeth(int left, int above, int corner)
{
    int to_left = abs(above - corner), to_above = abs(left - corner);
    int to_corner = abs(left + above - 2 * corner);
    int nearest = to_above <= to_corner ? above : corner;
    return to_left <= to_above && to_left <= to_corner ? left : nearest;
}

enum { NONE, SUB, UP, AVERAGE, PAETH };

/* The filters that need the pixel to the left, from byte `from` on. */
static void undo_portable(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t from,
                          size_t bytes, int filter, size_t pixel)
{
    for (size_t i = from; i < bytes; ++i) {
        int left = i < pixel ? 0 : out[i - pixel], corner = i < pixel ? 0 : above[i - pixel];
        int guess = filter == SUB       ? left
                    : filter == AVERAGE ? (left + above[i]) >> 1
                                        : paeth(left, above[i], corner);
        out[i] = (uint8_t)(in[i] + guess);
    }
}

#ifdef __SSE2__

/* A pixel's bytes as numbers of 16 bits. Of four bytes read, those beyond the pixel are ignored. */
static inline __m128i load_pixel(const uint8_t *bytes)
{
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), _mm_setzero_si128());
}

static inline __m128i absolute(__m128i x)
{
    return _mm_max_epi16(x, _mm_sub_epi16(_mm_setzero_si128(), x));
}

static inline __m128i choose(__m128i condition, __m128i yes, __m128i no)
{
    return _mm_or_si128(_mm_and_si128(condition, yes), _mm_andnot_si128(condition, no));
}

static inline __m128i paeth_pixel(__m128i left, __m128i above, __m128i corner)
{
    __m128i rise = _mm_sub_epi16(above, corner), slope = _mm_sub_epi16(left, corner);
    __m128i to_left = absolute(rise), to_above = absolute(slope);
    __m128i to_corner = absolute(_mm_add_epi16(rise, slope));
    __m128i least = _mm_min_epi16(to_corner, _mm_min_epi16(to_left, to_above));
    return choose(_mm_cmpeq_epi16(least, to_left), left,
                  choose(_mm_cmpeq_epi16(least, to_above), above, corner));
}

/* A pixel of three or four bytes at a time. Four bytes are written: those of the next pixel are
 * made right by the next step. */
static inline __attribute__((always_inline)) void undo_pixels(uint8_t *out, const uint8_t *in,
                                                              const uint8_t *above, size_t bytes,
                                                              int filter, size_t pixel)
{
    __m128i left = _mm_setzero_si128(), corner = left;
    size_t i = 0;
    for (; i + 4 <= bytes; i += pixel) {
        __m128i up = load_pixel(above + i), guess = left;
        if (filter == AVERAGE)
            guess = _mm_srli_epi16(_mm_add_epi16(left, up), 1);
        else if (filter == PAETH)
            guess = paeth_pixel(left, up, corner);
        left = _mm_add_epi8(load_pixel(in + i), guess); /* the high bytes stay zero */
        corner = up;
        int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(left, left));
        memcpy(out + i, &four, sizeof four);
    }
    undo_portable(out, in, above, i, bytes, filter, pixel);
}

static void undo_from_left(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t bytes,
                           int filter, size_t pixel)
{
    if (pixel != 3 && pixel != 4)
        undo_portable(out, in, above, 0, bytes, filter, pixel);
    else if (filter == SUB)
        undo_pixels(out, in, above, bytes, SUB, pixel);
    else if (filter == AVERAGE)
        undo_pixels(out, in, above, bytes, AVERAGE, pixel);
    else
        undo_pixels(out, in, above, bytes, PAETH, pixel);
}

#else

static void undo_from_left(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t bytes,
                           int filter, size_t pixel)
{
    undo_portable(out, in, above, 0, bytes, filter, pixel);
}

#endif

/* `in` may be a little ahead of `out` in the same memory. */
static void undo_filter(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t bytes,
                        int filter, size_t pixel)
{
    if (filter == NONE)
        memmove(out, in, bytes);
    else if (filter == UP)
        for (size_t i = 0; i < bytes; ++i)
            out[i] = (uint8_t)(in[i] + above[i]);
    else
        undo_from_left(out, in, above, bytes, filter, pixel);
}

/* ---- samples to bytes ---- */

/* Sample i of a row of samples of less than eight bits. */
static inline int sample_at(const uint8_t *row, int32_t i, int depth)
{
    size_t bit = (size_t)i * (size_t)depth;
    return row[bit / 8] >> (8 - depth - (int)(bit % 8)) & ((1 << depth) - 1);
}

/* Big-endian samples, as `range` says. */
static void expand_deep(uint8_t *out, const uint8_t *row, int32_t width, const png_layout *png,
                        deep_range *range)
{
    size_t pixel = 2 * (size_t)png->samples, kept = png->samples < 3 ? 1 : 3;
    size_t bytes = range->wide ? 2 : 1;
    for (size_t i = 0; i < (size_t)width; ++i)
        for (size_t c = 0; c < kept; ++c) {
            const uint8_t *at = row + pixel * i + 2 * c;
            deep_put(out + bytes * (kept * i + c), range, (unsigned)(at[0] << 8 | at[1]));
        }
}

/* The largest sample becomes 255; alpha is left out. */
static void expand_samples(uint8_t *out, const uint8_t *row, int32_t width, const png_layout *png,
                           deep_range *range)
{
    if (png->depth == 16) {
        expand_deep(out, row, width, png, range);
        return;
    }
    if (png->depth < 8) {
        int scale = 255 / ((1 << png->depth) - 1);
        for (int32_t i = 0; i < width; ++i)
            out[i] = (uint8_t)(sample_at(row, i, png->depth) * scale);
        return;
    }
    size_t pixel = (size_t)png->samples, kept = png->samples < 3 ? 1 : 3;
    for (size_t i = 0; i < (size_t)width; ++i)
        for (size_t c = 0; c < kept; ++c)
            out[kept * i + c] = row[pixel * i + c];
}

static imiad_status look_up(uint8_t *out, const uint8_t *row, int32_t width, const png_layout *png,
                            const encoded_image *e)
{
    for (int32_t i = 0; i < width; ++i) {
        int color = sample_at(row, i, png->depth);
        if (color >= png->colors)
            return fail_decoding(e, "a pixel of the PNG has colour %d of %d", color, png->colors);
        memcpy(out + 3 * (size_t)i, png->palette + 3 * color, 3);
    }
    return IMIAD_OK;
}

/* ---- passes ---- */

/* Memory for one pass: two rows as they are stored, one as the image has it. */
typedef struct pass_rows {
    uint8_t *current, *above, *expanded;
} pass_rows;

static imiad_status read_filter(int *filter, const uint8_t *raw, const encoded_image *e)
{
    *filter = *raw;
    if (*filter > PAETH)
        return fail_decoding(e, "the PNG has a filter %d", *filter);
    return IMIAD_OK;
}

static imiad_status read_pass(imiad_image *image, const uint8_t *raw, const png_layout *png,
                              const pass *p, pass_rows rows, const encoded_image *e)
{
    int32_t width = pass_width(png, p), height = pass_height(png, p);
    size_t bytes = row_bytes(png, width), kept = (size_t)pixel_bytes(image->format);
    size_t pixel = (size_t)(png->depth * png->samples + 7) / 8;
    memset(rows.above, 0, bytes);
    for (int32_t y = 0; y < height; ++y, raw += bytes + 1) {
        int filter;
        TRY(read_filter(&filter, raw, e));
        undo_filter(rows.current, raw + 1, rows.above, bytes, filter, pixel);
        if (png->color == 3)
            TRY(look_up(rows.expanded, rows.current, width, png, e));
        else
            expand_samples(rows.expanded, rows.current, width, png, e->range);
        uint8_t *target = image_row(image, p->y + y * p->step_y) + (size_t)p->x * kept;
        for (int32_t x = 0; x < width; ++x)
            memcpy(target + (size_t)(x * p->step_x) * kept, rows.expanded + (size_t)x * kept, kept);
        uint8_t *swap = rows.above;
        rows.above = rows.current;
        rows.current = swap;
    }
    return IMIAD_OK;
}

static imiad_status read_passes(imiad_image *image, const uint8_t *raw, const png_layout *png,
                                pass_rows rows, const encoded_image *e)
{
    size_t count;
    const pass *passes = passes_of(png, &count);
    for (size_t i = 0; i < count; ++i) {
        int32_t width = pass_width(png, &passes[i]), height = pass_height(png, &passes[i]);
        if (width < 1 || height < 1)
            continue;
        TRY(read_pass(image, raw, png, &passes[i], rows, e));
        raw += (size_t)height * (row_bytes(png, width) + 1);
    }
    return IMIAD_OK;
}

bool png_is_plain(const png_layout *png)
{
    return png->depth == 8 && !png->interlaced && (png->color == 0 || png->color == 2);
}

imiad_status png_pixels_in_place(uint8_t *raw, const png_layout *png, const encoded_image *e)
{
    size_t bytes = row_bytes(png, png->width), pixel = (size_t)png->samples;
    uint8_t *zeros = calloc(bytes, 1), *above = zeros, *in = raw, *out = raw;
    if (!zeros)
        return fail_memory("a PNG's row", bytes);
    imiad_status status = IMIAD_OK;
    for (int32_t y = 0; status == IMIAD_OK && y < png->height; ++y, in += bytes + 1, out += bytes) {
        int filter;
        status = read_filter(&filter, in, e);
        if (status == IMIAD_OK)
            undo_filter(out, in + 1, above, bytes, filter, pixel);
        above = out;
    }
    free(zeros);
    return status;
}

imiad_status png_pixels(imiad_image *image, const uint8_t *raw, const png_layout *png,
                        const encoded_image *e)
{
    size_t bytes = row_bytes(png, png->width);
    uint8_t *memory = calloc(2 * bytes + image->stride, 1);
    if (!memory)
        return fail_memory("a PNG's rows", 2 * bytes + image->stride);
    pass_rows rows = {memory, memory + bytes, memory + 2 * bytes};
    imiad_status status = read_passes(image, raw, png, rows, e);
    free(memory);
    return status;
}
