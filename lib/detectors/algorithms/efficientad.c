/* EfficientAD: a student learns a small teacher's description of patches where it is hardest, and
 * an autoencoder learns it of whole images; where the student departs from the teacher a part is
 * wrong, where it departs from the autoencoder the whole is. Batzner, Heckler, König: "EfficientAD:
 * Accurate Visual Anomaly Detection at Millisecond-Level Latencies", WACV 2024. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/channel_statistics.h"
#include "detectors/parts/hard_loss.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/pdn_autoencoder.h"
#include "detectors/parts/pdn_distil.h"
#include "detectors/parts/pdn_images.h"
#include "detectors/parts/two_maps.h"
#include "detectors/training/training.h"
#include "nn/schedule.h"

enum { LEAST_SIDE = 36, MAP_MARGIN = 4 /* positions that an unpadded network lacks on a side */ };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|compact",
     "the paper's numbers, or those that a CPU learns in minutes"},
    {"size", OPT_CHOICE, "small", "small|medium", "the paper's small or medium network"},
    {"width", OPT_INT, "128", "4..1024",
     "channels of a small network's first layer, a multiple of 4; all others are multiples of it"},
    {"padding", OPT_BOOL, "false", "",
     "zeros around the images of teacher and student, so that they describe the border too"},
    {"pad_maps", OPT_BOOL, "true", "",
     "zeros around the map where the networks are not padded, so that it lies where it belongs"},
    {"teacher", OPT_TEXT, "", "",
     "file with a teacher's weights: of the public codes, or a saved EfficientAD; empty: the "
     "backbone is distilled into one"},
    {"layers", OPT_TEXT, "layer2,layer3", "", "backbone layers that a distilled teacher learns"},
    {"distil_images", OPT_TEXT, "", "",
     "folder of images from which a teacher is distilled; empty: the training images"},
    {"distil_steps", OPT_INT, "10000", "1..10000000", "steps of distilling a teacher"},
    {"distil_batch", OPT_INT, "16", "1..256", "images in a step of distilling"},
    {"distil_size", OPT_INT, "0", "0..8192",
     "side in pixels of the images that the backbone is shown then; 0: twice that of the others"},
    {"penalty_images", OPT_TEXT, "", "",
     "folder of any images but the product's, on which the student is to stay silent; empty: none"},
    {"quantile_images", OPT_TEXT, "", "",
     "folder of good images whose maps set the scale of the two maps; empty: a share of the "
     "training images"},
    {"val_split", OPT_REAL, "0.1", "0..0.9",
     "share of the training images that are held out for that; 0: all of them train and serve"},
    {"jitter", OPT_CHOICE, "native", "native|resized|none",
     "the autoencoder's images are changed in brightness, contrast or saturation before they are "
     "resized, after it, or not"},
    {"hard_quantile", OPT_REAL, "0.999", "0..1",
     "the student learns from the elements whose error is at least this quantile"},
    {"dropout", OPT_REAL, "0.2", "0..0.9", "of the autoencoder's decoder"},
    {"weight_decay", OPT_REAL, "0.00001", "0..", "weight decay of Adam, added to the gradient"},
    {"schedule", OPT_CHOICE, "step", "step|constant",
     "the learning rate falls to a tenth for the last twentieth of the steps, or stays"},
    {"steps", OPT_INT, "1000", "1..1000000", "steps of an epoch"},
    {"epochs", .default_value = "70"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "1"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"compact", "resize", "128"},          {"compact", "width", "32"},
    {"compact", "epochs", "10"},           {"compact", "steps", "100"},
    {"compact", "distil_steps", "400"},    {"compact", "distil_batch", "4"},
    {"compact", "learning_rate", "0.001"}, {0}};

