/* RD4AD: a decoder learns to give back the teacher's features of normal images from a bottleneck
 * through which only what is normal fits; what it cannot give back is an anomaly. Deng, Li:
 * "Anomaly Detection via Reverse Distillation from One-Class Embedding", CVPR 2022. */
#include <string.h>

#include "base/error.h"
#include "detectors/training/training.h"
#include "nn/network.h"
#include "nn/families/resnet.h"

enum { LEVELS = 3, MULTIPLE = 32 /* of an input's sides: the embedding's stride */ };

static const char *const levels[LEVELS] = {"layer1", "layer2", "layer3"};
/* The decoder's layer1 comes first and gives back the teacher's layer3. */
static const char *const mirrored[LEVELS] = {"layer3", "layer2", "layer1"};

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    {"loss", OPT_CHOICE, "flattened", "flattened|positions",
     "a level's cosine distance: of whole maps, or the mean over positions"},
    {"wide_embedding", OPT_BOOL, "false", "",
     "make the embedding's inner convolutions as much wider as a wide backbone's: 1024, not 512"},
    {"initial", OPT_TEXT, "", "",
     "weight file of the first bottleneck and decoder; empty: random ones"},
    {"beta1", OPT_REAL, "0.5", "0<..0.999999", "beta1 of Adam"},
    {"beta2", OPT_REAL, "0.999", "0<..0.999999", "beta2 of Adam"},
    {"weight_decay", OPT_REAL, "0", "0..", "weight decay of Adam"},
    {"epochs", OPT_INT, "200", "0..1000000",
     "passes over the training images; 0 takes the initial weights as they are"},
    {"learning_rate", .default_value = "0.005"},
    {"train_batch", .default_value = "16"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "wide_embedding", "true"},
    {"open_iad", "beta1", "0.9"},
    {"open_iad", "weight_decay", "0.000001"},
    {"open_iad", "train_batch", "8"},
    {0},
};

typedef struct rd4ad {
    training training; /* one store: bn.* and decoder.*, the names of the authors' checkpoints */
    network *bottleneck, *decoder;
    bool flattened;
} rd4ad;

/* ---- features ---- */

static imiad_status check_size(int64_t height, int64_t width)
{
    if (height % MULTIPLE == 0 && width % MULTIPLE == 0)
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH,
                "detector rd4ad: an input of %lld x %lld pixels: both must be multiples of %d; set "
                "crop, or resize with resize_mode=squash",
                (long long)width, (long long)height, MULTIPLE);
}

static void teach(imiad_detector *self, const batch *b, tensor **out)
{
    if (t_try(check_size(b->height, b->width)))
        detector_features(self, b, levels, LEVELS, out);
}

/* The decoder's maps, of the teacher's shapes. */
static void give_back(const rd4ad *m, tensor *const *teacher, tensor **out, bool learning)
{
    const network *b = m->bottleneck;
    tensor *fused[LEVELS] = {network_part(b, teacher[0], "conv1", "conv2", learning),
                             network_part(b, teacher[1], "conv3", "conv3", learning), teacher[2]};
    tensor *embedding =
        network_part(b, t_cat(fused, LEVELS, 1), "bn_layer.0", "bn_layer", learning);
    network_features(m->decoder, embedding, mirrored, LEVELS, out, learning);
}

/* 1 - cos of what lies along dimension 1. */
static tensor *distance(tensor *a, tensor *b)
{
    return t_add_scalar(t_neg(t_cosine_similarity(a, b, 1)), 1);
}

/* n x all values, in the order of channels-last memory, which needs no copy. */
static tensor *flatten(tensor *maps)
{
    return t_flatten(t_permute(maps, 4, (int[]){0, 2, 3, 1}), 1, 3);
}

/* ---- training ---- */

/* Batch norm over one value has no variance. */
static void check_values(tensor *deepest)
{
    int64_t n = t_size(deepest, 0), h = t_size(deepest, 2) / 2, w = t_size(deepest, 3) / 2;
    if (n * h * w == 1)
        t_fail(IMIAD_OUT_OF_RANGE,
               "detector rd4ad: a step of one image of %d x %d pixels has one value for each "
               "channel of the embedding, and batch norm needs two: give a larger resize or crop, "
               "more images, or drop_last",
               MULTIPLE, MULTIPLE);
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const rd4ad *m = self->state;
    tensor *student[LEVELS], *total = NULL;
    check_values(step->frozen[LEVELS - 1]);
    give_back(m, step->frozen, student, true);
    for (int i = 0; i < LEVELS; ++i) {
        tensor *a = step->frozen[i], *b = student[i];
        tensor *level = m->flattened ? distance(flatten(a), flatten(b)) : distance(a, b);
        total = t_plus(total, t_mean_all(level));
    }
    return total;
}

