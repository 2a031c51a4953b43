/* CutPaste: a network learns to tell images from the same images with a piece of them pasted
 * elsewhere; how far an image's embedding lies from those of normal images is its score. Li, Sohn,
 * Yoon, Pfister: "CutPaste: Self-Supervised Learning for Anomaly Detection and Localization",
 * CVPR 2021. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/crop_scores.h"
#include "detectors/parts/shrunk_gaussian.h"
#include "detectors/training/training.h"
#include "image/augment.h"
#include "image/pixels.h"
#include "image/preprocess.h"
#include "nn/modules.h"
#include "nn/network.h"
#include "nn/schedule.h"
#include "synthesis/cut_paste.h"

enum { MOST_VIEWS = 1 + CUT_PASTE_MOST, MOST_HEADS = 16, MOST_CROPS = 512 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the public code of Runinho, the IM-IAD code"},
    {"layer", OPT_TEXT, "layer4", "",
     "backbone layer whose mean over the positions is the embedding"},
    {"pretrained", OPT_BOOL, "true", "", "begin with the backbone's weights, not with random ones"},
    {"variant", OPT_CHOICE, "3way", "patch|scar|union|3way",
     "what is pasted: a patch, a scar, one of both, or both in an image each"},
    {"head_layers", OPT_INT, "1", "0..15",
     "layers as wide as the embedding between it and the last 128 values"},
    {"head", OPT_CHOICE, "mlp", "mlp|linear", "the classifier: several layers, or one alone"},
    {"loss", OPT_CHOICE, "cross_entropy", "cross_entropy|double_softmax",
     "cross-entropy of the classes, or of their softmax as if it were none"},
    {"aspect", OPT_CHOICE, "fixed", "fixed|drawn",
     "a patch's sides are within 0.3 to 1/0.3, or within a bound that is drawn for each"},
    {"rotation", OPT_REAL, "0", "0..180",
     "degrees to either side by which every view is turned by itself"},
    {"optimizer", OPT_CHOICE, "sgd", "sgd|adam", "what moves the weights"},
    {"momentum", OPT_REAL, "0.9", "0..1", "momentum of SGD"},
    {"weight_decay", OPT_REAL, "0.00003", "0..", "weight decay of the optimiser"},
    {"schedule", OPT_CHOICE, "step", "step|epoch|constant",
     "the learning rate falls along a cosine from step to step, from epoch to epoch, or stays"},
    {"steps", OPT_INT, "250", "0..1000000",
     "steps in an epoch, from endless shuffled rows of the images; 0: one pass over the images"},
    {"frozen_steps", OPT_INT, "20", "0..1000000000",
     "first steps that leave a pretrained encoder's weights alone"},
    {"frozen_prefix", OPT_TEXT, "", "",
     "weights of the encoder whose names begin so are never trained; empty: none such"},
    {"density", OPT_CHOICE, "gaussian", "gaussian|kernel",
     "density of normal embeddings: one Gaussian, or one around each with deviation 1"},
    {"localization", OPT_CHOICE, "none", "none|gradcam|patches",
     "pixel maps: none, what of the layer raises the score, or small crops scored one by one"},
    {"patch_size", OPT_INT, "64", "8..1024", "side of a crop in pixels"},
    {"patch_stride", OPT_INT, "4", "1..1024", "pixels from one scored crop to the next"},
    {"epochs", .default_value = "40"},
    {"learning_rate", .default_value = "0.03"},
    {"train_batch", .default_value = "32"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "epochs", "1"},
    {"official", "steps", "256"},
    {"official", "train_batch", "64"},
    {"open_iad", "variant", "patch"},
    {"open_iad", "head", "linear"},
    {"open_iad", "loss", "double_softmax"},
    {"open_iad", "aspect", "drawn"},
    {"open_iad", "rotation", "90"},
    {"open_iad", "optimizer", "adam"},
    {"open_iad", "learning_rate", "0.0001"},
    {"open_iad", "weight_decay", "0.00001"},
    {"open_iad", "schedule", "epoch"},
    {"open_iad", "steps", "0"},
    {"open_iad", "epochs", "256"},
    {"open_iad", "frozen_steps", "0"},
    {"open_iad", "resize", "224"},
    {0},
};

typedef enum localization { LOCALIZE_NONE, LOCALIZE_GRADCAM, LOCALIZE_PATCHES } localization;

typedef struct cutpaste {
    training training; /* one store: encoder.*, head.*, out */
    const char *layer;
    int64_t width; /* of the embedding */
    network *encoder;
    linear head[MOST_HEADS], out;
    batch_norm norms[MOST_HEADS];
    int heads, classes;
    cut_paste_variant variant;
    cut_paste_options pasting;
    made_spec specs[MOST_VIEWS];
    train_maker maker;
    localization localization;
    int32_t patch, stride;
    int64_t frozen_steps;
    bool by_kernel, twice; /* the density; softmax before the cross-entropy */
    double rotation;
    shrunk_gaussian density; /* kept */
    tensor *rows;            /* kept, for the kernel density: normal embeddings */
} cutpaste;