typedef struct efficientad {
    training training; /* stores teacher, student, autoencoder, maps */
    pdn teacher, student;
    pdn_autoencoder autoencoder;
    tensor *mean, *deviation; /* of the teacher's outputs; buffers of its store */
    tensor *quantiles;        /* of both maps; the buffer of the store maps */
    conv2d folded;   /* the teacher's last convolution with mean and deviation in it; kept */
    map_scale scale; /* of the quantiles */
    int64_t outputs, side, positions;
    bool padded, framed, jitters, penalised;
    made_spec specs[2];
    train_maker maker;
    texture_source *penalty, *distilled_from; /* while fitting */
    pdn_lesson lesson;
    char penalty_name[512], teacher_name[512]; /* of the last fit, for the file */
    /* While fitting: which training images set the scale of the maps. They do not train, unless
     * none can be spared. */
    bool *held, spared;
} efficientad;

static bool option_is(const imiad_detector *self, const char *name, const char *value)
{
    return strcmp(options_text(self->options, name), value) == 0;
}

/* ---- images of a step: on the loader's threads ---- */

static imiad_status make(const made_from *from, made_output *out)
{
    const efficientad *m = from->detector->state;
    if (m->jitters)
        TRY(pdn_make_jittered(out++, from, option_is(from->detector, "jitter", "native")));
    return m->penalised ? pdn_make_penalty(out, from, m->penalty) : IMIAD_OK;
}

static imiad_status make_lesson(const made_from *from, made_output *out)
{
    const efficientad *m = from->detector->state;
    return pdn_lesson_make(&m->lesson, from, out);
}

/* ---- training ---- */

static void teach(imiad_detector *self, const batch *b, tensor **out)
{
    const efficientad *m = self->state;
    out[0] = pdn_run(&m->teacher, t_channels_last(b->images), m->padded);
}

static tensor *standardised(const efficientad *m, tensor *taught)
{
    return t_div(t_sub(taught, m->mean), m->deviation);
}

/* Part of the student's outputs: the first half learns the teacher, the second the autoencoder. */
static tensor *study(const efficientad *m, tensor *images, int64_t first, int64_t end)
{
    return pdn_head(&m->student, pdn_trunk(&m->student, images, m->padded), first, end);
}

/* Without jitter both halves come of one pass, and the teacher's outputs are those of the cache. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const efficientad *m = self->state;
    tensor *const *made = step->made, *images = step->pixels.images, *jittered = NULL;
    tensor *taught = standardised(m, step->frozen[0]), *answered = taught, *second;
    if (m->jitters)
        jittered = *made++;
    tensor *trunk = pdn_trunk(&m->student, images, m->padded);
    tensor *first = pdn_head(&m->student, trunk, 0, m->outputs);
    tensor *total = hard_loss(taught, first, options_real(self->options, "hard_quantile"));
    if (m->penalised)
        total = t_add(total, t_mean_all(t_square(study(m, *made, 0, m->outputs))));
    if (jittered) {
        answered = standardised(m, pdn_run(&m->teacher, jittered, m->padded));
        second = study(m, jittered, m->outputs, 2 * m->outputs);
    } else {
        second = pdn_head(&m->student, trunk, m->outputs, 2 * m->outputs);
    }
    tensor *given = pdn_autoencoder_run(&m->autoencoder, jittered ? jittered : images, true);
    total = t_add(total, t_mse_loss(given, answered));
    return t_add(total, t_mean_all(t_square(t_sub(given, second))));
}

static double schedule_rate(const imiad_detector *self, double rate, const train_step *step,
                            int64_t steps)
{
    int64_t size = (int64_t)(0.95 * (double)steps);
    return option_is(self, "schedule", "step") && size > 0
               ? schedule_step(rate, step->index, size, 0.1)
               : rate;
}

static imiad_status plan(imiad_detector *self, train_plan *p)
{
    p->steps = options_int(self->options, "steps");
    p->batch = options_int(self->options, "train_batch");
    return IMIAD_OK;
}

static bool trains(const efficientad *m, size_t image)
{
    return !m->held[image] || !m->spared;
}

/* An endless shuffled row of the images that train. */
static imiad_status draw(imiad_detector *self, const train_plan *p, random_stream *stream,
                         size_t *out)
{
    const efficientad *m = self->state;
    size_t *row = malloc(p->count * sizeof *row), trained = 0;
    if (!row)
        return fail_memory("an order of images", p->count * sizeof *row);
    for (size_t i = 0; i < p->count; ++i)
        if (trains(m, p->images[i]))
            row[trained++] = p->images[i];
    for (size_t i = 0, wanted = (size_t)(p->steps * p->batch); i < wanted; ++i) {
        if (i % trained == 0)
            random_shuffle(stream, row, trained);
        out[i] = row[i % trained];
    }
    free(row);
    return IMIAD_OK;
}

