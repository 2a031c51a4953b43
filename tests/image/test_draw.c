#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "image/canvas.h"

static imiad_image *ramp(imiad_pixel_format format, int32_t width, int32_t height)
{
    imiad_image *image = NULL;
    ck_ok(image_create(&image, format, width, height));
    for (int32_t y = 0; y < height; ++y)
        for (size_t i = 0; i < image->stride; ++i)
            image_row(image, y)[i] = (uint8_t)(3 * i + 7 * (size_t)y + 11);
    return image;
}

static imiad_image *draw(const imiad_image *image, const float *map, int32_t width, int32_t height,
                         const imiad_heatmap_options *options)
{
    imiad_image *picture = NULL;
    ck_ok(imiad_image_draw_heatmap(&picture, image, map, width, height, options));
    ck_assert_int_eq(picture->format, IMIAD_PIXEL_RGB8);
    return picture;
}

static const uint8_t *pixel_at(const imiad_image *picture, int32_t x, int32_t y)
{
    return image_row(picture, y) + 3 * x;
}

/* The place of the n-th occurrence of the image's first row in the picture. */
static bool find_row(int32_t *x, int32_t *y, const imiad_image *picture, const uint8_t *row,
                     size_t bytes, int n)
{
    for (*y = 0; *y < picture->height; ++*y)
        for (*x = 0; 3 * (size_t)*x + bytes <= picture->stride; ++*x)
            if (memcmp(pixel_at(picture, *x, *y), row, bytes) == 0 && n-- == 0)
                return true;
    return false;
}

static const float flat[1] = {1};

START_TEST(image_and_overlay_stand_side_by_side)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 230, 210);
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    options.opacity = 0; /* the overlay is then the image itself */
    imiad_image *picture = draw(image, flat, 1, 1, &options);
    int32_t x[2], y[2];
    for (int panel = 0; panel < 2; ++panel) {
        ck_assert(find_row(&x[panel], &y[panel], picture, image->pixels, image->stride, panel));
        for (int32_t row = 0; row < 210; ++row)
            ck_assert_mem_eq(pixel_at(picture, x[panel], y[panel] + row), image_row(image, row),
                             image->stride);
    }
    ck_assert_int_eq(y[0], y[1]);
    ck_assert_int_gt(x[1], x[0] + 230);
    ck_assert_int_gt(picture->width, x[1] + 230 + 20); /* the colour bar and its numbers */
    imiad_image_free(image);
    imiad_image_free(picture);
}
END_TEST

/* out = image + opacity (colour - image), the colour by position between low and high. */
START_TEST(the_overlay_blends_by_opacity)
{
    imiad_image *image = ramp(IMIAD_PIXEL_GRAY8, 220, 200), *plain, *picture;
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    color heat[256];
    int32_t x, y;
    uint8_t row[3 * 220];
    heat_colors(heat);
    pixels_to_rgb(row, image->pixels, 220, IMIAD_PIXEL_GRAY8);
    options.opacity = 0;
    plain = draw(image, flat, 1, 1, &options);
    ck_assert(find_row(&x, &y, plain, row, sizeof row, 1));
    options = (imiad_heatmap_options){sizeof options, 0, 4, 0.25f, NULL, NULL, 0, 0, 0};
    picture = draw(image, flat, 1, 1, &options); /* a quarter of the scale */
    for (int32_t dy = 0; dy < 200; ++dy)
        for (int32_t dx = 0; dx < 220; ++dx) {
            float gray = image_row(image, dy)[dx];
            const uint8_t *pixel = pixel_at(picture, x + dx, y + dy);
            ck_assert_float_le(fabsf(pixel[0] - (gray + 0.25f * (heat[64].r - gray))), 0.501f);
            ck_assert_float_le(fabsf(pixel[1] - (gray + 0.25f * (heat[64].g - gray))), 0.501f);
            ck_assert_float_le(fabsf(pixel[2] - (gray + 0.25f * (heat[64].b - gray))), 0.501f);
        }
    imiad_image_free(image);
    imiad_image_free(plain);
    imiad_image_free(picture);
}
END_TEST

