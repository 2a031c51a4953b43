/* Networks that are trained: their first parameters, their batch norm, their gradients. */
#include <math.h>
#include <string.h>

#include "check_suite.h"
#include "nn/init.h"
#include "nn/network.h"

/* ---- first parameters ---- */

static double values_of(const float **out, tensor *t)
{
    *out = t_data(t);
    ck_assert_ptr_nonnull(*out);
    return (double)t_count(t);
}

/* Mean and deviation over all values; the largest magnitude. */
static void measure(tensor *t, double *deviation, double *largest)
{
    const float *v;
    double n = values_of(&v, t), sum = 0, squares = 0;
    *largest = 0;
    for (int64_t i = 0; i < t_count(t); ++i) {
        sum += (double)v[i];
        squares += (double)v[i] * (double)v[i];
        *largest = fmax(*largest, fabs((double)v[i]));
    }
    *deviation = sqrt(squares / n);
    ck_assert_double_lt(fabs(sum / n), 5 * *deviation / sqrt(n));
}

/* The formulas of torch.nn.init for a convolution [out 40, in 30, 3, 3]: fan_in 270, fan_out 360.
 */
START_TEST(first_parameters_have_pytorchs_spread)
{
    static const struct {
        tensor *(*make)(int rank, const int64_t *shape, uint64_t seed, const char *purpose);
        double deviation, bound; /* bound 0: normal */
    } cases[] = {
        {init_kaiming_normal, 0.07453559924999299 /* sqrt(2 / 360) */, 0},
        {init_default, 0.03513641844631533 /* sqrt(1 / 270 / 3) */, 0.06085806194501845},
        {init_xavier_normal, 0.05634361698190111 /* sqrt(2 / 630) */, 0},
        {init_xavier_uniform, 0.05634361698190111, 0.09759000729485331 /* sqrt(6 / 630) */},
    };
    const int64_t shape[4] = {40, 30, 3, 3};
    scope s = scope_begin();
    tensor *t = cases[_i].make(4, shape, 1, "test"), *same = cases[_i].make(4, shape, 1, "test");
    tensor *other = cases[_i].make(4, shape, 1, "another");
    double deviation, largest;
    measure(t, &deviation, &largest);
    double n = 40 * 30 * 9; /* a deviation of n numbers scatters by less than 1 / sqrt(n) */
    ck_assert_double_lt(fabs(deviation / cases[_i].deviation - 1), 4 / sqrt(n));
    if (cases[_i].bound > 0) {
        ck_assert_double_le(largest, cases[_i].bound);
        ck_assert_double_gt(largest, 0.999 * cases[_i].bound);
    } else
        ck_assert_double_gt(largest, 3 * deviation);
    ck_assert_mem_eq(t_data(t), t_data(same), (size_t)n * sizeof(float));
    ck_assert(memcmp(t_data(t), t_data(other), (size_t)n * sizeof(float)) != 0);
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(a_first_bias_is_bounded_by_the_weights_fan)
{
    scope s = scope_begin();
    double deviation, largest;
    measure(init_default_bias(5000, 16, 1, "bias"), &deviation, &largest);
    ck_assert_double_le(largest, 0.25);
    ck_assert_double_gt(largest, 0.249);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- the network ---- */

static const char *const layers[] = {"layer1", "layer2", "layer3"};

static tensor *procedural_images(int64_t n, int64_t size)
{
    return t_normal(4, (int64_t[]){n, 3, size, size}, 0, 1, 5, "images", CPU);
}

static double relative_l2(tensor *found, tensor *wanted)
{
    double above = t_item(t_sum_all(t_square(t_to(t_sub(found, wanted), F64))));
    return sqrt(above / t_item(t_sum_all(t_square(t_to(wanted, F64)))));
}

static network *make(params **store, const char *architecture_name)
{
    imiad_backbone *b = NULL;
    network *n = NULL;
    ck_ok(imiad_backbone_create(&b, architecture_name, NULL));
    ck_ok(params_create(store));
    ck_ok(network_create(&n, b->architecture, layers, 3, *store, "", 0, "weights", CPU));
    imiad_backbone_free(b);
    return n;
}

/* The same stream begins a frozen random backbone. The network's batch norm is the identity but for
 * its epsilon of 1e-5, half of which every convolution takes off: 40 of them at most here. */
START_TEST(evaluated_it_equals_the_frozen_network)
{
    static const char *const names[] = {"resnet18", "resnet50"};
    params *store;
    network *n = make(&store, names[_i]);
    imiad_backbone *b = NULL;
    ck_ok(imiad_backbone_create(&b, names[_i], NULL));
    scope s = scope_begin();
    tensor *images = procedural_images(2, 64), *trained[3], *frozen[3];
    network_features(n, images, layers, 3, trained, false);
    backbone_features(b, images, layers, 3, frozen);
    for (int i = 0; i < 3; ++i)
        ck_assert_double_lt(relative_l2(trained[i], frozen[i]), 40 * 0.5e-5);
    ck_ok(scope_end(&s));
    network_free(n);
    params_free(store);
    imiad_backbone_free(b);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* torchvision's state dict up to layer3 */
START_TEST(its_parameters_have_torchvisions_names)
{
    params *store;
    network *n = make(&store, "resnet18");
    static const char *const names[] = {"conv1.weight", "bn1.running_var", "layer1.1.bn2.bias",
                                        "layer2.0.downsample.0.weight",
                                        "layer3.0.downsample.1.running_mean"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        ck_assert_msg(params_find(store, names[i]), "no %s", names[i]);
    ck_assert_ptr_null(params_find(store, "layer4.0.conv1.weight"));
    ck_assert_uint_eq(params_count(store), 75);
    ck_assert_int_eq(params_elements(store, true), 2782784); /* torchvision's, layer4 and fc off */
    network_free(n);
    params_free(store);
}
END_TEST

/* PyTorch: running = 0.9 running + 0.1 batch, the variance unbiased; the batch itself is normalised
 * by the biased one. */
START_TEST(training_moves_the_running_statistics)
{
    params *store;
    network *n = make(&store, "resnet18");
    scope s = scope_begin();
    tensor *images = procedural_images(3, 64), *out[1];
    tensor *y = t_conv2d(images, params_find(store, "conv1.weight")->value, NULL, 2, 3, 1, 1);
    tensor *rows = t_flatten(t_permute(y, 4, (int[]){1, 0, 2, 3}), 1, 3);
    tensor *mean = t_mul_scalar(t_mean(rows, 1, false), 0.1);
    tensor *variance = t_add_scalar(t_mul_scalar(t_var(rows, 1, true, false), 0.1), 0.9);
    tensor *deviation = t_sqrt(t_add_scalar(t_var(rows, 1, false, true), 1e-5));
    tensor *normed = t_relu(t_div(t_sub(rows, t_mean(rows, 1, true)), deviation));
    const char *const stem[] = {"relu"};
    network_features(n, images, stem, 1, out, true);
    tensor *found = t_flatten(t_permute(out[0], 4, (int[]){1, 0, 2, 3}), 1, 3);
    ck_assert_double_lt(relative_l2(found, normed), 1e-5);
    ck_assert_double_lt(relative_l2(params_find(store, "bn1.running_mean")->value, mean), 1e-5);
    ck_assert_double_lt(relative_l2(params_find(store, "bn1.running_var")->value, variance), 1e-5);
    network_features(n, images, stem, 1, out, false); /* evaluation leaves them */
    ck_assert_double_lt(relative_l2(params_find(store, "bn1.running_mean")->value, mean), 1e-5);
    ck_ok(scope_end(&s));
    network_free(n);
    params_free(store);
}
END_TEST

static tensor *probe(const network *n, tensor *images, bool training)
{
    tensor *out[3];
    network_features(n, images, layers, 3, out, training);
    tensor *total = NULL;
    for (int i = 0; i < 3; ++i)
        total = t_plus(total, t_mean_all(t_square(t_normalize(out[i], 1))));
    return t_add(total, t_mean_all(t_cos(out[2])));
}

/* Along the gradient itself the slope is its norm: a check of all parameters at once, the sums that
 * are not in place included. In double, where a difference quotient is good to 1e-5. With batch
 * norm by the batch's statistics, and frozen, as some detectors train a backbone. */
START_TEST(gradients_reach_every_parameter_and_are_the_slope)
{
    params *store;
    network *n = make(&store, "resnet18");
    ck_ok(params_to(store, F64, CPU));
    scope s = scope_begin_grad();
    tensor *images = t_to(procedural_images(2, 32), F64);
    t_backward(probe(n, images, _i == 0));
    double squares = 0, step = 1e-6;
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        tensor *gradient = p->trainable ? t_grad(p->value) : NULL;
        ck_assert_msg(!p->trainable || gradient, "no gradient of %s", p->name);
        if (gradient)
            squares += t_item(t_sum_all(t_square(gradient)));
    }
    double ends[2];
    for (int side = 0; side < 2; ++side) {
        for (size_t i = 0; i < params_count(store); ++i) {
            const param *p = params_at(store, i);
            if (p->trainable) /* first forward by a step, then back by two */
                t_add_(p->value, t_grad(p->value), (side ? -2 : 1) * step / sqrt(squares));
        }
        ends[side] = t_item(probe(n, images, _i == 0));
    }
    double slope = (ends[0] - ends[1]) / (2 * step);
    ck_assert_msg(fabs(slope / sqrt(squares) - 1) < 1e-4, "slope %.9g, norm %.9g", slope,
                  sqrt(squares));
    ck_ok(scope_end(&s));
    network_free(n);
    params_free(store);
}
END_TEST

START_TEST(a_layer_that_is_not_there_is_named)
{
    imiad_backbone *b = NULL;
    params *store;
    network *n = NULL;
    const char *const wrong[] = {"layer1", "layer9"};
    ck_ok(imiad_backbone_create(&b, "resnet18", NULL));
    ck_ok(params_create(&store));
    ck_fails(network_create(&n, b->architecture, wrong, 2, store, "", 0, "weights", CPU),
             IMIAD_UNKNOWN_OPTION, "resnet18 has no layer \"layer9\"");
    ck_assert_ptr_null(n);
    params_free(store);
    imiad_backbone_free(b);
}
END_TEST

SUITE("network", LOOP_TEST(first_parameters_have_pytorchs_spread, 4),
      TEST(a_first_bias_is_bounded_by_the_weights_fan),
      LOOP_TEST(evaluated_it_equals_the_frozen_network, 2),
      TEST(its_parameters_have_torchvisions_names), TEST(training_moves_the_running_statistics),
      LOOP_TEST(gradients_reach_every_parameter_and_are_the_slope, 2),
      TEST(a_layer_that_is_not_there_is_named))