static bool option_is(const imiad_detector *self, const char *name, const char *value)
{
    return strcmp(options_text(self->options, name), value) == 0;
}

/* ---- views: section 2.2, on the loader's threads ---- */

/* The piece of an image that a patch model learns from: RGB8. */
static imiad_status crop_at(imiad_image **out, const imiad_image *image, int32_t left, int32_t top,
                            int32_t side)
{
    TRY(image_create(out, IMIAD_PIXEL_RGB8, side, side));
    for (int32_t y = 0; y < side; ++y)
        memcpy(image_row(*out, y), image_row(image, top + y) + 3 * left, 3 * (size_t)side);
    return IMIAD_OK;
}

static imiad_status draw_original(imiad_image **out, const cutpaste *m, const imiad_image *image,
                                  random_stream *s)
{
    if (m->localization == LOCALIZE_PATCHES) {
        int32_t left = (int32_t)random_below(s, (uint64_t)(image->width - m->patch + 1));
        int32_t top = (int32_t)random_below(s, (uint64_t)(image->height - m->patch + 1));
        TRY(crop_at(out, image, left, top, m->patch));
    } else {
        TRY(image_to_rgb(out, image));
    }
    color_jitter j = color_jitter_draw(0.1, s);
    color_jitter_apply(*out, &j);
    return IMIAD_OK;
}

/* Into the planes of a network's input, turned before where that is asked for. */
static imiad_status put_view(float *out, const imiad_image *view, const imiad_detector *self,
                             random_stream *s)
{
    const cutpaste *m = self->state;
    imiad_image *turned = NULL;
    if (m->rotation > 0) {
        double degrees = random_between(s, -m->rotation, m->rotation);
        const augmentation a = {AUGMENT_ROTATION, {augment_value(degrees)}};
        TRY(augment_image(&turned, view, &a));
    }
    preprocess_normalize(out, turned ? turned : view, &self->preprocessing);
    imiad_image_free(turned);
    return IMIAD_OK;
}

static imiad_status make_views(const made_from *from, made_output *out)
{
    const cutpaste *m = from->detector->state;
    random_stream s = made_stream(from, "views");
    imiad_image *views[MOST_VIEWS] = {NULL};
    int count = 1 + cut_paste_count(m->variant);
    TRY(draw_original(&views[0], m, from->image, &s));
    imiad_status status = cut_paste(views + 1, views[0], m->variant, &m->pasting, &s);
    for (int i = 0; status == IMIAD_OK && i < count; ++i)
        status = put_view(out[i].values, views[i], from->detector, &s);
    imiad_image_free(views[0]);
    for (int i = 1; i < count && status == IMIAD_OK; ++i)
        imiad_image_free(views[i]);
    return status;
}

/* ---- the network ---- */

static tensor *mean_over_positions(tensor *map)
{
    return t_mean(t_flatten(map, 2, 3), 2, false);
}

static tensor *embed(const cutpaste *m, tensor *images, bool learns)
{
    tensor *map;
    network_features(m->encoder, images, &m->layer, 1, &map, learns);
    return mean_over_positions(map);
}

