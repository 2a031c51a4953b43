/* DRA: four heads of a fine-tuned network score an image: how normal it is, how like the labelled
 * anomalies, how like pasted pseudo anomalies, and how far from a few normal reference images.
 * Ding, Pang, Shen: "Catching Both Gray and Black Swans: Open-set Supervised Anomaly Detection",
 * CVPR 2022.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/deviation_options.h"
#include "detectors/parts/dra_heads.h"
#include "detectors/parts/gradient_map.h"
#include "detectors/parts/left_gradients.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/random_rotation.h"
#include "detectors/training/training.h"
#include "nn/network.h"
#include "nn/schedule.h"
#include "synthesis/cut_paste.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    DEVIATION_LAYER_OPTIONS,
    {"top", OPT_REAL, "0.1", "0<..1",
     "share of the patches, those of the largest scores, that a head's score is the mean of"},
    {"references", OPT_INT, "5", "1..64",
     "normal images that the others are compared with, in every step and when scoring"},
    {"ref", OPT_CHOICE, "clean", "clean|official|fixed",
     "references when scoring: normal images as they are, or turned and half of them pasted; "
     "fixed: "
     "as they are, and the same ones in every step of training"},
    {"pseudo", OPT_REAL, "0.5", "0..1",
     "how often a normal training image makes place for another one with a piece of it pasted "
     "elsewhere"},
    DEVIATION_PRIOR_OPTIONS,
    {"steps", OPT_INT, "20", "0..1000000",
     "steps in an epoch, a third of each labelled anomalies, from endless shuffled rows; 0: one "
     "pass "
     "over the images"},
    DEVIATION_TRAINED_OPTIONS,
    {"decay_epochs", OPT_INT, "10", "1..1000000",
     "epochs with one learning rate; of the first ones there is one less"},
    DEVIATION_DECAY_OPTIONS,
    {"epochs", .default_value = "30"},
    DEVIATION_DEFAULTS,
    {0},
};

static const preset_value presets[] = {
    {"official", "ref", "official"},     {"official", "seed", "42"},
    {"open_iad", "trained", "backbone"}, {"open_iad", "ref", "fixed"},
    {"open_iad", "pseudo", "0"},         {"open_iad", "rotation", "0"},
    {"open_iad", "steps", "0"},          {"open_iad", "decay", "1"},
    {"open_iad", "resize", "224"},       {0},
};

enum { MOST_SCALES = 4 };

static const char extractor_names[] = "feature_extractor.net.";

typedef struct dra {
    training training; /* one store: the names of the authors' checkpoints */
    const char *layer;
    int64_t channels;
    network *extractor;
    dra_heads heads;
    int scales, references;           /* the option */
    tensor *normal_maps[MOST_SCALES]; /* kept: 1 x channels x h x w, means over the references */
    double margin, rotation, pasted;
    bool stuck;                /* trained=backbone */
    int64_t epoch_steps, rest; /* of a pass: the last of its steps has so many images */
    const char *learned_from;
    localization localization;
    train_maker maker;
} dra;

/* ---- the network ---- */

static tensor *features_at(const dra *m, tensor *images, int scale, bool learning)
{
    tensor *features;
    network_features(m->extractor, deviation_scaled(images, scale), &m->layer, 1, &features,
                     learning);
    return features;
}

/* The mean over the sizes of each head's scores. In training the first images are the references,
 * which the backbone's batch norm sees and that of the composite head does not. */
static void judge(const dra *m, tensor *images, bool learning, tensor *heads[DRA_HEADS])
{
    tensor *at_scale[DRA_HEADS];
    for (int h = 0; h < DRA_HEADS; ++h)
        heads[h] = NULL;
    for (int s = 0; s < m->scales && !t_failed(); ++s) {
        tensor *features = features_at(m, images, s, learning), *normal = m->normal_maps[s];
        if (learning) {
            normal = t_mean(t_slice(features, 0, 0, m->references), 0, true);
            features = t_slice(features, 0, m->references, t_size(features, 0));
        }
        const int64_t size[] = {t_size(features, 2), t_size(features, 3)};
        const int64_t kept[] = {t_size(normal, 2), t_size(normal, 3)};
        if (!t_try(one_size_check(m->training.detector, "positions", size, kept)))
            return;
        dra_heads_run(&m->heads, features, normal, learning, at_scale);
        for (int h = 0; h < DRA_HEADS; ++h)
            heads[h] = t_plus(heads[h], at_scale[h]);
    }
    for (int h = 0; h < DRA_HEADS; ++h)
        heads[h] = t_div_scalar(heads[h], (double)m->scales);
}

