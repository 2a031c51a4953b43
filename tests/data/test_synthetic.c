/* The procedural dataset: repeatable, independent images, ground truth that fits them. */
#include <math.h>

#include "data/synthetic/synthetic.h"
#include "trees.h"

static imiad_dataset *open_synthetic(const char *const *options)
{
    imiad_option pairs[8] = {{0}};
    size_t count = 0;
    for (; options && options[2 * count]; ++count)
        pairs[count] = (imiad_option){options[2 * count], options[2 * count + 1]};
    imiad_dataset *d;
    ck_ok(imiad_dataset_open(&d, "synthetic", NULL, pairs, count));
    return d;
}

static size_t find_sample(const imiad_dataset *d, const char *path)
{
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i)
        if (strcmp(sample_of(d, i).path, path) == 0)
            return i;
    ck_abort_msg("no sample %s", path);
}

static imiad_image *image_of(const imiad_dataset *d, const char *path)
{
    imiad_image *image;
    ck_ok(imiad_dataset_read_image(&image, d, find_sample(d, path)));
    return image;
}

static bool same_pixels(const imiad_image *a, const imiad_image *b)
{
    return a->width == b->width && a->height == b->height && a->format == b->format &&
           memcmp(a->pixels, b->pixels, (size_t)a->height * a->stride) == 0;
}

START_TEST(an_image_depends_on_its_seed_and_path_alone)
{
    imiad_dataset *few = open_synthetic(OPTIONS("train", "4", "test_defective", "8"));
    imiad_dataset *many = open_synthetic(
        OPTIONS("train", "90", "test_defective", "50", "categories", "hex_nut,fabric"));
    imiad_dataset *other = open_synthetic(OPTIONS("seed", "1"));
    static const char *const paths[] = {"fabric/train/good/003.png", "fabric/test/hole/000.png",
                                        "hex_nut/test/crack/001.png", "hex_nut/test/good/002.png"};
    for (int i = 0; i < 4; ++i) {
        imiad_image *a = image_of(few, paths[i]), *b = image_of(many, paths[i]);
        imiad_image *c = image_of(other, paths[i]);
        ck_assert_msg(same_pixels(a, b), "%s", paths[i]);
        ck_assert_msg(!same_pixels(a, c), "%s", paths[i]);
        imiad_image_free(a);
        imiad_image_free(b);
        imiad_image_free(c);
    }
    imiad_dataset_free(few);
    imiad_dataset_free(many);
    imiad_dataset_free(other);
}
END_TEST

START_TEST(counts_and_size_are_options)
{
    imiad_dataset *d = open_synthetic(OPTIONS("train", "3", "test_good", "2", "test_defective", "7",
                                              "size", "64", "categories", "fabric"));
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_uint_eq(info.train_good, 3);
    ck_assert_uint_eq(info.test_good, 2);
    ck_assert_uint_eq(info.test_defective, 7);
    ck_assert_uint_eq(info.missing_masks, 0);
    imiad_image *image = image_of(d, "fabric/train/good/002.png");
    ck_assert_int_eq(image->width, 64);
    ck_assert_int_eq(image->height, 64);
    ck_assert_int_eq(image->format, IMIAD_PIXEL_RGB8);
    imiad_image_free(image);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_digest_covers_what_is_painted)
{
    static const char *const changes[][3] = {
        {"seed", "1"}, {"train", "41"}, {"test_good", "21"}, {"size", "128"}};
    char plain[65], again[65], changed[65];
    imiad_dataset *d = open_synthetic(NULL);
    ck_ok(imiad_dataset_digest(plain, d));
    imiad_dataset_free(d);
    d = open_synthetic(OPTIONS("missing_mask", "skip")); /* changes no pixel */
    ck_ok(imiad_dataset_digest(again, d));
    imiad_dataset_free(d);
    ck_assert_str_eq(plain, again);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; ++i) {
        d = open_synthetic(changes[i]);
        ck_ok(imiad_dataset_digest(changed, d));
        ck_assert_str_ne(plain, changed);
        imiad_dataset_free(d);
    }
}
END_TEST

/* Grows the mask by `reach` pixels in each direction. */
static imiad_image *grow(const imiad_image *mask, int reach)
{
    static uint8_t grown[256 * 256];
    static imiad_image out;
    memset(grown, 0, sizeof grown);
    for (int y = 0; y < mask->height; ++y)
        for (int x = 0; x < mask->width; ++x)
            if (mask->pixels[(size_t)y * mask->stride + (size_t)x])
                for (int v = y - reach; v <= y + reach; ++v)
                    for (int u = x - reach; u <= x + reach; ++u)
                        if (u >= 0 && v >= 0 && u < mask->width && v < mask->height)
                            grown[v * mask->width + u] = 255;
    out = *mask;
    out.stride = (size_t)mask->width;
    out.pixels = grown;
    return &out;
}

static int difference(const imiad_image *a, const imiad_image *b, int x, int y)
{
    int largest = 0;
    for (int c = 0; c < 3; ++c) {
        size_t at = (size_t)y * a->stride + (size_t)(3 * x + c);
        int d = abs(a->pixels[at] - b->pixels[at]);
        largest = d > largest ? d : largest;
    }
    return largest;
}

