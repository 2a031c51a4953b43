/* RegAD: a network with spatial transformers learns on other categories to give two images of one
 * category the same features; a few images of a new category, turned and shifted, are then a normal
 * distribution at every position. Huang, Guan, Jiang, Zhang, Spratling, Wang: "Registration based
 * Few-Shot Anomaly Detection", ECCV 2022. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/episodes.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/position_gaussians.h"
#include "detectors/parts/warp.h"
#include "detectors/training/training.h"
#include "nn/families/resnet.h"
#include "nn/modules.h"
#include "nn/network.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the authors' code"},
    {"model", OPT_TEXT, "", "",
     "file of a RegAD that learned on other categories, a saved detector or a checkpoint of the "
     "authors'; empty: it learns on the dataset's other categories"},
    {"supports", OPT_INT, "0", "0..64",
     "normal images that a category is known by, of the target and beside each query in training; "
     "0: as many as the split gives, at most 8"},
    {"momentum", OPT_REAL, "0.9", "0..0.999999", "momentum of SGD"},
    {"epsilon", OPT_REAL, "0.01", "0<..1000000", "added to the diagonal of every covariance"},
    {"memory_budget", OPT_INT, "0", "0..",
     "megabytes that the features of the target and their factors may take; 0: no bound"},
    {"epochs", .default_value = "50"},
    {"learning_rate", .default_value = "0.0001"},
    {"train_batch", .default_value = "32"},
    {"resize_mode", .default_value = "squash"},
    {"resize", .default_value = "224"},
    {"crop", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "seed", "668"},
    {"official", "resize_mode", "shorter"},
    {0},
};

enum { STAGES = 3, USUAL_SUPPORTS = 8, HIDDEN = 1024, AUGMENTED = 22 };

static const char *const stages[STAGES] = {"layer1", "layer2", "layer3"};

/* Finds how a stage's features are turned and scaled. */
typedef struct transformer {
    conv_block blocks[2];
    linear hidden, last;
} transformer;

typedef struct regad {
    training training; /* stores STN, ENC and PRED: the names of the authors' checkpoints */
    network *net;
    transformer transformers[STAGES];
    conv_block encode[2], predict;
    conv2d encoded, predicted;
    int64_t supports; /* beside each query */
    int64_t grid[2];
    position_gaussians gaussians;
} regad;

/* ---- networks ---- */

/* The rotation t and the scales, each of its own axis: only the diagonal is scaled. */
static affine locate(const transformer *m, tensor *x, bool learning)
{
    for (int i = 0; i < 2; ++i)
        x = t_max_pool2d(conv_block_run(&m->blocks[i], x, learning), 3, 2, 1, false);
    /* rows last, as the authors' weights expect them */
    x = t_relu(linear_run(&m->hidden, t_flatten(t_contiguous(x), 1, 3)));
    x = linear_run(&m->last, x);
    tensor *angle = t_slice(x, 1, 0, 1), *cosine = t_cos(angle), *sine = t_sin(angle);
    return (affine){t_mul(cosine, t_slice(x, 1, 1, 2)), t_neg(sine), sine,
                    t_mul(cosine, t_slice(x, 1, 2, 3)), NULL,        NULL};
}

/* The features of the last stage; `registered`, where it is not NULL, gets those of every stage
 * turned back again, the last transformer first. */
static tensor *run(const regad *m, tensor *images, tensor **registered, bool learning)
{
    affine back[STAGES];
    tensor *x = network_part(m->net, images, "relu", "maxpool", learning);
    for (int i = 0; i < STAGES; ++i) {
        char first[16];
        snprintf(first, sizeof first, "%s.0", stages[i]);
        x = network_part(m->net, x, first, stages[i], learning);
        affine found = locate(&m->transformers[i], x, learning);
        x = warp(x, &found);
        if (!registered)
            continue;
        back[i] = affine_inverse(&found);
        registered[i] = x;
        for (int j = i; j >= 0; --j)
            registered[i] = warp(registered[i], &back[j]);
    }
    return x;
}

