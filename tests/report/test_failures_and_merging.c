/* Cells that failed, and several stores that become one. */
#include "base/progress.h"
#include "cells.h"

typedef struct seen {
    int count;
    char message[128], category[32];
} seen;

static imiad_status see(void *user, const imiad_failed *failed)
{
    seen *s = user;
    ++s->count;
    snprintf(s->message, sizeof s->message, "%s", failed->message);
    snprintf(s->category, sizeof s->category, "%s", failed->cell->category);
    ck_assert(strlen(failed->time) == 20 && failed->library_version[0] != '\0');
    return IMIAD_OK;
}

static seen failures(const imiad_results *results, const imiad_results_filter *filter)
{
    seen s = {0};
    ck_ok(imiad_results_each_failure(results, filter, see, &s));
    return s;
}

START_TEST(a_failure_is_kept_with_its_message_and_is_no_result)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 0), other = made_up_cell("wood", 0);
    seen s = {0};
    ck_assert_int_eq(failures(results, NULL).count, 0);
    ck_ok(imiad_results_put_failure(results, &cell, "it went wrong"));
    ck_ok(imiad_results_put_failure(results, &cell, "it went wrong again"));
    ck_ok(imiad_results_show_failure(results, &cell, see, &s));
    ck_assert_str_eq(s.message, "it went wrong again");
    ck_assert_int_eq(failures(results, NULL).count, 1);
    ck_assert_int_eq(imiad_results_show_failure(results, &other, see, &s), IMIAD_NOT_FOUND);
    ck_assert_int_eq(has(results, &cell), 0);
    ck_assert_int_eq(cell_count(results), 0);
    imiad_results_filter filter = IMIAD_RESULTS_FILTER_INIT;
    filter.category = "wood";
    ck_assert_int_eq(failures(results, &filter).count, 0);
    filter.category = "bottle";
    ck_assert_int_eq(failures(results, &filter).count, 1);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_cell_that_finishes_has_not_failed_and_one_that_finished_cannot)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 0);
    ck_ok(imiad_results_put_failure(results, &cell, "once"));
    put_one(results, &cell, "image_auroc", 0.5);
    ck_assert_int_eq(failures(results, NULL).count, 0);
    ck_assert_int_eq(imiad_results_put_failure(results, &cell, "late"), IMIAD_WRONG_STATE);
    ck_assert_int_eq(has(results, &cell), 1);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_store_with_failures_is_opened_again_and_read)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 0);
    ck_ok(imiad_results_put_failure(results, &cell, "it went wrong"));
    imiad_results_free(results);
    ck_ok(imiad_results_open_to_read(&results, scratch_path("r.sqlite")));
    ck_assert_str_eq(failures(results, NULL).message, "it went wrong");
    ck_assert_int_eq(imiad_results_put_failure(results, &cell, "x"), IMIAD_WRONG_STATE);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(wrong_failures_are_refused)
{
    imiad_results *results = open_results("r.sqlite");
    imiad_cell cell = made_up_cell("bottle", 0);
    ck_assert_int_eq(imiad_results_put_failure(results, &cell, NULL), IMIAD_INVALID_ARGUMENT);
    ck_assert_int_eq(imiad_results_put_failure(results, &cell, "\xff"), IMIAD_INVALID_ARGUMENT);
    cell.setting = "";
    ck_assert_int_eq(imiad_results_put_failure(results, &cell, "x"), IMIAD_INVALID_ARGUMENT);
    ck_assert_int_eq(failures(results, NULL).count, 0);
    imiad_results_free(results);
    clean_up();
}
END_TEST

/* ---- merging ---- */

/* A store with a cell of a category for each seed from `first` on, whose value is the seed. */
static const char *made_store(char path[256], const char *name, const char *category,
                              uint64_t first, uint64_t count)
{
    imiad_results *results = open_results(name);
    strcpy(path, scratch_path(name));
    for (uint64_t seed = first; seed < first + count; ++seed) {
        imiad_cell cell = made_up_cell(category, seed);
        const char *const names[] = {"fit_seconds", "image_auroc", "pixel_auroc"};
        const double values[] = {clock_seconds(), (double)seed / 100, NAN};
        ck_ok(imiad_results_put(results, &cell, names, values, 3));
    }
    imiad_results_free(results);
    return path;
}

static void put_into(const char *path, const char *category, uint64_t seed, double value)
{
    imiad_results *results = NULL;
    imiad_cell cell = made_up_cell(category, seed);
    ck_ok(imiad_results_open(&results, path));
    put_one(results, &cell, "image_auroc", value);
    imiad_results_free(results);
}

static imiad_status sum_up(void *user, const imiad_finished *f)
{
    double *sum = user;
    for (size_t i = 0; i < f->count; ++i)
        if (strcmp(f->names[i], "image_auroc") == 0)
            *sum += f->values[i];
    return IMIAD_OK;
}

