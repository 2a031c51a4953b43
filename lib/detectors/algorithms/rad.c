/* RAD: all patches of all normal images, at several depths; an image is compared with those that
 * are most like it as a whole, and a patch with what lies near its place there. Zhang, Li,
 * Henderson, Aragon-Camarasa, Long: "Is (Task-Specific) Training Necessary for Anomaly Detection?",
 * ICML 2026. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/anomaly_map.h"
#include "detectors/parts/image_gallery.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/transformer.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the authors' code"},
    {"layers", OPT_TEXT, "", "",
     "backbone layers, on the grid of the first; the last one says which images are alike; empty: "
     "four blocks of a transformer, layer2,layer3 of others"},
    {"layer_weights", OPT_TEXT, "", "", "a number for each layer, as 1,1,2; empty: all alike"},
    {"k_image", OPT_INT, "150", "1..", "training images that an image is compared with, at most"},
    {"position_window", OPT_INT, "1", "-1..8192",
     "places across and down within which a patch's neighbour lies (radius); -1: anywhere"},
    {"max_ratio", OPT_REAL, "0.01", "0..1",
     "share of the map's largest pixels whose mean is the image's score; 0: the largest"},
    {"border", OPT_CHOICE, "reflect", "reflect|zero",
     "what lies around a map when the Gaussian of 5 x 5 pixels is laid over it"},
    {"map_size", OPT_INT, "0", "0..8192", "side of maps before the Gaussian; 0: the input's size"},
    {"task_routing", OPT_BOOL, "false", "",
     "an image is compared with images of the one task whose mean it is nearest to"},
    {"storage", OPT_CHOICE, "float32", "float32|bfloat16|float16",
     "numbers of the patches: the narrow kinds take half the memory, rounded"},
    {"memory_budget", OPT_INT, "0", "0..", "megabytes that the patches may take; 0: no bound"},
    {"interpolation", OPT_CHOICE, "bilinear", "bilinear|bicubic", "how images are resized"},
    {"smoothing", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "resize_mode", "squash"}, {"official", "resize", "512"},
    {"official", "crop", "448"},           {"official", "border", "zero"},
    {"official", "map_size", "256"},       {0},
};

static const imiad_option later[] = {{"interpolation", "bilinear"}, {NULL, NULL}};

typedef struct rad {
    layer_list layers;
    char class_layer[80];              /* of a transformer, else "" */
    const char *used[MOST_LAYERS + 2]; /* the layers, and what a transformer needs beside them */
    int used_count;
    double shares[MOST_LAYERS]; /* of the layers' scores, 1 together */
    int64_t class_channels, window;
    image_gallery learned;
    int64_t *tasks; /* of each image */
    gallery_index index;
} rad;

/* ---- making ---- */

/* Blocks 3, 6, 9 and 11 of 12, and as deep in other transformers. */
static const char *choose_layers(char out[128], const imiad_detector *self)
{
    static const int of_twelve[] = {4, 7, 10, 12};
    const char *given = options_text(self->options, "layers");
    int depth = transformer_depth(&self->backbone->chain), used = 0;
    if (*given || depth == 0)
        return *given ? given : "layer2,layer3";
    for (int i = 0; i < 4; ++i)
        used += snprintf(out + used, (size_t)(128 - used), "%sblocks.%d", i ? "," : "",
                         of_twelve[i] * depth / 12 - 1);
    return out;
}

static imiad_status read_shares(rad *m, const char *text)
{
    double sum = 0;
    int count = 0;
    for (const char *at = text; *text; ++at) {
        char number[REAL_BYTES];
        size_t length = strcspn(at, ",");
        snprintf(number, sizeof number, "%.*s", (int)length, at);
        if (count == m->layers.count || !real_parse(&m->shares[count], number) ||
            m->shares[count] < 0)
            return fail(IMIAD_OUT_OF_RANGE,
                        "detector rad: option layer_weights at \"%.20s\": it must be %d numbers "
                        "from 0 on, with commas between",
                        at, m->layers.count);
        sum += m->shares[count++];
        at += length;
        if (!*at)
            break;
    }
    if (*text && (count < m->layers.count || !(sum > 0)))
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector rad: option layer_weights must be %d numbers, not all 0",
                    m->layers.count);
    for (int i = 0; i < m->layers.count; ++i)
        m->shares[i] = *text ? m->shares[i] / sum : 1.0 / m->layers.count;
    return IMIAD_OK;
}

