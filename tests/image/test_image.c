#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "image/preprocess.h"
#include "image/resize.h"
#include "image/resize_kernels.h"
#include "image/turn.h"
#include "procedural.h"

static imiad_image *nearest(const imiad_image *image, int width, int height)
{
    int32_t *columns = calloc((size_t)width, sizeof *columns);
    int32_t *rows = calloc((size_t)height, sizeof *rows);
    nearest_indices(columns, image->width, width, 0, width);
    nearest_indices(rows, image->height, height, 0, height);
    imiad_image *out = NULL;
    ck_ok(image_create(&out, IMIAD_PIXEL_GRAY8, width, height));
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            image_row(out, y)[x] = image_row(image, rows[y])[columns[x]];
    free(columns);
    free(rows);
    return out;
}

static imiad_image *bicubic(const imiad_image *image, int width, int height)
{
    imiad_image *out = NULL;
    ck_ok(image_create(&out, image->format, width, height));
    const resize_region whole = {width, height, 0, 0, width, height};
    ck_ok(resize_image(out->pixels, out->stride, image, &whole, RESIZE_BICUBIC));
    return out;
}

/* Source: Pillow's own results, tests/golden/resize.csv. */
START_TEST(resizing_gives_pillows_bytes)
{
    FILE *table = open_source("tests/golden/resize.csv");
    char line[512], filter[16], mode[8], expected[65], digest[65];
    int width, height, new_width, new_height, cases = 0;
    while (fgets(line, sizeof line, table)) {
        if (sscanf(line, "%15[A-Z],%7[A-Z],%d,%d,%d,%d,%64s", filter, mode, &width, &height,
                   &new_width, &new_height, expected) != 7)
            continue;
        imiad_image *image = procedural(strcmp(mode, "L") == 0     ? IMIAD_PIXEL_GRAY8
                                        : strcmp(mode, "RGB") == 0 ? IMIAD_PIXEL_RGB8
                                                                   : IMIAD_PIXEL_RGBA8,
                                        width, height);
        imiad_image *resized = NULL;
        if (strcmp(filter, "NEAREST") == 0)
            resized = nearest(image, new_width, new_height);
        else if (strcmp(filter, "BICUBIC") == 0)
            resized = bicubic(image, new_width, new_height);
        else
            ck_ok(imiad_image_resize(&resized, image, new_width, new_height));
        image_digest(digest, resized);
        ck_assert_msg(strcmp(digest, expected) == 0, "differs from Pillow: %s", line);
        imiad_image_free(image);
        imiad_image_free(resized);
        ++cases;
    }
    fclose(table);
    ck_assert_int_eq(cases, 180);
}
END_TEST

/* The portable kernels are the reference of the fast ones. */
START_TEST(both_kernels_give_the_same_bytes)
{
    const resize_kernels *fast = resize_best();
    if (fast == &resize_portable)
        SKIP("this machine has no faster kernels");
    enum { WIDTH = 50, TAPS = 5, VALUES = WIDTH * 4 * RESIZE_ROWS };
    random_stream stream = random_open(1, "kernels");
    uint8_t in[VALUES], a[VALUES], b[VALUES];
    for (int i = 0; i < VALUES; ++i)
        in[i] = (uint8_t)random_u32(&stream);
    int32_t begin[WIDTH], count[WIDTH];
    uint32_t weights[WIDTH * TAPS];
    filter_bank bank = {TAPS, begin, count, weights};
    for (int x = 0; x < WIDTH; ++x) {
        count[x] = 1 + (int32_t)random_below(&stream, TAPS);
        begin[x] = (int32_t)random_below(&stream, (uint64_t)(WIDTH - count[x] + 1));
        for (int t = 0; t < TAPS; ++t) /* now and then above one in sum, which saturates */
            weights[x * TAPS + t] =
                (uint32_t)random_below(&stream, (3u << RESIZE_PRECISION) / (2u * TAPS));
    }
    for (size_t channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        resize_portable.across(a, in, channels, &bank, WIDTH);
        fast->across(b, in, channels, &bank, WIDTH);
        ck_assert_mem_eq(a, b, WIDTH * channels * RESIZE_ROWS);
    }
    for (size_t bytes = 1; bytes < 200; ++bytes) {
        const uint8_t *rows[TAPS] = {in, in + 1, in + 300, in + 511, in + 700};
        resize_portable.down(a, rows, weights, TAPS, bytes);
        fast->down(b, rows, weights, TAPS, bytes);
        ck_assert_mem_eq(a, b, bytes);
    }
}
END_TEST