/* A map's cells have their values at their middles, and what lies between is interpolated. */
START_TEST(the_map_is_stretched_over_the_image)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 400, 200);
    static const float map[4] = {0, 1, 0, 1};
    imiad_heatmap_options options = {sizeof options, 0, 1, 1, NULL, NULL, 0, 0, 0};
    imiad_image *picture = draw(image, map, 2, 2, &options);
    int32_t x, y;
    ck_assert(find_row(&x, &y, picture, image->pixels, image->stride, 0));
    color heat[256];
    heat_colors(heat);
    int32_t overlay = x + 400;
    while (pixel_at(picture, overlay, y)[0] != heat[0].r ||
           pixel_at(picture, overlay, y)[2] != heat[0].b)
        ++overlay;
    for (int32_t dx = 0; dx < 400; ++dx) {
        double t = fmin(fmax((dx + 0.5) / 200 - 0.5, 0), 1);
        const uint8_t *pixel = pixel_at(picture, overlay + dx, y + 77);
        const color *expected = &heat[lrint(255 * t)], *below = expected - (t > 0.004);
        ck_assert_int_le(abs(pixel[0] - expected->r), abs(expected->r - below->r) + 3);
        ck_assert_int_le(abs(pixel[1] - expected->g), abs(expected->g - below->g) + 3);
    }
    imiad_image_free(image);
    imiad_image_free(picture);
}
END_TEST

START_TEST(colours_rise_in_lightness)
{
    color heat[256];
    heat_colors(heat);
    double before = -1;
    for (int i = 0; i < 256; ++i) { /* relative luminance of linear sRGB (IEC 61966-2-1) */
        const uint8_t bytes[3] = {heat[i].r, heat[i].g, heat[i].b};
        static const double weights[3] = {0.2126, 0.7152, 0.0722};
        double luminance = 0;
        for (int c = 0; c < 3; ++c) {
            double v = bytes[c] / 255.0;
            luminance += weights[c] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
        }
        ck_assert_double_gt(luminance, before - 1e-3); /* bytes are rounded */
        if (i % 4 == 0) {
            ck_assert_double_gt(luminance, before);
            before = luminance;
        }
    }
    ck_assert_double_gt(before, 0.7);
}
END_TEST

/* A scale given by the caller makes pictures comparable: a score has one colour in all. */
START_TEST(a_shared_scale_gives_equal_scores_equal_colours)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 220, 220);
    float a[2] = {1, 2}, b[2] = {1, 9};
    imiad_heatmap_options options = {sizeof options, 0, 10, 1, NULL, NULL, 0, 0, 0};
    imiad_image *first = draw(image, a, 2, 1, &options), *second = draw(image, b, 2, 1, &options);
    int32_t x, y;
    ck_assert(find_row(&x, &y, first, image->pixels, image->stride, 0));
    ck_assert_int_eq(first->width, second->width);
    int32_t overlay = x + 220 + 40; /* within the left half of the second panel */
    ck_assert_mem_eq(pixel_at(first, overlay, y + 9), pixel_at(second, overlay, y + 9), 3);
    options.low = options.high = 0; /* each on its own range: not so on the right */
    imiad_image *third = draw(image, a, 2, 1, &options);
    ck_assert(memcmp(pixel_at(first, overlay, y + 9), pixel_at(third, overlay, y + 9), 3) != 0);
    imiad_image_free(image);
    imiad_image_free(first);
    imiad_image_free(second);
    imiad_image_free(third);
}
END_TEST

START_TEST(small_images_are_magnified_by_a_whole_factor)
{
    static const int32_t cases[][3] = {
        {1, 1, 200}, {28, 28, 8}, {64, 20, 4}, {150, 199, 2}, {200, 10, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int32_t width = cases[i][0], height = cases[i][1], factor = cases[i][2], x, y;
        imiad_image *image = ramp(IMIAD_PIXEL_RGB8, width, height);
        imiad_image *picture = draw(image, flat, 1, 1, NULL);
        uint8_t *row = malloc(3 * (size_t)(width * factor));
        for (int32_t at = 0; at < width * factor; ++at)
            memcpy(row + 3 * at, image->pixels + 3 * (at / factor), 3);
        ck_assert(find_row(&x, &y, picture, row, 3 * (size_t)(width * factor), 0));
        ck_assert_mem_eq(pixel_at(picture, x, y + factor - 1), row, 3);
        free(row);
        imiad_image_free(image);
        imiad_image_free(picture);
    }
}
END_TEST

static imiad_image *titled(const char *title)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 400, 240);
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    options.title = title;
    imiad_image *picture = draw(image, flat, 1, 1, &options);
    imiad_image_free(image);
    return picture;
}

static bool drawn_alike(const char *a, const char *b)
{
    imiad_image *first = titled(a), *second = titled(b);
    bool alike = first->width == second->width && first->height == second->height &&
                 memcmp(first->pixels, second->pixels, first->stride * (size_t)first->height) == 0;
    imiad_image_free(first);
    imiad_image_free(second);
    return alike;
}

