/* SemiREST as a whole: what it learns from, what it says of it, and what it refuses. Its parts are
 * held against the authors' sibling code in test_semirest_golden.c. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "detectors/algorithm.h"
#include "detectors/parts/made_defects.h"
#include "detectors/parts/mask_shapes.h"
#include "detectors/training/training.h"
#include "product_line.h"
#include "resumed.h"
#include "synthesis/warp.h"
#include "weights/weights.h"

static product_line open_line(const char *setting)
{
    return product_line_open("64", "4", "2", "4", setting);
}

static imiad_detector *create(const product_line *l, const imiad_option *more, size_t count)
{
    return product_line_detector(l, "semirest", more, count);
}

static imiad_detector *fitted(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_detector *d = create(l, more, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    return d;
}

static double score_of(imiad_detector *d, const product_line *l, size_t index)
{
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_dataset_read_image(&image, l->dataset, imiad_split_test(l->split, index)));
    ck_ok(imiad_detector_score(&result, d, image));
    imiad_image_free(image);
    return (double)result.score;
}

/* What the file of a detector says that it was trained with. */
static void learned_from(char out[128], const imiad_detector *d)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    weights *file;
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    ck_ok(weights_open(&file, path));
    snprintf(out, 128, "%s", weights_metadata(file, "learned_from"));
    weights_free(file);
    unlink(path);
}

static char logged[4096];

static void keep_log(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    (void)level;
    size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", message);
}

/* ---- what it learns from ---- */

