/* SPADE: the nearest training images by a pooled deep feature, then, at every position of a pyramid
 * of layers, the distance to the nearest feature anywhere in those images. Cohen, Hoshen:
 * "Sub-Image Anomaly Detection with Deep Pyramid Correspondences", arXiv 2005.02357, 2020.
 *
 * Distances are those of the widespread implementation, which adds 1e-6 to every component of a
 * difference. Every training image keeps a bank a layer: searches are exact, over the whole
 * gallery, and what makes them fast is made once an image. */
#include "detectors/algorithm.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/anomaly_map.h"
#include "detectors/parts/layer_list.h"
#include "detectors/parts/memory_budget.h"

enum { MOST_PIXEL_NEIGHBOURS = 100 };

static const double shift = 1e-6;

static const option_spec options[] = {
    {"layers", OPT_TEXT, "layer1,layer2,layer3", "",
     "backbone layers of the pyramid, each gives a map; the mean counts"},
    {"image_layer", OPT_TEXT, "layer4", "",
     "backbone layer whose average over all positions finds the nearest training images"},
    {"neighbours", OPT_INT, "5", "1..100000",
     "nearest training images; all of them where there are fewer"},
    {"pixel_neighbours", OPT_INT, "1", "1..100",
     "nearest features in those images whose distances are averaged"},
    {"memory_budget", OPT_INT, "0", "0..",
     "megabytes that the features of the training images may take; 0: no bound"},
    {0},
};

typedef struct spade {
    layer_list levels;
    const char *used[MOST_LAYERS + 1]; /* the levels, then the image layer */
    int64_t channels;                  /* of the image layer */
    size_t count;                      /* training images */
    float *pooled;                     /* count x channels */
    imiad_bank **galleries;            /* count x levels */
} spade;

static void forget(spade *m)
{
    for (size_t i = 0; m->galleries && i < m->count * (size_t)m->levels.count; ++i)
        imiad_bank_free(m->galleries[i]);
    free(m->galleries);
    free(m->pooled);
    m->galleries = NULL;
    m->pooled = NULL;
    m->count = 0;
}

/* Room for `count` training images. */
static imiad_status make_room(spade *m, size_t count)
{
    size_t galleries = count * (size_t)m->levels.count;
    forget(m);
    m->pooled = malloc(count * (size_t)m->channels * sizeof *m->pooled);
    m->galleries = calloc(galleries, sizeof(imiad_bank *));
    if (!m->pooled || !m->galleries)
        return fail_memory("features of training images",
                           count * (size_t)m->channels * sizeof *m->pooled);
    m->count = count;
    for (size_t i = 0; i < galleries; ++i)
        TRY(imiad_bank_create(&m->galleries[i], m->levels.channels[i % (size_t)m->levels.count],
                              0));
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    spade *m = self->state;
    TRY(layer_list_parse(&m->levels, "detector spade", options_text(self->options, "layers"),
                         self->backbone));
    memcpy(m->used, m->levels.names, sizeof m->levels.names);
    m->used[m->levels.count] = options_text(self->options, "image_layer");
    int64_t channels;
    imiad_status status = backbone_channels(&channels, self->backbone, m->used[m->levels.count]);
    if (status != IMIAD_OK)
        return fail_within(status, "detector spade: option image_layer");
    m->channels = channels;
    return IMIAD_OK;
}

static void destroy(imiad_detector *self)
{
    spade *m = self->state;
    forget(m);
    layer_list_free(&m->levels);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const spade *m = self->state;
    *count = m->levels.count + 1;
    return m->used;
}

/* ---- features ---- */

/* A batch on the host: rows[i] are batch x positions[i] x channels floats of level i, pooled batch
 * x channels; all memory of the current scope. */
typedef struct pyramid {
    const float *rows[MOST_LAYERS];
    int64_t heights[MOST_LAYERS], widths[MOST_LAYERS];
    const float *pooled;
} pyramid;

