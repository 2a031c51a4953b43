/* Datasets that a program brings along: images in memory, and readers written as functions. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/imiad.h"

enum { SIDE = 12, IMAGES = 6 };

/* Two categories: lid with 2 good training images, a good and a defective test image with a mask;
 * cup with a good training and a defective test image without one. */
typedef struct memory {
    uint8_t pixels[IMAGES][SIDE * SIDE], mask[SIDE * (SIDE + 4)];
    imiad_image images[IMAGES], mask_image;
    imiad_memory_sample samples[IMAGES];
} memory;

static void fill(memory *m)
{
    static const struct {
        const char *category;
        imiad_subset subset;
        int32_t label;
    } rows[IMAGES] = {{"lid", IMIAD_SUBSET_TRAIN, 0}, {"lid", IMIAD_SUBSET_TRAIN, 0},
                      {"lid", IMIAD_SUBSET_TEST, 0},  {"lid", IMIAD_SUBSET_TEST, 1},
                      {"cup", IMIAD_SUBSET_TRAIN, 0}, {"cup", IMIAD_SUBSET_TEST, 1}};
    memset(m, 0, sizeof *m);
    for (int i = 0; i < IMAGES; ++i) {
        for (int j = 0; j < SIDE * SIDE; ++j)
            m->pixels[i][j] = (uint8_t)(i * 30 + j);
        m->images[i] =
            (imiad_image){sizeof(imiad_image), IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE, m->pixels[i]};
        m->samples[i] = (imiad_memory_sample){.struct_size = sizeof m->samples[i],
                                              .subset = rows[i].subset,
                                              .label = rows[i].label,
                                              .image = &m->images[i],
                                              .category = rows[i].category};
    }
    m->mask_image =
        (imiad_image){sizeof(imiad_image), IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE + 4, m->mask};
    m->mask[3 * (SIDE + 4) + 5] = 1;
    m->samples[3].mask = &m->mask_image;
}

static imiad_dataset *open_memory(const memory *m, const imiad_option *options, size_t count)
{
    imiad_dataset *d = NULL;
    ck_ok(imiad_dataset_from_images(&d, "station", m->samples, IMAGES, options, count));
    return d;
}

