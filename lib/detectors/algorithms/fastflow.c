/* FastFlow: for every level of a frozen backbone a flow of its own learns to make a Gaussian of the
 * features of normal images; where a position's latent numbers are unlikely, there is an anomaly.
 * Yu, Zheng, Wang, Li, Wu, Zhao, Wu: "FastFlow: Unsupervised Anomaly Detection and Localization via
 * 2D Normalizing Flows", 2021. The authors gave no code: gathierry/FastFlow is what others run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/one_size.h"
#include "detectors/training/training.h"
#include "nn/flows.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, gathierry/FastFlow's, the IM-IAD code's"},
    {"layers", OPT_TEXT, "layer1,layer2,layer3", "",
     "backbone layers, each with a flow of its own"},
    {"flow_steps", OPT_INT, "8", "1..64", "coupling blocks of a flow"},
    {"hidden_ratio", OPT_REAL, "1", "0<..16",
     "channels between a block's two convolutions, to one channel that goes in"},
    {"conv3x3_only", OPT_CHOICE, "false", "false|true|by_backbone",
     "kernels of 3x3 in every block, or 3x3 and 1x1 in turn; by_backbone: as gathierry's "
     "configurations, 3x3 only with resnet18"},
    {"layer_norm", OPT_BOOL, "true", "",
     "normalise a level's features first, with scale and shift that are learned for every value"},
    {"clamp", OPT_REAL, "2", "0<..", "bound of the logarithm of a block's scales"},
    {"clamp_form", OPT_CHOICE, "tanh", "tanh|scaled_tanh",
     "how it bounds: c tanh(a), FrEIA up to 0.2; c tanh(a / c), FrEIA since August 2023"},
    {"map", OPT_CHOICE, "probability", "probability|log_probability",
     "the mean over levels of minus exp(-q / 2), which is 0 where q is large; or of q / 2"},
    {"import", OPT_TEXT, "", "",
     "weight file of the first flows: a checkpoint of the public codes' layout"},
    {"weight_decay", OPT_REAL, "0.00001", "0..", "Adam's, added to the gradient"},
    {"epochs", OPT_INT, "500", "0..1000000",
     "passes over the training images; 0 takes the imported flows as they are"},
    {"learning_rate", .default_value = "0.001"},
    {"train_batch", .default_value = "32"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "conv3x3_only", "by_backbone"},
    {"official", "drop_last", "true"},
    {0},
};

/* What one level has. */
typedef struct level {
    int64_t channels, height, width;
    tensor *norm_weight, *norm_bias; /* the store's, NULL without layer norm */
    flow_block *blocks;
} level;

typedef struct fastflow {
    training training; /* two stores: what is learned, by the public codes' names; permutations */
    layer_list layers;
    level levels[MOST_LAYERS];
    int steps;
    bool logarithmic;
} fastflow;

static const double norm_eps = 1e-5;

/* ---- the flows ---- */

static void read_features(imiad_detector *self, const batch *b, tensor **out)
{
    const fastflow *m = self->state;
    for (int i = 0; i < m->layers.count; ++i)
        out[i] = NULL;
    detector_features(self, b, m->layers.names, m->layers.count, out);
    for (int i = 0; i < m->layers.count && !t_failed(); ++i) {
        const int64_t size[] = {t_size(out[i], 2), t_size(out[i], 3)};
        const int64_t made_for[] = {m->levels[i].height, m->levels[i].width};
        t_try(one_size_check(self, "positions", size, made_for));
    }
}

/* The latent maps of a level: z, their channels in an order of their own. log_determinant: NULL
 * where nothing learns. */
static tensor *flow(const fastflow *m, const level *l, tensor *features, tensor **log_determinant)
{
    tensor *x = t_contiguous(features);
    if (l->norm_weight)
        x = t_layer_norm(x, 3, l->norm_weight, l->norm_bias, norm_eps);
    return flow_forward_unordered(l->blocks, m->steps, x, log_determinant);
}

