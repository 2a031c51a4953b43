/* SuperSimpleNet: features of a frozen network are adapted, and disturbed by Gaussian noise inside
 * regions of Perlin noise; one head learns to find these regions, another one to tell the images
 * that have some. Labelled defects join the same training, with masks or without. Rolih, Fucka,
 * Skocaj: "SuperSimpleNet: Unifying Unsupervised and Supervised Learning for Fast and Reliable
 * Surface Defect Detection", ICPR 2024; "No Label Left Behind: A Unified Surface Defect Detection
 * Model for all Supervision Regimes", Journal of Intelligent Manufacturing 2025. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "detectors/parts/defect_truth.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/perlin_regions.h"
#include "detectors/parts/rare_draw.h"
#include "detectors/parts/supersimple_network.h"
#include "detectors/training/training.h"
#include "nn/schedule.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|icpr|jims",
     "whose defaults: this library's, the authors' code of 2024, that of 2025"},
    {"layers", OPT_TEXT, "layer2,layer3", "",
     "backbone layers; the grid is twice as fine as the first one's"},
    {"patch_size", OPT_INT, "3", "1..15", "side of a position's neighbourhood, odd"},
    {"align_corners", OPT_BOOL, "true", "", "layers are enlarged from corner to corner"},
    {"hidden", OPT_INT, "1024", "1..65536", "channels between the layers of the map's head"},
    {"width", OPT_INT, "128", "1..65536", "channels of the convolution of the score's head"},
    {"adapt_cls", OPT_BOOL, "false", "", "the score's head sees adapted features"},
    {"stop_gradient", OPT_CHOICE, "auto", "auto|yes|no",
     "whether the loss of the score leaves the map's head alone; auto: without labelled defects"},
    {"noise_std", OPT_REAL, "0.015", "0<..",
     "deviation of the noise on features, where noise_scale is 0"},
    {"noise_scale", OPT_REAL, "0.5", "0..",
     "deviation of the noise as a multiple of the deviation of the features; 0: noise_std"},
    {"perlin_threshold", OPT_REAL, "0.2", "0..",
     "noise above it makes the regions, where no defect has a mask"},
    {"perlin_threshold_masks", OPT_REAL, "0.6", "0..", "the same, where one has"},
    {"labels", OPT_CHOICE, "masks", "masks|images",
     "what is learned of a defect: its mask where there is one, or no more than that it is there"},
    {"mirrored", OPT_BOOL, "true", "",
     "labelled defects are also seen top to bottom, left to right, and both"},
    {"dilation", OPT_INT, "7", "1..99",
     "side of the square that masks are dilated by, in pixels of the input, odd; 1: none"},
    {"pixel_weight", OPT_REAL, "3", "0..",
     "weight of the middle of a defect; towards its edge it falls to 0; 0: all pixels weigh 1"},
    {"pixel_power", OPT_REAL, "2", "0<..", "power of the distance to its edge in that weight"},
    {"mask_align_corners", OPT_BOOL, "true", "", "masks are made smaller from corner to corner"},
    {"head_rate", OPT_REAL, "0.0002", "0..", "learning rate of the heads' AdamW"},
    {"head_decay", OPT_REAL, "0.00001", "0..", "weight decay of the heads' AdamW"},
    {"weight_decay", OPT_REAL, "0.01", "0..", "weight decay of the adaptor's AdamW"},
    {"decay", OPT_REAL, "0.4", "0..1",
     "what the learning rates are multiplied by after 0.8 and after 0.9 of the epochs"},
    {"blur", OPT_REAL, "4", "0..64",
     "sigma of the Gaussian over the map before its sigmoid, in pixels; 0: none"},
    {"score", OPT_CHOICE, "head", "head|map",
     "an image's score: its own head's, or the map's most"},
    {"learning_rate", .default_value = "0.0001"},
    {"epochs", .default_value = "300"},
    {"train_batch", .default_value = "32"},
    {"gradient_clip", OPT_REAL, "-1", "-1..",
     "largest norm of a step's gradients, which are scaled down to it; 0: any; -1: 1 with labelled "
     "defects, any without"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

/* The code of 2025 is the library's default, but for the noise and the seed. */
static const preset_value presets[] = {
    {"icpr", "adapt_cls", "true"},
    {"icpr", "dilation", "1"},
    {"icpr", "pixel_weight", "0"},
    {"icpr", "mask_align_corners", "false"},
    {"icpr", "noise_scale", "0"},
    {"icpr", "seed", "42"},
    {"jims", "noise_scale", "0"},
    {"jims", "seed", "42"},
    {0},
};

