/* What SemiREST is made of: what its definition says of each part. Numbers of the authors' code are
 * in test_semirest_golden.c. */
#include "detectors/parts/foreign_search.h"
#include "detectors/parts/mask_shapes.h"
#include "detectors/parts/patch_embedding.h"
#include "detectors/parts/residual_memory.h"
#include "detectors/parts/token_labels.h"
#include "detectors/parts/token_losses.h"
#include "semirest_golden.h"

/* ---- the network ---- */

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

/* ---- labels and losses ---- */

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

/* A backbone with ten times the features has a hundred times the residuals. */
START_TEST(residuals_can_be_measured_by_the_banks_variance)
{
    float rows[ROWS * COLUMNS], tenfold[ROWS * COLUMNS];
    int64_t sources[ROWS];
    imiad_bank *banks[3] = {make_bank(rows, sources)};
    double variance = 0, scales[3];
    for (int c = 0; c < COLUMNS; ++c) {
        double mean = 0;
        for (int i = 0; i < ROWS; ++i)
            mean += (double)rows[i * COLUMNS + c] / ROWS;
        for (int i = 0; i < ROWS; ++i)
            variance += pow((double)rows[i * COLUMNS + c] - mean, 2) / ROWS / COLUMNS;
    }
    for (int i = 0; i < ROWS * COLUMNS; ++i)
        tenfold[i] = 10 * rows[i];
    for (int i = 1; i < 3; ++i)
        ck_ok(imiad_bank_create(&banks[i], COLUMNS, 0));
    ck_ok(imiad_bank_add_from(banks[1], tenfold, ROWS, sources));
    for (int i = 0; i < 3; ++i) /* nothing varies */
        ck_ok(imiad_bank_add_from(banks[2], rows, 1, sources));
    for (int i = 0; i < 3; ++i) {
        ck_ok(residual_scale_of(&scales[i], banks[i]));
        imiad_bank_free(banks[i]);
    }
    ck_assert_double_eq_tol(scales[0] * variance, 1, 1e-9);
    ck_assert_double_eq_tol(100 * scales[1], scales[0], 1e-6 * scales[0]);
    ck_assert_double_eq(scales[2], 1);
}
END_TEST

/* ---- the pool ---- */

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

SUITE("semirest-parts", TEST(an_official_network_has_its_parameters),
      TEST(stochastic_depth_leaves_out_whole_branches), TEST(a_share_at_a_threshold_is_decided),
      TEST(a_hopeless_token_has_a_finite_loss_and_no_token_has_none),
      TEST(labelled_tokens_are_taken_back_themselves),
      TEST(mixtures_are_drawn_from_a_beta_distribution), TEST(a_share_of_every_window_is_blanked),
      TEST(windows_cover_every_token), TEST(neighbours_come_from_other_images),
      TEST(residuals_can_be_measured_by_the_banks_variance),
      TEST(every_kind_has_its_share_of_a_step),
      TEST(neighbours_are_drawn_for_each_token_of_an_image),
      TEST(a_pool_beyond_its_budget_is_refused), TEST(components_touch_by_sides_or_corners),
      TEST(a_rotated_box_is_tight), TEST(half_of_a_patch_comes_from_each_layer))
