/* Normalising flows: against FrEIA, against their own inverse and against the Jacobian's
 * determinant in numbers. */
#include "nn/flows.h"

#include <math.h>
#include <string.h>

#include "check_suite.h"
#include "detectors/golden_steps.h"
#include "weights/weights.h"

#define GOLDEN "tests/golden/fastflow.csv" /* made by tests/golden/make_fastflow.py */

enum { SEED = 66 };

typedef struct made {
    params *learned, *fixed;
    flow_block blocks[4];
} made;

static made make(const flow_shape *shape, int count)
{
    made m;
    ck_ok(params_create(&m.learned));
    ck_ok(params_create(&m.fixed));
    const flow_maker maker = {m.learned, m.fixed, SEED, "flow", CPU};
    scope s = scope_begin();
    for (int i = 0; i < count; ++i) {
        char name[16] = "block";
        if (count > 1)
            snprintf(name, sizeof name, "block%d", i);
        flow_block_add(&m.blocks[i], &maker, name, shape);
    }
    ck_ok(scope_end(&s));
    return m;
}

static void free_made(made *m)
{
    params_free(m->learned);
    params_free(m->fixed);
}

/* Away from where nothing is learned: other scales and offsets, larger weights. In double. */
static void stir(made *m, int count, double factor)
{
    ck_ok(params_to(m->learned, F64, CPU));
    ck_ok(params_to(m->fixed, F64, CPU));
    scope s = scope_begin();
    for (int i = 0; i < count; ++i) {
        flow_block *b = &m->blocks[i];
        int64_t shape[4] = {1, b->shape.channels, 1, 1};
        int rank = t_rank(b->scale);
        t_add_(b->scale, t_view(golden_procedural(shape, 1, F64), rank, shape), 1);
        t_add_(b->offset, t_view(golden_procedural(shape, 2, F64), rank, shape), 1);
        for (int l = 0; l < 2; ++l)
            t_mul_(b->weight[l], factor);
    }
    ck_ok(scope_end(&s));
}

static flow_shape maps(int64_t channels, int kernel, flow_clamp form)
{
    return (flow_shape){.channels = channels,
                        .hidden = channels - channels / 2,
                        .kernel = kernel,
                        .clamp = 2,
                        .form = form,
                        .mixing = FLOW_PERMUTATION};
}

static flow_shape rows(int64_t channels, int64_t condition)
{
    return (flow_shape){.channels = channels,
                        .condition = condition,
                        .hidden = 2 * (channels - channels / 2 + condition),
                        .clamp = 1.9,
                        .form = FLOW_TANH,
                        .mixing = FLOW_ROTATION};
}

static tensor *around_zero(int64_t n, int64_t channels, int64_t height, int64_t width, double phase)
{
    return t_add_scalar(golden_procedural((int64_t[]){n, channels, height, width}, phase, F64), -1);
}

/* The largest difference of two tensors of one shape. */
static double apart(tensor *a, tensor *b)
{
    return t_item(t_max_all(t_abs(t_sub(a, b))));
}

static double sample_error(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *values = malloc(count * sizeof *values), worst = 0;
    t_read(t_contiguous(t), values, count * sizeof *values);
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i)
        worst =
            fmax(worst, fabs(values[i * (count - 1) / (GOLDEN_SAMPLES - 1)] - l->values[i + 1]));
    free(values);
    return worst / l->values[0];
}

