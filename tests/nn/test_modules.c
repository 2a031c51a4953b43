/* The layers of nn/modules.h against PyTorch's, by tests/golden/modules.csv; make_modules.py says
 * what the numbers are. */
#include "nn/modules.h"

#include <math.h>
#include <string.h>

#include "check_suite.h"
#include "weights/weights.h"

/* ---- golden lines ---- */

enum { SAMPLES = 24, LINES = 160 };

typedef struct line {
    char test[24], kind[16], name[32];
    double values[SAMPLES];
    int count;
} line;

/* "run" or "init" lines; returns how many. */
static int read_lines(line *lines, const char *family)
{
    FILE *file = fopen("tests/golden/modules.csv", "r");
    ck_assert_msg(file, "no tests/golden/modules.csv: run from the checkout");
    char text[1024];
    int count = 0;
    while (count < LINES && fgets(text, sizeof text, file)) {
        line *l = &lines[count];
        char *at = text, *fields[4];
        bool run = strncmp(text, "run,", 4) == 0;
        for (int i = 0; i < (run ? 4 : 3); ++i)
            fields[i] = strsep(&at, ",");
        if (strcmp(fields[0], family) != 0)
            continue;
        snprintf(l->test, sizeof l->test, "%s", fields[1]);
        snprintf(l->kind, sizeof l->kind, "%s", run ? fields[2] : "");
        snprintf(l->name, sizeof l->name, "%s", fields[run ? 3 : 2]);
        for (l->count = 0; at && l->count < SAMPLES; ++l->count)
            l->values[l->count] = strtod(strsep(&at, ","), NULL);
        ++count;
    }
    fclose(file);
    ck_assert_int_gt(count, 0);
    return count;
}

static double *numbers(tensor *t)
{
    double *values = malloc((size_t)t_count(t) * sizeof *values);
    t_read(t_contiguous(t_to(t, F64)), values, (size_t)t_count(t) * sizeof *values);
    return values;
}

static void check_line(const line *l, tensor *t)
{
    double *values = numbers(t);
    int64_t count = t_count(t);
    ck_ok(t_status());
    ck_assert_int_eq(l->count, count < SAMPLES ? count : SAMPLES);
    for (int i = 0; i < l->count; ++i) {
        double found = values[i * count / l->count], wanted = l->values[i];
        ck_assert_msg(fabs(found - wanted) < 2e-5 * (1 + fabs(wanted)), "%s %s %s: %.9g, not %.9g",
                      l->test, l->kind, l->name, found, wanted);
    }
    free(values);
}

/* ---- the waves of make_modules.py ---- */

static tensor *wave(double (*function)(double), int rank, const int64_t *shape, double slope,
                    double start)
{
    int64_t count = 1;
    for (int i = 0; i < rank; ++i)
        count *= shape[i];
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; ++i)
        values[i] = (float)function(slope * (double)i + start);
    tensor *t = t_from(values, rank, shape, F32, CPU);
    free(values);
    return t;
}

static tensor *wave_like(double (*function)(double), tensor *t, double slope, double start)
{
    int64_t shape[8];
    for (int i = 0; i < t_rank(t); ++i)
        shape[i] = t_size(t, i);
    return wave(function, t_rank(t), shape, slope, start);
}

static void fill(params *store)
{
    for (size_t j = 0; j < params_count(store); ++j) {
        const param *p = params_at(store, j);
        tensor *value = t_mul_scalar(wave_like(sin, p->value, 1.1, 2.3 * (double)j + 0.5), 0.4);
        if (strstr(p->name, "running_var"))
            value = t_add_scalar(value, 1);
        t_copy_(p->value, value);
    }
}

/* ---- every layer: output, gradients, running statistics ---- */

typedef union layer {
    linear linear;
    conv2d conv;
    batch_norm batch_norm;
    layer_norm layer_norm;
    group_norm group_norm;
    attention attention;
    mlp mlp;
    sequential sequential;
} layer;

