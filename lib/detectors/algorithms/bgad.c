/* BGAD: a conditional flow at each level of a frozen backbone learns the likelihood of normal
 * patches; a few labelled defects sharpen it at an explicit boundary, above which normal patches
 * are pulled and below which defective ones are pushed. Yao, Li, Zhang, Sun, Zhang: "Explicit
 * Boundary Guided Semi-Push-Pull Contrastive Learning for Supervised Anomaly Detection", CVPR 2023.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/mixed_epoch.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/position_code.h"
#include "detectors/parts/push_pull.h"
#include "detectors/training/training.h"
#include "nn/flows.h"

enum { MOST_LEVELS = 3, WARM_EPOCHS = 2 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|compact|official",
     "whose defaults: this library's; smaller flows in many small steps, for CPUs; the authors' "
     "code's"},
    {"layers", OPT_TEXT, "", "",
     "one to three backbone layers; empty: blocks.1,blocks.2,blocks.4 (the authors', of "
     "tf_efficientnet_b6), features.2,features.3,features.5 or layer1,layer2,layer3"},
    {"coupling_layers", OPT_INT, "8", "1..64", "coupling blocks of a flow"},
    {"clamp", OPT_REAL, "1.9", "0<..", "bound of the logarithm of a block's scales"},
    {"position_code", OPT_INT, "128", "4..1024", "numbers of a position's code, a multiple of 4"},
    {"repeats", OPT_INT, "10", "1..1000", "how often an epoch sees each labelled defect"},
    {"pasted", OPT_REAL, "0.5", "0..1",
     "share of these repeats in which it is changed and pasted into a normal image"},
    {"foreground", OPT_CHOICE, "object", "object|all",
     "where it is pasted: on what differs from the image's border, or anywhere"},
    {"boundary", OPT_REAL, "0.01", "0..0.99",
     "share of a step's normal patches below the boundary"},
    {"margin", OPT_REAL, "0.1", "0..",
     "distance from the boundary down to that of defective patches"},
    {"normaliser", OPT_REAL, "10", "0<..", "what log-likelihoods are divided by to be compared"},
    {"focal", OPT_BOOL, "true", "", "patches that are hard count more"},
    {"contrast", OPT_REAL, "1", "0..", "weight of the losses at the boundary"},
    {"patch_batch", OPT_INT, "4096", "2..1048576", "patches in a step of an optimiser"},
    {"sub_epochs", OPT_INT, "8", "1..100000",
     "epochs with one learning rate; the first so many see normal patches only"},
    {"warm_up_steps", OPT_INT, "0", "0..1000000",
     "steps that warming up counts in an epoch; 0: as many as there are, 2: the authors' code"},
    {"maxima", OPT_CHOICE, "training", "training|batch",
     "where a level's largest log-likelihood is taken from: normal training images, or the images "
     "that are scored together"},
    {"map", OPT_CHOICE, "probability", "probability|log_probability",
     "a level's share of the map: 1 - P, or -log P, where P is 1 at that maximum"},
    {"epochs", .default_value = "200"},
    {"learning_rate", .default_value = "0.0002"},
    {"train_batch", .default_value = "32"},
    {"drop_last", .default_value = "true"},
    {"seed", .default_value = "0"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"compact", "coupling_layers", "4"},
    {"compact", "position_code", "32"},
    {"compact", "patch_batch", "256"},
    {"compact", "train_batch", "4"},
    {"compact", "learning_rate", "0.01"},
    {"compact", "epochs", "12"},
    {"compact", "sub_epochs", "1"},
    {"official", "warm_up_steps", "2"},
    {0},
};

typedef struct level {
    int64_t channels, height, width;
    flow_block *blocks;
    flow_folded *folded; /* the same as scoring runs them */
    tensor *code;        /* kept: positions x position_code */
    tensor *maximum;     /* the store's: of normal training patches */
} level;

