/* Rows of test_operations.c: name, operation, operands, result by hand, of how many operands
 * the gradient is checked, and operands that it must refuse. */
/* clang-format off */
#define ROW(name, in, out, gradient, wrong) {#name, op_##name, in, out, gradient, wrong},

/* ---- elementwise ---- */
ROW(add, "2,2: 1 2 3 4 | 2: 10 20", "2,2: 11 22 13 24", SMOOTH, "2,2|3")
ROW(sub, "2,2: 1 2 3 4 | 2: 10 20", "2,2: -9 -18 -7 -16", SMOOTH, "2,2|3")
ROW(mul, "2,2: 1 2 3 4 | 2: 10 20", "2,2: 10 40 30 80", SMOOTH, "2,2|3")
ROW(div, "2,2: 1 2 3 4 | 2: 2 4", "2,2: 0.5 0.5 1.5 1", SMOOTH, "2,2|3")
ROW(minimum, "2,2: 1 5 3 0 | 2: 2 4", "2,2: 1 4 2 0", SMOOTH, "2,2|3")
ROW(maximum, "2,2: 1 5 3 0 | 2: 2 4", "2,2: 2 5 3 4", SMOOTH, "2,2|3")
ROW(cube, "3: 1 2 -3", "3: 1 8 -27", SMOOTH, NULL)
ROW(add_scalar, "2: 1 -1", "2: 3.5 1.5", SMOOTH, NULL)
ROW(add_whole, "i64 2: 1 -1", "i64 2: 3 1", STEPS, NULL)
ROW(mul_scalar, "2: 1 -3", "2: -2 6", SMOOTH, NULL)
ROW(div_scalar, "2: 1 -3", "2: -0.5 1.5", SMOOTH, NULL)
ROW(clamp, "3: -1 0.5 2", "3: 0 0.5 1", SMOOTH, NULL)
ROW(clamp_low, "3: -1 0.5 2", "3: 0 0.5 2", SMOOTH, NULL)
ROW(clamp_high, "3: -1 0.5 2", "3: -1 0.5 1", SMOOTH, NULL)
ROW(clamp_open, "3: -1 0.5 2", "3: -1 0.5 2", SMOOTH, NULL)
ROW(leaky_relu, "2: -2 3", "2: -0.2 3", SMOOTH, NULL)
ROW(elu, "2: -1 3", "2: -1.2642411176571153 3", SMOOTH, NULL)
ROW(relu6, "3: -1 3 9", "3: 0 3 6", SMOOTH, NULL)
ROW(hardswish, "4: -4 -1 1 4", "4: 0 -0.3333333333333333 0.6666666666666667 4", SMOOTH, NULL)
ROW(hardsigmoid, "4: -4 -1 1 4", "4: 0 0.3333333333333333 0.6666666666666667 1", SMOOTH, NULL)
ROW(erfinv, "2: 0 0.8427007929497149", "2: 0 1", SMOOTH, NULL)
ROW(relu_, "2: -1 3", "2: 0 3", SMOOTH, NULL)
ROW(softmax, "1,2: 0 0.6931471805599453", "1,2: 0.3333333333333333 0.6666666666666667", SMOOTH, "3")
ROW(log_softmax, "1,2: 0 0.6931471805599453", "1,2: -1.0986122886681098 -0.4054651081081644", SMOOTH,
    NULL)
ROW(gt, "3: 1 2 3 | 3: 2 2 2", "bool 3: 0 0 1", STEPS, "2|3")
ROW(ge, "3: 1 2 3 | 3: 2 2 2", "bool 3: 0 1 1", STEPS, "2|3")
ROW(eq, "3: 1 2 3 | 3: 2 2 2", "bool 3: 0 1 0", STEPS, "2|3")
ROW(gt_scalar, "3: 1 2 3", "bool 3: 0 0 1", STEPS, NULL)
ROW(lt_scalar, "3: 1 2 3", "bool 3: 1 0 0", STEPS, NULL)
ROW(eq_scalar, "3: 1 2 3", "bool 3: 0 1 0", STEPS, NULL)
ROW(logical_not, "bool 2: 1 0", "bool 2: 0 1", STEPS, NULL)
ROW(logical_and, "bool 4: 1 1 0 0 | bool 4: 1 0 1 0", "bool 4: 1 0 0 0", STEPS, "bool 2|bool 3")
ROW(where, "bool 3: 1 0 1 | 3: 1 2 3 | 3: 10 20 30", "3: 1 20 3", SMOOTH, "bool 3|2|3")
ROW(plus, "2: 1 2 | 2: 10 20", "2: 11 22", SMOOTH, "2|3")
ROW(times, "2: 1 2 | 2: 10 20", "2: 10 40", SMOOTH, "2|3")
ROW(cumsum, "2,3: 1 2 3 4 5 9", "2,3: 1 3 6 4 9 18", SMOOTH, "3")
ROW(detach, "2: 1 2", "2: 1 2", STEPS, NULL)
ROW(to_device, "2: 1 2", "2: 1 2", SMOOTH, NULL)

