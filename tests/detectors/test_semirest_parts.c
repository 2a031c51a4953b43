/* What SemiREST is made of beside the authors' sibling code (tests/golden/make_semirest.py), and
 * what its definition says. */
#include <math.h>
#include <string.h>
#include <zlib.h>

#include "bridge/tensor.h"
#include "check_suite.h"
#include "detectors/parts/foreign_search.h"
#include "detectors/parts/mask_shapes.h"
#include "detectors/parts/patch_embedding.h"
#include "detectors/parts/position_code.h"
#include "detectors/parts/residual_pool.h"
#include "detectors/parts/residual_swin.h"
#include "detectors/parts/token_labels.h"
#include "detectors/parts/token_losses.h"
#include "nn/optimizer.h"

#define GOLDEN "tests/golden/semirest.csv"

enum {
    SAMPLES = 12,
    INPUTS = 6,
    WIDTH = 8,
    HEADS = 2,
    BLOCKS = 4,
    AROUND = 4,
    SIDE = 8,
    GRID = 12
};

/* ---- the numbers that the script computes too ---- */

/* Number `index` of a seed, in [-1, 1). */
static double noise(uint32_t index, uint32_t seed)
{
    uint32_t h = (index + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (double)h / 0x1p31 - 1;
}

static tensor *noise_tensor(uint32_t seed, int rank, const int64_t *shape)
{
    size_t count = 1;
    for (int i = 0; i < rank; ++i)
        count *= (size_t)shape[i];
    double *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; ++i)
        values[i] = noise((uint32_t)i, seed);
    tensor *t = t_from(values, rank, shape, F64, CPU);
    free(values);
    return t;
}

/* Blocks of 8 x 8 pixels: block k of image n has 5 (k + 3 n) mod 65 pixels of a defect. */
static void fill_mask(uint8_t *mask, int n, int side)
{
    int blocks = side / 8;
    memset(mask, 0, (size_t)(side * side));
    for (int b = 0; b < blocks * blocks; ++b)
        for (int p = 0; p < 5 * (b + 3 * n) % 65; ++p)
            mask[(b / blocks * 8 + p / 8) * side + b % blocks * 8 + p % 8] = 255;
}

static bool ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static void fill_parameter(const param *p)
{
    size_t count = (size_t)t_count(p->value), rows = (size_t)t_size(p->value, 0);
    uint32_t seed = (uint32_t)(crc32(0, (const uint8_t *)p->name, (uInt)strlen(p->name)) % 100000);
    double *values = malloc(count * sizeof *values);
    int64_t shape[4];
    for (int i = 0; i < t_rank(p->value); ++i)
        shape[i] = t_size(p->value, i);
    for (size_t i = 0; i < count; ++i) {
        double v = noise((uint32_t)i, seed);
        if (ends(p->name, "bias"))
            v *= 0.1;
        else if (t_rank(p->value) == 1)
            v = 1 + 0.1 * v;
        else if (!ends(p->name, "table"))
            v *= sqrt(3 / (double)(count / rows));
        values[i] = v;
    }
    t_copy_(p->value, t_from(values, t_rank(p->value), shape, F64, CPU));
    free(values);
}

/* ---- golden values ---- */

typedef struct golden {
    char kind[16], name[80];
    double values[SAMPLES + 8];
    int count;
} golden;

static bool golden_next(golden *out, FILE *file)
{
    char text[1024];
    int used = 0;
    if (!fgets(text, sizeof text, file))
        return false;
    ck_assert_int_eq(sscanf(text, "%15[^,],%79[^,]%n", out->kind, out->name, &used), 2);
    out->count = 0;
    for (char *at = text + used; *at == ',' && out->count < SAMPLES + 8;)
        out->values[out->count++] = strtod(at + 1, &at);
    return true;
}

static FILE *golden_open(void)
{
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no " GOLDEN ": run from the checkout");
    return file;
}

/* The value that a line holds; fails where there is none. */
static golden golden_find(const char *kind, const char *name)
{
    FILE *file = golden_open();
    golden g;
    while (golden_next(&g, file))
        if (strcmp(g.kind, kind) == 0 && strcmp(g.name, name) == 0) {
            fclose(file);
            return g;
        }
    fclose(file);
    ck_abort_msg("no %s of %s", kind, name);
    return g;
}

