/* DevNet: a fine-tuned network scores the patches of an image at two sizes; the mean of the largest
 * magnitudes stays near the mean of a Gaussian for normal images and is driven many of its
 * deviations away for a few labelled anomalies. Pang, Ding, Shen, van den Hengel: "Explainable Deep
 * Few-shot Anomaly Detection with Deviation Networks", arXiv 2108.00462. */
#include <string.h>

#include "base/error.h"
#include "detectors/parts/deviation.h"
#include "detectors/parts/deviation_options.h"
#include "detectors/parts/gradient_map.h"
#include "detectors/parts/left_gradients.h"
#include "detectors/parts/random_rotation.h"
#include "detectors/training/training.h"
#include "nn/modules.h"
#include "nn/network.h"
#include "nn/schedule.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    DEVIATION_LAYER_OPTIONS,
    {"top", OPT_REAL, "0.1", "0..1",
     "share of the patches, those of the largest scores, that an image's score is the mean of; 0: "
     "the mean of all scores with their signs"},
    DEVIATION_PRIOR_OPTIONS,
    {"steps", OPT_INT, "20", "0..1000000",
     "steps in an epoch, half of each normal images and half anomalies, from endless shuffled "
     "rows; "
     "0: one pass over the images"},
    DEVIATION_TRAINED_OPTIONS,
    {"decay_epochs", OPT_INT, "10", "1..1000000", "epochs with one learning rate"},
    DEVIATION_DECAY_OPTIONS,
    {"epochs", .default_value = "50"},
    DEVIATION_DEFAULTS,
    {0},
};

static const preset_value presets[] = {
    {"official", "seed", "42"},
    {"open_iad", "trained", "backbone"},
    {"open_iad", "epochs", "30"},
    {"open_iad", "steps", "0"},
    {"open_iad", "rotation", "0"},
    {"open_iad", "decay", "1"},
    {0},
};

static const char extractor_names[] = "feature_extractor.net.";

typedef struct devnet {
    training training; /* one store: the names of the authors' checkpoints */
    const char *layer;
    int64_t channels;
    network *extractor;
    conv2d scorer;
    int scales;
    double top, margin, rotation;
    bool stuck; /* trained=backbone */
    localization localization;
    train_maker maker;
} devnet;

/* ---- the network ---- */

/* n: never below 0 unless `top` is 0. */
static tensor *judge(const devnet *m, tensor *images, bool learning)
{
    tensor *sum = NULL;
    for (int s = 0; s < m->scales && !t_failed(); ++s) {
        tensor *features;
        network_features(m->extractor, deviation_scaled(images, s), &m->layer, 1, &features,
                         learning);
        sum = t_plus(sum, deviation_top_mean(conv2d_run(&m->scorer, features), m->top));
    }
    return t_div_scalar(sum, (double)m->scales);
}

/* ---- training ---- */

static imiad_status make_turned(const made_from *from, made_output *out)
{
    const devnet *m = from->detector->state;
    random_stream stream = made_stream(from, "rotation");
    return random_rotation_put(out, from->image, m->rotation, &stream);
}

/* n, 1 where an image is told defective. */
static tensor *targets_of(const train_step *step, const tensor *like)
{
    tensor *targets = t_zeros(1, &step->count, t_type(like), CPU);
    for (int64_t i = 0; i < step->count; ++i)
        if (step->told[i].label == 1)
            t_fill_(t_slice(targets, 0, i, i + 1), 1);
    return t_to_device(targets, t_device(like));
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const devnet *m = self->state;
    char purpose[96];
    tensor *found = judge(m, m->training.maker ? step->made[0] : step->pixels.images, true);
    if (t_failed())
        return NULL;
    training_purpose(purpose, self, "prior", step);
    deviation_prior prior = deviation_prior_draw(
        options_int(self->options, "prior"), (uint64_t)options_int(self->options, "seed"), purpose);
    tensor *lost = deviation_loss(found, targets_of(step, found), &prior, m->margin);
    return m->stuck ? t_add(lost, left_gradients_term(m->training.stores[0].parameters)) : lost;
}

static void clipped(imiad_detector *self, const train_step *step)
{
    const devnet *m = self->state;
    (void)step;
    if (m->stuck)
        left_gradients_keep(m->training.stores[0].parameters);
}