/* ---- in place ---- */
ROW(copy_, "2,2: 1 2 3 4 | 2: 5 6", "2,2: 5 6 5 6", STEPS, "2|3")
ROW(zero_, "2: 1 2", "2: 0 0", STEPS, NULL)
ROW(fill_, "i64 2: 1 2", "i64 2: 7 7", STEPS, NULL)
ROW(add_, "2: 1 2 | 2: 10 20", "2: 21 42", STEPS, "2|3")
ROW(add_scalar_, "2: 1 2", "2: 4 5", STEPS, NULL)
ROW(mul_, "2: 1 2", "2: 3 6", STEPS, NULL)
ROW(div_, "2: 1 2", "2: 0.25 0.5", STEPS, NULL)
ROW(lerp_, "1: 1 | 1: 9", "1: 3", STEPS, "2|3")
ROW(addcmul_, "1: 1 | 1: 3 | 1: 4", "1: 25", STEPS, "2|2|3")
ROW(addcdiv_, "1: 1 | 1: 3 | 1: 4", "1: 2.5", STEPS, "2|2|3")

/* ---- reductions ---- */
ROW(sum, "2,3: 1 2 3 4 5 9", "2: 6 18", SMOOTH, "3")
ROW(sum_keep, "2,3: 1 2 3 4 5 9", "2,1: 6 18", SMOOTH, NULL)
ROW(mean, "2,3: 1 2 3 4 5 9", "2: 2 6", SMOOTH, "3")
ROW(var, "2,3: 1 2 3 4 5 9", "2: 1 7", SMOOTH, "3")
ROW(var_biased, "2,3: 1 2 3 4 5 9", "2,1: 0.6666666666666667 4.6666666666666667", SMOOTH, "3")
ROW(std, "2,3: 1 2 3 4 5 9", "2: 1 2.6457513110645906", SMOOTH, "3")
ROW(amax, "2,3: 1 2 3 4 5 9", "2: 3 9", SMOOTH, "3")
ROW(amin, "2,3: 1 2 3 4 5 9", "2,1: 1 4", SMOOTH, "3")
ROW(argmax, "2,3: 1 2 3 4 5 0", "i64 2: 2 1", STEPS, "3")
ROW(argmin, "2,3: 1 2 3 4 5 0", "i64 2: 0 2", STEPS, "3")
ROW(norm1, "1,2: 3 -4", "1: 7", SMOOTH, "3")
ROW(norm2, "1,2: 3 -4", "1,1: 5", SMOOTH, "3")
ROW(norm_inf, "1,2: 3 -4", "1: 4", SMOOTH, "3")
ROW(logsumexp, "1,2: 0 0", "1: 0.6931471805599453", SMOOTH, "3")
ROW(sum_all, "2,2: 1 2 3 4", ": 10", SMOOTH, NULL)
ROW(mean_all, "2,2: 1 2 3 4", ": 2.5", SMOOTH, NULL)
ROW(max_all, "2,2: 1 2 4 3", ": 4", SMOOTH, "0")
ROW(normalize, "2,2: 3 4 0 0", "2,2: 0.6 0.8 0 0", STEPS, "3")
ROW(normalize, "1,2: 3 4", "1,2: 0.6 0.8", SMOOTH, "3")