START_TEST(resizing_reads_strides_and_any_channel_order)
{
    imiad_image *rgb = procedural(IMIAD_PIXEL_RGB8, 40, 30), *expected = NULL, *got = NULL;
    ck_ok(imiad_image_resize(&expected, rgb, 17, 23));
    uint8_t padded[30 * 200];
    imiad_image bgr = {sizeof bgr, IMIAD_PIXEL_BGR8, 40, 30, 200, padded};
    memset(padded, 0xEE, sizeof padded);
    for (int y = 0; y < 30; ++y)
        for (int x = 0; x < 40; ++x)
            for (int c = 0; c < 3; ++c)
                padded[y * 200 + x * 3 + c] = image_row(rgb, y)[x * 3 + 2 - c];
    ck_ok(imiad_image_resize(&got, &bgr, 17, 23));
    ck_assert_int_eq(got->format, IMIAD_PIXEL_BGR8);
    for (int i = 0; i < 17 * 23; ++i)
        for (int c = 0; c < 3; ++c)
            ck_assert_int_eq(got->pixels[3 * i + c], expected->pixels[3 * i + 2 - c]);
    imiad_image_free(rgb);
    imiad_image_free(expected);
    imiad_image_free(got);
}
END_TEST

/* ---- preprocessing ---- */

static preprocessing imagenet(bool squash, int32_t resize, int32_t crop)
{
    preprocessing p = {.squash = squash, .resize = resize, .crop = crop};
    memcpy(p.mean, imagenet_mean, sizeof p.mean);
    memcpy(p.std, imagenet_std, sizeof p.std);
    return p;
}

/* The column of a row of preprocess.csv; the text is static. */
static const char *golden_value(const char *table, const char *row, int column)
{
    static char line[2048];
    FILE *stream = fopen(table, "r");
    ck_assert_ptr_nonnull(stream);
    while (fgets(line, sizeof line, stream)) {
        char *rest = line, *value = strsep(&rest, ",");
        if (strcmp(value, row) != 0)
            continue;
        for (int i = 0; i < column; ++i)
            value = strsep(&rest, ",\n");
        fclose(stream);
        return value;
    }
    ck_abort_msg("%s has no row %s", table, row);
}

static void expect_digest(const char *table, const char *row, int column, const void *bytes,
                          size_t size)
{
    char digest[65];
    bytes_digest(digest, bytes, size);
    ck_assert_str_eq(digest, golden_value(table, row, column));
}

/* Source: PyTorch 1.13, torchvision 0.14.1, Pillow 9.4; shared/golden/preprocess.csv. */
static const struct golden {
    const char *row, *file;
    bool jpeg;
} golden[] = {
    {"transistor_good_000_png256", "data/mvtec_ad/transistor/test/good/000.png", false},
    {"mtd_blowhole_exp1_num_108719", "data/mtd/MT_Blowhole/Imgs/exp1_num_108719.jpg", true},
};