static double rate(const imiad_detector *self, double base, const train_step *step, int64_t steps)
{
    (void)steps;
    return schedule_step(base, step->epoch, options_int(self->options, "decay_epochs"),
                         options_real(self->options, "decay"));
}

static imiad_status plan(imiad_detector *self, train_plan *p)
{
    p->steps = options_int(self->options, "steps");
    p->batch = options_int(self->options, "train_batch");
    return IMIAD_OK;
}

static imiad_status draw(imiad_detector *self, const train_plan *p, random_stream *stream,
                         size_t *out)
{
    (void)self;
    return training_draw_balanced(p, stream, out);
}

static const training_ops by_passes = {
    .pixels = true, .loss = loss, .rate = rate, .clipped = clipped};
static const training_ops by_steps = {
    .pixels = true, .loss = loss, .rate = rate, .plan = plan, .draw = draw, .clipped = clipped};

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    static const made_spec turned = {.kind = MADE_IMAGE};
    devnet *m = self->state;
    const option_set *o = self->options;
    chain_layer layer;
    m->layer = options_text(o, "layer");
    TRY(layer_require(&layer, &self->backbone->chain, "detector devnet", m->layer));
    if (layer.class_token)
        return fail(IMIAD_INVALID_ARGUMENT, "detector devnet needs a layer with positions, not %s",
                    m->layer);
    m->channels =
        layer.node->channels; /* of the trained network: a saved one has no frozen weights */
    m->scales = (int)options_int(o, "scales");
    m->top = options_real(o, "top");
    m->margin = options_real(o, "margin");
    m->rotation = options_real(o, "rotation");
    m->stuck = strcmp(options_text(o, "trained"), "backbone") == 0;
    m->localization = localization_of(o);
    m->maker = (train_maker){&turned, 1, make_turned};
    training_begin(self, options_int(o, "steps") > 0 ? &by_steps : &by_passes);
    m->training.maker = m->rotation > 0 ? &m->maker : NULL;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    devnet *m = self->state;
    network_free(m->extractor);
    training_clear(&m->training);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    (void)self;
    *count = 0; /* the trained network has weights of its own */
    return NULL;
}

/* A new network with nothing learned; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    devnet *m = self->state;
    params *store;
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    network_free(m->extractor);
    m->extractor = NULL;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "network"));
    TRY(network_create(&m->extractor, self->backbone->architecture, &m->layer, 1, store,
                       extractor_names, seed, NULL, detector_device(self)));
    builder b = {.store = store,
                 .device = detector_device(self),
                 .seed = seed,
                 .purpose = drawn ? "devnet/" : NULL};
    scope s = scope_begin();
    m->scorer = conv2d_add(
        &b, "conv", (conv2d_spec){.inputs = m->channels, .outputs = 1, .kernel = 1, .bias = true});
    if (m->stuck)
        left_gradients_add(store, extractor_names);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adam", "network", m->stuck ? extractor_names : NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status check_labels(const train_set *images)
{
    if (train_set_count_label(images, 1) == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector devnet learns from labelled anomalies, and the training images have "
                    "none: use the setting supervised, which takes some");
    if (train_set_count_label(images, 0) == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector devnet: no training image is normal");
    log_message(IMIAD_LOG_INFO, "devnet: %zu labelled anomalies, %zu normal images",
                train_set_count_label(images, 1), train_set_count_label(images, 0));
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    devnet *m = self->state;
    TRY(check_labels(images));
    TRY(begin(self, true));
    imiad_status status = network_copy(m->extractor, self->backbone);
    if (status != IMIAD_OK)
        return fail_within(status, "detector devnet");
    return training_fit(self, images, p);
}

static imiad_status fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(check_labels(images));
    return training_fit_more(self, images, p);
}

/* ---- score ---- */

static tensor *judge_tested(imiad_detector *self, tensor *images)
{
    return judge(self->state, images, false);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const devnet *m = self->state;
    gradient_map_score(self, b, m->localization, judge_tested, out);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    return training_load(self, file);
}

const detector_ops devnet_ops = {
    .name = "devnet",
    .title = "DevNet (Pang et al., 2021)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(devnet),
    .needs_backbone = true,
    .takes = TAKES_ANOMALIES,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