#define CASE(name, expression, run)                                                                \
    static void add_##name(const builder *b, layer *l)                                             \
    {                                                                                              \
        expression;                                                                                \
    }                                                                                              \
    static tensor *run_##name(const layer *l, tensor *x)                                           \
    {                                                                                              \
        return run;                                                                                \
    }

CASE(linear, l->linear = linear_add(b, "", 4, 3, true), linear_run(&l->linear, x))
CASE(linear_plain, l->linear = linear_add(b, "", 4, 3, false), linear_run(&l->linear, x))
CASE(conv,
     l->conv = conv2d_add(b, "",
                          (conv2d_spec){.inputs = 4,
                                        .outputs = 6,
                                        .kernel = 3,
                                        .stride = 2,
                                        .padding = 2,
                                        .dilation = 2,
                                        .groups = 2,
                                        .bias = true}),
     conv2d_run(&l->conv, x))
CASE(conv_same,
     l->conv = conv2d_add(b, "",
                          (conv2d_spec){.inputs = 3,
                                        .outputs = 4,
                                        .kernel = 3,
                                        .stride = 2,
                                        .padding = PADDING_SAME,
                                        .bias = true}),
     conv2d_run(&l->conv, x))
CASE(conv_same_even,
     l->conv = conv2d_add(
         b, "", (conv2d_spec){.inputs = 3, .outputs = 4, .kernel = 3, .padding = PADDING_SAME}),
     conv2d_run(&l->conv, x))
CASE(transposed,
     l->conv = conv2d_add(b, "",
                          (conv2d_spec){.inputs = 4,
                                        .outputs = 6,
                                        .kernel = 3,
                                        .stride = 2,
                                        .padding = 1,
                                        .groups = 2,
                                        .bias = true,
                                        .transposed = true,
                                        .output_padding = 1}),
     conv2d_run(&l->conv, x))
CASE(batch_norm_train, l->batch_norm = batch_norm_add(b, "", 3),
     batch_norm_run(&l->batch_norm, x, true))
CASE(batch_norm_eval, l->batch_norm = batch_norm_add(b, "", 3),
     batch_norm_run(&l->batch_norm, x, false))
CASE(batch_norm_1d, l->batch_norm = batch_norm_add(b, "", 3),
     batch_norm_run(&l->batch_norm, x, true))
CASE(layer_norm, l->layer_norm = layer_norm_add(b, "", 2, ((int64_t[]){3, 4})),
     layer_norm_run(&l->layer_norm, x))
CASE(group_norm, l->group_norm = group_norm_add(b, "", 2, 4), group_norm_run(&l->group_norm, x))
CASE(instance_norm, l->group_norm = instance_norm_add(b, "", 3, true),
     group_norm_run(&l->group_norm, x))
CASE(instance_norm_plain, l->group_norm = instance_norm_add(b, "", 3, false),
     group_norm_run(&l->group_norm, x))
CASE(attention, l->attention = attention_add(b, "", 6, 2, ATTENTION_PYTORCH),
     attention_run(&l->attention, x, x, x, NULL, true))
CASE(mlp, l->mlp = mlp_add(b, "", 3, ((int64_t[]){4, 5, 3, 2}), GELU, NULL), mlp_run(&l->mlp, x))

static void add_attention_masked(const builder *b, layer *l)
{
    l->attention = attention_add(b, "", 6, 3, ATTENTION_PYTORCH);
}

static tensor *run_attention_masked(const layer *l, tensor *x)
{
    const float mask[] = {0, 0, 0, -INFINITY, 0, 0, 0, 0};
    return attention_run(&l->attention, t_slice(x, 1, 0, 2), x, x,
                         t_from(mask, 2, (int64_t[]){2, 4}, F32, CPU), true);
}

