/* Settings through a detector: what fitting sees of a split. */
#include <string.h>

#include "../data/splits.h"
#include "image/augment.h"
#include "imiad/detector.h"

enum { MOST_IMAGES = 16 };

static imiad_detector *new_detector(imiad_backbone *backbone)
{
    const imiad_option options[] = {{"resize", "32"}, {"crop", "0"}, {"coreset_ratio", "1"}};
    imiad_detector *detector = NULL;
    ck_ok(imiad_detector_create(&detector, "patchcore", backbone, options, 3));
    return detector;
}

static float score_of(imiad_detector *detector, const imiad_dataset *dataset, size_t index)
{
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_dataset_read_image(&image, dataset, index));
    ck_ok(imiad_detector_score(&result, detector, image));
    imiad_image_free(image);
    return result.score;
}

/* The training images of the split, augmented here, in memory. Their size is the detector's, so
 * that preparing them changes nothing. */
static void fit_by_hand(imiad_detector *detector, const imiad_split *split)
{
    imiad_image *images[MOST_IMAGES];
    size_t count = imiad_split_train_count(split);
    ck_assert_uint_le(count, MOST_IMAGES);
    for (size_t i = 0; i < count; ++i) {
        char text[128];
        imiad_image *original;
        augmentation a;
        ck_ok(imiad_dataset_read_image(&original, imiad_split_dataset(split),
                                       imiad_split_train(split, i)));
        ck_ok(imiad_split_train_augmentation(text, split, i));
        ck_ok(augment_parse(&a, *text ? text : "none"));
        ck_ok(augment_image(&images[i], original, &a));
        imiad_image_free(original);
    }
    ck_ok(
        imiad_detector_fit_images(detector, (const imiad_image *const *)images, count, NULL, NULL));
    for (size_t i = 0; i < count; ++i)
        imiad_image_free(images[i]);
}

START_TEST(fitting_sees_each_shot_and_its_copies)
{
    imiad_dataset *d = products(10, 2, 5);
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_split *split =
        split_of(d, "fabric", "fewshot",
                 OPTIONS("shots", "2", "augmentation", "flip", "augmentation_count", "2"));
    imiad_split *plain = split_of(d, "fabric", "fewshot", OPTIONS("shots", "2"));
    imiad_detector *fitted = new_detector(backbone), *by_hand = new_detector(backbone);
    imiad_detector *without = new_detector(backbone);
    ck_ok(imiad_detector_fit(fitted, split, NULL, NULL));
    ck_ok(imiad_detector_fit(without, plain, NULL, NULL));
    fit_by_hand(by_hand, split);
    size_t differ = 0;
    for (size_t i = 0; i < imiad_split_test_count(split); ++i) {
        size_t sample_index = imiad_split_test(split, i);
        float score = score_of(fitted, d, sample_index);
        ck_assert_float_eq(score, score_of(by_hand, d, sample_index));
        differ += score != score_of(without, d, sample_index);
    }
    ck_assert_uint_gt(differ, 0);
    imiad_detector_free(fitted);
    imiad_detector_free(by_hand);
    imiad_detector_free(without);
    imiad_split_free(split);
    imiad_split_free(plain);
    imiad_backbone_free(backbone);
    imiad_dataset_free(d);
}
END_TEST

/* A detector that cannot use labels must not learn a labelled anomaly as normal; noise it must. */
START_TEST(a_detector_of_normal_images_learns_what_it_is_told_is_normal)
{
    imiad_dataset *d = products(10, 2, 8);
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_split *normal = split_of(d, "fabric", "unsupervised", NULL);
    imiad_split *supervised = split_of(d, "fabric", "supervised", OPTIONS("anomalies", "4"));
    imiad_split *noisy = split_of(d, "fabric", "noisy", OPTIONS("ratio", "0.3"));
    imiad_detector *a = new_detector(backbone), *b = new_detector(backbone);
    imiad_detector *c = new_detector(backbone);
    ck_ok(imiad_detector_fit(a, normal, NULL, NULL));
    ck_ok(imiad_detector_fit(b, supervised, NULL, NULL));
    ck_ok(imiad_detector_fit(c, noisy, NULL, NULL));
    size_t noise = imiad_split_train(noisy, 10);
    ck_assert_float_eq(score_of(a, d, noise), score_of(b, d, noise));
    ck_assert_float_lt(score_of(c, d, noise), score_of(a, d, noise) / 10);
    imiad_detector_free(a);
    imiad_detector_free(b);
    imiad_detector_free(c);
    imiad_split_free(normal);
    imiad_split_free(supervised);
    imiad_split_free(noisy);
    imiad_backbone_free(backbone);
    imiad_dataset_free(d);
}
END_TEST

SUITE("settings", TEST(fitting_sees_each_shot_and_its_copies),
      TEST(a_detector_of_normal_images_learns_what_it_is_told_is_normal))