/* A transformer's tokens pass through its last norm, whichever block they come from. */
static const node *last_norm(const imiad_detector *self)
{
    const rad *m = self->state;
    return *m->class_layer ? node_find(&self->backbone->chain, "norm") : NULL;
}

static imiad_status choose_used(rad *m, const imiad_detector *self)
{
    chain_layer found;
    const char *last = m->layers.names[m->layers.count - 1];
    m->class_channels = m->layers.channels[m->layers.count - 1];
    m->used_count = m->layers.count;
    memcpy(m->used, m->layers.names, sizeof m->layers.names);
    for (int i = 0; i < m->layers.count; ++i) {
        TRY(layer_require(&found, &self->backbone->chain, "detector rad", m->layers.names[i]));
        if (found.class_token)
            return fail(IMIAD_INVALID_ARGUMENT, "detector rad needs layers with positions, not %s",
                        m->layers.names[i]);
    }
    snprintf(m->class_layer, sizeof m->class_layer, "%s.cls_token", last);
    if (!layer_find(&found, &self->backbone->chain, m->class_layer)) {
        *m->class_layer = 0;
        return IMIAD_OK;
    }
    m->used[m->used_count++] = m->class_layer;
    m->used[m->used_count++] = "norm";
    return backbone_require(self->backbone, "norm");
}

static imiad_status create(imiad_detector *self)
{
    rad *m = self->state;
    char usual[128];
    m->window = options_int(self->options, "position_window");
    TRY(layer_list_parse(&m->layers, "detector rad", choose_layers(usual, self), self->backbone));
    TRY(read_shares(m, options_text(self->options, "layer_weights")));
    return choose_used(m, self);
}

static void forget(rad *m)
{
    image_gallery_free(&m->learned);
    gallery_index_free(&m->index);
    free(m->tasks);
    m->tasks = NULL;
}

static void destroy(imiad_detector *self)
{
    rad *m = self->state;
    forget(m);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const rad *m = self->state;
    *count = m->used_count;
    return m->used;
}

/* ---- features ---- */

/* A batch on the host, memory of the current scope. */
typedef struct tokens {
    const float *patches[MOST_LAYERS]; /* batch x places x channels */
    const float *classes;              /* batch x class_channels */
    int64_t grid[2];
} tokens;

/* rows x channels of unit length, through the last norm where there is one. */
static const float *finish(tensor *features, const node *norm)
{
    tensor *rows = t_normalize(transformer_rows(features, norm), 1);
    return t_data(t_contiguous(t_to_device(rows, CPU)));
}

static tokens find_tokens(imiad_detector *self, const batch *b)
{
    const rad *m = self->state;
    const node *norm = last_norm(self);
    int count = m->layers.count;
    tensor *features[MOST_LAYERS + 1];
    tokens t = {.classes = NULL};
    detector_features(self, b, m->used, count + (norm != NULL), features);
    t.grid[0] = t_size(features[0], 2);
    t.grid[1] = t_size(features[0], 3);
    tensor *whole = norm ? features[count] : t_adaptive_avg_pool2d(features[count - 1], 1, 1);
    for (int i = 0; i < count; ++i) {
        if (t_size(features[i], 2) != t.grid[0] || t_size(features[i], 3) != t.grid[1])
            features[i] = t_interpolate(features[i], t.grid[0], t.grid[1], BILINEAR, false);
        t.patches[i] = finish(features[i], norm);
    }
    t.classes = finish(whole, norm);
    return t;
}

/* ---- fit ---- */

static image_gallery empty_gallery(const rad *m)
{
    image_gallery g = {.layers = m->layers.count, .class_channels = m->class_channels};
    memcpy(g.channels, m->layers.channels, sizeof g.channels);
    return g;
}

