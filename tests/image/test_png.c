/* Reading PNG against files that are put together here, after ISO/IEC 15948. */
#include <string.h>
#include <zlib.h>

#include "base/random.h"
#include "check_suite.h"
#include "image/decode.h"
#include "image/pixels.h"

enum { WIDTH = 13, HEIGHT = 9, PIXEL_MAX = 8, ROW_MAX = WIDTH * PIXEL_MAX, FILE_MAX = 8192 };

/* What a file is made of. */
typedef struct recipe {
    int depth, color, samples;
    int filter;     /* of every row; 5: another one each row */
    size_t pieces;  /* IDAT chunks */
    size_t surplus; /* bytes of data beyond the last row */
    int colors;     /* in the palette; 0: none */
} recipe;

typedef struct made {
    uint8_t file[FILE_MAX];
    size_t size;
    uint8_t rows[HEIGHT][ROW_MAX]; /* as stored, unfiltered */
} made;

static void put(made *m, const void *bytes, size_t size)
{
    ck_assert_uint_le(m->size + size, FILE_MAX);
    memcpy(m->file + m->size, bytes, size);
    m->size += size;
}

static void put_number(made *m, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    put(m, bytes, 4);
}

static void put_chunk(made *m, const char *type, const void *bytes, size_t size)
{
    put_number(m, (uint32_t)size);
    size_t begin = m->size;
    put(m, type, 4);
    put(m, bytes, size);
    put_number(m, (uint32_t)crc32(0, m->file + begin, (uInt)(size + 4)));
}

static int predictor(int filter, int left, int above, int corner)
{
    int p = left + above - corner;
    int to_left = abs(p - left), to_above = abs(p - above), to_corner = abs(p - corner);
    switch (filter) {
    case 1:
        return left;
    case 2:
        return above;
    case 3:
        return (left + above) / 2;
    case 4:
        return to_left <= to_above && to_left <= to_corner ? left
               : to_above <= to_corner                     ? above
                                                           : corner;
    default:
        return 0;
    }
}

static size_t stored_row(const recipe *r)
{
    return (size_t)(WIDTH * r->depth * r->samples + 7) / 8;
}

static void filter_rows(uint8_t *raw, const made *m, const recipe *r)
{
    size_t bytes = stored_row(r), pixel = (size_t)(r->depth * r->samples + 7) / 8;
    for (int y = 0; y < HEIGHT; ++y) {
        int filter = r->filter < 5 ? r->filter : y % 5;
        *raw++ = (uint8_t)filter;
        for (size_t i = 0; i < bytes; ++i) {
            int left = i < pixel ? 0 : m->rows[y][i - pixel], above = y ? m->rows[y - 1][i] : 0;
            int corner = i < pixel || !y ? 0 : m->rows[y - 1][i - pixel];
            *raw++ = (uint8_t)(m->rows[y][i] - predictor(filter, left, above, corner));
        }
    }
}