START_TEST(letters_with_marks_are_drawn)
{
    static const char *const marked[] = {"\u00fc", "\u00c4", "\u00e9", "\u0142", "\u00df",
                                         "\u0151", "\u010d", "\u0119", "\u00e5", "\u00b5"};
    static const char *const plain[] = {"u", "A", "e", "l", "s", "o", "c", "e", "a", "u"};
    for (size_t i = 0; i < sizeof marked / sizeof *marked; ++i) {
        ck_assert(!drawn_alike(marked[i], plain[i]));
        ck_assert(!drawn_alike(marked[i], "\u4e00")); /* the box of what has no shape */
        ck_assert(!drawn_alike(marked[i], "??"));
    }
    ck_assert(drawn_alike("Pru\u0308fling", "Pr\u00fcfling")); /* as some file systems write it */
    ck_assert(drawn_alike("\u4e00", "\u8d70"));
    ck_assert(drawn_alike("a\351b", "a?b")); /* a byte that is no UTF-8 */
}
END_TEST

/* Cutting a long title never cuts a letter in two, which would show as a question mark. */
START_TEST(long_titles_are_cut_between_letters)
{
    char title[600] = "";
    for (int i = 0; i < 290; ++i)
        strcat(title, "\u00fc");
    imiad_image *picture = titled(title);
    imiad_image_free(picture);
    ck_assert(drawn_alike(title, strcat(title, "\u00fc")));
}
END_TEST

START_TEST(wide_images_are_stacked)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 1000, 50);
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    options.opacity = 0;
    imiad_image *picture = draw(image, flat, 1, 1, &options);
    int32_t x[2], y[2];
    for (int panel = 0; panel < 2; ++panel)
        ck_assert(find_row(&x[panel], &y[panel], picture, image->pixels, image->stride, panel));
    ck_assert_int_eq(x[0], x[1]);
    ck_assert_int_ge(y[1], y[0] + 50);
    ck_assert_int_lt(picture->width, 1300);
    imiad_image_free(image);
    imiad_image_free(picture);
}
END_TEST

static int32_t count_color(const imiad_image *picture, uint8_t r, uint8_t g, uint8_t b)
{
    int32_t count = 0;
    for (int32_t y = 0; y < picture->height; ++y)
        for (int32_t x = 0; x < picture->width; ++x) {
            const uint8_t *p = pixel_at(picture, x, y);
            count += p[0] == r && p[1] == g && p[2] == b;
        }
    return count;
}

START_TEST(a_verdict_is_a_word_on_its_colour)
{
    imiad_image *image = ramp(IMIAD_PIXEL_GRAY8, 300, 300);
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    for (int32_t verdict = IMIAD_VERDICT_NONE; verdict <= IMIAD_VERDICT_ANOMALOUS; ++verdict) {
        options.verdict = verdict;
        imiad_image *picture = draw(image, flat, 1, 1, &options);
        ck_assert_int_eq(count_color(picture, 18, 122, 62) > 100, verdict == IMIAD_VERDICT_OK);
        ck_assert_int_eq(count_color(picture, 190, 24, 36) > 100,
                         verdict == IMIAD_VERDICT_ANOMALOUS);
        imiad_image_free(picture);
    }
    options.verdict = 3;
    imiad_image *picture;
    ck_assert_int_eq(imiad_image_draw_heatmap(&picture, image, flat, 1, 1, &options),
                     IMIAD_OUT_OF_RANGE);
    imiad_image_free(image);
}
END_TEST

START_TEST(the_threshold_is_marked_on_the_bar)
{
    imiad_image *image = ramp(IMIAD_PIXEL_GRAY8, 300, 300);
    imiad_heatmap_options options = {sizeof options, 0, 4, 0.6f, NULL, NULL, 0, 0, 0};
    imiad_image *without = draw(image, flat, 1, 1, &options);
    options.has_threshold = 1;
    options.threshold = 3;
    imiad_image *with = draw(image, flat, 1, 1, &options);
    int32_t top = with->height, bottom = 0;
    for (int32_t y = 0; y < with->height; ++y)
        if (memcmp(image_row(with, y), image_row(without, y), with->stride) != 0) {
            top = y < top ? y : top;
            bottom = y;
        }
    ck_assert_int_lt(bottom - top, 9);
    ck_assert_int_le(abs((top + bottom) / 2 - (14 + 75)), 3); /* a quarter down the bar */
    options.threshold = NAN;
    ck_assert_int_eq(imiad_image_draw_heatmap(&with, image, flat, 1, 1, &options),
                     IMIAD_NOT_FINITE);
    imiad_image_free(image);
    imiad_image_free(without);
    imiad_image_free(with);
}
END_TEST

