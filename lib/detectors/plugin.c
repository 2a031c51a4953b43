#include "detectors/plugin.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "base/registry.h"
#include "detectors/training/training.h"
#include "image/pixels.h"

enum { MOST_PLUGIN_LAYERS = 16, MOST_SHOWN = 256 }; /* images, as the option batch takes */

typedef struct adapter {
    detector_ops ops; /* first: a pointer to it is one to the adapter */
    imiad_detector_functions functions;
} adapter;

/* The state of the base's detector. */
typedef struct plugin {
    void *state; /* the plug-in's own */
    const char *const *layers;
    int layer_count;
} plugin;

static const imiad_detector_functions *functions_of(const imiad_detector *self)
{
    return &((const adapter *)self->ops)->functions;
}

/* ---- making ---- */

static imiad_status check_layers(plugin *m, const imiad_detector *self)
{
    const imiad_detector_functions *f = functions_of(self);
    if (!f->layers)
        return IMIAD_OK;
    size_t count = 0;
    m->layers = f->layers(m->state, &count);
    if (!m->layers || count < 1 || count > MOST_PLUGIN_LAYERS)
        return fail(IMIAD_INVALID_ARGUMENT, "detector %s names %zu layers; there must be 1 to %d",
                    f->name, count, MOST_PLUGIN_LAYERS);
    m->layer_count = (int)count;
    for (size_t i = 0; i < count; ++i) {
        imiad_status status = backbone_require(self->backbone, m->layers[i]);
        if (status != IMIAD_OK)
            return fail_within(status, "detector %s", f->name);
    }
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    plugin *m = self->state;
    const imiad_detector_functions *f = functions_of(self);
    TRY(f->create(f->user, &m->state, self));
    return check_layers(m, self);
}

static void destroy(imiad_detector *self)
{
    plugin *m = self->state;
    if (m->state)
        functions_of(self)->destroy(m->state);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const plugin *m = self->state;
    *count = m->layer_count;
    return m->layers;
}

/* ---- batches ---- */

typedef struct view {
    imiad_batch batch;
    imiad_layer_features layers[MOST_PLUGIN_LAYERS];
    imiad_image bytes[MOST_SHOWN]; /* of images of 16 bits */
    const imiad_image *images[MOST_SHOWN];
    int32_t labels[MOST_SHOWN], roles[MOST_SHOWN], categories[MOST_SHOWN];
} view;

static int32_t public_role(split_role role)
{
    static const int32_t roles[ROLE_COUNT] = {[ROLE_TRAIN] = IMIAD_ROLE_NORMAL,
                                              [ROLE_SHOT] = IMIAD_ROLE_SHOT,
                                              [ROLE_ANOMALY] = IMIAD_ROLE_ANOMALY,
                                              [ROLE_NOISE] = IMIAD_ROLE_NOISE,
                                              [ROLE_SOURCE] = IMIAD_ROLE_SOURCE};
    return roles[role];
}

/* What training is told of the images. */
static void show_told(view *v, const batch *b)
{
    for (int64_t i = 0; i < b->count; ++i) {
        v->labels[i] = b->told[i].label;
        v->roles[i] = public_role(b->told[i].role);
        v->categories[i] = b->told[i].category;
    }
    v->batch.indices = b->indices;
    v->batch.labels = v->labels;
    v->batch.roles = v->roles;
    v->batch.categories = v->categories;
    v->batch.masks = b->mask_pixels;
}

/* Plug-ins know RGB8 alone; the features are those of all 16 bits. */
static void show_images(view *v, const batch *b)
{
    bool deep = false;
    for (int64_t i = 0; i < b->count; ++i)
        deep |= b->pixels[i]->format != IMIAD_PIXEL_RGB8;
    if (!deep)
        return;
    size_t row = 3 * (size_t)b->width, bytes = row * (size_t)b->height;
    uint8_t *pixels = t_data(t_zeros(2, (int64_t[]){b->count, (int64_t)bytes}, U8, CPU));
    for (int64_t i = 0; pixels && i < b->count; ++i, pixels += bytes) {
        v->bytes[i] = (imiad_image){sizeof(imiad_image),
                                    IMIAD_PIXEL_RGB8,
                                    (int32_t)b->width,
                                    (int32_t)b->height,
                                    row,
                                    pixels};
        for (int64_t y = 0; y < b->height; ++y)
            pixels_to_rgb(pixels + (size_t)y * row, image_row(b->pixels[i], (int32_t)y),
                          (size_t)b->width, b->pixels[i]->format);
        v->images[i] = &v->bytes[i];
    }
    v->batch.images = v->images;
}