/* Spec, section 9: odd and even channels, the clamp of FrEIA 0.2 and today's. */
START_TEST(a_block_equals_freia)
{
    static golden_case golden;
    static const char *const forms[] = {"tanh", "scaled_tanh"};
    const flow_shape shapes[] = {maps(5, 3, _i == 0 ? FLOW_TANH : FLOW_SCALED_TANH),
                                 maps(6, 1, _i == 0 ? FLOW_TANH : FLOW_SCALED_TANH)};
    golden_read(&golden, GOLDEN, forms[_i]);
    int compared = 0;
    double worst = 0;
    for (int i = 0; i < 2; ++i) {
        made m = make(&shapes[i], 1);
        stir(&m, 1, 8);
        scope s = scope_begin();
        tensor *log_determinant,
            *z = flow_block_forward(m.blocks, around_zero(2, shapes[i].channels, 4, 4, 0), NULL,
                                    &log_determinant);
        for (size_t k = 0; k < golden.count; ++k) {
            char wanted[2][32];
            snprintf(wanted[0], 32, "z.%d", (int)shapes[i].channels);
            snprintf(wanted[1], 32, "log_determinant.%d", (int)shapes[i].channels);
            for (int t = 0; t < 2; ++t)
                if (strcmp(golden.lines[k].name, wanted[t]) == 0) {
                    worst = fmax(worst, sample_error(t ? log_determinant : z, &golden.lines[k]));
                    ++compared;
                }
        }
        ck_ok(scope_end(&s));
        free_made(&m);
    }
    printf("%s: largest relative error %.2g\n", forms[_i], worst);
    ck_assert_int_eq(compared, 4);
    ck_assert_double_lt(worst, 1e-7);
}
END_TEST

static const struct {
    int64_t channels, condition;
    int kernel;
} kinds[] = {{5, 0, 3}, {6, 0, 1}, {7, 4, 0}, {8, 0, 0}};

/* In single precision, as detectors compute. */
START_TEST(the_inverse_gives_back_what_went_in)
{
    int64_t c = kinds[_i].channels, side = kinds[_i].kernel > 0 ? 4 : 1;
    flow_shape shape =
        kinds[_i].kernel > 0 ? maps(c, kinds[_i].kernel, FLOW_TANH) : rows(c, kinds[_i].condition);
    made m = make(&shape, 4);
    stir(&m, 4, 2);
    ck_ok(params_to(m.learned, F32, CPU));
    ck_ok(params_to(m.fixed, F32, CPU));
    scope s = scope_begin();
    int64_t flat[] = {3, c};
    tensor *x = t_to(around_zero(3, c, side, side, 0), F32), *log_determinant;
    x = kinds[_i].kernel > 0 ? x : t_view(x, 2, flat);
    tensor *condition = NULL;
    if (kinds[_i].condition > 0)
        condition = t_view(t_to(around_zero(3, kinds[_i].condition, 1, 1, 5), F32), 2,
                           (int64_t[]){3, kinds[_i].condition});
    tensor *z = flow_forward(m.blocks, 4, x, condition, &log_determinant);
    double error = apart(flow_inverse(m.blocks, 4, z, condition), x), moved = apart(z, x);
    ck_ok(scope_end(&s));
    printf("%d channels: largest error of the inverse %.2g\n", (int)c, error);
    ck_assert_double_gt(moved, 0.1);
    ck_assert_double_lt(error, 1e-4);
    free_made(&m);
}
END_TEST

/* At its making g is 1, and without what the subnet says a block is a permutation. */
START_TEST(an_untrained_block_only_permutes)
{
    flow_shape shape = maps(6, 3, FLOW_TANH);
    made m = make(&shape, 1);
    scope s = scope_begin();
    for (int l = 0; l < 2; ++l) {
        t_zero_(m.blocks[0].weight[l]);
        t_zero_(m.blocks[0].bias[l]);
    }
    tensor *log_determinant, *x = t_to(around_zero(2, 6, 4, 4, 0), F32);
    tensor *z = flow_block_forward(m.blocks, x, NULL, &log_determinant);
    double error = apart(z, t_index_select(x, 1, m.blocks[0].mixing));
    double largest = t_item(t_max_all(t_abs(log_determinant)));
    ck_ok(scope_end(&s));
    ck_assert_double_lt(error, 1e-6);
    ck_assert_double_lt(largest, 6 * 16 * 1e-6);
    free_made(&m);
}
END_TEST

