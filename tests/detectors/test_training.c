/* The loop that trains, on a detector small enough to be calculated by hand, and its checkpoints,
 * on that one and on STPM. */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "check_suite.h"
#include "detectors/detector.h"
#include "detectors/registry.h"
#include "detectors/training/training.h"
#include "imiad/imiad.h"

/* ---- a detector of one number: it learns the mean brightness of the images ---- */

enum { COUNT = 10, SIDE = 8, MOST_SEEN = 512 };

static const option_spec toy_options[] = {
    {"kind", OPT_CHOICE, "sgd", "sgd|adam", "the optimiser"},
    {"spoil", OPT_INT, "-1", "", "the step whose loss is not a number"},
    {"decay", OPT_BOOL, "false", "", "learning rate halved in the second half of the steps"},
    {"held_out", OPT_REAL, "0", "0..0.9", "share of the images"},
    {"epochs", .default_value = "3"},
    {"learning_rate", .default_value = "0.25"},
    {"train_batch", .default_value = "4"},
    {0},
};

typedef struct toy {
    training training;
    tensor *w, *seen; /* the store's; `seen` is a buffer: images so far */
} toy;

/* What happened, step by step. */
static struct {
    size_t images[MOST_SEEN], held[MOST_SEEN];
    int64_t sizes[MOST_SEEN], last;
    int count, held_count, steps, visited, frozen_batches;
} seen;

static void toy_frozen(imiad_detector *self, const batch *b, tensor **out)
{
    out[0] = t_mean(t_flatten(b->images, 1, 3), 1, true); /* n x 1 */
    seen.frozen_batches++;
}

static tensor *toy_loss(imiad_detector *self, const train_step *step)
{
    toy *m = self->state;
    ck_assert(seen.steps == 0 || step->index == seen.last + 1);
    seen.last = step->index;
    for (int64_t i = 0; i < step->count && seen.count < MOST_SEEN; ++i)
        seen.images[seen.count++] = step->images[i];
    seen.sizes[seen.steps++] = step->count;
    t_add_(m->seen, t_full(0, NULL, (double)step->count, F32, CPU), 1);
    tensor *loss = t_mul_scalar(t_mean_all(t_square(t_sub(m->w, step->frozen[0]))), 0.5);
    return step->index == options_int(self->options, "spoil") ? t_mul_scalar(loss, NAN) : loss;
}

static tensor *toy_validate(imiad_detector *self, const train_step *step)
{
    toy *m = self->state;
    for (int64_t i = 0; i < step->count; ++i)
        seen.held[seen.held_count++] = step->images[i];
    return t_mean_all(t_abs(t_sub(m->w, step->frozen[0])));
}

static double toy_rate(const imiad_detector *self, double rate, const train_step *step,
                       int64_t steps)
{
    return options_bool(self->options, "decay") && 2 * step->index >= steps ? rate / 2 : rate;
}

static const training_ops learning = {
    .frozen = toy_frozen, .loss = toy_loss, .validate = toy_validate, .rate = toy_rate};

static imiad_status toy_create(imiad_detector *self)
{
    toy *m = self->state;
    training_begin(self, &learning);
    m->training.frozen_count = 1;
    m->training.held_out = options_real(self->options, "held_out");
    return IMIAD_OK;
}

static imiad_status toy_begin(imiad_detector *self)
{
    toy *m = self->state;
    params *store;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "toy"));
    scope s = scope_begin();
    m->w = params_add(store, "w", t_full(1, (int64_t[]){1}, 3, F32, CPU), true);
    m->seen = params_add(store, "seen", t_zeros(0, NULL, F32, CPU), false);
    bool adam = strcmp(options_text(self->options, "kind"), "adam") == 0;
    const optimizer_options how = {.kind = adam ? OPTIMIZER_ADAM : OPTIMIZER_SGD};
    training_optimizer(&m->training, "w", "toy", NULL, &how,
                       options_real(self->options, "learning_rate"));
    return scope_end(&s);
}

static void see_image(imiad_detector *self, const train_step *step, void *context)
{
    for (int64_t i = 0; i < step->count; ++i)
        ck_assert_uint_eq(step->images[i], (size_t)seen.visited++);
    ck_assert_ptr_eq(context, &seen);
    ck_assert_int_eq(t_size(step->frozen[0], 0), step->count);
}