START_TEST(images_in_memory_are_a_dataset)
{
    memory m;
    fill(&m);
    imiad_dataset *d = open_memory(&m, NULL, 0);
    memset(&m.pixels, 9, sizeof m.pixels); /* they were copied */
    memset(&m.mask, 9, sizeof m.mask);
    ck_assert_str_eq(imiad_dataset_name(d), "station");
    ck_assert_str_eq(imiad_dataset_root(d), "");
    ck_assert_uint_eq(imiad_dataset_category_count(d), 2);
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_uint_eq(info.train_good + info.test_good + info.test_defective, 4);
    ck_assert_uint_eq(info.missing_masks, 0);
    ck_ok(imiad_dataset_category_info(&info, d, 1));
    ck_assert_uint_eq(info.missing_masks, 1);
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_sample s = IMIAD_SAMPLE_INIT;
        imiad_image *image, *mask;
        ck_ok(imiad_dataset_sample(&s, d, i));
        ck_ok(imiad_dataset_read_image(&image, d, i));
        size_t number = (size_t)atoi(strrchr(s.path, '/') + 1);
        ck_assert_int_eq(image->width, SIDE);
        for (size_t j = 0; j < SIDE * SIDE; ++j)
            ck_assert_uint_eq(image->pixels[j], (uint8_t)(number * 30 + j));
        imiad_image_free(image);
        if (number == 5) {
            ck_assert_str_eq(s.path, "cup/test/defect/000005");
            ck_fails(imiad_dataset_read_mask(&mask, d, i), IMIAD_NOT_FOUND, "no mask");
            continue;
        }
        ck_ok(imiad_dataset_read_mask(&mask, d, i));
        for (size_t j = 0; j < SIDE * SIDE; ++j)
            ck_assert_uint_eq(mask->pixels[j], number == 3 && j == 3 * SIDE + 5 ? 255 : 0);
        imiad_image_free(mask);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(every_setting_draws_from_images_in_memory)
{
    memory m;
    fill(&m);
    imiad_dataset *d = open_memory(&m, NULL, 0);
    for (size_t i = 0; i < imiad_setting_count(); ++i) {
        const char *setting = imiad_setting_name(i);
        imiad_split *split;
        if (strcmp(setting, "transfer") == 0)
            continue; /* its split names a second category */
        imiad_status status = imiad_split_create(&split, d, "lid", setting, NULL, 0);
        if (status != IMIAD_OK) /* one defect is too few for some, and they say so */
            ck_assert_ptr_nonnull(strstr(imiad_last_error(), "lid"));
        else
            imiad_split_free(split);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_digest_is_that_of_the_pixels)
{
    memory m;
    char first[65], again[65], other[65];
    fill(&m);
    imiad_dataset *d = open_memory(&m, NULL, 0);
    ck_ok(imiad_dataset_digest(first, d));
    imiad_dataset_free(d);
    d = open_memory(&m, NULL, 0);
    ck_ok(imiad_dataset_digest(again, d));
    imiad_dataset_free(d);
    m.pixels[2][17] ^= 1;
    d = open_memory(&m, NULL, 0);
    ck_ok(imiad_dataset_digest(other, d));
    imiad_dataset_free(d);
    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, other);
}
END_TEST

START_TEST(what_cannot_be_a_sample_is_named_by_its_number)
{
    memory m;
    imiad_dataset *d = NULL;
    imiad_image small;
    fill(&m);
    small = m.mask_image;
    small.width = 3;
    m.samples[3].mask = &small;
    ck_fails(imiad_dataset_from_images(&d, "station", m.samples, IMAGES, NULL, 0), IMIAD_MISMATCH,
             "sample 3: its mask is 3x12");
    fill(&m);
    m.samples[4].image = NULL;
    ck_fails(imiad_dataset_from_images(&d, "station", m.samples, IMAGES, NULL, 0),
             IMIAD_INVALID_ARGUMENT, "sample 4");
    fill(&m);
    m.samples[4].subset = (imiad_subset)7;
    ck_fails(imiad_dataset_from_images(&d, "station", m.samples, IMAGES, NULL, 0),
             IMIAD_INVALID_ARGUMENT, "subset");
    fill(&m);
    m.samples[0].path = m.samples[2].path = "same";
    ck_fails(imiad_dataset_from_images(&d, "station", m.samples, IMAGES, NULL, 0),
             IMIAD_INVALID_ARGUMENT, "two samples have the path same");
    fill(&m);
    ck_fails(imiad_dataset_from_images(&d, "a station", m.samples, IMAGES, NULL, 0),
             IMIAD_INVALID_ARGUMENT, "a station");
    const imiad_option option = {"categories", "lid,pot"};
    ck_fails(imiad_dataset_from_images(&d, "station", m.samples, IMAGES, &option, 1),
             IMIAD_NOT_FOUND, "pot");
    ck_assert_ptr_null(d);
}
END_TEST

/* ---- functions ---- */

typedef struct lab {
    int released, reads;
    imiad_status failure;     /* of reading */
    int32_t mask_width;       /* 0: as it should be */
    imiad_pixel_format shape; /* of images */
} lab;

static imiad_status list_two(void *user, imiad_listing *listing, const imiad_dataset *dataset)
{
    imiad_listed_sample s = IMIAD_LISTED_SAMPLE_INIT;
    int good = atoi(imiad_dataset_option(dataset, "good"));
    char path[32];
    s.category = "only";
    s.subset = IMIAD_SUBSET_TRAIN;
    s.path = path;
    for (int i = 0; i < good; ++i) {
        snprintf(path, sizeof path, "good/%03d", i);
        s.key = (uint64_t)i;
        if (imiad_listing_add(listing, &s) != IMIAD_OK)
            return IMIAD_INVALID_ARGUMENT;
    }
    s.path = "bad";
    s.label = s.has_mask = 1;
    s.subset = IMIAD_SUBSET_TEST;
    s.kind = "scratch";
    s.key = 1000;
    return imiad_listing_add(listing, &s);
}

static imiad_status draw(void *user, imiad_image **out, const imiad_dataset *dataset,
                         const imiad_sample *sample, uint64_t key)
{
    lab *l = user;
    __atomic_add_fetch(&l->reads, 1, __ATOMIC_RELAXED);
    if (l->failure != IMIAD_OK)
        return imiad_fail(l->failure, "the camera is unplugged");
    imiad_status status = imiad_image_create(out, l->shape, SIDE, SIDE);
    if (status == IMIAD_OK)
        (*out)->pixels[0] = (uint8_t)key;
    return status;
}

static imiad_status draw_truth(void *user, imiad_image **out, const imiad_dataset *dataset,
                               const imiad_sample *sample, uint64_t key)
{
    const lab *l = user;
    ck_assert_uint_eq(key, 1000);
    ck_assert_str_eq(sample->kind, "scratch");
    imiad_status status =
        imiad_image_create(out, IMIAD_PIXEL_GRAY8, l->mask_width ? l->mask_width : SIDE, SIDE);
    if (status == IMIAD_OK)
        (*out)->pixels[1] = 100;
    return status;
}

static void count_release(void *user)
{
    ++((lab *)user)->released;
}

static const imiad_option_info lab_options[] = {
    {sizeof(imiad_option_info), IMIAD_OPTION_INT, "good", "3", "1..9", "good images"}};

static imiad_dataset_functions lab_functions(lab *l)
{
    imiad_dataset_functions f = IMIAD_DATASET_FUNCTIONS_INIT;
    *l = (lab){.shape = IMIAD_PIXEL_RGB8};
    f.name = "lab";
    f.title = "A laboratory";
    f.options = lab_options;
    f.option_count = 1;
    f.user = l;
    f.list = list_two;
    f.read_image = draw;
    f.read_mask = draw_truth;
    f.release = count_release;
    return f;
}

START_TEST(a_registered_reader_is_opened_by_its_name)
{
    static lab l; /* registered ones stay */
    imiad_dataset_functions f = lab_functions(&l);
    size_t before = imiad_dataset_type_count();
    ck_ok(imiad_dataset_register(&f));
    ck_assert_uint_eq(imiad_dataset_type_count(), before + 1);
    ck_assert_str_eq(imiad_dataset_type_name(before), "lab");
    ck_assert_str_eq(imiad_dataset_type_title(before), "A laboratory");
    ck_assert_ptr_null(imiad_dataset_type_name(before + 1));
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    bool listed = false; /* behind those of every dataset */
    for (size_t i = 0; imiad_dataset_option_info(&info, "lab", i) == IMIAD_OK; ++i)
        listed |= strcmp(info.name, "good") == 0;
    ck_assert(listed);
    ck_fails(imiad_dataset_register(&f), IMIAD_INVALID_ARGUMENT, "\"lab\" is taken");
    f.name = "mvtec_ad";
    ck_fails(imiad_dataset_register(&f), IMIAD_INVALID_ARGUMENT, "\"mvtec_ad\" is taken");

    imiad_dataset *d;
    const imiad_option five = {"good", "5"}, ten = {"good", "10"};
    ck_fails(imiad_dataset_open(&d, "lab", NULL, &ten, 1), IMIAD_OUT_OF_RANGE, "good");
    ck_ok(imiad_dataset_open(&d, "lab", NULL, &five, 1));
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 6);
    imiad_image *image, *mask;
    ck_ok(imiad_dataset_read_image(&image, d, 4));
    ck_assert_uint_eq(image->pixels[0], 4);
    imiad_image_free(image);
    ck_ok(imiad_dataset_read_mask(&mask, d, 5));
    ck_assert_uint_eq(mask->pixels[0], 0);
    ck_assert_uint_eq(mask->pixels[1], 255);
    imiad_image_free(mask);
    imiad_dataset_free(d);
    ck_assert_int_eq(l.released, 0);
}
END_TEST

