/* SemiREST's network, labels, losses and steps beside the authors' sibling code
 * (tests/golden/make_semirest.py). */
#include "detectors/parts/mask_shapes.h"
#include "detectors/parts/position_code.h"
#include "detectors/parts/token_labels.h"
#include "detectors/parts/token_losses.h"
#include "nn/optimizer.h"
#include "semirest_golden.h"

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

SUITE("semirest-golden", TEST(networks_and_their_gradients_equal_timms_shifted_or_not),
      TEST(codes_of_positions_equal_the_authors), TEST(tokens_are_labelled_as_by_the_authors),
      TEST(focal_losses_and_gradients_equal_the_authors),
      TEST(a_guess_and_a_mixture_equal_the_authors), TEST(three_steps_equal_the_authors))