static imiad_status toy_fit(imiad_detector *self, train_set *images, const progress *p)
{
    memset(&seen, 0, sizeof seen);
    TRY(toy_begin(self));
    training_run *run;
    TRY(training_open(&run, self, images, p));
    imiad_status status = training_visit(run, see_image, &seen);
    if (status == IMIAD_OK)
        status = training_steps(run);
    training_close(run);
    return status;
}

static imiad_status toy_fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    memset(&seen, 0, sizeof seen);
    return training_fit_more(self, images, p);
}

static void toy_score(imiad_detector *self, const batch *b, scores *out)
{
    out->image = t_mean(t_flatten(b->images, 1, 3), 1, false);
}

static imiad_status toy_load(imiad_detector *self, const weights *file)
{
    TRY(toy_begin(self));
    return training_load(self, file);
}

static void toy_destroy(imiad_detector *self)
{
    training_clear(&((toy *)self->state)->training);
}

static const detector_ops toy_ops = {.name = "toy",
                                     .title = "A number",
                                     .options = toy_options,
                                     .family_options = training_options,
                                     .state_size = sizeof(toy),
                                     .create = toy_create,
                                     .fit = toy_fit,
                                     .fit_more = toy_fit_more,
                                     .score = toy_score,
                                     .save = training_save,
                                     .load = toy_load,
                                     .destroy = toy_destroy};

static imiad_detector *make_toy(const imiad_option *options, size_t count)
{
    imiad_option all[16] = {{"resize", "8"}, {"crop", "0"}};
    imiad_detector *d = NULL;
    if (count > 0)
        memcpy(all + 2, options, count * sizeof *options);
    ck_ok(detector_create(&d, &toy_ops, NULL, all, 2 + count));
    return d;
}

static double number(const imiad_detector *d)
{
    scope s = scope_begin();
    double w = t_item(((const toy *)d->state)->w);
    ck_ok(scope_end(&s));
    return w;
}

/* ---- its images: grey, one brightness each ---- */

static uint8_t pixels[COUNT][SIDE * SIDE];
static imiad_image images[COUNT];
static const imiad_image *list[COUNT];

/* Of the normalised image: the mean of its three planes. */
static double brightness(size_t i)
{
    static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
    double sum = 0;
    for (int c = 0; c < 3; ++c)
        sum += ((double)(20 + 17 * i) / 255 - mean[c]) / std[c] / 3;
    return sum;
}

static void draw_images(void)
{
    for (size_t i = 0; i < COUNT; ++i) {
        memset(pixels[i], (int)(20 + 17 * i), sizeof pixels[i]);
        images[i] = (imiad_image){sizeof images[i], IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE, pixels[i]};
        list[i] = &images[i];
    }
}

static imiad_detector *fitted_toy(const imiad_option *options, size_t count)
{
    imiad_detector *d = make_toy(options, count);
    draw_images();
    ck_ok(imiad_detector_fit_images(d, list, COUNT, NULL, NULL));
    return d;
}

/* ---- steps ---- */

static void check_permutation(const size_t *order, size_t count)
{
    bool found[COUNT] = {false};
    for (size_t i = 0; i < count; ++i) {
        ck_assert_uint_lt(order[i], COUNT);
        ck_assert(!found[order[i]]);
        found[order[i]] = true;
    }
}

/* Gradient of half the mean square: w -= rate (w - mean of the step's brightness). */
static double by_hand(double w, double rate, const size_t *order, int64_t count)
{
    double mean = 0;
    for (int64_t i = 0; i < count; ++i)
        mean += brightness(order[i]) / (double)count;
    return w - rate * (w - mean);
}