START_TEST(preprocessing_gives_the_references_bytes)
{
    enum { DECODED = 6, RESIZED = 9, CROPPED = 12, TENSOR = 23 };
    const struct golden *g = &golden[_i];
#ifndef IMIAD_LIBJPEG
    if (g->jpeg)
        return; /* the digests are of libjpeg-turbo's pixels */
#endif
    char table[4096], file[4096];
    strcpy(table, SHARED("golden/preprocess.csv"));
    strcpy(file, SHARED(g->file));
    imiad_image *decoded = NULL, *rgb = NULL, *resized = NULL, *cropped = NULL;
    ck_ok(imiad_image_read(&decoded, file));
    ck_ok(image_to_rgb(&rgb, decoded));
    expect_digest(table, g->row, DECODED, rgb->pixels, rgb->stride * (size_t)rgb->height);
    preprocessing p = imagenet(false, 256, 0);
    ck_ok(preprocess_image(&resized, decoded, &p));
    expect_digest(table, g->row, RESIZED, resized->pixels,
                  resized->stride * (size_t)resized->height);
    p.crop = 224;
    ck_ok(preprocess_image(&cropped, decoded, &p));
    expect_digest(table, g->row, CROPPED, cropped->pixels,
                  cropped->stride * (size_t)cropped->height);
    float *planes = malloc(3 * 224 * 224 * sizeof *planes);
    preprocess_normalize(planes, cropped, &p);
    expect_digest(table, g->row, TENSOR, planes, 3 * 224 * 224 * sizeof *planes);
    free(planes);
    imiad_image_free(decoded);
    imiad_image_free(rgb);
    imiad_image_free(resized);
    imiad_image_free(cropped);
}
END_TEST

/* Hand calculations after torchvision's documentation: int(size * longer / shorter). */
START_TEST(sizes_follow_torchvision)
{
    static const struct {
        bool squash;
        int32_t resize, crop, width, height, out_width, out_height;
    } cases[] = {
        {false, 256, 0, 248, 373, 256, 385},  {false, 256, 224, 248, 373, 224, 224},
        {false, 256, 0, 1024, 768, 341, 256}, {true, 256, 0, 1024, 768, 256, 256},
        {false, 256, 0, 256, 300, 256, 300},  {false, 7, 0, 1, 1, 7, 7},
        {true, 100, 120, 3, 5, 120, 120},     {false, 256, 224, 1, 100000, 224, 224},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        preprocessing p = imagenet(cases[i].squash, cases[i].resize, cases[i].crop);
        int32_t width, height;
        preprocess_size(&width, &height, &p, cases[i].width, cases[i].height);
        ck_assert_int_eq(width, cases[i].out_width);
        ck_assert_int_eq(height, cases[i].out_height);
        imiad_image *image = procedural(IMIAD_PIXEL_GRAY8, cases[i].width, cases[i].height);
        imiad_image *out = NULL, *mask = NULL;
        ck_ok(preprocess_image(&out, image, &p));
        ck_ok(preprocess_mask(&mask, image, &p));
        ck_assert_int_eq(out->width, width);
        ck_assert_int_eq(out->height, height);
        ck_assert_int_eq(mask->width, width);
        ck_assert_int_eq(mask->height, height);
        imiad_image_free(image);
        imiad_image_free(out);
        imiad_image_free(mask);
    }
}
END_TEST

/* Source: torchvision's center_crop: round((size - crop) / 2) with Python's rounding of halves to
 * even; padding (crop - size) / 2 rounded down on the left and top. */
