/* PaDiM: at every position of the feature grid, a normal distribution of randomly chosen channels
 * of several layers; a position is as anomalous as it is far from its mean, measured by the
 * covariance. Defard, Setkov, Loesch, Audigier: "PaDiM: a Patch Distribution Modeling Framework for
 * Anomaly Detection and Localization", ICPR workshops 2020. With one training image the covariance
 * is epsilon I alone (position_gaussians.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clones.h"
#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "detectors/algorithm.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/position_gaussians.h"

static const option_spec options[] = {
    {"layers", OPT_TEXT, "layer1,layer2,layer3", "",
     "backbone layers, the first one sets the grid"},
    {"dimension", OPT_INT, "100", "0..65536", "channels to draw from all layers; 0: all of them"},
    {"channels", OPT_TEXT, "", "",
     "these channels, such as 3,17,201, instead of drawn ones; counted through the layers in "
     "order"},
    {"epsilon", OPT_REAL, "0.01", "0<..1000000", "added to the diagonal of every covariance"},
    {"factors", OPT_CHOICE, "fp32", "fp32|fp64", "precision of the stored factors and of scoring"},
    {"seed", OPT_INT, "66", "0..", "draws the channels"},
    {"memory_budget", OPT_INT, "0", "0..",
     "megabytes that fitted features and factors may take; 0: no bound"},
    {0},
};

enum { POSITIONS = 16 }; /* of a piece of work */

typedef struct padim {
    layer_list layers;
    int64_t dimension;           /* chosen channels */
    int64_t *chosen;             /* rising, numbered within their layers */
    int64_t counts[MOST_LAYERS]; /* of them, in each layer */
    dtype type;
    int64_t grid[2];
    position_gaussians gaussians;
} padim;

/* ---- channels ---- */

static imiad_status mark_listed(bool *marks, int64_t channels, const char *text)
{
    for (const char *at = text;;) {
        char *end;
        errno = 0;
        long long channel = strtoll(at, &end, 10);
        if (end == at || errno || channel < 0 || channel >= channels)
            return fail(IMIAD_OUT_OF_RANGE,
                        "detector padim: option channels at \"%.20s\": it must name channels in "
                        "0..%lld, with commas between",
                        at, (long long)channels - 1);
        if (marks[channel])
            return fail(IMIAD_OUT_OF_RANGE, "detector padim: option channels names %lld twice",
                        channel);
        marks[channel] = true;
        if (*end == 0)
            return IMIAD_OK;
        if (*end != ',')
            return fail(IMIAD_OUT_OF_RANGE,
                        "detector padim: option channels at \"%.20s\": expected a comma", end);
        at = end + 1;
    }
}

static imiad_status mark_drawn(bool *marks, int64_t channels, const option_set *set)
{
    int64_t wanted = options_int(set, "dimension");
    if (wanted > channels)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector padim: option dimension is %lld: the layers have %lld channels",
                    (long long)wanted, (long long)channels);
    size_t *order = malloc((size_t)channels * sizeof *order);
    if (!order)
        return fail_memory("a draw of channels", (size_t)channels * sizeof *order);
    for (int64_t i = 0; i < channels; ++i)
        order[i] = (size_t)i;
    random_stream stream = random_open((uint64_t)options_int(set, "seed"), "padim/channels");
    random_shuffle(&stream, order, (size_t)channels);
    for (int64_t i = 0; i < (wanted ? wanted : channels); ++i)
        marks[order[i]] = true;
    free(order);
    return IMIAD_OK;
}

static imiad_status choose_channels(padim *m, const option_set *set)
{
    int64_t channels = 0;
    for (int i = 0; i < m->layers.count; ++i)
        channels += m->layers.channels[i];
    bool *marks = calloc((size_t)channels, sizeof *marks);
    m->chosen = malloc((size_t)channels * sizeof *m->chosen);
    const char *listed = options_text(set, "channels");
    imiad_status status = !marks || !m->chosen ? fail_memory("channels", (size_t)channels * 9)
                          : *listed            ? mark_listed(marks, channels, listed)
                                               : mark_drawn(marks, channels, set);
    int64_t channel = 0;
    for (int i = 0; status == IMIAD_OK && i < m->layers.count; ++i)
        for (int64_t c = 0; c < m->layers.channels[i]; ++c)
            if (marks[channel++]) {
                m->chosen[m->dimension++] = c;
                m->counts[i]++;
            }
    free(marks);
    return status;
}

