/* GraphCore's bank, and the graph of its network. */
#include <math.h>
#include <string.h>

#include "bridge/tensor.h"
#include "detectors/algorithm.h"
#include "imiad/bank.h"
#include "product_line.h"

enum { SIDE = 224, POSITIONS = 14 * 14, CHANNELS = 2 * 192 };

typedef struct shots {
    imiad_backbone *backbone;
    imiad_detector *detector;
    imiad_image *images[2];
} shots;

/* Fitted on the first image, of a network with random weights. */
static shots one_shot(const char *ratio)
{
    shots s = {NULL, NULL, {NULL, NULL}};
    const imiad_option options[] = {{"coreset_ratio", ratio}, {"smoothing", "0"}};
    ck_ok(imiad_backbone_create(&s.backbone, "vig_ti_224_gelu", NULL));
    ck_ok(imiad_detector_create(&s.detector, "graphcore", s.backbone, options, 2));
    for (int i = 0; i < 2; ++i) {
        ck_ok(imiad_image_create(&s.images[i], IMIAD_PIXEL_RGB8, SIDE, SIDE));
        for (int32_t at = 0; at < (int32_t)(SIDE * s.images[i]->stride); ++at)
            s.images[i]->pixels[at] = (uint8_t)(at * (i + 7) + at / 256 * 31);
    }
    ck_ok(
        imiad_detector_fit_images(s.detector, (const imiad_image *const *)s.images, 1, NULL, NULL));
    return s;
}

static void close_shots(shots *s)
{
    imiad_detector_free(s->detector);
    imiad_backbone_free(s->backbone);
    for (int i = 0; i < 2; ++i)
        imiad_image_free(s->images[i]);
}

static char said[1024];

static void listen(void *user, imiad_log_level level, const char *message)
{
    (void)user, (void)level;
    strncat(said, message, sizeof said - strlen(said) - 1);
}

/* int(0.001 x 196) is 0. */
START_TEST(a_share_that_keeps_nothing_keeps_one_patch_and_says_so)
{
    const imiad_bank *bank = NULL;
    said[0] = '\0';
    imiad_set_log(listen, NULL);
    shots s = one_shot("0.001");
    imiad_set_log(NULL, NULL);
    ck_ok(imiad_detector_bank(&bank, s.detector));
    ck_assert_int_eq(imiad_bank_rows(bank), 1);
    ck_assert_int_eq(imiad_bank_dimension(bank), CHANNELS);
    ck_assert_ptr_nonnull(strstr(said, "one is kept"));
    close_shots(&s);
}
END_TEST

static double square_between(const float *a, const float *b)
{
    double sum = 0;
    for (int c = 0; c < CHANNELS; ++c)
        sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sum;
}

/* Features of layers backbone.3 and backbone.4 side by side, POSITIONS x CHANNELS. */
static float *features_of(const shots *s, const imiad_image *image)
{
    static const char *const layers[] = {"backbone.3", "backbone.4"};
    float *rows = malloc(sizeof(float) * POSITIONS * CHANNELS), part[CHANNELS / 2 * POSITIONS];
    float *input = malloc(sizeof(float) * 3 * SIDE * SIDE);
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x)
            for (int c = 0; c < 3; ++c)
                input[(c * SIDE + y) * SIDE + x] =
                    ((float)image->pixels[y * image->stride + 3 * x + c] / 255 - 0.5f) / 0.5f;
    for (int l = 0; l < 2; ++l) {
        ck_ok(imiad_backbone_features(part, CHANNELS / 2 * POSITIONS, s->backbone, layers[l], input,
                                      1, SIDE, SIDE));
        for (int c = 0; c < CHANNELS / 2; ++c)
            for (int i = 0; i < POSITIONS; ++i)
                rows[i * CHANNELS + l * CHANNELS / 2 + c] = part[c * POSITIONS + i];
    }
    free(input);
    return rows;
}

/* The definition, row by row: the first, then each time the farthest from those picked. */
START_TEST(the_bank_is_the_greedy_cover_that_begins_at_the_first_patch)
{
    enum { PICKS = 19 }; /* of 196 at 0.1 */
    shots s = one_shot("0.1");
    const imiad_bank *bank = NULL;
    float *rows = features_of(&s, s.images[0]), kept[CHANNELS];
    double nearest[POSITIONS];
    int picked = 0;
    ck_ok(imiad_detector_bank(&bank, s.detector));
    ck_assert_int_eq(imiad_bank_rows(bank), PICKS);
    for (int i = 0; i < POSITIONS; ++i)
        nearest[i] = INFINITY;
    for (int k = 0; k < PICKS; ++k) {
        ck_ok(imiad_bank_read(kept, bank, k, 1));
        const float *wanted = rows + picked * CHANNELS;
        ck_assert_double_lt(square_between(kept, wanted),
                            1e-8 * square_between(wanted, (float[CHANNELS]){0}));
        int farthest = 0;
        for (int i = 0; i < POSITIONS; ++i) {
            nearest[i] = fmin(nearest[i], square_between(rows + i * CHANNELS, wanted));
            farthest = nearest[i] > nearest[farthest] ? i : farthest;
        }
        picked = farthest;
    }
    free(rows);
    close_shots(&s);
}
END_TEST

/* Squared distances, the largest as the image's score, before any upsampling. */
START_TEST(a_score_is_the_largest_squared_distance)
{
    shots s = one_shot("1");
    imiad_result r = IMIAD_RESULT_INIT;
    float *normal = features_of(&s, s.images[0]), *other = features_of(&s, s.images[1]);
    double largest = 0;
    for (int i = 0; i < POSITIONS; ++i) {
        double nearest = INFINITY;
        for (int j = 0; j < POSITIONS; ++j)
            nearest = fmin(nearest, square_between(other + i * CHANNELS, normal + j * CHANNELS));
        largest = fmax(largest, nearest);
    }
    ck_ok(imiad_detector_score(&r, s.detector, s.images[1]));
    ck_assert_double_eq_tol((double)r.score, largest, 1e-4 * largest);
    ck_ok(imiad_detector_score(&r, s.detector, s.images[0]));
    ck_assert_double_lt((double)r.score, 1e-4 * largest);
    free(normal);
    free(other);
    close_shots(&s);
}
END_TEST

START_TEST(images_of_another_size_are_refused)
{
    imiad_backbone *backbone = NULL;
    imiad_detector *d = NULL;
    imiad_image *image;
    const imiad_option small = {"resize", "64"};
    ck_ok(imiad_backbone_create(&backbone, "vig_ti_224_gelu", NULL));
    imiad_status status = imiad_detector_create(&d, "graphcore", backbone, &small, 1);
    if (status == IMIAD_OK) {
        ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, SIDE, SIDE));
        status = imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL);
        imiad_image_free(image);
    }
    ck_assert_int_ne(status, IMIAD_OK);
    ck_assert_msg(strstr(imiad_last_error(), "must be 224"), "%s", imiad_last_error());
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("graphcore", TEST(a_share_that_keeps_nothing_keeps_one_patch_and_says_so),
      TEST(the_bank_is_the_greedy_cover_that_begins_at_the_first_patch),
      TEST(a_score_is_the_largest_squared_distance), TEST(images_of_another_size_are_refused))
