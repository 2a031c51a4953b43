/* FAVAE: a variational autoencoder gives back the image and, from its decoder's inner maps, a
 * frozen network's features of it; what it cannot give back is an anomaly. Dehaene, Eline: "Anomaly
 * localization by modeling perceptual features", arXiv 2008.05369, 2020. The networks are those of
 * the public code, for the paper has none. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/layer_list.h"
#include "detectors/training/training.h"
#include "nn/modules.h"

enum {
    WIDTH = 128,   /* channels of the first convolution in the tables below */
    MULTIPLE = 16, /* the encoder halves a side so often that 16 pixels become one */
    CHANNELS = 32, /* between the last 3x3 convolution and the code */
    TAPS = 4,
    FEATURES = 3 /* most layers whose features are given back */
};

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the public code, the IM-IAD code"},
    {"layers", OPT_TEXT, "", "",
     "backbone layers to give back, at most three; empty: features.8,features.15,features.22 of a "
     "VGG-16, otherwise layer1,layer2,layer3"},
    {"input", OPT_CHOICE, "apart", "apart|unit|normalized",
     "pixels from 0 to 1 for the autoencoder and normalised ones for the backbone; 0 to 1 for "
     "both; normalised ones for both"},
    {"latent", OPT_INT, "100", "1..4096", "numbers of the code"},
    {"width", OPT_INT, "128", "4..1024",
     "channels of the autoencoder's first convolution; the others have as many in proportion"},
    {"kld_weight", OPT_REAL, "1", "0..",
     "weight of the code's divergence from a normal distribution"},
    {"clamp_log_variance", OPT_BOOL, "false", "",
     "keep the code's log variance between -30 and 20"},
    {"weight_decay", OPT_REAL, "0.00001", "0..", "weight decay of Adam"},
    {"val_split", OPT_REAL, "0", "0..0.9",
     "share of the images held out: the epoch with their smallest loss is kept; 0: the last"},
    {"blur", OPT_CHOICE, "map", "map|rows",
     "map: only as the option smoothing says; rows: each row of the map by itself first, sigma 4, "
     "as the "
     "IM-IAD code does"},
    {"initial", OPT_TEXT, "", "",
     "weight file of the first autoencoder: a public checkpoint or a saved detector; empty: "
     "random"},
    {"epochs", OPT_INT, "100", "0..1000000",
     "passes over the training images; 0 takes the initial weights as they are"},
    {"learning_rate", .default_value = "0.005"},
    {"train_batch", .default_value = "64"},
    {"resize", .default_value = "128"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "input", "unit"},       {"official", "val_split", "0.2"},
    {"open_iad", "input", "normalized"}, {"open_iad", "blur", "rows"},
    {"open_iad", "smoothing", "0"},      {0},
};

/* ---- the networks ---- */

/* clang-format off */
#define LAYER(outs, side, step, pad, up) \
    {MODULE_CONV2D, .conv = {.outputs = outs, .kernel = side, .stride = step, .padding = pad, \
                             .bias = true, .transposed = up}}
#define CONV(outs, side, step, pad) LAYER(outs, side, step, pad, false)
#define UP(outs, side, step, pad) LAYER(outs, side, step, pad, true)
#define NORM {.kind = MODULE_BATCH_NORM}
#define ACTIVATE(what) {MODULE_ACTIVATION, .activation = what}

