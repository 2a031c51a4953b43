/* BGAD against the authors' code, piece by piece and through its training. */
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "detectors/parts/position_code.h"
#include "detectors/parts/push_pull.h"
#include "golden_steps.h"
#include "nn/flows.h"
#include "resumed.h"

#define GOLDEN "tests/golden/bgad.csv" /* made by tests/golden/make_bgad.py */

enum { LEVELS = 2, BLOCKS = 2, CODE = 8, SIDE = 64, TENSORS = LEVELS * BLOCKS * 6 };

static double sample_error(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *values = malloc(count * sizeof *values), worst = 0;
    t_read(t_contiguous(t_to(t, F64)), values, count * sizeof *values);
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i)
        worst =
            fmax(worst, fabs(values[i * (count - 1) / (GOLDEN_SAMPLES - 1)] - l->values[i + 1]));
    free(values);
    return worst;
}

START_TEST(position_codes_are_the_authors)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "codes");
    ck_assert_uint_eq(golden.count, 2);
    scope s = scope_begin();
    for (size_t i = 0; i < 2; ++i) {
        int64_t side = strtol(golden.lines[i].name, NULL, 10);
        ck_assert_double_lt(sample_error(position_code(side, side, 128, CPU), &golden.lines[i]),
                            2e-6);
    }
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- losses of likelihoods that a formula gives ---- */

enum { PATCHES = 200 };

static bool is_defective(const char *kind, int place)
{
    if (strcmp(kind, "mixed") == 0)
        return place % 7 == 3;
    return strcmp(kind, "below") == 0 && place % 50 == 3;
}

static void fill(double *likelihoods, double *defective, const char *kind)
{
    double grain = strcmp(kind, "mixed") == 0 ? 10 : 1e8; /* tenths: many ties */
    for (int i = 0; i < PATCHES; ++i) {
        double value = rint((4 * (1 + sin(0.37 * i)) - 7) * grain) / grain;
        defective[i] = is_defective(kind, i);
        likelihoods[i] = value - (strcmp(kind, "below") == 0 && defective[i] > 0 ? 40 : 0);
    }
}

/* Without a defective patch, with all of them below their boundary, and with ties. */
START_TEST(losses_and_gradients_equal_the_authors)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "losses");
    int losses = 0, gradients = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        char kind[8] = "";
        double values[PATCHES], defective[PATCHES];
        const int64_t shape = PATCHES;
        sscanf(l->name, "%7[^.]", kind);
        push_pull o = {0.05, 0.1, 10, 1, l->name[strlen(kind) + 1] == '1'};
        fill(values, defective, kind);
        scope s = scope_begin_grad();
        tensor *likelihoods = t_from(values, 1, &shape, F64, CPU);
        t_require_grad(likelihoods, true);
        tensor *loss = push_pull_loss(likelihoods, t_from(defective, 1, &shape, F64, CPU), &o);
        if (strcmp(l->kind, "loss") == 0) {
            ck_assert_double_eq_tol(t_item(loss), l->values[0], 1e-7 * l->values[0]);
            ++losses;
        } else {
            t_backward(loss);
            ck_assert_double_lt(sample_error(t_grad(likelihoods), l), 1e-7 * l->values[0]);
            ++gradients;
        }
        ck_ok(scope_end(&s));
    }
    ck_assert_int_eq(losses, 6);
    ck_assert_int_eq(gradients, 6);
}
END_TEST

/* A likelihood of 1 has the weight's pole at its logarithm 0. */
START_TEST(a_certain_defect_has_a_finite_weight)
{
    const double values[] = {-2, -1, 0}, defective[] = {0, 0, 1};
    const int64_t shape = 3;
    const push_pull o = {0.05, 0.1, 10, 1, true};
    scope s = scope_begin();
    tensor *loss = push_pull_loss(t_from(values, 1, &shape, F64, CPU),
                                  t_from(defective, 1, &shape, F64, CPU), &o);
    double found = t_item(loss);
    ck_ok(scope_end(&s));
    ck_assert(isfinite(found) && found > 0);
}
END_TEST

/* The authors' map ends at 0 over all images; ours begins at 0 where nothing is missing. */
START_TEST(the_map_equals_the_authors)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "maps");
    ck_assert_uint_eq(golden.count, 1);
    scope s = scope_begin();
    tensor *likelihoods[LEVELS];
    for (int i = 0; i < LEVELS; ++i) {
        const int64_t shape[] = {1, 3, 8 >> i, 8 >> i};
        likelihoods[i] = t_add_scalar(t_squeeze(golden_procedural(shape, i, F64), 0), -3);
    }
    tensor *map = push_pull_map(likelihoods, NULL, LEVELS, 16, 16, false);
    tensor *from_zero = t_add_scalar(map, t_item(t_max_all(t_neg(map))));
    double error = sample_error(from_zero, &golden.lines[0]);
    ck_ok(scope_end(&s));
    ck_assert_double_lt(error, 1e-6);
}
END_TEST