/* The defect is where the mask says, and only there; shadows may reach a little further. */
static void check_truth(const imiad_dataset *d, size_t index)
{
    enum { SHADOW = 12, VISIBLE = 8 };
    imiad_image *image, *twin, *mask;
    ck_ok(imiad_dataset_read_image(&image, d, index));
    ck_ok(synthetic_read_twin(&twin, d, index));
    ck_ok(imiad_dataset_read_mask(&mask, d, index));
    const char *path = sample_of(d, index).path;
    const imiad_image *wide = grow(mask, SHADOW);
    int covered = 0, visible = 0;
    for (int y = 0; y < image->height; ++y)
        for (int x = 0; x < image->width; ++x) {
            int change = difference(image, twin, x, y);
            bool inside = mask->pixels[(size_t)y * mask->stride + (size_t)x] != 0;
            covered += inside;
            visible += inside && change > VISIBLE;
            ck_assert_msg(wide->pixels[y * image->width + x] || change == 0,
                          "%s differs at %d,%d, far from its mask", path, x, y);
        }
    ck_assert_msg(covered >= 20 && covered < image->width * image->height / 4,
                  "%s: a mask of %d pixels", path, covered);
    ck_assert_msg(4 * visible >= covered, "%s: %d of %d masked pixels differ", path, visible,
                  covered);
    imiad_image_free(image);
    imiad_image_free(twin);
    imiad_image_free(mask);
}

START_TEST(every_kind_of_defect_is_where_its_mask_says)
{
    imiad_dataset *d =
        open_synthetic(OPTIONS("train", "1", "test_good", "0", "test_defective", "30"));
    size_t checked = 0;
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i)
        if (sample_of(d, i).label == 1) {
            check_truth(d, i);
            ++checked;
        }
    ck_assert_uint_eq(checked, 30 * imiad_dataset_category_count(d));
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_good_image_is_its_own_twin_and_has_an_empty_mask)
{
    imiad_dataset *d = open_synthetic(OPTIONS("train", "1", "test_good", "1"));
    for (size_t c = 0; c < imiad_dataset_category_count(d); ++c) {
        char path[64];
        snprintf(path, sizeof path, "%s/test/good/000.png", imiad_dataset_category(d, c));
        size_t index = find_sample(d, path);
        imiad_image *image = image_of(d, path), *twin, *mask;
        ck_ok(synthetic_read_twin(&twin, d, index));
        ck_ok(imiad_dataset_read_mask(&mask, d, index));
        ck_assert(same_pixels(image, twin));
        for (int i = 0; i < 256 * 256; ++i)
            ck_assert_int_eq(mask->pixels[i], 0);
        imiad_image_free(image);
        imiad_image_free(twin);
        imiad_image_free(mask);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(images_of_a_category_differ_from_one_another)
{
    imiad_dataset *d = open_synthetic(OPTIONS("train", "3"));
    for (size_t c = 0; c < imiad_dataset_category_count(d); ++c) {
        imiad_image *images[3];
        for (int i = 0; i < 3; ++i) {
            char path[64];
            snprintf(path, sizeof path, "%s/train/good/%03d.png", imiad_dataset_category(d, c), i);
            images[i] = image_of(d, path);
        }
        ck_assert(!same_pixels(images[0], images[1]));
        ck_assert(!same_pixels(images[1], images[2]));
        for (int i = 0; i < 3; ++i)
            imiad_image_free(images[i]);
    }
    imiad_dataset_free(d);
}
END_TEST

/* The values are our own output, recorded so that a seed keeps its meaning: the same pictures on
 * every machine and with every compiler, in this version and the next. */
START_TEST(a_seed_gives_the_same_pictures_everywhere)
{
    static const char *const recorded[][2] = {
        {"circuit/train/good/000.png", "8c402c0f5a788200"},
        {"circuit/test/bridge/000.png", "87cccce07dc0410b"},
        {"fabric/train/good/000.png", "52ce4e394c69adc9"},
        {"fabric/test/fibre/000.png", "9f061d27a0e8275d"},
        {"fuse_box/train/good/000.png", "aeee46c835359bae"},
        {"fuse_box/test/swapped/000.png", "82b9236c82866881"},
        {"hex_nut/train/good/000.png", "0d63d7feff2cf012"},
        {"hex_nut/test/rust/000.png", "11582c6fb6a24329"},
    };
    imiad_dataset *d = open_synthetic(NULL);
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; ++i) {
        imiad_image *image = image_of(d, recorded[i][0]);
        char digest[65];
        bytes_digest(digest, image->pixels, (size_t)image->height * image->stride);
        digest[16] = '\0';
        ck_assert_msg(strcmp(digest, recorded[i][1]) == 0, "%s: %s", recorded[i][0], digest);
        imiad_image_free(image);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_sine_is_close_to_the_true_one)
{
    for (int i = -3000; i < 3000; ++i) {
        float turns = (float)i / 1000;
        ck_assert_double_lt(fabs((double)sine(turns) - sin(6.283185307179586 * (double)turns)),
                            1.1e-3);
        point p = {cosine(turns), sine(turns)};
        double around = (double)(direction_of(p) - turns);
        ck_assert_double_lt(fabs(around - round(around)), 1e-3);
    }
}
END_TEST

SUITE("synthetic", TEST(an_image_depends_on_its_seed_and_path_alone),
      TEST(counts_and_size_are_options), TEST(the_digest_covers_what_is_painted),
      TEST(every_kind_of_defect_is_where_its_mask_says),
      TEST(a_good_image_is_its_own_twin_and_has_an_empty_mask),
      TEST(images_of_a_category_differ_from_one_another),
      TEST(a_seed_gives_the_same_pictures_everywhere), TEST(the_sine_is_close_to_the_true_one))
