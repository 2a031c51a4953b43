/* The batch loader: order, windows, failures, rewinding, cache. */
#include <pthread.h>

#include "base/random.h"
#include "data/loader.h"
#include "image/pixels.h"
#include "trees.h"

enum { IMAGES = 23 };

static uint8_t memory_pixels[IMAGES][8 * 8];
static imiad_image memory_images[IMAGES];
static const imiad_image *memory_pointers[IMAGES];

/* Grey images whose every pixel is their position times ten. */
static image_source images_in_memory(void)
{
    for (int i = 0; i < IMAGES; ++i) {
        memset(memory_pixels[i], 10 * i, sizeof memory_pixels[i]);
        memory_images[i] =
            (imiad_image){sizeof(imiad_image), IMIAD_PIXEL_GRAY8, 8, 8, 8, memory_pixels[i]};
        memory_pointers[i] = &memory_images[i];
    }
    return (image_source){.images = memory_pointers, .count = IMAGES};
}

static loader_settings settings_of(size_t batch)
{
    return (loader_settings){.geometry = {.squash = true, .resize = 4}, .batch = batch};
}

/* Reads a whole round and checks that it is `order`. */
static void expect_round(loader *l, const size_t *order, size_t batch)
{
    size_t seen = 0;
    for (;;) {
        const loaded *results;
        size_t count;
        ck_ok(loader_next(&results, &count, l));
        ck_assert_uint_eq(count, IMAGES - seen < batch ? IMAGES - seen : batch);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; ++i, ++seen) {
            ck_assert_uint_eq(results[i].position, order ? order[seen] : seen);
            ck_assert_int_eq(results[i].image->format, IMIAD_PIXEL_RGB8);
            ck_assert_int_eq(results[i].image->width, 4);
            ck_assert_uint_eq(results[i].image->pixels[0], 10 * results[i].position);
            ck_assert_ptr_null(results[i].mask);
        }
    }
    ck_assert_uint_eq(seen, IMAGES);
}

START_TEST(the_order_does_not_depend_on_threads_or_batches)
{
    ck_ok(imiad_set_threads(_i + 1));
    image_source source = images_in_memory();
    size_t order[IMAGES];
    for (size_t i = 0; i < IMAGES; ++i)
        order[i] = (i * 7 + 3) % IMAGES;
    for (size_t batch = 1; batch <= IMAGES + 1; batch += 4) {
        loader_settings settings = settings_of(batch);
        loader *l;
        ck_ok(loader_open(&l, &source, &settings));
        expect_round(l, NULL, batch);
        loader_close(l);
        settings.order = order;
        settings.ahead = 1 + batch % 3;
        ck_ok(loader_open(&l, &source, &settings));
        expect_round(l, order, batch);
        loader_close(l);
    }
}
END_TEST

START_TEST(a_loader_can_be_closed_at_any_moment)
{
    ck_ok(imiad_set_threads(4));
    image_source source = images_in_memory();
    loader_settings settings = settings_of(3);
    for (int batches = 0; batches < 9; ++batches) {
        loader *l;
        ck_ok(loader_open(&l, &source, &settings));
        for (int i = 0; i < batches; ++i) {
            const loaded *results;
            size_t count;
            ck_ok(loader_next(&results, &count, l));
        }
        loader_close(l);
    }
    loader_close(NULL);
}
END_TEST

START_TEST(a_round_can_begin_again_in_another_order_at_any_moment)
{
    ck_ok(imiad_set_threads(3));
    image_source source = images_in_memory();
    loader_settings settings = settings_of(5);
    settings.cache_bytes = _i == 0 ? 0 : _i == 1 ? 1000 : 1 << 20; /* none, a few, all */
    loader *l;
    ck_ok(loader_open(&l, &source, &settings));
    size_t order[IMAGES];
    for (size_t i = 0; i < IMAGES; ++i)
        order[i] = i;
    random_stream stream = random_open(1, "test/loader");
    for (int round = 0; round < 12; ++round) {
        random_shuffle(&stream, order, IMAGES);
        for (int early = 0; early < round % 4; ++early) {
            const loaded *results;
            size_t count;
            ck_ok(loader_next(&results, &count, l));
        }
        ck_ok(loader_rewind(l, order));
        expect_round(l, order, 5);
    }
    ck_ok(loader_rewind(l, NULL));
    expect_round(l, NULL, 5);
    loader_close(l);
}
END_TEST

