/* The parameter store. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "nn/params.h"
#include "weights/weights.h"

static tensor *number(double value)
{
    return t_full(1, (int64_t[]){2}, value, F32, CPU);
}

/* a.weight = 1, a.bias = 2, b.weight = 3 (matrix), a.mean = 4 (a buffer) */
static params *small(void)
{
    params *p = NULL;
    ck_ok(params_create(&p));
    scope s = scope_begin();
    params_add(p, "a.weight", number(1), true);
    params_add(p, "a.bias", number(2), true);
    params_add(p, "b.weight", t_full(2, (int64_t[]){3, 2}, 3, F32, CPU), true);
    params_add(p, "a.mean", number(4), false);
    ck_ok(scope_end(&s));
    return p;
}

static double first(const params *p, const char *name)
{
    scope s = scope_begin();
    double value = t_item(t_max_all(params_find(p, name)->value));
    ck_ok(scope_end(&s));
    return value;
}

START_TEST(a_store_keeps_order_names_and_sizes)
{
    params *p = small();
    ck_assert_uint_eq(params_count(p), 4);
    ck_assert_str_eq(params_at(p, 2)->name, "b.weight");
    ck_assert_ptr_null(params_at(p, 4));
    ck_assert_ptr_null(params_find(p, "a"));
    ck_assert_int_eq(params_elements(p, false), 12);
    ck_assert_int_eq(params_elements(p, true), 10);
    ck_assert_uint_eq(params_bytes(p), 48);
    ck_assert(params_find(p, "a.mean")->buffer);
    ck_assert_uint_eq(t_live(), 4);
    params_free(p);
    params_free(NULL);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_store_owns_copies)
{
    params *p = small();
    scope s = scope_begin();
    tensor *initial = number(5);
    tensor *own = params_add(p, "c", initial, false);
    t_zero_(initial);
    ck_assert_double_eq(t_item(t_max_all(own)), 5);
    ck_assert_ptr_null(params_add(p, "c", initial, false));
    ck_fails(scope_end(&s), IMIAD_INTERNAL, "the parameter c is there already");
    ck_assert_uint_eq(params_count(p), 5);
    params_free(p);
}
END_TEST

static bool learns(const params *p, const char *name)
{
    scope s = scope_begin_grad();
    tensor *value = params_find(p, name)->value;
    tensor *loss = t_add(t_sum_all(t_square(value)), t_sum_all(params_find(p, "b.weight")->value));
    t_backward(loss);
    bool has = t_grad(value) != NULL;
    ck_ok(scope_end(&s));
    return has;
}

START_TEST(freezing_goes_by_prefix_and_leaves_buffers_alone)
{
    params *p = small();
    ck_assert(learns(p, "a.weight"));
    ck_assert_uint_eq(params_set_trainable(p, "a.", false), 2);
    ck_assert(!learns(p, "a.weight"));
    ck_assert(!params_find(p, "a.bias")->trainable);
    ck_assert_uint_eq(params_set_trainable(p, NULL, true), 3);
    ck_assert(learns(p, "a.weight"));
    ck_assert(!learns(p, "a.mean"));
    ck_assert(!params_find(p, "a.mean")->trainable);
    params_free(p);
}
END_TEST

START_TEST(clones_copies_and_averages)
{
    params *p = small(), *twin = NULL;
    ck_ok(params_clone(&twin, p));
    ck_assert(params_find(twin, "a.mean")->buffer);
    ck_assert(learns(twin, "a.weight"));
    scope s = scope_begin();
    t_fill_(params_find(p, "a.weight")->value, 9);
    t_fill_(params_find(p, "a.mean")->value, 8);
    ck_ok(scope_end(&s));
    ck_assert_double_eq(first(twin, "a.weight"), 1);
    ck_ok(params_average(twin, p, 0.75));
    ck_assert_double_eq(first(twin, "a.weight"), 3); /* 0.75 x 1 + 0.25 x 9 */
    ck_assert_double_eq(first(twin, "a.mean"), 8);
    ck_ok(params_copy(twin, p));
    ck_assert_double_eq(first(twin, "a.weight"), 9);
    params_free(twin);
    params_free(p);
}
END_TEST