typedef struct bgad {
    training training; /* two stores: what is learned; rotations and maxima */
    layer_list layers;
    level levels[MOST_LEVELS];
    int blocks;
    push_pull losses;
    int64_t steps, batch; /* of an epoch */
    mixed_images images;
    uint8_t *slots;                        /* of an epoch's places: mixed_slot */
    tensor *features[MOST_LEVELS], *masks; /* of the step that is taken, from its first turn on */
    bool of_batch, logarithmic;
} bgad;

/* ---- features ---- */

static void read_features(imiad_detector *self, const batch *b, tensor **out)
{
    const bgad *m = self->state;
    for (int i = 0; i < m->layers.count; ++i)
        out[i] = NULL;
    detector_features(self, b, m->layers.names, m->layers.count, out);
    for (int i = 0; i < m->layers.count && !t_failed(); ++i) {
        const int64_t size[] = {t_size(out[i], 2), t_size(out[i], 3)};
        const int64_t coded[] = {m->levels[i].height, m->levels[i].width};
        t_try(one_size_check(self, "positions", size, coded));
    }
}

/* n x positions x channels. */
static tensor *patches_of(const level *l, tensor *features)
{
    tensor *last = t_permute(features, 4, (int[]){0, 2, 3, 1});
    return t_view(last, 3, (int64_t[]){-1, l->height * l->width, l->channels});
}

/* Of a patch, divided by its dimension. */
static tensor *log_likelihood(const level *l, tensor *z, tensor *log_determinant, int dim)
{
    const double half_log_2pi = 0.9189385332046727;
    double c = (double)l->channels;
    tensor *energy = t_mul_scalar(t_sum(t_square(z), dim, false), 0.5);
    return t_div_scalar(t_add_scalar(t_sub(log_determinant, energy), -c * half_log_2pi), c);
}

/* ---- training ---- */

static bool sees_normals_only(const imiad_detector *self, const train_step *step)
{
    return step->epoch < options_int(self->options, "sub_epochs");
}

static const made_spec specs[] = {{.kind = MADE_IMAGE}, {.kind = MADE_MASK}};

static imiad_status make(const made_from *from, made_output *out)
{
    const bgad *m = from->detector->state;
    bool anywhere = strcmp(options_text(from->detector->options, "foreground"), "all") == 0;
    return m->slots[from->place] == PASTED ? mixed_paste(out, from, &m->images, anywhere)
                                           : IMIAD_OK;
}

static const train_maker paster = {specs, 2, make};

/* The patches of a step at a level: rows of features, their positions, 1 where defective. */
typedef struct patch_rows {
    tensor *features, *defective;
    int64_t count, positions;
} patch_rows;

static patch_rows gather(imiad_detector *self, const train_step *step, const level *l, int turn)
{
    const bgad *m = self->state;
    int64_t chosen[256], images = 0;
    bool normals_only = sees_normals_only(self, step);
    for (int64_t i = 0; i < step->count; ++i)
        if (!normals_only || step->told[i].label == 0)
            chosen[images++] = i;
    patch_rows rows = {.positions = l->height * l->width, .count = images * l->height * l->width};
    if (images == 0)
        return rows;
    device d = detector_device(self);
    tensor *index = t_to_device(t_from(chosen, 1, &images, I64, CPU), d);
    tensor *all = t_index_select(patches_of(l, m->features[turn]), 0, index);
    tensor *masks = t_interpolate(m->masks, l->height, l->width, NEAREST, false);
    rows.features = t_view(all, 2, (int64_t[]){rows.count, l->channels});
    rows.defective = t_flatten(t_index_select(masks, 0, index), 0, 3);
    return rows;
}

static tensor *loss_of(imiad_detector *self, const train_step *step, const level *l,
                       const patch_rows *rows, const int64_t *order, int64_t count)
{
    const bgad *m = self->state;
    device d = detector_device(self);
    int64_t *places = malloc((size_t)count * sizeof *places);
    if (!places)
        return t_fail(IMIAD_NO_MEMORY, "detector bgad: out of memory for %lld patches",
                      (long long)count);
    for (int64_t i = 0; i < count; ++i)
        places[i] = order[i] % rows->positions;
    tensor *index = t_to_device(t_from(order, 1, &count, I64, CPU), d);
    tensor *code = t_index_select(l->code, 0, t_to_device(t_from(places, 1, &count, I64, CPU), d));
    free(places);
    tensor *determinant,
        *z = flow_forward(l->blocks, m->blocks, t_index_select(rows->features, 0, index), code,
                          &determinant);
    tensor *likelihood = log_likelihood(l, z, determinant, 1);
    if (sees_normals_only(self, step))
        return push_pull_likelihood(likelihood);
    return push_pull_loss(likelihood, t_index_select(rows->defective, 0, index), &m->losses);
}

