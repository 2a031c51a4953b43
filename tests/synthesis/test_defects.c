/* Labelled defects that are changed and pasted: against albumentations and OpenCV, and by
 * properties. */
#include <math.h>

#include "../image/procedural.h"
#include "synthesis/defect_changes.h"
#include "synthesis/defect_paste.h"
#include "synthesis/moving.h"

enum { WIDTH = 48, HEIGHT = 40, SAMPLES = 96 };

/* The picture and the mask of tests/golden/make_defect_changes.py. */
static imiad_image *waves(int32_t width, int32_t height)
{
    imiad_image *image = NULL;
    ck_ok(image_create(&image, IMIAD_PIXEL_RGB8, width, height));
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c)
                image_row(image, y)[3 * x + c] =
                    (uint8_t)rint(127 + 60 * sin(0.21 * x + 0.13 * y + c) +
                                  60 * cos(0.17 * y - 0.11 * x + 2 * c));
    return image;
}

/* 255 within so far of a place. */
static imiad_image *box(int32_t width, int32_t height, int x0, int y0, int across, int down)
{
    imiad_image *mask = NULL;
    ck_ok(image_create(&mask, IMIAD_PIXEL_GRAY8, width, height));
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            image_row(mask, y)[x] = abs(x - x0) < across && abs(y - y0) < down ? 255 : 0;
    return mask;
}

static bool same_pixels(const imiad_image *a, const imiad_image *b)
{
    return a->width == b->width && a->height == b->height && a->stride == b->stride &&
           memcmp(a->pixels, b->pixels, a->stride * (size_t)a->height) == 0;
}

static int64_t covered(const imiad_image *mask)
{
    int64_t count = 0;
    for (int32_t y = 0; y < mask->height; ++y)
        for (int32_t x = 0; x < mask->width; ++x)
            count += image_row(mask, y)[x] == 255;
    return count;
}

/* ---- against albumentations ---- */

static void change(const char *name, imiad_image **image, imiad_image **mask)
{
    static place_from places[WIDTH * HEIGHT];
    static const double across[GRID_STRIPS] = {0.8, 1.2, 0.9, 1.25, 1.1, 0.75},
                        down[GRID_STRIPS] = {1.3, 0.7, 1, 1.1, 0.85, 1.2};
    static const double embossing[9] = {-0.6, -0.2, 0, -0.2, 1, 0.2, 0, 0.2, 0.6};
    double value = strchr(name, ' ') ? strtod(strchr(name, ' '), NULL) : 0;
    bool moves = true;
    if (strncmp(name, "lens", 4) == 0)
        places_lens(places, WIDTH, HEIGHT, value);
    else if (strcmp(name, "affine") == 0)
        places_affine(places, WIDTH, HEIGHT, 30, 1.1, 0.05, -0.04);
    else if (strcmp(name, "grid") == 0)
        places_grid(places, WIDTH, HEIGHT, across, down);
    else
        moves = false;
    if (moves)
        ck_ok(move_pixels(image, mask, places));
    else if (strcmp(name, "filter") == 0)
        ck_ok(filter_image(image, embossing, 3));
    else
        ck_ok(median_image(image));
}

/* The red of a larger picture, equalised. */
static imiad_image *equalized(const char *name)
{
    enum { WIDE = 160, HIGH = 128 };
    static uint8_t red[WIDE * HIGH];
    imiad_image *image = waves(WIDE, HIGH), *out = box(WIDE, HIGH, 0, 0, 1, 1);
    for (int i = 0; i < WIDE * HIGH; ++i)
        red[i] = image->pixels[3 * i];
    ck_ok(equalize_plane(out->pixels, red, WIDE, HIGH, strtod(strchr(name, ' '), NULL)));
    imiad_image_free(image);
    return out;
}