typedef struct supersimplenet {
    training training; /* one store: the names of the authors' checkpoints */
    layer_list layers;
    supersimple_network network;
    supersimple_folded folded;
    char learned_from[160]; /* for the file */
    /* while training */
    training_ops ops;
    defect_truth truth;
    bool stops;
    double deviation; /* of the noise */
    int64_t *uses;    /* of the good images, so far */
} supersimplenet;

/* ---- epochs: every defect, in four ways, and as many good images ---- */

static int64_t ways_of(const imiad_detector *self)
{
    return options_bool(self->options, "mirrored") ? TRAIN_MIRRORS : 1;
}

static imiad_status plan_epoch(imiad_detector *self, train_plan *plan)
{
    supersimplenet *m = self->state;
    int64_t items = 2 * ways_of(self) * (int64_t)m->truth.images.defective_count;
    plan->batch = items < plan->batch ? items : plan->batch;
    plan->steps = (items + plan->batch - 1) / plan->batch;
    plan->rest = items - (plan->steps - 1) * plan->batch;
    if (options_bool(self->options, "drop_last") && plan->rest < plan->batch) {
        plan->steps--;
        plan->rest = 0;
    }
    free(m->uses);
    m->uses = calloc(m->truth.images.normal_count, sizeof *m->uses);
    m->training.counts = m->uses;
    m->training.counts_count = m->truth.images.normal_count;
    return m->uses ? IMIAD_OK : fail_memory("a list of uses", m->truth.images.normal_count);
}

static imiad_status draw_epoch(imiad_detector *self, const train_plan *plan, random_stream *stream,
                               size_t *out)
{
    supersimplenet *m = self->state;
    size_t ways = (size_t)ways_of(self), half = ways * m->truth.images.defective_count, used = 0;
    size_t images = m->truth.images.normal_count + m->truth.images.defective_count;
    size_t last = (size_t)(plan->rest > 0 ? plan->rest : plan->batch);
    size_t wanted = (size_t)((plan->steps - 1) * plan->batch) + last;
    size_t *items = malloc(2 * half * sizeof *items);
    if (!items)
        return fail_memory("an epoch", 2 * half * sizeof *items);
    for (size_t way = 0; way < ways; ++way)
        for (size_t i = 0; i < m->truth.images.defective_count; ++i)
            items[used++] = m->truth.images.defective[i] + way * images;
    imiad_status status =
        rare_draw(items + half, half, m->uses, m->truth.images.normal_count, stream);
    for (size_t i = half; status == IMIAD_OK && i < 2 * half; ++i)
        items[i] = m->truth.images.normal[items[i]];
    if (status == IMIAD_OK) {
        random_shuffle(stream, items, 2 * half);
        memcpy(out, items, wanted * sizeof *out);
    }
    free(items);
    return status;
}

/* ---- a step ---- */

static void read_levels(imiad_detector *self, const batch *b, tensor **out)
{
    const supersimplenet *m = self->state;
    detector_features(self, b, m->layers.names, m->layers.count, out);
}

static step_truth find_nothing(const train_step *step, int64_t height, int64_t width)
{
    return (step_truth){.masks = t_zeros(4, (int64_t[]){step->count, 1, height, width}, F32, CPU),
                        .labels = t_zeros(4, (int64_t[]){step->count, 1, 1, 1}, F32, CPU)};
}

static tensor *twice(tensor *x)
{
    return x ? t_cat((tensor *[]){x, x}, 2, 0) : NULL;
}