static const training_ops learning = {.frozen = teach,
                                      .pixels = true,
                                      .loss = loss,
                                      .rate = schedule_rate,
                                      .plan = plan,
                                      .draw = draw};

/* ---- mean and deviation of the teacher's outputs ---- */

static void add_outputs(imiad_detector *self, const train_step *step, void *context)
{
    const efficientad *m = self->state;
    for (int64_t i = 0; i < step->count; ++i)
        if (trains(m, step->images[i]))
            channel_statistics_add(context, t_slice(step->frozen[0], 0, i, i + 1));
}

static imiad_status visit_outputs(efficientad *m, training_run *run)
{
    channel_statistics s;
    TRY(channel_statistics_open(&s, m->outputs));
    imiad_status status = training_visit(run, add_outputs, &s);
    if (status == IMIAD_OK) {
        scope setting = scope_begin();
        channel_statistics_finish(m->mean, m->deviation, &s);
        status = scope_end(&setting);
    }
    channel_statistics_close(&s);
    return status;
}

/* ---- the two maps and their quantiles: section 3.4 ---- */

/* The sums over channels of (teacher - student)^2 and (autoencoder - student)^2; n x h x w. */
static void compare(imiad_detector *self, tensor *images, tensor *out[MOST_MAPS])
{
    const efficientad *m = self->state;
    images = t_channels_last(images);
    tensor *trunk = pdn_trunk(&m->teacher, images, m->padded);
    tensor *taught = t_conv2d(trunk, m->folded.weight, m->folded.bias, 1, 0, 1, 1);
    tensor *studied = study(m, images, 0, 2 * m->outputs);
    tensor *given = pdn_autoencoder_run(&m->autoencoder, images, false);
    tensor *halves[TWO_MAPS] = {t_slice(studied, 1, 0, m->outputs),
                                t_slice(studied, 1, m->outputs, 2 * m->outputs)};
    out[0] = t_sum(t_square(t_sub(taught, halves[0])), 1, false);
    out[1] = t_sum(t_square(t_sub(given, halves[1])), 1, false);
}

static imiad_status scale_maps(imiad_detector *self, train_set *images, const progress *p)
{
    const efficientad *m = self->state;
    const char *folder = options_text(self->options, "quantile_images");
    map_values v = {.maps = compare, .count = TWO_MAPS, .channels = m->outputs};
    float found[MAP_QUANTILES];
    imiad_status status = folder[0] ? map_values_of_folder(&v, self, folder, p)
                                    : map_values_of_set(&v, self, images, m->held, p);
    if (status == IMIAD_OK)
        status = map_values_quantiles(found, &v);
    map_values_free(&v);
    TRY(status);
    scope s = scope_begin();
    t_copy_(m->quantiles, t_from(found, 1, (int64_t[]){MAP_QUANTILES}, F32, CPU));
    return scope_end(&s);
}

/* ---- making ---- */

static imiad_status check_size(efficientad *m, const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    m->side = p->crop ? p->crop : p->resize;
    if (!p->crop && !p->squash)
        return fail(IMIAD_OUT_OF_RANGE, "detector efficientad: its images must be square: set "
                                        "crop, or resize_mode=squash");
    if (m->side < LEAST_SIDE)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector efficientad: images of %lld x %lld pixels are too small: at least %d",
                    (long long)m->side, (long long)m->side, LEAST_SIDE);
    m->positions = pdn_positions(m->side, m->padded);
    return IMIAD_OK;
}