START_TEST(failures_of_a_readers_functions_name_the_sample)
{
    lab l;
    imiad_dataset_functions f = lab_functions(&l);
    imiad_dataset *d;
    imiad_image *out = NULL;
    ck_ok(imiad_dataset_open_functions(&d, &f, NULL, NULL, 0));
    l.failure = IMIAD_IO;
    ck_fails(imiad_dataset_read_image(&out, d, 1), IMIAD_IO,
             "dataset lab: good/001: the camera is unplugged");
    l.failure = IMIAD_OK;
    l.mask_width = 5;
    ck_fails(imiad_dataset_read_mask(&out, d, 3), IMIAD_MISMATCH, "bad: its mask is 5x12");
    ck_assert_ptr_null(out);
    imiad_dataset_free(d);
    ck_assert_int_eq(l.released, 1);
}
END_TEST

START_TEST(functions_that_are_incomplete_are_refused)
{
    lab l;
    imiad_dataset *d = NULL;
    imiad_dataset_functions f = lab_functions(&l);
    f.list = NULL;
    ck_fails(imiad_dataset_open_functions(&d, &f, NULL, NULL, 0), IMIAD_INVALID_ARGUMENT, "list");
    f = lab_functions(&l);
    f.read_image = NULL;
    ck_fails(imiad_dataset_open_functions(&d, &f, NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "read_image");
    f = lab_functions(&l);
    f.read_mask = NULL;
    ck_fails(imiad_dataset_open_functions(&d, &f, NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "bad has a mask, but there is no function");
    ck_assert_int_eq(l.released, 1);
    f = lab_functions(&l);
    imiad_option_info wrong = lab_options[0];
    wrong.default_value = "99";
    f.options = &wrong;
    ck_fails(imiad_dataset_open_functions(&d, &f, NULL, NULL, 0), IMIAD_OUT_OF_RANGE, "good");
    f = lab_functions(&l);
    f.struct_size = 4;
    ck_fails(imiad_dataset_open_functions(&d, &f, NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "struct_size");
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(a_reader_may_only_list_files_below_its_root)
{
    char folder[] = "/tmp/imiad-test-XXXXXX", path[64];
    lab l;
    imiad_dataset *d = NULL;
    imiad_dataset_functions f = lab_functions(&l);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    f.read_image = NULL;
    f.read_mask = NULL;
    f.needs_root = 1;
    ck_fails(imiad_dataset_open_functions(&d, &f, folder, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "bad has a mask");
    snprintf(path, sizeof path, "%s/../escape", folder);
    ck_fails(imiad_dataset_open_functions(&d, &f, path, NULL, 0), IMIAD_NOT_FOUND, "escape");
    rmdir(folder);
}
END_TEST

enum { NAMES = 8 };

static void *register_one(void *argument)
{
    imiad_dataset_functions f = *(imiad_dataset_functions *)argument;
    (void)imiad_dataset_register(&f);
    for (size_t i = 0; imiad_dataset_type_name(i); ++i)
        continue;
    return NULL;
}

START_TEST(several_threads_may_register)
{
    static lab l;
    static char names[NAMES][16];
    imiad_dataset_functions f[NAMES];
    pthread_t threads[NAMES];
    size_t before = imiad_dataset_type_count();
    for (int i = 0; i < NAMES; ++i) {
        f[i] = lab_functions(&l);
        snprintf(names[i], sizeof names[i], "lab_%d", i / 2); /* each name twice */
        f[i].name = names[i];
        ck_assert_int_eq(pthread_create(&threads[i], NULL, register_one, &f[i]), 0);
    }
    for (int i = 0; i < NAMES; ++i)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(imiad_dataset_type_count(), before + NAMES / 2);
}
END_TEST

SUITE("own-datasets", TEST(images_in_memory_are_a_dataset),
      TEST(every_setting_draws_from_images_in_memory), TEST(the_digest_is_that_of_the_pixels),
      TEST(what_cannot_be_a_sample_is_named_by_its_number),
      TEST(a_registered_reader_is_opened_by_its_name),
      TEST(failures_of_a_readers_functions_name_the_sample),
      TEST(functions_that_are_incomplete_are_refused),
      TEST(a_reader_may_only_list_files_below_its_root), TEST(several_threads_may_register))