/* ---- a detector of two levels, on images that the library draws ---- */

typedef struct small_set {
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_image *image;
} small_set;

static small_set open_small(const char *setting)
{
    static const imiad_option options[] = {
        {"size", "64"}, {"train", "3"}, {"test_good", "2"}, {"test_defective", "3"}};
    static const imiad_option one[] = {{"anomalies", "1"}};
    small_set s;
    ck_ok(imiad_dataset_open(&s.dataset, "synthetic", NULL, options, 4));
    ck_ok(imiad_split_create(&s.split, s.dataset, imiad_dataset_category(s.dataset, 0), setting,
                             one, strcmp(setting, "supervised") == 0));
    ck_ok(imiad_backbone_create(&s.backbone, "resnet18", NULL));
    ck_ok(imiad_dataset_read_image(&s.image, s.dataset, 0));
    return s;
}

static void close_small(small_set *s)
{
    imiad_image_free(s->image);
    imiad_backbone_free(s->backbone);
    imiad_split_free(s->split);
    imiad_dataset_free(s->dataset);
}

static const imiad_option basic[] = {{"preset", "official"}, {"layers", "layer1,layer2"},
                                     {"resize", "64"},       {"coupling_layers", "2"},
                                     {"position_code", "8"}, {"patch_batch", "128"},
                                     {"sub_epochs", "1"},    {"repeats", "1"},
                                     {"train_batch", "2"},   {"epochs", "5"}};
enum { BASIC = sizeof basic / sizeof *basic };

static imiad_detector *make_small(const small_set *s, const imiad_option *more, size_t count)
{
    imiad_option options[16];
    memcpy(options, basic, sizeof basic);
    for (size_t i = 0; i < count; ++i)
        options[BASIC + i] = more[i];
    imiad_detector *d;
    ck_ok(imiad_detector_create(&d, "bgad", s->backbone, options, BASIC + count));
    return d;
}

/* Fitted, and then with its first parameters again, in double. */
static imiad_detector *make_first(const small_set *s)
{
    static const imiad_option still[] = {{"learning_rate", "0"}};
    imiad_detector *d = make_small(s, NULL, 0), *other = make_small(s, still, 1);
    ck_ok(imiad_detector_fit(d, s->split, NULL, NULL));
    ck_ok(imiad_detector_fit(other, s->split, NULL, NULL));
    training *t = d->state;
    for (int i = 0; i < 2; ++i) {
        ck_ok(
            params_copy(t->stores[i].parameters, ((training *)other->state)->stores[i].parameters));
        ck_ok(params_to(t->stores[i].parameters, F64, CPU));
    }
    for (int i = 0; i < t->rule_count; ++i) {
        optimizer_free(t->rules[i].optimizer);
        t->rules[i].optimizer = NULL;
    }
    ck_ok(training_make_optimizers(t));
    imiad_detector_free(other);
    return d;
}

static tensor *features_of(int64_t step, int level)
{
    const int64_t shape[] = {2, 64 << level, 16 >> level, 16 >> level};
    return t_add_scalar(golden_procedural(shape, (double)(step + level), F64), -1);
}

/* A corner of the second image, after the first pass in every first batch of two. */
static tensor *masks_of(const train_image *told)
{
    double *values = calloc(2 * SIDE * SIDE, sizeof *values);
    for (int y = 0; told[1].label && y < 24; ++y)
        for (int x = 0; x < 24; ++x)
            values[SIDE * SIDE + y * SIDE + x] = 1;
    tensor *masks = t_from(values, 4, (int64_t[]){2, 1, SIDE, SIDE}, F64, CPU);
    free(values);
    return masks;
}

static double parameter_error(const golden_case *g, const params *store, int *compared)
{
    double above = 0, below = 0;
    scope s = scope_begin();
    for (size_t i = 0; i < g->count; ++i) {
        const golden_line *l = &g->lines[i];
        if (strcmp(l->kind, "parameter") != 0)
            continue;
        const param *p = params_find(store, l->name);
        ck_assert_msg(p, "no %s", l->name);
        above += pow(sample_error(p->value, l), 2) * (double)t_count(p->value);
        below += l->values[0] * l->values[0];
        ++*compared;
    }
    ck_ok(scope_end(&s));
    return sqrt(above / below);
}

