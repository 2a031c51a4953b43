/* DNE: a network learns to tell images from copies with a pasted piece, task after task; of each
 * task the Gaussian of its embeddings is kept, and an image's score is how far it lies from one
 * Gaussian of all. Li, Zhan, Wang, Xia, Gao, Liu, Wang, Zheng: "Towards Continual Adaptation in
 * Industrial Anomaly Detection", ACM Multimedia 2022. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/gaussian_replay.h"
#include "detectors/training/training.h"
#include "detectors/training/training_state.h"
#include "image/augment.h"
#include "image/pixels.h"
#include "image/preprocess.h"
#include "nn/modules.h"
#include "nn/network.h"
#include "nn/schedule.h"
#include "synthesis/cut_paste.h"

enum { MOST_VIEWS = 2 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    {"layer", OPT_TEXT, "", "",
     "backbone layer whose mean over the positions is the embedding; empty: norm.cls_token where "
     "there is a class token, layer4 elsewhere"},
    {"pretrained", OPT_BOOL, "true", "", "begin with the backbone's weights, not with random ones"},
    {"views", OPT_CHOICE, "cut_paste", "cut_paste|plain",
     "what is learned from: each image beside a copy with a pasted piece, or the image alone"},
    {"rotation", OPT_REAL, "90", "0..180",
     "degrees to either side by which every view is turned by itself"},
    {"loss", OPT_CHOICE, "cross_entropy", "cross_entropy|double_softmax",
     "cross-entropy of the classes, or of their softmax as if it were none"},
    {"fix_head", OPT_BOOL, "true", "", "leave the classifier as it is from the second task on"},
    {"fix_patches", OPT_BOOL, "true", "", "leave a transformer's patch embedding as it is"},
    {"embeddings", OPT_CHOICE, "training", "training|final",
     "what the Gaussians are of: the last epoch's views as they were learned from, or the images "
     "in the finished network"},
    {"epsilon", OPT_REAL, "0.0004", "0..", "epsilon of Adam"},
    {"weight_decay", OPT_REAL, "0.00003", "0..", "weight decay of Adam"},
    {"epochs", .default_value = "50"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "32"},
    {"resize", .default_value = "224"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "seed", "42"},
    {"open_iad", "views", "plain"},
    {"open_iad", "loss", "double_softmax"},
    {"open_iad", "fix_head", "false"},
    {"open_iad", "epsilon", "0.00000001"},
    {0},
};

typedef struct dne {
    training training; /* one store: encoder.*, head.* */
    const char *layer;
    int64_t width; /* of the embedding */
    network *encoder;
    linear head;
    made_spec specs[MOST_VIEWS];
    train_maker maker;
    bool twice, final; /* softmax before the cross-entropy; the finished network's embeddings */
    double rotation;
    gaussian_replay replay;
    float *rows; /* during fit: `room` embeddings, of which `seen` are there */
    int64_t room, seen;
} dne;

static bool option_is(const imiad_detector *self, const char *name, const char *value)
{
    return strcmp(options_text(self->options, name), value) == 0;
}

/* ---- views: section 2, on the loader's threads ---- */