static const struct {
    imiad_option options[4];
    size_t count;
    int64_t sizes[4]; /* of an epoch's steps */
} plans[] = {
    {{{"epochs", "3"}}, 1, {4, 4, 2}},
    {{{"drop_last", "true"}}, 1, {4, 4}},
    {{{"train_batch", "32"}}, 1, {10}},
    {{{"train_batch", "32"}, {"drop_last", "true"}}, 2, {10}},
    {{{"train_batch", "5"}, {"drop_last", "true"}}, 2, {5, 5}},
    {{{"decay", "true"}, {"epochs", "4"}}, 2, {4, 4, 2}},
    {{{"feature_cache", "0"}}, 1, {4, 4, 2}},
};
enum { PLANS = sizeof plans / sizeof *plans };

START_TEST(every_step_is_the_one_calculated_by_hand)
{
    imiad_detector *d = fitted_toy(plans[_i].options, plans[_i].count);
    int64_t epochs = options_int(d->options, "epochs"), steps = 0, images_an_epoch = 0;
    while (steps < 4 && plans[_i].sizes[steps])
        images_an_epoch += plans[_i].sizes[steps++];
    ck_assert_int_eq(seen.steps, epochs * steps);
    ck_assert_int_eq(seen.visited, COUNT);
    double w = 3;
    const size_t *at = seen.images;
    for (int64_t step = 0; step < seen.steps; ++step) {
        ck_assert_int_eq(seen.sizes[step], plans[_i].sizes[step % steps]);
        if (step % steps == 0)
            check_permutation(at, (size_t)images_an_epoch);
        bool halved = options_bool(d->options, "decay") && 2 * step >= seen.steps;
        w = by_hand(w, halved ? 0.125 : 0.25, at, seen.sizes[step]);
        at += seen.sizes[step];
    }
    ck_assert_double_lt(fabs(number(d) - w), 1e-6);
    ck_assert_msg(steps == 1 || memcmp(seen.images, seen.images + images_an_epoch,
                                       (size_t)images_an_epoch * sizeof *seen.images) != 0,
                  "two epochs in the same order");
    imiad_detector_free(d);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(the_seed_decides_the_order)
{
    size_t first[COUNT];
    const imiad_option same = {"seed", "66"}, other = {"seed", "67"};
    imiad_detector_free(fitted_toy(NULL, 0));
    memcpy(first, seen.images, sizeof first);
    imiad_detector_free(fitted_toy(&same, 1));
    ck_assert_mem_eq(first, seen.images, sizeof first);
    imiad_detector_free(fitted_toy(&other, 1));
    ck_assert(memcmp(first, seen.images, sizeof first) != 0);
}
END_TEST

/* In a group of min(8, train_batch) images, each once. */
START_TEST(frozen_features_are_computed_once_where_they_fit)
{
    const imiad_option kept[] = {{"train_batch", "5"}},
                       thrown[] = {{"train_batch", "5"}, {"feature_cache", "0"}};
    imiad_detector_free(fitted_toy(kept, 1));
    ck_assert_int_eq(seen.frozen_batches, 2);
    imiad_detector_free(fitted_toy(thrown, 2));
    ck_assert_int_eq(seen.frozen_batches, 2 * (1 + 3)); /* the visit and three epochs */
}
END_TEST

/* From w = 3 every gradient of the first step is above 1. */
START_TEST(gradients_are_clipped_to_their_norm)
{
    const imiad_option options[] = {
        {"gradient_clip", "0.01"}, {"epochs", "1"}, {"train_batch", "10"}};
    imiad_detector *d = fitted_toy(options, 3);
    ck_assert_double_lt(fabs(number(d) - (3 - 0.25 * 0.01)), 1e-6);
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_loss_that_is_not_finite_ends_training_with_its_place)
{
    const imiad_option options[] = {{"spoil", "4"}};
    imiad_detector *d = make_toy(options, 1);
    draw_images();
    ck_fails(imiad_detector_fit_images(d, list, COUNT, NULL, NULL), IMIAD_NOT_FINITE,
             "the loss is nan in epoch 2 of 3, step 2 of 3: try a smaller learning_rate");
    imiad_result result = IMIAD_RESULT_INIT;
    ck_fails(imiad_detector_score(&result, d, list[0]), IMIAD_WRONG_STATE, "must be fitted");
    imiad_detector_free(d);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

static double distance_to_held(double w)
{
    double sum = 0;
    for (int i = 0; i < 3; ++i)
        sum += fabs(w - brightness(seen.held[i])) / 3;
    return sum;
}

/* The parameters of the epoch in which w was nearest to the held-out images. */
START_TEST(held_out_images_choose_the_epoch)
{
    const imiad_option options[] = {{"held_out", "0.3"}, {"learning_rate", "1.9"}, {"epochs", "6"}};
    imiad_detector *d = fitted_toy(options, 3);
    ck_assert_int_eq(seen.held_count, 6 * 3);
    double w = 3, best = INFINITY, best_w = 0;
    const size_t *at = seen.images;
    for (int step = 0; step < seen.steps; at += seen.sizes[step++]) {
        for (int64_t i = 0; i < seen.sizes[step]; ++i)
            for (int h = 0; h < 3; ++h)
                ck_assert_uint_ne(at[i], seen.held[h]);
        w = by_hand(w, 1.9, at, seen.sizes[step]);
        if (step % 2 == 1 && distance_to_held(w) < best) { /* 7 images: steps of 4 and 3 */
            best = distance_to_held(w);
            best_w = w;
        }
    }
    ck_assert_double_lt(fabs(number(d) - best_w), 1e-5);
    ck_assert(fabs(best_w - w) > 1e-3); /* it is not the last one's */
    imiad_detector_free(d);
}
END_TEST

static int64_t optimizer_steps(const imiad_detector *d)
{
    const toy *m = d->state;
    scope s = scope_begin();
    tensor *count = params_find(optimizer_state(m->training.rules[0].optimizer), "step")->value;
    int64_t steps = ((int64_t *)t_data(count))[0];
    ck_ok(scope_end(&s));
    return steps;
}

START_TEST(another_task_goes_on_from_where_the_first_ended)
{
    const imiad_option options[] = {{"kind", "adam"}, {"learning_rate", "0.01"}};
    imiad_detector *d = fitted_toy(options, 2);
    const toy *m = d->state;
    double before = number(d);
    train_set *set;
    image_source source = {.images = list, .count = 4};
    ck_ok(train_set_open(&set, d, &source));
    ck_ok(toy_fit_more(d, set, NULL));
    train_set_close(set);
    /* Adam's bias corrections go on counting: 9 steps, then 3 of one batch each */
    ck_assert_int_eq(optimizer_steps(d), 9 + 3);
    ck_assert(number(d) != before);
    ck_assert_uint_eq(m->training.losses_count, 6);
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_failed_further_task_changes_nothing)
{
    const imiad_option options[] = {{"kind", "adam"}};
    imiad_detector *d = fitted_toy(options, 1);
    double before = number(d);
    options_free(d->options);
    ck_ok(detector_parse_options(&d->options, &toy_ops,
                                 (const imiad_option[]){{"kind", "adam"}, {"spoil", "4"}}, 2));
    train_set *set;
    image_source source = {.images = list, .count = COUNT};
    ck_ok(train_set_open(&set, d, &source));
    ck_fails(toy_fit_more(d, set, NULL), IMIAD_NOT_FINITE, "the loss is nan");
    train_set_close(set);
    ck_assert_double_eq(number(d), before);
    ck_assert_int_eq(optimizer_steps(d), 9);
    imiad_detector_free(d);
}
END_TEST

START_TEST(the_loss_log_has_a_line_for_each_epoch)
{
    char path[] = "/tmp/imiad-test-XXXXXX", line[128];
    close(mkstemp(path));
    const imiad_option options[] = {{"loss_log", path}, {"train_batch", "10"}};
    imiad_detector *d = fitted_toy(options, 2);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    ck_assert_str_eq(line, "task,epoch,loss\n");
    double w = 3;
    for (int epoch = 1; epoch <= 3; ++epoch) {
        int task, number_found;
        double loss, wanted = 0;
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        ck_assert_int_eq(sscanf(line, "%d,%d,%lf", &task, &number_found, &loss), 3);
        ck_assert(task == 1 && number_found == epoch);
        for (size_t i = 0; i < COUNT; ++i)
            wanted += 0.5 * (w - brightness(i)) * (w - brightness(i)) / COUNT;
        ck_assert_double_lt(fabs(loss - wanted), 1e-5);
        w = by_hand(w, 0.25, (size_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, COUNT);
    }
    ck_assert_ptr_null(fgets(line, sizeof line, file));
    fclose(file);
    unlink(path);
    imiad_detector_free(d);
}
END_TEST

START_TEST(files_that_cannot_be_written_fail_before_the_first_step)
{
    static const char *const names[] = {"checkpoint", "loss_log"};
    draw_images();
    for (int i = 0; i < 2; ++i) {
        const imiad_option options[] = {{names[i], "/dev/null/x"}};
        imiad_detector *d = make_toy(options, 1);
        ck_fails(imiad_detector_fit_images(d, list, COUNT, NULL, NULL), IMIAD_IO, "/dev/null/x");
        ck_assert_int_eq(seen.steps, 0);
        imiad_detector_free(d);
    }
}
END_TEST

/* ---- killed and resumed ---- */

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes saved_bytes(const imiad_detector *d)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    file_view view;
    ck_ok(file_map(&view, path));
    bytes b = {malloc(view.size), view.size};
    memcpy(b.data, view.bytes, view.size);
    file_unmap(&view);
    unlink(path);
    return b;
}

static int kill_after;

static int kill_at(void *user, const imiad_progress *p)
{
    if (kill_after-- == 0)
        raise(SIGKILL);
    return 0;
}

/* Fits in a child, which is killed at the `moment`th report of progress. False where it ended
 * before. */
static bool fit_and_die(imiad_status (*fit)(imiad_detector *d, imiad_progress_function f),
                        imiad_detector *d, int moment)
{
    pid_t child = fork();
    if (child == 0) {
        kill_after = moment;
        _exit(fit(d, kill_at) == IMIAD_OK ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
}

static imiad_status fit_toy(imiad_detector *d, imiad_progress_function f)
{
    return imiad_detector_fit_images(d, list, COUNT, f, NULL);
}

/* At every moment of the run, and then a second time one epoch later. */
START_TEST(a_run_killed_at_any_moment_ends_as_if_undisturbed)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    ck_ok(imiad_set_threads(1));
    draw_images();
    const imiad_option options[] = {{"kind", "adam"},
                                    {"checkpoint", path},
                                    {"checkpoint_every", _i == 0 ? "1" : "2"},
                                    {"held_out", _i == 0 ? "0" : "0.3"},
                                    {"epochs", "4"}};
    imiad_detector *undisturbed = make_toy(options, 5);
    ck_ok(fit_toy(undisturbed, NULL));
    ck_assert_msg(!file_exists(path), "the finished checkpoint is still there");
    bytes wanted = saved_bytes(undisturbed);
    int moment = 0, resumed = 0, all_steps = seen.steps;
    for (bool died = true; died; ++moment) {
        imiad_detector *d = make_toy(options, 5);
        died = fit_and_die(fit_toy, d, moment);
        if (died)
            fit_and_die(fit_toy, d, 4);
        ck_ok(fit_toy(d, NULL));
        resumed += seen.steps < all_steps;
        bytes found = saved_bytes(d);
        ck_assert_uint_eq(found.size, wanted.size);
        ck_assert_msg(memcmp(found.data, wanted.data, wanted.size) == 0, "killed at %d", moment);
        free(found.data);
        imiad_detector_free(d);
    }
    ck_assert_int_gt(moment, 8);
    ck_assert_int_gt(resumed, 0);
    free(wanted.data);
    imiad_detector_free(undisturbed);
}
END_TEST

/* ---- STPM ---- */

static imiad_dataset *dataset;
static imiad_backbone *backbone;
static imiad_split *split;

static void open_line(void)
{
    const imiad_option options[] = {
        {"size", "64"}, {"train", "9"}, {"test_good", "2"}, {"test_defective", "2"}};
    ck_ok(imiad_set_threads(1));
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, options, 4));
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                             NULL, 0));
}