START_TEST(the_crop_is_where_torchvision_puts_it)
{
    static const struct {
        int32_t size, crop, first;
    } cases[] = {{10, 4, 3}, {10, 5, 2}, {10, 7, 2},  {10, 3, 4}, {10, 9, 0},
                 {11, 8, 2}, {5, 8, -1}, {5, 10, -2}, {6, 8, -1}, {6, 6, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int32_t size = cases[i].size, crop = cases[i].crop;
        imiad_image *image = procedural(IMIAD_PIXEL_RGB8, size, size), *out = NULL;
        preprocessing p = imagenet(false, size, crop); /* the resize is the identity */
        ck_ok(preprocess_image(&out, image, &p));
        for (int32_t y = 0; y < crop; ++y)
            for (int32_t x = 0; x < crop; ++x) {
                int32_t from_x = x + cases[i].first, from_y = y + cases[i].first;
                bool inside = from_x >= 0 && from_x < size && from_y >= 0 && from_y < size;
                for (int c = 0; c < 3; ++c)
                    ck_assert_int_eq(image_row(out, y)[3 * x + c],
                                     inside ? image_row(image, from_y)[3 * from_x + c] : 0);
            }
        imiad_image_free(image);
        imiad_image_free(out);
    }
}
END_TEST

/* Cropping after a resize is a window of the resize, though only the window is computed. */
START_TEST(every_format_is_preprocessed_as_its_rgb)
{
    static const imiad_pixel_format formats[] = {IMIAD_PIXEL_GRAY8, IMIAD_PIXEL_RGB8,
                                                 IMIAD_PIXEL_BGR8, IMIAD_PIXEL_RGBA8};
    imiad_image *image = procedural(formats[_i], 61, 47), *rgb = NULL, *whole = NULL, *out = NULL;
    ck_ok(image_to_rgb(&rgb, image));
    ck_ok(imiad_image_resize(&whole, rgb, 41, 32)); /* int(32 * 61 / 47) */
    preprocessing p = imagenet(false, 32, 24);
    ck_ok(preprocess_image(&out, image, &p));
    ck_assert_int_eq(out->format, IMIAD_PIXEL_RGB8);
    for (int y = 0; y < 24; ++y) /* round(8.5) is 8 */
        ck_assert_mem_eq(image_row(out, y), image_row(whole, y + 4) + 3 * 8, 3 * 24);
    imiad_image_free(image);
    imiad_image_free(rgb);
    imiad_image_free(whole);
    imiad_image_free(out);
}
END_TEST

START_TEST(masks_are_binary_and_nearest)
{
    uint8_t pixels[] = {0, 1, 0, 255, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 128};
    imiad_image mask = {sizeof mask, IMIAD_PIXEL_GRAY8, 4, 4, 4, pixels}, *out = NULL;
    preprocessing p = imagenet(true, 2, 0); /* centres fall on rows and columns 1 and 3 */
    ck_ok(preprocess_mask(&out, &mask, &p));
    static const uint8_t half[] = {0, 0, 0, 255};
    ck_assert_mem_eq(out->pixels, half, 4);
    imiad_image_free(out);
    out = NULL;
    uint8_t color[] = {0, 0, 0, 255, 0, 0, 1, 255, 9, 0, 0, 0, 0, 0, 0, 0};
    imiad_image rgba = {sizeof rgba, IMIAD_PIXEL_RGBA8, 2, 2, 8, color};
    p = imagenet(true, 2, 4);
    ck_ok(preprocess_mask(&out, &rgba, &p));
    static const uint8_t padded[] = {0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0, 0};
    ck_assert_mem_eq(out->pixels, padded, 16);
    imiad_image_free(out);
}
END_TEST

START_TEST(normalizing_is_float32_arithmetic)
{
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 9, 5);
    preprocessing p = imagenet(false, 5, 0);
    float planes[3 * 45];
    preprocess_normalize(planes, image, &p);
    for (int c = 0; c < 3; ++c)
        for (int i = 0; i < 45; ++i) {
            volatile float scaled = (float)image->pixels[3 * i + c] / 255.0f;
            volatile float shifted = scaled - p.mean[c];
            volatile float expected = shifted / p.std[c];
            ck_assert(planes[45 * c + i] == expected);
        }
    imiad_image_free(image);
}
END_TEST

/* ---- PNG ---- */

START_TEST(a_written_png_reads_back_the_same)
{
    static const imiad_pixel_format formats[] = {IMIAD_PIXEL_GRAY8, IMIAD_PIXEL_RGB8,
                                                 IMIAD_PIXEL_BGR8, IMIAD_PIXEL_RGBA8};
    static const int32_t sizes[][2] = {{1, 1}, {1, 50}, {50, 1}, {7, 3}, {320, 200}, {700, 300}};
    char folder[] = "/tmp/imiad-image-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *path = path_join(folder, "picture.png");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        imiad_image *image = procedural(formats[_i], sizes[i][0], sizes[i][1]);
        imiad_image *back = NULL, *rgb = NULL;
        if (i == 5) { /* what does not compress fills several chunks */
            random_stream stream = random_open(5, "noise");
            for (size_t b = 0; b < image->stride * 300; ++b)
                image->pixels[b] = (uint8_t)random_u32(&stream);
        }
        ck_ok(imiad_image_write_png(image, path));
        ck_ok(imiad_image_read(&back, path));
        ck_assert_int_eq(back->width, sizes[i][0]);
        ck_assert_int_eq(back->height, sizes[i][1]);
        if (formats[_i] == IMIAD_PIXEL_GRAY8) {
            ck_assert_mem_eq(back->pixels, image->pixels, image->stride * (size_t)image->height);
        } else {
            ck_ok(image_to_rgb(&rgb, image));
            ck_assert_mem_eq(back->pixels, rgb->pixels, rgb->stride * (size_t)rgb->height);
        }
        imiad_image_free(image);
        imiad_image_free(back);
        imiad_image_free(rgb);
    }
    unlink(path);
    rmdir(folder);
    free(path);
}
END_TEST

