/* Formats beside PNG and baseline JPEG, samples of more than 8 bits, and orientation. */
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "format_files.h"
#include "image/decode.h"
#include "image/pixels.h"

static bool is_read(const char *name)
{
#ifndef IMIAD_LIBJPEG
    if (strstr(name, ".jpg"))
        return false;
#endif
    return image_has_name(name);
}

static const struct image_file *file_named(const char *name)
{
    for (size_t i = 0; i < FORMAT_FILES; ++i)
        if (strcmp(format_files[i].name, name) == 0)
            return &format_files[i];
    ck_abort_msg("no file %s", name);
    return NULL;
}

static imiad_status decode(imiad_image **out, const struct image_file *file,
                           const imiad_decode_options *options)
{
    return imiad_image_decode(out, file->bytes, file->size, options);
}

/* Source: Pillow, by tests/golden/make_formats.py. */
START_TEST(further_formats_show_what_pillow_shows)
{
    const struct image_file *file = &format_files[_i];
    imiad_image *image = NULL;
    if (!is_read(file->name)) {
        ck_fails(decode(&image, file, NULL), IMIAD_UNSUPPORTED, "built without");
        return;
    }
    ck_ok(decode(&image, file, NULL));
    ck_assert_int_eq(image->format, file->grey ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8);
    ck_assert_int_eq(image->width, file->width);
    ck_assert_int_eq(image->height, file->height);
    size_t bytes = image->stride * (size_t)image->height;
    for (size_t i = 0; i < bytes; ++i)
        ck_assert_msg(image->pixels[i] == file->shown[i], "%s: byte %zu is %d, not %d", file->name,
                      i, image->pixels[i], file->shown[i]);
    imiad_image_free(image);
}
END_TEST

static const char *write_file(const uint8_t *bytes, size_t size)
{
    static char path[64];
    strcpy(path, "/tmp/imiad-format-XXXXXX");
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, bytes, size), (ssize_t)size);
    close(descriptor);
    return path;
}

START_TEST(further_formats_say_their_size)
{
    const struct image_file *file = &format_files[_i];
    int32_t width = 0, height = 0;
    if (!is_read(file->name))
        return;
    const char *path = write_file(file->bytes, file->size);
    ck_ok(image_file_size(&width, &height, path, NULL));
    unlink(path);
    ck_assert_int_eq(width, file->width);
    ck_assert_int_eq(height, file->height);
}
END_TEST

/* In memory of its exact size, so that a sanitizer sees a byte read too far. What follows the last
 * pixel may be lost: padding, the end of a TIFF's list of other things. */
START_TEST(further_files_that_are_cut_are_refused)
{
    const struct image_file *file = &format_files[_i];
    for (size_t size = 0; size < file->size; size += size < 40 || file->size - size < 40 ? 1 : 7) {
        uint8_t *copy = malloc(size + 1);
        imiad_image *image = NULL;
        memcpy(copy, file->bytes, size);
        if (imiad_image_decode(&image, copy, size, NULL) == IMIAD_OK)
            ck_assert_mem_eq(image->pixels, file->shown, image->stride * (size_t)image->height);
        imiad_image_free(image);
        free(copy);
    }
}
END_TEST

static char logged[1024];

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    snprintf(logged, sizeof logged, "%s", message);
}

START_TEST(the_first_of_several_pages_is_read_and_told)
{
    imiad_image *image;
    if (!is_read("pages.tif"))
        return;
    imiad_set_log(remember_message, NULL);
    ck_ok(decode(&image, file_named("grey.tif"), NULL));
    ck_assert_str_eq(logged, "");
    imiad_image_free(image);
    ck_ok(decode(&image, file_named("pages.tif"), NULL));
    ck_assert_ptr_nonnull(strstr(logged, "several pages; the first is read"));
    imiad_image_free(image);
}
END_TEST