/* n x channels x height x width of all stages on the grid of the first. */
static tensor *embed(const regad *m, tensor *images)
{
    tensor *levels[STAGES] = {NULL};
    run(m, images, levels, false);
    for (int i = 1; i < STAGES; ++i)
        levels[i] =
            t_interpolate(levels[i], t_size(levels[0], 2), t_size(levels[0], 3), NEAREST, false);
    return t_cat(levels, STAGES, 1);
}

/* As the Gaussians take it: positions x n x channels. */
static tensor *by_position(tensor *maps)
{
    const int64_t shape[3] = {t_size(maps, 2) * t_size(maps, 3), t_size(maps, 0), t_size(maps, 1)};
    return t_view(t_permute(maps, 4, (int[]){2, 3, 0, 1}), 3, shape);
}

static tensor *encode(const regad *m, tensor *x)
{
    for (int i = 0; i < 2; ++i)
        x = conv_block_run(&m->encode[i], x, true);
    return conv2d_run(&m->encoded, x);
}

static tensor *predict(const regad *m, tensor *x)
{
    return conv2d_run(&m->predicted, conv_block_run(&m->predict, x, true));
}

/* ---- learning to register, on other categories ---- */

static int64_t most_queries(const imiad_detector *self)
{
    const regad *m = self->state;
    int64_t wanted = options_int(self->options, "train_batch"),
            most = MOST_BATCH / (1 + m->supports);
    return wanted < most ? wanted : most;
}

static tensor *negative_cosine(tensor *predicted, tensor *target)
{
    return t_neg(t_mean_all(t_cosine_similarity(predicted, t_detach(target), 1)));
}

/* Equation 3: each of the two predicts the other, which stands still. */
static tensor *loss(imiad_detector *self, const train_step *step)
{
    const regad *m = self->state;
    int64_t most = most_queries(self), k = m->supports;
    int64_t n = episode_queries(step->images, most);
    tensor *query = run(m, t_slice(step->pixels.images, 0, 0, n), NULL, true);
    tensor *support = run(m, t_slice(step->pixels.images, 0, most, most + n * k), NULL, true);
    support = t_view(t_contiguous(t_div_scalar(support, (double)k)), 5,
                     (int64_t[]){n, k, t_size(query, 1), t_size(query, 2), t_size(query, 3)});
    tensor *z1 = encode(m, query), *z2 = encode(m, t_sum(support, 1, false));
    tensor *p1 = predict(m, z1), *p2 = predict(m, z2);
    return t_add(t_mul_scalar(negative_cosine(p1, z2), 0.5),
                 t_mul_scalar(negative_cosine(p2, z1), 0.5));
}

/* The authors count epochs from 1: the last one has the rate 0. */
static double rate(const imiad_detector *self, double base, const train_step *step, int64_t steps)
{
    return base * 0.5 * (1 + cos(M_PI * (double)(step->epoch + 1) / (double)step->epochs));
}

static imiad_status plan_epoch(imiad_detector *self, train_plan *plan)
{
    const regad *m = self->state;
    const episodes shape = {most_queries(self), m->supports};
    return episodes_plan(plan, &shape);
}

static imiad_status draw_epoch(imiad_detector *self, const train_plan *plan, random_stream *stream,
                               size_t *out)
{
    const regad *m = self->state;
    const episodes shape = {most_queries(self), m->supports};
    return episodes_draw(plan, &shape, stream, out);
}

static const training_ops learning = {
    .pixels = true, .loss = loss, .rate = rate, .plan = plan_epoch, .draw = draw_epoch};

/* ---- what the target's few images are ---- */

static tensor *to_gray(tensor *x)
{
    const double shares[3] = {0.299, 0.587, 0.114};
    tensor *gray = NULL;
    for (int i = 0; i < 3; ++i)
        gray = t_plus(gray, t_mul_scalar(t_slice(x, 1, i, i + 1), shares[i]));
    return t_expand(gray, 4, (int64_t[]){t_size(x, 0), 3, t_size(x, 2), t_size(x, 3)});
}

