/* CS-Flow: one flow over the features of an image at three sizes, whose coupling blocks look across
 * them, learns to make a Gaussian of what is normal; an image whose latent numbers are large is an
 * anomaly. Rudolph, Wehrbein, Rosenhahn, Wandt: "Fully Convolutional Cross-Scale-Flows for
 * Image-based Defect Detection", WACV 2022. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "detectors/training/training.h"
#include "nn/cross_flow.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad|small",
     "whose defaults: this library's (the authors'), the IM-IAD code's, or a small flow over small "
     "images"},
    {"layer", OPT_TEXT, "", "",
     "backbone layer, whose features the flow learns; empty: blocks.5 (the authors', of "
     "tf_efficientnet_b5), features.6 or layer3, whichever the backbone has"},
    {"channels", OPT_INT, "0", "0..65536", "the layer's first channels that the flow sees; 0: all"},
    {"coupling_blocks", OPT_INT, "4", "1..32",
     "blocks of the flow; the last one's kernels are 5x5"},
    {"hidden", OPT_INT, "1024", "1..16384", "channels between the convolutions of a subnet"},
    {"clamp", OPT_REAL, "3", "0<..", "bound of the logarithm of a block's scales"},
    {"map", OPT_CHOICE, "finest", "finest|product|none",
     "a position's mean square at the largest size, or its product over the three sizes"},
    {"import", OPT_TEXT, "", "",
     "weight file of the first flow: a state dict of the authors' code, or a saved detector"},
    {"adam_eps", OPT_REAL, "0.0001", "0<..", "Adam's epsilon"},
    {"weight_decay", OPT_REAL, "0.00001", "0..", "Adam's, added to the gradient"},
    {"gradient_clip", .default_value = "1"},
    {"epochs", OPT_INT, "240", "0..1000000",
     "passes over the training images; 0 takes the imported flow as it is"},
    {"learning_rate", .default_value = "0.0002"},
    {"train_batch", .default_value = "16"},
    {"resize", .default_value = "768"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"batch", .default_value = "4"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"open_iad", "layer", "blocks.6.0"},
    {"open_iad", "channels", "304"},
    {"open_iad", "adam_eps", "0.00000001"},
    {"open_iad", "gradient_clip", "0"},
    {"small", "resize", "256"},
    {"small", "hidden", "64"},
    {"small", "epochs", "30"},
    {"small", "learning_rate", "0.001"},
    {0},
};

typedef struct csflow {
    training training; /* one store, by the names of the authors' state dict */
    cross_flow *flow;
    const char *layer;
    int64_t channels;
} csflow;

/* ---- features ---- */

/* Every second and every fourth pixel: neither is smoothed. */
static imiad_status check_size(const imiad_detector *self, int64_t height, int64_t width)
{
    const csflow *m = self->state;
    int64_t shapes[CROSS_SCALES][3];
    bool halves = true;
    for (int j = 0; j < CROSS_SCALES; ++j)
        TRY(backbone_layer_shape(shapes[j], self->backbone, m->layer, height >> j, width >> j));
    for (int j = 0; j + 1 < CROSS_SCALES; ++j)
        for (int d = 1; d < 3; ++d)
            halves = halves && shapes[j][d] == 2 * shapes[j + 1][d];
    if (halves && height % 4 == 0 && width % 4 == 0)
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH,
                "detector csflow: an input of %lld x %lld pixels: each of its three sizes must be "
                "half the one before in %s: set resize to a multiple of four times its stride",
                (long long)width, (long long)height, m->layer);
}

static void read_features(imiad_detector *self, const batch *b, tensor **out)
{
    const csflow *m = self->state;
    for (int j = 0; j < CROSS_SCALES; ++j)
        out[j] = NULL;
    if (!t_try(check_size(self, b->height, b->width)))
        return;
    for (int j = 0; j < CROSS_SCALES; ++j) {
        batch smaller = *b;
        smaller.height >>= j;
        smaller.width >>= j;
        if (j > 0)
            smaller.images =
                t_interpolate(b->images, smaller.height, smaller.width, NEAREST, false);
        detector_features(self, &smaller, &m->layer, 1, &out[j]);
        out[j] = t_slice(out[j], 1, 0, m->channels);
    }
}

/* ---- training ---- */

/* Half the square of what lies in the three maps, of each image. */
static tensor *energy(tensor *const *z, int64_t *numbers)
{
    tensor *sum = NULL;
    *numbers = 0;
    for (int j = 0; j < CROSS_SCALES; ++j) {
        tensor *flat = t_flatten(z[j], 1, 3);
        *numbers += t_size(flat, 1);
        sum = t_plus(sum, t_sum(t_square(flat), 1, false));
    }
    return t_mul_scalar(sum, 0.5);
}

