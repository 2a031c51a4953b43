/* UniAD: a transformer with learned queries, which sees no neighbour of what it restores, learns to
 * reconstruct a frozen network's features of many categories at once; what it cannot restore is
 * anomalous. You, Cui, Shen, Yang, Lu, Zheng, Le: "A Unified Model for Multi-class Anomaly
 * Detection", NeurIPS 2022. */
#include <string.h>

#include "base/error.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/restorer.h"
#include "detectors/training/training.h"
#include "nn/schedule.h"

enum { POOL = 16 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the authors' configuration of all categories together"},
    {"layers", OPT_TEXT, "", "",
     "backbone layers; empty: the first three stages and the fifth of an EfficientNet, "
     "layer1,layer2,layer3 of others"},
    {"stride", OPT_INT, "16", "1..64", "pixels of the image's side between two positions"},
    {"hidden", OPT_INT, "256", "2..8192", "values of a token, a multiple of heads and of 2"},
    {"heads", OPT_INT, "8", "1..64", "heads of every attention"},
    {"feedforward", OPT_INT, "1024", "1..65536", "values between the two layers behind attention"},
    {"encoder_layers", OPT_INT, "4", "1..16", "layers of the encoder"},
    {"decoder_layers", OPT_INT, "4", "1..16",
     "layers of the decoder, each with queries of its own"},
    {"neighbours", OPT_INT, "7", "0..63",
     "side of the square of positions that attention does not see around each, odd; 0: it sees "
     "all"},
    {"jitter", OPT_REAL, "20", "0..", "noise on the features that are to be restored, in training"},
    {"dropout", OPT_REAL, "0.1", "0..0.9",
     "share that is dropped in attention and behind every layer, in training"},
    {"weight_decay", OPT_REAL, "0.0001", "0..", "weight decay of AdamW"},
    {"image_score", OPT_CHOICE, "max", "max|std|mean",
     "what of the map: the largest mean over 16 x 16 pixels, its deviation, its mean"},
    {"epochs", .default_value = "200"},
    {"learning_rate", .default_value = "0.0001"},
    {"gradient_clip", .default_value = "0.1"},
    {"resize", .default_value = "224"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "epochs", "1000"},
    {"official", "seed", "133"},
    {0},
};

typedef struct uniad {
    training training; /* one store: by the names of the authors' checkpoints */
    layer_list layers;
    restorer_spec spec;
    restorer restorer;
} uniad;

/* ---- features: section 2 ---- */

/* n x channels x grid x grid. */
static void align(imiad_detector *self, const batch *b, tensor **out)
{
    const uniad *m = self->state;
    tensor *levels[MOST_LAYERS];
    if (b->height != b->width || b->height / options_int(self->options, "stride") != m->spec.grid) {
        out[0] = t_fail(IMIAD_MISMATCH,
                        "detector uniad: an input of %lld x %lld pixels does not give %lld x %lld "
                        "positions: set crop, or resize_mode=squash",
                        (long long)b->width, (long long)b->height, (long long)m->spec.grid,
                        (long long)m->spec.grid);
        return;
    }
    detector_features(self, b, m->layers.names, m->layers.count, levels);
    for (int i = 0; i < m->layers.count; ++i)
        levels[i] = t_interpolate(levels[i], m->spec.grid, m->spec.grid, BILINEAR, true);
    out[0] = t_contiguous(t_cat(levels, m->layers.count, 1));
}

/* ---- training: section 4 ---- */

/* Noise as large as a token's length says. */
static tensor *add_jitter(imiad_detector *self, const train_step *step, tensor *tokens)
{
    double scale = options_real(self->options, "jitter");
    char purpose[96];
    if (scale == 0)
        return tokens;
    int64_t shape[3];
    for (int i = 0; i < 3; ++i)
        shape[i] = t_size(tokens, i);
    training_purpose(purpose, self, "jitter", step);
    tensor *noise = t_normal(3, shape, 0, 1, (uint64_t)options_int(self->options, "seed"), purpose,
                             t_device(tokens));
    tensor *lengths = t_div_scalar(t_norm(tokens, 2, 2, true), (double)shape[2]);
    return t_add(tokens, t_mul_scalar(t_mul(t_to(noise, t_type(tokens)), lengths), scale));
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const uniad *m = self->state;
    tensor *tokens = restorer_tokens(step->frozen[0]);
    tensor *jittered = add_jitter(self, step, tokens);
    return t_mse_loss(restorer_run(&m->restorer, jittered, true, NULL), tokens);
}