/* That the backbone has these layers. A loaded detector's has no weights any more, which matters
 * only where it is to be fitted anew. */
static imiad_status check_layers(const imiad_detector *self)
{
    layer_list layers = {0};
    if (options_text(self->options, "teacher")[0])
        return IMIAD_OK;
    imiad_status status = layer_list_parse(&layers, "detector efficientad",
                                           options_text(self->options, "layers"), self->backbone);
    layer_list_free(&layers);
    return status == IMIAD_MISMATCH ? IMIAD_OK : status;
}

static imiad_status create(imiad_detector *self)
{
    efficientad *m = self->state;
    const option_set *o = self->options;
    int64_t width = options_int(o, "width");
    m->padded = options_bool(o, "padding");
    m->framed = options_bool(o, "pad_maps") && !m->padded;
    m->outputs = width * PDN_OUTPUTS / PDN_WIDTH;
    if (width % 4)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector efficientad: option width is %lld: it must be a multiple of 4",
                    (long long)width);
    m->jitters = !option_is(self, "jitter", "none");
    m->penalised = options_text(o, "penalty_images")[0];
    TRY(check_size(m, self));
    TRY(check_layers(self));
    memcpy(self->preprocessing.mean, imagenet_mean, sizeof imagenet_mean);
    memcpy(self->preprocessing.std, imagenet_std, sizeof imagenet_std);
    training_begin(self, &learning);
    m->training.frozen_count = 1;
    return IMIAD_OK;
}

static void forget_folded(efficientad *m)
{
    t_free(m->folded.weight);
    t_free(m->folded.bias);
    m->folded = (conv2d){NULL, NULL, {0}};
}

static void put_away(efficientad *m)
{
    texture_source_close(m->penalty);
    texture_source_close(m->distilled_from);
    free(m->held);
    m->penalty = m->distilled_from = NULL;
    m->held = NULL;
}

static void destroy(imiad_detector *self)
{
    efficientad *m = self->state;
    forget_folded(m);
    put_away(m);
    training_clear(&m->training);
}

static void make_networks(efficientad *m, const imiad_detector *self, params *const stores[4],
                          bool drawn)
{
    static const char *const purposes[] = {"efficientad/teacher/", "efficientad/student/",
                                           "efficientad/autoencoder/", NULL};
    const option_set *o = self->options;
    pdn_size size = option_is(self, "size", "small") ? PDN_SMALL : PDN_MEDIUM;
    int64_t width = options_int(o, "width");
    builder b[4];
    for (int i = 0; i < 4; ++i)
        b[i] = (builder){.store = stores[i],
                         .device = detector_device(self),
                         .seed = (uint64_t)options_int(o, "seed"),
                         .purpose = drawn ? purposes[i] : NULL};
    const int64_t each[] = {1, m->outputs, 1, 1};
    m->teacher = pdn_add(&b[0], size, width, m->outputs);
    m->mean = buffer_add(&b[0], "mean", 4, each, 0);
    m->deviation = buffer_add(&b[0], "deviation", 4, each, 1);
    m->student = pdn_add(&b[1], size, width, 2 * m->outputs);
    m->autoencoder = pdn_autoencoder_add(&b[2], width, m->outputs, m->side, m->positions);
    m->autoencoder.dropout = options_real(o, "dropout");
    m->quantiles = buffer_add(&b[3], "quantiles", 1, (int64_t[]){MAP_QUANTILES}, 0);
}