/* The whole Jacobian of a flow over one row, by central differences. */
START_TEST(the_log_determinant_is_the_jacobians)
{
    enum { C = 8 };
    flow_shape shape = rows(C, 4);
    double step = 1e-5;
    made m = make(&shape, 2);
    stir(&m, 2, 8);
    scope s = scope_begin();
    tensor *x = t_view(around_zero(1, C, 1, 1, 0), 2, (int64_t[]){1, C}), *log_determinant, *unused;
    tensor *condition = t_view(around_zero(1, 4, 1, 1, 3), 2, (int64_t[]){1, 4}), *columns[C];
    flow_forward(m.blocks, 2, x, condition, &log_determinant);
    tensor *identity = t_eye(C, F64, CPU);
    for (int i = 0; i < C; ++i) {
        tensor *e = t_mul_scalar(t_slice(identity, 0, i, i + 1), step);
        tensor *above = flow_forward(m.blocks, 2, t_add(x, e), condition, &unused);
        tensor *below = flow_forward(m.blocks, 2, t_sub(x, e), condition, &unused);
        columns[i] = t_div_scalar(t_sub(above, below), 2 * step);
    }
    double numeric = t_item(t_slogdet(t_cat(columns, C, 0))), returned = t_item(log_determinant);
    ck_ok(scope_end(&s));
    ck_assert_double_gt(fabs(returned), 0.1);
    ck_assert_double_eq_tol(returned, numeric, 1e-6);
    free_made(&m);
}
END_TEST

/* The quick way and its plain twin, values and gradients. */
START_TEST(unordered_is_the_same_but_for_the_order)
{
    flow_shape shape = maps(7, 3, FLOW_TANH);
    made m = make(&shape, 4);
    stir(&m, 4, 8);
    tensor *gradients[2];
    double latent = 0, determinants = 0;
    scope outer = scope_begin();
    tensor *z[2], *determinant[2];
    for (int quick = 0; quick < 2; ++quick) {
        scope s = scope_begin_grad();
        tensor *x = around_zero(2, 7, 4, 4, 0), *own;
        tensor *out = quick ? flow_forward_unordered(m.blocks, 4, x, &own)
                            : flow_forward(m.blocks, 4, x, NULL, &own);
        t_backward(t_sub(t_sum_all(t_square(out)), t_sum_all(own)));
        gradients[quick] = t_keep(t_clone(t_grad(m.blocks[0].weight[0])));
        params_clear_grad(m.learned);
        z[quick] = t_keep(t_detach(out));
        determinant[quick] = t_keep(t_detach(own));
        ck_ok(scope_end(&s));
    }
    latent = apart(z[0], t_index_select(z[1], 1, m.blocks[3].mixing));
    determinants = apart(determinant[0], determinant[1]);
    double gradient = apart(gradients[0], gradients[1]);
    ck_ok(scope_end(&outer));
    for (int i = 0; i < 2; ++i) {
        t_free(z[i]);
        t_free(determinant[i]);
        t_free(gradients[i]);
    }
    ck_assert_double_lt(latent, 1e-10);
    ck_assert_double_lt(determinants, 1e-10);
    ck_assert_double_lt(gradient, 1e-8);
    free_made(&m);
}
END_TEST

/* What scoring takes, of an even number of channels in one pass, and its plain twin. */
START_TEST(unordered_without_a_determinant_gives_the_same_bytes)
{
    flow_shape shape = maps(_i < 2 ? 8 : 7, 3, _i == 0 ? FLOW_TANH : FLOW_SCALED_TANH);
    made m = make(&shape, 3);
    stir(&m, 3, 8);
    ck_ok(params_to(m.learned, F32, CPU));
    scope s = scope_begin();
    tensor *x = t_to(around_zero(2, shape.channels, 5, 7, 0), F32), *own;
    tensor *plain = flow_forward_unordered(m.blocks, 3, x, &own);
    ck_assert_double_eq(apart(plain, flow_forward_unordered(m.blocks, 3, x, NULL)), 0);
    tensor *woven = t_channels_last(x);
    ck_assert_double_lt(apart(plain, flow_forward_unordered(m.blocks, 3, woven, NULL)), 1e-5);
    ck_ok(scope_end(&s));
    free_made(&m);
}
END_TEST