/* ---- training images, on the loader's threads ---- */

/* Any normal training image, each alike likely. */
static imiad_status other_normal(const imiad_image **out, const made_from *from,
                                 random_stream *stream)
{
    size_t wanted = (size_t)random_below(stream, train_set_count_label(from->set, 0)), at = 0;
    for (;; ++at)
        if (train_set_image(from->set, at).label == 0 && wanted-- == 0)
            break;
    return made_other(out, NULL, from, at);
}

/* The image, turned; a normal one may make place for a pseudo anomaly. What it is comes second. */
static imiad_status make_image(const made_from *from, made_output *out)
{
    const dra *m = from->detector->state;
    random_stream stream = made_stream(from, "image");
    if (from->told.label != 0 || random_real(&stream) >= m->pasted) {
        out[1].values[0] = from->told.label != 0 ? DRA_LABELLED : DRA_NORMAL;
        return random_rotation_put(&out[0], from->image, m->rotation, &stream);
    }
    const imiad_image *other;
    imiad_image *pasted;
    TRY(other_normal(&other, from, &stream));
    TRY(cut_mix(&pasted, NULL, other, &stream));
    out[1].values[0] = DRA_PASTED;
    imiad_status status = random_rotation_put(&out[0], pasted, m->rotation, &stream);
    imiad_image_free(pasted);
    return status;
}

/* ---- the loss ---- */

static deviation_prior draw_prior(const imiad_detector *self, const train_step *step, int head)
{
    char what[16], purpose[96];
    snprintf(what, sizeof what, "prior%d", head);
    training_purpose(purpose, self, what, step);
    return deviation_prior_draw(options_int(self->options, "prior"),
                                (uint64_t)options_int(self->options, "seed"), purpose);
}

/* Images beside the references; of a pass's last step those that were not repeated to fill it. */
static int64_t count_others(const dra *m, const train_step *step)
{
    bool last = m->epoch_steps > 0 && step->index % m->epoch_steps == m->epoch_steps - 1;
    return last ? m->rest : step->count - m->references;
}

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const dra *m = self->state;
    float told[MOST_BATCH];
    dra_kind kinds[MOST_BATCH];
    int64_t count = count_others(m, step);
    tensor *heads[DRA_HEADS], *sum = NULL;
    t_read(t_contiguous(t_to_device(step->made[1], CPU)), told, (size_t)step->count * sizeof *told);
    for (int64_t i = 0; i < count && !t_failed(); ++i)
        kinds[i] = (dra_kind)told[m->references + i];
    judge(m, t_slice(step->made[0], 0, 0, m->references + count), true, heads);
    for (int h = 0; h < DRA_HEADS && !t_failed(); ++h) {
        deviation_prior prior = draw_prior(self, step, h);
        sum = t_plus(sum, dra_head_loss(h, heads[h], kinds, count, &prior, m->margin));
    }
    return m->stuck ? t_add(sum, left_gradients_term(m->training.stores[0].parameters)) : sum;
}

static void clipped(imiad_detector *self, const train_step *step)
{
    const dra *m = self->state;
    (void)step;
    if (m->stuck)
        left_gradients_keep(m->training.stores[0].parameters);
}

/* The authors' scheduler steps before an epoch, not after it. */
static double rate(const imiad_detector *self, double base, const train_step *step, int64_t steps)
{
    (void)steps;
    return schedule_step(base, step->epoch + 1, options_int(self->options, "decay_epochs"),
                         options_real(self->options, "decay"));
}

/* ---- batches ---- */

static bool ref_is(const imiad_detector *self, const char *kind)
{
    return strcmp(options_text(self->options, "ref"), kind) == 0;
}

/* Normal images by the seed, at most as many as there are; returns how many. */
static size_t choose_references(size_t *out, const imiad_detector *self, const train_set *images)
{
    const dra *m = self->state;
    size_t count = 0;
    for (size_t i = 0; i < train_set_count(images); ++i)
        if (train_set_image(images, i).label == 0)
            out[count++] = i;
    random_stream stream =
        random_open((uint64_t)options_int(self->options, "seed"), "dra/references");
    random_shuffle(&stream, out, count);
    return count < (size_t)m->references ? count : (size_t)m->references;
}

static imiad_status plan(imiad_detector *self, train_plan *p)
{
    dra *m = self->state;
    int64_t others = options_int(self->options, "train_batch"), images = (int64_t)p->count;
    p->steps = options_int(self->options, "steps");
    m->epoch_steps = 0;
    if (p->steps == 0) {
        others = images < others ? images : others;
        m->epoch_steps = p->steps = (images + others - 1) / others;
        m->rest = images - (p->steps - 1) * others;
    }
    p->batch = m->references + others;
    return IMIAD_OK;
}