/* The mean over a batch of the negative log-likelihood of each level, but for a constant, summed
 * over levels; layer norm's own determinant does not count. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const fastflow *m = self->state;
    tensor *total = NULL;
    for (int i = 0; i < m->layers.count; ++i) {
        tensor *log_determinant, *z = flow(m, &m->levels[i], step->frozen[i], &log_determinant);
        tensor *energy = t_mul_scalar(t_sum(t_square(t_flatten(z, 1, 3)), 1, false), 0.5);
        total = t_plus(total, t_mean_all(t_sub(energy, log_determinant)));
    }
    return total;
}

static const training_ops learning = {.frozen = read_features, .loss = loss};

/* ---- making ---- */

static bool is_chosen(const imiad_detector *self, const char *option, const char *value)
{
    return strcmp(options_text(self->options, option), value) == 0;
}

static bool only_3x3(const imiad_detector *self)
{
    return is_chosen(self, "conv3x3_only", "true") ||
           (is_chosen(self, "conv3x3_only", "by_backbone") &&
            strcmp(imiad_backbone_name(self->backbone), "resnet18") == 0);
}

/* The flows are made for one size of input, which the options must tell. */
static imiad_status find_sizes(imiad_detector *self)
{
    fastflow *m = self->state;
    const preprocessing *p = &self->preprocessing;
    int32_t side = p->crop ? p->crop : p->squash ? p->resize : 0;
    TRY(one_size_require(self));
    for (int i = 0; i < m->layers.count; ++i) {
        int64_t shape[3];
        TRY(backbone_layer_shape(shape, self->backbone, m->layers.names[i], side, side));
        m->levels[i] = (level){.channels = shape[0], .height = shape[1], .width = shape[2]};
        if (shape[0] < 2)
            return fail(IMIAD_MISMATCH, "detector fastflow: %s has one channel, a flow needs two",
                        m->layers.names[i]);
    }
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    fastflow *m = self->state;
    const option_set *o = self->options;
    m->steps = (int)options_int(o, "flow_steps");
    m->logarithmic = is_chosen(self, "map", "log_probability");
    if (options_int(o, "epochs") == 0 && !options_text(o, "import")[0])
        return fail(IMIAD_OUT_OF_RANGE, "detector fastflow: epochs=0 needs flows to import");
    TRY(layer_list_parse(&m->layers, "detector fastflow", options_text(o, "layers"),
                         self->backbone));
    TRY(find_sizes(self));
    training_begin(self, &learning);
    m->training.frozen_count = m->layers.count;
    return IMIAD_OK;
}