static void close_line(void)
{
    imiad_split_free(split);
    imiad_backbone_free(backbone);
    imiad_dataset_free(dataset);
}

static imiad_detector *make_stpm(const imiad_option *more, size_t count)
{
    imiad_option options[16] = {
        {"resize", "64"}, {"epochs", "3"}, {"train_batch", "4"}, {"layers", "layer1,layer2"}};
    memcpy(options + 4, more, count * sizeof *more);
    imiad_detector *d = NULL;
    ck_ok(imiad_detector_create(&d, "stpm", backbone, options, 4 + count));
    return d;
}

static imiad_status fit_stpm(imiad_detector *d, imiad_progress_function f)
{
    return imiad_detector_fit(d, split, f, NULL);
}

/* Moments: during features, after the first step, within the second epoch and between epochs, and
 * wherever a clock finds it. */
START_TEST(stpm_killed_and_resumed_learns_the_same_bytes)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    open_line();
    const imiad_option options[] = {{"checkpoint", path}};
    imiad_detector *undisturbed = make_stpm(options, 1);
    ck_ok(fit_stpm(undisturbed, NULL));
    bytes wanted = saved_bytes(undisturbed);
    imiad_detector_free(undisturbed);
    static const int moments[] = {0, 3, 6, 7, 9};
    for (int i = 0; i < 7; ++i) {
        imiad_detector *d = make_stpm(options, 1);
        if (i < 5) {
            ck_assert(fit_and_die(fit_stpm, d, moments[i]));
        } else {
            pid_t child = fork();
            if (child == 0)
                _exit(fit_stpm(d, NULL) == IMIAD_OK ? 0 : 1);
            usleep(i == 5 ? 150000 : 400000);
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
        }
        ck_ok(fit_stpm(d, NULL));
        bytes found = saved_bytes(d);
        ck_assert_uint_eq(found.size, wanted.size);
        ck_assert_msg(memcmp(found.data, wanted.data, wanted.size) == 0, "killed in case %d", i);
        free(found.data);
        imiad_detector_free(d);
    }
    free(wanted.data);
    close_line();
}
END_TEST