/* Cosine over groups of sub_epochs, from the rate to a thousandth of it; over the first two groups
 * a straight line from a tenth of it to where the cosine is then. */
static double rate_of(const imiad_detector *self, double rate, const train_step *step,
                      int64_t steps)
{
    const bgad *m = self->state;
    int64_t sub = options_int(self->options, "sub_epochs");
    int64_t per_epoch = options_int(self->options, "warm_up_steps");
    int64_t groups = (step->epochs + sub - 1) / sub, group = step->epoch / sub;
    double lowest = rate * 0.001, half = (rate - lowest) / 2;
    if (group >= WARM_EPOCHS)
        return lowest + half * (1 + cos(M_PI * (double)group / (double)groups));
    per_epoch = per_epoch > 0 ? per_epoch : m->steps;
    double to = lowest + half * (1 + cos(M_PI * WARM_EPOCHS / (double)groups)), from = rate / 10;
    int64_t done = step->index % m->steps + (step->epoch % sub + group * sub) * per_epoch;
    return from + (to - from) * (double)done / (double)(WARM_EPOCHS * sub * per_epoch);
}

/* A step of the level's optimiser within the turn. Returns the loss. */
static double descend(imiad_detector *self, const train_step *step, const level *l,
                      const patch_rows *rows, const int64_t *order, int64_t count)
{
    bgad *m = self->state;
    training_rule *rule = &m->training.rules[step->turn];
    scope s = scope_begin_grad();
    tensor *loss = loss_of(self, step, l, rows, order, count);
    double value = t_item(loss);
    t_backward(loss);
    optimizer_step(rule->optimizer, rate_of(self, rule->rate, step, step->epochs * m->steps));
    scope_return(&s, NULL);
    params_clear_grad(m->training.stores[0].parameters);
    return value;
}

/* A level's patches in random order, patch_batch of them a step of its optimiser; what is left over
 * is dropped. The last step is the loop's own. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    bgad *m = self->state;
    if (step->turn >= m->layers.count)
        return NULL;
    const uint8_t *slots = m->slots + step->index % m->steps * m->batch;
    if (step->turn == 0 || !mixed_any_made(slots, step->count))
        mixed_gather(m->features, &m->masks, self, step, slots, m->layers.count, read_features);
    const level *l = &m->levels[step->turn];
    patch_rows rows = gather(self, step, l, step->turn);
    if (rows.count == 0)
        return NULL;
    int64_t most = options_int(self->options, "patch_batch");
    int64_t size = rows.count < most ? rows.count : most, batches = rows.count / size;
    char what[32], purpose[96];
    snprintf(what, sizeof what, "patches/%d", step->turn);
    training_purpose(purpose, self, what, step);
    random_stream stream = random_open((uint64_t)options_int(self->options, "seed"), purpose);
    size_t *order = malloc((size_t)rows.count * sizeof *order);
    if (!order)
        return t_fail(IMIAD_NO_MEMORY, "detector bgad: out of memory for an order of patches");
    for (int64_t i = 0; i < rows.count; ++i)
        order[i] = (size_t)i;
    random_shuffle(&stream, order, (size_t)rows.count);
    double sum = 0;
    for (int64_t i = 0; i + 1 < batches && !t_failed(); ++i)
        sum += descend(self, step, l, &rows, (const int64_t *)order + i * size, size);
    tensor *last =
        loss_of(self, step, l, &rows, (const int64_t *)order + (batches - 1) * size, size);
    free(order);
    double mean = (sum + t_item(last)) / (double)batches;
    return t_add_scalar(last, mean - t_item(last)); /* the loop reports the mean */
}

