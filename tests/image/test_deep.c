/* Grey of more than 8 bits: decoded, resized, cropped and normalised without losing any. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "deep_files.h"
#include "image/decode.h"
#include "image/pixels.h"
#include "image/preprocess.h"

static imiad_decode_options deeply(double low, double high)
{
    imiad_decode_options options = IMIAD_DECODE_OPTIONS_INIT;
    options.deep = 1;
    options.low = low;
    options.high = high;
    return options;
}

/* The picture of make_deep.py. */
static imiad_image *picture(int32_t width, int32_t height)
{
    imiad_image *image;
    ck_ok(image_create(&image, IMIAD_PIXEL_GRAY16, width, height));
    for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x)
            pixel_put16(image_row(image, (int32_t)y), (int32_t)x,
                        (uint16_t)((x * 7919 + y * 104729 + x * y * 31) * 48271 & 65535));
    return image;
}

static void expect_values(const imiad_image *image, const uint16_t *values, const char *name)
{
    ck_assert_int_eq(image->format, IMIAD_PIXEL_GRAY16);
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x)
            ck_assert_msg(pixel_get16(image_row(image, y), x) == values[y * image->width + x],
                          "%s: (%d, %d) is %d, not %d", name, x, y,
                          pixel_get16(image_row(image, y), x), values[y * image->width + x]);
}

/* ---- files ---- */

START_TEST(grey_files_keep_all_of_their_bits)
{
    const struct deep_file *file = &deep_files[_i];
    imiad_decode_options options = deeply(0, 0);
    imiad_image *image;
    if (!image_has_name(file->name)) {
        ck_fails(imiad_image_decode(&image, file->bytes, file->size, &options), IMIAD_UNSUPPORTED,
                 "built without");
        return;
    }
    ck_ok(imiad_image_decode(&image, file->bytes, file->size, &options));
    ck_assert_int_eq(image->width, file->width);
    ck_assert_int_eq(image->height, file->height);
    expect_values(image, file->values, file->name);
    imiad_image_free(image);
}
END_TEST

START_TEST(without_the_option_they_become_bytes_as_before)
{
    const struct deep_file *file = &deep_files[_i];
    imiad_decode_options first = IMIAD_DECODE_OPTIONS_INIT;
    imiad_image *image;
    if (!image_has_name(file->name))
        return;
    first.struct_size = offsetof(imiad_decode_options, deep); /* compiled before there was `deep` */
    first.deep = 1;
    ck_ok(imiad_image_decode(&image, file->bytes, file->size, &first));
    ck_assert_int_eq(image->format, IMIAD_PIXEL_GRAY8);
    for (int i = 0; i < file->width * file->height; ++i)
        ck_assert_msg(abs(image->pixels[i] - file->values[i] / 257) <= 1, "%s: pixel %d is %d",
                      file->name, i, image->pixels[i]);
    imiad_image_free(image);
}
END_TEST

/* Twelve bits in a file of sixteen: neighbours stay apart. */
START_TEST(a_stated_range_is_stretched_without_joining_values)
{
    static const char file[] = "P5 4 1 65535\n\0\0\x07\xff\x08\0\x10\0";
    imiad_decode_options options = deeply(0, 4095);
    imiad_image *image;
    ck_ok(imiad_image_decode(&image, file, sizeof file - 1, &options));
    expect_values(image, ((uint16_t[]){0, 32759, 32776, 65535}), "range 0..4095");
    imiad_image_free(image);
}
END_TEST