/* Into the planes of a network's input, turned before where that is asked for. */
static imiad_status put_view(float *out, const imiad_image *view, const imiad_detector *self,
                             random_stream *s)
{
    const dne *m = self->state;
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

static imiad_status put_views(made_output *out, imiad_image *original, const made_from *from,
                              random_stream *s)
{
    cut_paste_options how = cut_paste_defaults;
    imiad_image *pasted;
    how.aspect_drawn = true;
    color_jitter jitter = color_jitter_draw(0.1, s);
    color_jitter_apply(original, &jitter);
    cut c = cut_paste_draw_patch(original->width, original->height, &how, s);
    TRY(cut_paste_patch(&pasted, NULL, original, &c));
    imiad_status status = put_view(out[1].values, pasted, from->detector, s);
    if (status == IMIAD_OK)
        status = put_view(out[0].values, original, from->detector, s);
    imiad_image_free(pasted);
    return status;
}

static imiad_status make_views(const made_from *from, made_output *out)
{
    random_stream s = made_stream(from, "views");
    imiad_image *original;
    TRY(image_to_rgb(&original, from->image));
    imiad_status status = put_views(out, original, from, &s);
    imiad_image_free(original);
    return status;
}

static imiad_status make_plain(const made_from *from, made_output *out)
{
    preprocess_normalize(out[0].values, from->image, &from->detector->preprocessing);
    return IMIAD_OK;
}

/* ---- training: section 4 ---- */

static tensor *embed(const dne *m, tensor *images, bool learns)
{
    tensor *map;
    network_features(m->encoder, images, &m->layer, 1, &map, learns);
    return t_mean(t_flatten(map, 2, 3), 2, false);
}

/* Keeps embeddings of images that are no copies; those of the last epoch are there in the end. */
static void keep_rows(dne *m, tensor *vectors)
{
    int64_t count = t_size(vectors, 0);
    if (t_failed() || count > m->room - m->seen)
        return;
    tensor *host = t_contiguous(t_to(t_to_device(t_detach(vectors), CPU), F32));
    size_t bytes = (size_t)(count * m->width) * sizeof *m->rows;
    t_read(host, m->rows + m->seen * m->width, bytes);
    m->seen += count;
}

/* The images are class 0, what was made of them 1. */
static tensor *make_classes(int64_t images, int views, device d)
{
    tensor *classes = t_zeros(1, (int64_t[]){images * views}, I64, CPU);
    int64_t *values = t_data(classes);
    for (int64_t i = images; values && i < images * views; ++i)
        values[i] = 1;
    return t_to_device(classes, d);
}

/* The code embeds the images a second time, before the step: without dropout that is the same. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    dne *m = self->state;
    tensor *vectors = embed(m, t_cat(step->made, m->maker.count, 0), true);
    if (!m->final && step->epoch + 1 == step->epochs)
        keep_rows(m, t_slice(vectors, 0, 0, step->count));
    tensor *logits = linear_run(&m->head, vectors);
    if (m->twice)
        logits = t_softmax(logits, 1);
    return t_cross_entropy(logits, make_classes(step->count, m->maker.count, t_device(logits)));
}

/* The code sets the rate after each step by its epoch: it lags by one step, and a task begins with
 * the rate with which the one before it ended. */
static double schedule_rate(const imiad_detector *self, double rate, const train_step *step,
                            int64_t steps)
{
    int64_t first = self->tasks > 0 ? steps - 1 : 0;
    int64_t last = step->index > 0 ? step->index - 1 : first;
    return schedule_cosine(rate, 0, last / (steps / step->epochs), step->epochs);
}

static double schedule_head(const imiad_detector *self, double rate, const train_step *step,
                            int64_t steps)
{
    bool fixed = options_bool(self->options, "fix_head") && self->tasks > 0;
    return fixed ? 0 : schedule_rate(self, rate, step, steps);
}

static const training_ops learning = {.loss = loss, .rate = schedule_rate};

/* ---- what is kept of a task ---- */

static imiad_status make_room(dne *m, const train_set *normals)
{
    m->room = (int64_t)train_set_count(normals);
    m->seen = 0;
    size_t bytes = (size_t)(m->room * m->width) * sizeof *m->rows;
    m->rows = malloc(bytes + 1);
    return m->rows ? IMIAD_OK : fail_memory("a task's embeddings", bytes);
}

static void free_rows(dne *m)
{
    free(m->rows);
    m->rows = NULL;
    m->room = m->seen = 0;
}

/* Of the images as they are scored. */
static imiad_status embed_finished(dne *m, train_set *normals)
{
    TRY(train_set_rewind(normals, NULL));
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        more = train_set_next(normals, &b);
        if (more)
            keep_rows(m, embed(m, b.images, false));
        TRY(scope_end(&s));
    }
    return IMIAD_OK;
}

static imiad_status keep_task(imiad_detector *self, train_set *normals)
{
    dne *m = self->state;
    if (m->final)
        TRY(embed_finished(m, normals));
    scope s = scope_begin();
    tensor *rows = t_view_of(m->rows, 2, (int64_t[]){m->seen, m->width}, F32);
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    imiad_status added = gaussian_replay_add(&m->replay, t_normalize(rows, 1), seed, "dne/replay",
                                             detector_device(self));
    imiad_status status = scope_end(&s);
    return status != IMIAD_OK ? status : added;
}