/* Values at even places of an image that are more than `most` away; the table moves on. */
static int count_wrong(const imiad_image *image, char **at, int most)
{
    size_t count = image->stride * (size_t)image->height;
    int wrong = 0;
    for (size_t i = 0; i < SAMPLES; ++i) {
        int wanted = (int)strtol(*at + 1, at, 10);
        wrong += abs(image->pixels[i * (count - 1) / (SAMPLES - 1)] - wanted) > most;
    }
    return wrong;
}

/* OpenCV keeps positions in 1/32 of a pixel. */
START_TEST(changes_are_those_of_albumentations)
{
    FILE *table = open_source("tests/golden/defect_changes.csv");
    static char line[8192];
    int count = 0;
    while (fgets(line, sizeof line, table)) {
        char name[16], *at = strchr(line, ',');
        snprintf(name, sizeof name, "%.*s", (int)(at - line), line);
        bool tiles = strncmp(name, "tiles", 5) == 0;
        imiad_image *image = tiles ? equalized(name) : waves(WIDTH, HEIGHT);
        imiad_image *mask = box(WIDTH, HEIGHT, 20, 14, 9, 6);
        if (!tiles)
            change(name, &image, &mask);
        int most = tiles ? 1 : strcmp(name, "median") == 0 ? 0 : 2;
        int wrong = count_wrong(image, &at, most);
        ck_assert_msg(wrong == 0, "%s: %d values more than %d away", name, wrong, most);
        ck_assert_msg(count_wrong(mask, &at, 0) <= 1, "%s: mask", name);
        imiad_image_free(image);
        imiad_image_free(mask);
        ++count;
    }
    fclose(table);
    ck_assert_int_eq(count, 8);
}
END_TEST

/* ---- by properties ---- */

typedef void (*place_function)(place_from *out, int32_t side);

static void quarter(place_from *out, int32_t side)
{
    places_quarters(out, side, side, 1);
}

static void mirrored(place_from *out, int32_t side)
{
    places_flipped(out, side, side, 1, 0);
}

static void transposed(place_from *out, int32_t side)
{
    places_transposed(out, side, side);
}

static void even_strips(place_from *out, int32_t side)
{
    static const double ones[GRID_STRIPS] = {1, 1, 1, 1, 1, 1};
    places_grid(out, side, side, ones, ones);
    for (int32_t i = 0; i < side * side; ++i) /* strips begin and end on whole pixels */
        out[i] = (place_from){fmin(out[i].x, i % side), fmin(out[i].y, i / side)};
}

static void even_lattice(place_from *out, int32_t side)
{
    static const place_from still[LATTICE * LATTICE];
    places_lattice(out, side, side, still);
}

/* So often, and everything is where it was; in between it is not, unless once is enough. */
START_TEST(places_come_back)
{
    enum { SIDE = 30 };
    static const struct {
        place_function f;
        int times;
    } rows[] = {{quarter, 4}, {mirrored, 2}, {transposed, 2}, {even_lattice, 1}};
    static place_from places[SIDE * SIDE];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; ++r) {
        imiad_image *image = waves(SIDE, SIDE), *first = waves(SIDE, SIDE);
        imiad_image *mask = box(SIDE, SIDE, 8, 20, 5, 3),
                    *first_mask = box(SIDE, SIDE, 8, 20, 5, 3);
        rows[r].f(places, SIDE);
        for (int i = 0; i < rows[r].times; ++i) {
            ck_assert(i == 0 || !same_pixels(image, first));
            ck_ok(move_pixels(&image, &mask, places));
        }
        ck_assert(same_pixels(image, first));
        ck_assert(same_pixels(mask, first_mask));
        imiad_image_free(image);
        imiad_image_free(first);
        imiad_image_free(mask);
        imiad_image_free(first_mask);
    }
    even_strips(places, SIDE);
    for (int i = 0; i < SIDE * SIDE; ++i)
        ck_assert(fabs(places[i].x - i % SIDE) < 1.5 && fabs(places[i].y - i / SIDE) < 1.5);
}
END_TEST