START_TEST(stores_that_differ_are_not_copied)
{
    params *p = small(), *other = NULL;
    ck_ok(params_create(&other));
    scope s = scope_begin();
    params_add(other, "a.weight", number(7), true);
    ck_fails(params_copy(p, other), IMIAD_MISMATCH, "1 parameters does not fit one of 4");
    params_add(other, "a.bias", number(7), true);
    params_add(other, "b.weight", number(7), true);
    params_add(other, "x", number(7), true);
    ck_fails(params_copy(p, other), IMIAD_MISMATCH, "b.weight has another shape");
    ck_fails(params_average(other, p, 0.5), IMIAD_MISMATCH, "b.weight has another shape");
    ck_ok(scope_end(&s));
    ck_assert_double_eq(first(p, "a.weight"), 1);
    params_free(other);
    params_free(p);
}
END_TEST

START_TEST(a_store_moves_to_another_type_under_the_same_handles)
{
    params *p = small();
    scope s = scope_begin();
    params_add(p, "count", t_full(1, (int64_t[]){1}, 3, I64, CPU), false);
    ck_ok(scope_end(&s));
    tensor *scale = params_find(p, "a.weight")->value;
    ck_ok(params_to(p, BF16, CPU));
    ck_assert_ptr_eq(params_find(p, "a.weight")->value, scale);
    ck_assert_int_eq(t_type(scale), BF16);
    ck_assert_int_eq(t_type(params_find(p, "count")->value), I64);
    ck_ok(params_to(p, F64, CPU));
    ck_ok(params_to(p, (dtype)0, CPU));
    ck_assert_int_eq(t_type(scale), F64);
    ck_assert(learns(p, "a.weight"));
    params_free(p);
}
END_TEST

/* gradients 3 and 4 (twice each: elements equal), norm sqrt(2 x 9 + 2 x 16) */
START_TEST(gradients_are_clipped_to_a_common_norm)
{
    params *p = small();
    scope s = scope_begin_grad();
    tensor *scale = params_find(p, "a.weight")->value, *bias = params_find(p, "a.bias")->value;
    t_backward(t_add(t_mul_scalar(t_sum_all(scale), 3), t_mul_scalar(t_sum_all(bias), 4)));
    double norm = sqrt(50);
    ck_assert_double_eq_tol(params_clip_grad(p, 100), norm, 1e-12);
    ck_assert_double_eq(t_item(t_max_all(t_grad(bias))), 4);
    ck_assert_double_eq_tol(params_clip_grad(p, 1), norm, 1e-12);
    ck_assert_double_eq_tol(t_item(t_max_all(t_grad(bias))), 4 / norm, 1e-6);
    params_clear_grad(p);
    ck_assert_ptr_null(t_grad(bias));
    ck_ok(scope_end(&s));
    params_free(p);
}
END_TEST

/* More numbers than are squared at a time, and rows left over. */
START_TEST(every_row_of_a_large_gradient_counts)
{
    enum { ROWS = 301, COLUMNS = 401 };
    params *p;
    double square = 0, *values = malloc(ROWS * COLUMNS * sizeof *values);
    for (int i = 0; i < ROWS * COLUMNS; ++i) {
        values[i] = i % 1000 / 1000.0 - 0.3;
        square += values[i] * values[i];
    }
    ck_ok(params_create(&p));
    scope s = scope_begin_grad();
    const int64_t shape[] = {ROWS, COLUMNS};
    tensor *learned = params_add(p, "weight", t_zeros(2, shape, F64, CPU), true);
    t_backward(t_sum_all(t_mul(learned, t_from(values, 2, shape, F64, CPU))));
    ck_assert_double_eq_tol(params_clip_grad(p, 1), sqrt(square), 1e-9);
    ck_ok(scope_end(&s));
    free(values);
    params_free(p);
}
END_TEST

static void save(const params *p, const char *prefix, const char *path)
{
    weights_writer *w = NULL;
    ck_ok(weights_writer_create(&w));
    scope s = scope_begin();
    ck_ok(params_save(p, prefix, w));
    ck_ok(weights_writer_commit(w, path));
    ck_ok(scope_end(&s));
    weights_writer_free(w);
}

