/* Anomalous regions of maps that are drawn as text: a letter is a value above the threshold. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "check_suite.h"
#include "imiad/imiad.h"

/* '.' is 0, a digit its value. */
static imiad_regions *find(const char *picture, int32_t width, int connectivity, int64_t min_area)
{
    float map[512];
    int32_t height = (int32_t)strlen(picture) / width;
    imiad_regions_options options = IMIAD_REGIONS_OPTIONS_INIT;
    imiad_regions *out;
    for (int i = 0; i < width * height; ++i)
        map[i] = picture[i] == '.' ? 0 : (float)(picture[i] - '0');
    options.connectivity = connectivity;
    options.min_area = min_area;
    ck_ok(imiad_regions_find(&out, map, width, height, 0.5, &options));
    return out;
}

static imiad_region get(const imiad_regions *regions, size_t index)
{
    imiad_region r = IMIAD_REGION_INIT;
    ck_ok(imiad_regions_get(&r, regions, index));
    return r;
}

static void has_contour(const imiad_region *r, size_t points, const int32_t *expected)
{
    ck_assert_uint_eq(r->contour_points, points);
    ck_assert_mem_eq(r->contour, expected, 2 * points * sizeof *expected);
}

START_TEST(regions_come_by_their_peaks_with_boxes_and_areas)
{
    imiad_regions *r = find("........"
                            ".12..3.."
                            ".11....."
                            ".......9"
                            "8888....",
                            8, 8, 1);
    ck_assert_uint_eq(imiad_regions_count(r), 4);
    static const int32_t boxes[4][5] = {
        {7, 3, 1, 1, 9}, {0, 4, 4, 1, 8}, {5, 1, 1, 1, 3}, {1, 1, 2, 2, 2}};
    for (size_t i = 0; i < 4; ++i) {
        imiad_region one = get(r, i);
        ck_assert_int_eq(one.left, boxes[i][0]);
        ck_assert_int_eq(one.top, boxes[i][1]);
        ck_assert_int_eq(one.width, boxes[i][2]);
        ck_assert_int_eq(one.height, boxes[i][3]);
        ck_assert_int_eq(one.area, (int64_t)boxes[i][2] * boxes[i][3]);
        ck_assert_double_eq((double)one.peak, boxes[i][4]);
        ck_assert_double_eq(one.centre_x, boxes[i][0] + 0.5 * boxes[i][2]);
        ck_assert_double_eq(one.centre_y, boxes[i][1] + 0.5 * boxes[i][3]);
    }
    imiad_region last = get(r, 3);
    ck_assert_double_eq(last.mean, 1.25);
    ck_assert_int_eq(last.peak_x, 2);
    ck_assert_int_eq(last.peak_y, 1);
    has_contour(&last, 4, (int32_t[]){1, 1, 3, 1, 3, 3, 1, 3});
    imiad_region past = IMIAD_REGION_INIT;
    ck_fails(imiad_regions_get(&past, r, 4), IMIAD_OUT_OF_RANGE, "4 of 4");
    imiad_regions_free(r);
}
END_TEST

START_TEST(corners_join_eight_connected_pixels_only)
{
    static const char picture[] = "1.."
                                  ".1."
                                  "..1";
    imiad_regions *joined = find(picture, 3, 8, 1), *apart = find(picture, 3, 4, 1);
    ck_assert_uint_eq(imiad_regions_count(joined), 1);
    ck_assert_uint_eq(imiad_regions_count(apart), 3);
    imiad_region all = get(joined, 0), second = get(apart, 1);
    /* there along the upper side, through the corners, and back along the lower one */
    has_contour(&all, 12, (int32_t[]){0, 0, 1, 0, 1, 1, 2, 1, 2, 2, 3, 2,
                                      3, 3, 2, 3, 2, 2, 1, 2, 1, 1, 0, 1});
    has_contour(&second, 4, (int32_t[]){1, 1, 2, 1, 2, 2, 1, 2});
    imiad_regions_free(joined);
    imiad_regions_free(apart);
}
END_TEST

START_TEST(a_hole_is_no_part_of_a_regions_area_or_outline)
{
    imiad_regions *r = find("11111"
                            "1...1"
                            "1.5.1"
                            "1...1"
                            "11111",
                            5, 8, 2);
    ck_assert_uint_eq(imiad_regions_count(r), 1); /* the dot is smaller than two pixels */
    imiad_region ring = get(r, 0);
    ck_assert_int_eq(ring.area, 16);
    ck_assert_double_eq(ring.centre_x, 2.5);
    has_contour(&ring, 4, (int32_t[]){0, 0, 5, 0, 5, 5, 0, 5});
    imiad_regions_free(r);
}
END_TEST