/* Each image in 22 forms, those of one form together. */
static tensor *augment(tensor *x)
{
    static const double sixteenths[8] = {-4, -3, -2, -1, 1, 2, 3, 4};
    static const double signs[4][2] = {{1, 1}, {-1, 1}, {-1, -1}, {1, -1}};
    tensor *forms[AUGMENTED];
    int count = 0;
    forms[count++] = x;
    for (int i = 0; i < 8; ++i) {
        affine turn = affine_constant(t_device(x), sixteenths[i] * M_PI / 16, 0, 0);
        forms[count++] = warp(x, &turn);
    }
    for (int i = 0; i < 8; ++i) {
        double by = i < 4 ? 0.2 : 0.1;
        affine shift = affine_constant(t_device(x), 0, by * signs[i % 4][0], by * signs[i % 4][1]);
        forms[count++] = warp(x, &shift);
    }
    forms[count++] = t_flip(x, 3);
    forms[count++] = to_gray(x);
    for (int quarters = 1; quarters <= 3; ++quarters)
        forms[count++] = t_rot90(x, quarters, 2, 3);
    return t_cat(forms, count, 0);
}

/* Room for all forms of all supports, kept: positions x forms x channels. */
static tensor *make_room(const imiad_detector *self, tensor *maps, int64_t images)
{
    const int64_t shape[3] = {t_size(maps, 2) * t_size(maps, 3), images * AUGMENTED,
                              t_size(maps, 1)};
    uint64_t needed = gaussians_bytes(shape[0], shape[1], shape[2], sizeof(float));
    if (!t_try(memory_budget_check(self, images, needed)))
        return NULL;
    tensor *rows = t_zeros(3, shape, F32, detector_device(self));
    return t_failed() ? NULL : t_keep(rows);
}

static imiad_status describe(imiad_detector *self, train_set *set, const size_t *chosen,
                             size_t count, const progress *p)
{
    regad *m = self->state;
    tensor *rows = NULL;
    const train_pass pass = {.order = chosen, .count = count, .batch = 1};
    imiad_status status = train_set_begin(set, &pass);
    for (size_t done = 0; status == IMIAD_OK && done < count; ++done) {
        batch b;
        int64_t first = (int64_t)done * AUGMENTED;
        scope s = scope_begin();
        if (train_set_next(set, &b)) {
            tensor *maps = embed(m, augment(b.images));
            if (!rows && !t_failed()) {
                m->grid[0] = t_size(maps, 2);
                m->grid[1] = t_size(maps, 3);
                rows = make_room(self, maps, (int64_t)count);
            }
            if (!t_failed())
                t_copy_(t_slice(rows, 1, first, first + AUGMENTED), by_position(maps));
        }
        status = scope_end(&s);
        if (status == IMIAD_OK)
            status = progress_report(p, "supports", (int64_t)done + 1, (int64_t)count);
    }
    if (status == IMIAD_OK)
        return gaussians_fit(&m->gaussians, rows, p);
    t_free(rows);
    return status;
}

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    regad *m = self->state;
    preprocessing *p = &self->preprocessing;
    const resnet *family = resnet_of(self->backbone->architecture);
    if (!family || family->bottleneck)
        return fail(IMIAD_UNSUPPORTED,
                    "detector regad turns the features of a ResNet of basic blocks (resnet18, "
                    "resnet34); %s is none",
                    self->backbone->architecture->name);
    for (int i = 0; i < STAGES; ++i)
        TRY(backbone_require(self->backbone, stages[i]));
    if (!p->crop && !p->squash && p->resize < 32)
        return fail(IMIAD_OUT_OF_RANGE, "detector regad: resize is %d: it must be at least 32",
                    p->resize);
    for (int i = 0; i < 3; ++i) { /* the authors' network sees values from 0 to 1 */
        p->mean[i] = 0;
        p->std[i] = 1;
    }
    m->gaussians.epsilon = options_real(self->options, "epsilon");
    self->takes = options_text(self->options, "model")[0] ? 0 : TAKES_SOURCES;
    training_begin(self, &learning);
    return IMIAD_OK;
}

static void forget(regad *m)
{
    double epsilon = m->gaussians.epsilon;
    network_free(m->net);
    m->net = NULL;
    gaussians_free(&m->gaussians);
    m->gaussians = (position_gaussians){.epsilon = epsilon};
    training_clear(&m->training);
}