START_TEST(cached_images_are_not_read_again)
{
    tree_begin();
    tree_category("nut");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    size_t samples[] = {0, 1, 2, 3};
    image_source source = {.dataset = d, .samples = samples, .count = 4};
    loader_settings settings = settings_of(4);
    settings.with_masks = true;
    settings.cache_bytes = 1 << 20;
    loader *l;
    const loaded *results;
    size_t count;
    ck_ok(loader_open(&l, &source, &settings));
    ck_ok(loader_next(&results, &count, l));
    ck_assert_double_gt(results[3].decode_seconds, 0);
    ck_assert_int_eq(unlink(tree_path("nut/test/hole/000.png")), 0);
    ck_ok(loader_rewind(l, (size_t[]){3, 2, 1, 0}));
    ck_ok(loader_next(&results, &count, l));
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq(results[0].position, 3);
    ck_assert_uint_eq(results[0].image->pixels[0], 30);
    ck_assert_uint_eq(results[0].mask->pixels[0], 255);
    ck_assert_double_eq(results[0].decode_seconds, 0);
    loader_close(l);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(without_a_cache_a_vanished_image_is_missed)
{
    tree_begin();
    tree_category("nut");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    size_t samples[] = {0, 1, 2, 3};
    image_source source = {.dataset = d, .samples = samples, .count = 4};
    loader_settings settings = settings_of(4);
    loader *l;
    const loaded *results;
    size_t count;
    ck_ok(loader_open(&l, &source, &settings));
    ck_ok(loader_next(&results, &count, l));
    ck_assert_int_eq(unlink(tree_path("nut/test/hole/000.png")), 0);
    ck_ok(loader_rewind(l, NULL));
    ck_fails(loader_next(&results, &count, l), IMIAD_NOT_FOUND, "nut/test/hole/000.png");
    loader_close(l);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(failures_come_in_order_and_stay)
{
    tree_begin();
    tree_category("nut");
    for (int i = 2; i < 12; ++i) {
        char path[64];
        snprintf(path, sizeof path, "nut/train/good/%03d.png", i);
        tree_image(path, 8, 6, i);
    }
    tree_bytes("nut/train/good/007.png", "no picture", 10);
    tree_bytes("nut/train/good/009.png", "", 0);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    size_t samples[12];
    for (size_t i = 0; i < 12; ++i)
        samples[i] = i;
    image_source source = {.dataset = d, .samples = samples, .count = 12};
    loader_settings settings = settings_of(2);
    for (int threads = 1; threads <= 8; ++threads) {
        ck_ok(imiad_set_threads(threads));
        loader *l;
        const loaded *results;
        size_t count;
        ck_ok(loader_open(&l, &source, &settings));
        for (int batch = 0; batch < 3; ++batch)
            ck_ok(loader_next(&results, &count, l));
        for (int again = 0; again < 3; ++again)
            ck_fails(loader_next(&results, &count, l), IMIAD_FORMAT, "nut/train/good/007.png");
        ck_ok(loader_rewind(l, (size_t[]){9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11}));
        ck_fails(loader_next(&results, &count, l), IMIAD_FORMAT, "nut/train/good/009.png");
        loader_close(l);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(masks_go_through_the_same_geometry_as_their_images)
{
    tree_begin();
    tree_category("nut");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    size_t samples[] = {3, 2};
    image_source source = {.dataset = d, .samples = samples, .count = 2};
    loader_settings settings = {
        .geometry = {.resize = 12, .crop = 10}, .batch = 2, .with_masks = true};
    loader *l;
    const loaded *results;
    size_t count;
    ck_ok(loader_open(&l, &source, &settings));
    ck_ok(loader_next(&results, &count, l));
    ck_assert_uint_eq(count, 2);
    for (int i = 0; i < 2; ++i) {
        ck_assert_int_eq(results[i].image->width, 10);
        ck_assert_int_eq(results[i].mask->width, 10);
        ck_assert_int_eq(results[i].mask->height, 10);
        ck_assert_int_eq(results[i].mask->format, IMIAD_PIXEL_GRAY8);
        ck_assert_int_eq(results[i].mask->pixels[0], i == 0 ? 255 : 0);
        ck_assert_double_gt(results[i].resize_seconds, 0);
    }
    loader_close(l);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(missing_and_misfitting_masks_are_met_as_the_dataset_says)
{
    tree_begin();
    tree_category("nut");
    size_t samples[] = {3};
    static const char *const policies[] = {"error", "skip", "empty", "error"};
    ck_assert_int_eq(unlink(tree_path("nut/ground_truth/hole/000_mask.png")), 0);
    for (int i = 0; i < 4; ++i) {
        if (i == 3)
            tree_image("nut/ground_truth/hole/000_mask.png", 8, 7, 255);
        imiad_dataset *d;
        ck_ok(tree_open(&d, "mvtec_ad", OPTIONS("missing_mask", policies[i])));
        image_source source = {.dataset = d, .samples = samples, .count = 1};
        loader_settings settings = settings_of(1);
        settings.with_masks = true;
        loader *l;
        const loaded *results;
        size_t count;
        ck_ok(loader_open(&l, &source, &settings));
        switch (i) {
        case 0:
            ck_fails(loader_next(&results, &count, l), IMIAD_NOT_FOUND,
                     "there is no nut/ground_truth/hole/000_mask.png");
            break;
        case 1:
            ck_ok(loader_next(&results, &count, l));
            ck_assert_ptr_null(results[0].mask);
            break;
        case 2:
            ck_ok(loader_next(&results, &count, l));
            ck_assert_int_eq(results[0].mask->pixels[0], 0);
            break;
        case 3:
            ck_fails(loader_next(&results, &count, l), IMIAD_MISMATCH, "is 8x7 pixels");
            break;
        }
        loader_close(l);
        imiad_dataset_free(d);
    }
}
END_TEST

START_TEST(what_cannot_be_loaded_is_refused)
{
    image_source source = images_in_memory(), nothing = {.count = 3};
    loader_settings settings = settings_of(2);
    loader *l;
    ck_fails(loader_open(&l, &nothing, &settings), IMIAD_INVALID_ARGUMENT, "neither");
    size_t twice[IMAGES] = {0};
    settings.order = twice;
    ck_fails(loader_open(&l, &source, &settings), IMIAD_INVALID_ARGUMENT, "no permutation");
    twice[0] = IMAGES;
    ck_fails(loader_open(&l, &source, &settings), IMIAD_INVALID_ARGUMENT, "entry 0 is 23");
    settings = settings_of(0);
    ck_fails(loader_open(&l, &source, &settings), IMIAD_OUT_OF_RANGE, "batch of 0");
    settings = settings_of(2);
    ck_ok(loader_open(&l, &source, &settings));
    ck_fails(loader_rewind(l, twice), IMIAD_INVALID_ARGUMENT, "no permutation");
    const loaded *results;
    size_t count;
    ck_fails(loader_next(&results, &count, l), IMIAD_INVALID_ARGUMENT, "no permutation");
    ck_ok(loader_rewind(l, NULL));
    expect_round(l, NULL, 2);
    loader_close(l);
}
END_TEST

START_TEST(an_empty_source_has_no_batches)
{
    image_source source = {.count = 0};
    loader_settings settings = settings_of(2);
    loader *l;
    const loaded *results;
    size_t count = 7;
    ck_ok(loader_open(&l, &source, &settings));
    ck_ok(loader_next(&results, &count, l));
    ck_assert_uint_eq(count, 0);
    loader_close(l);
}
END_TEST

/* ---- images of 16 bits ---- */

static size_t byte_of(void *context, int32_t width, int32_t height)
{
    return 2;
}

/* The first byte of the image, and of the one before it. */
static imiad_status take_bytes(void *context, making *m, void *out)
{
    loaded other;
    ck_ok(loader_other(&other, m, (m->image->position + 2) % 3));
    ck_assert_int_eq(m->image->image->format, IMIAD_PIXEL_RGB8);
    ck_assert_int_eq(other.image->format, IMIAD_PIXEL_RGB8);
    ((uint8_t *)out)[0] = m->image->image->pixels[0];
    ((uint8_t *)out)[1] = other.image->pixels[0];
    return IMIAD_OK;
}

START_TEST(images_of_16_bits_stay_so_but_makers_see_bytes)
{
    static uint16_t pixels[3][8 * 8];
    imiad_image images[3];
    const imiad_image *pointers[3];
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 64; ++j)
            pixels[i][j] = (uint16_t)(0x1011 * (i + 1));
        images[i] =
            (imiad_image){sizeof *images, IMIAD_PIXEL_GRAY16, 8, 8, 16, (uint8_t *)pixels[i]};
        pointers[i] = &images[i];
    }
    const image_source source = {.images = pointers, .count = 3};
    const loader_maker maker = {NULL, byte_of, take_bytes};
    const loader_round round = {.order = (size_t[]){0, 1, 2}, .count = 3, .maker = &maker};
    loader_settings settings = settings_of(3);
    settings.cache_bytes = 1 << 20;
    loader *l;
    const loaded *results;
    size_t count;
    ck_ok(loader_open(&l, &source, &settings));
    for (int pass = 0; pass < 2; ++pass) { /* of the second they come from the cache */
        ck_ok(loader_begin(l, &round));
        ck_ok(loader_next(&results, &count, l));
        ck_assert_uint_eq(count, 3);
        for (int i = 0; i < 3; ++i) {
            const uint8_t *made = results[i].made;
            ck_assert_int_eq(results[i].image->format, IMIAD_PIXEL_GRAY16);
            ck_assert_int_eq(pixel_get16(results[i].image->pixels, 15), 0x1011 * (i + 1));
            ck_assert_int_eq(made[0], 0x10 * (i + 1));
            ck_assert_int_eq(made[1], 0x10 * ((i + 2) % 3 + 1));
        }
    }
    loader_close(l);
}
END_TEST

SUITE("loader", TEST(images_of_16_bits_stay_so_but_makers_see_bytes),
      LOOP_TEST(the_order_does_not_depend_on_threads_or_batches, 8),
      TEST(a_loader_can_be_closed_at_any_moment),
      LOOP_TEST(a_round_can_begin_again_in_another_order_at_any_moment, 3),
      TEST(cached_images_are_not_read_again), TEST(without_a_cache_a_vanished_image_is_missed),
      TEST(failures_come_in_order_and_stay),
      TEST(masks_go_through_the_same_geometry_as_their_images),
      TEST(missing_and_misfitting_masks_are_met_as_the_dataset_says),
      TEST(what_cannot_be_loaded_is_refused), TEST(an_empty_source_has_no_batches))