/* ---- making ---- */

static imiad_status create(imiad_detector *self)
{
    padim *m = self->state;
    m->gaussians.epsilon = options_real(self->options, "epsilon");
    m->type = strcmp(options_text(self->options, "factors"), "fp64") == 0 ? F64 : F32;
    TRY(layer_list_parse(&m->layers, "detector padim", options_text(self->options, "layers"),
                         self->backbone));
    return choose_channels(m, self->options);
}

static void destroy(imiad_detector *self)
{
    padim *m = self->state;
    layer_list_free(&m->layers);
    free(m->chosen);
    gaussians_free(&m->gaussians);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const padim *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* The chosen channels of a batch, coarser layers repeated to the first one's grid: positions x
 * batch x dimension. Channels are taken before the repetition, rows last in memory throughout. */
static tensor *embed(const imiad_detector *self, tensor *const *features)
{
    const padim *m = self->state;
    tensor *parts[MOST_LAYERS];
    int64_t count = t_size(features[0], 0), height = t_size(features[0], 2),
            width = t_size(features[0], 3);
    const int64_t *chosen = m->chosen;
    int used = 0;
    for (int i = 0; i < m->layers.count; chosen += m->counts[i++]) {
        if (m->counts[i] == 0)
            continue;
        tensor *index = t_from(chosen, 1, &m->counts[i], I64, CPU);
        tensor *part = t_permute(features[i], 4, (int[]){0, 2, 3, 1});
        part = t_index_select(part, 3, t_to_device(index, detector_device(self)));
        part = t_permute(part, 4, (int[]){0, 3, 1, 2});
        if (t_size(part, 2) != height || t_size(part, 3) != width)
            part = t_interpolate(part, height, width, NEAREST, false);
        parts[used++] = t_permute(part, 4, (int[]){0, 2, 3, 1});
    }
    tensor *rows =
        t_view(t_cat(parts, used, 3), 3, (int64_t[]){count, height * width, m->dimension});
    return t_permute(rows, 3, (int[]){1, 0, 2});
}

/* The same on the CPU in float32, read position by position without another copy. */
typedef struct channel_reader {
    const padim *m;
    int64_t batch, height, width;
    struct {
        const float *values; /* batch x height x width x channels */
        int64_t height, width;
    } layers[MOST_LAYERS];
} channel_reader;

static void open_reader(channel_reader *r, const padim *m, tensor *const *features)
{
    *r = (channel_reader){
        m, t_size(features[0], 0), t_size(features[0], 2), t_size(features[0], 3), {{0}}};
    for (int i = 0; i < m->layers.count; ++i) {
        tensor *rows = t_permute(t_channels_last(features[i]), 4, (int[]){0, 2, 3, 1});
        r->layers[i].values = t_data(t_contiguous(t_to(rows, F32)));
        r->layers[i].height = t_size(features[i], 2);
        r->layers[i].width = t_size(features[i], 3);
    }
}

/* The nearest of `inputs` places to one of `outputs`, in libtorch's arithmetic. */
static int64_t nearest_place(int64_t place, int64_t inputs, int64_t outputs)
{
    int64_t found = (int64_t)((float)place * ((float)inputs / (float)outputs));
    return found < inputs ? found : inputs - 1;
}

CLONES static void gather(float *out, const float *values, const int64_t *chosen, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        out[i] = values[chosen[i]];
}

/* batch x dimension: position_vectors.read */
static void read_position(float *out, const void *context, int64_t position)
{
    const channel_reader *r = context;
    const padim *m = r->m;
    const int64_t *chosen = m->chosen;
    for (int i = 0; i < m->layers.count; chosen += m->counts[i++]) {
        int64_t height = r->layers[i].height, width = r->layers[i].width;
        int64_t y = nearest_place(position / r->width, height, r->height);
        int64_t x = nearest_place(position % r->width, width, r->width);
        for (int64_t b = 0; b < r->batch; ++b)
            gather(out + b * m->dimension + (chosen - m->chosen),
                   r->layers[i].values + ((b * height + y) * width + x) * m->layers.channels[i],
                   chosen, m->counts[i]);
    }
}

/* ---- fit ---- */

/* Room for the features of all training images, kept: positions x images x dimension. */
static tensor *make_room(imiad_detector *self, int64_t images)
{
    padim *m = self->state;
    int64_t positions = m->grid[0] * m->grid[1];
    uint64_t needed = gaussians_bytes(positions, images, m->dimension, m->type == F64 ? 8 : 4);
    if (!t_try(memory_budget_check(self, images, needed)))
        return NULL;
    tensor *rows =
        t_zeros(3, (int64_t[]){positions, images, m->dimension}, m->type, detector_device(self));
    return t_failed() ? NULL : t_keep(rows);
}

typedef struct row_writer {
    channel_reader reader;
    float *rows;
    int64_t images, done;
} row_writer;

static void write_some(void *context, size_t begin, size_t end)
{
    const row_writer *w = context;
    int64_t d = w->reader.m->dimension;
    for (int64_t p = (int64_t)begin; p < (int64_t)end; ++p)
        read_position(w->rows + (p * w->images + w->done) * d, &w->reader, p);
}

static void add_rows(tensor *rows, imiad_detector *self, tensor *const *features, int64_t done)
{
    const padim *m = self->state;
    if (t_device(rows).cuda || t_type(rows) != F32) {
        int64_t end = done + t_size(features[0], 0);
        t_copy_(t_slice(rows, 1, done, end), embed(self, features));
        return;
    }
    row_writer w = {.rows = t_data(rows), .images = t_size(rows, 1), .done = done};
    open_reader(&w.reader, m, features);
    if (!t_failed())
        parallel_for((size_t)t_size(rows, 0), POSITIONS, write_some, &w);
}

/* One batch into the rows, which the first one makes; its size, 0 after the last. */
static int64_t add_batch(tensor **rows, imiad_detector *self, train_set *normals, int64_t done)
{
    padim *m = self->state;
    batch b;
    tensor *features[MOST_LAYERS];
    if (!train_set_next(normals, &b))
        return 0;
    detector_features(self, &b, m->layers.names, m->layers.count, features);
    if (t_failed())
        return 0;
    int64_t grid[2] = {t_size(features[0], 2), t_size(features[0], 3)};
    if (!*rows) {
        memcpy(m->grid, grid, sizeof grid);
        *rows = make_room(self, (int64_t)train_set_count(normals));
    }
    if (!t_failed() && t_try(one_size_check(self, "positions", grid, m->grid)))
        add_rows(*rows, self, features, done);
    return b.count;
}

static imiad_status collect(tensor **rows, imiad_detector *self, train_set *normals,
                            const progress *p)
{
    int64_t done = 0, total = (int64_t)train_set_count(normals), added;
    do {
        scope s = scope_begin();
        added = add_batch(rows, self, normals, done);
        TRY(scope_end(&s));
        done += added;
        TRY(progress_report(p, "features", done, total));
    } while (added > 0);
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    padim *m = self->state;
    tensor *rows = NULL;
    gaussians_free(&m->gaussians);
    imiad_status status = collect(&rows, self, normals, p);
    if (status == IMIAD_OK && !rows)
        status = fail(IMIAD_INVALID_ARGUMENT, "detector padim: there are no training images");
    if (status != IMIAD_OK) {
        t_free(rows);
        return status;
    }
    return gaussians_fit(&m->gaussians, rows, p);
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    padim *m = self->state;
    tensor *features[MOST_LAYERS];
    detector_features(self, b, m->layers.names, m->layers.count, features);
    if (t_failed())
        return;
    int64_t grid[2] = {t_size(features[0], 2), t_size(features[0], 3)};
    if (!t_try(one_size_check(self, "positions", grid, m->grid)))
        return;
    tensor *distances;
    if (gaussians_on_host(&m->gaussians)) {
        channel_reader reader;
        open_reader(&reader, m, features);
        if (t_failed())
            return;
        position_vectors source = {b->count, read_position, &reader};
        distances = gaussians_distances_from(&m->gaussians, &source);
    } else {
        distances = gaussians_distances(&m->gaussians, embed(self, features));
    }
    out->maps = t_view(t_to(distances, F32), 3, (int64_t[]){b->count, grid[0], grid[1]});
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const padim *m = self->state;
    return gaussians_save(&m->gaussians, m->grid, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    padim *m = self->state;
    const gaussians_shape shape = {m->dimension, m->type, detector_device(self)};
    return gaussians_load(&m->gaussians, m->grid, &shape, file);
}

const detector_ops padim_ops = {
    .name = "padim",
    .title = "PaDiM (Defard et al., ICPR workshops 2020)",
    .of = "imiad",
    .options = options,
    .state_size = sizeof(padim),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
