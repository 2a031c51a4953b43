/* Every operation: a value by hand, a shape that must be refused, a gradient against central
 * differences. */
#include "operand.h"

#include "base/random.h"
#include "check_suite.h"

typedef tensor *(*operator)(tensor **x);

#define OP(name, expression)                                                                       \
    static tensor *op_##name(tensor **x)                                                           \
    {                                                                                              \
        return expression;                                                                         \
    }
#define IN_PLACE(name, statement)                                                                  \
    static tensor *op_##name(tensor **x)                                                           \
    {                                                                                              \
        tensor *a = t_clone(x[0]);                                                                 \
        statement;                                                                                 \
        return a;                                                                                  \
    }

OP(add, t_add(x[0], x[1]))
OP(sub, t_sub(x[0], x[1]))
OP(mul, t_mul(x[0], x[1]))
OP(div, t_div(x[0], x[1]))
OP(minimum, t_minimum(x[0], x[1]))
OP(maximum, t_maximum(x[0], x[1]))
OP(cube, t_pow(x[0], 3))
OP(add_scalar, t_add_scalar(x[0], 2.5))
OP(add_whole, t_add_scalar(x[0], 2))
OP(mul_scalar, t_mul_scalar(x[0], -2))
OP(div_scalar, t_div_scalar(x[0], -2))
OP(clamp, t_clamp(x[0], 0, 1))
OP(clamp_low, t_clamp(x[0], 0, INFINITY))
OP(clamp_high, t_clamp(x[0], -INFINITY, 1))
OP(clamp_open, t_clamp(x[0], -INFINITY, INFINITY))
OP(leaky_relu, t_leaky_relu(x[0], 0.1))
OP(relu6, t_relu6(x[0]))
OP(hardswish, t_hardswish(x[0]))
OP(hardsigmoid, t_hardsigmoid(x[0]))
OP(erfinv, t_erfinv(x[0]))
OP(elu, t_elu(x[0], 2))
OP(softmax, t_softmax(x[0], 1))
OP(log_softmax, t_log_softmax(x[0], -1))
OP(gt, t_gt(x[0], x[1]))
OP(ge, t_ge(x[0], x[1]))
OP(eq, t_eq(x[0], x[1]))
OP(gt_scalar, t_gt_scalar(x[0], 2))
OP(lt_scalar, t_lt_scalar(x[0], 2))
OP(eq_scalar, t_eq_scalar(x[0], 2))
OP(logical_not, t_logical_not(x[0]))
OP(logical_and, t_logical_and(x[0], x[1]))
OP(where, t_where(x[0], x[1], x[2]))
OP(plus, t_plus(t_plus(NULL, x[0]), x[1]))
OP(times, t_times(t_times(NULL, x[0]), x[1]))
OP(relu_, t_relu_(t_clone(x[0])))
OP(cumsum, t_cumsum(x[0], 1))

IN_PLACE(copy_, t_copy_(a, x[1]))
IN_PLACE(zero_, t_zero_(a))
IN_PLACE(fill_, t_fill_(a, 7))
IN_PLACE(add_, t_add_(a, x[1], 2))
IN_PLACE(add_scalar_, t_add_scalar_(a, 3))
IN_PLACE(mul_, t_mul_(a, 3))
IN_PLACE(div_, t_div_(a, 4))
IN_PLACE(lerp_, t_lerp_(a, x[1], 0.25))
IN_PLACE(addcmul_, t_addcmul_(a, x[1], x[2], 2))
IN_PLACE(addcdiv_, t_addcdiv_(a, x[1], x[2], 2))

