/* Making tensors, looking at them, drawing them; gradients that add up. */
#include "operand.h"

#include "base/random.h"
#include "check_suite.h"

START_TEST(tensors_are_made_and_read_in_every_type)
{
    static const struct {
        dtype type;
        size_t bytes;
    } types[] = {{F32, 4}, {F64, 8}, {F16, 2}, {BF16, 2}, {I64, 8}, {I32, 4}, {U8, 1}, {BOOL, 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; ++i) {
        dtype type = types[i].type;
        int64_t shape[] = {2, 3};
        uint8_t written[48], copy[48];
        scope s = scope_begin();
        tensor *eye = t_eye(3, type, CPU);
        ck_assert_int_eq(t_type(eye), type);
        ck_assert_double_eq(t_item(t_sum_all(t_to(eye, F64))), 3);
        ck_assert_double_eq(t_item(t_max_all(t_to(t_zeros(2, shape, type, CPU), F64))), 0);
        t_read(t_full(2, shape, 1, type, CPU), written, 6 * types[i].bytes);
        tensor *again = t_from(written, 2, shape, type, CPU);
        ck_assert_int_eq(t_type(again), type);
        ck_assert_double_eq(t_item(t_sum_all(t_to(again, F64))), 6);
        tensor *shared = t_view_of(written, 2, shape, type);
        ck_assert_ptr_eq(t_data(shared), written);
        t_zero_(shared);
        t_read(again, copy, 6 * types[i].bytes);
        ck_assert_double_eq(t_item(t_sum_all(t_to(again, F64))), 6);
        t_read(shared, copy, 6 * types[i].bytes);
        for (size_t b = 0; b < 6 * types[i].bytes; ++b)
            ck_assert_uint_eq(copy[b] | written[b], 0);
        ck_ok(scope_end(&s));
    }
}
END_TEST

START_TEST(looking_tells_shape_and_place)
{
    scope s = scope_begin();
    tensor *t = t_zeros(3, (int64_t[]){2, 0, 5}, I32, CPU);
    ck_assert_int_eq(t_rank(t), 3);
    ck_assert_int_eq(t_size(t, -1), 5);
    ck_assert_int_eq(t_size(t, 1), 0);
    ck_assert_int_eq(t_count(t), 0);
    ck_assert(!t_device(t).cuda);
    t_read(t, NULL, 0);
    ck_assert_int_eq(t_count(t_zeros(0, NULL, F32, CPU)), 1);
    ck_assert_double_eq(
        t_item(t_index_select(t_arange(5, F32, CPU), 0, t_full(1, (int64_t[]){1}, 3, I64, CPU))),
        3);
    ck_ok(scope_end(&s));
}
END_TEST

static void fail_size(tensor *t)
{
    t_size(t, 2);
}
static void fail_read(tensor *t)
{
    float few[3];
    t_read(t, few, sizeof few);
}
static void fail_data(tensor *t)
{
    t_data(t_transpose(t, 0, 1));
}
static void fail_item(tensor *t)
{
    t_item(t);
}
static void fail_from(tensor *t)
{
    t_from(NULL, 1, (int64_t[]){2}, F32, CPU);
}
static void fail_shape(tensor *t)
{
    t_zeros(1, (int64_t[]){-7}, F32, CPU);
}
static void fail_dropout(tensor *t)
{
    t_dropout(t, 1, true);
}
static void fail_leaf(tensor *t)
{
    scope s = scope_begin_grad();
    t_require_grad(t, true);
    tensor *sum = t_sum_all(t);
    t_require_grad(sum, false);
    scope_return(&s, NULL);
}

START_TEST(what_cannot_be_looked_at_is_told)
{
    static const struct {
        void (*attempt)(tensor *);
        imiad_status status;
        const char *text;
    } cases[] = {
        {fail_size, IMIAD_MISMATCH, "a tensor of rank 2 has no dimension 2"},
        {fail_read, IMIAD_MISMATCH, "read(f32[2,3]): the tensor has 24 bytes, its destination 12"},
        {fail_data, IMIAD_MISMATCH, "data(f32[3,2]): the tensor is not contiguous"},
        {fail_item, IMIAD_MISMATCH, "item(f32[2,3])"},
        {fail_from, IMIAD_INTERNAL, "the host memory is NULL"},
        {fail_shape, IMIAD_MISMATCH, "dimension 0 of the shape is -7"},
        {fail_dropout, IMIAD_OUT_OF_RANGE, "the probability is 1: it must be in 0..<1"},
        {fail_leaf, IMIAD_MISMATCH, "require_grad(f32[])"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        scope s = scope_begin();
        cases[i].attempt(t_zeros(2, (int64_t[]){2, 3}, F32, CPU));
        ck_fails(scope_end(&s), cases[i].status, cases[i].text);
    }
}
END_TEST

START_TEST(random_tensors_are_the_numbers_of_their_stream)
{
    enum { COUNT = 100000 }; /* several pieces, drawn side by side */
    static float uniform[COUNT], normal[COUNT], dropped[COUNT], again[COUNT];
    scope s = scope_begin();
    t_read(t_uniform(2, (int64_t[]){10, COUNT / 10}, -1, 3, 7, "a", CPU), uniform, sizeof uniform);
    t_read(t_normal(1, (int64_t[]){COUNT}, 5, 2, 7, "b", CPU), normal, sizeof normal);
    tensor *ones = t_full(1, (int64_t[]){COUNT}, 1, F32, CPU);
    t_seed(3, "dropout");
    t_read(t_dropout(ones, 0.25, true), dropped, sizeof dropped);
    t_seed(3, "dropout");
    t_read(t_dropout(ones, 0.25, true), again, sizeof again);
    ck_ok(scope_end(&s));
    random_stream a = random_open(7, "a"), b = random_open(7, "b");
    int kept = 0;
    for (int i = 0; i < COUNT; ++i) {
        ck_assert_float_eq(uniform[i], (float)random_between(&a, -1, 3));
        ck_assert_float_eq(normal[i], (float)(5 + 2 * random_normal(&b)));
        ck_assert_float_eq(dropped[i], again[i]);
        ck_assert(dropped[i] == 0 || dropped[i] == (float)(1 / 0.75));
        kept += dropped[i] != 0;
    }
    ck_assert_int_lt(abs(kept - 75000), 690); /* five standard deviations of a binomial */
}
END_TEST

START_TEST(batch_norm_moves_the_running_statistics_while_training)
{
    scope s = scope_begin();
    tensor *x[4];
    operands_make(x, "2,1,1,2: 1 2 3 6 | 1: 10 | 1: 20", F64);
    t_batch_norm(x[0], NULL, NULL, x[1], x[2], true, 0.1, 1e-5);
    /* mean 3; squares of the deviations 4 1 0 9, unbiased variance 14/3 */
    ck_assert_double_eq_tol(t_item(x[1]), 0.9 * 10 + 0.1 * 3, 1e-12);
    ck_assert_double_eq_tol(t_item(x[2]), 0.9 * 20 + 0.1 * 14 / 3, 1e-12);
    t_batch_norm(x[0], NULL, NULL, x[1], x[2], false, 0.1, 1e-5);
    ck_assert_double_eq_tol(t_item(x[1]), 9.3, 1e-12);
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(gradients_add_up_until_they_are_cleared)
{
    scope s = scope_begin_grad();
    tensor *w = t_full(1, (int64_t[]){1}, 3, F32, CPU);
    ck_assert_ptr_null(t_grad(w));
    t_clear_grad(w);
    t_require_grad(w, true);
    t_backward(t_sum_all(t_square(w)));
    t_backward(t_sum_all(t_square(w)));
    ck_assert_double_eq(t_item(t_grad(w)), 12);
    t_clear_grad(w);
    ck_assert_ptr_null(t_grad(w));
    t_add_(w, w, 1); /* in place, on a leaf: records nothing */
    ck_assert_double_eq(t_item(w), 6);
    t_backward(t_sum_all(t_mul(t_detach(w), w)));
    ck_assert_double_eq(t_item(t_grad(w)), 6);
    ck_ok(scope_end(&s));
    s = scope_begin_grad();
    t_backward(t_full(1, (int64_t[]){1}, 3, F32, CPU));
    ck_fails(scope_end(&s), IMIAD_MISMATCH, "backward(f32[1])");
}
END_TEST

/* ---- functions of one number, against their definitions ---- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double log_sigmoid(double x)
{
    return -log1p(exp(-x));
}
static double softplus(double x)
{
    return log1p(exp(x));
}
static double rsqrt(double x)
{
    return 1 / sqrt(x);
}
static double square(double x)
{
    return x * x;
}
static double negative(double x)
{
    return -x;
}
static double relu(double x)
{
    return x > 0 ? x : 0;
}
/* Hendrycks and Gimpel 2016: x times the normal distribution function */
static double gelu(double x)
{
    return x * 0.5 * (1 + erf(x / sqrt(2)));
}
static double silu(double x)
{
    return x * sigmoid(x);
}

static const struct unary {
    const char *name;
    tensor *(*apply)(tensor *);
    double (*reference)(double);
    double low, high;
} unary[] = {
    {"neg", t_neg, negative, -3, 3},
    {"abs", t_abs, fabs, -3, 3},
    {"square", t_square, square, -3, 3},
    {"sqrt", t_sqrt, sqrt, 0.1, 9},
    {"rsqrt", t_rsqrt, rsqrt, 0.1, 9},
    {"exp", t_exp, exp, -3, 3},
    {"log", t_log, log, 0.1, 9},
    {"log1p", t_log1p, log1p, -0.9, 9},
    {"sin", t_sin, sin, -4, 4},
    {"cos", t_cos, cos, -4, 4},
    {"tanh", t_tanh, tanh, -3, 3},
    {"atan", t_atan, atan, -3, 3},
    {"sigmoid", t_sigmoid, sigmoid, -5, 5},
    {"log_sigmoid", t_log_sigmoid, log_sigmoid, -5, 5},
    {"softplus", t_softplus, softplus, -5, 5},
    {"relu", t_relu, relu, -3, 3},
    {"gelu", t_gelu, gelu, -3, 3},
    {"silu", t_silu, silu, -5, 5},
};

enum { POINTS = 24 };

static double point(const struct unary *u, int i)
{
    return u->low + (u->high - u->low) * (i + 0.5) / POINTS; /* never 0, where some have a kink */
}

static bool unary_differs(const struct unary *u, char *what, size_t size)
{
    double at[POINTS], value[POINTS], slope[POINTS];
    for (int i = 0; i < POINTS; ++i)
        at[i] = point(u, i);
    scope s = scope_begin_grad();
    tensor *x = t_from(at, 1, (int64_t[]){POINTS}, F64, CPU);
    t_require_grad(x, true);
    tensor *y = u->apply(x);
    t_read(y, value, sizeof value);
    t_backward(t_sum_all(y));
    t_read(t_grad(x), slope, sizeof slope);
    if (scope_end(&s) != IMIAD_OK)
        return snprintf(what, size, "%s", imiad_last_error()) > 0;
    for (int i = 0; i < POINTS; ++i) {
        double expected = u->reference(at[i]), h = 1e-5;
        double rise = (u->reference(at[i] + h) - u->reference(at[i] - h)) / (2 * h);
        if (fabs(value[i] - expected) > 1e-14 * (1 + fabs(expected)) ||
            fabs(slope[i] - rise) > 1e-7 * (1 + fabs(rise)))
            return snprintf(what, size, "at %g: %.17g, slope %.9g, not %.17g, %.9g", at[i],
                            value[i], slope[i], expected, rise) > 0;
    }
    return false;
}

START_TEST(functions_of_one_number_follow_their_definitions)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof unary / sizeof *unary; ++i) {
        char what[400];
        if (unary_differs(&unary[i], what, sizeof what))
            printf("%s: %s\n", unary[i].name, what), ++wrong;
    }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

SUITE("bridge-tensors", TEST(functions_of_one_number_follow_their_definitions),
      TEST(tensors_are_made_and_read_in_every_type), TEST(looking_tells_shape_and_place),
      TEST(what_cannot_be_looked_at_is_told), TEST(random_tensors_are_the_numbers_of_their_stream),
      TEST(batch_norm_moves_the_running_statistics_while_training),
      TEST(gradients_add_up_until_they_are_cleared))