/* Every normal image once and every defective one `repeats` times, in random order. */
static imiad_status plan_epoch(imiad_detector *self, train_plan *plan)
{
    bgad *m = self->state;
    int64_t items = mixed_repeated_items(&m->images, options_int(self->options, "repeats"));
    m->batch = plan->batch = items < plan->batch ? items : plan->batch;
    bool drops = options_bool(self->options, "drop_last");
    m->steps = plan->steps = drops ? items / plan->batch : (items + plan->batch - 1) / plan->batch;
    free(m->slots);
    m->slots = calloc((size_t)(m->steps * m->batch), sizeof *m->slots);
    return m->slots ? IMIAD_OK : fail_memory("an epoch", (size_t)(m->steps * m->batch));
}

static imiad_status draw_epoch(imiad_detector *self, const train_plan *plan, random_stream *stream,
                               size_t *out)
{
    const bgad *m = self->state;
    int64_t repeats = options_int(self->options, "repeats");
    int64_t pasted = (int64_t)(options_real(self->options, "pasted") * (double)repeats);
    return mixed_repeated_draw(out, m->slots, (size_t)(plan->steps * plan->batch), &m->images,
                               repeats, pasted, stream);
}

static const training_ops learning = {.frozen = read_features,
                                      .loss = loss,
                                      .rate = rate_of,
                                      .turns = MOST_LEVELS,
                                      .plan = plan_epoch,
                                      .draw = draw_epoch};

/* ---- making ---- */

static bool is_chosen(const imiad_detector *self, const char *option, const char *value)
{
    return strcmp(options_text(self->options, option), value) == 0;
}

/* The authors' layers under the names that the backbone has for them. */
static const char *usual_layers(const imiad_backbone *backbone)
{
    if (backbone_require(backbone, "blocks.4") == IMIAD_OK)
        return "blocks.1,blocks.2,blocks.4";
    if (backbone_require(backbone, "features.5") == IMIAD_OK)
        return "features.2,features.3,features.5";
    return "layer1,layer2,layer3";
}

static imiad_status find_layers(imiad_detector *self)
{
    bgad *m = self->state;
    const preprocessing *p = &self->preprocessing;
    const char *layers = options_text(self->options, "layers");
    int32_t side = p->crop ? p->crop : p->squash ? p->resize : 0;
    TRY(layer_list_parse(&m->layers, "detector bgad",
                         layers[0] ? layers : usual_layers(self->backbone), self->backbone));
    int named = m->layers.count;
    if (named > MOST_LEVELS) {
        layer_list_free(&m->layers); /* what destroys a detector counts levels by it */
        return fail(IMIAD_OUT_OF_RANGE, "detector bgad: option layers names %d layers, at most %d",
                    named, MOST_LEVELS);
    }
    TRY(one_size_require(self));
    for (int i = 0; i < m->layers.count; ++i) {
        int64_t shape[3];
        TRY(backbone_layer_shape(shape, self->backbone, m->layers.names[i], side, side));
        m->levels[i] = (level){.channels = shape[0], .height = shape[1], .width = shape[2]};
        if (shape[0] < 2)
            return fail(IMIAD_MISMATCH, "detector bgad: %s has one channel, a flow needs two",
                        m->layers.names[i]);
    }
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    bgad *m = self->state;
    const option_set *o = self->options;
    m->blocks = (int)options_int(o, "coupling_layers");
    m->losses = (push_pull){.beta = options_real(o, "boundary"),
                            .margin = options_real(o, "margin"),
                            .normaliser = options_real(o, "normaliser"),
                            .weight = options_real(o, "contrast"),
                            .focal = options_bool(o, "focal")};
    m->of_batch = is_chosen(self, "maxima", "batch");
    m->logarithmic = is_chosen(self, "map", "log_probability");
    if (options_int(o, "position_code") % 4 != 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector bgad: option position_code is %lld: it must be a multiple of 4",
                    (long long)options_int(o, "position_code"));
    TRY(find_layers(self));
    training_begin(self, &learning);
    m->training.frozen_count = m->layers.count;
    m->training.maker = options_real(o, "pasted") > 0 ? &paster : NULL;
    return IMIAD_OK;
}