/* A quarter counter-clockwise brings the right upper corner to the left upper one. */
START_TEST(a_quarter_turns_counter_clockwise)
{
    static place_from places[9];
    places_quarters(places, 3, 3, 1);
    ck_assert_double_eq(places[0].x, 2);
    ck_assert_double_eq(places[0].y, 0);
}
END_TEST

START_TEST(every_change_keeps_the_size_and_a_mask_of_two_values)
{
    for (int kind = 0; kind < DEFECT_CHANGES; ++kind) {
        int changed = 0;
        for (int i = 0; i < 12; ++i) {
            imiad_image *image = waves(40, i % 2 ? 40 : 33), *first = waves(40, i % 2 ? 40 : 33);
            imiad_image *mask = box(40, i % 2 ? 40 : 33, 11, 9, 6, 4);
            random_stream s = random_open((uint64_t)i, defect_change_names[kind]);
            ck_ok(defect_change_apply(&image, &mask, (defect_change)kind, &s));
            ck_assert_int_eq(image->width, first->width);
            ck_assert_int_eq(image->height, first->height);
            for (int32_t y = 0; y < mask->height; ++y)
                for (int32_t x = 0; x < mask->width; ++x)
                    ck_assert(image_row(mask, y)[x] == 0 || image_row(mask, y)[x] == 255);
            changed += !same_pixels(image, first);
            imiad_image_free(image);
            imiad_image_free(first);
            imiad_image_free(mask);
        }
        ck_assert_msg(changed > 0 && (changed < 12 || kind == CHANGE_LENS), "%s: %d of 12",
                      defect_change_names[kind], changed);
    }
}
END_TEST

/* A pixel is a pixel's image too. */
START_TEST(tiny_images_pass)
{
    for (int32_t side = 1; side < 5; ++side)
        for (int i = 0; i < 60; ++i) {
            imiad_image *image = waves(side, 5 - side), *mask = box(side, 5 - side, 0, 0, 2, 2);
            imiad_image *pasted, *where;
            random_stream s = random_open((uint64_t)i, "tiny");
            ck_ok(defect_paste_changed(&pasted, &where, image, image, mask, i % 2, &s));
            imiad_image_free(pasted);
            imiad_image_free(where);
            imiad_image_free(image);
            imiad_image_free(mask);
        }
}
END_TEST

/* ---- pasting ---- */

/* A light disc on a dark ground. */
static imiad_image *disc(int32_t side, int radius)
{
    imiad_image *image = NULL;
    ck_ok(image_create(&image, IMIAD_PIXEL_RGB8, side, side));
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x) {
            int away = (x - side / 2) * (x - side / 2) + (y - side / 2) * (y - side / 2);
            memset(image_row(image, y) + 3 * x, away < radius * radius ? 180 : 30 + x % 3, 3);
        }
    return image;
}

START_TEST(an_object_is_what_differs_from_the_border)
{
    imiad_image *image = disc(60, 15), *texture = waves(60, 60), *object, *all;
    ck_ok(object_mask(&object, image));
    ck_assert_int_eq(image_row(object, 30)[30], 255);
    ck_assert_int_eq(image_row(object, 3)[3], 0);
    ck_assert_int_gt(covered(object), 600);
    ck_assert_int_lt(covered(object), 750);
    ck_ok(object_mask(&all, texture)); /* its border is not of one colour */
    ck_assert_int_eq(covered(all), 60 * 60);
    imiad_image_free(image);
    imiad_image_free(texture);
    imiad_image_free(object);
    imiad_image_free(all);
}
END_TEST

/* The pasted pixels are the defect's, the others the normal image's. */
static void expect_composed(const imiad_image *pasted, const imiad_image *where,
                            const imiad_image *normal, const uint8_t inside[3])
{
    for (int32_t y = 0; y < pasted->height; ++y)
        for (int32_t x = 0; x < pasted->width; ++x) {
            const uint8_t *wanted = image_row(where, y)[x] ? inside : image_row(normal, y) + 3 * x;
            ck_assert_mem_eq(image_row(pasted, y) + 3 * x, wanted, 3);
        }
}