static imiad_status learn(imiad_detector *self, train_set *normals, const progress *p)
{
    dne *m = self->state;
    TRY(make_room(m, normals));
    imiad_status status = training_fit(self, normals, p);
    if (status == IMIAD_OK)
        status = keep_task(self, normals);
    free_rows(m);
    return status;
}

/* ---- making ---- */

static const char *choose_layer(const imiad_detector *self)
{
    const char *named = options_text(self->options, "layer");
    chain_layer found;
    if (*named)
        return named;
    return layer_find(&found, &self->backbone->chain, "norm.cls_token") ? "norm.cls_token"
                                                                        : "layer4";
}

static imiad_status create(imiad_detector *self)
{
    dne *m = self->state;
    chain_layer layer;
    m->layer = choose_layer(self);
    TRY(layer_require(&layer, &self->backbone->chain, "detector dne", m->layer));
    m->width = layer.node->channels; /* of the trained network: a saved one has no frozen weights */
    m->twice = option_is(self, "loss", "double_softmax");
    m->final = option_is(self, "embeddings", "final");
    m->rotation = options_real(self->options, "rotation");
    bool plain = option_is(self, "views", "plain");
    for (int i = 0; i < MOST_VIEWS; ++i)
        m->specs[i] = (made_spec){.kind = MADE_PLANES, .channels = 3};
    m->maker = (train_maker){m->specs, plain ? 1 : 2, plain ? make_plain : make_views};
    training_begin(self, &learning);
    m->training.maker = &m->maker;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    dne *m = self->state;
    gaussian_replay_clear(&m->replay);
    network_free(m->encoder);
    training_clear(&m->training);
}

static imiad_status add_head(dne *m, const imiad_detector *self, params *store, const char *purpose)
{
    const builder b = {.store = store,
                       .device = detector_device(self),
                       .seed = (uint64_t)options_int(self->options, "seed"),
                       .purpose = purpose,
                       .weights = INIT_TRUNC_NORMAL,
                       .biases = INIT_ZEROS};
    scope s = scope_begin();
    m->head = linear_add(&b, "head", m->width, 2, true);
    return scope_end(&s);
}

/* A new network with nothing learned; without its first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    dne *m = self->state;
    const option_set *o = self->options;
    params *store;
    gaussian_replay_clear(&m->replay);
    network_free(m->encoder);
    m->encoder = NULL;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "network"));
    TRY(network_create(&m->encoder, self->backbone->architecture, &m->layer, 1, store, "encoder.",
                       (uint64_t)options_int(o, "seed"), drawn ? "dne/encoder" : NULL,
                       detector_device(self)));
    TRY(add_head(m, self, store, drawn ? "dne/" : NULL));
    if (options_bool(o, "fix_patches"))
        params_set_trainable(store, "encoder.patch_embed.", false);
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .eps = options_real(o, "epsilon"),
                                    .weight_decay = options_real(o, "weight_decay")};
    double rate = options_real(o, "learning_rate");
    training_optimizer(&m->training, "encoder", "network", "encoder.", &adam, rate);
    training_optimizer(&m->training, "head", "network", "head.", &adam, rate)->schedule =
        schedule_head;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    dne *m = self->state;
    TRY(begin(self, true));
    if (options_bool(self->options, "pretrained")) {
        imiad_status status = network_copy(m->encoder, self->backbone);
        if (status != IMIAD_OK)
            return fail_within(status, "detector dne: pretrained");
    }
    return learn(self, normals, p);
}

/* The network goes on learning, and the task's Gaussian joins those of the others. */
static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    return training_go_on(self, normals, p, learn);
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const dne *m = self->state;
    out->image =
        shrunk_gaussian_distance(&m->replay.all, t_normalize(embed(m, b->images, false), 1));
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
    const dne *m = self->state;
    TRY(training_save(self, writer));
    return gaussian_replay_save(&m->replay, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    dne *m = self->state;
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return gaussian_replay_load(&m->replay, file, m->width, detector_device(self));
}

const detector_ops dne_ops = {
    .name = "dne",
    .title = "DNE (Li et al., ACM MM 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(dne),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .joins_tasks = true,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
