/* What training carries beside the images: labels, masks, roles and categories, batches that the
 * detector draws, further images that it makes, several losses a step, rules of their own,
 * averages, accumulation; each of them killed and resumed. */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "check_suite.h"
#include "detectors/detector.h"
#include "detectors/training/training.h"
#include "imiad/imiad.h"

enum { COUNT = 10, DEFECTIVE = 3, SIDE = 8, MOST = 512 };

/* ---- a detector of two numbers: `w` goes to the good images' brightness, `v` to the others' ----
 */

static const option_spec toy_options[] = {
    {"takes", OPT_INT, "3", "0..7", "detector_takes"},
    {"draws", OPT_CHOICE, "no", "no|balanced|replaced|pairs", "batches of its own"},
    {"makes", OPT_BOOL, "false", "", "further images"},
    {"turns", OPT_INT, "1", "1..2", "losses a step"},
    {"average", OPT_REAL, "0", "0..1", "decay of the moving average"},
    {"clip", OPT_REAL, "0", "0..", "of w's gradients alone"},
    {"fade", OPT_BOOL, "false", "", "v's rate is divided by the step's number"},
    {"epochs", .default_value = "3"},
    {"learning_rate", .default_value = "0.25"},
    {"train_batch", .default_value = "4"},
    {0},
};

typedef struct toy {
    training training;
    tensor *w, *v, *sum; /* the store's; `sum` is a buffer that training_ops.after fills */
} toy;

static struct {
    size_t images[MOST];
    train_image told[MOST];
    double masked[MOST], made[MOST][3];
    int count, steps;
    int64_t tasks;
} seen;

static double mean_of(tensor *t, int64_t i)
{
    return t_item(t_mean_all(t_slice(t, 0, i, i + 1)));
}

static void see(const train_step *step)
{
    for (int64_t i = 0; i < step->count && seen.count < MOST; ++i) {
        seen.images[seen.count] = step->images[i];
        seen.told[seen.count] = step->told[i];
        seen.masked[seen.count] = step->masks ? mean_of(step->masks, i) : -1;
        for (int k = 0; k < 3 && step->made[0]; ++k)
            seen.made[seen.count][k] = mean_of(step->made[k], i);
        seen.count++;
    }
    seen.steps++;
}

static tensor *toy_loss(imiad_detector *self, const train_step *step)
{
    toy *m = self->state;
    tensor *total = NULL;
    if (step->turn == 0)
        see(step);
    tensor *mean = t_mean(t_flatten(step->pixels.images, 1, 3), 1, false);
    for (int64_t i = 0; i < step->count; ++i) {
        bool second = m->training.ops->turns == 2 ? step->turn : step->told[i].label;
        tensor *missed = t_square(t_sub(second ? m->v : m->w, t_slice(mean, 0, i, i + 1)));
        total = t_plus(total, t_sum_all(missed));
    }
    return t_mul_scalar(total, 0.5 / (double)step->count);
}

static double toy_fade(const imiad_detector *self, double rate, const train_step *step,
                       int64_t steps)
{
    return rate / (double)(step->index + 1);
}

static void toy_after(imiad_detector *self, const train_step *step)
{
    toy *m = self->state;
    t_add_(m->sum, m->w, 1);
}

static imiad_status toy_draw(imiad_detector *self, const train_plan *plan, random_stream *stream,
                             size_t *out)
{
    const char *how = options_text(self->options, "draws");
    if (strcmp(how, "balanced") == 0)
        return training_draw_balanced(plan, stream, out);
    return strcmp(how, "pairs") == 0 ? training_draw_pairs(plan, stream, out)
                                     : training_draw_replaced(plan, stream, out);
}

static imiad_status toy_plan(imiad_detector *self, train_plan *plan)
{
    plan->steps = 5;
    plan->batch = 6;
    return IMIAD_OK;
}

/* A noisy copy, the mask upside down, and two planes: the place of another image, a random number.
 */