START_TEST(a_rotation_is_orthogonal_with_determinant_one)
{
    static const int64_t sizes[] = {2, 3, 40};
    for (int i = 0; i < 3; ++i) {
        flow_shape shape = rows(sizes[i], 0);
        made m = make(&shape, 1);
        scope s = scope_begin();
        tensor *r = t_to(m.blocks[0].mixing, F64);
        double error = apart(t_matmul(r, t_transpose(r, 0, 1)), t_eye(sizes[i], F64, CPU));
        double v[9] = {0}, determinant = 1;
        if (sizes[i] < 4)
            t_read(t_contiguous(r), v, (size_t)(sizes[i] * sizes[i]) * sizeof *v);
        if (sizes[i] == 2)
            determinant = v[0] * v[3] - v[1] * v[2];
        else if (sizes[i] == 3)
            determinant = v[0] * (v[4] * v[8] - v[5] * v[7]) - v[1] * (v[3] * v[8] - v[5] * v[6]) +
                          v[2] * (v[3] * v[7] - v[4] * v[6]);
        ck_ok(scope_end(&s));
        ck_assert_double_lt(error, 1e-6);
        ck_assert_double_eq_tol(determinant, 1, 1e-6);
        free_made(&m);
    }
}
END_TEST

/* Scoring's way and its plain twin, with a condition and without. */
START_TEST(folded_blocks_are_the_same)
{
    enum {
        ROWS = 2,
        COLUMNS = 3,
        POSITIONS = ROWS * COLUMNS,
        IMAGES = 2,
        CHANNELS = 7,
        BLOCKS = 3
    };
    int64_t condition = _i == 0 ? 4 : 0;
    flow_shape shape = rows(CHANNELS, condition);
    flow_folded folded[BLOCKS];
    made m = make(&shape, BLOCKS);
    stir(&m, BLOCKS, 2);
    scope s = scope_begin();
    tensor *across = NULL, *down = NULL, *both = NULL, *quick, *plain;
    if (condition) {
        across = t_view(around_zero(COLUMNS, 3, 1, 1, 3), 2, (int64_t[]){COLUMNS, 3});
        down =
            t_view(around_zero(ROWS, condition - 3, 1, 1, 5), 2, (int64_t[]){ROWS, condition - 3});
        tensor *of_rows =
            t_expand(t_unsqueeze(down, 1), 3, (int64_t[]){ROWS, COLUMNS, condition - 3});
        tensor *code =
            t_cat((tensor *[]){t_repeat(across, 2, (int64_t[]){ROWS, 1}),
                               t_view(of_rows, 2, (int64_t[]){POSITIONS, condition - 3})},
                  2, 1);
        both = t_cat((tensor *[]){code, code}, IMAGES, 0);
    }
    for (int i = 0; i < BLOCKS; ++i)
        ck_ok(flow_fold(&folded[i], &m.blocks[i], across, down));
    tensor *x = t_view(around_zero(IMAGES * POSITIONS, CHANNELS, 1, 1, 0), 2,
                       (int64_t[]){IMAGES * POSITIONS, CHANNELS});
    tensor *z = flow_forward(m.blocks, BLOCKS, x, both, &plain);
    tensor *rows_of = t_view(x, 3, (int64_t[]){IMAGES, POSITIONS, CHANNELS});
    tensor *same = flow_folded_forward(folded, BLOCKS, rows_of, &quick);
    double latent = apart(t_view(same, 2, (int64_t[]){IMAGES * POSITIONS, CHANNELS}), z);
    double determinant = apart(t_flatten(quick, 0, 1), plain);
    ck_ok(scope_end(&s));
    for (int i = 0; i < BLOCKS; ++i)
        flow_folded_free(&folded[i]);
    ck_assert_double_lt(latent, 1e-10);
    ck_assert_double_lt(determinant, 1e-10);
    free_made(&m);
}
END_TEST