/* A program that was compiled when the options ended with the mask. */
START_TEST(the_options_first_version_still_draws)
{
    imiad_image *image = ramp(IMIAD_PIXEL_GRAY8, 300, 300);
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    options.verdict = 77;
    options.struct_size = offsetof(imiad_heatmap_options, has_threshold);
    imiad_image_free(draw(image, flat, 1, 1, &options));
    imiad_image_free(image);
}
END_TEST

START_TEST(the_outline_surrounds_the_defect_and_spares_it)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 300, 300), *mask = NULL;
    ck_ok(image_create(&mask, IMIAD_PIXEL_GRAY8, 300, 300));
    image_row(mask, 150)[120] = 1; /* one pixel must be seen too */
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    imiad_image *without = draw(image, flat, 1, 1, &options);
    options.mask = mask;
    imiad_image *with = draw(image, flat, 1, 1, &options);
    int32_t x, y, changed = 0, white = 0;
    ck_assert(find_row(&x, &y, without, image->pixels, image->stride, 0));
    int32_t left = with->width, right = 0;
    for (int32_t row = 0; row < with->height; ++row)
        for (int32_t column = 0; column < with->width; ++column) {
            const uint8_t *pixel = pixel_at(with, column, row);
            if (memcmp(pixel, pixel_at(without, column, row), 3) == 0)
                continue;
            ++changed;
            white += pixel[0] > 240 && pixel[1] > 240 && pixel[2] > 240;
            ck_assert_int_le(abs(row - (y + 150)), 6);
            left = column < left ? column : left;
            right = column > right ? column : right;
        }
    ck_assert_int_ge(white, 4);
    ck_assert_int_le(changed, 13 * 13);
    ck_assert_int_gt(left, x + 300); /* on the overlay */
    int32_t middle = (left + right) / 2;
    ck_assert_mem_eq(pixel_at(with, middle, y + 150), pixel_at(without, middle, y + 150), 3);
    imiad_image_free(image);
    imiad_image_free(mask);
    imiad_image_free(with);
    imiad_image_free(without);
}
END_TEST

static bool same_picture(const imiad_image *a, const imiad_image *b)
{
    return a->width == b->width && a->height == b->height &&
           memcmp(a->pixels, b->pixels, a->stride * (size_t)a->height) == 0;
}

START_TEST(titles_are_drawn_and_never_break_the_picture)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 220, 220);
    imiad_heatmap_options options = IMIAD_HEATMAP_OPTIONS_INIT;
    imiad_image *bare = draw(image, flat, 1, 1, &options);
    static char endless[100001];
    memset(endless, 'W', sizeof endless - 1);
    static const char *const titles[] = {"transistor 000", "", endless, "\xff\xfe\x01\n",
                                         "Schl\xc3\xbcssel"};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; ++i) {
        options.title = titles[i];
        imiad_image *titled = draw(image, flat, 1, 1, &options);
        ck_assert_int_eq(titled->width, bare->width);
        ck_assert_int_gt(titled->height, bare->height);
        for (int32_t y = 0; y < titled->height; ++y) /* the margin stays empty */
            ck_assert_int_eq(pixel_at(titled, titled->width - 3, y)[0], 255);
        imiad_image_free(titled);
    }
    options.title = "A";
    imiad_image *a = draw(image, flat, 1, 1, &options);
    options.title = "B";
    imiad_image *b = draw(image, flat, 1, 1, &options);
    ck_assert(!same_picture(a, b));
    imiad_image_free(a);
    imiad_image_free(b);
    imiad_image_free(bare);
    imiad_image_free(image);
}
END_TEST

START_TEST(every_character_has_its_own_shape)
{
    static uint8_t shapes[95][60 * 60 * 3];
    for (int i = 0; i < 95; ++i) {
        imiad_image canvas = {sizeof canvas, IMIAD_PIXEL_RGB8, 60, 60, 180, shapes[i]};
        memset(shapes[i], 255, sizeof shapes[i]);
        canvas_text(&canvas, 10, 10, 30, (color){0, 0, 0}, (char[]){(char)(' ' + i), 0});
        for (int j = 0; j < i; ++j)
            ck_assert_msg(memcmp(shapes[i], shapes[j], sizeof shapes[i]) != 0, "%c looks like %c",
                          ' ' + i, ' ' + j);
    }
    ck_assert_float_gt(text_width(20, "WWW"), text_width(20, "iii"));
    ck_assert_float_gt(text_width(40, "a b"), 1.5f * text_width(20, "a b"));
    ck_assert_float_eq(text_width(20, ""), 0);
}
END_TEST