OP(sum, t_sum(x[0], 1, false))
OP(sum_keep, t_sum(x[0], -1, true))
OP(mean, t_mean(x[0], 1, false))
OP(var, t_var(x[0], 1, true, false))
OP(var_biased, t_var(x[0], 1, false, true))
OP(std, t_std(x[0], 1, true, false))
OP(amax, t_amax(x[0], 1, false))
OP(amin, t_amin(x[0], 1, true))
OP(argmax, t_argmax(x[0], 1))
OP(argmin, t_argmin(x[0], 1))
OP(norm1, t_norm(x[0], 1, 1, false))
OP(norm2, t_norm(x[0], 2, 1, true))
OP(norm_inf, t_norm(x[0], INFINITY, 1, false))
OP(logsumexp, t_logsumexp(x[0], 1, false))
OP(sum_all, t_sum_all(x[0]))
OP(mean_all, t_mean_all(x[0]))
OP(max_all, t_max_all(x[0]))
OP(normalize, t_normalize(x[0], 1))

OP(view, t_view(x[0], 2, (int64_t[]){3, -1}))
OP(view_of_transposed, t_view(t_transpose(x[0], 0, 1), 1, (int64_t[]){6}))
OP(permute, t_permute(x[0], 3, (int[]){2, 0, 1}))
OP(transpose, t_transpose(x[0], 0, 1))
OP(unsqueeze, t_unsqueeze(x[0], 1))
OP(squeeze, t_squeeze(x[0], 1))
OP(expand, t_expand(x[0], 2, (int64_t[]){2, 3}))
OP(repeat, t_repeat(x[0], 2, (int64_t[]){2, 2}))
OP(flatten, t_flatten(x[0], 1, 2))
OP(cat, t_cat(x, 2, 1))
OP(stack, t_stack(x, 2, 0))
OP(slice, t_slice(x[0], 1, 1, 3))
OP(flip, t_flip(x[0], 1))
OP(roll, t_roll(x[0], 1, 1))
OP(rot90, t_rot90(x[0], 1, 0, 1))
OP(index_select, t_index_select(x[0], 0, x[1]))
OP(gather, t_gather(x[0], 1, x[1]))
OP(scatter_add, t_scatter_add(x[0], 1, x[1], x[2]))
OP(masked_select, t_masked_select(x[0], x[1]))
OP(nonzero, t_nonzero(x[0]))
OP(contiguous, t_contiguous(t_transpose(x[0], 0, 1)))
OP(channels_last, t_channels_last(x[0]))
OP(detach, t_detach(x[0]))
OP(to_device, t_to_device(x[0], CPU))

static tensor *op_topk_index(tensor **x)
{
    tensor *index;
    t_topk(x[0], 2, 1, false, &index);
    return index;
}
static tensor *op_sort_index(tensor **x)
{
    tensor *index;
    t_sort(x[0], 1, true, &index);
    return index;
}
static tensor *op_qr(tensor **x)
{
    tensor *r, *q = t_qr(x[0], &r);
    return t_matmul(q, r);
}
static tensor *op_q(tensor **x)
{
    tensor *q = t_qr(x[0], NULL);
    return t_matmul(t_transpose(q, 0, 1), q);
}
static tensor *op_eigh_back(tensor **x)
{
    tensor *vectors, *values = t_eigh(x[0], &vectors);
    return t_matmul(t_mul(vectors, values), t_transpose(vectors, 0, 1));
}
static tensor *op_svd_back(tensor **x)
{
    tensor *u, *vt, *s = t_svd(x[0], &u, &vt);
    return t_matmul(t_mul(u, s), vt);
}

OP(topk, t_topk(x[0], 2, 1, true, NULL))
OP(sort, t_sort(x[0], 1, false, NULL))
OP(argsort, t_argsort(x[0], 1, false))
OP(quantile, t_quantile(x[0], 0.25, 1, false))
OP(median, t_median(x[0], 1))
OP(searchsorted, t_searchsorted(x[0], x[1], false))
OP(searchsorted_right, t_searchsorted(x[0], x[1], true))