/* ---- permutations from checkpoints ---- */

enum { C = 4 };
static const int64_t order[C] = {2, 0, 3, 1};

static weights *write_and_open(char *path, int rank, const int64_t *shape, dtype type,
                               const void *data)
{
    weights_writer *writer;
    weights *file;
    ck_ok(weights_writer_create(&writer));
    ck_ok(weights_writer_add(writer, "block.w_perm", type, rank, shape, data));
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    ck_ok(weights_open(&file, path));
    return file;
}

/* Row i of FrEIA 0.2's matrix has its 1 at column order[i]; since then it is the order itself. */
START_TEST(permutations_come_as_matrix_and_as_index)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    flow_shape shape = maps(C, 1, FLOW_TANH);
    float matrix[C][C] = {{0}};
    for (int i = 0; i < C; ++i)
        matrix[i][order[i]] = 1;
    for (int indexed = 0; indexed < 2; ++indexed) {
        made m = make(&shape, 1);
        const int64_t sizes[] = {C, C, 1, 1};
        weights *file = indexed ? write_and_open(path, 1, sizes, I64, order)
                                : write_and_open(path, 4, sizes, F32, matrix);
        int64_t found[C];
        ck_ok(flow_load_permutation(&m.blocks[0], file, "block.w_perm"));
        scope s = scope_begin();
        t_read(m.blocks[0].mixing, found, sizeof found);
        ck_ok(scope_end(&s));
        ck_assert_mem_eq(found, order, sizeof found);
        weights_free(file);
        free_made(&m);
    }
    unlink(path);
}
END_TEST

START_TEST(what_is_no_permutation_is_refused)
{
    static const int64_t twice[C] = {2, 0, 2, 1}, beyond[C] = {2, 0, 4, 1},
                         below[C] = {2, 0, -1, 1};
    static const int64_t *const bad[] = {twice, beyond, below};
    static const float empty[C * C] = {0}, half[C * C] = {0.5F};
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    flow_shape shape = maps(C, 1, FLOW_TANH);
    made m = make(&shape, 1);
    for (int i = 0; i < 6; ++i) {
        const int64_t sizes[] = {i == 5 ? C - 1 : C, C, 1, 1};
        weights *file = i < 3 ? write_and_open(path, 1, sizes, I64, bad[i])
                              : write_and_open(path, 4, sizes, F32, i == 4 ? half : empty);
        ck_fails(flow_load_permutation(&m.blocks[0], file, "block.w_perm"), IMIAD_FORMAT,
                 "block.w_perm");
        ck_fails(flow_load_permutation(&m.blocks[0], file, "another"), IMIAD_FORMAT, "another");
        weights_free(file);
    }
    unlink(path);
    free_made(&m);
}
END_TEST

SUITE("flows", LOOP_TEST(a_block_equals_freia, 2),
      LOOP_TEST(the_inverse_gives_back_what_went_in, 4), TEST(an_untrained_block_only_permutes),
      TEST(the_log_determinant_is_the_jacobians), TEST(unordered_is_the_same_but_for_the_order),
      LOOP_TEST(unordered_without_a_determinant_gives_the_same_bytes, 3),
      LOOP_TEST(folded_blocks_are_the_same, 2), TEST(a_rotation_is_orthogonal_with_determinant_one),
      TEST(permutations_come_as_matrix_and_as_index), TEST(what_is_no_permutation_is_refused))
