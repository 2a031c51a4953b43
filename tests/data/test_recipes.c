/* The options that docs/datasets.md gives for further public data sets, each on a tiny tree of its
 * documented layout. */
#include "trees.h"

typedef struct recipe {
    const char *name, *reader;
    const char *const options[16];
    const char *const files[12]; /* a mask's name is followed by the image that it belongs to */
    size_t train_good, validation, test_good, test_defective, missing_masks;
} recipe;

static const recipe recipes[] = {
    {"AutoVI",
     "mvtec_loco",
     {NULL},
     {"engine_wiring/train/good/0000.png", "engine_wiring/test/good/0000.png",
      "engine_wiring/test/blue_hoop/0000.png",
      "engine_wiring/ground_truth/blue_hoop/0000/0000.png"},
     1,
     0,
     1,
     1,
     0},
    {"MVTec AD 2",
     "folder",
     {"train", "{category}/train/good/*", "validation", "{category}/validation/good/*", "test_good",
      "{category}/test_public/good/*", "test_defective", "{category}/test_public/bad/*", "masks",
      "{category}/test_public/ground_truth/bad/{stem}_mask.png", "exclude", "*/test_private*"},
     {"can/train/good/000_regular.png", "can/validation/good/000_regular.png",
      "can/test_public/good/000_regular.png", "can/test_public/bad/000_regular.png",
      "can/test_public/ground_truth/bad/000_regular_mask.png", "can/test_private/000_regular.png"},
     1,
     1,
     1,
     1,
     0},
    {"GoodsAD",
     "mvtec_ad",
     {NULL},
     {"drink_can/train/good/001.jpg", "drink_can/test/good/001.jpg",
      "drink_can/test/opened/001.jpg", "drink_can/ground_truth/opened/001.png"},
     1,
     0,
     1,
     1,
     0},
    {"MIAD and 3CAD",
     "mvtec_ad",
     {NULL},
     {"wind_turbine/train/good/001.png", "wind_turbine/test/good/001.png",
      "wind_turbine/test/bad/001.png", "wind_turbine/ground_truth/bad/001.png"},
     1,
     0,
     1,
     1,
     0},
    {"AITEX",
     "folder",
     {"train", "NODefect_images/*/*", "test_good", "", "test_defective",
      "Defect_images/*_{kind}_*.png", "masks", "Mask_images/{stem}_mask*.png", "category",
      "fabric"},
     {"NODefect_images/2306881-210020u/0001_000_05.png", "Defect_images/0001_002_00.png",
      "Defect_images/0044_019_04.png", "Mask_images/0001_002_00_mask.png",
      "Mask_images/0044_019_04_mask1.png", "Mask_images/0044_019_04_mask2.png"},
     1,
     0,
     0,
     2,
     0},
    {"BMAD",
     "folder",
     {"train", "train/good/*", "validation", "valid/good/img/*", "test_good", "test/good/img/*",
      "test_defective", "test/Ungood/img/*", "masks", "test/*/label/{stem}.png", "exclude",
      "valid/Ungood;valid/*/label"},
     {"train/good/1.png", "valid/good/img/2.png", "valid/Ungood/img/3.png",
      "valid/Ungood/label/3.png", "test/good/img/4.png", "test/good/label/4.png",
      "test/Ungood/img/5.png", "test/Ungood/label/5.png"},
     1,
     1,
     1,
     1,
     0},
    {"MANTA",
     "folder",
     {"train", "{category}/train/good/{group}_*", "test_good", "{category}/test/good/{group}_*",
      "test_defective", "{category}/test/{kind}/{group}_*", "masks",
      "{category}/ground_truth/{kind}/{group}_{stem}.png"},
     {"capsule/train/good/01_a.png", "capsule/test/good/02_a.png", "capsule/test/good/02_b.png",
      "capsule/test/dent/03_a.png", "capsule/test/dent/03_b.png"},
     1,
     0,
     2,
     2,
     2},
};

static char logged[1 << 13];

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    strncat(logged, message, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

START_TEST(a_recipe_reads_its_layout)
{
    const recipe *r = &recipes[_i];
    tree_begin();
    for (size_t i = 0; i < 12 && r->files[i]; ++i)
        tree_image(r->files[i], 4, 4, 9);
    if (strcmp(r->reader, "mvtec_loco") == 0)
        tree_bytes("engine_wiring/defects_config.json", "[]", 2);
    imiad_dataset *d;
    imiad_set_log(remember_message, NULL);
    ck_ok(tree_open(&d, r->reader, r->options));
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_msg(info.train_good == r->train_good && info.validation == r->validation &&
                      info.test_good == r->test_good && info.test_defective == r->test_defective &&
                      info.missing_masks == r->missing_masks,
                  "%s: %zu train, %zu validation, %zu good, %zu defective, %zu without mask",
                  r->name, info.train_good, info.validation, info.test_good, info.test_defective,
                  info.missing_masks);
    ck_assert_msg(!*logged || r->missing_masks, "%s: %s", r->name, logged);
    imiad_dataset_free(d);
}
END_TEST

SUITE("recipes", LOOP_TEST(a_recipe_reads_its_layout, sizeof recipes / sizeof *recipes))