static void destroy(imiad_detector *self)
{
    forget(self->state);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    *count = STAGES;
    return stages;
}

static int64_t halved(int64_t side)
{
    return (side + 1) / 2;
}

/* The side of the images, which are square: the linear layers know how many places there are. */
static int64_t input_side(const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    return p->crop ? p->crop : p->resize;
}

static transformer add_transformer(const builder *b, int stage, int64_t channels, int64_t side)
{
    transformer t;
    const builder conv = builder_below(b, "stn%d.conv", stage + 1);
    const builder fc = builder_below(b, "stn%d.fc", stage + 1);
    const conv2d_spec first = {.inputs = channels, .outputs = 64, .kernel = 3, .padding = 1};
    const conv2d_spec second = {.inputs = 64, .outputs = 16, .kernel = 3, .padding = 1};
    int64_t places_left = halved(halved(side)) * halved(halved(side));
    t.blocks[0] = conv_block_add(&conv, "0", "1", first, RELU);
    t.blocks[1] = conv_block_add(&conv, "4", "5", second, RELU);
    t.hidden = linear_add(&fc, "0", 16 * places_left, HIDDEN, true);
    t.last = linear_add(&fc, "2", HIDDEN, 3, true);
    if (b->purpose) { /* no turn, and scales of 1 */
        t_zero_(t.last.weight);
        tensor *still = t_from((const float[]){0, 1, 1}, 1, (int64_t[]){3}, F32, CPU);
        t_copy_(t.last.bias, t_to_device(still, b->device));
    }
    return t;
}

static conv2d_spec pointwise(int64_t channels)
{
    return (conv2d_spec){.inputs = channels, .outputs = channels, .kernel = 1};
}

static imiad_status add_modules(imiad_detector *self, params *net, params *encoder,
                                params *predictor, bool drawn)
{
    regad *m = self->state;
    builder b = {.device = detector_device(self),
                 .seed = (uint64_t)options_int(self->options, "seed")};
    int64_t shape[3], side = input_side(self);
    b.store = net;
    b.purpose = drawn ? "regad/stn/" : NULL;
    scope s = scope_begin();
    for (int i = 0; i < STAGES && !t_failed(); ++i) {
        if (!t_try(backbone_layer_shape(shape, self->backbone, stages[i], side, side)))
            break;
        m->transformers[i] = add_transformer(&b, i, shape[0], shape[1]);
    }
    b.store = encoder;
    b.purpose = drawn ? "regad/encoder/" : NULL;
    m->encode[0] = conv_block_add(&b, "conv1", "bn1", pointwise(shape[0]), RELU);
    m->encode[1] = conv_block_add(&b, "conv2", "bn2", pointwise(shape[0]), RELU);
    m->encoded = conv2d_add(&b, "conv3", pointwise(shape[0]));
    b.store = predictor;
    b.purpose = drawn ? "regad/predictor/" : NULL;
    m->predict = conv_block_add(&b, "conv1", "bn1", pointwise(shape[0]), RELU);
    m->predicted = conv2d_add(&b, "conv2", pointwise(shape[0]));
    return scope_end(&s);
}

/* New networks; without first weights where a file has others. */
static imiad_status begin(imiad_detector *self, bool drawn)
{
    regad *m = self->state;
    params *net, *encoder, *predictor;
    forget(m);
    TRY(training_store(&net, &m->training, "STN"));
    TRY(training_store(&encoder, &m->training, "ENC"));
    TRY(training_store(&predictor, &m->training, "PRED"));
    params_lay_planes(net); /* as a transformer's sampling takes and gives them */
    uint64_t seed = (uint64_t)options_int(self->options, "seed");
    TRY(network_create(&m->net, self->backbone->architecture, stages, STAGES, net, "", seed,
                       drawn ? "regad/resnet" : NULL, detector_device(self)));
    if (drawn)
        TRY(network_copy(m->net, self->backbone));
    TRY(add_modules(self, net, encoder, predictor, drawn));
    const optimizer_options sgd = {.kind = OPTIMIZER_SGD,
                                   .momentum = options_real(self->options, "momentum")};
    double learning_rate = options_real(self->options, "learning_rate");
    training_optimizer(&m->training, "stn", "STN", NULL, &sgd, learning_rate);
    training_optimizer(&m->training, "enc", "ENC", NULL, &sgd, learning_rate);
    training_optimizer(&m->training, "pred", "PRED", NULL, &sgd, learning_rate);
    return IMIAD_OK;
}