START_TEST(writing_names_the_path_that_cannot_be_written)
{
    imiad_image *image = procedural(IMIAD_PIXEL_GRAY8, 3, 3);
    ck_fails(imiad_image_write_png(image, "/dev/null/picture.png"), IMIAD_IO,
             "/dev/null/picture.png");
    ck_fails(imiad_image_write_png(image, NULL), IMIAD_INVALID_ARGUMENT, "path is NULL");
    ck_fails(imiad_image_write_png(NULL, "/tmp/x.png"), IMIAD_INVALID_ARGUMENT, "image is NULL");
    imiad_image_free(image);
}
END_TEST

/* ---- arguments ---- */

START_TEST(wrong_images_are_refused)
{
    uint8_t pixels[12] = {0};
    static const struct {
        imiad_image image;
        imiad_status status;
        const char *text;
    } cases[] = {
        {{8, IMIAD_PIXEL_RGB8, 2, 2, 6, 0}, IMIAD_INVALID_ARGUMENT, "struct_size is 8"},
        {{sizeof(imiad_image), 0, 2, 2, 6, 0}, IMIAD_INVALID_ARGUMENT, "0 is not a pixel format"},
        {{sizeof(imiad_image), 9, 2, 2, 6, 0}, IMIAD_INVALID_ARGUMENT, "9 is not a pixel format"},
        {{sizeof(imiad_image), IMIAD_PIXEL_RGB8, 0, 2, 6, 0}, IMIAD_INVALID_ARGUMENT, "0 x 2"},
        {{sizeof(imiad_image), IMIAD_PIXEL_RGB8, 2, -1, 6, 0}, IMIAD_INVALID_ARGUMENT, "2 x -1"},
        {{sizeof(imiad_image), IMIAD_PIXEL_RGB8, 2, 2, 5, 0},
         IMIAD_INVALID_ARGUMENT,
         "stride of 5 bytes"},
        {{sizeof(imiad_image), IMIAD_PIXEL_RGB8, 1 << 20, 1 << 20, 3 << 20, 0},
         IMIAD_OUT_OF_RANGE,
         "at most 268435456"},
    };
    imiad_image *out = NULL;
    preprocessing p = imagenet(false, 2, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        imiad_image image = cases[i].image;
        image.pixels = pixels;
        ck_fails(imiad_image_resize(&out, &image, 1, 1), cases[i].status, cases[i].text);
        ck_fails(preprocess_image(&out, &image, &p), cases[i].status, cases[i].text);
        ck_fails(preprocess_mask(&out, &image, &p), cases[i].status, cases[i].text);
        ck_fails(imiad_image_write_png(&image, "/tmp/x.png"), cases[i].status, cases[i].text);
    }
    imiad_image image = {sizeof image, IMIAD_PIXEL_RGB8, 2, 2, 6, NULL};
    ck_fails(imiad_image_resize(&out, &image, 1, 1), IMIAD_INVALID_ARGUMENT, "pixels is NULL");
    image.pixels = pixels;
    ck_fails(imiad_image_resize(NULL, &image, 1, 1), IMIAD_INVALID_ARGUMENT, "out is NULL");
    ck_fails(imiad_image_resize(&out, NULL, 1, 1), IMIAD_INVALID_ARGUMENT, "image is NULL");
    ck_fails(imiad_image_resize(&out, &image, 0, 1), IMIAD_INVALID_ARGUMENT, "0 x 1");
    ck_fails(imiad_image_resize(&out, &image, 1 << 30, 1 << 30), IMIAD_OUT_OF_RANGE, "at most");
    p.resize = 0;
    ck_fails(preprocess_image(&out, &image, &p), IMIAD_INVALID_ARGUMENT, "resize 0");
    ck_assert_ptr_null(out);
    imiad_image_free(NULL);
}
END_TEST

