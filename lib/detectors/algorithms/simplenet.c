/* SimpleNet: patch features pass a linear adaptor; a discriminator learns to tell them from
 * themselves with Gaussian noise on top, and judges the patches of a new image. Liu, Zhou, Xu,
 * Wang: "SimpleNet: A Simple Network for Image Anomaly Detection and Localization", CVPR 2023. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/patch_embedding.h"
#include "detectors/training/training.h"
#include "nn/modules.h"
#include "nn/schedule.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' script, the IM-IAD code"},
    {"layers", OPT_TEXT, "layer2,layer3", "", "backbone layers, the first one sets the grid"},
    {"patch_size", OPT_INT, "3", "1..15", "side of a patch's neighbourhood, odd"},
    {"pretrain_embed_dimension", OPT_INT, "1536", "1..65536", "values a layer is averaged to"},
    {"target_embed_dimension", OPT_INT, "1536", "1..65536", "values a patch is averaged to"},
    {"adaptor_layers", OPT_INT, "1", "0..8", "linear layers of the adaptor; 0: no adaptor"},
    {"adaptor_activation", OPT_BOOL, "false", "", "a LeakyReLU between the adaptor's layers"},
    {"discriminator_layers", OPT_INT, "2", "1..8", "linear layers of the discriminator"},
    {"discriminator_hidden", OPT_INT, "1024", "0..65536",
     "values between its layers; 0: two thirds of those before, layer by layer"},
    {"noise_std", OPT_REAL, "0.015", "0<..", "deviation of the noise on a patch feature's values"},
    {"mix_noise", OPT_INT, "1", "1..100",
     "deviations that rows of noise take at random, each 1.1 times the one before"},
    {"margin", OPT_REAL, "0.5", "0..", "margin beyond which a patch costs nothing"},
    {"learning_rate", OPT_REAL, "0.0001", "0..", "learning rate of the adaptor's AdamW"},
    {"weight_decay", OPT_REAL, "0.01", "0..", "weight decay of the adaptor's AdamW"},
    {"discriminator_rate", OPT_REAL, "0.0002", "0..", "learning rate of the discriminator's Adam"},
    {"discriminator_decay", OPT_REAL, "0.00001", "0..", "L2 weight decay of that Adam"},
    {"schedule", OPT_CHOICE, "constant", "constant|cosine",
     "the discriminator's rate, epoch by epoch: as it is, or down to 0.4 of it"},
    {"epochs", .default_value = "160"},
    {"resize", OPT_INT, "329", "8..8192", "size of the shorter side, or of the square, in pixels"},
    {"crop", OPT_INT, "288", "0..8192", "side of the centre crop in pixels; 0 crops nothing"},
    {0},
};

/* The library's own are the script's, but for the seed. */
static const preset_value presets[] = {
    {"official", "seed", "0"},        {"open_iad", "resize_mode", "squash"},
    {"open_iad", "resize", "256"},    {"open_iad", "crop", "0"},
    {"open_iad", "train_batch", "4"}, {"open_iad", "margin", "0.8"},
    {"open_iad", "epochs", "4"},      {0},
};

enum { MOST_DENSE = 8 };

/* A linear layer and what follows it. */
typedef struct dense {
    linear linear;
    batch_norm norm;
    bool activated; /* LeakyReLU */
} dense;

typedef struct perceptron {
    dense layers[MOST_DENSE];
    int count;
} perceptron;

typedef struct simplenet {
    training training;
    layer_list layers;
    patch_embedding *embedding;
    int64_t dimension;
    perceptron adaptor, discriminator;
    linear folded[2 * MOST_DENSE]; /* both, as score needs them; kept tensors */
    int folded_count;
} simplenet;

static const double slope = 0.2;

/* ---- the two networks ---- */

/* Xavier's weights, PyTorch's own biases; named as in the authors' state dicts. */
static builder build_in(const imiad_detector *self, params *store, const char *purpose)
{
    return (builder){.store = store,
                     .device = detector_device(self),
                     .seed = (uint64_t)options_int(self->options, "seed"),
                     .purpose = purpose,
                     .weights = INIT_XAVIER_NORMAL};
}

static imiad_status make_adaptor(perceptron *out, imiad_detector *self, params *store, bool drawn)
{
    const simplenet *m = self->state;
    const builder b = build_in(self, store, drawn ? "simplenet/pre_projection." : NULL);
    bool activated = options_bool(self->options, "adaptor_activation");
    int count = (int)options_int(self->options, "adaptor_layers");
    *out = (perceptron){.count = count};
    scope s = scope_begin();
    for (int i = 0; i < count; ++i) {
        char name[32];
        snprintf(name, sizeof name, "layers.%dfc", i);
        out->layers[i].linear = linear_add(&b, name, m->dimension, m->dimension, true);
        out->layers[i].activated = activated && i + 1 < count;
    }
    return scope_end(&s);
}

