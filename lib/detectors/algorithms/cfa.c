/* CFA: a 1x1 convolution learns to bring normal features close to a frozen memory bank of centres;
 * what stays far from all of them is an anomaly. Lee, Lee, Song: "CFA: Coupled-hypersphere-based
 * Feature Adaptation for Target-Oriented Anomaly Localization", IEEE Access 2022. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/k_means.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/one_size.h"
#include "detectors/training/training.h"
#include "nn/modules.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    {"layers", OPT_TEXT, "layer1,layer2,layer3", "",
     "backbone layers; the first one's positions are scored"},
    {"slope", OPT_REAL, "0.01", "0..1", "slope of the LeakyReLU in place of a layer's last ReLU"},
    {"gamma_c", OPT_INT, "1", "1..65536", "positions to a centre of the memory bank, by k-means"},
    {"gamma_d", OPT_INT, "1", "1..65536", "channels of the layers to one of the descriptor"},
    {"attract", OPT_INT, "3", "1..64", "K: nearest centres that attract, and that score"},
    {"repel", OPT_INT, "3", "0..64", "J: centres next to those that repel"},
    {"nu", OPT_REAL, "0.001", "0<..", "both losses are divided by it"},
    {"alpha", OPT_REAL, "0.1", "0..", "how far inside a hypersphere repelling begins, squared"},
    {"radius", OPT_REAL, "0.00001", "0..",
     "radius of the hyperspheres before training, which changes it"},
    {"weight_decay", OPT_REAL, "0.0005", "0..", "weight decay of AdamW, over the radius too"},
    {"centres", OPT_CHOICE, "images", "images|batches",
     "a centre is the mean over images, or over the means of batches"},
    {"epochs", .default_value = "30"},
    {"learning_rate", .default_value = "0.001"},
    {"train_batch", .default_value = "4"},
    {0},
};

static const preset_value presets[] = {
    {"official", "drop_last", "true"},
    {"official", "centres", "batches"},
    {"open_iad", "centres", "batches"},
    {"open_iad", "epochs", "50"},
    {"open_iad", "resize_mode", "squash"},
    {"open_iad", "crop", "0"},
    {0},
};

typedef struct cfa {
    training training;
    layer_list layers;
    int64_t channels, outputs; /* of the layers together, of the descriptor */
    int64_t attract, repel;
    int64_t height, width;    /* of the training images, 0 before the first */
    params *store;            /* the training's, as are the tensors */
    conv2d descriptor;        /* 1x1, of the layers' channels and two coordinates */
    tensor *radius, *centres; /* centres: a row each; NULL before they are found */
} cfa;

/* ---- the patch descriptor ---- */

/* Every feature's mean over its 3x3 neighbourhood: zeros beyond the border are counted. The
 * authors' network has each block's last ReLU moved into the next block, and a LeakyReLU on what it
 * gives. */
static void pool(imiad_detector *self, const batch *b, tensor **out)
{
    const cfa *m = self->state;
    double slope = options_real(self->options, "slope");
    detector_sums(self, b, m->layers.names, m->layers.count, out);
    for (int i = 0; i < m->layers.count; ++i)
        out[i] = t_avg_pool2d(t_leaky_relu(out[i], slope), 3, 1, 1, true);
}

static tensor *ramp(int64_t count, device d)
{
    tensor *from_0_to_1 = t_div_scalar(t_arange(count, F32, d), count > 1 ? (double)count - 1 : 1);
    return t_add_scalar(t_mul_scalar(from_0_to_1, 2), -1);
}

/* CoordConv's two channels: 1 x 2 x height x width, the row and the column from -1 to 1. */
static tensor *coordinates(int64_t height, int64_t width, device d)
{
    const int64_t shape[] = {1, 1, height, width};
    tensor *rows = t_view(ramp(height, d), 4, (int64_t[]){1, 1, height, 1});
    tensor *columns = t_view(ramp(width, d), 4, (int64_t[]){1, 1, 1, width});
    return t_cat((tensor *[]){t_expand(rows, 4, shape), t_expand(columns, 4, shape)}, 2, 1);
}

/* phi, a row for each position of the first layer's grid. The convolution of the layers, upsampled
 * and concatenated, is done layer by layer before upsampling: both are linear. */