static void forget_folded(bgad *m)
{
    for (int i = 0; i < m->layers.count; ++i) {
        for (int k = 0; m->levels[i].folded && k < m->blocks; ++k)
            flow_folded_free(&m->levels[i].folded[k]);
        free(m->levels[i].folded);
        m->levels[i].folded = NULL;
    }
}

static void forget(bgad *m)
{
    forget_folded(m);
    for (int i = 0; i < m->layers.count; ++i) {
        free(m->levels[i].blocks);
        t_free(m->levels[i].code);
        m->levels[i].blocks = NULL;
        m->levels[i].code = NULL;
    }
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    bgad *m = self->state;
    forget(m);
    mixed_images_free(&m->images);
    free(m->slots);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const bgad *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* One level's flow: levelI.module_list.K, and FrEIA's names. */
static void add_level(imiad_detector *self, level *l, const flow_maker *maker, int index)
{
    const bgad *m = self->state;
    const int64_t one = 1, condition = options_int(self->options, "position_code");
    const flow_shape shape = {.channels = l->channels,
                              .condition = condition,
                              .hidden = 2 * (l->channels - l->channels / 2 + condition),
                              .clamp = options_real(self->options, "clamp"),
                              .form = FLOW_TANH,
                              .mixing = FLOW_ROTATION};
    char name[48];
    for (int k = 0; k < m->blocks && !t_failed(); ++k) {
        snprintf(name, sizeof name, "level%d.module_list.%d", index, k);
        flow_block_add(&l->blocks[k], maker, name, &shape);
    }
    snprintf(name, sizeof name, "level%d.maximum", index);
    l->maximum = params_add(maker->fixed, name, t_zeros(1, &one, F32, maker->device), false);
    l->code = t_keep(position_code(l->height, l->width, condition, maker->device));
}

/* New flows with nothing learned; without their first weights where a file has others. Each level
 * has an optimiser of its own, which steps when its flow takes part. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    bgad *m = self->state;
    flow_maker maker = {.seed = (uint64_t)options_int(self->options, "seed"),
                        .purpose = drawn ? "bgad" : NULL,
                        .device = detector_device(self)};
    forget(m);
    TRY(training_store(&maker.learned, &m->training, "flow"));
    TRY(training_store(&maker.fixed, &m->training, "fixed"));
    for (int i = 0; i < m->layers.count; ++i) {
        level *l = &m->levels[i];
        char name[16], prefix[24];
        l->blocks = calloc((size_t)m->blocks, sizeof *l->blocks);
        l->folded = calloc((size_t)m->blocks, sizeof *l->folded);
        if (!l->blocks || !l->folded)
            return fail_memory("a flow", (size_t)m->blocks * sizeof *l->folded);
        scope s = scope_begin();
        add_level(self, l, &maker, i);
        TRY(scope_end(&s));
        snprintf(name, sizeof name, "adam%d", i);
        snprintf(prefix, sizeof prefix, "level%d.", i);
        const optimizer_options adam = {.kind = OPTIMIZER_ADAM};
        training_optimizer(&m->training, name, "flow", prefix, &adam,
                           options_real(self->options, "learning_rate"))
            ->turn = i;
    }
    return IMIAD_OK;
}

static imiad_status fold_level(const bgad *m, level *l)
{
    scope s = scope_begin();
    int64_t size = t_size(l->code, 1);
    const int64_t shape[] = {l->height, l->width, size};
    tensor *code = t_view(l->code, 3, shape); /* see position_code */
    tensor *across = t_squeeze(t_slice(t_slice(code, 2, 0, size / 2), 0, 0, 1), 0);
    tensor *down = t_squeeze(t_slice(t_slice(code, 2, size / 2, size), 1, 0, 1), 1);
    imiad_status status = IMIAD_OK;
    for (int k = 0; k < m->blocks && status == IMIAD_OK; ++k) {
        flow_folded_free(&l->folded[k]);
        status = flow_fold(&l->folded[k], &l->blocks[k], across, down);
    }
    imiad_status ended = scope_end(&s);
    return status == IMIAD_OK ? ended : status;
}