/* The numbers beside the bar change with the scale, whatever its size. */
START_TEST(any_scale_gets_its_ticks)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 220, 220), *before = NULL;
    static const float scales[][2] = {{0, 1},          {0, 1e-30f},  {-1e30f, 1e30f},
                                      {-3e38f, 3e38f}, {1000, 1001}, {1, 1.0000002f},
                                      {-5, -4},        {0, 7e6f},    {0.1f, 0.3f}};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; ++i) {
        imiad_heatmap_options options = {sizeof options, scales[i][0], scales[i][1], 0.5f, 0, 0, 0, 0, 0};
        imiad_image *picture = draw(image, scales[i], 2, 1, &options);
        if (before)
            ck_assert(!same_picture(picture, before));
        imiad_image_free(before);
        before = picture;
    }
    imiad_image_free(before);
    imiad_image_free(image);
}
END_TEST

START_TEST(wrong_arguments_are_named)
{
    imiad_image *image = ramp(IMIAD_PIXEL_RGB8, 5, 4), *mask = ramp(IMIAD_PIXEL_GRAY8, 4, 4);
    imiad_image *out = NULL;
    float map[4] = {0, 1, 2, 3}, broken[4] = {0, 1, NAN, 3}, endless[4] = {0, INFINITY, 0, 0};
    imiad_heatmap_options o = IMIAD_HEATMAP_OPTIONS_INIT;
    ck_fails(imiad_image_draw_heatmap(NULL, image, map, 2, 2, &o), IMIAD_INVALID_ARGUMENT, "out");
    ck_fails(imiad_image_draw_heatmap(&out, NULL, map, 2, 2, &o), IMIAD_INVALID_ARGUMENT, "image");
    ck_fails(imiad_image_draw_heatmap(&out, image, NULL, 2, 2, &o), IMIAD_INVALID_ARGUMENT, "map");
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 0, 2, &o), IMIAD_INVALID_ARGUMENT, "0 x 2");
    ck_fails(imiad_image_draw_heatmap(&out, image, broken, 2, 2, &o), IMIAD_NOT_FINITE,
             "row 1, column 0");
    ck_fails(imiad_image_draw_heatmap(&out, image, endless, 2, 2, &o), IMIAD_NOT_FINITE,
             "inf at row 0, column 1");
    o.opacity = 1.5f;
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 2, 2, &o), IMIAD_OUT_OF_RANGE, "opacity");
    o.opacity = NAN;
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 2, 2, &o), IMIAD_OUT_OF_RANGE, "opacity");
    o.opacity = 0.5f;
    o.low = 2;
    o.high = 1;
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 2, 2, &o), IMIAD_INVALID_ARGUMENT,
             "from 2 down to 1");
    o.low = -INFINITY;
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 2, 2, &o), IMIAD_NOT_FINITE, "-inf");
    o.low = 0;
    o.mask = mask;
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 2, 2, &o), IMIAD_MISMATCH,
             "a mask of 4 x 4 on an image of 5 x 4");
    o.struct_size = 4;
    ck_fails(imiad_image_draw_heatmap(&out, image, map, 2, 2, &o), IMIAD_INVALID_ARGUMENT,
             "struct_size is not set");
    ck_assert_ptr_null(out);
    imiad_image_free(image);
    imiad_image_free(mask);
}
END_TEST

SUITE("image-draw", TEST(letters_with_marks_are_drawn), TEST(long_titles_are_cut_between_letters),
      TEST(wide_images_are_stacked), TEST(a_verdict_is_a_word_on_its_colour),
      TEST(the_threshold_is_marked_on_the_bar), TEST(the_options_first_version_still_draws),
      TEST(image_and_overlay_stand_side_by_side), TEST(the_overlay_blends_by_opacity),
      TEST(the_map_is_stretched_over_the_image), TEST(colours_rise_in_lightness),
      TEST(a_shared_scale_gives_equal_scores_equal_colours),
      TEST(small_images_are_magnified_by_a_whole_factor),
      TEST(the_outline_surrounds_the_defect_and_spares_it),
      TEST(titles_are_drawn_and_never_break_the_picture), TEST(every_character_has_its_own_shape),
      TEST(any_scale_gets_its_ticks), TEST(wrong_arguments_are_named))
