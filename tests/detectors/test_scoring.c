/* Scoring images in memory into the caller's memory: batches, formats, regions, tiles, threads. */
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "brightness.h"
#include "product_line.h"

static const double close_to = 1e-3; /* a normalised byte and back, in units of that byte */

/* ---- batches ---- */

START_TEST(a_batch_takes_images_of_many_sizes_in_order)
{
    imiad_detector *d = brightness("16", "0");
    const int32_t sizes[7][2] = {{16, 16}, {16, 16}, {16, 16}, {16, 16},
                                 {16, 24}, {32, 16}, {16, 16}};
    imiad_image images[7];
    const imiad_image *pointers[7];
    float found[7], maps[5 * 256 + 16 * 24 + 32 * 16];
    for (int i = 0; i < 7; ++i) {
        images[i] = slope(sizes[i][0], sizes[i][1], 20 * i);
        pointers[i] = &images[i];
    }
    ck_ok(
        imiad_detector_score_batch(found, maps, sizeof maps / sizeof *maps, d, pointers, 7, NULL));
    size_t used = 0;
    for (int i = 0; i < 7; ++i) {
        int32_t width = 0, height = 0, most = 0;
        ck_ok(imiad_detector_map_size(&width, &height, d, sizes[i][0], sizes[i][1], NULL));
        ck_assert_int_eq(width, sizes[i][0]); /* the shorter side is 16 already */
        ck_assert_int_eq(height, sizes[i][1]);
        for (int32_t y = 0; y < height; ++y)
            for (int32_t x = 0; x < width; ++x, ++used) {
                int value = images[i].pixels[(size_t)y * images[i].stride + (size_t)x];
                ck_assert_double_eq_tol((double)maps[used], value, close_to);
                most = value > most ? value : most;
            }
        ck_assert_double_eq_tol((double)found[i], most, close_to);
        free(images[i].pixels);
    }
    ck_assert_uint_eq(used, sizeof maps / sizeof *maps);
    imiad_detector_free(d);
}
END_TEST