static const layer_spec table[] = {
    {MODULE_CONV2D, .conv = {.outputs = 4, .kernel = 3, .padding = 1}},
    {.kind = MODULE_BATCH_NORM},
    {MODULE_ACTIVATION, .activation = LEAKY_RELU_02},
    {MODULE_MAX_POOL, .kernel = 2, .stride = 2},
    {MODULE_UPSAMPLE, .factor = 2},
    {MODULE_GROUP_NORM, .factor = 2},
    {MODULE_DROPOUT, .rate = 0},
    {MODULE_AVG_POOL, .kernel = 3, .stride = 2, .padding = 1},
    {.kind = MODULE_FLATTEN},
    {MODULE_LINEAR, .conv = {.inputs = 16, .outputs = 3, .bias = true}},
    {.kind = MODULE_BATCH_NORM},
};
CASE(sequential, l->sequential = sequential_add(b, "", table, 11, 3),
     sequential_run(&l->sequential, x, true))

static void add_activations(const builder *b, layer *l)
{
}

static tensor *run_activations(const layer *l, tensor *x)
{
    tensor *all[SOFTPLUS + 1];
    for (int kind = NO_ACTIVATION; kind <= SOFTPLUS; ++kind)
        all[kind] = activate(t_mul_scalar(x, 4), (activation)kind);
    return t_stack(all, SOFTPLUS + 1, 0);
}

#define ROW(name, rank, ...)                                                                       \
    {                                                                                              \
#name, add_##name, run_##name, rank,                                                       \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct test_case {
    const char *name;
    void (*add)(const builder *b, layer *l);
    tensor *(*run)(const layer *l, tensor *x);
    int rank;
    int64_t shape[4];
} cases[] = {
    ROW(linear, 3, 2, 5, 4),
    ROW(linear_plain, 2, 2, 4),
    ROW(conv, 4, 2, 4, 7, 6),
    ROW(conv_same, 4, 1, 3, 6, 7),
    ROW(conv_same_even, 4, 1, 3, 5, 4),
    ROW(transposed, 4, 2, 4, 3, 4),
    ROW(batch_norm_train, 4, 2, 3, 4, 2),
    ROW(batch_norm_eval, 4, 2, 3, 4, 2),
    ROW(batch_norm_1d, 2, 5, 3),
    ROW(layer_norm, 3, 2, 3, 4),
    ROW(group_norm, 4, 2, 4, 3, 2),
    ROW(instance_norm, 4, 2, 3, 4, 2),
    ROW(instance_norm_plain, 4, 2, 3, 4, 2),
    ROW(attention, 3, 2, 4, 6),
    ROW(attention_masked, 3, 2, 4, 6),
    ROW(mlp, 2, 3, 4),
    ROW(sequential, 4, 5, 3, 4, 4),
    ROW(activations, 1, 11),
};
enum { CASES = sizeof cases / sizeof *cases };

/* The golden lines of a case stand in the order of its state dict. */
static void check_case(const struct test_case *t, const line *lines, int count)
{
    params *store;
    layer l;
    ck_ok(params_create(&store));
    scope s = scope_begin_grad();
    const builder b = {.store = store, .prefix = "", .seed = 1, .purpose = NULL};
    t->add(&b, &l);
    fill(store);
    tensor *x = wave(cos, t->rank, t->shape, 0.9, 0.2);
    t_require_grad(x, true);
    tensor *out = t->run(&l, x);
    t_backward(t_sum_all(t_mul(out, wave_like(sin, out, 0.7, 0.1))));
    size_t at = 0;
    for (int i = 0; i < count; ++i) {
        const line *one = &lines[i];
        if (strcmp(one->test, t->name) != 0)
            continue;
        if (strcmp(one->kind, "output") == 0 || strcmp(one->kind, "input") == 0) {
            check_line(one, one->kind[0] == 'o' ? out : t_grad(x));
            continue;
        }
        const param *p = params_at(store, at++);
        ck_assert_msg(p && strcmp(p->name, one->name) == 0, "%s: %s is not %s", t->name,
                      p ? p->name : "nothing", one->name);
        ck_assert_int_eq(p->buffer, strcmp(one->kind, "state") == 0);
        check_line(one, p->buffer ? p->value : t_grad(p->value));
    }
    ck_assert_uint_eq(at, params_count(store));
    ck_ok(scope_end(&s));
    params_free(store);
}