START_TEST(text_images_are_read)
{
    static const struct {
        const char *text;
        int channels;
        uint8_t pixels[6];
    } cases[] = {
        {"P1\n# a comment\n3 2\n0 1 0\n110\n", 1, {255, 0, 255, 0, 0, 255}},
        {"P2 3 2 15\n0 15 1 # here too\n3 7 14", 1, {0, 255, 17, 51, 119, 238}},
        {"P3 2 1 255 1 2 3\n254 255 0\n", 3, {1, 2, 3, 254, 255, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        imiad_image *image;
        ck_ok(imiad_image_decode(&image, cases[i].text, strlen(cases[i].text), NULL));
        ck_assert_int_eq(image->format,
                         cases[i].channels == 1 ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8);
        ck_assert_mem_eq(image->pixels, cases[i].pixels, 6);
        imiad_image_free(image);
    }
}
END_TEST

START_TEST(damaged_images_of_text_are_refused)
{
    static const char *const cases[][2] = {
        {"P5 3", "truncated"},
        {"P5 3 2 0 ", "largest value is 0"},
        {"P5 3 2 70000 ", "largest value is 70000"},
        {"P5 30000 30000 255 ", "at most 134217728"},
        {"P5 3 2 255 abc", "truncated: 14 bytes for 3 x 2"},
        {"P2 3 2 15 0 15 1 3 7 16", "a value 16 above its largest, 15"},
        {"P2 3 2 15 0 15 x 3 7 1 ", "no number at byte 15"},
        {"P1 3 2 010 012", "neither 0 nor 1"},
        {"P2 1234567890 2 15", "more than 9 digits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        imiad_image *image = NULL;
        ck_fails(imiad_image_decode(&image, cases[i][0], strlen(cases[i][0]), NULL), IMIAD_FORMAT,
                 cases[i][1]);
    }
}
END_TEST

/* ---- depth ---- */

static const char deep[] = "P5 4 1 65535\n\0\0\x03\xff\x0f\xff\x20\0";
static const char dark[] = "P5 4 1 65535\n\0\0\x03\xff\x07\xff\x0f\xff";

START_TEST(a_range_says_which_values_are_black_and_white)
{
    imiad_decode_options options = IMIAD_DECODE_OPTIONS_INIT;
    imiad_image *image;
    options.high = 4095;
    ck_ok(imiad_image_decode(&image, deep, sizeof deep - 1, &options));
    ck_assert_mem_eq(image->pixels, ((uint8_t[]){0, 64, 255, 255}), 4);
    imiad_image_free(image);
    options.low = 1023;
    options.high = 1023 + 255;
    ck_ok(imiad_image_decode(&image, deep, sizeof deep - 1, &options));
    ck_assert_mem_eq(image->pixels, ((uint8_t[]){0, 0, 255, 255}), 4);
    imiad_image_free(image);
    options.low = 2000;
    ck_fails(imiad_image_decode(&image, deep, sizeof deep - 1, &options), IMIAD_INVALID_ARGUMENT,
             "the range is 2000..1278");
    options.struct_size = 0;
    ck_fails(imiad_image_decode(&image, deep, sizeof deep - 1, &options), IMIAD_INVALID_ARGUMENT,
             "struct_size");
    ck_fails(imiad_image_decode(NULL, deep, 1, NULL), IMIAD_INVALID_ARGUMENT, "out");
}
END_TEST

START_TEST(deep_images_that_are_nearly_black_are_told)
{
    imiad_image *image;
    imiad_decode_options options = IMIAD_DECODE_OPTIONS_INIT;
    imiad_set_log(remember_message, NULL);
    ck_ok(imiad_image_decode(&image, deep, sizeof deep - 1, NULL));
    imiad_image_free(image);
    ck_assert_str_eq(logged, "");
    ck_ok(imiad_image_decode(&image, dark, sizeof dark - 1, NULL));
    imiad_image_free(image);
    ck_assert_ptr_nonnull(strstr(logged, "no value above 4095"));
    ck_assert_ptr_nonnull(strstr(logged, "range=0..4095"));
    *logged = '\0';
    options.high = 4095;
    ck_ok(imiad_image_decode(&image, dark, sizeof dark - 1, &options));
    imiad_image_free(image);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- orientation ---- */

/* EXIF data of one entry. */
static void make_exif(uint8_t out[26], int orientation)
{
    memcpy(out,
           "MM\0*\0\0\0\x08\0\x01"
           "\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0",
           26);
    out[19] = (uint8_t)orientation;
}

/* The stored image is 3 x 2: its pixels are a b c / d e f. */
START_TEST(an_image_is_turned_as_its_camera_says)
{
    static const char *const upright[] = {"abcdef", "cbafed", "fedcba", "defabc",
                                          "adbecf", "daebfc", "fcebda", "cfbead"};
    imiad_image *image;
    ck_ok(image_create(&image, IMIAD_PIXEL_GRAY8, 3, 2));
    memcpy(image->pixels, "abcdef", 6);
    ck_ok(image_turn(&image, _i + 1));
    ck_assert_int_eq(image->width, _i < 4 ? 3 : 2);
    ck_assert_mem_eq(image->pixels, upright[_i], 6);
    imiad_image_free(image);
}
END_TEST

/* A JPEG with EXIF data behind its first two bytes. */
START_TEST(turning_is_an_option)
{
    uint8_t file[4096] = {0xFF, 0xD8, 0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
    make_exif(file + 12, 6);
    memcpy(file + 38, grey_jpg + 2, sizeof grey_jpg - 2);
    size_t size = sizeof grey_jpg + 36;
    imiad_decode_options options = IMIAD_DECODE_OPTIONS_INIT;
    imiad_image *stored, *turned;
    ck_ok(imiad_image_decode(&stored, file, size, NULL));
    options.upright = 1;
    ck_ok(imiad_image_decode(&turned, file, size, &options));
    ck_assert_int_eq(stored->width, 11);
    ck_assert_int_eq(turned->width, 7);
    ck_assert_int_eq(turned->height, 11);
    ck_assert_int_eq(turned->pixels[6], stored->pixels[0]); /* left upper becomes right upper */
    int32_t width, height;
    const char *path = write_file(file, size);
    ck_ok(image_file_size(&width, &height, path, &options));
    ck_assert_int_eq(width, 7);
    ck_ok(image_file_size(&width, &height, path, NULL));
    ck_assert_int_eq(width, 11);
    unlink(path);
    imiad_image_free(stored);
    imiad_image_free(turned);
}
END_TEST

SUITE("image-formats", LOOP_TEST(further_formats_show_what_pillow_shows, FORMAT_FILES),
      LOOP_TEST(further_formats_say_their_size, FORMAT_FILES),
      LOOP_TEST(further_files_that_are_cut_are_refused, FORMAT_FILES),
      TEST(the_first_of_several_pages_is_read_and_told), TEST(text_images_are_read),
      TEST(damaged_images_of_text_are_refused), TEST(a_range_says_which_values_are_black_and_white),
      TEST(deep_images_that_are_nearly_black_are_told),
      LOOP_TEST(an_image_is_turned_as_its_camera_says, 8), TEST(turning_is_an_option))