static imiad_status toy_make(const made_from *from, made_output *out)
{
    random_stream stream = made_stream(from, "noise");
    const imiad_image *image = from->image, *other, *mask = from->mask;
    size_t plane = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < 3 * plane; ++i)
        out[0].bytes[i] = (uint8_t)(image->pixels[i] + random_below(&stream, 20));
    for (size_t i = 0; mask && i < plane; ++i)
        out[1].bytes[i] = mask->pixels[plane - 1 - i];
    TRY(made_other(&other, NULL, from, (from->index + 1) % train_set_count(from->set)));
    ck_assert_int_eq(out[2].channels, 2);
    ck_assert_int_eq(out[2].height, 3);
    for (int i = 0; i < 2 * 3 * 4; ++i)
        out[2].values[i] = i < 12 ? other->pixels[0] : (float)random_real(&stream);
    return IMIAD_OK;
}

static const made_spec toy_specs[] = {
    {.kind = MADE_IMAGE},
    {.kind = MADE_MASK},
    {.kind = MADE_PLANES, .channels = 2, .height = 3, .width = 4},
};
static const train_maker toy_maker = {toy_specs, 3, toy_make};

static const training_ops passes = {.pixels = true, .loss = toy_loss, .after = toy_after},
                          drawn = {.pixels = true,
                                   .loss = toy_loss,
                                   .after = toy_after,
                                   .plan = toy_plan,
                                   .draw = toy_draw},
                          twice = {
                              .pixels = true, .loss = toy_loss, .after = toy_after, .turns = 2};

static imiad_status toy_create(imiad_detector *self)
{
    toy *m = self->state;
    bool draws = strcmp(options_text(self->options, "draws"), "no") != 0;
    self->takes = (unsigned)options_int(self->options, "takes");
    training_begin(self, draws                                      ? &drawn
                         : options_int(self->options, "turns") == 2 ? &twice
                                                                    : &passes);
    m->training.maker = options_bool(self->options, "makes") ? &toy_maker : NULL;
    return IMIAD_OK;
}

static imiad_status toy_begin(imiad_detector *self)
{
    toy *m = self->state;
    training *t = &m->training;
    params *store;
    training_clear(t);
    TRY(training_store(&store, t, "toy"));
    scope s = scope_begin();
    m->w = params_add(store, "w", t_full(1, (int64_t[]){1}, 3, F32, CPU), true);
    m->v = params_add(store, "v", t_full(1, (int64_t[]){1}, -3, F32, CPU), true);
    m->sum = params_add(store, "sum", t_zeros(1, (int64_t[]){1}, F32, CPU), false);
    TRY(scope_end(&s));
    const optimizer_options sgd = {.kind = OPTIMIZER_SGD, .momentum = 0.5};
    double rate = options_real(self->options, "learning_rate");
    training_optimizer(t, "w", "toy", "w", &sgd, rate)->clip = options_real(self->options, "clip");
    training_rule *v = training_optimizer(t, "v", "toy", "v", &sgd, rate);
    v->schedule = options_bool(self->options, "fade") ? toy_fade : NULL;
    v->turn = t->ops->turns == 2;
    training_average(t, "toy", options_real(self->options, "average"));
    return IMIAD_OK;
}

static imiad_status toy_fit(imiad_detector *self, train_set *images, const progress *p)
{
    memset(&seen, 0, sizeof seen);
    seen.tasks = self->tasks;
    TRY(toy_begin(self));
    return training_fit(self, images, p);
}

static imiad_status toy_fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    memset(&seen, 0, sizeof seen);
    seen.tasks = self->tasks;
    return training_fit_more(self, images, p);
}