START_TEST(every_layer_computes_and_learns_as_pytorchs_under_the_same_names)
{
    static line lines[LINES];
    check_case(&cases[_i], lines, read_lines(lines, "run"));
}
END_TEST

/* ---- first values ---- */

static void add_large(const builder *b)
{
    builder timm = builder_below(b, "timm"), wide = builder_below(b, "trunc_wide"),
            narrow = builder_below(b, "trunc_normal"), he = builder_below(b, "kaiming");
    linear_add(b, "linear", 300, 200, true);
    conv2d_spec conv = {.inputs = 64, .outputs = 48, .kernel = 3, .groups = 2, .bias = true};
    conv2d_add(b, "conv", conv);
    conv2d_spec transposed = {
        .inputs = 48, .outputs = 64, .kernel = 3, .groups = 2, .bias = true, .transposed = true};
    conv2d_add(b, "transposed", transposed);
    embedding_add(b, "embedding", 300, 100);
    attention_add(b, "attention", 128, 4, ATTENTION_PYTORCH);
    attention_add(&timm, "attn", 8, 2, ATTENTION_TIMM);
    narrow.weights = wide.weights = INIT_TRUNC_NORMAL;
    wide.std = 1.5;
    linear_add(&narrow, "", 300, 200, false);
    linear_add(&wide, "", 300, 200, false);
    he.weights = INIT_KAIMING_NORMAL;
    conv2d_add(&he, "", (conv2d_spec){.inputs = 64, .outputs = 48, .kernel = 3});
}

/* Mean, deviation and largest magnitude as far from PyTorch's as two draws may lie apart. */
static void check_distribution(const line *l, tensor *t)
{
    double *x = numbers(t), sum = 0, squares = 0, largest = 0;
    double count = (double)t_count(t);
    for (int64_t i = 0; i < t_count(t); ++i) {
        sum += x[i];
        squares += x[i] * x[i];
        largest = fmax(largest, fabs(x[i]));
    }
    free(x);
    double mean = sum / count, deviation = sqrt(fmax(squares / count - mean * mean, 0));
    double apart = l->values[1] / sqrt(count);
    ck_assert_msg(fabs(mean - l->values[0]) <= 6 * apart, "%s.%s: mean %g", l->test, l->name, mean);
    ck_assert_msg(fabs(deviation - l->values[1]) <= 6 * apart, "%s.%s: deviation %g, not %g",
                  l->test, l->name, deviation, l->values[1]);
    ck_assert_msg(largest <= 1.25 * l->values[2] && largest >= 0.75 * l->values[2],
                  "%s.%s: largest %g, not %g", l->test, l->name, largest, l->values[2]);
}

START_TEST(layers_begin_with_the_values_that_pytorch_would_draw)
{
    static line lines[LINES];
    int count = read_lines(lines, "init");
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store, .seed = 3, .purpose = "test/"};
    add_large(&b);
    for (int i = 0; i < count; ++i) {
        char name[128];
        snprintf(name, sizeof name, "%.20s.%.30s", lines[i].test, lines[i].name);
        const param *p = params_find(store, name);
        ck_assert_msg(p, "no %s", name);
        check_distribution(&lines[i], p->value);
    }
    ck_assert_ptr_nonnull(params_find(store, "timm.attn.qkv.weight"));
    ck_assert_ptr_nonnull(params_find(store, "timm.attn.proj.bias"));
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

