#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "check_suite.h"
#include "image/decode.h"
#include "image/pixels.h"
#include "image_files.h"

/* Where JPEG is not decoded by libjpeg-turbo, its pixels may be a few levels off. */
static bool equals_pillow(const struct image_file *file)
{
#ifndef IMIAD_LIBJPEG
    if (strstr(file->name, ".jpg"))
        return false;
#endif
    return true;
}

static int largest_difference(const uint8_t *a, const uint8_t *b, size_t count)
{
    int largest = 0;
    for (size_t i = 0; i < count; ++i)
        largest = abs(a[i] - b[i]) > largest ? abs(a[i] - b[i]) : largest;
    return largest;
}

static void expect_shown(const struct image_file *file)
{
    imiad_image *image = NULL;
    ck_ok(image_decode(&image, file->bytes, file->size, file->name, NULL));
    ck_assert_int_eq(image->format, file->grey ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8);
    ck_assert_int_eq(image->width, file->width);
    ck_assert_int_eq(image->height, file->height);
    size_t bytes = image->stride * (size_t)image->height;
    ck_assert_uint_eq(bytes, (size_t)(file->width * file->height * (file->grey ? 1 : 3)));
    int difference = largest_difference(image->pixels, file->shown, bytes);
    /* two levels is the largest difference that stb_image's own transform makes here */
    ck_assert_msg(difference <= (equals_pillow(file) ? 0 : 2), "%s is off by %d", file->name,
                  difference);
    imiad_image_free(image);
}

/* Source: Pillow, by tests/golden/make_images.py. */
START_TEST(every_kind_of_file_shows_what_pillow_shows)
{
    for (size_t i = 0; i < IMAGE_FILES; ++i)
        expect_shown(&image_files[i]);
}
END_TEST

/* In memory of its exact size, so that a sanitizer sees a byte read too far. */
static imiad_status decode_copy(imiad_image **out, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    imiad_status status = image_decode(out, copy, size, "folder/cut.file", NULL);
    free(copy);
    return status;
}

static void expect_cuts_refused(const struct image_file *file)
{
    for (size_t size = 0; size < file->size; ++size) {
        imiad_image *image = NULL;
        imiad_status status = decode_copy(&image, file->bytes, size);
        if (status == IMIAD_OK) { /* a BMP's last row may lack its padding: nothing is lost */
            ck_assert_msg(strstr(file->name, ".bmp") && file->size - size <= 3,
                          "%s, cut to %zu of %zu bytes, was decoded", file->name, size, file->size);
            ck_assert_mem_eq(image->pixels, file->shown, image->stride * (size_t)image->height);
            imiad_image_free(image);
        } else {
            ck_assert_int_eq(status, IMIAD_FORMAT);
            ck_assert_ptr_nonnull(strstr(imiad_last_error(), "cannot decode folder/cut.file: "));
        }
    }
}

START_TEST(a_file_cut_anywhere_is_refused_by_name)
{
    for (size_t i = 0; i < IMAGE_FILES; ++i)
        expect_cuts_refused(&image_files[i]);
}
END_TEST

static void expect_flips_refused(const struct image_file *file)
{
    uint8_t *bytes = malloc(file->size);
    for (size_t bit = 0; bit < 8 * file->size; ++bit) {
        imiad_image *image = NULL;
        memcpy(bytes, file->bytes, file->size);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(decode_copy(&image, bytes, file->size), IMIAD_FORMAT);
    }
    free(bytes);
}

START_TEST(a_flipped_bit_in_a_png_is_noticed)
{
    for (size_t i = 0; i < IMAGE_FILES; ++i)
        if (strstr(image_files[i].name, ".png"))
            expect_flips_refused(&image_files[i]);
}
END_TEST

static void try_damages(const struct image_file *file)
{
    uint8_t *bytes = malloc(file->size);
    for (size_t at = 0; at < file->size; ++at) {
        static const uint8_t values[] = {0, 1, 0x7F, 0x80, 0xFF};
        for (size_t v = 0; v < sizeof values; ++v) {
            imiad_image *image = NULL;
            memcpy(bytes, file->bytes, file->size);
            bytes[at] = values[v];
            if (decode_copy(&image, bytes, file->size) == IMIAD_OK)
                ck_ok(image_check(image, "decoded"));
            imiad_image_free(image);
        }
    }
    free(bytes);
}