static tensor *classify(const cutpaste *m, tensor *x, bool learns)
{
    for (int i = 0; i < m->heads; ++i)
        x = t_relu(batch_norm_run(&m->norms[i], linear_run(&m->head[i], x), learns));
    return linear_run(&m->out, x);
}

/* ---- training: section 2.1 ---- */

/* The originals are class 0; what was made of them 1, and the scars 2 where there are both. */
static tensor *make_classes(int64_t images, int views, device d)
{
    tensor *classes = t_zeros(1, (int64_t[]){images * views}, I64, CPU);
    int64_t *values = t_data(classes);
    for (int64_t i = 0; values && i < images * views; ++i)
        values[i] = i / images;
    return t_to_device(classes, d);
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const cutpaste *m = self->state;
    int views = 1 + cut_paste_count(m->variant);
    tensor *vectors = embed(m, t_cat(step->made, views, 0), true);
    if (step->index < m->frozen_steps)
        vectors = t_detach(vectors);
    tensor *logits = classify(m, vectors, true);
    if (m->twice)
        logits = t_softmax(logits, 1);
    return t_cross_entropy(logits, make_classes(step->count, views, t_device(logits)));
}

/* The public codes set the rate after each step by that step's number, so that it lags by one. */
static double schedule_rate(const imiad_detector *self, double rate, const train_step *step,
                            int64_t steps)
{
    if (option_is(self, "schedule", "constant"))
        return rate;
    int64_t last = step->index > 0 ? step->index - 1 : 0;
    if (option_is(self, "schedule", "step"))
        return schedule_cosine(rate, 0, last, steps);
    return schedule_cosine(rate, 0, last / (steps / step->epochs), step->epochs);
}

static imiad_status plan(imiad_detector *self, train_plan *p)
{
    int64_t steps = options_int(self->options, "steps");
    if (steps == 0)
        return IMIAD_OK;
    p->steps = steps;
    p->batch = options_int(self->options, "train_batch");
    return IMIAD_OK;
}

/* Of normal images alone, balanced batches are one endless row of shuffled images. */
static imiad_status draw_rows(imiad_detector *self, const train_plan *p, random_stream *stream,
                              size_t *out)
{
    (void)self;
    return training_draw_balanced(p, stream, out);
}

static const training_ops by_passes = {.loss = loss, .rate = schedule_rate};
static const training_ops by_steps = {
    .loss = loss, .rate = schedule_rate, .plan = plan, .draw = draw_rows};

/* ---- the density of normal embeddings: section 2.4 ---- */

/* The unit embeddings of a row of crops, or of the whole images. */
static tensor *embed_crops(const cutpaste *m, tensor *images, int64_t top, int64_t stride)
{
    int64_t count = crops_along(t_size(images, 3), m->patch, stride);
    tensor *rows[MOST_CROPS], *band = t_slice(images, 2, top, top + m->patch);
    for (int64_t i = 0; i < count; ++i)
        rows[i] = t_slice(band, 3, i * stride, i * stride + m->patch);
    return t_normalize(embed(m, t_cat(rows, (int)count, 0), false), 1);
}

static imiad_status check_size(const cutpaste *m, int64_t height, int64_t width)
{
    if (m->localization != LOCALIZE_PATCHES)
        return IMIAD_OK;
    int64_t least = height < width ? height : width, most = height < width ? width : height;
    if (least < m->patch || crops_along(most, m->patch, m->stride) > MOST_CROPS)
        return fail(IMIAD_MISMATCH,
                    "detector cutpaste: an input of %lld x %lld pixels: patch_size is %d, and at "
                    "most %d crops side by side are scored: change resize, patch_size or "
                    "patch_stride",
                    (long long)width, (long long)height, m->patch, MOST_CROPS);
    return IMIAD_OK;
}

