/* The multiset of normal scores, held against a sorted array; the regions of a mask; large counts.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/threads.h"
#include "check_suite.h"
#include "metrics/ranking.h"
#include "metrics/regions.h"
#include "metrics/scores.h"

enum { LANES = 4, EACH = 500000, ALL = LANES * EACH };

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

START_TEST(keys_order_as_scores_do)
{
    static const float order[] = {-INFINITY, -3.4e38f, -1,    -1e-38f, -1e-45f, 0,
                                  1e-45f,    1e-38f,   0.99f, 1,       3.4e38f, INFINITY};
    for (size_t i = 0; i < sizeof order / sizeof *order; ++i) {
        ck_assert(key_score(score_key(order[i])) == order[i]);
        ck_assert(i == 0 || score_key(order[i - 1]) < score_key(order[i]));
    }
    ck_assert_uint_eq(score_key(-0.0f), score_key(0.0f));
    ck_assert(!signbit(key_score(score_key(-0.0f))));
}
END_TEST

/* Few pages and many scores a key (wraps and carries), one page (counts), wide (lists), all equal.
 */
static void draw_scores(float *scores, int kind)
{
    random_stream r = random_open((uint64_t)kind, "test/scores");
    for (size_t i = 0; i < ALL; ++i) {
        uint32_t bits = random_u32(&r);
        scores[i] = kind == 0   ? (float)(bits % 1000) * 0x1p-23f + 1
                    : kind == 1 ? 1 + (float)(bits % 60000) * 0x1p-23f
                    : kind == 2 ? ldexpf(1 + (float)(bits % 4096) / 4096, (int)(bits >> 25) - 64)
                                : (bits % 1000 ? 0.0f : -0.0f);
        if (kind == 2 && bits & 0x1000000)
            scores[i] = -scores[i];
    }
}

typedef struct lane_work {
    score_set *set;
    const float *scores;
    bool good[LANES];
} lane_work;

static void add_lane(void *context, size_t begin, size_t end)
{
    lane_work *work = context;
    for (size_t lane = begin; lane < end; ++lane)
        work->good[lane] = score_set_add(work->set, lane, work->scores + lane * EACH, EACH);
}

/* Every 97th distinct score, and places between scores. */
static void compare_walks(score_set *set, const float *sorted)
{
    page_walk walk = {0};
    uint64_t before = 0;
    size_t i = 0, looks = 0;
    for (uint32_t page = 0; page < PAGE_COUNT; ++page) {
        uint64_t total = score_set_page_total(set, page), below;
        if (total > 0)
            ck_assert(page_walk_begin(&walk, set, page));
        for (size_t next; i < before + total; i = next) {
            uint32_t key = score_key(sorted[i]);
            ck_assert_uint_eq(key >> 16, page);
            for (next = i + 1; next < ALL && score_key(sorted[next]) == key; ++next)
                ;
            if (looks++ % 97 != 0)
                continue;
            ck_assert_uint_eq(page_walk_to(&below, &walk, key & 0xffff), next - i);
            ck_assert_uint_eq(before + below, i);
        }
        before += total;
    }
    ck_assert_uint_eq(before, ALL);
    page_walk_free(&walk);
}

static void compare_ranks(score_set *set, const float *sorted)
{
    enum { RANKS = 1000 };
    uint64_t ranks[RANKS];
    uint32_t keys[RANKS];
    for (uint64_t i = 0; i < RANKS; ++i)
        ranks[i] = i < 10 ? i : (uint64_t)(ALL - 1) * i / (RANKS - 1);
    ck_ok(score_set_select(keys, set, ranks, RANKS));
    for (size_t i = 0; i < RANKS; ++i)
        ck_assert_uint_eq(keys[i], score_key(sorted[ranks[i]]));
}

START_TEST(the_multiset_counts_like_a_sorted_array)
{
    float *scores = malloc(ALL * sizeof *scores);
    draw_scores(scores, _i);
    score_set *set = NULL;
    ck_ok(score_set_create(&set));
    ck_ok(score_set_open_lanes(set, LANES));
    lane_work work = {set, scores, {0}};
    imiad_set_threads(LANES);
    parallel_for(LANES, 1, add_lane, &work);
    for (int i = 0; i < LANES; ++i)
        ck_assert(work.good[i]);
    ck_assert_uint_eq(score_set_total(set), ALL);
    qsort(scores, ALL, sizeof *scores, ascending);
    compare_ranks(set, scores);
    compare_walks(set, scores);
    compare_walks(set, scores); /* looking changes nothing */
    compare_ranks(set, scores);
    score_set_free(set);
    free(scores);
}
END_TEST