/* ---- shape ---- */
ROW(view, "2,3: 1 2 3 4 5 6", "3,2: 1 2 3 4 5 6", SMOOTH, "5")
ROW(view_of_transposed, "2,3: 1 2 3 4 5 6", "6: 1 4 2 5 3 6", SMOOTH, "2,2")
ROW(contiguous, "2,3: 1 2 3 4 5 6", "3,2: 1 4 2 5 3 6", SMOOTH, "3")
ROW(channels_last, "1,2,1,2: 1 2 3 4", "1,2,1,2: 1 2 3 4", SMOOTH, "2,2")
ROW(permute, "2,1,2: 1 2 3 4", "2,2,1: 1 3 2 4", SMOOTH, "2,2")
ROW(transpose, "2,3: 1 2 3 4 5 6", "3,2: 1 4 2 5 3 6", SMOOTH, "3")
ROW(unsqueeze, "2: 1 2", "2,1: 1 2", SMOOTH, ":1")
ROW(squeeze, "2,1: 1 2", "2: 1 2", SMOOTH, "3")
ROW(expand, "2,1: 1 2", "2,3: 1 1 1 2 2 2", SMOOTH, "2,2")
ROW(repeat, "2: 1 2", "2,4: 1 2 1 2 1 2 1 2", SMOOTH, "2,2,2")
ROW(flatten, "2,1,2: 1 2 3 4", "2,2: 1 2 3 4", SMOOTH, "2,2")
ROW(cat, "2,1: 1 2 | 2,2: 3 4 5 6", "2,3: 1 3 4 2 5 6", SMOOTH, "2,1|3,1")
ROW(stack, "2: 1 2 | 2: 3 4", "2,2: 1 2 3 4", SMOOTH, "2|3")
ROW(slice, "2,3: 1 2 3 4 5 6", "2,2: 2 3 5 6", SMOOTH, "3")
ROW(flip, "2,3: 1 2 3 4 5 6", "2,3: 3 2 1 6 5 4", SMOOTH, "3")
ROW(roll, "2,3: 1 2 3 4 5 6", "2,3: 3 1 2 6 4 5", SMOOTH, "3")
ROW(rot90, "2,2: 1 2 3 4", "2,2: 2 4 1 3", SMOOTH, "3")
ROW(index_select, "3,2: 1 2 3 4 5 6 | i64 2: 2 0", "2,2: 5 6 1 2", SMOOTH, "3,2 | i64 1: 3")
ROW(gather, "2,2: 1 2 3 4 | i64 2,1: 1 0", "2,1: 2 3", SMOOTH, "2,2 | i64 2,1: 2 0")
ROW(scatter_add, "1,3: 1 2 3 | i64 1,3: 0 0 2 | 1,3: 10 20 30", "1,3: 31 2 33", SMOOTH,
    "1,3 | i64 1,3: 0 0 3 | 1,3")
ROW(masked_select, "2,2: 1 2 3 4 | bool 2,2: 0 1 1 0", "2: 2 3", SMOOTH, "2,2 | bool 3")
ROW(nonzero, "2,2: 0 5 6 0", "i64 2,2: 0 1 1 0", STEPS, NULL)

/* ---- order ---- */
ROW(topk, "1,4: 3 1 4 2", "1,2: 4 3", SMOOTH, "1,1")
ROW(topk_index, "1,4: 3 1 4 2", "i64 1,2: 1 3", STEPS, "1,1")
ROW(sort, "1,4: 3 1 4 2", "1,4: 1 2 3 4", SMOOTH, "3")
ROW(sort_index, "1,4: 3 1 4 2", "i64 1,4: 2 0 3 1", STEPS, "3")
ROW(argsort, "1,4: 3 1 4 2", "i64 1,4: 1 3 0 2", STEPS, "3")
ROW(quantile, "1,4: 3 1 4 2", "1: 1.75", SMOOTH, "3")
ROW(median, "1,4: 3 1 4 2", "1: 2", SMOOTH, "3")
ROW(searchsorted, "3: 1 2 3 | 3: 0 2 9", "i64 3: 0 1 3", STEPS, "2,3 | 3,3")
ROW(searchsorted_right, "3: 1 2 3 | 3: 0 2 9", "i64 3: 0 2 3", STEPS, "2,3 | 3,3")