START_TEST(every_pixel_format_scores_by_its_colours)
{
    static const imiad_pixel_format formats[] = {IMIAD_PIXEL_GRAY8, IMIAD_PIXEL_RGB8,
                                                 IMIAD_PIXEL_BGR8, IMIAD_PIXEL_RGBA8};
    static const int red[] = {0, 0, 2, 0}, bytes[] = {1, 3, 3, 4};
    imiad_detector *d = brightness("16", "16");
    imiad_image images[4];
    const imiad_image *pointers[4];
    float found[4];
    for (int i = 0; i < 4; ++i) {
        images[i] = new_image(formats[i], 16, 16);
        images[i].pixels[5 * images[i].stride + (size_t)(7 * bytes[i] + red[i])] = 90;
        pointers[i] = &images[i];
    }
    ck_ok(imiad_detector_score_batch(found, NULL, 0, d, pointers, 4, NULL));
    for (int i = 0; i < 4; ++i) {
        ck_assert_double_eq_tol((double)found[i], 90, close_to);
        free(images[i].pixels);
    }
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_map_over_the_whole_image_has_the_images_size)
{
    imiad_detector *d = brightness("16", "8");
    imiad_image image = new_image(IMIAD_PIXEL_GRAY8, 16, 16);
    const imiad_image *pointer = &image;
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    float found, map[256];
    for (int y = 0; y < 16; ++y)
        memset(image.pixels + (size_t)y * image.stride, y == 5 ? 200 : 10, 16);
    options.map_frame = IMIAD_MAP_IMAGE;
    ck_ok(imiad_detector_score_batch(&found, map, 256, d, &pointer, 1, &options));
    /* the centre crop shows pixels 4..11 of both directions */
    ck_assert_double_eq_tol((double)map[5 * 16 + 8], 200, close_to);
    ck_assert_double_eq_tol((double)map[6 * 16 + 8], 10, close_to);
    ck_assert_double_eq_tol((double)map[5 * 16 + 1], 10, close_to); /* cut off: the lowest value */
    free(image.pixels);
    imiad_detector_free(d);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_before_scoring)
{
    imiad_detector *d = brightness("16", "16");
    imiad_image image = slope(16, 16, 0), broken = image;
    const imiad_image *pointers[2] = {&image, &broken};
    float found[2], map[256];
    ck_fails(imiad_detector_score_batch(found, map, 256, d, pointers, 2, NULL),
             IMIAD_INVALID_ARGUMENT, "need 512 floats, the buffer has 256");
    broken.stride = 3;
    ck_fails(imiad_detector_score_batch(found, NULL, 0, d, pointers, 2, NULL),
             IMIAD_INVALID_ARGUMENT, "image 1");
    ck_fails(imiad_detector_score_batch(NULL, NULL, 0, d, pointers, 1, NULL),
             IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    options.struct_size = 3;
    ck_fails(imiad_detector_score_batch(found, NULL, 0, d, pointers, 1, &options),
             IMIAD_INVALID_ARGUMENT, "struct_size");
    imiad_detector *unfitted = NULL;
    ck_ok(detector_create(&unfitted, &brightness_ops, NULL, NULL, 0));
    ck_fails(imiad_detector_score_batch(found, NULL, 0, unfitted, pointers, 1, NULL),
             IMIAD_WRONG_STATE, "fitted");
    imiad_detector_free(unfitted);
    imiad_detector_free(d);
    free(image.pixels);
}
END_TEST

/* ---- regions of interest ---- */

START_TEST(outside_a_region_nothing_counts)
{
    imiad_detector *d = brightness("16", "16");
    imiad_image image = new_image(IMIAD_PIXEL_GRAY8, 16, 16), region = image;
    region.pixels = calloc(region.stride, 16);
    const imiad_image *pointer = &image, *regions = &region;
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    float found, map[256];
    for (int y = 0; y < 16; ++y) {
        memset(image.pixels + (size_t)y * image.stride, 40, 16);
        memset(region.pixels + (size_t)y * region.stride + 8, 1, 8); /* the right half */
    }
    image.pixels[3 * image.stride + 2] = 250;  /* outside */
    image.pixels[4 * image.stride + 3] = 2;    /* outside: no minimum either */
    image.pixels[9 * image.stride + 12] = 130; /* inside */
    image.pixels[9 * image.stride + 13] = 30;
    options.regions = &regions;
    for (int frame = 0; frame < 2; ++frame) {
        options.map_frame = frame ? IMIAD_MAP_IMAGE : IMIAD_MAP_INPUT;
        ck_ok(imiad_detector_score_batch(&found, map, 256, d, &pointer, 1, &options));
        ck_assert_double_eq_tol((double)found, 130, close_to);
        ck_assert_double_eq_tol((double)map[9 * 16 + 12], 130, close_to);
        ck_assert_double_eq_tol((double)map[3 * 16 + 2], 30, close_to);
        ck_assert_double_eq_tol((double)map[4 * 16 + 3], 30, close_to);
    }
    regions = NULL; /* a whole image */
    ck_ok(imiad_detector_score_batch(&found, NULL, 0, d, &pointer, 1, &options));
    ck_assert_double_eq_tol((double)found, 250, close_to);
    free(region.pixels);
    free(image.pixels);
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_region_that_cannot_be_used_names_its_image)
{
    imiad_detector *d = brightness("16", "16");
    imiad_image image = slope(16, 16, 0), empty = new_image(IMIAD_PIXEL_GRAY8, 16, 16),
                small = slope(8, 16, 0);
    const imiad_image *pointers[2] = {&image, &image}, *regions[2] = {&image, &empty};
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    float found[2];
    options.regions = regions;
    ck_fails(imiad_detector_score_batch(found, NULL, 0, d, pointers, 2, &options),
             IMIAD_INVALID_ARGUMENT, "image 1");
    regions[0] = &small;
    ck_fails(imiad_detector_score_batch(found, NULL, 0, d, pointers, 2, &options), IMIAD_MISMATCH,
             "image 0: its region of interest has 8 x 16");
    free(image.pixels);
    free(empty.pixels);
    free(small.pixels);
    imiad_detector_free(d);
}
END_TEST

/* ---- tiles ---- */

START_TEST(tiles_cover_an_image_to_its_edges)
{
    static const int32_t sizes[][2] = {{16, 16}, {17, 16}, {40, 23}, {100, 64}, {31, 33}};
    for (int k = 0; k < 5; ++k)
        for (double overlap = 0; overlap <= 0.5; overlap += 0.125) {
            imiad_image image = slope(sizes[k][0], sizes[k][1], 0);
            bool seen[100 * 64] = {false};
            size_t count = imiad_image_tile_count(image.width, image.height, 16, overlap);
            for (size_t i = 0; i < count; ++i) {
                imiad_image tile = IMIAD_IMAGE_INIT;
                ck_ok(imiad_image_tile(&tile, &image, 16, overlap, i));
                ck_assert_int_eq(tile.width, 16);
                ck_assert_int_eq(tile.height, 16);
                size_t at = (size_t)(tile.pixels - image.pixels);
                for (size_t y = 0; y < 16; ++y)
                    for (size_t x = 0; x < 16; ++x)
                        seen[(at / image.stride + y) * (size_t)image.width + at % image.stride +
                             x] = true;
            }
            for (int i = 0; i < image.width * image.height; ++i)
                ck_assert(seen[i]);
            imiad_image tile = IMIAD_IMAGE_INIT;
            ck_fails(imiad_image_tile(&tile, &image, 16, overlap, count), IMIAD_OUT_OF_RANGE,
                     "tile");
            free(image.pixels);
        }
    ck_assert_uint_eq(imiad_image_tile_count(32, 16, 16, 0), 2);
    ck_assert_uint_eq(imiad_image_tile_count(32, 16, 16, 0.25), 3); /* steps of at most 12 */
    ck_assert_uint_eq(imiad_image_tile_count(15, 16, 16, 0), 0);
    ck_assert_uint_eq(imiad_image_tile_count(32, 16, 16, 0.75), 0);
}
END_TEST

/* A pixel's score depends on that pixel alone, so overlapping tiles must agree where they meet. */
START_TEST(tiles_of_a_local_detector_give_the_whole_images_map)
{
    imiad_detector *d = brightness("16", "0");
    imiad_image image = slope(53, 37, 11);
    const imiad_image *pointer = &image;
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    float found, map[53 * 37];
    options.tiles = 1;
    for (double overlap = 0; overlap <= 0.5; overlap += 0.25) {
        int most = 0;
        options.tile_overlap = overlap;
        ck_ok(imiad_detector_score_batch(&found, map, 53 * 37, d, &pointer, 1, &options));
        for (int y = 0; y < 37; ++y)
            for (int x = 0; x < 53; ++x) {
                int value = image.pixels[(size_t)y * image.stride + (size_t)x];
                ck_assert_double_eq_tol((double)map[y * 53 + x], value, close_to);
                most = value > most ? value : most;
            }
        ck_assert_double_eq_tol((double)found, most, close_to);
    }
    free(image.pixels);
    imiad_detector_free(d);
}
END_TEST

START_TEST(tiles_of_another_side_are_squashed_to_the_input)
{
    imiad_detector *d = brightness("32", "16"); /* the input has 16 pixels a side */
    imiad_image image = new_image(IMIAD_PIXEL_GRAY8, 96, 64);
    const imiad_image *pointer = &image;
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    float found, map[96 * 64];
    for (int y = 0; y < 64; ++y)
        memset(image.pixels + (size_t)y * image.stride, 77, 96);
    options.tiles = 1;
    options.tile_side = 48;
    ck_ok(imiad_detector_score_batch(&found, map, 96 * 64, d, &pointer, 1, &options));
    for (int i = 0; i < 96 * 64; ++i)
        ck_assert_double_eq_tol((double)map[i], 77, close_to);
    free(image.pixels);
    imiad_detector_free(d);
}
END_TEST

START_TEST(tiles_and_a_region_go_together)
{
    imiad_detector *d = brightness("16", "0");
    imiad_image image = new_image(IMIAD_PIXEL_GRAY8, 40, 20), region = image;
    region.pixels = calloc(region.stride, 20);
    const imiad_image *pointer = &image, *regions = &region;
    imiad_score_options options = IMIAD_SCORE_OPTIONS_INIT;
    float found, map[40 * 20];
    image.pixels[2 * image.stride + 3] = 255;
    image.pixels[2 * image.stride + 30] = 99;
    for (int y = 0; y < 20; ++y)
        memset(region.pixels + (size_t)y * region.stride + 20, 255, 20);
    options.tiles = 1;
    options.regions = &regions;
    ck_ok(imiad_detector_score_batch(&found, NULL, 0, d, &pointer, 1, &options));
    ck_assert_double_eq_tol((double)found, 99, close_to);
    ck_ok(imiad_detector_score_batch(&found, map, 40 * 20, d, &pointer, 1, &options));
    ck_assert_double_eq_tol((double)found, 99, close_to);
    ck_assert_double_eq_tol((double)map[2 * 40 + 3], 0, close_to);
    image.width = 15;
    region.width = 15;
    ck_fails(imiad_detector_score_batch(&found, NULL, 0, d, &pointer, 1, &options), IMIAD_MISMATCH,
             "image 0: its 15 x 20 pixels are fewer than a tile's 16");
    free(region.pixels);
    free(image.pixels);
    imiad_detector_free(d);
}
END_TEST

/* ---- floats ---- */

START_TEST(floats_interleaved_or_in_planes_become_the_same_bytes)
{
    static const float planes[2 * 3 * 2] = {0, 10, 2.5f, 5, 7.5f, -3, 40, 1, 2, 3, 4, 5};
    float interleaved[12];
    for (int c = 0; c < 3; ++c)
        for (int i = 0; i < 4; ++i)
            interleaved[i * 3 + c] = planes[c * 4 + i];
    imiad_float_pixels a = IMIAD_FLOAT_PIXELS_INIT, b = IMIAD_FLOAT_PIXELS_INIT;
    a.width = a.height = b.width = b.height = 2;
    a.channels = b.channels = 3;
    a.high = b.high = 10;
    a.values = planes;
    a.row_stride = 2, a.pixel_stride = 1, a.channel_stride = 4;
    b.values = interleaved;
    b.row_stride = 6, b.pixel_stride = 3, b.channel_stride = 1;
    imiad_image *from_planes, *from_pixels;
    ck_ok(imiad_image_from_floats(&from_planes, &a));
    ck_ok(imiad_image_from_floats(&from_pixels, &b));
    ck_assert_int_eq(from_planes->format, IMIAD_PIXEL_RGB8);
    /* 2.5 / 10 * 255 = 63.75, 7.5: 191.25, -3 and 40 are clamped */
    static const uint8_t expected[12] = {0, 191, 51, 255, 0, 76, 64, 255, 102, 128, 26, 128};
    ck_assert_mem_eq(from_planes->pixels, expected, 12);
    ck_assert_mem_eq(from_pixels->pixels, expected, 12);
    imiad_image_free(from_planes);
    imiad_image_free(from_pixels);
}
END_TEST

START_TEST(floats_that_are_no_numbers_are_refused)
{
    const float values[2] = {1, NAN};
    imiad_float_pixels p = IMIAD_FLOAT_PIXELS_INIT;
    imiad_image *out = NULL;
    p.width = 2, p.height = 1, p.channels = 1, p.pixel_stride = 1, p.values = values;
    ck_fails(imiad_image_from_floats(&out, &p), IMIAD_NOT_FINITE, "(1, 0)");
    p.high = p.low;
    ck_fails(imiad_image_from_floats(&out, &p), IMIAD_INVALID_ARGUMENT, "low");
    p.high = 1, p.channels = 2;
    ck_fails(imiad_image_from_floats(&out, &p), IMIAD_INVALID_ARGUMENT, "2 channels");
    ck_assert_ptr_null(out);
}
END_TEST

/* ---- several threads ---- */

enum { LEARNERS = 2, THREADS = 4, LINE_IMAGES = 4, SIDE = 64, ROUNDS = 2 };

typedef struct worker {
    pthread_t thread;
    imiad_detector *detector;
    const imiad_image *const *images;
    imiad_status status;
    bool maps_wanted;
    float scores[ROUNDS][LINE_IMAGES], maps[ROUNDS][LINE_IMAGES * SIDE * SIDE];
} worker;

static void *score_on_thread(void *argument)
{
    worker *w = argument;
    for (int round = 0; round < ROUNDS && w->status == IMIAD_OK; ++round)
        w->status = imiad_detector_score_batch(
            w->scores[round], w->maps_wanted ? w->maps[round] : NULL, LINE_IMAGES * SIDE * SIDE,
            w->detector, w->images, LINE_IMAGES, NULL);
    return NULL;
}

typedef struct learner {
    pthread_t thread;
    imiad_detector *detector;
    const imiad_split *split;
    imiad_status status;
    char failure[256];
} learner;

static void *learn_on_thread(void *argument)
{
    learner *l = argument;
    l->status = imiad_detector_fit(l->detector, l->split, NULL, NULL);
    snprintf(l->failure, sizeof l->failure, "%s", imiad_last_error());
    return NULL;
}

/* Libraries that are not built for ThreadSanitizer make what they keep for good when it is first
 * used, guarded in a way that it does not see: there one thread uses all of it before. */
static void use_before(const product_line *l, const char *name)
{
#ifdef __SANITIZE_THREAD__
    imiad_detector *d = product_line_detector(l, name, NULL, 0);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    imiad_detector_free(d);
#endif
}

/* On threads of their own, from one split, with one backbone; each has loader threads beside. */
static void learn_at_once(imiad_detector *out[LEARNERS], const char *name)
{
    learner learners[LEARNERS];
    product_line l = product_line_open_for(name, test_device(), "64", "4", "2", "2");
    use_before(&l, name);
    for (int i = 0; i < LEARNERS; ++i) {
        out[i] = product_line_detector(&l, name, NULL, 0);
        learners[i] = (learner){.detector = out[i], .split = l.split};
    }
    for (int i = 0; i < LEARNERS; ++i)
        ck_assert_int_eq(pthread_create(&learners[i].thread, NULL, learn_on_thread, &learners[i]),
                         0);
    for (int i = 0; i < LEARNERS; ++i) {
        pthread_join(learners[i].thread, NULL);
        ck_assert_msg(learners[i].status == IMIAD_OK, "%s: %s", name, learners[i].failure);
    }
    product_line_close(&l);
}

/* Some detectors judge whole images. */
static bool makes_maps(imiad_detector *d, const imiad_image *image)
{
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, image));
    return result.map != NULL;
}