/* Noise in regions that show no defect. The masks then have these, and the labels what they say. */
static supersimple_noise draw_noise(imiad_detector *self, const train_step *step, step_truth *t)
{
    const supersimplenet *m = self->state;
    char purpose[96];
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    const char *threshold = m->truth.masks > 0 ? "perlin_threshold_masks" : "perlin_threshold";
    supersimple_noise noise;
    training_purpose(purpose, self, "regions", step);
    random_stream stream = random_open(seed, purpose);
    tensor *regions = perlin_regions(2 * step->count, t_size(t->masks, 2), t_size(t->masks, 3),
                                     options_real(self->options, threshold), &stream);
    regions = t_mul(regions, t_add_scalar(t_neg(t->masks), 1));
    t->masks = t_add(t->masks, regions);
    tensor *any = t_amax(t_flatten(t->masks, 1, 3), 1, false);
    t->labels = t_maximum(t_flatten(t->labels, 0, 3), any);
    supersimple_noise_place(&noise, regions);
    training_purpose(purpose, self, "noise", step);
    if (noise.count > 0)
        supersimple_noise_fill(&noise,
                               t_normal(2, (int64_t[]){noise.count, m->network.shape.features}, 0,
                                        m->deviation, seed, purpose, detector_device(self)));
    return noise;
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const supersimplenet *m = self->state;
    tensor *map, *score;
    device d = detector_device(self);
    int64_t height = 2 * t_size(step->frozen[0], 2), width = 2 * t_size(step->frozen[0], 3);
    step_truth t =
        m->truth.planes ? defect_truth_of(&m->truth, step) : find_nothing(step, height, width);
    if (options_real(self->options, "pixel_weight") <= 0)
        t.weights = NULL;
    t = (step_truth){twice(t.masks), twice(t.weights), twice(t.labels), twice(t.drawn)};
    supersimple_noise noise = draw_noise(self, step, &t);
    if (noise.places) {
        noise.places = t_to_device(noise.places, d);
        noise.taps = t_to_device(noise.taps, d);
    }
    supersimple_learn(&m->network, step->frozen, &noise, m->stops, &map, &score);
    return supersimple_loss(map, score, t_to_device(t.masks, d), t_to_device(t.labels, d),
                            t.weights ? t_to_device(t.weights, d) : NULL,
                            t.drawn ? t_to_device(t.drawn, d) : NULL);
}

static void clipped(imiad_detector *self, const train_step *step)
{
    const supersimplenet *m = self->state;
    (void)step;
    if (m->truth.images.defective_count > 0 && options_real(self->options, "gradient_clip") < 0)
        params_clip_grad(m->training.stores[0].parameters, 1);
}

static double rate(const imiad_detector *self, double base, const train_step *step, int64_t steps)
{
    (void)steps;
    const int64_t milestones[] = {llround(0.8 * (double)step->epochs),
                                  llround(0.9 * (double)step->epochs)};
    return schedule_multistep(base, step->epoch, milestones, 2,
                              options_real(self->options, "decay"));
}

static const training_ops without_labels = {.frozen = read_levels, .loss = loss, .rate = rate};
static const training_ops with_labels = {.frozen = read_levels,
                                         .loss = loss,
                                         .rate = rate,
                                         .plan = plan_epoch,
                                         .draw = draw_epoch,
                                         .clipped = clipped};

/* ---- making ---- */

static imiad_status check_odd(const imiad_detector *self, const char *option)
{
    if (options_int(self->options, option) % 2 == 1)
        return IMIAD_OK;
    return fail(IMIAD_OUT_OF_RANGE, "detector supersimplenet: option %s is %lld: it must be odd",
                option, (long long)options_int(self->options, option));
}

static imiad_status create(imiad_detector *self)
{
    supersimplenet *m = self->state;
    const option_set *o = self->options;
    TRY(check_odd(self, "patch_size"));
    TRY(check_odd(self, "dilation"));
    TRY(layer_list_parse(&m->layers, "detector supersimplenet", options_text(o, "layers"),
                         self->backbone));
    supersimple_shape *s = &m->network.shape;
    *s = (supersimple_shape){.levels = m->layers.count,
                             .hidden = options_int(o, "hidden"),
                             .width = options_int(o, "width"),
                             .patch = (int)options_int(o, "patch_size"),
                             .align = options_bool(o, "align_corners"),
                             .adapted = options_bool(o, "adapt_cls")};
    for (int i = 0; i < s->levels; ++i)
        s->features += s->channels[i] = m->layers.channels[i];
    bool masks = strcmp(options_text(o, "labels"), "masks") == 0;
    self->takes = TAKES_ANOMALIES | (masks ? TAKES_SOME_MASKS : 0);
    training_begin(self, &without_labels);
    m->training.frozen_count = m->layers.count;
    return IMIAD_OK;
}