/* ---- linear algebra ---- */
ROW(matmul, "2,2: 1 2 3 4 | 2,1: 5 6", "2,1: 17 39", SMOOTH, "2,3|4,5")
ROW(bmm, "1,1,2: 1 2 | 1,2,1: 3 4", "1,1,1: 11", SMOOTH, "1,1,2|2,2,1")
ROW(einsum, "1,2: 1 2 | 2,2: 3 4 5 6", "1,2: 11 17", SMOOTH, "1,2|2,3")
ROW(cdist, "1,2: 0 0 | 2,2: 3 4 6 8", "1,2: 5 10", SMOOTH, "1,2|2,3")
ROW(cholesky, "2,2: 4 2 2 5", "2,2: 2 0 1 2", STEPS, "2,3")
ROW(solve_lower, "2,2: 2 0 1 2 | 2,1: 4 8", "2,1: 2 3", SMOOTH, "2,2|3,1")
ROW(solve_upper, "2,2: 2 1 0 2 | 2,1: 7 6", "2,1: 2 3", SMOOTH, "2,2|3,1")
ROW(cholesky_solve, "2,1: 8 12 | 2,2: 2 0 1 2", "2,1: 1 2", STEPS, "3,1|2,2")
ROW(inverse, "2,2: 2 1 1 1", "2,2: 1 -1 -1 2", SMOOTH, "2,3")
ROW(qr, "3,2: 1 2 3 4 5 7", "3,2: 1 2 3 4 5 7", SMOOTH, "3")
ROW(q, "3,2: 1 2 3 4 5 7", "2,2: 1 0 0 1", STEPS, "3")
ROW(eigh, "2,2: 2 1 1 2", "2: 1 3", STEPS, "2,3")
ROW(eigh_back, "2,2: 2 1 1 5", "2,2: 2 1 1 5", STEPS, "2,3")
ROW(svd, "2,2: 0 2 3 0", "2: 3 2", SMOOTH, "3")
ROW(svd_back, "2,3: 1 2 3 4 5 9", "2,3: 1 2 3 4 5 9", SMOOTH, "3")
ROW(slogdet, "2,2: 0 2 3 0", ": 1.791759469228055", SMOOTH, "2,3")

/* ---- layers ---- */
ROW(linear, "1,2: 1 2 | 2,2: 3 4 5 6 | 2: 10 20", "1,2: 21 37", SMOOTH, "1,3|2,2|2")
ROW(linear_plain, "1,2: 1 2 | 2,2: 3 4 5 6", "1,2: 11 17", SMOOTH, "1,3|2,2")
ROW(conv2d, "1,1,3,3: 1 2 3 4 5 6 7 8 9 | 1,1,2,2: 1 1 1 1 | 1: 100",
    "1,1,2,2: 112 116 124 128", SMOOTH, "1,2,3,3|1,1,2,2|1")
ROW(conv2d_stride, "1,1,3,3: 1 2 3 4 5 6 7 8 9 | 1,1,3,3: 1 1 1 1 1 1 1 1 1",
    "1,1,2,2: 12 16 24 28", SMOOTH, "1,1,1,1|1,1,5,5")
ROW(conv2d_dilation, "1,1,3,3: 1 2 3 4 5 6 7 8 9 | 1,1,2,2: 1 2 3 4", "1,1,1,1: 64", SMOOTH,
    "1,1,2,2|1,1,2,2")
ROW(conv2d_groups, "1,2,1,2: 1 2 3 4 | 2,1,1,1: 10 100", "1,2,1,2: 10 20 300 400", SMOOTH,
    "1,3,1,2|2,1,1,1")
ROW(conv_transpose2d, "1,1,1,2: 1 2 | 1,1,2,2: 1 10 100 1000 | 1: 5",
    "1,1,2,4: 6 15 7 25 105 1005 205 2005", SMOOTH, "1,2,1,2|1,1,2,2|1")
ROW(conv_transpose2d_more, "1,1,2,2: 1 2 3 4 | 1,1,2,2: 1 10 100 1000",
    "1,1,3,3: 1000 200 2000 30 4 40 3000 400 4000", SMOOTH, "1,2,2,2|1,1,2,2")
ROW(batch_norm, "1,2,1,1: 5 6 | 2: 2 3 | 2: 10 20 | 2: 1 2 | 2: 4 16", "1,2,1,1: 14 23", 3,
    "1,2,1,1|3|3|2|2")
ROW(batch_norm_train, "2,1,1,1: 1 3 | 1: 2 | 1: 10", "2,1,1,1: 8 12", SMOOTH, "2,1,1,1|3|3")
ROW(group_norm, "1,4,1,1: 1 3 10 30 | 4: 1 1 2 2 | 4: 0 0 5 5", "1,4,1,1: -1 1 3 7", SMOOTH,
    "1,3,1,1|3|3")
ROW(instance_norm, "1,2,1,2: 1 3 10 30 | 2: 1 2 | 2: 0 5", "1,2,1,2: -1 1 3 7", SMOOTH,
    "1,2,1,2|3|3")