/* Shows a batch as plain buffers, which the innermost scope owns; failures stick. */
static void show(view *v, imiad_detector *self, const batch *b)
{
    const plugin *m = self->state;
    tensor *features[MOST_PLUGIN_LAYERS];
    v->batch = (imiad_batch){.struct_size = sizeof v->batch,
                             .count = (size_t)b->count,
                             .width = (int32_t)b->width,
                             .height = (int32_t)b->height,
                             .images = b->pixels,
                             .layer_count = (size_t)m->layer_count,
                             .layers = v->layers};
    show_images(v, b);
    if (b->told)
        show_told(v, b);
    if (m->layer_count == 0)
        return;
    detector_features(self, b, m->layers, m->layer_count, features);
    for (int i = 0; i < m->layer_count; ++i) {
        tensor *host = t_contiguous(t_to_device(features[i], CPU));
        v->layers[i] = (imiad_layer_features){.struct_size = sizeof v->layers[i],
                                              .layer = m->layers[i],
                                              .channels = t_size(host, 1),
                                              .height = t_size(host, 2),
                                              .width = t_size(host, 3),
                                              .values = t_data(host)};
    }
}

struct imiad_batches {
    imiad_detector *detector;
    train_set *set;
    const progress *progress;
    int64_t done, length; /* images of this pass */
    bool open;            /* the scope that owns the batch handed out */
    scope scope;
    view view;
};

size_t imiad_batches_count(const imiad_batches *batches)
{
    return batches ? train_set_count(batches->set) : 0;
}

static imiad_status close_batch(imiad_batches *batches)
{
    bool open = batches->open;
    batches->open = false;
    return open ? scope_end(&batches->scope) : IMIAD_OK;
}

imiad_status imiad_batches_next(const imiad_batch **out, imiad_batches *batches)
{
    batch b;
    if (!out || !batches)
        return fail(IMIAD_INVALID_ARGUMENT, "the next batch: NULL");
    TRY(close_batch(batches));
    TRY(progress_report(batches->progress, "images", batches->done, batches->length));
    batches->scope = scope_begin();
    batches->open = true;
    bool more = train_set_next(batches->set, &b);
    if (more)
        show(&batches->view, batches->detector, &b);
    if (!more || t_failed()) {
        TRY(close_batch(batches));
        *out = NULL;
        return IMIAD_OK;
    }
    batches->done += b.count;
    *out = &batches->view.batch;
    return IMIAD_OK;
}

imiad_status imiad_batches_rewind(imiad_batches *batches, const size_t *order)
{
    if (!batches)
        return fail(IMIAD_INVALID_ARGUMENT, "another pass: NULL");
    TRY(close_batch(batches));
    batches->done = 0;
    batches->length = (int64_t)train_set_count(batches->set);
    return train_set_rewind(batches->set, order);
}

imiad_status imiad_batches_image(int32_t *label, int32_t *role, int32_t *category,
                                 const imiad_batches *batches, size_t index)
{
    if (!batches)
        return fail(IMIAD_INVALID_ARGUMENT, "a training image: batches is NULL");
    if (index >= train_set_count(batches->set))
        return fail(IMIAD_OUT_OF_RANGE, "training image %zu of %zu", index,
                    train_set_count(batches->set));
    train_image told = train_set_image(batches->set, index);
    if (label)
        *label = told.label;
    if (role)
        *role = public_role(told.role);
    if (category)
        *category = told.category;
    return IMIAD_OK;
}

int64_t imiad_batches_tasks(const imiad_batches *batches)
{
    return batches ? batches->detector->tasks : 0;
}