/* What only training needs. */
static void leave_training(supersimplenet *m)
{
    defect_truth_free(&m->truth);
    free(m->uses);
    m->uses = NULL;
    m->training.counts = NULL;
    m->training.counts_count = 0;
}

static void destroy(imiad_detector *self)
{
    supersimplenet *m = self->state;
    leave_training(m);
    supersimple_folded_free(&m->folded);
    training_clear(&m->training);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const supersimplenet *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* New networks with nothing learned; without their first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    supersimplenet *m = self->state;
    params *store;
    supersimple_folded_free(&m->folded);
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "network"));
    const builder b = {.store = store,
                       .device = detector_device(self),
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = drawn ? "supersimplenet/" : NULL,
                       .weights = INIT_XAVIER_NORMAL};
    scope s = scope_begin();
    const supersimple_shape shape = m->network.shape;
    m->network = supersimple_network_add(&b, &shape);
    TRY(scope_end(&s));
    const optimizer_options adaptor = {.kind = OPTIMIZER_ADAMW,
                                       .weight_decay = options_real(self->options, "weight_decay")};
    const optimizer_options heads = {.kind = OPTIMIZER_ADAMW,
                                     .weight_decay = options_real(self->options, "head_decay")};
    training_optimizer(&m->training, "adaptor", "network", "feature_adaptor.", &adaptor,
                       options_real(self->options, "learning_rate"));
    training_optimizer(&m->training, "heads", "network", "discriminator.", &heads,
                       options_real(self->options, "head_rate"));
    return IMIAD_OK;
}

static imiad_status fold(supersimplenet *m)
{
    scope s = scope_begin();
    supersimple_fold(&m->folded, &m->network);
    return scope_end(&s);
}

/* ---- training ---- */

static void say_what_is_learned(supersimplenet *m)
{
    size_t defects = m->truth.images.defective_count;
    if (defects > 0)
        snprintf(m->learned_from, sizeof m->learned_from,
                 "%zu labelled defects, %zu of them with a mask, and noise", defects,
                 m->truth.masks);
    else
        snprintf(m->learned_from, sizeof m->learned_from, "no labelled defects: noise alone");
    log_message(IMIAD_LOG_INFO, "supersimplenet: learns from %s", m->learned_from);
}