static double first_number(params *store, const char *name)
{
    const param *p = params_find(store, name);
    ck_assert_msg(p, "no %s", name);
    double *values = numbers(p->value), first = values[0];
    free(values);
    return first;
}

START_TEST(first_values_depend_on_seed_purpose_and_name_and_on_nothing_else)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    builder b = {.store = store, .seed = 3, .purpose = "test/"};
    linear_add(&b, "a", 4, 4, true);
    linear_add(&b, "b", 4, 4, true);
    b.prefix = "again.";
    linear_add(&b, "b", 4, 4, true);
    b.prefix = "short.";
    b.short_streams = true;
    linear_add(&b, "b", 4, 4, true);
    b.prefix = "other.";
    b.short_streams = false;
    b.seed = 4;
    linear_add(&b, "b", 4, 4, true);
    b.prefix = "empty.";
    b.purpose = NULL;
    linear_add(&b, "b", 4, 4, true);
    double value = first_number(store, "b.weight");
    ck_assert(value != first_number(store, "a.weight"));
    ck_assert(value == first_number(store, "again.b.weight"));
    ck_assert(value != first_number(store, "short.b.weight"));
    ck_assert(value != first_number(store, "other.b.weight"));
    ck_assert(first_number(store, "empty.b.weight") == 0);
    ck_assert(first_number(store, "empty.b.bias") == 0);
    tensor *drawn = init_default(2, (int64_t[]){4, 4}, 3, "test/b.weight");
    double *expected = numbers(drawn);
    ck_assert(value == expected[0]);
    free(expected);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* ---- folding ---- */

static double difference(tensor *a, tensor *b)
{
    return t_item(t_max_all(t_abs(t_sub(a, b)))) / t_item(t_max_all(t_abs(a)));
}

static const conv2d_spec foldable[] = {
    {.inputs = 4, .outputs = 6, .kernel = 3, .padding = 1},
    {.inputs = 4, .outputs = 6, .kernel = 3, .stride = 2, .padding = PADDING_SAME, .bias = true},
    {.inputs = 4, .outputs = 6, .kernel = 1, .groups = 2, .bias = true},
    {.inputs = 4, .outputs = 6, .kernel = 2, .stride = 2, .transposed = true},
    {.inputs = 4, .outputs = 6, .kernel = 3, .groups = 2, .bias = true, .transposed = true},
};

START_TEST(a_folded_convolution_computes_what_it_did_before_its_batch_norm_left)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    conv_block c = conv_block_add(&b, "conv1", "bn1", foldable[_i], RELU);
    fill(store);
    c.norm.eps = 1e-3;
    tensor *x = wave(cos, 4, (int64_t[]){2, 4, 6, 5}, 0.9, 0.2);
    tensor *before = conv_block_run(&c, x, false);
    conv_block_fold(&c, store);
    ck_assert_double_lt(difference(before, conv_block_run(&c, x, false)), 1e-6);
    ck_assert_uint_eq(params_count(store), 2);
    ck_assert_ptr_eq(params_find(store, "conv1.weight")->value, c.conv.weight);
    ck_assert_ptr_eq(params_find(store, "conv1.bias")->value, c.conv.bias);
    conv_block_fold(&c, store); /* there is nothing left to fold */
    ck_assert_double_lt(difference(before, conv_block_run(&c, x, true)), 1e-6);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

static const conv2d_spec turnable[] = {
    {.inputs = 4, .outputs = 6, .kernel = 3, .padding = 1, .bias = true, .transposed = true},
    {.inputs = 4, .outputs = 6, .kernel = 4, .stride = 2, .padding = 1, .transposed = true},
    {.inputs = 4, .outputs = 6, .kernel = 9, .stride = 3, .padding = 3, .transposed = true},
    {.inputs = 4, .outputs = 6, .kernel = 2, .stride = 2, .bias = true, .transposed = true},
    /* the rest stay as they are */
    {.inputs = 4, .outputs = 6, .kernel = 3, .stride = 2, .padding = 1, .transposed = true},
    {.inputs = 4, .outputs = 6, .kernel = 3, .groups = 2, .padding = 1, .transposed = true},
    {.inputs = 4, .outputs = 6, .kernel = 3, .padding = 1},
};