static pyramid find_features(imiad_detector *self, const batch *b)
{
    spade *m = self->state;
    tensor *features[MOST_LAYERS + 1];
    pyramid p = {0};
    detector_features(self, b, m->used, m->levels.count + 1, features);
    for (int i = 0; i < m->levels.count; ++i) {
        p.heights[i] = t_size(features[i], 2);
        p.widths[i] = t_size(features[i], 3);
        tensor *rows = t_permute(features[i], 4, (int[]){0, 2, 3, 1});
        p.rows[i] = t_data(t_contiguous(t_to_device(rows, CPU)));
    }
    tensor *pooled = t_adaptive_avg_pool2d(features[m->levels.count], 1, 1);
    pooled = t_view(pooled, 2, (int64_t[]){b->count, m->channels});
    p.pooled = t_data(t_contiguous(t_to_device(pooled, CPU)));
    return p;
}

/* ---- fit ---- */

static imiad_status check_budget(const imiad_detector *self, const pyramid *p)
{
    const spade *m = self->state;
    uint64_t values = (uint64_t)m->channels;
    for (int i = 0; i < m->levels.count; ++i)
        values += (uint64_t)(p->heights[i] * p->widths[i] * m->levels.channels[i]);
    return memory_budget_check(self, (int64_t)m->count, values * sizeof(float) * m->count);
}

static imiad_status remember(spade *m, const pyramid *p, size_t done, size_t count)
{
    size_t levels = (size_t)m->levels.count;
    memcpy(m->pooled + done * (size_t)m->channels, p->pooled,
           count * (size_t)m->channels * sizeof(float));
    for (size_t n = 0; n < count; ++n)
        for (size_t i = 0; i < levels; ++i) {
            int64_t positions = p->heights[i] * p->widths[i];
            const float *rows = p->rows[i] + n * (size_t)(positions * m->levels.channels[i]);
            TRY(imiad_bank_add(m->galleries[(done + n) * levels + i], rows, positions));
        }
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    spade *m = self->state;
    size_t done = 0, total = train_set_count(normals);
    int64_t wanted = options_int(self->options, "neighbours");
    TRY(make_room(m, total));
    if (wanted > (int64_t)total)
        log_message(IMIAD_LOG_WARNING,
                    "detector spade: option neighbours is %lld: there are only %zu training images",
                    (long long)wanted, total);
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        pyramid features;
        imiad_status status = IMIAD_OK;
        more = train_set_next(normals, &b);
        if (more)
            features = find_features(self, &b);
        if (more && !t_failed())
            status = check_budget(self, &features);
        if (more && !t_failed() && status == IMIAD_OK)
            status = remember(m, &features, done, (size_t)b.count);
        TRY(scope_end(&s));
        TRY(status);
        done += more ? (size_t)b.count : 0;
        TRY(progress_report(p, "features", (int64_t)done, (int64_t)total));
    }
    return IMIAD_OK;
}

/* ---- score ---- */

/* The `count` nearest training images by pooled features, nearest first, ties by lower index.
 * Returns the mean of their distances. */
static double nearest_images(size_t *out, const spade *m, const float *pooled, size_t count,
                             double *distances)
{
    size_t held = 0;
    for (size_t i = 0; i < m->count; ++i) {
        double square = 0;
        for (int64_t c = 0; c < m->channels; ++c) {
            double d = (double)pooled[c] - (double)m->pooled[(int64_t)i * m->channels + c];
            square += d * d;
        }
        size_t at = held < count ? held++ : count;
        for (; at > 0 && square < distances[at - 1]; --at)
            if (at < count) {
                distances[at] = distances[at - 1];
                out[at] = out[at - 1];
            }
        if (at < count) {
            distances[at] = square;
            out[at] = i;
        }
    }
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
        sum += sqrt(distances[i]);
    return sum / (double)count;
}

static double shifted_distance(const float *a, const float *b, int64_t count)
{
    double square = 0;
    for (int64_t c = 0; c < count; ++c) {
        double d = (double)a[c] - (double)b[c] + shift;
        square += d * d;
    }
    return sqrt(square);
}