static void forget(fastflow *m)
{
    for (int i = 0; i < m->layers.count; ++i) {
        free(m->levels[i].blocks);
        m->levels[i].blocks = NULL;
    }
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    fastflow *m = self->state;
    forget(m);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const fastflow *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

static void add_norm(level *l, const flow_maker *maker, int index)
{
    const int64_t shape[] = {l->channels, l->height, l->width};
    char name[32];
    snprintf(name, sizeof name, "norms.%d.weight", index);
    l->norm_weight =
        params_add(maker->learned, name, t_full(3, shape, 1, F32, maker->device), true);
    snprintf(name, sizeof name, "norms.%d.bias", index);
    l->norm_bias = params_add(maker->learned, name, t_zeros(3, shape, F32, maker->device), true);
}

/* Kernels of 3x3 and 1x1 in turn, the 3x3 first. */
static void add_blocks(imiad_detector *self, level *l, const flow_maker *maker, int index)
{
    const fastflow *m = self->state;
    int64_t passive = l->channels - l->channels / 2;
    double hidden = (double)passive * options_real(self->options, "hidden_ratio");
    flow_shape shape = {.channels = l->channels,
                        .hidden = hidden < 1 ? 1 : (int64_t)hidden,
                        .clamp = options_real(self->options, "clamp"),
                        .form =
                            is_chosen(self, "clamp_form", "tanh") ? FLOW_TANH : FLOW_SCALED_TANH,
                        .mixing = FLOW_PERMUTATION};
    for (int step = 0; step < m->steps; ++step) {
        char name[48];
        snprintf(name, sizeof name, "nf_flows.%d.module_list.%d", index, step);
        shape.kernel = step % 2 == 0 || only_3x3(self) ? 3 : 1;
        flow_block_add(&l->blocks[step], maker, name, &shape);
    }
}

/* New flows with nothing learned; without their first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    fastflow *m = self->state;
    flow_maker maker = {.seed = (uint64_t)options_int(self->options, "seed"),
                        .purpose = drawn ? "fastflow" : NULL,
                        .device = detector_device(self)};
    forget(m);
    TRY(training_store(&maker.learned, &m->training, "flow"));
    TRY(training_store(&maker.fixed, &m->training, "permutation"));
    scope s = scope_begin();
    for (int i = 0; i < m->layers.count; ++i) {
        level *l = &m->levels[i];
        l->blocks = calloc((size_t)m->steps, sizeof *l->blocks);
        if (!l->blocks)
            t_fail(IMIAD_NO_MEMORY, "detector fastflow: out of memory for %d blocks", m->steps);
        else if (options_bool(self->options, "layer_norm"))
            add_norm(l, &maker, i);
        if (!t_failed())
            add_blocks(self, l, &maker, i);
    }
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adam", "flow", NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

/* What stands before the names of the public codes' layout, or of a saved detector. */
static const char *find_prefix(const weights *file)
{
    static const char *const prefixes[] = {"model_state_dict.", "flow."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; ++i) {
        char name[80];
        snprintf(name, sizeof name, "%snf_flows.0.module_list.0.global_scale", prefixes[i]);
        if (weights_find(file, name))
            return prefixes[i];
    }
    return "";
}

static imiad_status take_permutations(fastflow *m, const weights *file, const char *prefix)
{
    for (int i = 0; i < m->layers.count; ++i)
        for (int step = 0; step < m->steps; ++step) {
            char name[100];
            snprintf(name, sizeof name, "%snf_flows.%d.module_list.%d.w_perm", prefix, i, step);
            TRY(flow_load_permutation(&m->levels[i].blocks[step], file, name));
        }
    return IMIAD_OK;
}

static imiad_status take(fastflow *m, const weights *file)
{
    const char *prefix = find_prefix(file);
    TRY(params_load(m->training.stores[0].parameters, file, prefix, PARAMS_EXTRA_ALLOWED));
    return take_permutations(m, file, strcmp(prefix, "flow.") == 0 ? "permutation." : prefix);
}

static imiad_status import(fastflow *m, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    imiad_status status = take(m, file);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "detector fastflow: import=%s", path);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    fastflow *m = self->state;
    const char *imported = options_text(self->options, "import");
    TRY(begin(self, !imported[0]));
    if (imported[0])
        TRY(import(m, imported));
    if (options_int(self->options, "epochs") == 0)
        return IMIAD_OK;
    return training_fit(self, normals, p);
}

/* ---- score ---- */

/* The mean over levels, at the input's size, of how unlikely a position's latent numbers are. */
static void score(imiad_detector *self, const batch *b, scores *out)
{
    const fastflow *m = self->state;
    tensor *features[MOST_LAYERS], *sum = NULL;
    read_features(self, b, features);
    for (int i = 0; i < m->layers.count; ++i) {
        tensor *z = flow(m, &m->levels[i], features[i], NULL);
        tensor *half = t_mul_scalar(t_mean(t_square(z), 1, true), 0.5);
        tensor *unlikely = m->logarithmic ? half : t_neg(t_exp(t_neg(half)));
        sum = t_plus(sum, t_interpolate(unlikely, b->height, b->width, BILINEAR, false));
    }
    out->maps = t_squeeze(t_div_scalar(sum, m->layers.count), 1);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return take_permutations(self->state, file, "permutation.");
}

const detector_ops fastflow_ops = {
    .name = "fastflow",
    .title = "FastFlow (Yu et al., 2021)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(fastflow),
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
