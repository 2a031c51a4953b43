/* STPM against two public implementations. Its definition is tested in test_training.c. */
#include "detectors/detector.h"
#include "golden_steps.h"
#include "nn/network.h"

#define GOLDEN "tests/golden/stpm.csv" /* made by tests/golden/make_stpm.py */

enum { LEVELS = 3, TENSORS = 75 /* 15 convolutions, each with its batch norm's four */ };

#define STEPS                                                                                      \
    {"epochs", "1"}, {"resize", "64"},                                                             \
    {                                                                                              \
        "train_batch", "8"                                                                         \
    }
/* hcw-00's form of the loss and of the map */
#define HCW                                                                                        \
    STEPS, {"loss", "sum"},                                                                        \
    {                                                                                              \
        "combine", "input"                                                                         \
    }

static const golden_training cases[] = {
    {"slow",
     80,
     6,
     {HCW, {"learning_rate", "0.0001"}},
     {10, TENSORS, 3, 1e-3, 1e-3, 1e-2, NULL, 0}},
    {"stpm", 80, 5, {HCW}, {10, TENSORS, 3, 0, 0, 0, NULL, 0}},
    {"open_iad", 80, 4, {STEPS, {"preset", "open_iad"}}, {10, TENSORS, 0, 0, 0, 0, NULL, 0}},
};

/* The acceptance is 1e-3 for losses and parameters. At a rate of 0.4 a fresh student amplifies
 * rounding: the codes part from themselves in double precision by more than that. There the steps
 * are compared to that spread, and in double below. */
START_TEST(ten_steps_equal_the_public_implementations)
{
    golden_train("stpm", GOLDEN, "student.", &cases[_i]);
}
END_TEST

/* ---- steps in double precision ---- */

static void fill_step(train_step *step, tensor **frozen)
{
    step->count = 2;
    const int64_t shape[4] = {2, 3, 64, 64};
    step->pixels.images = golden_procedural(shape, (double)(10 + step->index), F64);
    step->pixels.height = step->pixels.width = 64;
    for (int i = 0; i < LEVELS; ++i)
        frozen[i] = t_normalize(golden_procedural((int64_t[]){2, 64 << i, 16 >> i, 16 >> i},
                                                  (double)(step->index + i), F64),
                                1);
}

/* The loss, the student and the optimiser at the official rate, without rounding's share. */
START_TEST(steps_in_double_equal_the_public_implementation)
{
    static golden_case golden;
    static const imiad_option options[] = {
        {"resize", "64"}, {"epochs", "1"}, {"train_batch", "1"}, {"loss", "sum"}};
    golden_read(&golden, GOLDEN, "double");
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_detector *d;
    static uint8_t pixels[64 * 64 * 3];
    const imiad_image black = {sizeof black, IMIAD_PIXEL_RGB8, 64, 64, 192, pixels};
    const imiad_image *const images[1] = {&black};
    ck_ok(imiad_detector_create(&d, "stpm", backbone, options, 4));
    ck_ok(imiad_detector_fit_images(d, images, 1, NULL, NULL));
    params *first;
    network *student;
    ck_ok(params_create(&first));
    ck_ok(network_create(&student, backbone->architecture, (const char *const[]){"layer3"}, 1,
                         first, "", 66, "stpm/student", CPU));
    golden_train_double(d->state, first, 10, fill_step); /* its training is the first member */
    golden_hold(&golden, d, NULL, "student.",
                &(golden_limits){10, TENSORS, 0, 1e-7, 1e-6, 1, NULL, 0});
    network_free(student);
    params_free(first);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("stpm", LOOP_TEST(ten_steps_equal_the_public_implementations, 3),
      TEST(steps_in_double_equal_the_public_implementation))