static imiad_status prepare(imiad_detector *self, train_set *images)
{
    supersimplenet *m = self->state;
    const option_set *o = self->options;
    const char *stop = options_text(o, "stop_gradient");
    const truth_options truth = {.dilation = (int32_t)options_int(o, "dilation"),
                                 .peak = options_real(o, "pixel_weight"),
                                 .power = options_real(o, "pixel_power"),
                                 .align = options_bool(o, "mask_align_corners"),
                                 .layer = m->layers.names[0]};
    if (train_set_count_label(images, 0) == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector supersimplenet: no training image is good");
    TRY(defect_truth_read(&m->truth, self, images, &truth));
    bool labelled = m->truth.images.defective_count > 0;
    m->ops = labelled ? with_labels : without_labels;
    m->ops.mirrors = labelled && options_bool(o, "mirrored");
    m->training.ops = &m->ops;
    m->stops = strcmp(stop, "auto") == 0 ? !labelled : strcmp(stop, "yes") == 0;
    m->deviation = options_real(o, "noise_std");
    say_what_is_learned(m);
    return IMIAD_OK;
}

/* Of the good images' features: sums of each channel. */
typedef struct feature_sums {
    tensor *values, *squares; /* kept */
    double count;
} feature_sums;

static void add_sums(imiad_detector *self, const train_step *step, void *context)
{
    const supersimplenet *m = self->state;
    feature_sums *sums = context;
    for (int64_t i = 0; i < step->count && !t_failed(); ++i) {
        tensor *levels[MOST_LAYERS];
        if (step->told[i].label == 1)
            continue;
        for (int k = 0; k < m->layers.count; ++k)
            levels[k] = t_slice(step->frozen[k], 0, i, i + 1);
        tensor *x = supersimple_features(&m->network.shape, levels);
        x = t_to(t_view(x, 2, (int64_t[]){t_size(x, 1), -1}), F64);
        t_add_(sums->values, t_sum(x, 1, false), 1);
        t_add_(sums->squares, t_sum(t_square(x), 1, false), 1);
        sums->count += (double)t_size(x, 1);
    }
}

/* The root of the mean of the channels' variances. */
static imiad_status measure_deviation(imiad_detector *self, training_run *run)
{
    supersimplenet *m = self->state;
    double scale = options_real(self->options, "noise_scale");
    if (scale <= 0)
        return IMIAD_OK;
    feature_sums sums = {.count = 0};
    scope s = scope_begin();
    sums.values = t_zeros(1, &m->network.shape.features, F64, detector_device(self));
    sums.squares = t_zeros(1, &m->network.shape.features, F64, detector_device(self));
    imiad_status status = t_failed() ? IMIAD_OK : training_visit(run, add_sums, &sums);
    tensor *mean = t_div_scalar(sums.values, sums.count);
    tensor *variance = t_sub(t_div_scalar(sums.squares, sums.count), t_square(mean));
    double spread = t_item(t_mean_all(variance));
    m->deviation = scale * sqrt(spread > 0 ? spread : 0);
    imiad_status failure = scope_end(&s);
    log_message(IMIAD_LOG_INFO, "supersimplenet: noise of deviation %.6g", m->deviation);
    return status != IMIAD_OK ? status : failure;
}

static imiad_status run_all(imiad_detector *self, train_set *images, const progress *p)
{
    training_run *run;
    TRY(prepare(self, images));
    TRY(training_open(&run, self, images, p));
    imiad_status status = measure_deviation(self, run);
    if (status == IMIAD_OK)
        status = training_steps(run);
    training_close(run);
    return status;
}

static imiad_status learn(imiad_detector *self, train_set *images, const progress *p)
{
    imiad_status status = run_all(self, images, p);
    leave_training(self->state);
    return status;
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(begin(self, true));
    TRY(learn(self, images, p));
    return fold(self->state);
}

static imiad_status fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(training_go_on(self, images, p, learn));
    return fold(self->state);
}

/* ---- score ---- */

/* 25 x 25 for a sigma of 4, as the authors have it; narrower where the map is. */
static tensor *blur(const imiad_detector *self, tensor *map)
{
    double sigma = options_real(self->options, "blur");
    int64_t height = t_size(map, 1), width = t_size(map, 2);
    int64_t radius = (int64_t)ceil(3 * sigma), most = (height < width ? height : width) - 1;
    radius = radius < most ? radius : most;
    return radius > 0 ? map_gaussian(map, (int)(2 * radius + 1), sigma, PAD_REFLECT) : map;
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const supersimplenet *m = self->state;
    tensor *levels[MOST_LAYERS], *map, *judged;
    read_levels(self, b, levels);
    supersimple_judge(&m->network, &m->folded, levels, &map, &judged);
    map = t_squeeze(t_interpolate(map, b->height, b->width, BILINEAR, false), 1);
    out->maps = t_sigmoid(blur(self, map));
    if (strcmp(options_text(self->options, "score"), "head") == 0)
        out->image = t_sigmoid(judged);
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const supersimplenet *m = self->state;
    TRY(weights_writer_metadata(writer, "learned_from", m->learned_from));
    return training_save(self, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    supersimplenet *m = self->state;
    const char *from = weights_metadata(file, "learned_from");
    snprintf(m->learned_from, sizeof m->learned_from, "%s", from ? from : "");
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return fold(m);
}

const detector_ops supersimplenet_ops = {
    .name = "supersimplenet",
    .title = "SuperSimpleNet (Rolih et al., ICPR 2024)",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(supersimplenet),
    .needs_backbone = true,
    .takes = TAKES_ANOMALIES,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
