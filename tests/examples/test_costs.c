/* What a cell will cost is computed from what finished cells took. The seconds are made up. */
#include "check_suite.h"

#include "benchmark/cost_model.h"

#include <math.h>
#include <string.h>

static plan_dataset bottles = {.name = "bottles", .type = "mvtec_ad"};
static plan_dataset tiles = {.name = "tiles", .type = "mtd"};

/* A job of kind 7 on bottles, with one thread. */
static job one_job(size_t train, size_t test)
{
    return (job){.dataset = &bottles,
                 .category = "bottle",
                 .cells = 1,
                 .kind = 7,
                 .train_images = train,
                 .test_images = test};
}

static cost_sample sample_of(const char *dataset, double train, double fit, double image)
{
    cost_sample s = {.kind = 7,
                     .threads = 1,
                     .train_images = train,
                     .fit_seconds = fit,
                     .seconds_per_image = image,
                     .peak_bytes = 1e9};
    snprintf(s.dataset, sizeof s.dataset, "%s", dataset);
    return s;
}

static double seconds(const cost_model *m, const job *of)
{
    cost c;
    ck_assert_int_eq(cost_of(&c, m, of, 1), 1);
    return c.seconds;
}

#define ck_about(found, expected)                                                                  \
    ck_assert_msg(fabs((found) / (expected)-1) < 1e-9, "%.9g is not %.9g", found, expected)

START_TEST(a_fit_takes_time_in_proportion_to_its_images_where_one_size_was_measured)
{
    cost_sample s = sample_of("mvtec_ad", 200, 10, 0.5);
    cost_model m = {.samples = &s, .count = 1, .start_seconds = 2};
    job same = one_job(200, 40), more = one_job(600, 40);
    ck_about(seconds(&m, &same), 2 + 10 + 40 * 0.5);
    ck_about(seconds(&m, &more), 2 + 30 + 40 * 0.5);
}
END_TEST

START_TEST(the_exponent_is_fitted_where_two_sizes_were_measured)
{
    /* 0.01 n^1.5 to fit; an image takes 0.01 n^0.5 */
    cost_sample s[] = {sample_of("mvtec_ad", 100, 10, 0.1), sample_of("mvtec_ad", 400, 80, 0.2)};
    cost_model m = {.samples = s, .count = 2};
    job between = one_job(225, 10), beyond = one_job(900, 10);
    ck_about(seconds(&m, &between), 33.75 + 10 * 0.15);
    ck_about(seconds(&m, &beyond), 270.0 + 10 * 0.3);
}
END_TEST

/* What noise makes of nearly equal sizes is no exponent. */
START_TEST(sizes_that_are_about_the_same_give_their_mean)
{
    cost_sample s[] = {sample_of("mvtec_ad", 200, 8, 0.5), sample_of("mvtec_ad", 200, 18, 0.5)};
    cost_model m = {.samples = s, .count = 2};
    job same = one_job(200, 0), more = one_job(800, 0);
    ck_about(seconds(&m, &same), 12.0); /* the geometric one */
    ck_about(seconds(&m, &more), 48.0);
}
END_TEST

START_TEST(an_exponent_stays_between_nothing_and_the_square)
{
    cost_sample falling[] = {sample_of("mvtec_ad", 100, 20, 1), sample_of("mvtec_ad", 400, 5, 1)};
    cost_sample steep[] = {sample_of("mvtec_ad", 100, 1, 1), sample_of("mvtec_ad", 200, 16, 1)};
    cost_model m = {.samples = falling, .count = 2};
    job more = one_job(4000, 0);
    ck_about(seconds(&m, &more), 10.0);
    m.samples = steep; /* about 4 s at 141 images; then with their square */
    ck_about(seconds(&m, &more), 4.0 * pow(4000 / sqrt(100.0 * 200), 2));
}
END_TEST

START_TEST(the_closest_samples_count_alone)
{
    cost_sample s[] = {sample_of("mtd", 100, 50, 1), sample_of("mvtec_ad", 100, 10, 1),
                       sample_of("mvtec_ad", 100, 99, 1)};
    cost_model m = {.samples = s, .count = 2};
    job own = one_job(100, 0), other = own, stranger = own;
    other.dataset = &tiles;
    ck_about(seconds(&m, &own), 10.0);
    ck_about(seconds(&m, &other), 50.0);
    s[2].threads = 2; /* measured with other threads: it counts less */
    m.count = 3;
    ck_about(seconds(&m, &own), 10.0);
    stranger.kind = 8;
    cost c;
    ck_assert_int_eq(cost_of(&c, &m, &stranger, 1), 0);
}
END_TEST

START_TEST(a_sequence_fits_each_task_and_tests_all_that_it_has_met)
{
    cost_sample s = sample_of("mvtec_ad", 100, 10, 0.5);
    cost_model m = {.samples = &s, .count = 1, .start_seconds = 1};
    job sequence = one_job(300, 60); /* of three tasks: 100 to learn and 20 to test each */
    sequence.category = NULL;
    sequence.cells = 3;
    ck_about(seconds(&m, &sequence), 1 + 3 * 10 + 0.5 * 20 * (1 + 2 + 3));
}
END_TEST

START_TEST(memory_is_that_of_the_largest_sample_and_grows_with_many_more_images)
{
    cost_sample s[] = {sample_of("mvtec_ad", 100, 1, 1), sample_of("mvtec_ad", 100, 1, 1)};
    cost_model m = {.samples = s, .count = 2};
    job same = one_job(100, 1), more = one_job(1100, 1);
    cost c;
    s[1].peak_bytes = 2e9;
    ck_assert_int_eq(cost_of(&c, &m, &same, 1), 1);
    ck_about(c.bytes, 2e9);
    ck_assert_int_eq(cost_of(&c, &m, &more, 1), 1);
    ck_about(c.bytes, 4e9);
}
END_TEST

SUITE("costs", TEST(a_fit_takes_time_in_proportion_to_its_images_where_one_size_was_measured),
      TEST(the_exponent_is_fitted_where_two_sizes_were_measured),
      TEST(sizes_that_are_about_the_same_give_their_mean),
      TEST(an_exponent_stays_between_nothing_and_the_square), TEST(the_closest_samples_count_alone),
      TEST(a_sequence_fits_each_task_and_tests_all_that_it_has_met),
      TEST(memory_is_that_of_the_largest_sample_and_grows_with_many_more_images))