/* Of 9 images: all kept, none, and as many as a megabyte takes (4: 16 x 16 x 64 + 8 x 8 x 128
 * floats each are 98 kB, so all; with layer1 of 128 pixels, some). */
START_TEST(any_feature_cache_gives_the_same_bytes)
{
    static const char *const budgets[] = {"2000", "0", "1"};
    open_line();
    bytes wanted = {NULL, 0};
    for (int i = 0; i < 3; ++i) {
        const imiad_option options[] = {
            {"feature_cache", budgets[i]}, {"resize", "128"}, {"image_cache", i ? "0" : "1000"}};
        imiad_detector *d = make_stpm(options, 3);
        ck_ok(fit_stpm(d, NULL));
        char name[64];
        snprintf(name, sizeof name, "%s", budgets[i]);
        bytes found = saved_bytes(d);
        imiad_detector_free(d);
        if (i == 0) {
            wanted = found;
            continue;
        }
        /* the files differ in the text of these two options: the tensors stand at the end */
        size_t tensors = wanted.size - 100000;
        ck_assert_msg(memcmp(found.data + found.size - tensors, wanted.data + wanted.size - tensors,
                             tensors) == 0,
                      "a cache of %s MB", name);
        free(found.data);
    }
    free(wanted.data);
    close_line();
}
END_TEST