static tensor *describe(const cfa *m, tensor *const *pooled)
{
    int64_t height = t_size(pooled[0], 2), width = t_size(pooled[0], 3), from = 0;
    tensor *sum = NULL;
    for (int i = 0; i < m->layers.count; from += m->layers.channels[i++]) {
        tensor *kernel = t_slice(m->descriptor.weight, 1, from, from + m->layers.channels[i]);
        tensor *part = t_conv2d(pooled[i], kernel, NULL, 1, 0, 1, 1);
        sum = t_plus(sum, i == 0 ? part : t_interpolate(part, height, width, BILINEAR, false));
    }
    tensor *places = coordinates(height, width, t_device(m->descriptor.weight));
    tensor *kernel = t_slice(m->descriptor.weight, 1, from, from + 2);
    sum = t_add(sum, t_conv2d(places, kernel, m->descriptor.bias, 1, 0, 1, 1));
    tensor *last = t_permute(sum, 4, (int[]){0, 2, 3, 1});
    return t_view(last, 2, (int64_t[]){-1, m->outputs});
}

/* |phi - c|^2 of every row and its k nearest centres, rows x k. The search takes no part in
 * learning: the gradient reaches phi through k centres and not through all of them. */
static tensor *distances(const cfa *m, tensor *phi, int64_t k, bool learning)
{
    tensor *columns[2 * 64], *nearest = nearest_centres(m->centres, phi, k);
    for (int64_t i = 0; i < k; ++i) {
        scope s = learning ? scope_begin_grad() : scope_begin();
        tensor *index = t_contiguous(t_squeeze(t_slice(nearest, 1, i, i + 1), 1));
        tensor *difference = t_sub(phi, t_index_select(m->centres, 0, index));
        columns[i] = scope_return(&s, t_sum(t_square(difference), 1, false));
    }
    return t_stack(columns, (int)k, 1);
}

/* ---- training ---- */

/* Equations 2 to 4 of the paper, as the authors' code has them. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const cfa *m = self->state;
    int64_t all = m->attract + m->repel;
    tensor *d = distances(m, describe(m, step->frozen), all, true);
    tensor *square = t_square(m->radius);
    tensor *total = t_mean_all(t_relu(t_sub(t_slice(d, 1, 0, m->attract), square)));
    if (m->repel > 0) {
        tensor *depth = t_sub(square, t_slice(d, 1, m->attract, all));
        double alpha = options_real(self->options, "alpha");
        total = t_add(total, t_mean_all(t_relu(t_add_scalar(depth, -alpha))));
    }
    return t_div_scalar(total, options_real(self->options, "nu"));
}

/* The centres need one grid. */
static void freeze(imiad_detector *self, const batch *b, tensor **out)
{
    cfa *m = self->state;
    if (m->height == 0) {
        m->height = b->height;
        m->width = b->width;
    }
    const int64_t size[] = {b->height, b->width}, before[] = {m->height, m->width};
    if (t_try(one_size_check(self, "pixels", size, before)))
        pool(self, b, out);
}

static const training_ops learning = {.frozen = freeze, .loss = loss};

/* ---- centres ---- */

typedef struct centre_sum {
    tensor *sum;  /* positions x outputs, kept */
    double terms; /* in it */
} centre_sum;

static void add_batch(imiad_detector *self, const train_step *step, void *context)
{
    const cfa *m = self->state;
    centre_sum *c = context;
    bool means = strcmp(options_text(self->options, "centres"), "batches") == 0;
    bool is_short = step->count < options_int(self->options, "train_batch");
    if (c->sum && means && is_short && options_bool(self->options, "drop_last"))
        return;
    tensor *phi = describe(m, step->frozen);
    phi = t_view(phi, 3, (int64_t[]){step->count, -1, m->outputs});
    tensor *term = means ? t_mean(phi, 0, false) : t_sum(phi, 0, false);
    c->terms += means ? 1 : (double)step->count;
    if (c->sum)
        t_add_(c->sum, term, 1);
    else
        c->sum = t_keep(term);
}

/* By k-means to so many centres. */
static imiad_status compress(tensor **out, imiad_detector *self, int64_t clusters,
                             const progress *p)
{
    const cfa *m = self->state;
    int64_t count = t_size(*out, 0), shape[] = {clusters, m->outputs};
    size_t bytes = (size_t)(count * m->outputs) * sizeof(float);
    float *points = malloc(bytes), *centres = malloc(bytes);
    imiad_status status = IMIAD_OK;
    t_read(*out, points, points ? bytes : 0);
    if (!points || !centres)
        status = fail_memory("centres", bytes);
    else if (!t_failed())
        status = k_means(centres, clusters, points, count, m->outputs,
                         (uint64_t)options_int(self->options, "seed"), "cfa/centres", p);
    if (status == IMIAD_OK)
        *out = t_to_device(t_from(centres, 2, shape, F32, CPU), detector_device(self));
    free(points);
    free(centres);
    return status;
}