/* Norm and samples of a tensor, in its logical order: how far from its norm, or its usual size. */
static void hold(tensor *t, const golden *g, double tolerance)
{
    tensor *flat = t_contiguous(t_to(t_view(t_detach(t), 1, (int64_t[]){-1}), F64));
    ck_assert_msg(flat, "%s: %s", g->name, imiad_last_error());
    int64_t count = t_count(flat);
    double *values = malloc((size_t)count * sizeof *values), square = 0;
    t_read(flat, values, (size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; ++i)
        square += values[i] * values[i];
    double norm = sqrt(square), scale = fmax(g->values[0], 1e-9);
    ck_assert_msg(fabs(norm - g->values[0]) <= tolerance * scale, "%s %s: norm %.12g, not %.12g",
                  g->kind, g->name, norm, g->values[0]);
    for (int k = 0; k < SAMPLES; ++k) {
        double found = values[k * (count - 1) / (SAMPLES - 1)];
        ck_assert_msg(fabs(found - g->values[1 + k]) <= tolerance * scale / sqrt((double)count),
                      "%s %s: sample %d is %.12g, not %.12g", g->kind, g->name, k, found,
                      g->values[1 + k]);
    }
    free(values);
}

/* ---- the network ---- */

typedef struct network {
    params *store;
    residual_swin net;
} network;

/* The script's weights, in double precision. */
static network make_network(int64_t side)
{
    network n;
    ck_ok(params_create(&n.store));
    const builder b = {.store = n.store};
    scope s = scope_begin();
    const residual_swin_spec spec = {.inputs = INPUTS,
                                     .width = WIDTH,
                                     .heads = HEADS,
                                     .blocks = BLOCKS,
                                     .attention = AROUND,
                                     .shift = side > AROUND ? AROUND / 2 : 0};
    n.net = residual_swin_add(&b, &spec);
    ck_ok(scope_end(&s));
    ck_ok(params_to(n.store, F64, CPU));
    s = scope_begin();
    for (size_t i = 0; i < params_count(n.store); ++i)
        fill_parameter(params_at(n.store, i));
    ck_ok(scope_end(&s));
    return n;
}

static tensor *judge(const network *n, tensor *tokens, int64_t side)
{
    return residual_swin_judge(&n->net, residual_swin_embed(&n->net, tokens), side, side, true);
}

/* n x channels x side x side, squared, as tokens. */
static tensor *tokens_of(tensor *residuals)
{
    int64_t n = t_size(residuals, 0), places = t_size(residuals, 2) * t_size(residuals, 3);
    tensor *last = t_contiguous(t_permute(t_square(residuals), 4, (int[]){0, 2, 3, 1}));
    return t_view(last, 3, (int64_t[]){n, places, INPUTS});
}

START_TEST(networks_and_their_gradients_equal_timms_shifted_or_not)
{
    for (int64_t side = 8; side <= 12; side += 4) {
        network n = make_network(side);
        char name[8];
        snprintf(name, sizeof name, "%d", (int)side);
        const golden logits_there = golden_find("logits", name);
        scope s = scope_begin_grad();
        tensor *x =
            tokens_of(noise_tensor(100 + (uint32_t)side, 4, (int64_t[]){2, INPUTS, side, side}));
        tensor *logits = judge(&n, x, side);
        hold(logits, &logits_there, 1e-9);
        t_backward(t_sum_all(t_mul(logits, noise_tensor(200, 3, (int64_t[]){2, side * side, 2}))));
        FILE *file = golden_open();
        golden g;
        size_t compared = 0, front = strlen(name) + 1;
        while (golden_next(&g, file)) {
            if (strcmp(g.kind, "gradient") != 0 || strncmp(g.name, name, front - 1) != 0 ||
                g.name[front - 1] != '/')
                continue;
            const param *p = params_find(n.store, g.name + front);
            ck_assert_msg(p, "no parameter %s", g.name);
            hold(t_grad(p->value), &g, 1e-8);
            ++compared;
        }
        fclose(file);
        ck_assert_uint_eq(compared, params_count(n.store));
        ck_ok(scope_end(&s));
        params_free(n.store);
    }
}
END_TEST

START_TEST(an_official_network_has_its_parameters)
{
    params *store;
    ck_ok(params_create(&store));
    const builder b = {.store = store, .seed = 1, .purpose = "semirest/"};
    scope s = scope_begin();
    const residual_swin_spec spec = {
        .inputs = 256, .width = 256, .heads = 8, .blocks = 4, .attention = 8, .shift = 4};
    residual_swin net = residual_swin_add(&b, &spec);
    /* 12 width^2 + 13 width and 225 x heads in a block; embedding, norms and head */
    int64_t block = 12 * 256 * 256 + 13 * 256 + 225 * 8;
    ck_assert_int_eq(params_elements(store, true),
                     4 * block + 256 * 256 + 3 * 256 + 2 * 256 + 2 * 256 + 2);
    ck_assert_double_lt(t_item(t_max_all(t_abs(net.head.weight))), 2e-4);
    ck_assert_double_eq_tol(
        t_item(t_std(t_view(t_detach(net.blocks[0].mlp.layers[0].weight), 1, (int64_t[]){-1}), 0,
                     true, false)),
        0.02, 1e-3);
    ck_assert_double_eq(t_item(t_max_all(t_abs(net.blocks[1].attention.in.bias))), 0);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* A whole branch is there or not, for every input of its own, and its mean stays. */
START_TEST(stochastic_depth_leaves_out_whole_branches)
{
    params *store;
    ck_ok(params_create(&store));
    const builder b = {.store = store,
                       .seed = 3,
                       .purpose = "block/",
                       .weights = INIT_NORMAL,
                       .biases = INIT_ZEROS};
    scope s = scope_begin();
    const swin_spec spec = {
        .channels = 8, .heads = 2, .window = 4, .shift = 2, .path_dropout = 0.5};
    swin_block block = swin_block_add(&b, "0", &spec);
    t_zero_(block.mlp.layers[1].weight); /* the other branch adds nothing */
    tensor *x = t_to(noise_tensor(7, 3, (int64_t[]){1, 64, 8}), F32);
    tensor *many = t_repeat(x, 3, (int64_t[]){64, 1, 1});
    t_seed(5, "paths");
    tensor *added = t_sub(swin_block_run(&block, many, 8, 8, true), many);
    tensor *whole = t_sub(swin_block_run(&block, x, 8, 8, false), x);
    tensor *factors =
        t_div(t_sum(t_flatten(t_abs(added), 1, 2), 1, false), t_sum_all(t_abs(whole)));
    float found[64];
    int left_out = 0;
    t_read(t_contiguous(t_detach(factors)), found, sizeof found);
    for (int i = 0; i < 64; ++i) {
        ck_assert(fabsf(found[i]) < 1e-6f || fabsf(found[i] - 2) < 1e-4f);
        left_out += found[i] < 1;
    }
    ck_assert_int_gt(left_out, 16);
    ck_assert_int_lt(left_out, 48);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* ---- positions and labels ---- */

START_TEST(codes_of_positions_equal_the_authors)
{
    static const int64_t grids[2][2] = {{4, 4}, {64, 48}};
    for (int i = 0; i < 2; ++i) {
        int64_t places = grids[i][0] * grids[i][1];
        char name[16];
        snprintf(name, sizeof name, "%dx%d", (int)grids[i][0], (int)grids[i][1]);
        const golden g = golden_find("position", name);
        float *code = malloc((size_t)places * 1024 * sizeof *code);
        position_code_apart(code, grids[i][0], grids[i][1], 1024);
        scope s = scope_begin();
        /* theirs multiplies places and frequencies in single precision */
        hold(t_view_of(code, 2, (int64_t[]){places, 1024}, F32), &g, 1e-5);
        ck_ok(scope_end(&s));
        free(code);
    }
}
END_TEST

START_TEST(tokens_are_labelled_as_by_the_authors)
{
    uint8_t mask[32 * 32];
    float shares[16];
    int8_t labels[16];
    const golden masks = golden_find("labels", "mask"), boxes = golden_find("labels", "box");
    token_labels l = {.rows = 4, .columns = 4, .anomalous = 0.5, .good = 0.08};
    fill_mask(mask, 0, 32);
    mask_block_shares(shares, mask, 32, 32, 4, 4);
    token_labels_of(labels, &l, shares, true);
    ck_assert_int_eq(masks.count, 16);
    for (int i = 0; i < 16; ++i) /* theirs keeps the share of a token that is neither */
        ck_assert_double_eq(labels[i] == TOKEN_UNLABELLED ? (double)shares[i] : labels[i],
                            masks.values[i]);
    l.mode = LABELS_BOXES;
    token_labels_of(labels, &l, shares, true);
    for (int i = 0; i < 16; ++i)
        ck_assert_double_eq(labels[i], boxes.values[i]);
    token_labels_of(labels, &l, shares, false); /* of what was made, the mask is known */
    ck_assert_int_eq(labels[8], 1);
    l.mode = LABELS_TAGS;
    token_labels_of(labels, &l, shares, true);
    for (int i = 0; i < 16; ++i)
        ck_assert_int_eq(labels[i], TOKEN_UNLABELLED);
}
END_TEST

START_TEST(a_share_at_a_threshold_is_decided)
{
    const float shares[4] = {0.5f, 0.25f, 0.375f, 0};
    int8_t labels[4];
    const token_labels l = {.rows = 2, .columns = 2, .anomalous = 0.5, .good = 0.25};
    token_labels_of(labels, &l, shares, false);
    ck_assert_int_eq(labels[0], 1);
    ck_assert_int_eq(labels[1], 0);
    ck_assert_int_eq(labels[2], TOKEN_UNLABELLED);
    ck_assert_int_eq(labels[3], 0);
}
END_TEST

/* ---- losses ---- */

START_TEST(focal_losses_and_gradients_equal_the_authors)
{
    static const char *const cases[2] = {"hard", "guessed"};
    for (int soft = 0; soft < 2; ++soft) {
        const golden g = golden_find("focal", cases[soft]);
        int8_t labels[6] = {0};
        double targets[12], gradient[12];
        for (int i = 0; i < 6; ++i) {
            double bad = (noise((uint32_t)i, 12) + 1) / 2;
            bad = soft ? bad : bad > 0.5;
            targets[2 * i] = 1 - bad;
            targets[2 * i + 1] = bad;
        }
        scope s = scope_begin_grad();
        tensor *logits = t_clone(t_mul_scalar(noise_tensor(11, 2, (int64_t[]){6, 2}), 3));
        t_require_grad(logits, true);
        tensor *t = t_from(targets, 2, (int64_t[]){6, 2}, F64, CPU);
        tensor *loss = token_focal(logits, t, labels, TOKEN_LABELLED, soft ? 0.75 : 0.25, 4);
        t_backward(loss);
        ck_assert_double_eq_tol(t_item(loss), g.values[0], 1e-10);
        t_read(t_contiguous(t_grad(logits)), gradient, sizeof gradient);
        for (int i = 0; i < 12; ++i)
            ck_assert_double_eq_tol(gradient[i], g.values[1 + i], 1e-10);
        ck_ok(scope_end(&s));
    }
}
END_TEST

/* Where the authors' softmax is 0 in single precision, its logarithm is minus infinity. */
START_TEST(a_hopeless_token_has_a_finite_loss_and_no_token_has_none)
{
    const float wrong[4] = {200, -200, 200, -200}, target[4] = {0, 1, 0, 1};
    int8_t labels[2] = {1, TOKEN_DROPPED};
    scope s = scope_begin_grad();
    tensor *logits = t_from(wrong, 2, (int64_t[]){2, 2}, F32, CPU);
    t_require_grad(logits, true);
    tensor *targets = t_from(target, 2, (int64_t[]){2, 2}, F32, CPU);
    tensor *loss = token_focal(logits, targets, labels, TOKEN_LABELLED, 0.25, 4);
    t_backward(loss);
    ck_assert_double_eq_tol(t_item(loss), 0.25 * 400, 1e-3);
    ck_assert_double_eq_tol(t_item(t_sum_all(t_abs(t_grad(logits)))), 0.5, 1e-5);
    ck_assert_ptr_null(token_focal(logits, targets, labels, TOKEN_UNLABELLED, 0.25, 4));
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- ResMixMatch ---- */

enum { MIXED = 2 * 2 * SIDE * SIDE };

static int by_noise(const void *a, const void *b)
{
    double x = noise((uint32_t) * (const int64_t *)a, 500);
    double y = noise((uint32_t) * (const int64_t *)b, 500);
    return (x > y) - (x < y);
}

/* Labels of both copies of two windows: the script's masks by way of the code's own resizing. */
static int mixed_labels(int8_t *out)
{
    const token_labels l = {.rows = 8, .columns = 8, .anomalous = 0.5, .good = 0.08};
    uint8_t mask[64 * 64];
    float shares[64];
    int8_t labels[64];
    int labelled = 0;
    for (int n = 0; n < 4; ++n) {
        fill_mask(mask, n / 2, 64);
        mask_block_shares(shares, mask, 64, 64, 8, 8);
        token_labels_of(labels, &l, shares, false);
        for (int i = 0; i < 64; ++i) {
            out[n * 64 + i] = labels[i / 8 * 8 / GRID * 8 + i % 8 * 8 / GRID];
            labelled += out[n * 64 + i] != TOKEN_UNLABELLED;
        }
    }
    return labelled;
}

START_TEST(a_guess_and_a_mixture_equal_the_authors)
{
    network n = make_network(SIDE);
    int8_t labels[MIXED];
    int64_t partners[MIXED];
    const golden tokens_there = golden_find("mixed", "tokens");
    const golden targets_there = golden_find("mixed", "targets");
    const golden labelled = golden_find("mixed", "labelled");
    ck_assert_double_eq(mixed_labels(labels), labelled.values[0]);
    for (int64_t i = 0; i < MIXED; ++i)
        partners[i] = i;
    qsort(partners, MIXED, sizeof *partners, by_noise);
    const token_mixing how = {.partners = partners, .share = 0.7, .mixed = 0.5, .reference = true};
    scope s = scope_begin();
    tensor *x = tokens_of(noise_tensor(400, 4, (int64_t[]){4, INPUTS, SIDE, SIDE}));
    tensor *guess = token_guess(judge(&n, x, SIDE), 2, 0.5);
    tensor *targets = t_to(token_targets(labels, MIXED, CPU), F64);
    targets = t_where(t_gt_scalar(t_sum(targets, 1, true), 0), targets, guess);
    x = t_view(x, 2, (int64_t[]){MIXED, INPUTS});
    token_mix(&x, &targets, labels, &how);
    hold(x, &tokens_there, 1e-10);
    hold(targets, &targets_there, 1e-9);
    tensor *logits = judge(&n, t_view(x, 3, (int64_t[]){4, SIDE * SIDE, INPUTS}), SIDE);
    logits = t_view(logits, 2, (int64_t[]){MIXED, 2});
    double known = t_item(token_focal(logits, targets, labels, TOKEN_LABELLED, 0.25, 4));
    double guessed = t_item(token_focal(logits, targets, labels, TOKEN_UNLABELLED, 0.75, 4));
    ck_assert_double_eq_tol(known, golden_find("mixed_loss", "0").values[0], 1e-9);
    ck_assert_double_eq_tol(known + 5 * 100.0 / 400 * guessed,
                            golden_find("mixed_loss", "100").values[0], 1e-9);
    ck_ok(scope_end(&s));
    params_free(n.store);
}
END_TEST

/* The code takes back the partners of labelled tokens; what is meant are these themselves. */
START_TEST(labelled_tokens_are_taken_back_themselves)
{
    const float values[4] = {1, 2, 3, 4}, kinds[8] = {1, 0, 0, 1, 0.5f, 0.5f, 0.5f, 0.5f};
    const int8_t labels[4] = {0, 1, TOKEN_UNLABELLED, TOKEN_UNLABELLED};
    const int64_t partners[4] = {2, 3, 0, 1};
    float mixed[4], targets[8];
    for (int reference = 0; reference < 2; ++reference) {
        const token_mixing how = {
            .partners = partners, .share = 0.75, .mixed = 0, .reference = reference};
        scope s = scope_begin();
        tensor *x = t_from(values, 2, (int64_t[]){4, 1}, F32, CPU);
        tensor *t = t_from(kinds, 2, (int64_t[]){4, 2}, F32, CPU);
        token_mix(&x, &t, labels, &how);
        t_read(x, mixed, sizeof mixed);
        t_read(t, targets, sizeof targets);
        ck_ok(scope_end(&s));
        for (int i = 0; i < 4; ++i) {
            bool back = reference ? i >= 2 : i < 2;
            float expected = back ? values[i] : 0.75f * values[i] + 0.25f * values[partners[i]];
            ck_assert_float_eq_tol(mixed[i], expected, 1e-6f);
        }
        ck_assert_float_eq_tol(targets[0], reference ? 0.875f : 1, 1e-6f);
    }
}
END_TEST

START_TEST(mixtures_are_drawn_from_a_beta_distribution)
{
    random_stream s = random_open(3, "mixing");
    double sum = 0, square = 0;
    const int draws = 20000;
    for (int i = 0; i < draws; ++i) {
        double share = token_mixing_share(&s, 0.75) - 0.5;
        ck_assert(share >= 0 && share <= 0.5);
        sum += share;
        square += share * share;
    }
    /* of Beta(a, a): variance 1 / (4 (2 a + 1)) */
    ck_assert_double_eq_tol(square / draws, 0.1, 0.003);
    ck_assert_double_eq_tol(sum / draws, 0.2821, 0.005);
}
END_TEST

START_TEST(a_share_of_every_window_is_blanked)
{
    int8_t labels[2 * 100];
    float values[200];
    memset(labels, 1, sizeof labels);
    scope s = scope_begin();
    random_stream stream = random_open(1, "blank");
    tensor *x = t_full(3, (int64_t[]){2, 100, 1}, 5, F32, CPU);
    t_read(token_blank(x, labels, 0.307, &stream), values, sizeof values);
    ck_ok(scope_end(&s));
    for (int n = 0; n < 2; ++n) {
        int blank = 0;
        for (int i = n * 100; i < n * 100 + 100; ++i) {
            ck_assert((values[i] == 0) == (labels[i] == TOKEN_DROPPED));
            blank += values[i] == 0;
        }
        ck_assert_int_eq(blank, 31);
    }
}
END_TEST

/* ---- windows ---- */

/* How often each token is covered, by the averages of windows numbered 1, 2, ...: counted plainly.
 */
static void hold_average(int64_t height, int64_t width, int64_t side, int64_t stride, int64_t most)
{
    token_windows w = token_windows_over(height, width, side, stride, 1);
    int64_t windows = token_windows_count(&w), places = token_windows_places(&w), covered = 0;
    float *values = malloc((size_t)(windows * places) * sizeof *values);
    float *out = malloc((size_t)(height * width) * sizeof *out);
    for (int64_t i = 0; i < windows * places; ++i)
        values[i] = (float)(i / places + 1);
    token_windows_average(out, &w, values);
    for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x) {
            double sum = 0;
            int64_t count = 0;
            for (int64_t n = 0; n < windows; ++n) {
                int64_t top = n / w.count[1] * stride, left = n % w.count[1] * stride;
                if (y < top || y >= top + w.side[0] || x < left || x >= left + w.side[1])
                    continue;
                sum += (double)(n + 1);
                ++count;
            }
            ck_assert_int_ge(count, 1);
            ck_assert_double_eq_tol((double)out[y * width + x], sum / (double)count, 1e-4);
            covered = count > covered ? count : covered;
        }
    ck_assert_int_eq(covered, most);
    free(values);
    free(out);
}

START_TEST(windows_cover_every_token)
{
    hold_average(64, 64, 32, 8, 16);
    hold_average(64, 48, 32, 8, 12);
    hold_average(32, 32, 32, 8, 1);
    hold_average(64, 32, 32, 8, 4);
    hold_average(8, 8, 32, 8, 1);    /* padded */
    hold_average(61, 45, 32, 8, 12); /* the last windows reach beyond */
    token_windows w = token_windows_over(64, 64, 32, 8, 8);
    ck_assert_int_eq(token_windows_count(&w), 25);
    w = token_windows_over(64, 32, 32, 8, 8);
    ck_assert_int_eq(token_windows_count(&w), 5);
    w = token_windows_over(60, 33, 0, 8, 8); /* all of it */
    ck_assert_int_eq(token_windows_count(&w), 1);
    ck_assert_int_eq(w.side[0], 64);
    ck_assert_int_eq(w.side[1], 40);
    ck_assert_int_eq(token_windows_token(&w, 0, 63 * 40 + 39), 59 * 33 + 32); /* replicated */
    ck_assert_int_eq(token_windows_token(&w, 0, 2 * 40 + 1), 2 * 33 + 1);
}
END_TEST

/* ---- matching ---- */

enum { ROWS = 90, COLUMNS = 5, SOURCES = 6 };

static imiad_bank *make_bank(float *rows, int64_t *sources)
{
    imiad_bank *bank;
    for (uint32_t i = 0; i < ROWS * COLUMNS; ++i)
        rows[i] = (float)noise(i, 40);
    for (int i = 0; i < ROWS; ++i)
        sources[i] = i % 4 ? 0 : i % SOURCES; /* most of them are of one image */
    ck_ok(imiad_bank_create(&bank, COLUMNS, 0));
    ck_ok(imiad_bank_add_from(bank, rows, ROWS, sources));
    return bank;
}

START_TEST(neighbours_come_from_other_images)
{
    float rows[ROWS * COLUMNS];
    int64_t sources[ROWS], found[ROWS * 3];
    imiad_bank *bank = make_bank(rows, sources);
    for (int64_t source = 0; source <= 2; source += 2) {
        ck_ok(foreign_search(found, bank, CPU, rows, ROWS, 3, source));
        for (int q = 0; q < ROWS; ++q) {
            bool taken[ROWS] = {false};
            for (int k = 0; k < 3; ++k) { /* plainly: the nearest that is left */
                int best = -1;
                double least = INFINITY;
                for (int i = 0; i < ROWS; ++i) {
                    double square = 0;
                    for (int c = 0; c < COLUMNS; ++c)
                        square += pow((double)rows[q * COLUMNS + c] - rows[i * COLUMNS + c], 2);
                    if (!taken[i] && sources[i] != source && square < least - 1e-9) {
                        least = square;
                        best = i;
                    }
                }
                ck_assert_int_eq(found[3 * q + k], best);
                taken[best] = true;
            }
        }
    }
    ck_ok(foreign_search(found, bank, CPU, rows, ROWS, 1, IMIAD_NO_SOURCE));
    for (int q = 0; q < ROWS; ++q)
        ck_assert_int_eq(found[q], q);
    ck_assert_int_eq(foreign_rows(bank, 0), 15);
    ck_fails(foreign_search(found, bank, CPU, rows, 1, 16, 0), IMIAD_OUT_OF_RANGE,
             "16 rows of 15 from other images");
    imiad_bank_free(bank);
}
END_TEST

/* ---- the pool ---- */

/* Items whose patches are all 0, each matched to a row of its own: the residuals are the rows
 * squared. */
static residual_pool make_pool(imiad_bank **bank, int64_t items, int64_t positions)
{
    residual_pool p;
    int64_t own, values = positions * INPUTS;
    float *rows = calloc((size_t)values, sizeof *rows);
    int8_t *labels = calloc((size_t)positions, 1);
    const pool_shape shape = {.items = items,
                              .positions = positions,
                              .dimension = INPUTS,
                              .neighbours = 1,
                              .storage = IMIAD_STORAGE_FLOAT32};
    ck_ok(residual_pool_create(&p, &shape));
    ck_ok(imiad_bank_create(bank, INPUTS, 0));
    for (int64_t i = 0; i < items; ++i) {
        const pool_item item = {
            .kind = (pool_kind)(i % POOL_KINDS), .image = (size_t)i, .source = IMIAD_NO_SOURCE};
        ck_ok(residual_pool_add(&p, &item, rows, labels));
    }
    for (uint32_t n = 0; n < items; ++n) {
        for (int64_t i = 0; i < positions; ++i)
            for (int64_t c = 0; c < INPUTS; ++c)
                rows[i * INPUTS + c] =
                    (float)noise((uint32_t)((n * INPUTS + c) * positions + i), 300);
        ck_ok(imiad_bank_add(*bank, rows, positions));
    }
    ck_ok(residual_pool_match(&p, &own, *bank, CPU, NULL));
    for (int64_t i = 0; i < items * positions; ++i)
        p.nearest[i] = i;
    free(rows);
    free(labels);
    return p;
}

/* The code's own training pass: residuals of two images, all windows, three steps. */
START_TEST(three_steps_equal_the_authors)
{
    static const double chance = 1;
    network n = make_network(SIDE);
    imiad_bank *bank;
    residual_pool p = make_pool(&bank, 2, GRID * GRID);
    const token_windows windows = token_windows_over(GRID, GRID, SIDE, 4, AROUND);
    const token_labels l = {.rows = GRID, .columns = GRID, .anomalous = 0.5, .good = 0.08};
    for (int i = 0; i < 2; ++i) {
        uint8_t mask[GRID * 8 * GRID * 8];
        float shares[GRID * GRID];
        fill_mask(mask, i, GRID * 8);
        mask_block_shares(shares, mask, GRID * 8, GRID * 8, GRID, GRID);
        token_labels_of(p.labels + i * GRID * GRID, &l, shares, false);
    }
    const window_choice choice = {.windows = &windows,
                                  .items = (const int64_t[]){0, 1},
                                  .count = 2,
                                  .share = 1,
                                  .copies = 1,
                                  .chances = &chance};
    optimizer *adam;
    ck_ok(optimizer_create(&adam, n.store, NULL,
                           &(optimizer_options){.kind = OPTIMIZER_ADAMW, .weight_decay = 0.05}));
    for (int step = 0; step < 3; ++step) {
        char name[8];
        snprintf(name, sizeof name, "%d", step);
        random_stream stream = random_open(1, name);
        scope s = scope_begin_grad();
        pool_windows w = residual_pool_windows(&p, bank, &choice, &stream);
        ck_assert_int_eq(w.count, 8);
        tensor *logits = t_view(judge(&n, t_to(w.tokens, F64), SIDE), 2, (int64_t[]){-1, 2});
        tensor *targets = t_to(token_targets(w.labels, 8 * SIDE * SIDE, CPU), F64);
        tensor *loss = token_focal(logits, targets, w.labels, TOKEN_LABELLED, 0.25, 4);
        ck_assert_double_eq_tol(t_item(loss), golden_find("loss", name).values[0], 1e-7);
        t_backward(loss);
        params_clip_grad(n.store, 1);
        optimizer_step(adam, 0.0001);
        ck_ok(scope_end(&s));
        params_clear_grad(n.store);
        free(w.labels);
    }
    FILE *file = golden_open();
    golden g;
    size_t compared = 0;
    scope s = scope_begin();
    while (golden_next(&g, file)) {
        if (strcmp(g.kind, "parameter") != 0)
            continue;
        const param *found = params_find(n.store, g.name);
        ck_assert_msg(found, "no parameter %s", g.name);
        hold(found->value, &g, 1e-6);
        ++compared;
    }
    ck_ok(scope_end(&s));
    ck_assert_uint_eq(compared, params_count(n.store));
    fclose(file);
    optimizer_free(adam);
    residual_pool_free(&p);
    imiad_bank_free(bank);
    params_free(n.store);
}
END_TEST

START_TEST(every_kind_has_its_share_of_a_step)
{
    imiad_bank *bank;
    residual_pool p = make_pool(&bank, 12, 1); /* four of each kind */
    int64_t shares[POOL_KINDS], drawn[8 * 4], seen[12] = {0};
    residual_pool_shares(shares, &p, 8);
    ck_assert_int_eq(shares[POOL_GOOD], 3);
    ck_assert_int_eq(shares[POOL_MADE], 3);
    ck_assert_int_eq(shares[POOL_LABELLED], 2);
    random_stream s = random_open(1, "draw");
    ck_ok(residual_pool_draw(drawn, &p, shares, 4, &s));
    for (int i = 0; i < 32; ++i) {
        ck_assert_int_eq(p.items[drawn[i]].kind, i % 8 < 3   ? POOL_GOOD
                                                 : i % 8 < 6 ? POOL_MADE
                                                             : POOL_LABELLED);
        seen[drawn[i]]++;
    }
    for (int i = 0; i < 12; ++i) /* in whole rounds: 12, 12 and 8 draws of four items each */
        ck_assert_int_eq(seen[i], p.items[i].kind == POOL_LABELLED ? 2 : 3);
    for (int i = 0; i < 12; ++i)
        p.items[i].kind = i % 2 ? POOL_MADE : POOL_GOOD;
    residual_pool_shares(shares, &p, 8);
    ck_assert_int_eq(shares[POOL_GOOD], 4);
    ck_assert_int_eq(shares[POOL_MADE], 4);
    ck_assert_int_eq(shares[POOL_LABELLED], 0);
    residual_pool_free(&p);
    imiad_bank_free(bank);
}
END_TEST

/* By the chances .5, .3 and .2; copies are drawn for themselves. */
START_TEST(neighbours_are_drawn_for_each_token_of_an_image)
{
    static const double chances[3] = {0.5, 0.3, 0.2};
    enum { TOKENS = 16 * 16 };
    residual_pool p;
    imiad_bank *bank;
    const float rows[3] = {1, 2, 3}, zeros[TOKENS] = {0};
    const int8_t labels[TOKENS] = {0};
    const pool_shape shape = {.items = 1,
                              .positions = TOKENS,
                              .dimension = 1,
                              .neighbours = 3,
                              .storage = IMIAD_STORAGE_FLOAT32};
    int64_t own, none[3] = {0, 0, 0};
    ck_ok(residual_pool_create(&p, &shape));
    ck_ok(imiad_bank_create(&bank, 1, 0));
    ck_ok(imiad_bank_add_from(bank, rows, 3, none));
    ck_ok(residual_pool_add(&p, &(pool_item){.source = 0}, zeros, labels));
    ck_ok(residual_pool_match(&p, &own, bank, CPU, NULL));
    ck_assert_int_eq(own, 1); /* it has no rows but its own */
    const token_windows whole = token_windows_over(16, 16, 0, 8, 8);
    const window_choice choice = {.windows = &whole,
                                  .items = (const int64_t[]){0},
                                  .count = 1,
                                  .share = 1,
                                  .copies = 2,
                                  .chances = chances};
    float found[2 * TOKENS];
    int seen[10] = {0}, apart = 0;
    scope s = scope_begin();
    random_stream stream = random_open(1, "windows");
    pool_windows w = residual_pool_windows(&p, bank, &choice, &stream);
    t_read(w.tokens, found, sizeof found);
    ck_ok(scope_end(&s));
    free(w.labels);
    for (int i = 0; i < 2 * TOKENS; ++i)
        seen[(int)found[i]]++;
    for (int i = 0; i < TOKENS; ++i)
        apart += found[i] != found[TOKENS + i];
    ck_assert_int_eq(seen[1] + seen[4] + seen[9], 2 * TOKENS);
    ck_assert_double_eq_tol(seen[1] / (2.0 * TOKENS), 0.5, 0.07);
    ck_assert_double_eq_tol(seen[4] / (2.0 * TOKENS), 0.3, 0.07);
    ck_assert_int_gt(apart, TOKENS / 3);
    residual_pool_free(&p);
    imiad_bank_free(bank);
}
END_TEST

START_TEST(a_pool_beyond_its_budget_is_refused)
{
    residual_pool p;
    const pool_shape shape = {.items = 100,
                              .positions = 1000,
                              .dimension = 64,
                              .neighbours = 3,
                              .storage = IMIAD_STORAGE_FLOAT16,
                              .bytes = 12000000};
    ck_fails(residual_pool_create(&p, &shape), IMIAD_OVER_BUDGET,
             "take 12800000 bytes, and feature_cache allows 12000000");
}
END_TEST

/* ---- shapes in masks ---- */

START_TEST(components_touch_by_sides_or_corners)
{
    static const char *const rows[5] = {"##....", "..#...", "......", "#...##", "....##"};
    uint8_t mask[30];
    mask_components c;
    for (int i = 0; i < 30; ++i)
        mask[i] = rows[i / 6][i % 6] == '#';
    ck_ok(mask_components_find(&c, mask, 6, 5));
    ck_assert_int_eq(c.count, 3);
    ck_assert_int_eq(c.components[0].pixels, 3);
    ck_assert_double_eq_tol(c.components[0].centre[0], 1, 1e-12);
    ck_assert_double_eq_tol(c.components[0].centre[1], 1.0 / 3, 1e-12);
    ck_assert_int_eq(c.components[2].pixels, 4);
    ck_assert_int_eq(mask_components_smallest(&c), 1);
    mask_components_free(&c);
    memset(mask, 0, sizeof mask);
    ck_ok(mask_components_find(&c, mask, 6, 5));
    ck_assert_int_eq(c.count, 0);
    ck_assert_int_eq(mask_components_smallest(&c), 0);
    mask_components_free(&c);
}
END_TEST

/* A bar of 3 x 40 pixels at 45 degrees: its upright box is a square, its rotated one itself. */
START_TEST(a_rotated_box_is_tight)
{
    enum { SIZE = 48 };
    static uint8_t bar[SIZE * SIZE], box[SIZE * SIZE];
    int inside = 0, upright = 0, rotated = 0;
    for (int i = 4; i < 40; ++i)
        for (int k = -1; k <= 1; ++k)
            bar[(i + k) * SIZE + i - k] = bar[(i + k) * SIZE + i + 1 - k] = 255;
    bar[2] = 255; /* one pixel alone */
    memcpy(box, bar, sizeof bar);
    ck_ok(mask_to_boxes(box, SIZE, SIZE, BOX_ROTATED));
    ck_assert_int_eq(box[2], 0); /* too small for a rotated box */
    for (int i = 0; i < SIZE * SIZE; ++i) {
        if (bar[i] && i != 2)
            ck_assert_int_eq(box[i], 255);
        inside += bar[i] > 0;
        rotated += box[i] > 0;
    }
    memcpy(box, bar, sizeof bar);
    ck_ok(mask_to_boxes(box, SIZE, SIZE, BOX_UPRIGHT));
    ck_assert_int_eq(box[2], 255);
    for (int i = 0; i < SIZE * SIZE; ++i)
        upright += box[i] > 0;
    ck_assert_int_lt(rotated, inside + 12);
    ck_assert_int_eq(upright, 39 * 38 + 1);
}
END_TEST

/* ---- patches ---- */

/* Adaptive pooling of two levels of 1024: output i is the mean of entries 2 i and 2 i + 1. */
START_TEST(half_of_a_patch_comes_from_each_layer)
{
    patch_embedding *e;
    float rows[4 * 8];
    ck_ok(patch_embedding_create(&e, 2, (int64_t[]){8, 16}, 1, 8, 8));
    float first[8 * 4], second[16 * 4];
    for (int i = 0; i < 32; ++i)
        first[i] = (float)(i / 4);
    for (int i = 0; i < 64; ++i)
        second[i] = (float)(100 + i / 4);
    scope s = scope_begin();
    tensor *levels[2] = {t_from(first, 4, (int64_t[]){1, 8, 2, 2}, F32, CPU),
                         t_from(second, 4, (int64_t[]){1, 16, 2, 2}, F32, CPU)};
    patch_embedding_apply(rows, e, levels, false);
    ck_ok(scope_end(&s));
    for (int i = 0; i < 8; ++i)
        ck_assert_float_eq_tol(rows[8 + i], i < 4 ? 2 * i + 0.5f : 100 + 4 * (i - 4) + 1.5f, 1e-5f);
    patch_embedding_free(e);
}
END_TEST

SUITE("semirest-parts", TEST(networks_and_their_gradients_equal_timms_shifted_or_not),
      TEST(an_official_network_has_its_parameters),
      TEST(stochastic_depth_leaves_out_whole_branches), TEST(codes_of_positions_equal_the_authors),
      TEST(tokens_are_labelled_as_by_the_authors), TEST(a_share_at_a_threshold_is_decided),
      TEST(focal_losses_and_gradients_equal_the_authors),
      TEST(a_hopeless_token_has_a_finite_loss_and_no_token_has_none),
      TEST(a_guess_and_a_mixture_equal_the_authors),
      TEST(labelled_tokens_are_taken_back_themselves),
      TEST(mixtures_are_drawn_from_a_beta_distribution), TEST(a_share_of_every_window_is_blanked),
      TEST(windows_cover_every_token), TEST(neighbours_come_from_other_images),
      TEST(three_steps_equal_the_authors), TEST(every_kind_has_its_share_of_a_step),
      TEST(neighbours_are_drawn_for_each_token_of_an_image),
      TEST(a_pool_beyond_its_budget_is_refused), TEST(components_touch_by_sides_or_corners),
      TEST(a_rotated_box_is_tight), TEST(half_of_a_patch_comes_from_each_layer))