ROW(layer_norm, "2,2: 1 3 30 10 | 2: 1 2 | 2: 0 5", "2,2: -1 7 1 3", SMOOTH, "2,2|3|3")
ROW(layer_norm2, "1,2,1: 1 3", "1,2,1: -1 1", SMOOTH, "2")
ROW(max_pool2d, "1,1,2,3: 1 2 3 4 5 6", "1,1,1,1: 5", SMOOTH, "1,1,1,1")
ROW(max_pool2d_ceil, "1,1,2,3: 1 2 3 4 5 6", "1,1,1,2: 5 6", SMOOTH, "2,2")
ROW(avg_pool2d, "1,1,2,2: 1 2 3 4", "1,1,2,2: 0.25 0.5 0.75 1", SMOOTH, "2,2")
ROW(avg_pool2d_inside, "1,1,2,2: 1 2 3 4", "1,1,2,2: 1 2 3 4", SMOOTH, "2,2")
ROW(adaptive_avg_pool2d, "1,1,4,2: 1 2 3 4 5 6 7 8", "1,1,2,1: 2.5 6.5", SMOOTH, "2,2")
ROW(adaptive_avg_pool1d, "1,1,4: 1 3 5 9", "1,1,2: 2 7", SMOOTH, "4")
ROW(unfold, "1,1,2,3: 1 2 3 4 5 6", "1,4,2: 1 2 2 3 4 5 5 6", SMOOTH, "1,1,1,1")
ROW(fold, "1,4,4: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "1,1,3,3: 1 2 1 2 4 2 1 2 1", SMOOTH, "1,4,3")
ROW(dropout_off, "2: 1 2", "2: 1 2", SMOOTH, NULL)
ROW(attention, "1,1,1: 1 | 1,2,1: 0 0.34657359027997264 | 1,2,1: 3 6", "1,1,1: 5", SMOOTH,
    "1,1,2|1,2,3|1,2,3")
ROW(pad_zero, "1,1,1,2: 1 2", "1,1,2,3: 0 1 2 0 0 0", SMOOTH, "2")
ROW(pad_reflect, "1,1,2,3: 1 2 3 4 5 6", "1,1,3,5: 2 1 2 3 2 5 4 5 6 5 2 1 2 3 2", SMOOTH,
    "1,1,1,1")
ROW(pad_replicate, "1,1,1,2: 1 2", "1,1,2,3: 1 1 2 1 1 2", SMOOTH, "2,2")
ROW(nearest, "1,1,2,1: 1 2", "1,1,4,2: 1 1 1 1 2 2 2 2", SMOOTH, "2,2")
/* samples at -0.25 (clamped to 0), 0.25, 0.75, 1.25 (clamped to 1) */
ROW(bilinear, "1,1,1,2: 0 8", "1,1,1,4: 0 2 6 8", SMOOTH, "2,2")
ROW(bilinear_corners, "1,1,1,2: 0 9", "1,1,1,4: 0 3 6 9", SMOOTH, "2,2")
/* Keys' kernel with a = -0.75 at distances 0.25, 0.75, 1.25, 1.75, edges repeated */
ROW(bicubic, "1,1,1,2: 0 64", "1,1,1,4: -6.75 14.5 49.5 70.75", SMOOTH, "2,2")
ROW(grid_sample, "1,1,2,2: 1 2 3 4 | 1,1,2,2: 0 0 2 -1", "1,1,1,2: 2.5 1", STEPS, "1,1,2,2|1,1,2,3")
ROW(grid_sample, "1,1,2,2: 1 2 3 4 | 1,1,2,2: 0.1 0.2 0.5 -0.4", "1,1,1,2: 2.75 2.35", SMOOTH,
    "1,1,2,2|2,1,2,2")
ROW(grid_sample_border, "1,1,2,2: 1 2 3 4 | 1,1,2,2: 0 0 2 -1", "1,1,1,2: 2.5 2", STEPS,
    "1,1,2,2|1,1,2,3")
ROW(grid_sample_nearest, "1,1,2,2: 1 2 3 4 | 1,1,2,2: -0.8 0.8 0.9 -0.9", "1,1,1,2: 3 2", STEPS,
    "1,1,2,2|1,1,2,3")

/* ---- losses ---- */
ROW(mse_loss, "2: 1 2 | 2: 3 6", ": 10", SMOOTH, "2|1")
ROW(l1_loss, "2: 1 2 | 2: 3 6", ": 3", SMOOTH, "2|1")
ROW(smooth_l1_loss, "2: 1 2 | 2: 2 6", ": 1.625", SMOOTH, "2|1")
ROW(bce_with_logits, "2: 0 0 | 2: 0 1", ": 0.6931471805599453", SMOOTH, "2|1")
ROW(cross_entropy, "1,2: 0 0.6931471805599453 | i64 1: 0", ": 1.0986122886681098", SMOOTH,
    "1,2 | i64 2")
ROW(cosine_similarity, "2,2: 1 0 1 1 | 2,2: 1 1 0 3", "2: 0.7071067811865475 0.7071067811865475",
    SMOOTH, "2,2|2,3")
#undef ROW
/* clang-format on */