static imiad_status make_discriminator(perceptron *out, imiad_detector *self, params *store,
                                       bool drawn)
{
    const simplenet *m = self->state;
    const builder b = build_in(self, store, drawn ? "simplenet/discriminator." : NULL);
    int64_t hidden = options_int(self->options, "discriminator_hidden"), width = m->dimension;
    int count = (int)options_int(self->options, "discriminator_layers");
    *out = (perceptron){.count = count};
    scope s = scope_begin();
    for (int i = 0; i + 1 < count; ++i) {
        const builder block = builder_below(&b, "body.block%d", i + 1);
        int64_t next = hidden > 0 ? hidden : width > 1 ? 2 * width / 3 : 1;
        out->layers[i] = (dense){linear_add(&block, "0", width, next, true),
                                 batch_norm_add(&block, "1", next), true};
        width = next;
    }
    out->layers[count - 1].linear = linear_add(&b, "tail", width, 1, false);
    return scope_end(&s);
}

/* rows x inputs to rows x outputs, batch norm by the batch's own statistics. */
static tensor *learn_through(const perceptron *p, tensor *x)
{
    for (int i = 0; i < p->count; ++i) {
        const dense *l = &p->layers[i];
        x = batch_norm_run(&l->norm, linear_run(&l->linear, x), true);
        if (l->activated)
            x = t_leaky_relu(x, slope);
    }
    return x;
}

/* ---- for scoring: as few linear maps as there are LeakyReLUs, and one ---- */

static void forget_folded(simplenet *m)
{
    for (int i = 0; i < m->folded_count; ++i) {
        t_free(m->folded[i].weight);
        t_free(m->folded[i].bias);
    }
    m->folded_count = 0;
}

/* The map of a layer after another one, in double: y = (W (W' x + b') + b - mean) scale + shift. */
static linear compose(linear before, const dense *l)
{
    const linear *own = &l->linear;
    linear after = {t_to(own->weight, F64), own->bias ? t_to(own->bias, F64) : NULL};
    if (before.bias)
        after.bias =
            t_plus(after.bias, t_squeeze(t_matmul(after.weight, t_unsqueeze(before.bias, 1)), 1));
    if (before.weight)
        after.weight = t_matmul(after.weight, before.weight);
    const batch_norm *n = &l->norm;
    if (n->mean) {
        tensor *deviation = t_sqrt(t_add_scalar(t_to(n->variance, F64), n->eps));
        tensor *factor = t_div(t_to(n->weight, F64), deviation);
        after.weight = t_mul(after.weight, t_unsqueeze(factor, 1));
        after.bias = t_mul(t_sub(after.bias, t_to(n->mean, F64)), factor);
        after.bias = t_add(after.bias, t_to(n->bias, F64));
    }
    return after;
}

static imiad_status fold(simplenet *m)
{
    const perceptron *parts[] = {&m->adaptor, &m->discriminator};
    linear map = {NULL, NULL};
    forget_folded(m);
    scope s = scope_begin();
    for (int p = 0; p < 2; ++p)
        for (int i = 0; i < parts[p]->count; ++i) {
            map = compose(map, &parts[p]->layers[i]);
            if (!parts[p]->layers[i].activated && !(p == 1 && i + 1 == parts[p]->count))
                continue;
            m->folded[m->folded_count++] = (linear){t_keep(t_to(map.weight, F32)),
                                                    map.bias ? t_keep(t_to(map.bias, F32)) : NULL};
            map = (linear){NULL, NULL};
        }
    return scope_end(&s);
}

/* ---- patch features ---- */

/* Of a batch: images x positions x dimension; the grid's height and width. */
static tensor *embed(imiad_detector *self, const batch *b, int64_t grid[2])
{
    const simplenet *m = self->state;
    tensor *features[MOST_LAYERS];
    detector_features(self, b, m->layers.names, m->layers.count, features);
    grid[0] = t_size(features[0], 2);
    grid[1] = t_size(features[0], 3);
    tensor *rows = t_zeros(3, (int64_t[]){b->count, grid[0] * grid[1], m->dimension}, F32, CPU);
    if (!t_failed())
        patch_embedding_apply(t_data(rows), m->embedding, features, false);
    return t_to_device(rows, detector_device(self));
}

static void freeze(imiad_detector *self, const batch *b, tensor **out)
{
    int64_t grid[2];
    out[0] = embed(self, b, grid);
}

/* ---- training ---- */

/* Factors that give every row of noise one of the deviations. */
static tensor *mix(int64_t rows, int64_t components, uint64_t seed, const char *purpose)
{
    tensor *factors = t_zeros(2, (int64_t[]){rows, 1}, F32, CPU);
    float *values = t_data(factors);
    random_stream stream = random_open(seed, purpose);
    for (int64_t i = 0; values && i < rows; ++i)
        values[i] = (float)pow(1.1, (double)random_below(&stream, (uint64_t)components));
    return factors;
}