static void same_bytes(const worker *a, const worker *b)
{
    for (int round = 0; round < ROUNDS; ++round) {
        ck_assert_mem_eq(a->scores[round], b->scores[0], sizeof b->scores[0]);
        ck_assert_mem_eq(a->maps[round], b->maps[0], sizeof b->maps[0]);
    }
}

/* Two learn; then clones of one of them score while another clone is saved. */
START_TEST(every_detector_learns_and_scores_the_same_bytes_on_several_threads_at_once)
{
    static worker workers[THREADS], alone, twin;
    imiad_image images[LINE_IMAGES];
    const imiad_image *pointers[LINE_IMAGES];
    imiad_detector *learned[LEARNERS];
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    for (int i = 0; i < LINE_IMAGES; ++i) {
        images[i] = slope(SIDE, SIDE, 17 * i);
        pointers[i] = &images[i];
    }
    learn_at_once(learned, imiad_detector_type_name((size_t)_i));
    bool maps_wanted = makes_maps(learned[0], pointers[0]);
    alone = (worker){.detector = learned[0], .images = pointers, .maps_wanted = maps_wanted};
    twin = (worker){.detector = learned[1], .images = pointers, .maps_wanted = maps_wanted};
    score_on_thread(&alone);
    score_on_thread(&twin);
    ck_ok(alone.status);
    ck_ok(twin.status);
    same_bytes(&twin, &alone);
    for (int i = 0; i < THREADS; ++i) {
        workers[i] = (worker){.images = pointers, .maps_wanted = maps_wanted};
        ck_ok(imiad_detector_clone(&workers[i].detector, learned[0]));
    }
    imiad_detector_free(learned[0]); /* its clones keep what it learned */
    ck_ok(imiad_detector_clone(&learned[0], workers[0].detector));
    for (int i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, score_on_thread, &workers[i]), 0);
    ck_ok(imiad_detector_save(learned[0], path));
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].status, IMIAD_OK);
        same_bytes(&workers[i], &alone);
        imiad_detector_free(workers[i].detector);
    }
    for (int i = 0; i < LEARNERS; ++i)
        imiad_detector_free(learned[i]);
    for (int i = 0; i < LINE_IMAGES; ++i)
        free(images[i].pixels);
    unlink(path);
}
END_TEST