static void toy_score(imiad_detector *self, const batch *b, scores *out)
{
    ck_assert(!b->told && !b->masks && !b->made[0]);
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
                                     .title = "Two numbers",
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

/* ---- its images: grey, one brightness each, the last ones defective in their upper half ---- */

static uint8_t pixels[COUNT][SIDE * SIDE], mask_pixels[SIDE * SIDE];
static imiad_image images[COUNT], mask;
static const imiad_image *list[COUNT], *masks[COUNT];
static int32_t labels[COUNT], categories[COUNT];

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
    memset(mask_pixels, 255, sizeof mask_pixels / 2);
    mask = (imiad_image){sizeof mask, IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE, mask_pixels};
    for (size_t i = 0; i < COUNT; ++i) {
        memset(pixels[i], (int)(20 + 17 * i), sizeof pixels[i]);
        images[i] = (imiad_image){sizeof images[i], IMIAD_PIXEL_GRAY8, SIDE, SIDE, SIDE, pixels[i]};
        list[i] = &images[i];
        labels[i] = i >= COUNT - DEFECTIVE;
        masks[i] = labels[i] ? &mask : NULL;
        categories[i] = (int32_t)(i % 3);
    }
}

static imiad_detector *make_toy(const imiad_option *options, size_t count)
{
    imiad_option all[16] = {{"resize", "8"}, {"crop", "0"}};
    imiad_detector *d = NULL;
    if (count > 0)
        memcpy(all + 2, options, count * sizeof *options);
    ck_ok(detector_create(&d, &toy_ops, NULL, all, 2 + count));
    draw_images();
    return d;
}

static imiad_status fit_labelled(imiad_detector *d, bool more, imiad_progress_function f)
{
    train_set *set;
    const progress p = {f, NULL};
    image_source source = {
        .images = list, .count = COUNT, .labels = labels, .masks = masks, .categories = categories};
    TRY(train_set_open(&set, d, &source));
    imiad_status status = (more ? toy_fit_more : toy_fit)(d, set, &p);
    train_set_close(set);
    d->fitted |= status == IMIAD_OK;
    return status;
}

static imiad_detector *fitted(const imiad_option *options, size_t count)
{
    imiad_detector *d = make_toy(options, count);
    ck_ok(fit_labelled(d, false, NULL));
    return d;
}

static double value_of(const imiad_detector *d, const char *name)
{
    const toy *m = d->state;
    scope s = scope_begin();
    double value = t_item(params_find(m->training.stores[0].parameters, name)->value);
    ck_ok(scope_end(&s));
    return value;
}

/* ---- what is told ---- */

START_TEST(a_step_knows_label_role_category_and_mask_of_each_image)
{
    imiad_detector *d = fitted(NULL, 0);
    ck_assert_int_eq(seen.count, 3 * COUNT);
    for (int i = 0; i < seen.count; ++i) {
        size_t image = seen.images[i];
        ck_assert_int_eq(seen.told[i].label, labels[image]);
        ck_assert_int_eq(seen.told[i].role, labels[image]       ? ROLE_ANOMALY
                                            : categories[image] ? ROLE_SOURCE
                                                                : ROLE_TRAIN);
        ck_assert_int_eq(seen.told[i].category, categories[image]);
        ck_assert_double_eq(seen.masked[i], labels[image] ? 0.5 : 0);
    }
    imiad_detector_free(d);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(masks_that_are_not_asked_for_do_not_come)
{
    const imiad_option options[] = {{"takes", "1"}};
    imiad_detector_free(fitted(options, 1));
    ck_assert_int_gt(seen.count, 0);
    for (int i = 0; i < seen.count; ++i)
        ck_assert_double_eq(seen.masked[i], -1);
}
END_TEST

START_TEST(a_defective_image_without_its_mask_is_named)
{
    imiad_detector *d = make_toy(NULL, 0);
    masks[8] = NULL;
    ck_fails(fit_labelled(d, false, NULL), IMIAD_INVALID_ARGUMENT, "defective image 8 has none");
    imiad_detector_free(d);
}
END_TEST

static void fit_split(const char *takes, const char *setting, const imiad_option *more)
{
    const imiad_option options[] = {
        {"size", "32"}, {"train", "4"}, {"test_good", "2"}, {"test_defective", "6"}};
    imiad_dataset *dataset;
    imiad_split *split;
    const imiad_option take[] = {{"takes", takes}};
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, options, 4));
    ck_ok(imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 1), setting, more,
                             more != NULL));
    imiad_detector *d = make_toy(take, 1);
    ck_ok(imiad_detector_fit(d, split, NULL, NULL));
    ck_assert_int_eq(d->tasks, 1);
    ck_ok(imiad_detector_fit_more(d, split, NULL, NULL));
    ck_assert_int_eq(seen.tasks, 1);
    ck_assert_int_eq(d->tasks, 2);
    imiad_detector_free(d);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
}