/* Ten batches, a first pass of normal images and four of both, several steps in a batch, three
 * optimisers of which two have a flow, warming up and the cosine. */
START_TEST(steps_in_double_equal_the_authors_code)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "steps");
    small_set s = open_small("supervised");
    imiad_detector *d = make_first(&s);
    training *t = d->state;
    double worst = 0;
    int compared = 0, losses = 0;
    for (int64_t index = 0; index < 10; ++index)
        for (int turn = 0; turn < LEVELS; ++turn) {
            scope within = scope_begin_grad();
            train_image told[2] = {{0}, {.label = index >= 2 && index % 2 == 0}};
            tensor *frozen[LEVELS] = {features_of(index, 0), features_of(index, 1)};
            train_step step = {.count = 2,
                               .frozen = frozen,
                               .epoch = index / 2,
                               .epochs = 5,
                               .index = index,
                               .told = told,
                               .masks = masks_of(told),
                               .turn = turn};
            tensor *loss = t->ops->loss(d, &step);
            double value = t_item(loss);
            t_backward(loss);
            training_rule *rule = &t->rules[turn];
            optimizer_step(rule->optimizer, t->ops->rate(d, rule->rate, &step, 10));
            ck_ok(scope_end(&within));
            params_clear_grad(t->stores[0].parameters);
            for (size_t i = 0; i < golden.count; ++i) {
                const golden_line *l = &golden.lines[i];
                if (strcmp(l->kind, "loss") != 0 || strtol(l->name, NULL, 10) != 2 * index + turn)
                    continue;
                worst = fmax(worst, fabs(value / l->values[0] - 1));
                ++losses;
            }
        }
    double error = parameter_error(&golden, t->stores[0].parameters, &compared);
    printf("relative error of %d losses %.2g, of %d tensors %.2g\n", losses, worst, compared,
           error);
    ck_assert_int_eq(losses, 20);
    ck_assert_int_eq(compared, TENSORS);
    ck_assert_double_lt(worst, 1e-6);
    ck_assert_double_lt(error, 1e-6);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* With the authors' count of two steps a pass while warming up. */
START_TEST(learning_rates_are_the_authors)
{
    static golden_case golden;
    static const imiad_option longer[] = {{"sub_epochs", "8"}, {"epochs", "8"}};
    golden_read(&golden, GOLDEN, "rates");
    ck_assert_uint_eq(golden.count, 25);
    small_set s = open_small("supervised");
    imiad_detector *d = make_small(&s, longer, 2);
    ck_ok(imiad_detector_fit(d, s.split, NULL, NULL));
    const training *t = d->state;
    for (size_t i = 0; i < golden.count; ++i) {
        /* two steps an epoch: the rest of the third is one step further on */
        int64_t epoch = 8 * strtol(golden.lines[i].name, NULL, 10) + 4;
        train_step step = {.epoch = epoch, .epochs = 200, .index = 2 * epoch};
        double wanted = golden.lines[i].values[0], found = t->ops->rate(d, 2e-4, &step, 400);
        ck_assert_double_eq_tol(found, wanted, 1e-8 * wanted);
    }
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* ---- in use ---- */

START_TEST(without_labelled_anomalies_it_refuses)
{
    small_set s = open_small("unsupervised");
    imiad_detector *d = make_small(&s, NULL, 0);
    const imiad_image *const images[1] = {s.image};
    ck_fails(imiad_detector_fit(d, s.split, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "use the setting supervised");
    ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "use the setting supervised");
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
    static const imiad_option odd[] = {{"position_code", "10"}},
                              any[] = {{"resize_mode", "shorter"}},
                              many[] = {{"layers", "layer1,layer2,layer3,layer4"}};
    small_set s = open_small("supervised");
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "bgad", s.backbone, odd, 1), IMIAD_OUT_OF_RANGE,
             "multiple of 4");
    ck_fails(imiad_detector_create(&d, "bgad", s.backbone, any, 1), IMIAD_OUT_OF_RANGE,
             "resize_mode=squash");
    ck_fails(imiad_detector_create(&d, "bgad", s.backbone, many, 1), IMIAD_OUT_OF_RANGE,
             "at most 3");
    close_small(&s);
}
END_TEST