static imiad_status add_centres(imiad_detector *self, const centre_sum *c, const progress *p)
{
    cfa *m = self->state;
    int64_t positions = t_size(c->sum, 0);
    int64_t count = positions / options_int(self->options, "gamma_c");
    if (count < m->attract + m->repel)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector cfa: %lld positions make %lld centres, fewer than attract and repel "
                    "together: set a smaller gamma_c, or larger images",
                    (long long)positions, (long long)count);
    scope s = scope_begin();
    tensor *centres = t_mul_scalar(c->sum, 1 / c->terms);
    imiad_status status = IMIAD_OK;
    if (count < positions)
        status = compress(&centres, self, count, p);
    if (status == IMIAD_OK)
        m->centres = params_add(m->store, "centres", centres, false);
    imiad_status failure = scope_end(&s);
    return status != IMIAD_OK ? status : failure;
}

/* The bank: the mean of what the untrained descriptor says of each position. */
static imiad_status find_centres(imiad_detector *self, training_run *run, const progress *p)
{
    centre_sum c = {NULL, 0};
    imiad_status status = training_visit(run, add_batch, &c);
    if (status == IMIAD_OK)
        status = add_centres(self, &c, p);
    t_free(c.sum);
    return status;
}

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    cfa *m = self->state;
    TRY(layer_list_parse(&m->layers, "detector cfa", options_text(self->options, "layers"),
                         self->backbone));
    for (int i = 0; i < m->layers.count; ++i)
        m->channels += m->layers.channels[i];
    int64_t gamma_d = options_int(self->options, "gamma_d");
    m->outputs = m->channels / gamma_d;
    m->attract = options_int(self->options, "attract");
    m->repel = options_int(self->options, "repel");
    if (m->outputs == 0)
        return fail(
            IMIAD_OUT_OF_RANGE, "detector cfa: option gamma_d is %lld, but %s have %lld channels",
            (long long)gamma_d, options_text(self->options, "layers"), (long long)m->channels);
    training_begin(self, &learning);
    m->training.frozen_count = m->layers.count;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    cfa *m = self->state;
    training_clear(&m->training);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const cfa *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* A fresh descriptor without centres; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    cfa *m = self->state;
    const conv2d_spec spec = {
        .inputs = m->channels + 2, .outputs = m->outputs, .kernel = 1, .bias = true};
    double radius = options_real(self->options, "radius");
    device d = detector_device(self);
    training_clear(&m->training);
    m->centres = NULL;
    m->height = m->width = 0;
    TRY(training_store(&m->store, &m->training, "descriptor"));
    const builder b = {.store = m->store,
                       .device = d,
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = drawn ? "cfa/" : NULL};
    scope s = scope_begin();
    m->descriptor = conv2d_add(&b, "", spec);
    m->radius = params_add(m->store, "radius", t_full(1, (int64_t[]){1}, radius, F32, d), true);
    TRY(scope_end(&s));
    const optimizer_options adamw = {.kind = OPTIMIZER_ADAMW,
                                     .weight_decay = options_real(self->options, "weight_decay"),
                                     .amsgrad = true};
    training_optimizer(&m->training, "adamw", "descriptor", NULL, &adamw,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    training_run *run;
    TRY(begin(self, true));
    TRY(training_open(&run, self, normals, p));
    imiad_status status = find_centres(self, run, p);
    if (status == IMIAD_OK)
        status = training_steps(run);
    training_close(run);
    return status;
}

/* ---- score ---- */

/* The distance from the nearest centre, times its share in a softmin over the K nearest: equation 8
 * as the authors' code has it. */
static void score(imiad_detector *self, const batch *b, scores *out)
{
    const cfa *m = self->state;
    tensor *pooled[MOST_LAYERS];
    pool(self, b, pooled);
    const int64_t shape[] = {b->count, t_size(pooled[0], 2), t_size(pooled[0], 3)};
    tensor *squares = distances(m, describe(m, pooled), m->attract, false);
    tensor *d = t_sort(t_sqrt(squares), 1, false, NULL);
    tensor *first = t_slice(t_mul(d, t_softmax(t_neg(d), 1)), 1, 0, 1);
    out->maps = t_view(first, 3, shape);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    cfa *m = self->state;
    const weight *centres;
    TRY(weights_expect(&centres, file, "descriptor.centres", F32, 2,
                       (int64_t[]){ANY_SIZE, m->outputs}));
    if (centres->shape[0] < m->attract + m->repel)
        return fail(IMIAD_FORMAT, "%lld descriptor.centres, which should be %lld or more",
                    (long long)centres->shape[0], (long long)(m->attract + m->repel));
    TRY(begin(self, false));
    scope s = scope_begin();
    tensor *place = t_zeros(2, centres->shape, F32, detector_device(self));
    m->centres = params_add(m->store, "centres", place, false);
    TRY(scope_end(&s));
    return training_load(self, file);
}

const detector_ops cfa_ops = {
    .name = "cfa",
    .title = "CFA (Lee et al., IEEE Access 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(cfa),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