/* What the density is fitted on: the images, or crops that half overlap. */
static tensor *embed_normals(const cutpaste *m, const batch *b)
{
    if (m->localization != LOCALIZE_PATCHES)
        return t_normalize(embed(m, b->images, false), 1);
    tensor *rows = NULL;
    int64_t stride = m->patch / 2;
    for (int64_t i = 0; i < crops_along(b->height, m->patch, stride); ++i) {
        tensor *crops = embed_crops(m, b->images, i * stride, stride);
        rows = rows ? t_cat((tensor *[]){rows, crops}, 2, 0) : crops;
    }
    return rows;
}

static void forget_density(cutpaste *m)
{
    t_free(m->density.mean);
    t_free(m->density.precision);
    t_free(m->rows);
    m->density = (shrunk_gaussian){NULL, NULL};
    m->rows = NULL;
}

/* Adds a batch's rows to those before, which are kept from scope to scope. */
static imiad_status add_batch(tensor **rows, bool *more, imiad_detector *self, train_set *normals)
{
    const cutpaste *m = self->state;
    scope s = scope_begin();
    batch b = {NULL};
    tensor *both = NULL;
    *more = train_set_next(normals, &b);
    if (*more && t_try(check_size(m, b.height, b.width))) {
        tensor *found = t_to_device(embed_normals(m, &b), CPU);
        both = t_keep(*rows ? t_cat((tensor *[]){*rows, found}, 2, 0) : found);
    }
    imiad_status status = scope_end(&s);
    if (both) {
        t_free(*rows);
        *rows = both;
    }
    return status;
}

static imiad_status fit_density(imiad_detector *self, train_set *normals, const progress *p)
{
    cutpaste *m = self->state;
    tensor *rows = NULL;
    bool more = true;
    imiad_status status = train_set_rewind(normals, NULL);
    while (status == IMIAD_OK && more)
        status = add_batch(&rows, &more, self, normals);
    if (status == IMIAD_OK)
        status = progress_report(p, "density", 1, 1);
    if (status == IMIAD_OK) {
        scope s = scope_begin();
        tensor *here = t_clone(t_to_device(rows, detector_device(self)));
        shrunk_gaussian g = m->by_kernel ? m->density : shrunk_gaussian_fit(here, NULL);
        if (!t_failed())
            forget_density(m);
        if (!t_failed() && m->by_kernel)
            m->rows = t_keep(here);
        else if (!t_failed())
            m->density = (shrunk_gaussian){t_keep(g.mean), t_keep(g.precision)};
        status = scope_end(&s);
    }
    t_free(rows);
    return status;
}

/* ---- score ---- */

/* The negative logarithm of the mean of Gaussians of deviation 1 around the normal embeddings. */
static tensor *kernel_distance(const cutpaste *m, tensor *rows)
{
    double n = (double)t_size(m->rows, 0), d = (double)t_size(m->rows, 1);
    tensor *logs = t_mul_scalar(t_square(t_cdist(rows, m->rows)), -0.5);
    return t_add_scalar(t_neg(t_logsumexp(logs, 1, false)), log(n) + d / 2 * log(2 * M_PI));
}

static tensor *distance(const cutpaste *m, tensor *rows)
{
    return m->by_kernel ? kernel_distance(m, rows) : shrunk_gaussian_distance(&m->density, rows);
}

/* Grad-CAM of the distance (Selvaraju et al., ICCV 2017): the embedding is the map's mean, so that
 * the gradient is the same at every position. Through e / |e|, what lies along e is lost. */
static tensor *find_causes(const cutpaste *m, tensor *map, tensor *vectors, tensor *rays)
{
    tensor *slope = shrunk_gaussian_gradient(&m->density, rays);
    tensor *along = t_sum(t_mul(slope, rays), 1, true);
    tensor *gradient = t_sub(slope, t_mul(rays, along));
    gradient = t_div(gradient, t_norm(vectors, 2, 1, true));
    tensor *shares = t_div_scalar(gradient, (double)(t_size(map, 2) * t_size(map, 3)));
    tensor *weighted = t_mul(map, t_unsqueeze(t_unsqueeze(shares, 2), 3));
    return t_relu(t_sum(weighted, 1, false));
}