/* The polygon encloses the region with its holes filled, as a flood from outside leaves it. */
static int64_t filled_area(const uint8_t *mask, int32_t side, int connectivity)
{
    uint8_t outside[34 * 34] = {0};
    int32_t wide = side + 2;
    outside[0] = 1;
    for (bool more = true; more;) {
        more = false;
        for (int32_t y = 0; y < wide; ++y)
            for (int32_t x = 0; x < wide; ++x) {
                bool in =
                    x > 0 && y > 0 && x <= side && y <= side && mask[(y - 1) * side + (x - 1)];
                if (in || outside[y * wide + x])
                    continue;
                for (int32_t v = -1; v <= 1; ++v)
                    for (int32_t u = -1; u <= 1; ++u)
                        if (x + u >= 0 && y + v >= 0 && x + u < wide && y + v < wide &&
                            (u == 0 || v == 0 || connectivity == 4) &&
                            outside[(y + v) * wide + x + u])
                            outside[y * wide + x] = more = true;
            }
    }
    int64_t area = 0;
    for (int32_t i = 0; i < wide * wide; ++i)
        area += !outside[i];
    return area;
}

START_TEST(outlines_enclose_what_a_flood_from_outside_leaves)
{
    for (int round = 0; round < 60; ++round) {
        random_stream stream = random_open((uint64_t)round, "test/regions");
        float map[32 * 32];
        imiad_regions_options options = IMIAD_REGIONS_OPTIONS_INIT;
        options.connectivity = round % 2 ? 4 : 8;
        for (int i = 0; i < 32 * 32; ++i)
            map[i] = (float)random_real(&stream);
        imiad_regions *r;
        ck_ok(imiad_regions_find(&r, map, 32, 32, 0.3 + 0.01 * round, &options));
        int64_t total = 0;
        for (size_t i = 0; i < imiad_regions_count(r); ++i) {
            imiad_region one = get(r, i);
            int64_t twice = 0; /* the shoelace formula */
            uint8_t mask[32 * 32] = {0};
            for (size_t k = 0; k < one.contour_points; ++k) {
                const int32_t *a = one.contour + 2 * k,
                              *b = one.contour + 2 * ((k + 1) % one.contour_points);
                twice += (int64_t)a[0] * b[1] - (int64_t)a[1] * b[0];
                ck_assert(a[0] == b[0] || a[1] == b[1]);
            }
            /* this region alone, grown from its peak */
            mask[one.peak_y * 32 + one.peak_x] = 1;
            for (bool more = true; more;) {
                more = false;
                for (int y = 0; y < 32; ++y)
                    for (int x = 0; x < 32; ++x)
                        for (int v = -1; v <= 1; ++v)
                            for (int u = -1; u <= 1; ++u)
                                if (!mask[y * 32 + x] &&
                                    (double)map[y * 32 + x] > 0.3 + 0.01 * round && x + u >= 0 &&
                                    y + v >= 0 && x + u < 32 && y + v < 32 &&
                                    (u == 0 || v == 0 || options.connectivity == 8) &&
                                    mask[(y + v) * 32 + x + u])
                                    mask[y * 32 + x] = more = true;
            }
            ck_assert_int_eq(twice / 2, filled_area(mask, 32, options.connectivity));
            total += one.area;
        }
        for (int i = 0; i < 32 * 32; ++i)
            total -= (double)map[i] > 0.3 + 0.01 * round;
        ck_assert_int_eq(total, 0);
        imiad_regions_free(r);
    }
}
END_TEST

START_TEST(what_is_no_map_is_refused)
{
    const float map[2] = {0, NAN};
    imiad_regions_options options = IMIAD_REGIONS_OPTIONS_INIT;
    imiad_regions *r = NULL;
    ck_fails(imiad_regions_find(&r, map, 2, 1, 0.5, NULL), IMIAD_NOT_FINITE, "(1, 0)");
    ck_fails(imiad_regions_find(&r, map, 1, 1, (double)NAN, NULL), IMIAD_NOT_FINITE, "threshold");
    ck_fails(imiad_regions_find(&r, NULL, 1, 1, 0, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    options.connectivity = 6;
    ck_fails(imiad_regions_find(&r, map, 1, 1, 0, &options), IMIAD_OUT_OF_RANGE, "connectivity");
    ck_ok(imiad_regions_find(&r, map, 1, 1, 0.5, NULL));
    ck_assert_uint_eq(imiad_regions_count(r), 0);
    imiad_regions_free(r);
    imiad_regions_free(NULL);
}
END_TEST

SUITE("regions", TEST(regions_come_by_their_peaks_with_boxes_and_areas),
      TEST(corners_join_eight_connected_pixels_only),
      TEST(a_hole_is_no_part_of_a_regions_area_or_outline),
      TEST(outlines_enclose_what_a_flood_from_outside_leaves), TEST(what_is_no_map_is_refused))