START_TEST(a_turned_convolution_computes_the_same)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    conv2d c = conv2d_add(&b, "conv", turnable[_i]);
    fill(store);
    tensor *x = wave(cos, 4, (int64_t[]){2, 4, 6, 5}, 0.9, 0.2), *before = conv2d_run(&c, x);
    conv2d_turn(&c);
    ck_assert_int_eq(c.spec.turned, _i < 4);
    conv2d_turn(&c); /* once */
    ck_assert_double_lt(difference(before, conv2d_run(&c, x)), 1e-6);
    ck_assert_double_lt(difference(before, conv2d_run(&c, t_channels_last(x))), 1e-6);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(folding_rounds_once)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    linear l = linear_add(&b, "fc", 1, 1, false);
    batch_norm n = batch_norm_add(&b, "bn", 1);
    fill(store);
    double *w = numbers(l.weight), *gamma = numbers(n.weight), *beta = numbers(n.bias),
           *mean = numbers(n.mean), *variance = numbers(n.variance);
    double scale = gamma[0] / sqrt(variance[0] + 1e-5);
    linear_fold(&l, &n, store);
    double *scaled = numbers(l.weight), *shift = numbers(l.bias);
    ck_assert_double_eq(scaled[0], (float)(w[0] * scale));
    ck_assert_double_eq(shift[0], (float)(beta[0] - mean[0] * scale));
    double *all[] = {w, gamma, beta, mean, variance, scaled, shift};
    for (int i = 0; i < 7; ++i)
        free(all[i]);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(a_sequence_folds_every_batch_norm_that_follows_a_layer)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    sequential q = sequential_add(&b, "features", table, 11, 3);
    fill(store);
    tensor *x = wave(cos, 4, (int64_t[]){5, 3, 4, 4}, 0.9, 0.2);
    tensor *before = sequential_run(&q, x, false);
    sequential_fold(&q, store);
    ck_assert_double_lt(difference(before, sequential_run(&q, x, false)), 1e-6);
    static const char *const names[] = {"features.0.weight", "features.5.weight",
                                        "features.5.bias",   "features.9.weight",
                                        "features.9.bias",   "features.0.bias"};
    ck_assert_uint_eq(params_count(store), 6);
    for (int i = 0; i < 6; ++i)
        ck_assert_str_eq(params_at(store, (size_t)i)->name, names[i]);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(two_linear_layers_compose_to_one)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    linear first = linear_add(&b, "0", 4, 5, true), second = linear_add(&b, "1", 5, 3, false);
    fill(store);
    tensor *x = wave(cos, 2, (int64_t[]){3, 4}, 0.9, 0.2);
    linear both = linear_compose(&first, &second);
    ck_assert_double_lt(
        difference(linear_run(&second, linear_run(&first, x)), linear_run(&both, x)), 1e-6);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* ---- frozen batch norm, parts, tokens ---- */

