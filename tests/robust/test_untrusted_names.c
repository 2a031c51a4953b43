/* Names that data sets, functions and files give become names of files inside the folder that was
 * asked for, and nowhere else; what files may cost is bounded. */
#include <limits.h>

#include "base/files.h"
#include "base/text.h"
#include "imiad/imiad.h"
#include "scratch.h"

/* ---- names ---- */

static const char *const names[] = {
    "../../x", "..",       ".",     "",         "/etc/x",     "a/b",          "a\nb",
    ".hidden", "a\\..\\b", "x\x7f", "../x\x01", "\xff\xfe/x", "good\xc3\xa4", "a name"};
enum { NAMES = sizeof names / sizeof *names };

START_TEST(any_text_becomes_the_name_of_one_file)
{
    char long_text[1000], all[NAMES + 2][IMIAD_FILE_NAME_ROOM];
    memset(long_text, 'n', sizeof long_text);
    long_text[999] = '\0';
    for (int i = 0; i < NAMES + 2; ++i) {
        long_text[998] = i == NAMES ? 'a' : 'b';
        ck_ok(imiad_file_name(all[i], i < NAMES ? names[i] : long_text));
        ck_assert_uint_gt(strlen(all[i]), 0);
        ck_assert_uint_lt(strlen(all[i]), IMIAD_FILE_NAME_ROOM);
        ck_assert_ptr_null(strchr(all[i], '/'));
        ck_assert_int_ne(all[i][0], '.');
        for (int j = 0; j < i; ++j)
            ck_assert_str_ne(all[i], all[j]);
    }
    ck_assert_str_eq(all[NAMES - 1], "a name");
    ck_assert_str_eq(all[NAMES - 2], "good\xc3\xa4");
    char out[IMIAD_FILE_NAME_ROOM];
    ck_fails(imiad_file_name(out, NULL), IMIAD_INVALID_ARGUMENT, "text is NULL");
}
END_TEST

START_TEST(an_export_stays_inside_its_folder)
{
    scratch_make();
    imiad_image *image, *mask;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_GRAY8, 8, 8));
    ck_ok(imiad_image_create(&mask, IMIAD_PIXEL_GRAY8, 8, 8));
    memset(mask->pixels, 255, 8);
    imiad_memory_sample sample = IMIAD_MEMORY_SAMPLE_INIT;
    sample.image = image;
    sample.mask = mask;
    sample.label = 1;
    sample.subset = IMIAD_SUBSET_TEST;
    sample.category = names[_i];
    sample.kind = names[(_i + 3) % NAMES];
    imiad_dataset *dataset = NULL;
    if (imiad_dataset_from_images(&dataset, "mine", &sample, 1, NULL, 0) == IMIAD_OK) {
        imiad_status status = imiad_dataset_export(dataset, in_scratch("a/b/c"));
        ck_assert_msg(status == IMIAD_OK, "%s", imiad_last_error());
        ck_assert_int_eq(count_entries(scratch), 1);
        ck_assert_int_eq(count_entries(in_scratch("a")), 1);
        ck_assert_int_eq(count_entries(in_scratch("a/b")), 1);
        ck_assert_int_eq(count_entries(in_scratch("a/b/c")), 1);
    }
    imiad_dataset_free(dataset);
    imiad_image_free(image);
    imiad_image_free(mask);
    scratch_remove();
}
END_TEST

/* ---- what files may cost ---- */

static void write_header(const char *path, uint64_t length)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fwrite(&length, sizeof length, 1, file);
    putc('{', file);
    for (uint64_t i = 1; i + 1 < length; ++i)
        putc(' ', file);
    putc('}', file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_header_is_bounded)
{
    scratch_make();
    imiad_limits limits = IMIAD_LIMITS_INIT;
    imiad_bank *bank = NULL;
    write_header(in_scratch("large"), 5 << 20);
    ck_fails(imiad_bank_load(&bank, in_scratch("large")), IMIAD_FORMAT, "at most 4194304 are read");
    limits.header_bytes = 6 << 20;
    ck_ok(imiad_set_limits(&limits));
    ck_fails(imiad_bank_load(&bank, in_scratch("large")), IMIAD_FORMAT, "memory bank");
    limits.header_bytes = UINT64_C(1) << 40;
    ck_fails(imiad_set_limits(&limits), IMIAD_OUT_OF_RANGE, "header_bytes");
    ck_ok(imiad_set_limits(NULL));
    ck_fails(imiad_bank_load(&bank, in_scratch("large")), IMIAD_FORMAT, "at most 4194304 are read");
    scratch_remove();
}
END_TEST

START_TEST(files_and_images_are_bounded)
{
    scratch_make();
    imiad_limits limits = IMIAD_LIMITS_INIT;
    imiad_image *image, *read = NULL;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_GRAY8, 100, 100));
    ck_ok(imiad_image_write_png(image, in_scratch("x.png")));
    limits.image_pixels = 9999;
    ck_ok(imiad_set_limits(&limits));
    ck_fails(imiad_image_read(&read, in_scratch("x.png")), IMIAD_FORMAT, "at most 9999 are read");
    limits.image_pixels = 10000;
    limits.file_bytes = 20;
    ck_ok(imiad_set_limits(&limits));
    ck_fails(imiad_image_read(&read, in_scratch("x.png")), IMIAD_OVER_BUDGET,
             "at most 20 are read");
    limits.file_bytes = 0;
    ck_ok(imiad_set_limits(&limits));
    ck_ok(imiad_image_read(&read, in_scratch("x.png")));
    ck_ok(imiad_set_limits(NULL));
    imiad_image_free(read);
    imiad_image_free(image);
    scratch_remove();
}
END_TEST

/* Once jansson decided, which says the same where memory runs out. */
START_TEST(utf_8_is_told_from_what_is_not)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"", true},
                 {"abc", true},
                 {"\xc3\xa4", true},
                 {"\xe2\x82\xac", true},
                 {"\xf0\x9f\x98\x80", true},
                 {"\xc3", false},
                 {"\x80", false},
                 {"\xc0\x80", false},
                 {"\xe0\x80\x80", false},
                 {"\xed\xa0\x80", false},
                 {"\xf4\x90\x80\x80", false},
                 {"\xf8\x88\x80\x80\x80", false},
                 {"\xe2\x82", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_assert_msg(text_is_utf8(cases[i].text, strlen(cases[i].text)) == cases[i].good,
                      "case %zu", i);
    ck_assert(!text_is_utf8("a\0b", 3));
}
END_TEST

SUITE("untrusted", TEST(any_text_becomes_the_name_of_one_file),
      LOOP_TEST(an_export_stays_inside_its_folder, NAMES), TEST(a_header_is_bounded),
      TEST(files_and_images_are_bounded), TEST(utf_8_is_told_from_what_is_not))