/* The checkpoints have norms that no code runs (ENC.bn3) and a classifier's last stage. */
static imiad_status take_model(regad *m, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    imiad_status status = IMIAD_OK;
    for (int i = 0; i < m->training.store_count && status == IMIAD_OK; ++i) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "%s.", m->training.stores[i].name);
        status = params_load(m->training.stores[i].parameters, file, prefix, PARAMS_EXTRA_ALLOWED);
    }
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "detector regad: model %s", path);
}

/* The target's images that it is known by, and how many there are beside sources. */
static imiad_status choose_supports(size_t **out, size_t *count, imiad_detector *self,
                                    const train_set *set, size_t *sources)
{
    size_t all = train_set_count(set), wanted = (size_t)options_int(self->options, "supports");
    size_t *places = malloc(all * sizeof *places);
    if (!places)
        return fail_memory("a draw of images", all * sizeof *places);
    *count = *sources = 0;
    for (size_t i = 0; i < all; ++i) {
        if (train_set_image(set, i).role == ROLE_SOURCE)
            ++*sources;
        else
            places[(*count)++] = i;
    }
    if (wanted == 0)
        wanted = USUAL_SUPPORTS;
    if (*count > wanted) {
        random_stream stream =
            random_open((uint64_t)options_int(self->options, "seed"), "regad/supports");
        random_shuffle(&stream, places, *count);
        *count = wanted;
    }
    *out = places;
    return IMIAD_OK;
}

static imiad_status learn(imiad_detector *self, train_set *set, size_t sources, const progress *p)
{
    regad *m = self->state;
    const char *model = options_text(self->options, "model");
    if (model[0]) {
        TRY(begin(self, false));
        return take_model(m, model);
    }
    if (sources == 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector regad learns on the normal images of a dataset's other categories, "
                    "and there are none: give model, a file of one that learned on some");
    TRY(begin(self, true));
    return training_fit(self, set, p);
}

static imiad_status fit(imiad_detector *self, train_set *set, const progress *p)
{
    regad *m = self->state;
    size_t *chosen = NULL, count = 0, sources = 0;
    TRY(choose_supports(&chosen, &count, self, set, &sources));
    m->supports = (int64_t)count;
    imiad_status status = learn(self, set, sources, p);
    if (status == IMIAD_OK)
        status = describe(self, set, chosen, count, p);
    free(chosen);
    return status;
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const regad *m = self->state;
    const int64_t size[] = {b->height, b->width}, learned[] = {input_side(self), input_side(self)};
    if (!t_try(one_size_check(self, "pixels", size, learned)))
        return;
    tensor *distances = gaussians_distances(&m->gaussians, by_position(embed(m, b->images)));
    out->maps = t_view(t_to(distances, F32), 3, (int64_t[]){b->count, m->grid[0], m->grid[1]});
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const regad *m = self->state;
    TRY(training_save(self, writer));
    return gaussians_save(&m->gaussians, m->grid, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    regad *m = self->state;
    TRY(begin(self, false));
    TRY(training_load(self, file));
    int64_t stage, channels = 0;
    for (int i = 0; i < STAGES; ++i) {
        TRY(backbone_channels(&stage, self->backbone, stages[i]));
        channels += stage;
    }
    const gaussians_shape expected = {channels, F32, detector_device(self)};
    return gaussians_load(&m->gaussians, m->grid, &expected, file);
}

const detector_ops regad_ops = {
    .name = "regad",
    .title = "RegAD (Huang et al., ECCV 2022)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(regad),
    .needs_backbone = true,
    .takes = TAKES_SOURCES,
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
