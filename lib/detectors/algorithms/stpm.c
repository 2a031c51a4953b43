/* STPM: a student with the teacher's architecture learns the teacher's features of normal images;
 * where it cannot follow, there is an anomaly. Wang, Han, Ding, Huang: "Student-Teacher Feature
 * Pyramid Matching for Anomaly Detection", BMVC 2021. */
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "detectors/parts/layer_list.h"
#include "detectors/training/training.h"
#include "nn/network.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official|open_iad",
     "whose defaults: this library's, the authors' code, the IM-IAD code"},
    {"layers", OPT_TEXT, "layer1,layer2,layer3", "", "backbone layers that the student learns"},
    {"loss", OPT_CHOICE, "mean", "mean|sum",
     "a level's loss: the mean over batch and positions, or half of it times the batch"},
    {"combine", OPT_CHOICE, "grid", "grid|input",
     "multiply the levels' maps on the first one's grid, or each resized to the input"},
    {"student_init", OPT_CHOICE, "random", "random|teacher",
     "the student's first weights: random, or the teacher's"},
    {"momentum", OPT_REAL, "0.9", "0..1", "momentum of SGD"},
    {"weight_decay", OPT_REAL, "0.0001", "0..",
     "weight decay of SGD, over all of the student's parameters"},
    {"val_split", OPT_REAL, "0", "0..0.9",
     "share of the images held out: the epoch with their smallest mean map is kept; 0: the last"},
    {"epochs", .default_value = "100"},
    {"learning_rate", .default_value = "0.4"},
    {"train_batch", .default_value = "32"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "val_split", "0.2"},
    {"official", "epochs", "200"},
    {"open_iad", "loss", "sum"},
    {"open_iad", "combine", "input"},
    {"open_iad", "student_init", "teacher"},
    {"open_iad", "weight_decay", "0.00001"},
    {"open_iad", "train_batch", "8"},
    {0},
};

typedef struct stpm {
    training training;
    layer_list layers;
    network *student;
    bool summed, on_grid;
} stpm;

/* ---- features and distances ---- */

/* The teacher's unit vectors: what the student must match. */
static void teach(imiad_detector *self, const batch *b, tensor **out)
{
    stpm *m = self->state;
    detector_features(self, b, m->layers.names, m->layers.count, out);
    for (int i = 0; i < m->layers.count; ++i)
        out[i] = t_normalize(out[i], 1);
}

static void study(const stpm *m, tensor *images, tensor **out, bool learning)
{
    network_features(m->student, images, m->layers.names, m->layers.count, out, learning);
    for (int i = 0; i < m->layers.count; ++i)
        out[i] = t_normalize(out[i], 1);
}

/* Equation 2 without its half: the squared distance of unit vectors, n x h x w. */
static tensor *distance(tensor *teacher, tensor *student)
{
    return t_sum(t_square(t_sub(teacher, student)), 1, false);
}

/* The levels' maps, each half a squared distance, multiplied: equation 4. */
static tensor *combine(const stpm *m, tensor *const *teacher, tensor *const *student,
                       int64_t height, int64_t width)
{
    if (m->on_grid) {
        height = t_size(teacher[0], 2);
        width = t_size(teacher[0], 3);
    }
    tensor *product = NULL;
    for (int i = 0; i < m->layers.count; ++i) {
        tensor *level = t_mul_scalar(distance(teacher[i], student[i]), 0.5);
        level = t_interpolate(t_unsqueeze(level, 1), height, width, BILINEAR, false);
        product = t_times(product, t_squeeze(level, 1));
    }
    return product;
}

/* ---- training ---- */

static tensor *loss(imiad_detector *self, const train_step *step)
{
    const stpm *m = self->state;
    tensor *student[MOST_LAYERS], *total = NULL;
    study(m, step->pixels.images, student, true);
    for (int i = 0; i < m->layers.count; ++i)
        total = t_plus(total, t_mean_all(distance(step->frozen[i], student[i])));
    return m->summed ? t_mul_scalar(total, 0.5 * (double)step->count) : total;
}

static tensor *validate(imiad_detector *self, const train_step *step)
{
    const stpm *m = self->state;
    tensor *student[MOST_LAYERS];
    study(m, step->pixels.images, student, false);
    return t_mean_all(combine(m, step->frozen, student, step->pixels.height, step->pixels.width));
}

static const training_ops learning = {
    .frozen = teach, .pixels = true, .loss = loss, .validate = validate};

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    stpm *m = self->state;
    m->summed = strcmp(options_text(self->options, "loss"), "sum") == 0;
    m->on_grid = strcmp(options_text(self->options, "combine"), "grid") == 0;
    TRY(layer_list_parse(&m->layers, "detector stpm", options_text(self->options, "layers"),
                         self->backbone));
    training_begin(self, &learning);
    m->training.frozen_count = m->layers.count;
    m->training.held_out = options_real(self->options, "val_split");
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    stpm *m = self->state;
    network_free(m->student);
    training_clear(&m->training);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const stpm *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* A new student with nothing learned; without its first weights where a file has others. */
static imiad_status enrol(imiad_detector *self, bool drawn)
{
    stpm *m = self->state;
    params *store;
    network_free(m->student);
    m->student = NULL;
    training_clear(&m->training);
    TRY(training_store(&store, &m->training, "student"));
    TRY(network_create(&m->student, self->backbone->architecture, m->layers.names, m->layers.count,
                       store, "", (uint64_t)options_int(self->options, "seed"),
                       drawn ? "stpm/student" : NULL, detector_device(self)));
    const optimizer_options sgd = {.kind = OPTIMIZER_SGD,
                                   .momentum = options_real(self->options, "momentum"),
                                   .weight_decay = options_real(self->options, "weight_decay")};
    training_optimizer(&m->training, "sgd", "student", NULL, &sgd,
                       options_real(self->options, "learning_rate"));
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    stpm *m = self->state;
    TRY(enrol(self, true));
    if (strcmp(options_text(self->options, "student_init"), "teacher") == 0) {
        imiad_status status = network_copy(m->student, self->backbone);
        if (status != IMIAD_OK)
            return fail_within(status, "detector stpm: student_init=teacher");
    }
    return training_fit(self, normals, p);
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const stpm *m = self->state;
    tensor *teacher[MOST_LAYERS], *student[MOST_LAYERS];
    teach(self, b, teacher);
    study(m, b->images, student, false);
    out->maps = combine(m, teacher, student, b->height, b->width);
}

/* ---- file ---- */

static imiad_status load(imiad_detector *self, const weights *file)
{
    TRY(enrol(self, false));
    return training_load(self, file);
}

const detector_ops stpm_ops = {
    .name = "stpm",
    .title = "STPM (Wang et al., BMVC 2021)",
    .of = "imiad",
    .options = options,
    .family_options = training_options,
    .presets = presets,
    .state_size = sizeof(stpm),
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