START_TEST(stores_become_one_in_which_nothing_is_twice)
{
    char a[256], b[256];
    const char *const paths[] = {made_store(a, "a.sqlite", "bottle", 0, 3),
                                 made_store(b, "b.sqlite", "bottle", 2, 3)};
    imiad_results *results = open_results("r.sqlite");
    double sum = 0;
    ck_ok(imiad_results_merge(results, paths, 2, NULL, NULL));
    ck_assert_int_eq(cell_count(results), 5); /* seed 2 is in both, with other costs */
    ck_ok(imiad_results_merge(results, paths, 2, NULL, NULL));
    ck_assert_int_eq(cell_count(results), 5);
    ck_ok(imiad_results_each(results, NULL, sum_up, &sum));
    ck_assert(fabs(sum - 0.1) < 1e-12);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_conflict_is_named_and_then_nothing_is_taken)
{
    char a[256], b[256];
    const char *const paths[] = {made_store(a, "a.sqlite", "bottle", 0, 3),
                                 made_store(b, "b.sqlite", "wood", 0, 2)};
    imiad_results *results = open_results("r.sqlite");
    put_into(b, "bottle", 1, 0.7);
    ck_assert_int_eq(imiad_results_merge(results, paths, 2, NULL, NULL), IMIAD_MISMATCH);
    ck_assert(strstr(imiad_last_error(), "bottle") && strstr(imiad_last_error(), "seed 1"));
    ck_assert(strstr(imiad_last_error(), "image_auroc") && strstr(imiad_last_error(), "b.sqlite"));
    ck_assert_int_eq(cell_count(results), 0);
    imiad_results_free(results);
    clean_up();
}
END_TEST

static imiad_status count_conflict(void *user, const imiad_finished *kept,
                                   const imiad_finished *brought, const char *path,
                                   const char *name)
{
    int *count = user;
    ck_assert_str_eq(name, "image_auroc");
    ck_assert(kept->cell->seed == brought->cell->seed && strstr(path, "b.sqlite"));
    ++*count;
    return IMIAD_OK;
}

START_TEST(conflicts_can_be_counted_and_the_first_cell_stays)
{
    char a[256], b[256];
    const char *const paths[] = {made_store(a, "a.sqlite", "bottle", 0, 3),
                                 made_store(b, "b.sqlite", "wood", 0, 2)};
    imiad_results *results = open_results("r.sqlite");
    int count = 0;
    double sum = 0;
    put_into(b, "bottle", 1, 0.7);
    put_into(b, "bottle", 2, 0.9);
    ck_ok(imiad_results_merge(results, paths, 2, count_conflict, &count));
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(cell_count(results), 5);
    ck_ok(imiad_results_each(results, NULL, sum_up, &sum));
    ck_assert(fabs(sum - 0.04) < 1e-12);
    imiad_results_free(results);
    clean_up();
}
END_TEST

START_TEST(a_failure_is_taken_unless_the_cell_finished_elsewhere)
{
    char a[256], b[256];
    const char *const paths[] = {made_store(a, "a.sqlite", "bottle", 0, 1),
                                 made_store(b, "b.sqlite", "wood", 0, 1)};
    const char *const back[] = {b, a};
    imiad_results *results = NULL, *merged = open_results("r.sqlite"),
                  *turned = open_results("t.sqlite");
    imiad_cell finished = made_up_cell("wood", 0), failed = made_up_cell("cable", 0);
    ck_ok(imiad_results_open(&results, a));
    ck_ok(imiad_results_put_failure(results, &finished, "failed here"));
    ck_ok(imiad_results_put_failure(results, &failed, "failed everywhere"));
    imiad_results_free(results);
    ck_ok(imiad_results_merge(merged, paths, 2, NULL, NULL));
    ck_ok(imiad_results_merge(turned, back, 2, NULL, NULL));
    imiad_results *const both[] = {merged, turned};
    for (int i = 0; i < 2; ++i) {
        seen s = failures(both[i], NULL);
        ck_assert_int_eq(s.count, 1);
        ck_assert_str_eq(s.category, "cable");
        ck_assert_str_eq(s.message, "failed everywhere");
        ck_assert_int_eq(cell_count(both[i]), 2);
        imiad_results_free(both[i]);
    }
    clean_up();
}
END_TEST

START_TEST(what_is_no_store_takes_nothing_along)
{
    char a[256];
    const char *const paths[] = {made_store(a, "a.sqlite", "bottle", 0, 2),
                                 "/nowhere/at/all.sqlite"};
    imiad_results *results = open_results("r.sqlite");
    ck_assert_int_eq(imiad_results_merge(results, paths, 2, NULL, NULL), IMIAD_NOT_FOUND);
    ck_assert(strstr(imiad_last_error(), "/nowhere/at/all.sqlite"));
    ck_assert_int_eq(cell_count(results), 0);
    imiad_results_free(results);
    clean_up();
}
END_TEST

SUITE("failures-and-merging", TEST(a_failure_is_kept_with_its_message_and_is_no_result),
      TEST(a_cell_that_finishes_has_not_failed_and_one_that_finished_cannot),
      TEST(a_store_with_failures_is_opened_again_and_read), TEST(wrong_failures_are_refused),
      TEST(stores_become_one_in_which_nothing_is_twice),
      TEST(a_conflict_is_named_and_then_nothing_is_taken),
      TEST(conflicts_can_be_counted_and_the_first_cell_stays),
      TEST(a_failure_is_taken_unless_the_cell_finished_elsewhere),
      TEST(what_is_no_store_takes_nothing_along))