static void score_images(const cutpaste *m, const batch *b, scores *out)
{
    tensor *map;
    network_features(m->encoder, b->images, &m->layer, 1, &map, false);
    tensor *vectors = mean_over_positions(map), *rays = t_normalize(vectors, 1);
    out->image = distance(m, rays);
    if (m->localization == LOCALIZE_GRADCAM)
        out->maps = find_causes(m, map, vectors, rays);
}

/* Section 2.5. */
static void score_crops(const cutpaste *m, const batch *b, scores *out)
{
    int64_t high = crops_along(b->height, m->patch, m->stride);
    int64_t wide = crops_along(b->width, m->patch, m->stride);
    tensor *rows[MOST_CROPS];
    for (int64_t i = 0; i < high; ++i) {
        tensor *found = distance(m, embed_crops(m, b->images, i * m->stride, m->stride));
        rows[i] = t_transpose(t_view(found, 2, (int64_t[]){wide, b->count}), 0, 1);
    }
    out->maps =
        crop_scores_spread(t_stack(rows, (int)high, 1), m->patch, m->stride, b->height, b->width);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const cutpaste *m = self->state;
    if (t_try(check_size(m, b->height, b->width)))
        (m->localization == LOCALIZE_PATCHES ? score_crops : score_images)(m, b, out);
}

/* ---- making ---- */

static imiad_status read_localization(cutpaste *m, const imiad_detector *self)
{
    m->localization = option_is(self, "localization", "gradcam")   ? LOCALIZE_GRADCAM
                      : option_is(self, "localization", "patches") ? LOCALIZE_PATCHES
                                                                   : LOCALIZE_NONE;
    m->patch = (int32_t)options_int(self->options, "patch_size");
    m->stride = (int32_t)options_int(self->options, "patch_stride");
    if (m->localization == LOCALIZE_GRADCAM && m->by_kernel)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector cutpaste: localization=gradcam needs density=gaussian");
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    cutpaste *m = self->state;
    static const char *const variants[] = {"patch", "scar", "union", "3way"};
    const option_set *o = self->options;
    chain_layer layer;
    m->layer = options_text(o, "layer");
    TRY(layer_require(&layer, &self->backbone->chain, "detector cutpaste", m->layer));
    m->width = layer.node->channels; /* of the trained network: a saved one has no frozen weights */
    while (!option_is(self, "variant", variants[m->variant]))
        m->variant++;
    m->classes = 1 + cut_paste_count(m->variant);
    m->by_kernel = option_is(self, "density", "kernel");
    m->twice = option_is(self, "loss", "double_softmax");
    m->rotation = options_real(o, "rotation");
    m->pasting = cut_paste_defaults;
    m->pasting.aspect_drawn = option_is(self, "aspect", "drawn");
    m->frozen_steps = options_bool(o, "pretrained") ? options_int(o, "frozen_steps") : 0;
    TRY(read_localization(m, self));
    if (m->localization == LOCALIZE_GRADCAM && layer.class_token)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector cutpaste: localization=gradcam needs a layer with positions, not %s",
                    m->layer);
    int32_t side = m->localization == LOCALIZE_PATCHES ? m->patch : 0;
    for (int i = 0; i < m->classes; ++i)
        m->specs[i] =
            (made_spec){.kind = MADE_PLANES, .channels = 3, .height = side, .width = side};
    m->maker = (train_maker){m->specs, m->classes, make_views};
    training_begin(self, options_int(o, "steps") > 0 ? &by_steps : &by_passes);
    m->training.maker = &m->maker;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    cutpaste *m = self->state;
    forget_density(m);
    network_free(m->encoder);
    training_clear(&m->training);
}