/* The maxima are of normal training patches, so that their map begins near 0. */
START_TEST(maps_begin_where_training_is_most_likely)
{
    static const imiad_option kinds[][2] = {{{"map", "probability"}, {"maxima", "training"}},
                                            {{"map", "probability"}, {"maxima", "batch"}},
                                            {{"map", "log_probability"}, {"maxima", "training"}}};
    small_set s = open_small("supervised");
    for (int i = 0; i < 3; ++i) {
        imiad_detector *d = make_small(&s, kinds[i], 2);
        imiad_result result = IMIAD_RESULT_INIT;
        ck_ok(imiad_detector_fit(d, s.split, NULL, NULL));
        ck_ok(imiad_detector_score(&result, d, s.image));
        for (int p = 0; p < SIDE * SIDE; ++p) /* the image is a training image */
            ck_assert(result.map[p] > -1e-4F && (i == 2 || result.map[p] < LEVELS));
        ck_assert(result.score > 0);
        imiad_detector_free(d);
    }
    close_small(&s);
}
END_TEST

START_TEST(another_task_goes_on_from_the_first)
{
    small_set s = open_small("supervised");
    imiad_detector *d = make_small(&s, NULL, 0);
    imiad_result first = IMIAD_RESULT_INIT, second = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_fit(d, s.split, NULL, NULL));
    ck_ok(imiad_detector_score(&first, d, s.image));
    float before = first.score;
    ck_ok(imiad_detector_fit_more(d, s.split, NULL, NULL));
    ck_ok(imiad_detector_score(&second, d, s.image));
    ck_assert(isfinite(second.score) && second.score != before);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

static float score_with(const small_set *s, const imiad_option *more, size_t count)
{
    imiad_detector *d = make_small(s, more, count);
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_fit(d, s->split, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, s->image));
    float score = result.score;
    imiad_detector_free(d);
    return score;
}

/* What is given counts more than the preset. */
START_TEST(the_compact_preset_takes_many_small_steps)
{
    static const imiad_option compact[] = {
        {"preset", "compact"}, {"layers", "layer1,layer2"}, {"resize", "64"},
        {"epochs", "1"},       {"learning_rate", "0.0002"}, {"patch_batch", "32"}};
    small_set s = open_small("supervised");
    imiad_detector *d;
    ck_ok(imiad_detector_create(&d, "bgad", s.backbone, compact, 6));
    const option_set *o = d->options;
    ck_assert_int_eq(options_int(o, "coupling_layers"), 4);
    ck_assert_int_eq(options_int(o, "position_code"), 32);
    ck_assert_int_eq(options_int(o, "train_batch"), 4);
    ck_assert_int_eq(options_int(o, "sub_epochs"), 1);
    ck_assert_int_eq(options_int(o, "patch_batch"), 32);
    ck_assert_int_eq(options_int(o, "epochs"), 1);
    ck_ok(imiad_detector_fit(d, s.split, NULL, NULL));
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* Half of an even number of repeats; of one repeat none. */
START_TEST(half_of_the_repeats_are_pasted)
{
    static const imiad_option half[] = {{"repeats", "4"}},
                              halved[] = {{"repeats", "4"}, {"pasted", "0.5"}},
                              none[] = {{"repeats", "4"}, {"pasted", "0"}},
                              once[] = {{"pasted", "0.5"}}, never[] = {{"pasted", "0"}};
    small_set s = open_small("supervised");
    float usual = score_with(&s, half, 1);
    ck_assert_float_eq(score_with(&s, halved, 2), usual);
    ck_assert_float_ne(score_with(&s, none, 2), usual);
    ck_assert_float_eq(score_with(&s, once, 1), score_with(&s, never, 1));
    close_small(&s);
}
END_TEST

/* With defects that are pasted. */
START_TEST(stopped_and_continued_learns_the_same_bytes)
{
    small_set s = open_small("supervised");
    resumed_fit f = {.detector = "bgad", .backbone = s.backbone, .split = s.split};
    memcpy(f.options, basic, sizeof basic);
    f.options[BASIC] = (imiad_option){"epochs", "3"};
    f.options[BASIC + 1] = (imiad_option){"repeats", "4"};
    f.option_count = BASIC + 2;
    resumed_equals_undisturbed(&f, 3);
    close_small(&s);
}
END_TEST

SUITE("bgad", TEST(position_codes_are_the_authors), TEST(losses_and_gradients_equal_the_authors),
      TEST(a_certain_defect_has_a_finite_weight), TEST(the_map_equals_the_authors),
      TEST(steps_in_double_equal_the_authors_code), TEST(learning_rates_are_the_authors),
      TEST(without_labelled_anomalies_it_refuses), TEST(options_that_cannot_be_are_refused),
      TEST(maps_begin_where_training_is_most_likely), TEST(another_task_goes_on_from_the_first),
      TEST(the_compact_preset_takes_many_small_steps), TEST(half_of_the_repeats_are_pasted),
      TEST(stopped_and_continued_learns_the_same_bytes))