/* Adding after a look: what was counted stays, what comes is added. */
START_TEST(a_multiset_may_grow_after_it_was_looked_at)
{
    enum { SOME = 40000 };
    float *scores = malloc(ALL * sizeof *scores);
    draw_scores(scores, 0);
    score_set *set = NULL;
    ck_ok(score_set_create(&set));
    ck_ok(score_set_open_lanes(set, 1));
    page_walk walk = {0};
    uint64_t below, seen = 0;
    for (size_t done = 0; done < 5 * SOME; done += SOME) {
        ck_assert(score_set_add(set, 0, scores + done, SOME));
        ck_assert(page_walk_begin(&walk, set, score_key(1) >> 16));
        seen = page_walk_to(&below, &walk, 999) + below;
        ck_assert_uint_eq(seen, done + SOME);
    }
    page_walk_free(&walk);
    score_set_free(set);
    free(scores);
}
END_TEST

/* A carry of 2^25 is 2^33 scores: more than 32 bits hold. */
START_TEST(counts_of_a_key_pass_32_bits)
{
    static uint8_t counts[PAGE_KEYS];
    static uint32_t sums[PAGE_WORDS];
    uint64_t carries[] = {UINT64_C(5) << 48 | 1 << 25, UINT64_C(70) << 48 | 3}, below;
    counts[5] = 7;
    counts[6] = 1;
    for (int i = 1; i < PAGE_WORDS; ++i)
        sums[i] = 8;
    page_walk walk = {
        .counts = counts, .below = sums, .carries = carries, .carries_end = carries + 2};
    ck_assert_uint_eq(page_walk_to(&below, &walk, 5), (UINT64_C(1) << 33) + 7);
    ck_assert_uint_eq(below, 0);
    ck_assert_uint_eq(page_walk_to(&below, &walk, 6), 1);
    ck_assert_uint_eq(below, (UINT64_C(1) << 33) + 7);
    ck_assert_uint_eq(page_walk_to(&below, &walk, 70), 768);
    ck_assert_uint_eq(below, (UINT64_C(1) << 33) + 8);
}
END_TEST

/* Three groups of billions: AUROC = (p2 (n1 + n2/2) + p3 (n1 + n2 + n3/2)) / (P N), by hand. */
START_TEST(rankings_of_billions_are_exact)
{
    const uint64_t giga = 1000000000;
    ranking r = ranking_begin(6 * giga, 20 * giga);
    const tie_group groups[] = {{.score = 2,
                                 .positives = 2 * giga,
                                 .negatives = 4 * giga,
                                 .positives_below = 0,
                                 .negatives_below = 10 * giga},
                                {.score = 3,
                                 .positives = 4 * giga,
                                 .negatives = 6 * giga,
                                 .positives_below = 2 * giga,
                                 .negatives_below = 14 * giga}};
    ranking_add(&r, groups, 2);
    double value, threshold;
    ck_ok(ranking_auroc(&value, &r, "pixel"));
    ck_assert_double_eq(value, (2 * 12.0 + 4 * 17.0) / 120);
    ck_ok(ranking_ap(&value, &r, "pixel"));
    ck_assert_double_eq_tol(value, (4 * (4 / 10.0) + 2 * (6 / 16.0)) / 6, 1e-15);
    ck_ok(ranking_f1max(&value, &threshold, &r, "pixel"));
    ck_assert_double_eq_tol(value, 2 * 6 / 22.0, 1e-15); /* the other: 2 4 / 16 */
    ck_assert_double_eq(threshold, 2);
}
END_TEST

/* A comb whose teeth join only in the last row, a ring, and a corner. */
START_TEST(regions_join_late_and_count_their_pixels)
{
    static const char *rows[] = {
        "1010101000000000000011111", /* long rows cross the words that are read at once */
        "1010101000000000000010001", "1010101011111111111110001", "1010101000000000000010001",
        "1111111000000000000011111", "0000000100000000000000000"};
    uint8_t pixels[6 * 25];
    for (int i = 0; i < 6 * 25; ++i)
        pixels[i] = rows[i / 25][i % 25] == '1' ? (uint8_t)(i + 1) : 0;
    imiad_image mask = {sizeof mask, IMIAD_PIXEL_GRAY8, 25, 6, 25, pixels};
    mask_regions found = {0};
    ck_ok(regions_find(&found, &mask, 8));
    ck_assert_uint_eq(found.region_count, 2);
    ck_assert_uint_eq(found.areas[0], 4 * 4 + 7 + 1);
    ck_assert_uint_eq(found.areas[1], 16 + 12);
    ck_ok(regions_find(&found, &mask, 4));
    ck_assert_uint_eq(found.region_count, 3);
    ck_assert_uint_eq(found.areas[0], 4 * 4 + 7);
    ck_assert_uint_eq(found.areas[2], 1);
    regions_free(&found);
}
END_TEST

SUITE("metrics-scores", TEST(keys_order_as_scores_do),
      LOOP_TEST(the_multiset_counts_like_a_sorted_array, 4),
      TEST(a_multiset_may_grow_after_it_was_looked_at), TEST(counts_of_a_key_pass_32_bits),
      TEST(rankings_of_billions_are_exact), TEST(regions_join_late_and_count_their_pixels))