/* New networks with nothing learned; without their first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    static const char *const names[] = {"teacher", "student", "autoencoder", "maps"};
    efficientad *m = self->state;
    params *stores[4];
    forget_folded(m);
    training_clear(&m->training);
    for (int i = 0; i < 4; ++i)
        TRY(training_store(&stores[i], &m->training, names[i]));
    scope s = scope_begin();
    make_networks(m, self, stores, drawn);
    TRY(scope_end(&s));
    const optimizer_options adam = {.kind = OPTIMIZER_ADAM,
                                    .weight_decay = options_real(self->options, "weight_decay")};
    for (int i = 1; i < 3; ++i)
        training_optimizer(&m->training, names[i], names[i], NULL, &adam,
                           options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

/* What scores: the teacher's statistics go into its last convolution, both maps' quantiles into a
 * factor each and an offset. */
static imiad_status fold_teacher(efficientad *m)
{
    forget_folded(m);
    scope s = scope_begin();
    pdn_fold(&m->folded, &m->teacher, t_view(m->mean, 1, &m->outputs),
             t_view(m->deviation, 1, &m->outputs));
    return scope_end(&s);
}

static imiad_status fold_quantiles(efficientad *m)
{
    float q[MAP_QUANTILES];
    scope s = scope_begin();
    t_read(m->quantiles, q, sizeof q);
    TRY(scope_end(&s));
    m->scale = map_scale_of(q, m->outputs);
    return IMIAD_OK;
}

/* ---- fit ---- */

static imiad_status open_folder(texture_source **out, const imiad_detector *self,
                                const char *option, uint64_t room)
{
    const char *folder = options_text(self->options, option);
    if (!folder[0])
        return IMIAD_OK;
    imiad_status status = texture_source_open(out, folder, room);
    return status == IMIAD_OK ? status : fail_within(status, "detector efficientad: %s", option);
}

static imiad_status distil(imiad_detector *self, train_set *images, const progress *p)
{
    efficientad *m = self->state;
    const option_set *o = self->options;
    int64_t larger = options_int(o, "distil_size");
    TRY(open_folder(&m->distilled_from, self, "distil_images", 0));
    m->lesson = (pdn_lesson){.layers = options_text(o, "layers"),
                             .folder = m->distilled_from,
                             .steps = options_int(o, "distil_steps"),
                             .batch = options_int(o, "distil_batch"),
                             .outputs = m->outputs,
                             .loss = pdn_lesson_loss,
                             .side = (int32_t)m->side,
                             .backbone_side = (int32_t)(larger ? larger : 2 * m->side),
                             .rate = options_real(o, "learning_rate"),
                             .weight_decay = options_real(o, "weight_decay"),
                             .seed = (uint64_t)options_int(o, "seed"),
                             .checkpoint = options_text(o, "checkpoint")};
    pdn_lesson_specs(m->specs, &m->lesson);
    const train_maker maker = {m->specs, PDN_LESSON_TENSORS, make_lesson};
    TRY(pdn_distil(m->teacher_name, &m->teacher, m->training.stores[0].parameters, &m->lesson, self,
                   images, &maker, p));
    return train_set_rewind(images, NULL);
}

static imiad_status find_teacher(imiad_detector *self, train_set *images, const progress *p)
{
    efficientad *m = self->state;
    const char *path = options_text(self->options, "teacher");
    if (path[0]) {
        imiad_status status = pdn_import(&m->teacher, path);
        if (status != IMIAD_OK)
            return fail_within(status, "detector efficientad: teacher");
        snprintf(m->teacher_name, sizeof m->teacher_name, "%s", path);
    } else {
        TRY(distil(self, images, p));
    }
    params_set_trainable(m->training.stores[0].parameters, NULL, false);
    log_message(IMIAD_LOG_INFO, "efficientad: teacher: %s", m->teacher_name);
    return IMIAD_OK;
}