/* The mean negative log-likelihood of a number, but for a constant: equation 8. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const csflow *m = self->state;
    tensor *z[CROSS_SCALES], *log_determinant;
    int64_t numbers;
    cross_flow_forward(m->flow, step->frozen, z, &log_determinant);
    tensor *each = t_sub(energy(z, &numbers), log_determinant);
    return t_div_scalar(t_mean_all(each), (double)numbers);
}

static const training_ops learning = {.frozen = read_features, .loss = loss};

/* ---- making ---- */

/* The authors' layer under the name that the backbone has for it. */
static const char *usual_layer(const imiad_backbone *backbone)
{
    static const char *const names[] = {"blocks.5", "features.6"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (backbone_require(backbone, names[i]) == IMIAD_OK)
            return names[i];
    return "layer3";
}

static imiad_status create(imiad_detector *self)
{
    csflow *m = self->state;
    const option_set *o = self->options;
    const preprocessing *p = &self->preprocessing;
    int64_t channels, asked = options_int(o, "channels");
    m->layer = options_text(o, "layer");
    if (!m->layer[0])
        m->layer = usual_layer(self->backbone);
    TRY(backbone_channels(&channels, self->backbone, m->layer));
    m->channels = asked > 0 ? asked : channels;
    if (asked > channels || m->channels < 2)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector csflow: %s has %lld channels, and the flow is to see %lld", m->layer,
                    (long long)channels, (long long)m->channels);
    int32_t side = p->crop ? p->crop : p->squash ? p->resize : 0;
    if (side > 0)
        TRY(check_size(self, side, side));
    if (options_int(o, "epochs") == 0 && !options_text(o, "import")[0])
        return fail(IMIAD_OUT_OF_RANGE, "detector csflow: epochs=0 needs a flow to import");
    training_begin(self, &learning);
    m->training.frozen_count = CROSS_SCALES;
    return IMIAD_OK;
}

static void forget(csflow *m)
{
    cross_flow_free(m->flow);
    m->flow = NULL;
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    forget(self->state);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const csflow *m = self->state;
    *count = 1;
    return (const char *const *)&m->layer;
}

/* A new flow with nothing learned; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    csflow *m = self->state;
    const option_set *o = self->options;
    params *store;
    forget(m);
    TRY(training_store(&store, &m->training, "flow"));
    const cross_flow_shape shape = {.channels = m->channels,
                                    .hidden = options_int(o, "hidden"),
                                    .blocks = (int)options_int(o, "coupling_blocks"),
                                    .clamp = options_real(o, "clamp")};
    TRY(cross_flow_create(&m->flow, &shape, store, (uint64_t)options_int(o, "seed"),
                          drawn ? "csflow" : NULL, detector_device(self)));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .eps = options_real(o, "adam_eps"),
                                    .weight_decay = options_real(o, "weight_decay")};
    training_optimizer(&m->training, "adam", "flow", NULL, &adam, options_real(o, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status import(csflow *m, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    const char *prefix = weights_find(file, "flow.module_list.4.s1.gamma0") ? "flow." : "";
    imiad_status status =
        params_load(m->training.stores[0].parameters, file, prefix, PARAMS_EXTRA_ALLOWED);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "detector csflow: import=%s", path);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    csflow *m = self->state;
    const char *imported = options_text(self->options, "import");
    TRY(begin(self, !imported[0]));
    if (imported[0])
        TRY(import(m, imported));
    if (options_int(self->options, "epochs") == 0)
        return IMIAD_OK;
    return training_fit(self, normals, p);
}

/* ---- score ---- */

/* The mean over a map's channels of what is squared, at the input's size. */
static tensor *squares(tensor *z, int64_t height, int64_t width)
{
    tensor *mean = t_mean(t_square(z), 1, true);
    return t_squeeze(t_interpolate(mean, height, width, BILINEAR, false), 1);
}

/* An image's score is the mean over all its latent numbers of half their square. */
static void score(imiad_detector *self, const batch *b, scores *out)
{
    const csflow *m = self->state;
    const char *map = options_text(self->options, "map");
    tensor *features[CROSS_SCALES], *z[CROSS_SCALES] = {NULL}, *unused;
    int64_t numbers;
    read_features(self, b, features);
    cross_flow_forward(m->flow, features, z, &unused);
    tensor *half = energy(z, &numbers);
    out->image = t_div_scalar(half, (double)numbers);
    if (strcmp(map, "none") == 0)
        return;
    out->maps = squares(z[0], b->height, b->width);
    for (int j = 1; strcmp(map, "product") == 0 && j < CROSS_SCALES; ++j)
        out->maps = t_mul(out->maps, squares(z[j], b->height, b->width));
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    return training_load(self, file);
}

const detector_ops csflow_ops = {
    .name = "csflow",
    .title = "CS-Flow (Rudolph et al., WACV 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(csflow),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = training_fit_more,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