OP(matmul, t_matmul(x[0], x[1]))
OP(matmul_turned, t_matmul(t_transpose(x[0], 2, 3), t_transpose(x[1], 1, 2)))
OP(bmm, t_bmm(x[0], x[1]))
OP(einsum, t_einsum("ij,kj->ik", x, 2))
OP(cdist, t_cdist(x[0], x[1]))
OP(cholesky, t_cholesky(x[0]))
OP(solve_lower, t_solve_triangular(x[0], x[1], false))
OP(solve_upper, t_solve_triangular(x[0], x[1], true))
OP(cholesky_solve, t_cholesky_solve(x[0], x[1]))
OP(inverse, t_inverse(x[0]))
OP(eigh, t_eigh(x[0], NULL))
OP(svd, t_svd(x[0], NULL, NULL))
OP(slogdet, t_slogdet(x[0]))

OP(linear, t_linear(x[0], x[1], x[2]))
OP(linear_plain, t_linear(x[0], x[1], NULL))
OP(conv2d, t_conv2d(x[0], x[1], x[2], 1, 0, 1, 1))
OP(conv2d_stride, t_conv2d(x[0], x[1], NULL, 2, 1, 1, 1))
OP(conv2d_dilation, t_conv2d(x[0], x[1], NULL, 1, 0, 2, 1))
OP(conv2d_groups, t_conv2d(x[0], x[1], NULL, 1, 0, 1, 2))
OP(conv_transpose2d, t_conv_transpose2d(x[0], x[1], x[2], 2, 0, 0, 1))
OP(conv_transpose2d_more, t_conv_transpose2d(x[0], x[1], NULL, 2, 1, 1, 1))
OP(conv_transpose2d_close, t_conv_transpose2d(x[0], x[1], x[2], 1, 1, 0, 1))
OP(batch_norm, t_batch_norm(x[0], x[1], x[2], x[3], x[4], false, 0.1, 0))
OP(batch_norm_train, t_batch_norm(x[0], x[1], x[2], NULL, NULL, true, 0.1, 0))
OP(group_norm, t_group_norm(x[0], 2, x[1], x[2], 0))
OP(instance_norm, t_instance_norm(x[0], x[1], x[2], 0))
OP(layer_norm, t_layer_norm(x[0], 1, x[1], x[2], 0))
OP(layer_norm2, t_layer_norm(x[0], 2, NULL, NULL, 0))
OP(max_pool2d, t_max_pool2d(x[0], 2, 2, 0, false))
OP(max_pool2d_ceil, t_max_pool2d(x[0], 2, 2, 0, true))
OP(avg_pool2d, t_avg_pool2d(x[0], 2, 2, 1, true))
OP(avg_pool2d_inside, t_avg_pool2d(x[0], 2, 2, 1, false))
OP(adaptive_avg_pool2d, t_adaptive_avg_pool2d(x[0], 2, 1))
OP(adaptive_avg_pool1d, t_adaptive_avg_pool1d(x[0], 2))
OP(unfold, t_unfold(x[0], 2, 1, 0, 1))
OP(fold, t_fold(x[0], 3, 3, 2, 1, 0, 1))
OP(dropout_off, t_dropout(x[0], 0.5, false))
OP(attention, t_attention(x[0], x[1], x[2], 2))
OP(pad_zero, t_pad2d(x[0], 1, 0, 0, 1, PAD_ZERO))
OP(pad_reflect, t_pad2d(x[0], 1, 1, 0, 1, PAD_REFLECT))
OP(pad_replicate, t_pad2d(x[0], 1, 0, 1, 0, PAD_REPLICATE))
OP(nearest, t_interpolate(x[0], 4, 2, NEAREST, false))
OP(bilinear, t_interpolate(x[0], 1, 4, BILINEAR, false))
OP(bilinear_corners, t_interpolate(x[0], 1, 4, BILINEAR, true))
OP(bicubic, t_interpolate(x[0], 1, 4, BICUBIC, false))
OP(grid_sample, t_grid_sample(x[0], x[1], BILINEAR, PAD_ZERO, true))
OP(grid_sample_border, t_grid_sample(x[0], x[1], BILINEAR, PAD_REPLICATE, true))
OP(grid_sample_nearest, t_grid_sample(x[0], x[1], NEAREST, PAD_REFLECT, true))