START_TEST(a_detector_with_clones_is_not_fitted)
{
    imiad_detector *d = brightness("16", "16"), *clone = NULL, *second = NULL;
    imiad_image image = slope(16, 16, 0);
    const imiad_image *images[1] = {&image};
    ck_ok(imiad_detector_clone(&clone, d));
    ck_ok(imiad_detector_clone(&second, clone));
    ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_WRONG_STATE,
             "free them before another fit");
    ck_fails(imiad_detector_fit_images(clone, images, 1, NULL, NULL), IMIAD_WRONG_STATE,
             "this is one");
    imiad_detector_free(clone);
    imiad_detector_free(second);
    ck_ok(imiad_detector_fit_images(d, images, 1, NULL, NULL));
    ck_ok(imiad_detector_clone(&clone, d));
    imiad_detector_free(d);
    float found;
    ck_ok(imiad_detector_score_batch(&found, NULL, 0, clone, images, 1, NULL));
    imiad_timings timings = IMIAD_TIMINGS_INIT;
    ck_ok(imiad_detector_timings(&timings, clone));
    ck_assert_int_eq(timings.images, 1);
    imiad_detector_free(clone);
    ck_ok(detector_create(&d, &brightness_ops, NULL, NULL, 0));
    ck_fails(imiad_detector_clone(&clone, d), IMIAD_WRONG_STATE, "fitted");
    imiad_detector_free(d);
    free(image.pixels);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

int main(void)
{
    const listed_test tests[] = {
        TEST(a_batch_takes_images_of_many_sizes_in_order),
        TEST(every_pixel_format_scores_by_its_colours),
        TEST(a_map_over_the_whole_image_has_the_images_size),
        TEST(what_does_not_fit_is_refused_before_scoring),
        TEST(outside_a_region_nothing_counts),
        TEST(a_region_that_cannot_be_used_names_its_image),
        TEST(tiles_cover_an_image_to_its_edges),
        TEST(tiles_of_a_local_detector_give_the_whole_images_map),
        TEST(tiles_of_another_side_are_squashed_to_the_input),
        TEST(tiles_and_a_region_go_together),
        TEST(floats_interleaved_or_in_planes_become_the_same_bytes),
        TEST(floats_that_are_no_numbers_are_refused),
        LOOP_TEST(every_detector_learns_and_scores_the_same_bytes_on_several_threads_at_once,
                  (int)imiad_detector_type_count()),
        TEST(a_detector_with_clones_is_not_fitted),
    };
    return run_suite("scoring", tests, sizeof tests / sizeof *tests);
}