static const layer_spec encoder[] = {
    CONV(128, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(128, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(256, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(256, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(512, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(512, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(512, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(CHANNELS, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    CONV(0, 0, 1, 0), /* to the code: see make_autoencoder */
};
static const layer_spec decoder[] = {
    ACTIVATE(NO_ACTIVATION), /* the public code numbers a change of shape */
    UP(CHANNELS, 0, 1, 0), NORM, ACTIVATE(LEAKY_RELU_02), /* from the code: likewise */
    UP(512, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(512, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(512, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(256, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(256, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(128, 3, 1, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(128, 4, 2, 1), NORM, ACTIVATE(LEAKY_RELU_02),
    UP(3, 4, 2, 1),
    ACTIVATE(NO_ACTIVATION),
    ACTIVATE(SIGMOID),
};
/* clang-format on */
enum {
    ENCODER_LAYERS = sizeof encoder / sizeof *encoder,
    DECODER_LAYERS = sizeof decoder / sizeof *decoder
};

/* The decoder's convolutions whose outputs, before batch norm, adaptors turn into features; each
 * one's grid is twice the one before's. */
static const struct tap {
    int place;
    int64_t channels;
    int stride; /* pixels of the image to a position */
} taps[TAPS] = {{22, 128, 2}, {16, 256, 4}, {10, 512, 8}, {7, 512, 16}};

typedef struct autoencoder {
    sequential encode, decode;
    conv2d adapters[FEATURES][2];
} autoencoder;

typedef struct favae {
    training training; /* one store, with the names of the public checkpoints */
    layer_list layers;
    int side;           /* of the images, which are square */
    int used[FEATURES]; /* the tap of each layer */
    autoencoder learned;
    autoencoder folded; /* for scoring: batch norm folded, but that behind a tap */
    params *folded_store;
} favae;

/* The tables' channels in proportion; those of a picture stay. */
static void widen(layer_spec *layers, int count, int64_t width)
{
    for (int i = 0; i < count; ++i)
        if (layers[i].conv.outputs > 3)
            layers[i].conv.outputs = layers[i].conv.outputs * width / WIDTH;
}

/* The store has the public code's names: encode.0.weight, decode.1.weight, adapter.0.conv.0.weight.
 * The public code runs its decoder twice in a step, so that running statistics move twice. */
static void make_autoencoder(autoencoder *out, imiad_detector *self, params *store, bool drawn)
{
    const favae *m = self->state;
    int64_t latent = options_int(self->options, "latent");
    int64_t width = options_int(self->options, "width");
    const builder b = {.store = store,
                       .device = detector_device(self),
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = drawn ? "favae/" : NULL};
    layer_spec layers[DECODER_LAYERS];
    memcpy(layers, encoder, sizeof encoder);
    widen(layers, ENCODER_LAYERS, width);
    layers[ENCODER_LAYERS - 1].conv.outputs = 2 * latent;
    layers[ENCODER_LAYERS - 1].conv.kernel = m->side / MULTIPLE;
    out->encode = sequential_add(&b, "encode", layers, ENCODER_LAYERS, 3);
    memcpy(layers, decoder, sizeof decoder);
    widen(layers, DECODER_LAYERS, width);
    layers[1].conv.kernel = m->side / MULTIPLE;
    out->decode = sequential_add(&b, "decode", layers, DECODER_LAYERS, latent);
    for (int i = 0; i < DECODER_LAYERS; ++i)
        if (layers[i].kind == MODULE_BATCH_NORM)
            out->decode.modules[i].batch_norm.momentum = 1 - 0.9 * 0.9;
    for (int i = 0; i < m->layers.count; ++i) {
        const builder below = builder_below(&b, "adapter.%d.conv", i);
        int64_t inner = taps[m->used[i]].channels * width / WIDTH;
        conv2d_spec one = {.inputs = inner, .outputs = inner, .kernel = 1, .bias = true};
        out->adapters[i][0] = conv2d_add(&below, "0", one);
        one.outputs = m->layers.channels[i];
        out->adapters[i][1] = conv2d_add(&below, "2", one);
    }
}

/* What is given back of an image. */
typedef struct answer {
    tensor *image;
    tensor *features[FEATURES];
} answer;

/* The code's mean and log variance, n x latent. */
static void encode(imiad_detector *self, const autoencoder *a, tensor *images, tensor *code[2],
                   bool learning)
{
    int64_t latent = options_int(self->options, "latent");
    tensor *both = sequential_run(&a->encode, images, learning);
    both = t_flatten(both, 1, 3);
    code[0] = t_slice(both, 1, 0, latent);
    code[1] = t_slice(both, 1, latent, 2 * latent);
    if (options_bool(self->options, "clamp_log_variance"))
        code[1] = t_clamp(code[1], -30, 20);
}

static tensor *adapt(const autoencoder *a, int i, tensor *tapped, int64_t height, int64_t width)
{
    tensor *hidden = activate_(conv2d_run(&a->adapters[i][0], tapped), RELU);
    tensor *found = conv2d_run(&a->adapters[i][1], hidden);
    if (t_size(found, 2) == height && t_size(found, 3) == width)
        return found;
    return t_interpolate(found, height, width, BILINEAR, false);
}

static answer decode(const favae *m, const autoencoder *a, tensor *code, tensor *const *features,
                     bool learning)
{
    answer out;
    tensor *tapped[TAPS];
    int done = 0;
    tensor *x = t_view(code, 4, (int64_t[]){t_size(code, 0), t_size(code, 1), 1, 1});
    for (int i = TAPS - 1; i >= 0; --i) {
        x = tapped[i] = sequential_part(&a->decode, done, taps[i].place + 1, x, learning);
        done = taps[i].place + 1;
    }
    out.image = sequential_part(&a->decode, done, DECODER_LAYERS, x, learning);
    for (int i = 0; i < m->layers.count; ++i)
        out.features[i] =
            adapt(a, i, tapped[m->used[i]], t_size(features[i], 2), t_size(features[i], 3));
    return out;
}

/* ---- what the backbone says ---- */

static bool is_input(const imiad_detector *self, const char *what)
{
    return strcmp(options_text(self->options, "input"), what) == 0;
}

/* From normalised pixels to those from 0 to 1. */
static tensor *to_unit(tensor *images)
{
    const int64_t shape[] = {1, 3, 1, 1};
    tensor *mean = t_to_device(t_from(imagenet_mean, 4, shape, F32, CPU), t_device(images));
    tensor *deviation = t_to_device(t_from(imagenet_std, 4, shape, F32, CPU), t_device(images));
    return t_add(t_mul(images, deviation), mean);
}

/* What the autoencoder is shown, and must give back. */
static tensor *to_input(const imiad_detector *self, tensor *images)
{
    return is_input(self, "normalized") ? images : to_unit(images);
}

static void teach(imiad_detector *self, const batch *b, tensor **out)
{
    const favae *m = self->state;
    batch shown = *b;
    if (b->height != m->side || b->width != m->side) {
        t_fail(IMIAD_MISMATCH, "detector favae: an image of %lld x %lld pixels, not %d x %d",
               (long long)b->width, (long long)b->height, m->side, m->side);
        return;
    }
    if (is_input(self, "unit"))
        shown.images = to_unit(b->images);
    detector_features(self, &shown, m->layers.names, m->layers.count, out);
}

/* ---- training ---- */

/* All sums are over the whole batch: nothing is averaged. */
static tensor *sum_of_squares(tensor *a, tensor *b)
{
    return t_sum_all(t_square(t_sub(a, b)));
}

/* 0.5 sum(exp(v) + mean^2 - 1 - v) */
static tensor *divergence(tensor *mean, tensor *log_variance)
{
    tensor *terms = t_add(t_exp(log_variance), t_square(mean));
    return t_mul_scalar(t_sum_all(t_add_scalar(t_sub(terms, log_variance), -1)), 0.5);
}

static tensor *total(imiad_detector *self, const train_step *step, tensor *const code[2],
                     tensor *drawn, bool learning)
{
    const favae *m = self->state;
    answer found = decode(m, &m->learned, drawn, step->frozen, learning);
    tensor *sum = sum_of_squares(found.image, to_input(self, step->pixels.images));
    for (int i = 0; i < m->layers.count; ++i)
        sum = t_add(sum, sum_of_squares(found.features[i], step->frozen[i]));
    tensor *kld = divergence(code[0], code[1]);
    return t_add(sum, t_mul_scalar(kld, options_real(self->options, "kld_weight")));
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const favae *m = self->state;
    tensor *code[2];
    char purpose[96];
    encode(self, &m->learned, to_input(self, step->pixels.images), code, true);
    training_purpose(purpose, self, "noise", step);
    tensor *noise =
        t_normal(2, (int64_t[]){step->count, t_size(code[0], 1)}, 0, 1,
                 (uint64_t)options_int(self->options, "seed"), purpose, detector_device(self));
    tensor *deviation = t_exp(t_mul_scalar(code[1], 0.5));
    return total(self, step, code, t_add(code[0], t_mul(deviation, noise)), true);
}

static tensor *validate(imiad_detector *self, const train_step *step)
{
    const favae *m = self->state;
    tensor *code[2];
    encode(self, &m->learned, to_input(self, step->pixels.images), code, false);
    return t_div_scalar(total(self, step, code, code[0], false), (double)step->count);
}

static const training_ops learning = {
    .frozen = teach, .pixels = true, .loss = loss, .validate = validate};

/* ---- making ---- */

/* The tap whose grid is closest to the layer's. */
static imiad_status choose_taps(imiad_detector *self)
{
    favae *m = self->state;
    for (int i = 0; i < m->layers.count; ++i) {
        int64_t shape[3];
        TRY(backbone_layer_shape(shape, self->backbone, m->layers.names[i], m->side, m->side));
        double closest = INFINITY;
        for (int j = 0; j < TAPS; ++j) {
            double apart = fabs(log2((double)shape[1] * taps[j].stride / m->side));
            if (apart < closest) {
                closest = apart;
                m->used[i] = j;
            }
        }
    }
    return IMIAD_OK;
}

static imiad_status check_side(favae *m, const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    m->side = p->crop ? p->crop : p->resize;
    if (!p->crop && !p->squash)
        return fail(IMIAD_OUT_OF_RANGE, "detector favae: its images must be square: set crop, or "
                                        "resize_mode=squash");
    if (m->side % MULTIPLE)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector favae: images of %d x %d pixels: a side must be a multiple of %d",
                    m->side, m->side, MULTIPLE);
    return IMIAD_OK;
}

static const char *choose_layers(const imiad_detector *self)
{
    const char *given = options_text(self->options, "layers");
    if (given[0])
        return given;
    return strncmp(self->backbone->architecture->name, "vgg16", 5) == 0
               ? "features.8,features.15,features.22"
               : "layer1,layer2,layer3";
}

static imiad_status create(imiad_detector *self)
{
    favae *m = self->state;
    TRY(check_side(m, self));
    TRY(layer_list_parse(&m->layers, "detector favae", choose_layers(self), self->backbone));
    if (m->layers.count > FEATURES)
        return fail(IMIAD_OUT_OF_RANGE, "detector favae: option layers names %d layers, at most %d",
                    m->layers.count, FEATURES);
    TRY(choose_taps(self));
    if (options_int(self->options, "epochs") == 0 && !options_text(self->options, "initial")[0])
        return fail(IMIAD_OUT_OF_RANGE, "detector favae: epochs=0 needs initial weights");
    training_begin(self, &learning);
    m->training.frozen_count = m->layers.count;
    m->training.held_out = options_real(self->options, "val_split");
    return IMIAD_OK;
}

static void forget(favae *m)
{
    training_clear(&m->training);
    params_free(m->folded_store);
    m->folded_store = NULL;
}

static void destroy(imiad_detector *self)
{
    favae *m = self->state;
    forget(m);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const favae *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

static imiad_status begin(imiad_detector *self, bool drawn)
{
    favae *m = self->state;
    params *store;
    forget(m);
    TRY(training_store(&store, &m->training, "vae"));
    params_lay_planes(store); /* oneDNN's transposed convolutions learn faster from such */
    scope s = scope_begin();
    make_autoencoder(&m->learned, self, store, drawn);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adam", "vae", NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static bool is_tap(int place)
{
    bool found = false;
    for (int i = 0; i < TAPS; ++i)
        found = found || taps[i].place == place;
    return found;
}

/* A second autoencoder of the learned numbers, for scoring. */
static imiad_status fold(imiad_detector *self)
{
    favae *m = self->state;
    params_free(m->folded_store);
    m->folded_store = NULL;
    TRY(params_create(&m->folded_store));
    scope s = scope_begin();
    make_autoencoder(&m->folded, self, m->folded_store, false);
    if (t_try(params_copy(m->folded_store, m->training.stores[0].parameters))) {
        params_set_trainable(m->folded_store, NULL, false);
        sequential_fold(&m->folded.encode, m->folded_store);
        module *decoding = m->folded.decode.modules;
        for (int i = 0; i + 1 < DECODER_LAYERS; ++i) {
            if (decoding[i].spec.kind != MODULE_CONV2D)
                continue;
            if (!is_tap(i) && decoding[i + 1].spec.kind == MODULE_BATCH_NORM)
                conv2d_fold(&decoding[i].conv, &decoding[i + 1].batch_norm, m->folded_store);
            conv2d_turn(&decoding[i].conv);
        }
    }
    return scope_end(&s);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    favae *m = self->state;
    const char *initial = options_text(self->options, "initial");
    TRY(begin(self, !initial[0]));
    if (initial[0])
        TRY(params_load_initial(m->training.stores[0].parameters, initial, "vae.",
                                "encode.0.weight", "detector favae"));
    if (options_int(self->options, "epochs") > 0)
        TRY(training_fit(self, normals, p));
    return fold(self);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    TRY(training_fit_more(self, normals, p));
    return fold(self);
}

/* ---- score ---- */

static tensor *distance(tensor *a, tensor *b)
{
    return t_sum(t_square(t_sub(a, b)), 1, true);
}

/* SciPy's gaussian_filter of each row alone, sigma 4: what the IM-IAD code does to the one map of a
 * batch. */
static tensor *blur_rows(tensor *maps)
{
    enum { RADIUS = 16 };
    const int64_t width = t_size(maps, 3);
    float bell[2 * RADIUS + 1];
    double sum = 0;
    for (int i = -RADIUS; i <= RADIUS; ++i)
        sum += exp(-i * i / 32.0);
    for (int i = -RADIUS; i <= RADIUS; ++i)
        bell[i + RADIUS] = (float)(exp(-i * i / 32.0) / sum);
    tensor *first = t_flip(t_slice(maps, 3, 0, RADIUS), 3);
    tensor *last = t_flip(t_slice(maps, 3, width - RADIUS, width), 3);
    tensor *kernel = t_from(bell, 4, (int64_t[]){1, 1, 1, 2 * RADIUS + 1}, F32, CPU);
    return t_conv2d(t_cat((tensor *[]){first, maps, last}, 3, 3),
                    t_to_device(kernel, t_device(maps)), NULL, 1, 0, 1, 1);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const favae *m = self->state;
    tensor *features[FEATURES], *code[2], *shown = to_input(self, b->images);
    teach(self, b, features);
    encode(self, &m->folded, shown, code, false);
    answer found = decode(m, &m->folded, code[0], features, false);
    tensor *sum = distance(found.image, shown);
    for (int i = 0; i < m->layers.count; ++i)
        sum = t_add(sum, t_interpolate(distance(found.features[i], features[i]), m->side, m->side,
                                       BILINEAR, false));
    if (strcmp(options_text(self->options, "blur"), "rows") == 0)
        sum = blur_rows(sum);
    out->maps = t_squeeze(sum, 1);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return fold(self);
}

const detector_ops favae_ops = {
    .name = "favae",
    .title = "FAVAE (Dehaene and Eline, 2020)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(favae),
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