static imiad_status fold(bgad *m)
{
    for (int i = 0; i < m->layers.count; ++i)
        TRY(fold_level(m, &m->levels[i]));
    return IMIAD_OK;
}

/* ---- after training ---- */

/* n x positions. */
static tensor *judge(const bgad *m, const level *l, tensor *features)
{
    tensor *determinant,
        *z = flow_folded_forward(l->folded, m->blocks, patches_of(l, features), &determinant);
    return log_likelihood(l, z, determinant, 2);
}

static void note_maxima(imiad_detector *self, const train_step *step, void *context)
{
    bgad *m = self->state;
    bool *noted = context;
    for (int64_t k = 0; k < step->count; ++k)
        for (int i = 0; i < m->layers.count && step->told[k].label == 0; ++i) {
            const level *l = &m->levels[i];
            tensor *likelihood = judge(m, l, t_slice(step->frozen[i], 0, k, k + 1));
            tensor *most = t_view(t_max_all(likelihood), 1, (int64_t[]){1});
            t_copy_(l->maximum, noted[i] ? t_maximum(l->maximum, most) : most);
            noted[i] = true;
        }
}

/* Scoring's form of the flows, and the largest log-likelihoods of normal training images. */
static imiad_status finish(imiad_detector *self, training_run *run)
{
    bool noted[MOST_LEVELS] = {false};
    TRY(fold(self->state));
    return training_visit(run, note_maxima, noted);
}

static imiad_status list_images(imiad_detector *self, const train_set *images)
{
    mixed_images *m = &((bgad *)self->state)->images;
    TRY(mixed_images_list(m, images));
    if (m->defective_count == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector bgad learns from labelled anomalies, and the training images have "
                    "none: use the setting supervised, which takes some with their masks");
    if (m->normal_count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "detector bgad: no training image is normal");
    return IMIAD_OK;
}

static imiad_status learn(imiad_detector *self, train_set *images, const progress *p)
{
    training_run *run;
    TRY(training_open(&run, self, images, p));
    imiad_status status = training_steps(run);
    if (status == IMIAD_OK)
        status = finish(self, run);
    training_close(run);
    return status;
}

static imiad_status fit(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(list_images(self, images));
    TRY(begin(self, true));
    return learn(self, images, p);
}

static imiad_status fit_more(imiad_detector *self, train_set *images, const progress *p)
{
    TRY(list_images(self, images));
    imiad_status status = training_go_on(self, images, p, learn);
    imiad_status folded = status == IMIAD_OK ? IMIAD_OK : fold(self->state);
    return folded != IMIAD_OK ? folded : status;
}

/* ---- score ---- */

/* Each level adds how far its likelihood stays below the largest, at the input's size. */
static void score(imiad_detector *self, const batch *b, scores *out)
{
    const bgad *m = self->state;
    tensor *features[MOST_LEVELS], *likelihoods[MOST_LEVELS], *maxima[MOST_LEVELS];
    read_features(self, b, features);
    for (int i = 0; i < m->layers.count; ++i) {
        const level *l = &m->levels[i];
        const int64_t shape[] = {b->count, l->height, l->width};
        likelihoods[i] = t_view(judge(m, l, features[i]), 3, shape);
        maxima[i] = l->maximum;
    }
    out->maps = push_pull_map(likelihoods, m->of_batch ? NULL : maxima, m->layers.count, b->height,
                              b->width, m->logarithmic);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(begin(self, false));
    TRY(training_load(self, file));
    return fold(self->state);
}

const detector_ops bgad_ops = {
    .name = "bgad",
    .title = "BGAD (Yao et al., CVPR 2023)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(bgad),
    .needs_backbone = true,
    .takes = TAKES_ANOMALIES | TAKES_MASKS,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = training_save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