static int count_role(split_role role)
{
    int count = 0;
    for (int i = 0; i < seen.count; ++i)
        count += seen.told[i].role == role;
    return count / 3; /* epochs */
}

/* With masks, with labelled anomalies, with the four normals of each of the other categories. */
START_TEST(a_detector_sees_what_it_takes_and_nothing_else)
{
    const imiad_option anomalies = {"anomalies", "2"};
    fit_split("0", "supervised", &anomalies);
    ck_assert_int_eq(seen.count, 3 * 4);
    ck_assert_int_eq(count_role(ROLE_TRAIN), 4);
    fit_split("3", "supervised", &anomalies);
    ck_assert_int_eq(count_role(ROLE_TRAIN), 4);
    ck_assert_int_eq(count_role(ROLE_ANOMALY), 2);
    int masked = 0;
    for (int i = 0; i < seen.count; ++i) {
        ck_assert(seen.masked[i] == 0 || seen.told[i].role == ROLE_ANOMALY);
        masked += seen.masked[i] > 0;
    }
    ck_assert_int_gt(masked, 0);
    fit_split("5", "unsupervised", NULL);
    ck_assert_int_eq(count_role(ROLE_TRAIN), 4);
    ck_assert_int_gt(count_role(ROLE_SOURCE), 0);
    ck_assert_int_eq(count_role(ROLE_SOURCE) % 4, 0);
    for (int i = 0; i < seen.count; ++i)
        ck_assert((seen.told[i].category == 1) == (seen.told[i].role == ROLE_TRAIN));
}
END_TEST

/* ---- batches of the detector's own ---- */

START_TEST(balanced_batches_hold_half_of_each_label)
{
    const imiad_option options[] = {{"draws", "balanced"}};
    imiad_detector_free(fitted(options, 1));
    ck_assert_int_eq(seen.steps, 3 * 5);
    ck_assert_int_eq(seen.count, 3 * 5 * 6);
    for (int i = 0; i < seen.count; ++i)
        ck_assert_int_eq(seen.told[i].label, i % 6 >= 3);
    for (int i = 0; i < seen.count;
         i += 6) /* the three defective ones, each once, in every batch */
        ck_assert_uint_eq(seen.images[i + 3] + seen.images[i + 4] + seen.images[i + 5], 7 + 8 + 9);
}
END_TEST

START_TEST(pairs_are_different_images_of_one_category)
{
    const imiad_option options[] = {{"draws", "pairs"}};
    imiad_detector_free(fitted(options, 1));
    for (int i = 0; i < seen.count; i += 2) {
        ck_assert_int_eq(seen.told[i].category, seen.told[i + 1].category);
        ck_assert_uint_ne(seen.images[i], seen.images[i + 1]);
    }
}
END_TEST

START_TEST(drawing_with_replacement_repeats_images_and_the_seed_decides_which)
{
    size_t first[90];
    const imiad_option options[] = {{"draws", "replaced"}, {"seed", "1"}},
                       other[] = {{"draws", "replaced"}, {"seed", "2"}};
    imiad_detector_free(fitted(options, 2));
    memcpy(first, seen.images, sizeof first);
    int often[COUNT] = {0}, most = 0;
    for (int i = 0; i < 6; ++i)
        most = ++often[first[i]] > most ? often[first[i]] : most;
    for (int i = 6; i < 30; ++i)
        most = ++often[first[i]] > most ? often[first[i]] : most;
    ck_assert_int_gt(most, 3); /* a pass over ten images would show each of 30 three times */
    imiad_detector_free(fitted(options, 2));
    ck_assert_mem_eq(first, seen.images, sizeof first);
    imiad_detector_free(fitted(other, 2));
    ck_assert(memcmp(first, seen.images, sizeof first) != 0);
}
END_TEST