static imiad_status check_budget(const imiad_detector *self, const image_gallery *g, int64_t images)
{
    imiad_storage storage = storage_named(options_text(self->options, "storage"));
    int64_t values = 0;
    for (int i = 0; i < g->layers; ++i)
        values += g->channels[i];
    return memory_budget_check(self, images,
                               (uint64_t)(images * g->grid[0] * g->grid[1] * values) *
                                   storage_kinds[storage].bytes);
}

static imiad_status add_batch(image_gallery *g, imiad_detector *self, const batch *b, int64_t total,
                              int64_t before)
{
    const rad *m = self->state;
    const tokens t = find_tokens(self, b);
    if (t_failed())
        return IMIAD_OK;
    if (g->images == 0) {
        *g = empty_gallery(m);
        memcpy(g->grid, before ? m->learned.grid : t.grid, sizeof g->grid);
        TRY(check_budget(self, g, before + total));
        TRY(image_gallery_open(g, storage_named(options_text(self->options, "storage")), total));
    }
    TRY(one_size_check(self, "positions", t.grid, g->grid));
    return image_gallery_add(g, t.patches, t.classes, b->count, before);
}

/* Of the given images alone, whose numbers begin at `before`. */
static imiad_status collect(image_gallery *out, imiad_detector *self, train_set *normals,
                            int64_t before, const progress *p)
{
    int64_t total = (int64_t)train_set_count(normals);
    image_gallery g = {.layers = 0};
    imiad_status status = IMIAD_OK;
    for (bool more = true; more && status == IMIAD_OK;) {
        scope s = scope_begin();
        batch b;
        more = train_set_next(normals, &b);
        if (more)
            status = add_batch(&g, self, &b, total, before);
        imiad_status failure = scope_end(&s);
        status = failure != IMIAD_OK ? failure : status;
        if (status == IMIAD_OK)
            status = progress_report(p, "features", g.images, total);
    }
    if (status != IMIAD_OK) {
        image_gallery_free(&g);
        return status;
    }
    *out = g;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    rad *m = self->state;
    forget(m);
    TRY(collect(&m->learned, self, normals, 0, p));
    m->tasks = calloc((size_t)m->learned.images, sizeof *m->tasks);
    if (!m->tasks)
        return fail_memory("the tasks of images", (size_t)m->learned.images * sizeof *m->tasks);
    return gallery_index_create(&m->index, &m->learned);
}

static imiad_status join(rad *m, const imiad_detector *self, const image_gallery *more)
{
    int64_t before = m->learned.images, all = before + more->images;
    int64_t *tasks = realloc(m->tasks, (size_t)all * sizeof *tasks);
    if (!tasks)
        return fail_memory("the tasks of images", (size_t)all * sizeof *tasks);
    m->tasks = tasks;
    TRY(image_gallery_join(&m->learned, more));
    gallery_index index;
    imiad_status status = gallery_index_create(&index, &m->learned);
    if (status != IMIAD_OK) {
        image_gallery_cut(&m->learned, before);
        return status;
    }
    for (int64_t i = before; i < all; ++i)
        tasks[i] = self->tasks;
    gallery_index_free(&m->index);
    m->index = index;
    return IMIAD_OK;
}

/* Another task's images join those of the earlier ones. */
static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    rad *m = self->state;
    image_gallery more;
    TRY(collect(&more, self, normals, m->learned.images, p));
    imiad_status status = join(m, self, &more);
    image_gallery_free(&more);
    return status;
}

/* ---- which images are alike ---- */

/* The task whose images' mean is nearest to the image. */
static int64_t route(const rad *m, const float *image, double *mean)
{
    const image_gallery *g = &m->learned;
    int64_t best = 0, channels = m->class_channels;
    double least = INFINITY;
    for (int64_t begin = 0, end; begin < g->images; begin = end) {
        double square = 0;
        memset(mean, 0, (size_t)channels * sizeof *mean);
        for (end = begin; end < g->images && m->tasks[end] == m->tasks[begin]; ++end)
            for (int64_t c = 0; c < channels; ++c)
                mean[c] += (double)g->classes[end * channels + c];
        for (int64_t c = 0; c < channels; ++c) {
            double d = mean[c] / (double)(end - begin) - (double)image[c];
            square += d * d;
        }
        if (square < least) {
            least = square;
            best = m->tasks[begin];
        }
    }
    return best;
}