static void make(made *m, const recipe *r)
{
    uint8_t raw[HEIGHT * (ROW_MAX + 1) + 64] = {0}, packed[FILE_MAX / 2], header[13] = {0};
    header[3] = WIDTH;
    header[7] = HEIGHT;
    header[8] = (uint8_t)r->depth;
    header[9] = (uint8_t)r->color;
    m->size = 0;
    put(m, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(m, "IHDR", header, sizeof header);
    put_chunk(m, "tEXt", "Comment\0of no weight", 20);
    uint8_t palette[768];
    for (int i = 0; i < 768; ++i)
        palette[i] = (uint8_t)(i * 7);
    if (r->colors)
        put_chunk(m, "PLTE", palette, 3 * (size_t)r->colors);
    filter_rows(raw, m, r);
    uLongf packed_size = sizeof packed;
    size_t size = HEIGHT * (stored_row(r) + 1) + r->surplus;
    ck_assert_int_eq(compress(packed, &packed_size, raw, size), Z_OK);
    for (size_t i = 0, at = 0; i < r->pieces; ++i) {
        size_t end = packed_size * (i + 1) / r->pieces;
        put_chunk(m, "IDAT", packed + at, end - at);
        at = end;
    }
    put_chunk(m, "IEND", "", 0);
}

static void fill_randomly(made *m, uint64_t seed)
{
    random_stream random = random_open(seed, "png");
    for (int y = 0; y < HEIGHT; ++y)
        for (int i = 0; i < ROW_MAX; ++i) /* runs and jumps, so that every branch is taken */
            m->rows[y][i] = (uint8_t)(random_below(&random, 3) ? random_u32(&random)
                                      : i > 0                  ? m->rows[y][i - 1]
                                                               : 0);
}

/* Of 8 or 16 bits: the high byte of each sample but alpha. */
static void expect_samples(const imiad_image *image, const made *m, const recipe *r)
{
    int kept = r->samples < 3 ? 1 : 3, sample = r->depth / 8;
    ck_assert_int_eq(image->format, kept == 1 ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8);
    for (int y = 0; y < HEIGHT; ++y)
        for (int x = 0; x < WIDTH; ++x)
            for (int c = 0; c < kept; ++c)
                ck_assert_msg(image_row(image, y)[x * kept + c] ==
                                  m->rows[y][(x * r->samples + c) * sample],
                              "colour type %d, depth %d, filter %d: pixel (%d, %d)", r->color,
                              r->depth, r->filter, x, y);
}

START_TEST(every_filter_is_undone_for_every_kind_of_pixel)
{
    static const int kinds[][2] = {{0, 1}, {2, 3}, {4, 2}, {6, 4}};
    made m;
    for (int kind = 0; kind < 4; ++kind)
        for (int depth = 8; depth <= 16; depth += 8)
            for (int filter = 0; filter <= 5; ++filter) {
                recipe r = {depth, kinds[kind][0], kinds[kind][1], filter, 1, 0, 0};
                fill_randomly(&m, (uint64_t)filter);
                make(&m, &r);
                imiad_image *image = NULL;
                ck_ok(image_decode(&image, m.file, m.size, "made.png", NULL));
                expect_samples(image, &m, &r);
                imiad_image_free(image);
            }
}
END_TEST

START_TEST(data_may_come_in_pieces_and_have_a_surplus)
{
    made m;
    fill_randomly(&m, 1);
    for (size_t pieces = 1; pieces < 40; pieces += 3)
        for (size_t surplus = 0; surplus <= 64; surplus += 32) {
            recipe r = {8, 2, 3, 5, pieces, surplus, 0};
            make(&m, &r);
            imiad_image *image = NULL;
            ck_ok(image_decode(&image, m.file, m.size, "made.png", NULL));
            expect_samples(image, &m, &r);
            imiad_image_free(image);
        }
}
END_TEST

START_TEST(a_palette_must_have_what_the_pixels_ask_for)
{
    static const int depths[] = {1, 2, 4, 8};
    for (int i = 0; i < 4; ++i) {
        made m;
        recipe r = {depths[i], 3, 1, 5, 1, 0, 1 << depths[i]};
        memset(m.rows, 0xFF, sizeof m.rows);
        make(&m, &r);
        imiad_image *image = NULL;
        ck_ok(image_decode(&image, m.file, m.size, "made.png", NULL));
        for (int c = 0; c < 3; ++c)
            ck_assert_int_eq(image->pixels[c], (uint8_t)((3 * (r.colors - 1) + c) * 7));
        imiad_image_free(image);
        image = NULL;
        r.colors -= 1;
        make(&m, &r);
        char text[64];
        snprintf(text, sizeof text, "colour %d of %d", r.colors, r.colors);
        ck_fails(image_decode(&image, m.file, m.size, "made.png", NULL), IMIAD_FORMAT, text);
    }
}
END_TEST

START_TEST(impossible_files_are_refused)
{
    static const struct {
        recipe recipe;
        const char *text;
    } cases[] = {
        {{8, 3, 1, 0, 1, 0, 0}, "lacks its palette"},
        {{8, 2, 3, 0, 0, 0, 0}, "0 bytes of data"},
        {{4, 2, 3, 0, 1, 0, 0}, "no PNG has depth 4, colour type 2"},
        {{16, 3, 1, 0, 1, 0, 4}, "no PNG has depth 16, colour type 3"},
        {{8, 1, 1, 0, 1, 0, 0}, "colour type 1"},
        {{8, 5, 1, 0, 1, 0, 0}, "colour type 5"},
        {{8, 7, 1, 0, 1, 0, 0}, "colour type 7"},
    };
    made m = {.size = 0};
    imiad_image *image = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        make(&m, &cases[i].recipe);
        ck_fails(image_decode(&image, m.file, m.size, "made.png", NULL), IMIAD_FORMAT, cases[i].text);
    }
    /* a row of data is missing, though the file is whole */
    recipe narrow = {8, 0, 1, 0, 1, 0, 0};
    make(&m, &narrow);
    m.file[8 + 8 + 7] = HEIGHT + 1;
    uint32_t sum = (uint32_t)crc32(0, m.file + 12, 17);
    for (int i = 0; i < 4; ++i)
        m.file[29 + i] = (uint8_t)(sum >> (24 - 8 * i));
    ck_fails(image_decode(&image, m.file, m.size, "made.png", NULL), IMIAD_FORMAT,
             "compressed pixels are damaged");
    /* a header of 133 megapixels over a hundred bytes of data */
    for (int i = 0; i < 8; ++i)
        m.file[16 + i] = i % 4 == 2 ? 0x2D : 0;
    sum = (uint32_t)crc32(0, m.file + 12, 17);
    for (int i = 0; i < 4; ++i)
        m.file[29 + i] = (uint8_t)(sum >> (24 - 8 * i));
    ck_fails(image_decode(&image, m.file, m.size, "made.png", NULL), IMIAD_FORMAT, "bytes of data for");
    ck_assert_ptr_null(image);
}
END_TEST

SUITE("image-png", TEST(every_filter_is_undone_for_every_kind_of_pixel),
      TEST(data_may_come_in_pieces_and_have_a_surplus),
      TEST(a_palette_must_have_what_the_pixels_ask_for), TEST(impossible_files_are_refused))