static const training_ops learning = {.frozen = teach, .loss = loss};

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    rd4ad *m = self->state;
    const option_set *o = self->options;
    const preprocessing *p = &self->preprocessing;
    if (!resnet_of(self->backbone->architecture))
        return fail(IMIAD_UNSUPPORTED, "detector rd4ad mirrors a ResNet, and %s is none",
                    self->backbone->architecture->name);
    for (int i = 0; i < LEVELS; ++i)
        TRY(backbone_require(self->backbone, levels[i]));
    int32_t side = p->crop ? p->crop : p->squash ? p->resize : MULTIPLE;
    TRY(check_size(side, side));
    if (options_int(o, "epochs") == 0 && !options_text(o, "initial")[0])
        return fail(IMIAD_OUT_OF_RANGE, "detector rd4ad: epochs=0 needs initial weights");
    m->flattened = strcmp(options_text(o, "loss"), "flattened") == 0;
    training_begin(self, &learning);
    m->training.frozen_count = LEVELS;
    return IMIAD_OK;
}

static void forget(rd4ad *m)
{
    network_free(m->bottleneck);
    network_free(m->decoder);
    m->bottleneck = m->decoder = NULL;
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    forget(self->state);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    *count = LEVELS;
    return levels;
}

/* A new bottleneck and decoder around the backbone; without their first weights where a file has
 * others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    rd4ad *m = self->state;
    params *store;
    forget(m);
    TRY(training_store(&store, &m->training, "student"));
    const void *encoder = self->backbone->architecture->variant;
    bool wide = options_bool(self->options, "wide_embedding");
    const architecture bottleneck = {
        "bottleneck", wide ? resnet_wide_fusion_build : resnet_fusion_build, encoder, NULL};
    const architecture decoder = {"decoder", resnet_decoder_build, encoder, NULL};
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    device d = detector_device(self);
    TRY(network_create(&m->bottleneck, &bottleneck, (const char *const[]){"bn_layer"}, 1, store,
                       "bn.", seed, drawn ? "rd4ad/bn" : NULL, d));
    TRY(network_create(&m->decoder, &decoder, mirrored, LEVELS, store, "decoder.", seed,
                       drawn ? "rd4ad/decoder" : NULL, d));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .beta1 = options_real(self->options, "beta1"),
                                    .beta2 = options_real(self->options, "beta2"),
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adam", "student", NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    rd4ad *m = self->state;
    const char *initial = options_text(self->options, "initial");
    TRY(begin(self, !initial[0]));
    if (initial[0])
        /* the authors' unused branch (bn.conv4, bn.bn4) is passed over */
        TRY(params_load_initial(m->training.stores[0].parameters, initial, "student.",
                                "bn.conv1.weight", "detector rd4ad"));
    if (options_int(self->options, "epochs") == 0)
        return IMIAD_OK;
    return training_fit(self, normals, p);
}

/* ---- score ---- */

/* The sum of the levels' distances at the input's size: equation 2 and section 3.4. */
static void score(imiad_detector *self, const batch *b, scores *out)
{
    const rd4ad *m = self->state;
    tensor *teacher[LEVELS] = {NULL}, *student[LEVELS] = {NULL}, *sum = NULL;
    teach(self, b, teacher);
    give_back(m, teacher, student, false);
    for (int i = 0; i < LEVELS; ++i) {
        tensor *level = t_unsqueeze(distance(teacher[i], student[i]), 1);
        sum = t_plus(sum, t_interpolate(level, b->height, b->width, BILINEAR, true));
    }
    out->maps = t_squeeze(sum, 1);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    return training_load(self, file);
}

const detector_ops rd4ad_ops = {
    .name = "rd4ad",
    .title = "RD4AD (Deng and Li, CVPR 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(rd4ad),
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