START_TEST(colours_and_bytes_stay_what_they_are)
{
    static const char color[] = "P6 1 1 65535\n\x12\x34\x56\x78\x9a\xbc",
                      bytes[] = "P5 1 1 255\n\7";
    imiad_decode_options options = deeply(0, 0);
    imiad_image *image;
    ck_ok(imiad_image_decode(&image, color, sizeof color - 1, &options));
    ck_assert_int_eq(image->format, IMIAD_PIXEL_RGB8);
    ck_assert_mem_eq(image->pixels, "\x12\x56\x9a", 3);
    imiad_image_free(image);
    ck_ok(imiad_image_decode(&image, bytes, sizeof bytes - 1, &options));
    ck_assert_int_eq(image->format, IMIAD_PIXEL_GRAY8);
    imiad_image_free(image);
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
    char path[] = "/tmp/imiad-deep-XXXXXX";
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    imiad_image *image = picture(37, 21), *back;
    imiad_decode_options options = deeply(0, 0);
    ck_ok(imiad_image_write_png(image, path));
    ck_ok(imiad_image_read_with(&back, path, &options));
    expect_values(back, (const uint16_t *)(const void *)image->pixels, path);
    unlink(path);
    imiad_image_free(image);
    imiad_image_free(back);
}
END_TEST

START_TEST(hostile_tiles_are_refused)
{
#ifdef IMIAD_LIBTIFF
    uint8_t copy[sizeof deep_deep_tiles_tif];
    imiad_decode_options options = deeply(0, 0);
    imiad_image *image = NULL;
    memcpy(copy, deep_deep_tiles_tif, sizeof copy);
    size_t found = 0;
    for (size_t i = 0; i + 12 <= sizeof copy; ++i)
        if (copy[i] == 0x42 && copy[i + 1] == 1 && copy[i + 2] == 4 && copy[i + 4] == 1) {
            copy[i + 11] = 0x10; /* a tile's width: 268 million */
            ++found;
        }
    ck_assert_uint_eq(found, 1);
    ck_fails(imiad_image_decode(&image, copy, sizeof copy, &options), IMIAD_FORMAT, "tiles of");
#endif
}
END_TEST

/* ---- from memory ---- */

START_TEST(values_in_memory_are_stretched)
{
    uint16_t values[] = {0, 100, 2047, 2048, 4095, 5000};
    const imiad_image image = {sizeof image, IMIAD_PIXEL_GRAY16, 6, 1, 12, (uint8_t *)values};
    imiad_image *out = NULL, gray = {sizeof gray, IMIAD_PIXEL_GRAY8, 1, 1, 1, (uint8_t *)values};
    ck_ok(imiad_image_stretch(&out, &image, 0, 4095));
    expect_values(out, ((uint16_t[]){0, 1600, 32759, 32776, 65535, 65535}), "stretched");
    imiad_image_free(out);
    out = NULL;
    ck_fails(imiad_image_stretch(&out, &image, 4095, 0), IMIAD_INVALID_ARGUMENT, "low is 4095");
    ck_fails(imiad_image_stretch(&out, &gray, 0, 1), IMIAD_INVALID_ARGUMENT, "not GRAY16");
    ck_fails(imiad_image_stretch(NULL, &image, 0, 1), IMIAD_INVALID_ARGUMENT, "out is NULL");
    ck_assert_ptr_null(out);
}
END_TEST

START_TEST(floats_become_16_bits_where_asked)
{
    const float values[] = {-1, 0, 0.25F, 0.50001F, 1, 2};
    imiad_float_pixels pixels = IMIAD_FLOAT_PIXELS_INIT;
    imiad_image *image = NULL;
    pixels.width = 6;
    pixels.height = pixels.channels = 1;
    pixels.values = values;
    pixels.pixel_stride = 1;
    pixels.deep = 1;
    ck_ok(imiad_image_from_floats(&image, &pixels));
    expect_values(image, ((uint16_t[]){0, 0, 16384, 32768, 65535, 65535}), "floats");
    imiad_image_free(image);
    pixels.struct_size = offsetof(imiad_float_pixels, deep); /* compiled before there was `deep` */
    ck_ok(imiad_image_from_floats(&image, &pixels));
    ck_assert_int_eq(image->format, IMIAD_PIXEL_GRAY8);
    imiad_image_free(image);
    pixels.struct_size = sizeof pixels;
    pixels.width = 2;
    pixels.channels = 3;
    ck_fails(imiad_image_from_floats(&image, &pixels), IMIAD_INVALID_ARGUMENT, "one channel");
}
END_TEST

/* ---- up to the network's input ---- */