START_TEST(a_defect_on_the_object_stays_where_it_is)
{
    static const uint8_t red[3] = {200, 10, 20};
    imiad_image *normal = disc(60, 15), *defect = disc(60, 15), *object, *pasted, *where;
    imiad_image *mask = box(60, 60, 30, 28, 4, 3);
    for (int i = 0; i < 60 * 60; ++i)
        memcpy(defect->pixels + 3 * i, red, 3);
    random_stream s = random_open(1, "paste");
    ck_ok(object_mask(&object, normal));
    ck_ok(defect_paste(&pasted, &where, normal, defect, mask, object, &s));
    ck_assert(same_pixels(where, mask));
    expect_composed(pasted, where, normal, red);
    imiad_image_free(pasted);
    imiad_image_free(where);
    imiad_image_free(normal);
    imiad_image_free(defect);
    imiad_image_free(object);
    imiad_image_free(mask);
}
END_TEST

/* Two regions beside the object: each goes to a place of its own, whose middle is on the object. */
START_TEST(a_defect_beside_the_object_goes_onto_it)
{
    static const uint8_t red[3] = {200, 10, 20};
    imiad_image *normal = disc(60, 15), *defect = disc(60, 15), *object;
    imiad_image *mask = box(60, 60, 5, 6, 3, 2);
    for (int y = 50; y < 53; ++y)
        memset(image_row(mask, y) + 2, 255, 3);
    for (int i = 0; i < 60 * 60; ++i)
        memcpy(defect->pixels + 3 * i, red, 3);
    ck_ok(object_mask(&object, normal));
    for (int i = 0; i < 20; ++i) {
        imiad_image *pasted, *where;
        random_stream s = random_open((uint64_t)i, "paste");
        ck_ok(defect_paste(&pasted, &where, normal, defect, mask, object, &s));
        int64_t on_object = 0;
        for (int32_t y = 0; y < 60; ++y)
            for (int32_t x = 0; x < 60; ++x)
                on_object += image_row(where, y)[x] && image_row(object, y)[x];
        ck_assert_int_gt(covered(where), 0);
        ck_assert_int_le(covered(where), covered(mask));
        ck_assert_int_gt(3 * on_object, covered(where));
        expect_composed(pasted, where, normal, red);
        imiad_image_free(pasted);
        imiad_image_free(where);
    }
    imiad_image_free(normal);
    imiad_image_free(defect);
    imiad_image_free(object);
    imiad_image_free(mask);
}
END_TEST

START_TEST(the_same_stream_makes_the_same_bytes)
{
    imiad_image *normal = disc(40, 12), *defect = waves(40, 40), *mask = box(40, 40, 9, 9, 5, 5);
    imiad_image *first[2], *second[2];
    bool differ = false;
    for (uint64_t i = 0; i < 10; ++i) {
        random_stream a = random_open(i, "same"), b = random_open(i, "same");
        ck_ok(defect_paste_changed(&first[0], &first[1], normal, defect, mask, false, &a));
        ck_ok(defect_paste_changed(&second[0], &second[1], normal, defect, mask, false, &b));
        ck_assert(same_pixels(first[0], second[0]) && same_pixels(first[1], second[1]));
        differ = differ || !same_pixels(first[0], normal);
        for (int k = 0; k < 2; ++k) {
            imiad_image_free(first[k]);
            imiad_image_free(second[k]);
        }
    }
    ck_assert(differ);
    imiad_image_free(normal);
    imiad_image_free(defect);
    imiad_image_free(mask);
}
END_TEST

SUITE("defects", TEST(changes_are_those_of_albumentations), TEST(places_come_back),
      TEST(a_quarter_turns_counter_clockwise),
      TEST(every_change_keeps_the_size_and_a_mask_of_two_values), TEST(tiny_images_pass),
      TEST(an_object_is_what_differs_from_the_border),
      TEST(a_defect_on_the_object_stays_where_it_is), TEST(a_defect_beside_the_object_goes_onto_it),
      TEST(the_same_stream_makes_the_same_bytes))