imiad_status imiad_batches_draw(imiad_batches *batches, const size_t *order, size_t count,
                                size_t batch_size)
{
    if (!batches || !order || count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "drawing images: NULL, or none");
    if (batch_size < 1 || batch_size > MOST_SHOWN)
        return fail(IMIAD_OUT_OF_RANGE, "drawing batches of %zu images: 1 to %d", batch_size,
                    MOST_SHOWN);
    for (size_t i = 0; i < count; ++i)
        if (order[i] >= train_set_count(batches->set))
            return fail(IMIAD_OUT_OF_RANGE, "drawing image %zu of %zu", order[i],
                        train_set_count(batches->set));
    TRY(close_batch(batches));
    batches->done = 0;
    batches->length = (int64_t)count;
    return train_set_begin(batches->set,
                           &(train_pass){.order = order, .count = count, .batch = batch_size});
}

imiad_status imiad_batches_draw_balanced(imiad_batches *batches, size_t steps, size_t batch_size,
                                         uint64_t seed, int64_t epoch)
{
    if (!batches || steps == 0 || steps > INT32_MAX || batch_size < 1 || batch_size > MOST_SHOWN)
        return fail(IMIAD_OUT_OF_RANGE, "drawing %zu batches of %zu images: 1 to 256", steps,
                    batch_size);
    size_t count = train_set_count(batches->set);
    size_t *order = malloc((steps * batch_size + count) * sizeof *order);
    if (!order)
        return fail_memory("a draw of images", (steps * batch_size + count) * sizeof *order);
    size_t *images = order + steps * batch_size;
    for (size_t i = 0; i < count; ++i)
        images[i] = i;
    const train_plan plan = {.steps = (int64_t)steps,
                             .batch = (int64_t)batch_size,
                             .images = images,
                             .count = count,
                             .set = batches->set};
    char purpose[96];
    snprintf(purpose, sizeof purpose, "%s/draw/%lld", batches->detector->ops->name,
             (long long)epoch);
    random_stream stream = random_open(seed, purpose);
    imiad_status status = training_draw_balanced(&plan, &stream, order);
    if (status == IMIAD_OK)
        status = imiad_batches_draw(batches, order, steps * batch_size, batch_size);
    free(order);
    return status;
}

imiad_status imiad_batches_progress(const imiad_batches *batches, const char *stage, int64_t done,
                                    int64_t total)
{
    if (!batches || !stage)
        return fail(IMIAD_INVALID_ARGUMENT, "progress: NULL");
    return progress_report(batches->progress, stage, done, total);
}

static imiad_status run_fit(imiad_detector *self, train_set *normals, const progress *p,
                            imiad_status (*function)(void *state, imiad_batches *normals))
{
    const plugin *m = self->state;
    imiad_batches batches = {.detector = self,
                             .set = normals,
                             .progress = p,
                             .length = (int64_t)train_set_count(normals)};
    imiad_status status = function(m->state, &batches);
    imiad_status failure = close_batch(&batches);
    return status != IMIAD_OK ? status : failure;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    return run_fit(self, normals, p, functions_of(self)->fit);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    return run_fit(self, normals, p, functions_of(self)->fit_more);
}

/* ---- scores ---- */

struct imiad_batch_scores {
    int64_t count;
    scores *out;
};

float *imiad_batch_scores_maps(imiad_batch_scores *found, int64_t height, int64_t width)
{
    if (!found || found->out->maps || height < 1 || width < 1) {
        fail(IMIAD_INVALID_ARGUMENT, "maps of %lld x %lld: no size, or asked for twice",
             (long long)width, (long long)height);
        return NULL;
    }
    found->out->maps = t_zeros(3, (int64_t[]){found->count, height, width}, F32, CPU);
    return t_data(found->out->maps);
}

float *imiad_batch_scores_images(imiad_batch_scores *found)
{
    if (!found || found->out->image) {
        fail(IMIAD_INVALID_ARGUMENT, "image scores: NULL, or asked for twice");
        return NULL;
    }
    found->out->image = t_zeros(1, (int64_t[]){found->count}, F32, CPU);
    return t_data(found->out->image);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const plugin *m = self->state;
    view v;
    imiad_batch_scores found = {.count = b->count, .out = out};
    show(&v, self, b);
    if (!t_failed())
        t_try(functions_of(self)->score(m->state, &v.batch, &found));
}

/* ---- files ---- */

struct imiad_blocks {
    weights_writer *writer; /* while saving */
    const weights *file;    /* while loading */
};

static imiad_status block_name(char out[96], const char *name)
{
    int length = snprintf(out, 96, "state.%s", name ? name : "");
    return name && *name && length < 96
               ? IMIAD_OK
               : fail(IMIAD_INVALID_ARGUMENT, "a block needs a name of at most 89 bytes");
}