START_TEST(resizing_gives_pillows_values)
{
    imiad_image *image = picture(40, 31), *out;
    ck_ok(imiad_image_resize(&out, image, deep_resized[_i].width, deep_resized[_i].height));
    expect_values(out, deep_resized[_i].values, "resized");
    imiad_image_free(image);
    imiad_image_free(out);
}
END_TEST

static void input_of(float *out, const imiad_image *image, const preprocessing *p)
{
    imiad_image *seen;
    ck_ok(preprocess_image(&seen, image, p));
    ck_assert_int_eq(seen->width, p->crop);
    ck_assert_int_eq(seen->height, p->crop);
    preprocess_normalize(out, seen, p);
    imiad_image_free(seen);
}

static preprocessing geometry(int32_t resize, int32_t crop)
{
    preprocessing p = {.resize = resize, .crop = crop};
    memcpy(p.mean, imagenet_mean, sizeof p.mean);
    memcpy(p.std, imagenet_std, sizeof p.std);
    return p;
}

START_TEST(images_that_differ_in_low_bytes_alone_have_other_inputs)
{
    imiad_image *image = picture(40, 31), *bytes_of_image, *bytes_of_other;
    imiad_image *other = picture(40, 31);
    for (size_t i = 0; i < other->stride * 31; i += 2)
        other->pixels[i] ^= 0x55; /* the low bytes, on a little-endian machine */
    static float a[3 * 20 * 20], b[3 * 20 * 20];
    const preprocessing p = geometry(24, 20);
    input_of(a, image, &p);
    input_of(b, other, &p);
    ck_assert_mem_ne(a, b, sizeof a);
    for (size_t i = 0; i < 1200; ++i)
        ck_assert_float_eq_tol(a[i], b[i], 0.02F); /* a byte's step is 0.017 */
    ck_ok(image_to_rgb(&bytes_of_image, image));
    ck_ok(image_to_rgb(&bytes_of_other, other));
    ck_assert_mem_eq(bytes_of_image->pixels, bytes_of_other->pixels, bytes_of_image->stride * 31);
    imiad_image_free(image);
    imiad_image_free(other);
    imiad_image_free(bytes_of_image);
    imiad_image_free(bytes_of_other);
}
END_TEST

/* 257 times a byte is the same brightness: the floats must be the same, padding included. */
START_TEST(sixteen_bits_of_a_byte_are_the_byte)
{
    imiad_image *deep = picture(20, 16), *gray;
    ck_ok(image_create(&gray, IMIAD_PIXEL_GRAY8, 20, 16));
    for (int32_t y = 0; y < 16; ++y)
        for (int32_t x = 0; x < 20; ++x) {
            uint16_t value = pixel_get16(image_row(deep, y), x) >> 8;
            image_row(gray, y)[x] = (uint8_t)value;
            pixel_put16(image_row(deep, y), x, (uint16_t)(257 * value));
        }
    static float a[3 * 24 * 24], b[3 * 24 * 24];
    const int32_t crops[] = {12, 16, 24};
    for (int i = 0; i < 3; ++i) {
        const preprocessing p = geometry(16, crops[i]);
        size_t count = 3 * (size_t)crops[i] * (size_t)crops[i];
        input_of(a, deep, &p);
        input_of(b, gray, &p);
        ck_assert_mem_eq(a, b, count * sizeof *a);
    }
    imiad_image_free(deep);
    imiad_image_free(gray);
}
END_TEST

SUITE("image-deep", LOOP_TEST(grey_files_keep_all_of_their_bits, DEEP_FILES),
      LOOP_TEST(without_the_option_they_become_bytes_as_before, DEEP_FILES),
      TEST(a_stated_range_is_stretched_without_joining_values),
      TEST(colours_and_bytes_stay_what_they_are), TEST(what_is_written_is_read_again),
      TEST(hostile_tiles_are_refused), TEST(values_in_memory_are_stretched),
      TEST(floats_become_16_bits_where_asked),
      LOOP_TEST(resizing_gives_pillows_values, DEEP_RESIZED),
      TEST(images_that_differ_in_low_bytes_alone_have_other_inputs),
      TEST(sixteen_bits_of_a_byte_are_the_byte))