OP(mse_loss, t_mse_loss(x[0], x[1]))
OP(l1_loss, t_l1_loss(x[0], x[1]))
OP(smooth_l1_loss, t_smooth_l1_loss(x[0], x[1], 2))
OP(bce_with_logits, t_bce_with_logits(x[0], x[1]))
OP(cross_entropy, t_cross_entropy(x[0], x[1]))
OP(cosine_similarity, t_cosine_similarity(x[0], x[1], 1))

/* How many of the operands have their gradient checked: the values lie off the kinks. */
enum { STEPS, SMOOTH = MOST_OPERANDS };

typedef struct row {
    const char *name;
    operator apply;
    const char *in, *out;
    int gradient;
    const char *wrong; /* operands that it must refuse; NULL: there are none */
} row;

static const row rows[] = {
#include "operation_rows.h"
};
enum { ROWS = sizeof rows / sizeof *rows };

static void report(int *wrong, const char *name, const char *what)
{
    printf("%s: %s\n", name, what);
    ++*wrong;
}

START_TEST(operations_give_the_values_calculated_by_hand)
{
    dtype real = _i == 0 ? F32 : F64;
    int wrong = 0;
    for (int i = 0; i < ROWS; ++i) {
        scope s = scope_begin();
        tensor *x[MOST_OPERANDS] = {NULL};
        char what[200];
        operands_make(x, rows[i].in, real);
        if (operand_differs(what, sizeof what, rows[i].apply(x), rows[i].out, real,
                            real == F32 ? 2e-6 : 1e-13))
            report(&wrong, rows[i].name, what);
        if (scope_end(&s) != IMIAD_OK)
            report(&wrong, rows[i].name, imiad_last_error());
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(operations_refuse_shapes_that_do_not_fit)
{
    int wrong = 0, refused = 0;
    for (int i = 0; i < ROWS; ++i) {
        if (!rows[i].wrong)
            continue;
        scope s = scope_begin();
        tensor *x[MOST_OPERANDS] = {NULL};
        operands_make(x, rows[i].wrong, F32);
        ck_assert(!t_failed());
        rows[i].apply(x);
        imiad_status status = scope_end(&s);
        if (status != IMIAD_MISMATCH || !strchr(imiad_last_error(), '['))
            report(&wrong, rows[i].name,
                   status == IMIAD_OK ? "took a wrong shape" : imiad_last_error());
        ++refused;
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(refused, 100);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* Some linear function of all elements, so that every element of the result counts. */
static tensor *weigh(tensor *result)
{
    tensor *weights = t_cos(t_mul_scalar(t_arange(t_count(result), F64, test_place()), 0.7));
    return t_sum_all(t_mul(t_view(result, 1, (int64_t[]){-1}), weights));
}

static double weighed_at(const row *r, const char *in, int which, int element, double step)
{
    scope s = scope_begin();
    tensor *x[MOST_OPERANDS] = {NULL};
    operands_make_near(x, in, F64, which, element, step);
    double value = t_item(weigh(r->apply(x)));
    scope_end(&s);
    return value;
}

static bool gradient_differs(const row *r, char *what, size_t size)
{
    const double step = 1e-5;
    scope s = scope_begin_grad();
    tensor *x[MOST_OPERANDS] = {NULL};
    int count = operands_make(x, r->in, F64);
    for (int i = 0; i < count && i < r->gradient; ++i)
        if (t_type(x[i]) == F64)
            t_require_grad(x[i], true);
    t_backward(weigh(r->apply(x)));
    bool differs = t_failed();
    int checked = 0;
    snprintf(what, size, "no gradient");
    for (int i = 0; i < count && !differs; ++i) {
        double gradient[MOST_VALUES] = {0};
        tensor *recorded = t_type(x[i]) == F64 ? t_grad(x[i]) : NULL;
        if (!recorded)
            continue;
        t_read(recorded, gradient, sizeof *gradient * (size_t)t_count(x[i]));
        for (int e = 0; e < t_count(x[i]) && !differs; ++e, ++checked) {
            double expected = (weighed_at(r, r->in, i, e, step) - //
                               weighed_at(r, r->in, i, e, -step)) /
                              (2 * step);
            differs = !(fabs(gradient[e] - expected) <= 1e-8 * (1 + fabs(expected)));
            snprintf(what, size, "operand %d, element %d: gradient %.12g, not %.12g", i, e,
                     gradient[e], expected);
        }
    }
    if (scope_end(&s) != IMIAD_OK)
        snprintf(what, size, "%s", imiad_last_error());
    return differs || checked == 0;
}

START_TEST(gradients_are_those_of_central_differences)
{
    int wrong = 0, checked = 0;
    for (int i = 0; i < ROWS; ++i) {
        char what[400];
        if (rows[i].gradient != STEPS && gradient_differs(&rows[i], what, sizeof what))
            report(&wrong, rows[i].name, what);
        checked += rows[i].gradient != STEPS;
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(checked, 60);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* Large enough for whatever a libtorch does differently there; F64 takes its plain path. Values are
 * small whole numbers, so that every sum is exact in both. */
static const struct large {
    const char *name;
    operator apply;
    int count;
    int64_t shapes[3][4]; /* 0 ends a shape */
} large[] = {
    {"linear", op_linear, 3, {{3, 50, 40}, {60, 40}, {60}}},
    {"linear_plain", op_linear_plain, 2, {{150, 40}, {60, 40}}},
    {"linear of few numbers", op_linear, 3, {{3, 50, 40}, {9, 40}, {9}}},
    {"linear of few numbers of many rows", op_linear, 3, {{900, 40}, {9, 40}, {9}}},
    {"matmul", op_matmul, 2, {{90, 70}, {70, 80}}},
    {"matmul of few numbers", op_matmul, 2, {{90, 70}, {70, 8}}},
    {"matmul of a batch by one", op_matmul, 2, {{3, 50, 40}, {40, 60}}},
    {"matmul of batches", op_matmul, 2, {{2, 2, 60, 40}, {2, 2, 40, 70}}},
    {"matmul of deep batches", op_matmul, 2, {{2, 3, 7, 300}, {2, 3, 300, 35}}},
    {"matmul of views", op_matmul_turned, 2, {{2, 3, 40, 13}, {2, 40, 3, 33}}},
    {"matmul of large batches", op_matmul, 2, {{2, 120, 110}, {2, 110, 90}}},
    {"matmul that broadcasts", op_matmul, 2, {{2, 60, 40}, {1, 40, 70}}},
    {"bmm", op_bmm, 2, {{3, 60, 40}, {3, 40, 70}}},
    {"conv2d 1x1", op_conv2d, 3, {{2, 20, 20, 20}, {24, 20, 1, 1}, {24}}},
    {"conv2d 1x1 in groups", op_conv2d_groups, 2, {{2, 40, 20, 20}, {24, 20, 1, 1}}},
    {"conv2d 3x3", op_conv2d, 3, {{2, 8, 16, 16}, {12, 8, 3, 3}, {12}}},
    {"conv_transpose2d apart", op_conv_transpose2d, 3, {{2, 24, 9, 7}, {24, 30, 2, 2}, {30}}},
    {"conv_transpose2d over itself", op_conv_transpose2d, 3, {{2, 24, 9, 7}, {24, 30, 3, 3}, {30}}},
    {"conv_transpose2d of one image",
     op_conv_transpose2d,
     3,
     {{1, 24, 5, 4}, {24, 30, 5, 5}, {30}}},
    {"conv_transpose2d with padding", op_conv_transpose2d_more, 2, {{2, 24, 6, 7}, {24, 30, 4, 4}}},
    {"conv_transpose2d, stride 1",
     op_conv_transpose2d_close,
     3,
     {{2, 24, 6, 7}, {24, 30, 3, 3}, {30}}},
    {"conv_transpose2d of a pixel", op_conv_transpose2d, 3, {{2, 24, 1, 1}, {24, 30, 4, 4}, {30}}},
};

static tensor *whole_numbers(const int64_t *shape, int number, dtype type)
{
    int rank = 0;
    int64_t count = 1;
    while (rank < 4 && shape[rank])
        count *= shape[rank++];
    tensor *angles = t_mul_scalar(t_arange(count, F64, test_place()), 1.3 + number);
    tensor *digits = t_to(t_to(t_mul_scalar(t_sin(angles), 4), I64), type);
    return t_view(digits, rank, shape);
}

/* Sum over the result's elements of sin(index): the value, and the operands' gradients. */
static void large_run(const struct large *l, dtype type, tensor **value, tensor **gradients)
{
    tensor *x[3] = {NULL};
    for (int i = 0; i < l->count; ++i) {
        x[i] = whole_numbers(l->shapes[i], i, type);
        t_require_grad(x[i], true);
    }
    *value = l->apply(x);
    tensor *flat = t_view(*value, 1, (int64_t[]){-1});
    tensor *weights = whole_numbers((int64_t[]){t_count(flat), 0}, 5, type);
    t_backward(t_sum_all(t_mul(flat, weights)));
    for (int i = 0; i < l->count; ++i)
        gradients[i] = t_grad(x[i]);
}

static double apart(tensor *a, tensor *b)
{
    return t_item(t_max_all(t_abs(t_sub(t_to(t_detach(a), F64), t_detach(b)))));
}

START_TEST(large_products_and_their_gradients_are_exact)
{
    ck_ok(imiad_set_threads(_i + 1)); /* libtorch's choice of kernel depends on it */
    int wrong = 0;
    for (size_t i = 0; i < sizeof large / sizeof *large; ++i) {
        scope s = scope_begin_grad();
        tensor *single, *exact, *gradient[3], *exact_gradient[3];
        large_run(&large[i], F32, &single, gradient);
        large_run(&large[i], F64, &exact, exact_gradient);
        double worst = apart(single, exact);
        for (int g = 0; g < large[i].count; ++g)
            worst = fmax(worst, apart(gradient[g], exact_gradient[g]));
        bool flat = t_item(t_max_all(t_abs(exact))) == 0;
        if (scope_end(&s) != IMIAD_OK)
            report(&wrong, large[i].name, imiad_last_error());
        else if (worst != 0 || flat)
            report(&wrong, large[i].name, "differs from float64");
    }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* What detectors run in bfloat16, against float32: 8 bits of significand, a few roundings. */
static const char *const half_rows[] = {"add",
                                        "mul",
                                        "matmul",
                                        "linear",
                                        "conv2d",
                                        "conv2d_stride",
                                        "conv2d_groups",
                                        "batch_norm",
                                        "layer_norm",
                                        "softmax",
                                        "max_pool2d",
                                        "avg_pool2d",
                                        "adaptive_avg_pool2d",
                                        "attention",
                                        "bilinear",
                                        "cat",
                                        "mean",
                                        "relu_"};

START_TEST(bfloat16_computes_what_float32_does_roughly)
{
    int wrong = 0;
    for (size_t h = 0; h < sizeof half_rows / sizeof *half_rows; ++h)
        for (int i = 0; i < ROWS; ++i) {
            if (strcmp(rows[i].name, half_rows[h]) != 0)
                continue;
            scope s = scope_begin();
            tensor *x[MOST_OPERANDS] = {NULL};
            char what[200];
            operands_make(x, rows[i].in, BF16);
            bool differs =
                operand_differs(what, sizeof what, rows[i].apply(x), rows[i].out, BF16, 0x1p-6);
            imiad_status status = scope_end(&s);
            if (status == IMIAD_UNSUPPORTED)
                printf("%s: this libtorch has none in bfloat16 on the CPU\n", rows[i].name);
            else if (differs)
                report(&wrong, rows[i].name, status == IMIAD_OK ? what : imiad_last_error());
        }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* An image must score the same bits alone and in a batch, whatever BLAS libtorch calls. */
START_TEST(a_row_has_the_same_product_alone_as_among_others)
{
    enum { COUNT = 24, WIDEST = 65 };
    static float values[WIDEST * WIDEST], given[COUNT * WIDEST];
    random_stream random = random_open(7, "products");
    for (int i = 0; i < WIDEST * WIDEST; ++i)
        values[i] = (float)random_normal(&random);
    for (int i = 0; i < COUNT * WIDEST; ++i)
        given[i] = (float)random_normal(&random);
    for (int64_t columns = 1; columns <= WIDEST; columns += 4)
        for (int64_t outputs = 1; outputs <= WIDEST; outputs *= 4) {
            scope s = scope_begin();
            tensor *weight = t_from(values, 2, (int64_t[]){outputs, columns}, F32, CPU);
            tensor *many = t_from(given, 2, (int64_t[]){COUNT, columns}, F32, CPU);
            const float *all = t_data(t_linear(many, weight, NULL));
            const float *product = t_data(t_contiguous(t_matmul(many, t_transpose(weight, 0, 1))));
            for (int64_t i = 0; !t_failed() && i < COUNT; ++i) {
                tensor *single = t_from(given + i * columns, 2, (int64_t[]){1, columns}, F32, CPU);
                const float *alone = t_data(t_linear(single, weight, NULL));
                for (int64_t o = 0; alone && o < outputs; ++o) {
                    ck_assert_float_eq(alone[o], all[i * outputs + o]);
                    ck_assert_float_eq(alone[o], product[i * outputs + o]);
                    float sum = 0; /* in their order, where there are few numbers */
                    for (int64_t c = 0; c < columns; ++c)
                        sum += given[i * columns + c] * values[o * columns + c];
                    if (columns * outputs < 2048)
                        ck_assert_float_eq(alone[o], sum);
                }
            }
            ck_ok(scope_end(&s));
        }
}
END_TEST

/* Whatever the BLAS: so that attention over a few positions gives the same everywhere. */
START_TEST(small_matrices_are_multiplied_in_their_order)
{
    enum { PAIRS = 6, HIGH = 7, DEEP = 200, WIDE = 37 };
    static float left[PAIRS * HIGH * DEEP], right[PAIRS * DEEP * WIDE];
    random_stream random = random_open(8, "products");
    for (int i = 0; i < PAIRS * HIGH * DEEP; ++i)
        left[i] = (float)random_normal(&random);
    for (int i = 0; i < PAIRS * DEEP * WIDE; ++i)
        right[i] = (float)random_normal(&random);
    scope s = scope_begin();
    tensor *a = t_from(left, 4, (int64_t[]){2, 3, HIGH, DEEP}, F32, CPU);
    tensor *b = t_from(right, 4, (int64_t[]){2, 3, DEEP, WIDE}, F32, CPU);
    const float *all = t_data(t_matmul(a, b));
    for (int p = 0; all && p < PAIRS; ++p)
        for (int i = 0; i < HIGH; ++i)
            for (int j = 0; j < WIDE; ++j) {
                float sum = 0;
                for (int l = 0; l < DEEP; ++l)
                    sum += left[(p * HIGH + i) * DEEP + l] * right[(p * DEEP + l) * WIDE + j];
                ck_assert_float_eq(all[(p * HIGH + i) * WIDE + j], sum);
            }
    ck_ok(scope_end(&s));
}
END_TEST

SUITE("bridge-operations", LOOP_TEST(operations_give_the_values_calculated_by_hand, 2),
      TEST(operations_refuse_shapes_that_do_not_fit),
      TEST(gradients_are_those_of_central_differences),
      LOOP_TEST(large_products_and_their_gradients_are_exact, 2),
      TEST(bfloat16_computes_what_float32_does_roughly),
      TEST(a_row_has_the_same_product_alone_as_among_others),
      TEST(small_matrices_are_multiplied_in_their_order))