/* ---- further images ---- */

START_TEST(what_is_made_depends_on_its_stream_and_not_on_threads_or_caches)
{
    static double first[MOST][3];
    for (int run = 0; run < 4; ++run) {
        const imiad_option options[] = {{"makes", "true"}, {"image_cache", run % 2 ? "0" : "1000"}};
        ck_ok(imiad_set_threads(run < 2 ? 1 : 4));
        imiad_detector_free(fitted(options, 2));
        ck_assert_int_eq(seen.count, 30);
        if (run > 0)
            ck_assert_mem_eq(seen.made, first, sizeof first);
        memcpy(first, seen.made, sizeof first);
    }
    bool same = true;
    for (int i = 0; i < seen.count; ++i) {
        double lighter = seen.made[i][0] - brightness(seen.images[i]), grey = 0;
        grey = 20 + 17 * (double)((seen.images[i] + 1) % COUNT);
        ck_assert(lighter > 6 / 255.0 / 0.226 && lighter < 13 / 255.0 / 0.226);
        ck_assert_double_eq(seen.made[i][1], seen.masked[i]);
        ck_assert(seen.made[i][2] > grey / 2 && seen.made[i][2] < (grey + 1) / 2);
        for (int j = 0; j < i; ++j)
            same &= seen.images[i] != seen.images[j] || seen.made[i][0] == seen.made[j][0];
    }
    ck_assert_msg(!same, "every epoch made the same of an image");
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* ---- rules ---- */

/* SGD with momentum, by hand: one batch of all images, so that order does not matter. */
typedef struct hand {
    double value, momentum;
} hand;

static void step_by_hand(hand *h, double gradient, double rate)
{
    h->momentum = 0.5 * h->momentum + gradient;
    h->value -= rate * h->momentum;
}

/* The gradient of half the mean square over these images, divided by the batch's count. */
static double gradient_of(double value, bool defective, bool all)
{
    double sum = 0;
    for (size_t i = 0; i < COUNT; ++i)
        if (all || defective == labels[i])
            sum += (value - brightness(i)) / COUNT;
    return sum;
}

START_TEST(rules_have_clipping_and_schedule_of_their_own)
{
    const imiad_option options[] = {
        {"train_batch", "10"}, {"clip", "0.1"}, {"fade", "true"}, {"epochs", "4"}};
    imiad_detector *d = fitted(options, 4);
    hand w = {3, 0}, v = {-3, 0};
    for (int step = 0; step < 4; ++step) {
        double down = gradient_of(w.value, false, false);
        step_by_hand(&w, down > 0.1 ? 0.1 : down, 0.25);
        step_by_hand(&v, gradient_of(v.value, true, false), 0.25 / (step + 1));
    }
    ck_assert_double_lt(fabs(value_of(d, "w") - w.value), 1e-5);
    ck_assert_double_lt(fabs(value_of(d, "v") - v.value), 1e-5);
    imiad_detector_free(d);
}
END_TEST

/* Each turn's loss is over all images and moves its own number alone. */
START_TEST(losses_in_turn_move_their_own_optimisers)
{
    char path[] = "/tmp/imiad-test-XXXXXX", line[128];
    close(mkstemp(path));
    const imiad_option options[] = {
        {"turns", "2"}, {"train_batch", "10"}, {"epochs", "3"}, {"loss_log", path}};
    imiad_detector *d = fitted(options, 4);
    hand w = {3, 0}, v = {-3, 0};
    for (int step = 0; step < 3; ++step) {
        step_by_hand(&w, gradient_of(w.value, false, true), 0.25);
        step_by_hand(&v, gradient_of(v.value, false, true), 0.25);
    }
    ck_assert_double_lt(fabs(value_of(d, "w") - w.value), 1e-5);
    ck_assert_double_lt(fabs(value_of(d, "v") - v.value), 1e-5);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    ck_assert_str_eq(line, "task,epoch,loss,loss2\n");
    double losses[2], sums[2] = {0, 0};
    ck_assert_int_eq(fscanf(file, "1,1,%lf,%lf", &losses[0], &losses[1]), 2);
    for (size_t i = 0; i < COUNT; ++i) {
        sums[0] += 0.05 * pow(3 - brightness(i), 2);
        sums[1] += 0.05 * pow(-3 - brightness(i), 2);
    }
    ck_assert(fabs(losses[0] - sums[0]) < 1e-5 && fabs(losses[1] - sums[1]) < 1e-5);
    fclose(file);
    unlink(path);
    imiad_detector_free(d);
}
END_TEST

START_TEST(accumulated_steps_are_one_of_the_larger_batch)
{
    const imiad_option small[] = {{"train_batch", "5"}, {"accumulate", "2"}, {"epochs", "4"}},
                       large[] = {{"train_batch", "10"}, {"epochs", "4"}};
    imiad_detector *a = fitted(small, 3), *b = fitted(large, 2);
    ck_assert_double_lt(fabs(value_of(a, "w") - value_of(b, "w")), 1e-5);
    ck_assert_double_lt(fabs(value_of(a, "v") - value_of(b, "v")), 1e-5);
    ck_assert(fabs(value_of(a, "w") - 3) > 0.1);
    imiad_detector_free(a);
    imiad_detector_free(b);
}
END_TEST

START_TEST(several_losses_cannot_accumulate)
{
    const imiad_option options[] = {{"turns", "2"}, {"accumulate", "2"}};
    imiad_detector *d = make_toy(options, 2);
    ck_fails(fit_labelled(d, false, NULL), IMIAD_UNSUPPORTED, "accumulate=2");
    imiad_detector_free(d);
}
END_TEST

/* What scores is the average; another task goes on from what was learned last. */
START_TEST(averages_score_and_what_was_learned_goes_on)
{
    const imiad_option options[] = {{"train_batch", "10"}, {"average", "0.75"}, {"epochs", "3"}};
    imiad_detector *d = fitted(options, 3);
    hand w = {3, 0};
    double average = 3, sum = 0;
    for (int task = 0; task < 2; ++task) {
        for (int step = 0; step < 3; ++step) {
            step_by_hand(&w, gradient_of(w.value, false, false), 0.25);
            average = 0.75 * average + 0.25 * w.value;
            sum += w.value;
        }
        ck_assert_double_lt(fabs(value_of(d, "w") - average), 1e-5);
        ck_assert_double_lt(fabs(value_of(d, "sum") - sum), 1e-5);
        if (task == 0)
            ck_ok(fit_labelled(d, true, NULL));
    }
    imiad_detector_free(d);
    ck_assert_uint_eq(t_live(), 0);
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

static bool fit_and_die(imiad_detector *d, int moment)
{
    pid_t child = fork();
    if (child == 0) {
        kill_after = moment;
        _exit(fit_labelled(d, false, kill_at) == IMIAD_OK ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
}

static const struct {
    imiad_option options[4];
    size_t count;
} runs[] = {
    {{{"draws", "balanced"}}, 1},
    {{{"draws", "replaced"}, {"makes", "true"}}, 2},
    {{{"turns", "2"}, {"fade", "true"}}, 2},
    {{{"average", "0.9"}, {"clip", "0.5"}}, 2},
    {{{"train_batch", "3"}, {"accumulate", "3"}}, 2},
};
enum { RUNS = sizeof runs / sizeof *runs };

START_TEST(each_of_these_killed_at_any_moment_ends_as_if_undisturbed)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    ck_ok(imiad_set_threads(1));
    imiad_option options[8] = {{"checkpoint", path}};
    memcpy(options + 1, runs[_i].options, runs[_i].count * sizeof *options);
    size_t count = runs[_i].count + 1;
    imiad_detector *undisturbed = fitted(options, count);
    bytes wanted = saved_bytes(undisturbed);
    int resumed = 0, all_steps = seen.steps, moment = 0;
    for (bool died = true; died; ++moment) {
        imiad_detector *d = make_toy(options, count);
        died = fit_and_die(d, moment);
        ck_ok(fit_labelled(d, false, NULL));
        resumed += seen.steps < all_steps;
        bytes found = saved_bytes(d);
        ck_assert_uint_eq(found.size, wanted.size);
        ck_assert_msg(memcmp(found.data, wanted.data, wanted.size) == 0, "killed at %d", moment);
        free(found.data);
        imiad_detector_free(d);
    }
    ck_assert_int_gt(resumed, 0);
    free(wanted.data);
    imiad_detector_free(undisturbed);
}
END_TEST

static void expect_threads(const imiad_detector *d, const char *wanted)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_str_eq(weights_metadata(file, "threads"), wanted);
    weights_free(file);
    unlink(path);
}

static int cancel_training(void *user, const imiad_progress *p)
{
    return strcmp(p->stage, "train") == 0 && p->done > 0;
}

/* A task that was cancelled was never learned. */
START_TEST(the_file_says_the_threads_of_every_task)
{
    imiad_detector *d = make_toy(NULL, 0);
    ck_ok(imiad_set_threads(1));
    ck_ok(fit_labelled(d, false, NULL));
    expect_threads(d, "1");
    ck_ok(imiad_set_threads(2));
    ck_fails(fit_labelled(d, true, cancel_training), IMIAD_CANCELLED, "");
    expect_threads(d, "1");
    ck_ok(fit_labelled(d, true, NULL));
    expect_threads(d, "1,2");
    ck_ok(fit_labelled(d, true, NULL));
    expect_threads(d, "1,2");
    ck_ok(fit_labelled(d, false, NULL)); /* all begins anew */
    expect_threads(d, "2");
    imiad_detector_free(d);
}
END_TEST

START_TEST(the_file_says_with_how_many_threads_it_was_trained)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    const imiad_option options[] = {{"checkpoint", path}};
    imiad_detector *d = make_toy(options, 1);
    ck_ok(imiad_set_threads(1));
    ck_assert(fit_and_die(d, 5));
    ck_ok(imiad_set_threads(2));
    ck_ok(fit_labelled(d, false, NULL));
    expect_threads(d, "1,2");
    imiad_detector_free(d);
}
END_TEST

SUITE("training-labels", TEST(a_step_knows_label_role_category_and_mask_of_each_image),
      TEST(masks_that_are_not_asked_for_do_not_come),
      TEST(a_defective_image_without_its_mask_is_named),
      TEST(a_detector_sees_what_it_takes_and_nothing_else),
      TEST(balanced_batches_hold_half_of_each_label),
      TEST(pairs_are_different_images_of_one_category),
      TEST(drawing_with_replacement_repeats_images_and_the_seed_decides_which),
      TEST(what_is_made_depends_on_its_stream_and_not_on_threads_or_caches),
      TEST(rules_have_clipping_and_schedule_of_their_own),
      TEST(losses_in_turn_move_their_own_optimisers),
      TEST(accumulated_steps_are_one_of_the_larger_batch), TEST(several_losses_cannot_accumulate),
      TEST(averages_score_and_what_was_learned_goes_on),
      LOOP_TEST(each_of_these_killed_at_any_moment_ends_as_if_undisturbed, RUNS),
      TEST(the_file_says_the_threads_of_every_task),
      TEST(the_file_says_with_how_many_threads_it_was_trained))