START_TEST(a_frozen_batch_norm_keeps_its_statistics_in_training)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    batch_norm n = batch_norm_add(&b, "bn", 3);
    fill(store);
    n.frozen = true;
    tensor *x = wave(cos, 2, (int64_t[]){5, 3}, 0.9, 0.2), *mean = t_clone(n.mean);
    ck_assert_double_eq(difference(batch_norm_run(&n, x, false), batch_norm_run(&n, x, true)), 0);
    ck_assert_double_eq(difference(mean, n.mean), 0);
    n.frozen = false;
    batch_norm_run(&n, x, true);
    ck_assert_double_gt(difference(mean, n.mean), 0);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(the_parts_of_a_sequence_make_the_whole)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    sequential q = sequential_add(&b, "", table, 11, 3);
    fill(store);
    tensor *x = wave(cos, 4, (int64_t[]){5, 3, 4, 4}, 0.9, 0.2);
    tensor *half = sequential_part(&q, 0, 4, x, false);
    ck_assert_int_eq(t_size(half, 2), 2);
    tensor *rest = sequential_part(&q, 4, q.count, half, false);
    ck_assert_double_eq(difference(sequential_run(&q, x, false), rest), 0);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(an_embedding_looks_up_rows_by_an_index_of_any_shape)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store};
    embedding e = embedding_add(&b, "codes", 3, 2);
    t_copy_(e.weight, t_from((float[]){0, 1, 10, 11, 20, 21}, 2, (int64_t[]){3, 2}, F32, CPU));
    tensor *index = t_from((int64_t[]){2, 0, 1, 2}, 2, (int64_t[]){2, 2}, I64, CPU);
    tensor *rows = embedding_run(&e, index);
    ck_assert_int_eq(t_rank(rows), 3);
    double *values = numbers(rows);
    const double expected[] = {20, 21, 0, 1, 10, 11, 20, 21};
    for (int i = 0; i < 8; ++i)
        ck_assert_double_eq(values[i], expected[i]);
    free(values);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* ---- what cannot be built ---- */

static imiad_status build(void (*wrong)(const builder *b))
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store, .seed = 1, .purpose = "test/"};
    wrong(&b);
    imiad_status status = scope_end(&s);
    params_free(store);
    return status;
}

static void add_twice(const builder *b)
{
    linear_add(b, "fc", 2, 2, true);
    linear_add(b, "fc", 2, 2, true);
}

static void add_odd_groups(const builder *b)
{
    conv2d_add(b, "conv", (conv2d_spec){.inputs = 3, .outputs = 4, .kernel = 1, .groups = 2});
}

static void add_odd_heads(const builder *b)
{
    attention_add(b, "attn", 6, 4, ATTENTION_PYTORCH);
}

static void add_deep_path(const builder *b)
{
    builder at = *b;
    for (int i = 0; i < 20; ++i)
        at = builder_below(&at, "a.long.name.%d", i);
    linear_add(&at, "fc", 2, 2, true);
}

static void add_vector(const builder *b)
{
    parameter_add(b, "token", 1, (int64_t[]){3}, INIT_XAVIER_NORMAL);
}

START_TEST(what_cannot_be_built_is_an_error_that_names_it)
{
    ck_fails(build(add_twice), IMIAD_INTERNAL, "fc.weight is there already");
    ck_fails(build(add_odd_groups), IMIAD_INTERNAL, "conv");
    ck_fails(build(add_odd_heads), IMIAD_INTERNAL, "6 channels for 4 heads");
    ck_fails(build(add_deep_path), IMIAD_INTERNAL, "too long");
    ck_fails(build(add_vector), IMIAD_INTERNAL, "token");
}
END_TEST

SUITE("modules", LOOP_TEST(every_layer_computes_and_learns_as_pytorchs_under_the_same_names, CASES),
      TEST(layers_begin_with_the_values_that_pytorch_would_draw),
      TEST(first_values_depend_on_seed_purpose_and_name_and_on_nothing_else),
      LOOP_TEST(a_folded_convolution_computes_what_it_did_before_its_batch_norm_left, 5),
      LOOP_TEST(a_turned_convolution_computes_the_same, 7), TEST(folding_rounds_once),
      TEST(a_sequence_folds_every_batch_norm_that_follows_a_layer),
      TEST(two_linear_layers_compose_to_one),
      TEST(a_frozen_batch_norm_keeps_its_statistics_in_training),
      TEST(the_parts_of_a_sequence_make_the_whole),
      TEST(an_embedding_looks_up_rows_by_an_index_of_any_shape),
      TEST(what_cannot_be_built_is_an_error_that_names_it))