/* Every image once, in shuffled order; the last step is filled with some of them again. */
static imiad_status draw_pass(const dra *m, const train_plan *p, random_stream *stream, size_t *out)
{
    size_t *row = malloc(p->count * sizeof *row), next = 0;
    if (!row)
        return fail_memory("a draw of images", p->count * sizeof *row);
    memcpy(row, p->images, p->count * sizeof *row);
    random_shuffle(stream, row, p->count);
    for (int64_t i = 0; i < p->steps * p->batch; ++i)
        if (i % p->batch >= m->references)
            out[i] = row[next++ % p->count];
    free(row);
    return IMIAD_OK;
}

/* The same references in front of every step. */
static imiad_status fix_references(const imiad_detector *self, const train_plan *p, size_t *out)
{
    const dra *m = self->state;
    size_t *chosen = malloc(p->count * sizeof *chosen);
    if (!chosen)
        return fail_memory("a draw of images", p->count * sizeof *chosen);
    size_t count = choose_references(chosen, self, p->set);
    for (int64_t i = 0; i < p->steps * p->batch; ++i)
        if (i % p->batch < m->references)
            out[i] = chosen[(size_t)(i % p->batch) % count];
    free(chosen);
    return IMIAD_OK;
}

/* References, normal images, and a third of labelled anomalies; or references and a pass. */
static imiad_status draw(imiad_detector *self, const train_plan *p, random_stream *stream,
                         size_t *out)
{
    const dra *m = self->state;
    int64_t others = p->batch - m->references;
    int64_t normals = train_set_count_label(p->set, 1) > 0 ? 2 * others / 3 : others;
    const draw_part parts[] = {{0, m->references}, {0, normals}, {1, others - normals}};
    TRY(training_draw_parts(p, parts, normals < others ? 3 : 2, stream, out));
    if (m->epoch_steps > 0)
        TRY(draw_pass(m, p, stream, out));
    return ref_is(self, "fixed") ? fix_references(self, p, out) : IMIAD_OK;
}

static const training_ops learning = {
    .pixels = true, .loss = loss, .rate = rate, .plan = plan, .draw = draw, .clipped = clipped};

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    static const made_spec made[] = {{.kind = MADE_IMAGE},
                                     {.kind = MADE_PLANES, .channels = 1, .height = 1, .width = 1}};
    dra *m = self->state;
    const option_set *o = self->options;
    chain_layer layer;
    m->layer = options_text(o, "layer");
    TRY(layer_require(&layer, &self->backbone->chain, "detector dra", m->layer));
    if (layer.class_token)
        return fail(IMIAD_INVALID_ARGUMENT, "detector dra needs a layer with positions, not %s",
                    m->layer);
    /* of the trained network: a saved one has no frozen weights */
    m->channels = layer.node->channels;
    m->scales = (int)options_int(o, "scales");
    m->references = (int)options_int(o, "references");
    m->margin = options_real(o, "margin");
    m->rotation = options_real(o, "rotation");
    m->pasted = options_real(o, "pseudo");
    m->stuck = strcmp(options_text(o, "trained"), "backbone") == 0;
    m->localization = localization_of(o);
    m->maker = (train_maker){made, 2, make_image};
    training_begin(self, &learning);
    m->training.maker = &m->maker;
    return IMIAD_OK;
}

