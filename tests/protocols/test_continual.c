/* Average accuracy and forgetting over the continual setting's matrix. */
#include <math.h>
#include <string.h>

#include "check_suite.h"
#include "imiad/continual.h"

#define X NAN /* above the diagonal: never read */

/* By hand: ACC = (.85 + .70 + .97) / 3, f = (.95 - .85, .90 - .70), FM = .30 / 2, published .30
 * / 3. */
static const double forgetful[9] = {.95, X, X, .80, .90, X, .85, .70, .97};
/* By hand: the best moment of task 0 is after task 1: f = (.70 - .65, .80 - .85), FM = 0. Against
 * the diagonal it would be (-.05, -.05). */
static const double learning[9] = {.60, X, X, .70, .80, X, .65, .85, .90};

static double average(const double *matrix, size_t tasks)
{
    double value = NAN;
    ck_ok(imiad_continual_average(&value, matrix, tasks));
    return value;
}

static double forgetting(const double *matrix, size_t tasks, size_t task)
{
    double value = NAN;
    ck_ok(imiad_continual_forgetting(&value, matrix, tasks, task));
    return value;
}

static double measure(const double *matrix, size_t tasks, imiad_forgetting_form form)
{
    double value = NAN;
    ck_ok(imiad_continual_forgetting_measure(&value, matrix, tasks, form));
    return value;
}

START_TEST(the_worked_examples_come_out)
{
    ck_assert_double_eq_tol(average(forgetful, 3), 0.84, 1e-12);
    ck_assert_double_eq_tol(forgetting(forgetful, 3, 0), 0.10, 1e-12);
    ck_assert_double_eq_tol(forgetting(forgetful, 3, 1), 0.20, 1e-12);
    ck_assert_double_eq_tol(measure(forgetful, 3, IMIAD_FORGETTING_STANDARD), 0.15, 1e-12);
    ck_assert_double_eq_tol(measure(forgetful, 3, IMIAD_FORGETTING_PUBLISHED), 0.10, 1e-12);
    ck_assert_double_eq_tol(average(learning, 3), 0.80, 1e-12);
    ck_assert_double_eq_tol(forgetting(learning, 3, 0), 0.05, 1e-12);
    ck_assert_double_eq_tol(forgetting(learning, 3, 1), -0.05, 1e-12);
    ck_assert_double_eq_tol(measure(learning, 3, IMIAD_FORGETTING_STANDARD), 0, 1e-12);
}
END_TEST

/* 14 / 15 for MVTec AD's tasks, 5 / 6 for MPDD's. */
START_TEST(the_published_form_divides_by_one_task_more)
{
    double matrix[15 * 15];
    for (size_t tasks = 2; tasks <= 15; ++tasks) {
        for (size_t i = 0; i < tasks * tasks; ++i)
            matrix[i] = fmod(0.618034 * (double)(i + 1), 1);
        double standard = measure(matrix, tasks, IMIAD_FORGETTING_STANDARD);
        double published = measure(matrix, tasks, IMIAD_FORGETTING_PUBLISHED);
        ck_assert_double_eq_tol(published, standard * (double)(tasks - 1) / (double)tasks, 1e-12);
    }
}
END_TEST

START_TEST(forgetting_is_signed_and_looks_at_no_later_moment_than_the_last_but_one)
{
    const double better[4] = {.5, X, .9, .8};
    ck_assert_double_eq_tol(forgetting(better, 2, 0), -0.4, 1e-12);
    ck_assert_double_eq_tol(measure(better, 2, IMIAD_FORGETTING_PUBLISHED), -0.2, 1e-12);
}
END_TEST

START_TEST(one_task_has_an_average_and_cannot_be_forgotten)
{
    const double one[1] = {.9};
    double value = 7;
    ck_assert_double_eq(average(one, 1), .9);
    ck_fails(imiad_continual_forgetting(&value, one, 1, 0), IMIAD_UNDEFINED, "the last task, 0");
    ck_fails(imiad_continual_forgetting_measure(&value, one, 1, IMIAD_FORGETTING_PUBLISHED),
             IMIAD_UNDEFINED, "single task");
    ck_assert_double_eq(value, 7);
}
END_TEST

START_TEST(a_missing_value_leaves_undefined_what_needs_it)
{
    double matrix[9], value = 7;
    memcpy(matrix, forgetful, sizeof matrix);
    matrix[3] = NAN; /* task 0 after task 1 */
    ck_fails(imiad_continual_forgetting(&value, matrix, 3, 0), IMIAD_UNDEFINED,
             "no value on task 0 after task 1");
    ck_fails(imiad_continual_forgetting_measure(&value, matrix, 3, IMIAD_FORGETTING_STANDARD),
             IMIAD_UNDEFINED, "no value on task 0");
    ck_assert_double_eq_tol(forgetting(matrix, 3, 1), 0.20, 1e-12);
    ck_assert_double_eq_tol(average(matrix, 3), 0.84, 1e-12);
    matrix[8] = NAN;
    ck_fails(imiad_continual_average(&value, matrix, 3), IMIAD_UNDEFINED, "task 2 after task 2");
    ck_assert_double_eq_tol(forgetting(matrix, 3, 1), 0.20, 1e-12);
    matrix[7] = INFINITY;
    ck_fails(imiad_continual_forgetting(&value, matrix, 3, 1), IMIAD_NOT_FINITE, "infinite");
    ck_assert_double_eq(value, 7);
}
END_TEST

START_TEST(arguments_are_checked)
{
    double value;
    ck_fails(imiad_continual_average(NULL, forgetful, 3), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_continual_average(&value, NULL, 3), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_continual_average(&value, forgetful, 0), IMIAD_INVALID_ARGUMENT, "no tasks");
    ck_fails(imiad_continual_forgetting(&value, forgetful, 3, 3), IMIAD_OUT_OF_RANGE, "3 of 3");
    ck_fails(imiad_continual_forgetting(&value, forgetful, 3, 2), IMIAD_UNDEFINED, "last task");
    ck_fails(imiad_continual_forgetting_measure(&value, forgetful, 3, (imiad_forgetting_form)3),
             IMIAD_INVALID_ARGUMENT, "3 is no form");
}
END_TEST

SUITE("continual", TEST(the_worked_examples_come_out),
      TEST(the_published_form_divides_by_one_task_more),
      TEST(forgetting_is_signed_and_looks_at_no_later_moment_than_the_last_but_one),
      TEST(one_task_has_an_average_and_cannot_be_forgotten),
      TEST(a_missing_value_leaves_undefined_what_needs_it), TEST(arguments_are_checked))