static tensor *make_noise(const imiad_detector *self, const train_step *step, int64_t rows)
{
    const simplenet *m = self->state;
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    int64_t components = options_int(self->options, "mix_noise");
    device d = detector_device(self);
    char purpose[96];
    training_purpose(purpose, self, "noise", step);
    tensor *noise = t_normal(2, (int64_t[]){rows, m->dimension}, 0,
                             options_real(self->options, "noise_std"), seed, purpose, d);
    if (components == 1)
        return noise;
    training_purpose(purpose, self, "deviation", step);
    return t_mul(noise, t_to_device(mix(rows, components, seed, purpose), d));
}

static double cool_down(const imiad_detector *self, double rate, const train_step *step,
                        int64_t steps)
{
    return schedule_cosine(rate, 0.4 * rate, step->epoch, step->epochs);
}

/* Equation 5: patches are to come above the margin, noisy ones below minus the margin. One pass
 * through the discriminator for both, so that batch norm sees both. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const simplenet *m = self->state;
    double margin = options_real(self->options, "margin");
    tensor *rows = t_view(step->frozen[0], 2, (int64_t[]){-1, m->dimension});
    int64_t count = t_size(rows, 0);
    tensor *normal = learn_through(&m->adaptor, rows);
    tensor *noisy = t_add(normal, make_noise(self, step, count));
    tensor *judged = learn_through(&m->discriminator, t_cat((tensor *[]){normal, noisy}, 2, 0));
    tensor *missed = t_add_scalar(t_neg(t_slice(judged, 0, 0, count)), margin);
    tensor *passed = t_add_scalar(t_slice(judged, 0, count, 2 * count), margin);
    return t_add(t_mean_all(t_clamp(missed, 0, INFINITY)),
                 t_mean_all(t_clamp(passed, 0, INFINITY)));
}

static const training_ops learning = {.frozen = freeze, .loss = loss};

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    simplenet *m = self->state;
    m->dimension = options_int(self->options, "target_embed_dimension");
    int patch = (int)options_int(self->options, "patch_size");
    if (patch % 2 == 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector simplenet: option patch_size is %d: it must be odd", patch);
    training_begin(self, &learning);
    m->training.frozen_count = 1;
    TRY(layer_list_parse(&m->layers, "detector simplenet", options_text(self->options, "layers"),
                         self->backbone));
    return patch_embedding_create(&m->embedding, m->layers.count, m->layers.channels, patch,
                                  options_int(self->options, "pretrain_embed_dimension"),
                                  m->dimension);
}

static void destroy(imiad_detector *self)
{
    simplenet *m = self->state;
    forget_folded(m);
    training_clear(&m->training);
    patch_embedding_free(m->embedding);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const simplenet *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* New networks with nothing learned; without their first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    simplenet *m = self->state;
    params *store;
    forget_folded(m);
    training_clear(&m->training);
    m->adaptor.count = 0;
    if (options_int(self->options, "adaptor_layers") > 0) {
        const optimizer_options adamw = {
            .kind = OPTIMIZER_ADAMW, .weight_decay = options_real(self->options, "weight_decay")};
        TRY(training_store(&store, &m->training, "pre_projection"));
        TRY(make_adaptor(&m->adaptor, self, store, drawn));
        training_optimizer(&m->training, "adaptor", "pre_projection", NULL, &adamw,
                           options_real(self->options, "learning_rate"));
    }
    const optimizer_options adam = {
        .kind = OPTIMIZER_ADAM, .weight_decay = options_real(self->options, "discriminator_decay")};
    TRY(training_store(&store, &m->training, "discriminator"));
    TRY(make_discriminator(&m->discriminator, self, store, drawn));
    training_rule *rule =
        training_optimizer(&m->training, "discriminator", "discriminator", NULL, &adam,
                           options_real(self->options, "discriminator_rate"));
    if (strcmp(options_text(self->options, "schedule"), "cosine") == 0)
        rule->schedule = cool_down;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    simplenet *m = self->state;
    TRY(begin(self, true));
    TRY(training_fit(self, normals, p));
    return fold(m);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    simplenet *m = self->state;
    TRY(training_fit_more(self, normals, p));
    return fold(m);
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const simplenet *m = self->state;
    int64_t grid[2];
    tensor *x = t_view(embed(self, b, grid), 2, (int64_t[]){-1, m->dimension});
    for (int i = 0; i < m->folded_count; ++i)
        x = linear_run(&m->folded[i], i > 0 ? t_leaky_relu(x, slope) : x);
    tensor *patches = t_view(t_neg(x), 2, (int64_t[]){b->count, grid[0] * grid[1]});
    out->image = t_amax(patches, 1, false);
    out->maps = t_view(patches, 3, (int64_t[]){b->count, grid[0], grid[1]});
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    simplenet *m = self->state;
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return fold(m);
}

const detector_ops simplenet_ops = {
    .name = "simplenet",
    .title = "SimpleNet (Liu et al., CVPR 2023)",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(simplenet),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