/* Puts a distance among the `most` smallest of a rising list; its new length. */
static int64_t insert(double *list, int64_t held, int64_t most, double distance)
{
    if (held == most && distance >= list[most - 1])
        return held;
    int64_t at = held < most ? held++ : most - 1;
    for (; at > 0 && distance < list[at - 1]; --at)
        list[at] = list[at - 1];
    list[at] = distance;
    return held;
}

/* The rows of some images' galleries that are nearest to each position of one level. */
typedef struct candidates {
    const imiad_bank **galleries;
    size_t images;
    int64_t each;  /* candidates of an image, at most: the lists' stride */
    int64_t *rows; /* images x positions x each */
    float *squares;
} candidates;

static int64_t held_of(const candidates *c, size_t image)
{
    int64_t rows = imiad_bank_rows(c->galleries[image]);
    return rows < c->each ? rows : c->each;
}

/* The least that shifted_distance can be where the search, in float32, found this square. */
static double least_shifted(float square, int64_t channels)
{
    double rounding = ((double)channels / 16 + 16) * 0x1p-22;
    return sqrt((double)square) * (1 - rounding) - shift * sqrt((double)channels);
}

/* The shift enters only here. It moves a distance by 1e-6 sqrt(channels) at most, so that it could
 * choose another row only among rows whose distances differ by less than twice that. */
static void merge(float *map, const candidates *c, const float *queries, int64_t positions)
{
    int64_t channels = imiad_bank_dimension(c->galleries[0]);
    for (int64_t i = 0; i < positions; ++i) {
        double list[MOST_PIXEL_NEIGHBOURS], sum = 0;
        int64_t held = 0;
        for (size_t k = 0; k < c->images; ++k) {
            int64_t each = held_of(c, k);
            const int64_t *rows = c->rows + ((int64_t)k * positions * c->each + i * each);
            const float *squares = c->squares + (rows - c->rows);
            const float *gallery = imiad_bank_data(c->galleries[k]);
            for (int64_t j = 0; j < each; ++j) {
                if (held == c->each && least_shifted(squares[j], channels) >= list[held - 1])
                    break; /* nor can those behind it */
                held = insert(list, held, c->each,
                              shifted_distance(gallery + rows[j] * channels, queries + i * channels,
                                               channels));
            }
        }
        for (int64_t j = 0; j < held; ++j)
            sum += list[j];
        map[i] = (float)(sum / (double)held);
    }
}

static imiad_status level_map(float *map, const candidates *c, const float *queries,
                              int64_t positions)
{
    for (size_t k = 0; k < c->images; ++k) {
        int64_t begin = (int64_t)k * positions * c->each;
        TRY(imiad_bank_search(c->squares + begin, c->rows + begin, c->galleries[k], queries,
                              positions, (int32_t)held_of(c, k)));
    }
    merge(map, c, queries, positions);
    return IMIAD_OK;
}

/* Maps of one level, one an image of the batch; neighbours: batch x count training images. */
static imiad_status level_maps(float *maps, const imiad_detector *self, const pyramid *p, int level,
                               int64_t batch_size, const size_t *neighbours, size_t count)
{
    const spade *m = self->state;
    int64_t positions = p->heights[level] * p->widths[level];
    candidates c = {.images = count, .each = options_int(self->options, "pixel_neighbours")};
    size_t places = count * (size_t)(positions * c.each);
    c.galleries = malloc(count * sizeof *c.galleries);
    c.rows = malloc(places * sizeof *c.rows);
    c.squares = malloc(places * sizeof *c.squares);
    imiad_status status = c.galleries && c.rows && c.squares
                              ? IMIAD_OK
                              : fail_memory("distances", places * sizeof *c.rows);
    for (int64_t n = 0; status == IMIAD_OK && n < batch_size; ++n) {
        for (size_t k = 0; k < count; ++k)
            c.galleries[k] =
                m->galleries[neighbours[(size_t)n * count + k] * (size_t)m->levels.count +
                             (size_t)level];
        status = level_map(maps + n * positions, &c,
                           p->rows[level] + n * positions * m->levels.channels[level], positions);
    }
    free(c.galleries);
    free(c.rows);
    free(c.squares);
    return status;
}