static imiad_status add_classifier(cutpaste *m, const imiad_detector *self, params *store,
                                   const char *purpose)
{
    bool single = option_is(self, "head", "linear");
    builder b = {.store = store,
                 .device = detector_device(self),
                 .seed = (uint64_t)options_int(self->options, "seed"),
                 .purpose = purpose,
                 .weights = single ? INIT_TRUNC_NORMAL : INIT_DEFAULT,
                 .biases = single ? INIT_ZEROS : INIT_DEFAULT};
    int64_t width = m->width;
    scope s = scope_begin();
    m->heads = single ? 0 : 1 + (int)options_int(self->options, "head_layers");
    for (int i = 0; i < m->heads; ++i) {
        char name[32];
        int64_t next = i + 1 < m->heads ? m->width : 128;
        snprintf(name, sizeof name, "head.%d", 3 * i);
        m->head[i] = linear_add(&b, name, width, next, true);
        snprintf(name, sizeof name, "head.%d", 3 * i + 1);
        m->norms[i] = batch_norm_add(&b, name, next);
        width = next;
    }
    m->out = linear_add(&b, "out", width, m->classes, true);
    return scope_end(&s);
}

/* A new network with nothing learned; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    cutpaste *m = self->state;
    params *store;
    forget_density(m);
    network_free(m->encoder);
    m->encoder = NULL;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "network"));
    TRY(network_create(&m->encoder, self->backbone->architecture, &m->layer, 1, store, "encoder.",
                       (uint64_t)options_int(self->options, "seed"),
                       drawn ? "cutpaste/encoder" : NULL, detector_device(self)));
    TRY(add_classifier(m, self, store, drawn ? "cutpaste/" : NULL));
    char prefix[128];
    const char *frozen = options_text(self->options, "frozen_prefix");
    snprintf(prefix, sizeof prefix, "encoder.%s", frozen);
    if (*frozen && params_set_trainable(store, prefix, false) == 0)
        return fail(IMIAD_UNKNOWN_OPTION,
                    "detector cutpaste: no weight's name begins with frozen_prefix=%s", frozen);
    const option_set *o = self->options;
    const optimizer_options how = {.kind = option_is(self, "optimizer", "adam") ? OPTIMIZER_ADAM
                                                                                : OPTIMIZER_SGD,
                                   .momentum = options_real(o, "momentum"),
                                   .weight_decay = options_real(o, "weight_decay")};
    training_optimizer(&m->training, "weights", "network", NULL, &how,
                       options_real(o, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status learn(imiad_detector *self, train_set *normals, const progress *p)
{
    TRY(training_fit(self, normals, p));
    return fit_density(self, normals, p);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    cutpaste *m = self->state;
    TRY(begin(self, true));
    if (options_bool(self->options, "pretrained")) {
        imiad_status status = network_copy(m->encoder, self->backbone);
        if (status != IMIAD_OK)
            return fail_within(status, "detector cutpaste: pretrained");
    }
    return learn(self, normals, p);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    return training_go_on(self, normals, p, learn);
}

/* ---- file ---- */

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    (void)self;
    *count = 0; /* the trained encoder has weights of its own */
    return NULL;
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const cutpaste *m = self->state;
    TRY(training_save(self, writer));
    if (m->by_kernel)
        return weights_writer_add_tensor(writer, "density.rows", m->rows);
    TRY(weights_writer_add_tensor(writer, "density.mean", m->density.mean));
    return weights_writer_add_tensor(writer, "density.precision", m->density.precision);
}

static imiad_status load_density(tensor **out, const weights *file, const char *name, int rank,
                                 const int64_t *shape, device d)
{
    TRY(weights_expect(NULL, file, name, F32, rank, shape));
    return weights_load_tensor(out, file, name, d);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    cutpaste *m = self->state;
    const int64_t rows[] = {ANY_SIZE, m->width}, square[] = {m->width, m->width};
    device d = detector_device(self);
    TRY(begin(self, false));
    TRY(training_load(self, file));
    if (m->by_kernel)
        return load_density(&m->rows, file, "density.rows", 2, rows, d);
    TRY(load_density(&m->density.mean, file, "density.mean", 1, square, d));
    return load_density(&m->density.precision, file, "density.precision", 2, square, d);
}

const detector_ops cutpaste_ops = {
    .name = "cutpaste",
    .title = "CutPaste (Li et al., CVPR 2021)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(cutpaste),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