/* Source: OpenCV's own results, by the authors' code of AnomalyDINO. */
START_TEST(turning_gives_opencvs_bytes)
{
    FILE *table = open_source("tests/golden/anomalydino.csv");
    char line[8192], expected[65], digest[65];
    int width, height, degrees, cases = 0;
    while (fgets(line, sizeof line, table)) {
        if (sscanf(line, "turned,%d,%d,%d,%64s", &width, &height, &degrees, expected) != 4)
            continue;
        imiad_image *image = procedural(IMIAD_PIXEL_RGB8, width, height), *turned;
        ck_ok(image_turn_smoothly(&turned, image, degrees));
        image_digest(digest, turned);
        ck_assert_msg(strcmp(digest, expected) == 0, "differs from OpenCV: %s", line);
        imiad_image_free(image);
        imiad_image_free(turned);
        ++cases;
    }
    fclose(table);
    ck_assert_int_eq(cases, 48);
}
END_TEST

START_TEST(preprocessing_resizes_bicubically_where_it_is_told)
{
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 57, 41), *wanted = bicubic(image, 44, 32),
                *found;
    preprocessing p = imagenet(false, 32, 0);
    p.bicubic = true;
    ck_ok(preprocess_image(&found, image, &p));
    ck_assert(found->width == 44 && found->height == 32);
    ck_assert_mem_eq(found->pixels, wanted->pixels, found->stride * 32);
    imiad_image_free(image);
    imiad_image_free(found);
    imiad_image_free(wanted);
}
END_TEST

/* Sharp edges of 16 bits: the cubic overshoots, and is cut at both ends. */
START_TEST(deep_images_are_resized_bicubically_too)
{
    imiad_image *deep, *bytes, *wanted, *found;
    ck_ok(image_create(&deep, IMIAD_PIXEL_GRAY16, 40, 30));
    ck_ok(image_create(&bytes, IMIAD_PIXEL_GRAY8, 40, 30));
    for (int y = 0; y < 30; ++y)
        for (int x = 0; x < 40; ++x) {
            int value = (x / 5 + y / 5) % 2 ? 255 : (x + y) % 3 * 20;
            image_row(bytes, y)[x] = (uint8_t)value;
            pixel_put16(image_row(deep, y), x, (uint16_t)(257 * value));
        }
    wanted = bicubic(bytes, 63, 17);
    found = bicubic(deep, 63, 17);
    for (int y = 0; y < 17; ++y)
        for (int x = 0; x < 63; ++x)
            ck_assert_int_le(
                abs(pixel_get16(image_row(found, y), x) - 257 * image_row(wanted, y)[x]), 300);
    imiad_image_free(deep);
    imiad_image_free(bytes);
    imiad_image_free(wanted);
    imiad_image_free(found);
}
END_TEST

SUITE("image", TEST(resizing_gives_pillows_bytes), TEST(turning_gives_opencvs_bytes),
      TEST(preprocessing_resizes_bicubically_where_it_is_told),
      TEST(deep_images_are_resized_bicubically_too), TEST(both_kernels_give_the_same_bytes),
      TEST(resizing_reads_strides_and_any_channel_order),
      LOOP_TEST(preprocessing_gives_the_references_bytes, 2), TEST(sizes_follow_torchvision),
      TEST(the_crop_is_where_torchvision_puts_it),
      LOOP_TEST(every_format_is_preprocessed_as_its_rgb, 4), TEST(masks_are_binary_and_nearest),
      TEST(normalizing_is_float32_arithmetic), LOOP_TEST(a_written_png_reads_back_the_same, 4),
      TEST(writing_names_the_path_that_cannot_be_written), TEST(wrong_images_are_refused))