/* The code sets the rate after each epoch by that epoch's number, so that it drops one later. */
static double schedule_rate(const imiad_detector *self, double rate, const train_step *step,
                            int64_t steps)
{
    (void)self, (void)steps;
    int64_t size = step->epochs * 4 / 5, epoch = step->epoch > 0 ? step->epoch - 1 : 0;
    return schedule_step(rate, epoch, size > 0 ? size : 1, 0.1);
}

static const training_ops learning = {.frozen = align, .loss = loss, .rate = schedule_rate};

/* ---- making ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *choose_layers(const imiad_detector *self)
{
    const char *named = options_text(self->options, "layers");
    const char *name = imiad_backbone_name(self->backbone);
    if (*named)
        return named;
    if (begins(name, "tf_efficientnet") || begins(name, "efficientnet_lite"))
        return "blocks.0,blocks.1,blocks.2,blocks.4";
    return begins(name, "efficientnet") ? "features.1,features.2,features.3,features.5"
                                        : "layer1,layer2,layer3";
}

static imiad_status check_options(const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    int64_t hidden = options_int(self->options, "hidden");
    int64_t heads = options_int(self->options, "heads");
    if (!p->squash && p->crop == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector uniad takes square images: set crop, or resize_mode=squash");
    if (hidden % heads || hidden % 2)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector uniad: hidden is %lld: it must be a multiple of heads, %lld, and of "
                    "2",
                    (long long)hidden, (long long)heads);
    if (options_int(self->options, "neighbours") % 2 == 0 &&
        options_int(self->options, "neighbours") > 0)
        return fail(IMIAD_OUT_OF_RANGE, "detector uniad: neighbours must be odd, or 0");
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    uniad *m = self->state;
    const option_set *o = self->options;
    const preprocessing *p = &self->preprocessing;
    int64_t side = p->crop ? p->crop : p->resize;
    TRY(check_options(self));
    m->spec = (restorer_spec){.grid = side / options_int(o, "stride"),
                              .hidden = options_int(o, "hidden"),
                              .wide = options_int(o, "feedforward"),
                              .heads = (int)options_int(o, "heads"),
                              .encoder_layers = (int)options_int(o, "encoder_layers"),
                              .decoder_layers = (int)options_int(o, "decoder_layers"),
                              .neighbours = options_int(o, "neighbours"),
                              .dropout = options_real(o, "dropout")};
    if (m->spec.grid < 1)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector uniad: an image of %lld pixels has no position at stride %lld",
                    (long long)side, (long long)options_int(o, "stride"));
    TRY(layer_list_parse(&m->layers, "detector uniad", choose_layers(self), self->backbone));
    for (int i = 0; i < m->layers.count; ++i)
        m->spec.channels += m->layers.channels[i];
    training_begin(self, &learning);
    m->training.frozen_count = 1;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    uniad *m = self->state;
    restorer_free(&m->restorer);
    training_clear(&m->training);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const uniad *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* A new transformer with nothing learned; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    uniad *m = self->state;
    params *store;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "reconstruction"));
    const builder b = {.store = store,
                       .device = detector_device(self),
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = drawn ? "uniad/" : NULL};
    scope s = scope_begin();
    restorer_add(&m->restorer, &b, &m->spec);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAMW,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adamw", "reconstruction", NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    TRY(begin(self, true));
    return training_fit(self, normals, p);
}

/* ---- score: section 5 ---- */

/* Of maps, n x height x width. */
static tensor *judge(const imiad_detector *self, tensor *maps)
{
    const char *how = options_text(self->options, "image_score");
    tensor *flat = t_flatten(maps, 1, 2);
    if (strcmp(how, "mean") == 0)
        return t_mean(flat, 1, false);
    if (strcmp(how, "std") == 0)
        return t_std(flat, 1, false, false);
    int64_t side = t_size(maps, 1);
    int pool = side < POOL ? (int)side : POOL;
    tensor *means = t_avg_pool2d(t_unsqueeze(maps, 1), pool, 1, 0, true);
    return t_amax(t_flatten(means, 1, 3), 1, false);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const uniad *m = self->state;
    tensor *features;
    align(self, b, &features);
    out->maps = restorer_map(&m->restorer, restorer_tokens(features), b->height, b->width);
    out->image = judge(self, out->maps);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    return training_load(self, file);
}

const detector_ops uniad_ops = {
    .name = "uniad",
    .title = "UniAD (You et al., NeurIPS 2022)",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(uniad),
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