/* ---- foreign checkpoints ---- */

static int stop_at(void *user, const imiad_progress *p)
{
    int *left = user;
    return (*left)-- == 0;
}

static imiad_status fit_with(const imiad_option *options, size_t count, size_t image_count,
                             int *stop)
{
    imiad_detector *d = make_toy(options, count);
    imiad_status status =
        imiad_detector_fit_images(d, list, image_count, stop ? stop_at : NULL, stop);
    imiad_detector_free(d);
    return status;
}

START_TEST(a_foreign_checkpoint_is_refused_by_name)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    draw_images();
    imiad_option options[3] = {{"checkpoint", path}, {"kind", "adam"}, {"seed", "66"}};
    int stop = 8;
    ck_assert_int_eq(fit_with(options, 3, COUNT, &stop), IMIAD_CANCELLED);
    ck_assert_msg(file_exists(path), "a cancelled fit leaves its checkpoint");

    options[1].value = "sgd";
    ck_fails(fit_with(options, 3, COUNT, NULL), IMIAD_MISMATCH,
             "was made with kind=adam, this is a fit with kind=sgd");
    ck_assert_msg(strstr(imiad_last_error(), path), "%s", imiad_last_error());
    options[1].value = "adam";
    options[2].value = "67";
    ck_fails(fit_with(options, 3, COUNT, NULL), IMIAD_MISMATCH, "seed=66");
    options[2].value = "66";
    ck_fails(fit_with(options, 3, COUNT - 1, NULL), IMIAD_MISMATCH, "other training images");
    pixels[3][5]++;
    ck_fails(fit_with(options, 3, COUNT, NULL), IMIAD_MISMATCH, "other training images");
    pixels[3][5]--;

    open_line();
    imiad_detector *d = make_stpm((const imiad_option[]){{"checkpoint", path}}, 1);
    ck_fails(fit_stpm(d, NULL), IMIAD_MISMATCH, "by another detector (toy, not stpm)");
    imiad_detector_free(d);
    close_line();

    const imiad_option circumstances[] = {
        options[0], options[1], options[2], {"feature_cache", "0"}, {"batch", "1"}};
    ck_ok(fit_with(circumstances, 5, COUNT, NULL)); /* which change nothing */
}
END_TEST