/* Whatever the bytes are, decoding ends, and gives an image or says why not. */
START_TEST(damaged_files_never_harm)
{
    for (size_t i = 0; i < IMAGE_FILES; ++i)
        try_damages(&image_files[i]);
}
END_TEST

START_TEST(what_is_no_image_is_said_to_be_none)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        {"", 0, "x.png: it is empty"},
        {"hello, world", 12, "it is no image of a format that is read"},
        {"GIF89a\1\0\1\0\0\0\0;", 14, "it is no image of a format that is read"},
        {"\x89PNG\r\n\x1a\n", 8, "truncated after 8 bytes"},
        {"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82", 20, "does not begin with its header"},
        {"\xff\xd8\xff\xd9", 4, "the JPEG has no image"},
        {"\xff\xd8\xff\xe0\0", 5, "the JPEG is truncated after 5 bytes"},
        {"BM", 2, "the BMP is truncated after 2 bytes"},
        {"BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0", 26, "unknown header of 99"},
        /* four billion pixels in 26 bytes */
        {"BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\xff\xff\xff\xff\x01\0\x18\0", 26,
         "65535 x 65535 pixels; at most 134217728 are read"},
        /* 255 x 255 in 26 bytes */
        {"BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\xff\0\xff\0\x01\0\x18\0", 26,
         "truncated: 26 bytes of"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        imiad_image *image = NULL;
        ck_fails(image_decode(&image, cases[i].bytes, cases[i].size, "x.png", NULL), IMIAD_FORMAT,
                 cases[i].text);
        ck_assert_ptr_null(image);
    }
}
END_TEST

static const struct image_file *find_file(const char *name)
{
    for (size_t i = 0; i < IMAGE_FILES; ++i)
        if (strcmp(image_files[i].name, name) == 0)
            return &image_files[i];
    ck_abort_msg("no picture %s", name);
}

/* A tiny BMP of 8 bits whose palette has fewer colours than its pixels ask for. */
START_TEST(a_colour_beyond_a_bmp_palette_is_refused)
{
    const struct image_file *file = find_file("palette.bmp");
    uint8_t bytes[4096];
    ck_assert_uint_lt(file->size, sizeof bytes);
    /* two colours: the pixels follow them at once */
    memcpy(bytes, file->bytes, 54 + 8);
    bytes[10] = 54 + 8;
    bytes[11] = 0;
    for (size_t i = 0; i < 7 * 12; ++i)
        bytes[62 + i] = i % 2;
    imiad_image *image = NULL;
    ck_ok(image_decode(&image, bytes, 62 + 7 * 12, "two.bmp", NULL));
    imiad_image_free(image);
    image = NULL;
    bytes[62] = 2;
    ck_fails(image_decode(&image, bytes, 62 + 7 * 12, "two.bmp", NULL), IMIAD_FORMAT,
             "two.bmp: a pixel of the BMP has colour 2 of 2");
}
END_TEST

START_TEST(reading_names_the_path)
{
    imiad_image *image = NULL;
    ck_fails(imiad_image_read(&image, "/dev/null/at/all.png"), IMIAD_NOT_FOUND,
             "/dev/null/at/all.png");
    ck_fails(imiad_image_read(&image, "/tmp"), IMIAD_IO, "/tmp");
    ck_fails(imiad_image_read(NULL, "/tmp"), IMIAD_INVALID_ARGUMENT, "out is NULL");
    ck_fails(imiad_image_read(&image, NULL), IMIAD_INVALID_ARGUMENT, "path is NULL");
    char path[] = "/tmp/imiad-image-XXXXXX";
    close(mkstemp(path));
    ck_fails(imiad_image_read(&image, path), IMIAD_FORMAT, path);
    unlink(path);
    ck_assert_ptr_null(image);
}
END_TEST

SUITE("image-decode", TEST(every_kind_of_file_shows_what_pillow_shows),
      TEST(a_file_cut_anywhere_is_refused_by_name), TEST(a_flipped_bit_in_a_png_is_noticed),
      TEST(damaged_files_never_harm), TEST(what_is_no_image_is_said_to_be_none),
      TEST(a_colour_beyond_a_bmp_palette_is_refused), TEST(reading_names_the_path))
