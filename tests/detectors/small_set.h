/* Four images of 64 pixels that the library draws, and a random ResNet-18. */
#ifndef TESTS_DETECTORS_SMALL_SET_H
#define TESTS_DETECTORS_SMALL_SET_H

#include "golden_steps.h"

typedef struct small_set {
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_image *images[4];
} small_set;

static inline small_set open_small(void)
{
    static const imiad_option options[] = {{"size", "64"}, {"train", "4"}};
    small_set s;
    ck_ok(imiad_dataset_open(&s.dataset, "synthetic", NULL, options, 2));
    ck_ok(imiad_split_create(&s.split, s.dataset, imiad_dataset_category(s.dataset, 0),
                             "unsupervised", NULL, 0));
    ck_ok(imiad_backbone_create(&s.backbone, "resnet18", NULL));
    for (size_t i = 0; i < 4; ++i)
        ck_ok(imiad_dataset_read_image(&s.images[i], s.dataset, i));
    return s;
}

static inline void close_small(small_set *s)
{
    for (size_t i = 0; i < 4; ++i)
        imiad_image_free(s->images[i]);
    imiad_backbone_free(s->backbone);
    imiad_split_free(s->split);
    imiad_dataset_free(s->dataset);
}

/* Of the detector; `basic` options first, then more of them. */
static inline imiad_detector *create_small(const small_set *s, const char *detector,
                                           const imiad_option *basic, size_t basic_count,
                                           const imiad_option *more, size_t count)
{
    imiad_option options[16];
    ck_assert_uint_le(basic_count + count, 16);
    memcpy(options, basic, basic_count * sizeof *options);
    for (size_t i = 0; i < count; ++i)
        options[basic_count + i] = more[i];
    imiad_detector *d;
    ck_ok(imiad_detector_create(&d, detector, s->backbone, options, basic_count + count));
    return d;
}

/* To the first `count` images; the losses of its steps are in golden_losses. */
static inline void fit_small(imiad_detector *d, const small_set *s, size_t count)
{
    golden_steps = 0;
    imiad_set_log(golden_see, NULL);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)s->images, count, NULL, NULL));
    imiad_set_log(NULL, NULL);
}

#endif