static void forget(dra *m)
{
    for (int s = 0; s < MOST_SCALES; ++s) {
        t_free(m->normal_maps[s]);
        m->normal_maps[s] = NULL;
    }
    network_free(m->extractor);
    m->extractor = NULL;
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    forget(self->state);
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
    dra *m = self->state;
    params *store;
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    forget(m);
    TRY(training_store(&store, &m->training, "network"));
    TRY(network_create(&m->extractor, self->backbone->architecture, &m->layer, 1, store,
                       extractor_names, seed, NULL, detector_device(self)));
    const builder b = {.store = store,
                       .device = detector_device(self),
                       .seed = seed,
                       .purpose = drawn ? "dra/" : NULL};
    scope s = scope_begin();
    m->heads = dra_heads_add(&b, m->channels, options_real(self->options, "top"));
    if (m->stuck)
        left_gradients_add(store, extractor_names);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "adam", "network", m->stuck ? extractor_names : NULL, &adam,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

/* ---- what it learns from ---- */

static const char *const sources[] = {"labelled anomalies", "labelled and pasted anomalies",
                                      "pasted anomalies"};

static imiad_status check_labels(dra *m, const train_set *images)
{
    size_t labelled = train_set_count_label(images, 1);
    if (train_set_count_label(images, 0) == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector dra: no training image is normal");
    if (labelled == 0 && m->pasted <= 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector dra: with pseudo=0 it learns from labelled anomalies alone, and the "
                    "training images have none: use the setting supervised, which takes some");
    m->learned_from = sources[labelled == 0 ? 2 : m->pasted > 0];
    log_message(IMIAD_LOG_INFO, "dra: learns from %s: %zu labelled ones, %zu normal images",
                m->learned_from, labelled, train_set_count_label(images, 0));
    return IMIAD_OK;
}

/* Their mean features of every size, which every image that is scored is compared with. */
static imiad_status keep_references(imiad_detector *self, train_set *images)
{
    dra *m = self->state;
    bool as_trained = ref_is(self, "official");
    size_t *chosen = malloc(train_set_count(images) * sizeof *chosen);
    if (!chosen)
        return fail_memory("a draw of images", train_set_count(images) * sizeof *chosen);
    size_t count = choose_references(chosen, self, images);
    const train_pass pass = {.order = chosen,
                             .count = count,
                             .batch = count,
                             .maker = as_trained ? &m->maker : NULL,
                             .epoch = options_int(self->options, "epochs")};
    imiad_status status = train_set_begin(images, &pass);
    if (status == IMIAD_OK) {
        batch b;
        tensor *means[MOST_SCALES];
        scope s = scope_begin();
        train_set_next(images, &b);
        for (int k = 0; k < m->scales && !t_failed(); ++k)
            means[k] = t_mean(features_at(m, as_trained ? b.made[0] : b.images, k, false), 0, true);
        for (int k = 0; k < m->scales && !t_failed(); ++k) {
            t_free(m->normal_maps[k]);
            m->normal_maps[k] = t_keep(means[k]);
        }
        status = scope_end(&s);
    }
    free(chosen);
    return status;
}

static imiad_status learn(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(training_fit(self, images, p));
    return keep_references(self, images);
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    dra *m = self->state;
    TRY(check_labels(m, images));
    TRY(begin(self, true));
    imiad_status status = network_copy(m->extractor, self->backbone);
    if (status != IMIAD_OK)
        return fail_within(status, "detector dra");
    return learn(self, images, p);
}

static imiad_status fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(check_labels(self->state, images));
    return training_go_on(self, images, p, learn);
}

/* ---- score ---- */

static tensor *judge_tested(imiad_detector *self, tensor *images)
{
    tensor *heads[DRA_HEADS];
    judge(self->state, images, false, heads);
    return t_sub(t_add(t_add(heads[DRA_SEEN], heads[DRA_PSEUDO]), heads[DRA_COMPOSITE]),
                 heads[DRA_HOLISTIC]);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const dra *m = self->state;
    gradient_map_score(self, b, m->localization, judge_tested, out);
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const dra *m = self->state;
    TRY(training_save(self, writer));
    TRY(weights_writer_metadata(writer, "learned_from", m->learned_from));
    for (int s = 0; s < m->scales; ++s) {
        char name[32];
        snprintf(name, sizeof name, "references.%d", s);
        TRY(weights_writer_add_tensor(writer, name, m->normal_maps[s]));
    }
    return IMIAD_OK;
}

static imiad_status load_references(dra *m, const weights *file, device d)
{
    for (int s = 0; s < m->scales; ++s) {
        char name[32];
        snprintf(name, sizeof name, "references.%d", s);
        TRY(weights_expect(NULL, file, name, F32, 4,
                           (int64_t[]){1, m->channels, ANY_SIZE, ANY_SIZE}));
        TRY(weights_load_tensor(&m->normal_maps[s], file, name, d));
    }
    return IMIAD_OK;
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    dra *m = self->state;
    const char *learned_from = weights_metadata(file, "learned_from");
    TRY(begin(self, false));
    TRY(training_load(self, file));
    for (size_t i = 0; i < sizeof sources / sizeof *sources; ++i)
        if (learned_from && strcmp(learned_from, sources[i]) == 0)
            m->learned_from = sources[i];
    if (!m->learned_from)
        return fail(IMIAD_FORMAT, "learned_from is \"%s\"", learned_from ? learned_from : "");
    return load_references(m, file, detector_device(self));
}

const detector_ops dra_ops = {
    .name = "dra",
    .title = "DRA (Ding et al., CVPR 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(dra),
    .needs_backbone = true,
    .takes = TAKES_ANOMALIES,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