START_TEST(labelled_defects_and_their_variants_are_learned_from)
{
    product_line l = open_line("supervised");
    const imiad_option more[] = {{"variants", "3"}};
    imiad_detector *d = fitted(&l, more, 1);
    char said[128];
    learned_from(said, d);
    ck_assert_str_eq(said, "4 good images, 8 made defects, 4 forms of labelled ones (masks)");
    ck_assert_int_eq(imiad_bank_sources(d->ops->bank(d)) != NULL, 1);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(without_labelled_defects_it_trains_from_made_ones_and_says_so)
{
    product_line l = open_line("unsupervised");
    char said[128];
    logged[0] = '\0';
    imiad_set_log(keep_log, NULL);
    imiad_detector *d = fitted(&l, NULL, 0);
    imiad_set_log(NULL, NULL);
    learned_from(said, d);
    ck_assert_str_eq(said, "4 good images and 8 made defects: none was labelled");
    ck_assert_ptr_nonnull(strstr(logged, "semirest: learns from 4 good images and 8 made defects: "
                                         "none was labelled; "));
    ck_assert_ptr_nonnull(strstr(logged, "% of the tokens have no label"));
    ck_assert_ptr_nonnull(strstr(logged, "a grid of 8 x 8 tokens is padded to windows of 32 x 32"));
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(a_defect_without_a_mask_is_named_unless_tags_are_learned)
{
    product_line l = open_line("unsupervised");
    imiad_image *image;
    ck_ok(imiad_dataset_read_image(&image, l.dataset, imiad_split_train(l.split, 0)));
    imiad_labelled_image images[2] = {IMIAD_LABELLED_IMAGE_INIT, IMIAD_LABELLED_IMAGE_INIT};
    images[0].image = images[1].image = image;
    images[1].label = 1;
    imiad_detector *d = create(&l, NULL, 0);
    ck_fails(imiad_detector_fit_labelled(d, images, 2, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "defective image 1 has none");
    imiad_detector_free(d);
    const imiad_option tags[] = {{"labels", "tags"}, {"variants", "2"}};
    d = create(&l, tags, 2);
    ck_ok(imiad_detector_fit_labelled(d, images, 2, NULL, NULL));
    char said[128];
    learned_from(said, d);
    ck_assert_str_eq(said, "1 good images, 2 made defects, 3 forms of labelled ones (tags)");
    imiad_detector_free(d);
    imiad_image_free(image);
    product_line_close(&l);
}
END_TEST

START_TEST(no_labelled_defect_is_tested)
{
    product_line l = open_line("supervised");
    size_t defects = 0;
    for (size_t i = 0; i < imiad_split_train_count(l.split); ++i) {
        defects += imiad_split_train_label(l.split, i) == 1;
        for (size_t k = 0; k < imiad_split_test_count(l.split); ++k)
            ck_assert_uint_ne(imiad_split_train(l.split, i), imiad_split_test(l.split, k));
    }
    ck_assert_uint_eq(defects, 1);
    product_line_close(&l);
}
END_TEST

/* ---- patches ---- */

/* Without the code of positions, the bank is PatchCore's. */
START_TEST(patches_without_their_place_are_patchcores)
{
    product_line l = open_line("unsupervised");
    const imiad_option mine[] = {{"position", "0"}, {"coreset_ratio", "1"}, {"synthetic", "0"}};
    const imiad_option theirs[] = {{"coreset_ratio", "1"}, {"resize_mode", "squash"}};
    imiad_detector *d = fitted(&l, mine, 3), *p = product_line_detector(&l, "patchcore", theirs, 2);
    ck_ok(imiad_detector_fit(p, l.split, NULL, NULL));
    const imiad_bank *a = d->ops->bank(d), *b = p->ops->bank(p);
    ck_assert_int_eq(imiad_bank_rows(a), 4 * 64);
    ck_assert_int_eq(imiad_bank_rows(b), 4 * 64);
    size_t bytes = 4 * 64 * (size_t)imiad_bank_dimension(a) * sizeof(float);
    ck_assert_int_eq(imiad_bank_dimension(a), imiad_bank_dimension(b));
    ck_assert_int_eq(memcmp(imiad_bank_data(a), imiad_bank_data(b), bytes), 0);
    imiad_detector_free(d);
    imiad_detector_free(p);
    product_line_close(&l);
}
END_TEST

START_TEST(of_too_many_patches_some_are_drawn)
{
    product_line l = open_line("unsupervised");
    const imiad_option more[] = {{"most_patches", "100"}, {"coreset_ratio", "1"}};
    imiad_detector *d = fitted(&l, more, 2);
    const imiad_bank *bank = d->ops->bank(d);
    ck_assert_int_eq(imiad_bank_rows(bank), 100);
    int64_t of_each[4] = {0};
    for (int64_t i = 0; i < 100; ++i)
        of_each[imiad_bank_sources(bank)[i]]++;
    for (int i = 0; i < 4; ++i)
        ck_assert_int_gt(of_each[i], 10);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* ---- learning ---- */

static double last_loss(const imiad_detector *d)
{
    const training *t = d->state;
    return t->losses[t->losses_count - 1];
}

START_TEST(it_learns_what_is_labelled)
{
    product_line l = open_line("supervised");
    const imiad_option few[] = {{"variants", "4"},  {"steps", "10"}, {"learning_rate", "0.003"},
                                {"epochs", "5"},    {"window", "8"}, {"window_share", "1"},
                                {"average", "0.8"}, {"width", "16"}};
    imiad_detector *d = fitted(&l, few, 8);
    const training *t = d->state;
    ck_assert_uint_eq(t->losses_count, 5);
    ck_assert_double_lt(last_loss(d), 0.7 * t->losses[0]);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* With a decay near 1 the average stays at the first weights, by which every token is as likely
 * good as not. */
START_TEST(the_averaged_weights_score)
{
    product_line l = open_line("unsupervised");
    const imiad_option slow[] = {{"average", "0.999999"}, {"learning_rate", "0.01"}};
    const imiad_option none[] = {{"average", "0"}, {"learning_rate", "0.01"}};
    imiad_detector *d = fitted(&l, slow, 2);
    ck_assert_double_eq_tol(score_of(d, &l, 0), 0.5, 1e-3);
    imiad_detector_free(d);
    d = fitted(&l, none, 2);
    ck_assert_double_gt(fabs(score_of(d, &l, 0) - 0.5), 1e-2);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(boxes_and_tags_are_learned_from_by_guessing)
{
    static const char *const modes[3] = {"boxes", "rotated_boxes", "tags"};
    product_line l = open_line("supervised");
    for (int i = 0; i < 3; ++i) {
        const imiad_option more[] = {
            {"labels", modes[i]}, {"variants", "4"}, {"window", "8"}, {"window_share", "1"}};
        imiad_detector *d = fitted(&l, more, 4);
        char said[128], end[32];
        learned_from(said, d);
        snprintf(end, sizeof end, "labelled ones (%s)", modes[i]);
        ck_assert_ptr_nonnull(strstr(said, end));
        ck_assert(isfinite(last_loss(d)));
        imiad_detector_free(d);
    }
    product_line_close(&l);
}
END_TEST

/* A window of the whole grid judges as sliding ones of that size do. */
START_TEST(the_whole_grid_can_be_one_window)
{
    product_line l = open_line("unsupervised");
    const imiad_option whole[] = {{"window", "0"}}, same[] = {{"window", "8"}};
    imiad_detector *a = fitted(&l, whole, 1), *b = fitted(&l, same, 1);
    ck_assert_double_eq(score_of(a, &l, 1), score_of(b, &l, 1));
    imiad_detector_free(a);
    imiad_detector_free(b);
    product_line_close(&l);
}
END_TEST

/* What they are divided by is known from the bank again. */
START_TEST(relative_residuals_score_the_same_from_a_file)
{
    product_line l = open_line("supervised");
    const imiad_option relative[] = {{"residuals", "relative"}, {"window", "8"}},
                       *plain = relative + 1;
    imiad_detector *d = fitted(&l, relative, 2), *other = fitted(&l, plain, 1), *again;
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    ck_ok(imiad_detector_load(&again, path, NULL));
    unlink(path);
    double score = score_of(d, &l, 1);
    ck_assert_double_ne(score_of(other, &l, 1), score);
    ck_assert_double_eq(score_of(again, &l, 1), score);
    imiad_detector_free(d);
    imiad_detector_free(other);
    imiad_detector_free(again);
    product_line_close(&l);
}
END_TEST

/* With boxes, so that guesses and mixtures are drawn again too. */
START_TEST(stopped_and_continued_learns_the_same_bytes)
{
    product_line l = open_line("supervised");
    const resumed_fit f = {.detector = "semirest",
                           .backbone = l.backbone,
                           .options = {{"resize", "64"},
                                       {"crop", "64"},
                                       {"width", "8"},
                                       {"window", "8"},
                                       {"labels", "boxes"},
                                       {"variants", "1"},
                                       {"synthetic", "1"},
                                       {"target_embed_dimension", "32"},
                                       {"epochs", "3"},
                                       {"steps", "2"},
                                       {"train_batch", "4"}},
                           .option_count = 11,
                           .split = l.split};
    resumed_equals_undisturbed(&f, 7);
    product_line_close(&l);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
    static const struct {
        imiad_option option;
        const char *says;
    } wrong[] = {{{"window", "12"}, "it must be a multiple of attention_window, 8"},
                 {{"stride", "33"}, "windows of 32 would leave gaps"},
                 {{"width", "40"}, "it must be a multiple of heads, or without them of 32"},
                 {{"target_embed_dimension", "6"}, "it must be a multiple of 4"},
                 {{"crop", "0"}, "needs images of one size"}};
    product_line l = open_line("unsupervised");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        imiad_detector *d;
        const imiad_option options[] = {
            wrong[i].option, {"resize_mode", "shorter"}, {i < 4 ? "crop" : "resize", "64"}};
        ck_fails(imiad_detector_create(&d, "semirest", l.backbone, options, 3), IMIAD_OUT_OF_RANGE,
                 wrong[i].says);
    }
    const imiad_option budget[] = {{"feature_cache", "1"},
                                   {"training_storage", "float32"},
                                   {"target_embed_dimension", "1024"}};
    imiad_detector *d = create(&l, budget, 3);
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_OVER_BUDGET,
             "feature_cache allows 1000000");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* ---- what it makes ---- */

static imiad_image *plain_image(imiad_pixel_format format, int value)
{
    imiad_image *image;
    ck_ok(imiad_image_create(&image, format, 32, 32));
    memset(image->pixels, value, image->stride * 32);
    return image;
}

START_TEST(made_defects_have_no_crumbs_and_stay_in_their_mask)
{
    texture_source *textures;
    imiad_image *image, *out, *mask;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, 256, 256));
    memset(image->pixels, 90, image->stride * 256);
    ck_ok(texture_source_open(&textures, "", 0));
    for (int i = 0; i < 8; ++i) {
        char purpose[16];
        mask_components parts;
        snprintf(purpose, sizeof purpose, "%d", i);
        random_stream s = random_open(1, purpose);
        ck_ok(defect_synthesise(&out, &mask, image, textures, &s));
        ck_ok(mask_components_find(&parts, mask->pixels, 256, 256));
        ck_assert_int_gt(parts.count, 0);
        ck_assert_int_gt(mask_components_smallest(&parts), 12); /* 50 of 512 x 512 */
        for (int p = 0; p < 256 * 256; ++p)
            ck_assert(mask->pixels[p] || out->pixels[3 * p] == 90);
        mask_components_free(&parts);
        imiad_image_free(out);
        imiad_image_free(mask);
    }
    texture_source_close(textures);
    imiad_image_free(image);
}
END_TEST

START_TEST(a_defect_is_transplanted_turned_about_its_middle)
{
    imiad_image *from = plain_image(IMIAD_PIXEL_RGB8, 200),
                *into = plain_image(IMIAD_PIXEL_RGB8, 50);
    imiad_image *mask = plain_image(IMIAD_PIXEL_GRAY8, 0), *out, *out_mask;
    for (int y = 8; y < 17; ++y)
        memset(mask->pixels + y * 32 + 12, 255, 9);
    random_stream s = random_open(2, "transplant");
    ck_ok(defect_transplant(&out, &out_mask, from, mask, into, &s));
    mask_components parts;
    ck_ok(mask_components_find(&parts, out_mask->pixels, 32, 32));
    ck_assert_int_eq(parts.count, 1);
    ck_assert_double_eq_tol(parts.components[0].centre[0], 16, 0.6);
    ck_assert_double_eq_tol(parts.components[0].centre[1], 12, 0.6);
    ck_assert_double_gt((double)parts.components[0].pixels, 0.8 * 0.8 * 81 - 12);
    ck_assert_double_lt((double)parts.components[0].pixels, 1.2 * 1.2 * 81 + 12);
    for (int p = 0; p < 32 * 32; ++p) {
        ck_assert(out_mask->pixels[p] == 0 || out_mask->pixels[p] == 255);
        ck_assert_int_eq(out->pixels[3 * p], out_mask->pixels[p] ? 200 : 50);
    }
    mask_components_free(&parts);
    imiad_image *images[] = {from, into, mask, out, out_mask};
    for (int i = 0; i < 5; ++i)
        imiad_image_free(images[i]);
}
END_TEST

/* A quarter turn counter-clockwise about a pixel moves its right neighbour above it. */
START_TEST(an_image_is_warped_about_a_point)
{
    imiad_image *image = plain_image(IMIAD_PIXEL_GRAY8, 0), *out;
    image->pixels[10 * 32 + 13] = 255;
    ck_ok(warp_about(&out, image, (const double[2]){12, 10}, 90, 1));
    ck_assert_int_eq(out->pixels[9 * 32 + 12], 255);
    ck_assert_int_eq(out->pixels[10 * 32 + 13], 0);
    imiad_image_free(out);
    ck_ok(warp_about(&out, image, (const double[2]){12, 10}, 0, 2));
    ck_assert_int_eq(out->pixels[10 * 32 + 14], 255);
    ck_assert_int_eq(out->pixels[10 * 32 + 15], 128);
    imiad_image_free(out);
    imiad_image_free(image);
}
END_TEST

SUITE("semirest", TEST(labelled_defects_and_their_variants_are_learned_from),
      TEST(without_labelled_defects_it_trains_from_made_ones_and_says_so),
      TEST(a_defect_without_a_mask_is_named_unless_tags_are_learned),
      TEST(no_labelled_defect_is_tested), TEST(patches_without_their_place_are_patchcores),
      TEST(of_too_many_patches_some_are_drawn), TEST(it_learns_what_is_labelled),
      TEST(the_averaged_weights_score), TEST(boxes_and_tags_are_learned_from_by_guessing),
      TEST(the_whole_grid_can_be_one_window), TEST(relative_residuals_score_the_same_from_a_file),
      TEST(stopped_and_continued_learns_the_same_bytes), TEST(options_that_cannot_be_are_refused),
      TEST(made_defects_have_no_crumbs_and_stay_in_their_mask),
      TEST(a_defect_is_transplanted_turned_about_its_middle),
      TEST(an_image_is_warped_about_a_point))