/* The mean over the levels of their maps, each upsampled to the input's size first. */
static tensor *find_maps(const imiad_detector *self, const batch *b, const pyramid *p,
                         const size_t *neighbours, size_t count)
{
    const spade *m = self->state;
    tensor *sum = NULL;
    for (int i = 0; i < m->levels.count && !t_failed(); ++i) {
        tensor *maps = t_zeros(3, (int64_t[]){b->count, p->heights[i], p->widths[i]}, F32, CPU);
        float *values = t_data(maps);
        if (values && t_try(level_maps(values, self, p, i, b->count, neighbours, count)))
            sum = t_plus(sum, map_upsample(maps, b->height, b->width));
    }
    return t_div_scalar(sum, m->levels.count);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const spade *m = self->state;
    pyramid p = find_features(self, b);
    size_t wanted = (size_t)options_int(self->options, "neighbours"), images = (size_t)b->count;
    size_t count = wanted < m->count ? wanted : m->count;
    tensor *image = t_zeros(1, (int64_t[]){b->count}, F32, CPU);
    float *image_scores = t_data(image);
    size_t *neighbours = malloc(images * count * sizeof *neighbours);
    double *distances = malloc(count * sizeof *distances);
    if (!neighbours || !distances)
        t_fail(IMIAD_NO_MEMORY, "out of memory: %zu nearest images", images * count);
    for (size_t n = 0; !t_failed() && n < images; ++n)
        image_scores[n] = (float)nearest_images(
            neighbours + n * count, m, p.pooled + n * (size_t)m->channels, count, distances);
    if (!t_failed())
        *out = (scores){find_maps(self, b, &p, neighbours, count), image};
    free(distances);
    free(neighbours);
}

/* ---- file ---- */

static void gallery_name(char out[64], size_t index, size_t levels)
{
    snprintf(out, 64, "gallery.%zu.%zu", index % levels, index / levels);
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const spade *m = self->state;
    size_t levels = (size_t)m->levels.count;
    TRY(weights_writer_add(writer, "pooled", F32, 2, (int64_t[]){(int64_t)m->count, m->channels},
                           m->pooled));
    for (size_t i = 0; i < m->count * levels; ++i) {
        char name[64];
        gallery_name(name, i, levels);
        const imiad_bank *bank = m->galleries[i];
        const int64_t shape[2] = {imiad_bank_rows(bank), imiad_bank_dimension(bank)};
        TRY(weights_writer_add(writer, name, F32, 2, shape, imiad_bank_data(bank)));
    }
    return IMIAD_OK;
}

static imiad_status find_rows(const weight **out, const weights *file, const char *name,
                              int64_t columns)
{
    return weights_expect(out, file, name, F32, 2, (int64_t[]){ANY_SIZE, columns});
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    spade *m = self->state;
    const weight *pooled, *rows;
    size_t levels = (size_t)m->levels.count;
    TRY(find_rows(&pooled, file, "pooled", m->channels));
    if ((size_t)pooled->shape[0] > weights_count(file)) /* each image has an array of its own */
        return fail(IMIAD_FORMAT, "pooled features of %" PRId64 " images", pooled->shape[0]);
    TRY(make_room(m, (size_t)pooled->shape[0]));
    memcpy(m->pooled, pooled->data, pooled->bytes);
    for (size_t i = 0; i < m->count * levels; ++i) {
        char name[64];
        gallery_name(name, i, levels);
        TRY(find_rows(&rows, file, name, m->levels.channels[i % levels]));
        TRY(imiad_bank_add(m->galleries[i], rows->data, rows->shape[0]));
    }
    return IMIAD_OK;
}

const detector_ops spade_ops = {
    .name = "spade",
    .title = "SPADE (Cohen and Hoshen, 2020)",
    .of = "imiad",
    .options = options,
    .state_size = sizeof(spade),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .layers = used_layers,
};