static imiad_status open_penalty(imiad_detector *self)
{
    efficientad *m = self->state;
    uint64_t room = (uint64_t)options_int(self->options, "image_cache") * 1000000;
    TRY(open_folder(&m->penalty, self, "penalty_images", room));
    snprintf(m->penalty_name, sizeof m->penalty_name, "%s",
             m->penalised ? texture_source_name(m->penalty) : "none");
    log_message(IMIAD_LOG_INFO, "efficientad: penalty images: %s", m->penalty_name);
    int count = 0;
    if (m->jitters)
        m->specs[count++] = (made_spec){.kind = MADE_IMAGE};
    if (m->penalised)
        m->specs[count++] = (made_spec){.kind = MADE_IMAGE};
    m->maker = (train_maker){m->specs, count, make};
    m->training.maker = count > 0 ? &m->maker : NULL;
    return IMIAD_OK;
}

/* The student and the autoencoder, then the scale of the maps; `first`: and before both what the
 * teacher's outputs are on these images, which another task leaves as it was. */
static imiad_status learn(imiad_detector *self, train_set *images, const progress *p, bool first)
{
    efficientad *m = self->state;
    training_run *run;
    bool elsewhere = options_text(self->options, "quantile_images")[0];
    free(m->held);
    m->held = NULL;
    TRY(map_values_choose(&m->held, &m->spared, self, images,
                          elsewhere ? 0 : options_real(self->options, "val_split")));
    TRY(open_penalty(self));
    TRY(training_open(&run, self, images, p));
    imiad_status status = first ? visit_outputs(m, run) : IMIAD_OK;
    if (status == IMIAD_OK)
        status = training_steps(run);
    training_close(run);
    if (status == IMIAD_OK && first)
        status = fold_teacher(m);
    return status == IMIAD_OK ? scale_maps(self, images, p) : status;
}

static imiad_status learn_first(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(begin(self, true));
    TRY(find_teacher(self, images, p));
    return learn(self, images, p, true);
}

static imiad_status learn_more(imiad_detector *self, train_set *images, const progress *p)
{
    return learn(self, images, p, false);
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    imiad_status status = learn_first(self, images, p);
    put_away(self->state);
    if (status == IMIAD_OK)
        status = pdn_lesson_end(options_text(self->options, "checkpoint"));
    return status == IMIAD_OK ? fold_quantiles(self->state) : status;
}

static imiad_status fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    imiad_status status = training_go_on(self, images, p, learn_more);
    put_away(self->state);
    return status == IMIAD_OK ? fold_quantiles(self->state) : status;
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const efficientad *m = self->state;
    tensor *maps[MOST_MAPS];
    if (b->height != m->side || b->width != m->side) {
        t_fail(IMIAD_MISMATCH, "detector efficientad: an image of %lld x %lld pixels, not %lld",
               (long long)b->width, (long long)b->height, (long long)m->side);
        return;
    }
    compare(self, b->images, maps);
    tensor *both = map_scale_apply(&m->scale, maps);
    out->maps =
        m->framed ? t_pad2d(both, MAP_MARGIN, MAP_MARGIN, MAP_MARGIN, MAP_MARGIN, PAD_ZERO) : both;
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const efficientad *m = self->state;
    TRY(weights_writer_metadata(writer, "teacher", m->teacher_name));
    TRY(weights_writer_metadata(writer, "penalty_images", m->penalty_name));
    return training_save(self, writer);
}

static void take_name(char out[512], const weights *file, const char *key)
{
    const char *name = weights_metadata(file, key);
    snprintf(out, 512, "%s", name ? name : "");
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    efficientad *m = self->state;
    take_name(m->teacher_name, file, "teacher");
    take_name(m->penalty_name, file, "penalty_images");
    TRY(begin(self, false));
    TRY(training_load(self, file));
    params_set_trainable(m->training.stores[0].parameters, NULL, false);
    TRY(fold_teacher(m));
    return fold_quantiles(m);
}

/* The teacher stands in for the backbone: scoring uses none of its layers. */
static const char *const *used_layers(const imiad_detector *self, int *count)
{
    (void)self;
    *count = 0;
    return NULL;
}

const detector_ops efficientad_ops = {
    .name = "efficientad",
    .title = "EfficientAD (Batzner et al., WACV 2024)",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(efficientad),
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