START_TEST(a_checkpoint_of_another_teacher_is_refused)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    open_line();
    int stop = 6;
    imiad_detector *d = make_stpm((const imiad_option[]){{"checkpoint", path}}, 1);
    ck_assert_int_eq(imiad_detector_fit(d, split, stop_at, &stop), IMIAD_CANCELLED);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
    imiad_backbone_options other = IMIAD_BACKBONE_OPTIONS_INIT;
    other.seed = 1;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &other));
    d = make_stpm((const imiad_option[]){{"checkpoint", path}}, 1);
    ck_fails(fit_stpm(d, NULL), IMIAD_MISMATCH, "with another backbone");
    imiad_detector_free(d);
    unlink(path);
    close_line();
}
END_TEST

START_TEST(a_damaged_checkpoint_is_refused)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    draw_images();
    const imiad_option options[1] = {{"checkpoint", path}};
    int stop = 8;
    ck_assert_int_eq(fit_with(options, 1, COUNT, &stop), IMIAD_CANCELLED);
    file_view view;
    ck_ok(file_map(&view, path));
    bytes whole = {malloc(view.size), view.size};
    memcpy(whole.data, view.bytes, view.size);
    file_unmap(&view);
    for (int i = 0; i < 20; ++i) {
        size_t at = whole.size * (size_t)i / 20, length = i % 2 ? at : whole.size;
        whole.data[at] ^= 4;
        file_writer writer;
        ck_ok(file_write_begin(&writer, path));
        ck_assert_uint_eq(fwrite(whole.data, 1, length, writer.stream), length);
        ck_ok(file_write_commit(&writer));
        whole.data[at] ^= 4;
        ck_assert_int_ne(fit_with(options, 1, COUNT, NULL), IMIAD_OK);
        ck_assert_msg(strstr(imiad_last_error(), path), "%s", imiad_last_error());
    }
    free(whole.data);
    unlink(path);
}
END_TEST

SUITE("training", LOOP_TEST(every_step_is_the_one_calculated_by_hand, PLANS),
      TEST(the_seed_decides_the_order), TEST(frozen_features_are_computed_once_where_they_fit),
      TEST(gradients_are_clipped_to_their_norm),
      TEST(a_loss_that_is_not_finite_ends_training_with_its_place),
      TEST(held_out_images_choose_the_epoch), TEST(another_task_goes_on_from_where_the_first_ended),
      TEST(a_failed_further_task_changes_nothing), TEST(the_loss_log_has_a_line_for_each_epoch),
      TEST(files_that_cannot_be_written_fail_before_the_first_step),
      LOOP_TEST(a_run_killed_at_any_moment_ends_as_if_undisturbed, 2),
      TEST(stpm_killed_and_resumed_learns_the_same_bytes),
      TEST(any_feature_cache_gives_the_same_bytes), TEST(a_foreign_checkpoint_is_refused_by_name),
      TEST(a_checkpoint_of_another_teacher_is_refused), TEST(a_damaged_checkpoint_is_refused))