/* count x images: which of those of one task, or of all, an image is compared with. */
static imiad_status find_alike(bool **out, const imiad_detector *self, const tokens *t,
                               int64_t count)
{
    const rad *m = self->state;
    int64_t images = m->learned.images, k = options_int(self->options, "k_image");
    bool routes = options_bool(self->options, "task_routing");
    bool *wanted = malloc((size_t)(count * images) * sizeof *wanted);
    double *mean = malloc((size_t)m->class_channels * sizeof *mean);
    imiad_status status = wanted && mean
                              ? IMIAD_OK
                              : fail_memory("images that are alike", (size_t)(count * images) + 8);
    for (int64_t i = 0; status == IMIAD_OK && i < count; ++i) {
        const float *image = t->classes + i * m->class_channels;
        int64_t task = routes ? route(m, image, mean) : -1;
        for (int64_t j = 0; j < images; ++j)
            wanted[i * images + j] = task < 0 || m->tasks[j] == task;
        status = image_gallery_alike(wanted + i * images, &m->learned, image, k);
    }
    free(mean);
    if (status != IMIAD_OK) {
        free(wanted);
        return status;
    }
    *out = wanted;
    return IMIAD_OK;
}

/* ---- score ---- */

static tensor *score_places(imiad_detector *self, const batch *b)
{
    const rad *m = self->state;
    const tokens t = find_tokens(self, b);
    bool *wanted = NULL;
    if (t_failed() || !t_try(one_size_check(self, "positions", t.grid, m->learned.grid)))
        return NULL;
    tensor *maps = t_zeros(3, (int64_t[]){b->count, t.grid[0], t.grid[1]}, F32, CPU);
    float *values = t_data(maps);
    if (!values || !t_try(find_alike(&wanted, self, &t, b->count)))
        return NULL;
    t_try(image_gallery_score(values, &m->learned, &m->index, t.patches, b->count, m->window,
                              m->shares, wanted));
    free(wanted);
    return maps;
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    int64_t side = options_int(self->options, "map_size");
    double ratio = options_real(self->options, "max_ratio");
    bool zero = strcmp(options_text(self->options, "border"), "zero") == 0;
    tensor *maps =
        map_upsample(score_places(self, b), side ? side : b->height, side ? side : b->width);
    maps = map_gaussian(maps, 5, 1, zero ? PAD_ZERO : PAD_REFLECT);
    tensor *pixels = map_smoothed(maps, options_real(self->options, "smoothing"));
    pixels = t_view(pixels, 2, (int64_t[]){b->count, -1});
    *out = (scores){maps, map_image_scores(pixels, ratio > 0 ? "top" : "max", ratio)};
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const rad *m = self->state;
    TRY(image_gallery_save(&m->learned, writer));
    return weights_writer_add(writer, "tasks", I64, 1, &m->learned.images, m->tasks);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    rad *m = self->state;
    const weight *tasks;
    m->learned = empty_gallery(m);
    TRY(image_gallery_load(&m->learned, file,
                           storage_named(options_text(self->options, "storage"))));
    TRY(weights_expect(&tasks, file, "tasks", I64, 1, &m->learned.images));
    m->tasks = malloc(tasks->bytes);
    if (!m->tasks)
        return fail_memory("the tasks of images", tasks->bytes);
    memcpy(m->tasks, tasks->data, tasks->bytes);
    return gallery_index_create(&m->index, &m->learned);
}

const detector_ops rad_ops = {
    .name = "rad",
    .title = "RAD (Zhang et al., ICML 2026)",
    .joins_tasks = true,
    .options = options,
    .presets = presets,
    .later = later,
    .state_size = sizeof(rad),
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