START_TEST(what_is_saved_loads_again)
{
    char path[] = "/tmp/imiad-params-XXXXXX";
    close(mkstemp(path));
    params *p = small(), *other = NULL;
    ck_ok(params_clone(&other, p));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(other); ++i)
        t_zero_(params_at(other, i)->value);
    /* rows of a transposed matrix lie apart in memory */
    tensor *apart =
        t_transpose(t_from((float[]){1, 2, 3, 4, 5, 6}, 2, (int64_t[]){2, 3}, F32, CPU), 0, 1);
    t_become_(params_find(p, "b.weight")->value, apart);
    ck_ok(scope_end(&s));
    save(p, "net.", path);
    weights *w = NULL;
    ck_ok(weights_open(&w, path));
    ck_ok(params_to(other, F64, CPU)); /* loading converts */
    ck_ok(params_load(other, w, "net.", PARAMS_EXACT));
    double expected[] = {1, 4, 2, 5, 3, 6}, got[6];
    s = scope_begin();
    t_read(params_find(other, "b.weight")->value, got, sizeof got);
    ck_ok(scope_end(&s));
    ck_assert_mem_eq(got, expected, sizeof got);
    ck_assert_double_eq(first(other, "a.mean"), 4);
    weights_free(w);
    unlink(path);
    params_free(other);
    params_free(p);
}
END_TEST

START_TEST(a_file_that_does_not_fit_is_told_and_changes_nothing)
{
    char path[] = "/tmp/imiad-params-XXXXXX";
    close(mkstemp(path));
    params *p = small(), *file = NULL;
    ck_ok(params_create(&file));
    scope s = scope_begin();
    params_add(file, "a.weight", number(7), true);
    params_add(file, "b.weight", t_full(2, (int64_t[]){2, 2}, 7, F32, CPU), true);
    params_add(file, "fc.weight", number(7), true);
    params_add(file, "bn.num_batches_tracked", t_full(0, NULL, 7, I64, CPU), false);
    ck_ok(scope_end(&s));
    save(file, "", path);
    weights *w = NULL;
    ck_ok(weights_open(&w, path));
    ck_fails(params_load(p, w, NULL, PARAMS_EXACT), IMIAD_MISMATCH,
             "the weights do not fit: 2 missing: a.bias, a.mean; 1 of another shape: b.weight is "
             "[2,2], not [3,2]; 1 unexpected: fc.weight");
    ck_fails(params_load(p, w, NULL, PARAMS_EXTRA_ALLOWED), IMIAD_MISMATCH, "b.weight is [2,2]");
    ck_assert_double_eq(first(p, "a.weight"), 1);
    ck_assert(strstr(imiad_last_error(), "unexpected") == NULL);
    ck_fails(params_load(p, w, "net.", PARAMS_EXACT), IMIAD_MISMATCH,
             "4 missing: net.a.weight, net.a.bias, net.b.weight, net.a.mean");
    ck_ok(params_load(p, w, "net.", PARAMS_MISSING_ALLOWED));
    params *less = NULL;
    ck_ok(params_create(&less));
    s = scope_begin();
    params_add(less, "a.weight", number(1), true);
    params_add(less, "a.bias", number(2), true);
    ck_ok(scope_end(&s));
    ck_ok(params_load(less, w, NULL, PARAMS_MISSING_ALLOWED | PARAMS_EXTRA_ALLOWED));
    ck_assert_double_eq(first(less, "a.weight"), 7);
    ck_assert_double_eq(first(less, "a.bias"), 2);
    weights_free(w);
    unlink(path);
    params_free(less);
    params_free(file);
    params_free(p);
}
END_TEST

SUITE("params", TEST(a_store_keeps_order_names_and_sizes), TEST(a_store_owns_copies),
      TEST(freezing_goes_by_prefix_and_leaves_buffers_alone), TEST(clones_copies_and_averages),
      TEST(stores_that_differ_are_not_copied),
      TEST(a_store_moves_to_another_type_under_the_same_handles),
      TEST(gradients_are_clipped_to_a_common_norm), TEST(every_row_of_a_large_gradient_counts),
      TEST(what_is_saved_loads_again), TEST(a_file_that_does_not_fit_is_told_and_changes_nothing))