imiad_status imiad_blocks_put(imiad_blocks *blocks, const char *name, const void *bytes,
                              size_t size)
{
    char whole[96];
    if (!blocks || !blocks->writer || !bytes || size == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "putting a block: NULL, no bytes, or not while saving");
    TRY(block_name(whole, name));
    /* a tensor of the scope that saves: it lives until the file is written */
    tensor *copy = t_from(bytes, 1, (int64_t[]){(int64_t)size}, U8, CPU);
    TRY(t_status());
    return weights_writer_add_tensor(blocks->writer, whole, copy);
}

imiad_status imiad_blocks_get(const void **out, size_t *size, const imiad_blocks *blocks,
                              const char *name)
{
    char whole[96];
    if (!out || !size || !blocks || !blocks->file)
        return fail(IMIAD_INVALID_ARGUMENT, "getting a block: NULL, or not while loading");
    TRY(block_name(whole, name));
    const weight *found = weights_find(blocks->file, whole);
    if (!found || found->type != U8 || found->rank != 1)
        return fail(IMIAD_FORMAT, "there is no block \"%s\"", name);
    *out = found->data;
    *size = found->bytes;
    return IMIAD_OK;
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    imiad_blocks blocks = {.writer = writer};
    return functions_of(self)->save(((const plugin *)self->state)->state, &blocks);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    imiad_blocks blocks = {.file = file};
    return functions_of(self)->load(((plugin *)self->state)->state, &blocks);
}

/* ---- the table ---- */

static imiad_status check_functions(const imiad_detector_functions *f)
{
    const struct {
        const char *name;
        bool given;
    } needed[] = {{"create", f->create}, {"fit", f->fit},   {"score", f->score},
                  {"save", f->save},     {"load", f->load}, {"destroy", f->destroy}};
    if (f->takes & ~(uint32_t)(TAKES_ANOMALIES | TAKES_MASKS | TAKES_SOURCES))
        return fail(IMIAD_INVALID_ARGUMENT, "detector functions: there is no such `takes` as %u",
                    f->takes);
    if (!registry_is_name(f->name))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector functions: \"%s\" is no name of letters, digits and underscores",
                    f->name ? f->name : "");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; ++i)
        if (!needed[i].given)
            return fail(IMIAD_INVALID_ARGUMENT, "detector %s: there is no function %s", f->name,
                        needed[i].name);
    return IMIAD_OK;
}

void detector_plugin_abandon(detector_ops *ops)
{
    options_schema_free((option_spec *)ops->options);
    free((char *)ops->name);
    free((char *)ops->title);
    free(ops);
}

imiad_status detector_plugin_adapt(detector_ops **out, const imiad_detector_functions *functions)
{
    imiad_detector_functions f = IMIAD_DETECTOR_FUNCTIONS_INIT;
    if (!functions)
        return fail(IMIAD_INVALID_ARGUMENT, "detector functions: NULL");
    TRY(struct_read(&f, sizeof f, functions, offsetof(imiad_detector_functions, takes),
                    "detector functions"));
    TRY(check_functions(&f));
    adapter *a = calloc(1, sizeof *a);
    if (!a)
        return fail_memory("a detector", sizeof *a);
    a->ops = (detector_ops){.name = strdup(f.name),
                            .title = strdup(f.title ? f.title : f.name),
                            .state_size = sizeof(plugin),
                            .needs_backbone = f.layers != NULL,
                            .takes = f.takes,
                            .create = create,
                            .fit = fit,
                            .fit_more = f.fit_more ? fit_more : NULL,
                            .score = score,
                            .save = save,
                            .load = load,
                            .destroy = destroy,
                            .layers = f.layers ? used_layers : NULL};
    a->functions = f;
    a->functions.name = a->ops.name;
    option_spec *options = NULL;
    imiad_status status = a->ops.name && a->ops.title
                              ? options_schema(&options, f.name, f.options, f.option_count)
                              : fail_memory("a detector", sizeof *a);
    a->ops.options = options;
    if (status != IMIAD_OK) {
        detector_plugin_abandon(&a->ops);
        return status;
    }
    *out = &a->ops;
    return IMIAD_OK;
}
