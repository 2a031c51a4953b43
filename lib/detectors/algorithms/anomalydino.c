/* AnomalyDINO: the tokens of a few normal images, each also turned, are all that is remembered; a
 * token is as anomalous as it is unlike the nearest of them, and an image as its worst hundredth of
 * tokens. Damm, Laszkiewicz, Lederer, Fischer: "AnomalyDINO: Boosting Patch-based Few-shot Anomaly
 * Detection with DINOv2", WACV 2025. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/foreground.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/token_distances.h"
#include "detectors/parts/transformer.h"
#include "detectors/parts/turned_copies.h"
#include "image/pixels.h"
#include "image/turn.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the authors' code"},
    {"layers", OPT_TEXT, "", "",
     "backbone layers, side by side on the grid of the first; empty: the last norm of a "
     "transformer, layer2,layer3 of others"},
    {"metric", OPT_CHOICE, "cosine", "cosine|l2",
     "one less the cosine, or the distance of tokens as they are"},
    PATCH_BANK_OPTIONS("1"),
    PATCH_WINDOW_OPTION,
    {"rotations", OPT_INT, "8", "1..360",
     "angles of a full turn at which each training image is learned; 1: as it is alone"},
    ROTATE_UP_TO_OPTION,
    {"foreground", OPT_CHOICE, "none", "none|test|both",
     "leave out what is not the object: nowhere, in images to be scored, in training images too"},
    {"foreground_threshold", OPT_REAL, "10", "0..",
     "what the first principal component of an object's tokens exceeds"},
    {"foreground_shape", OPT_CHOICE, "grid", "grid|raster",
     "the object is closed up among neighbours, or along rows alone (the code)"},
    {"top_share", OPT_REAL, "0.01", "0..1",
     "share of the tokens whose mean is the image's score; 0: the largest"},
    {"interpolation", OPT_CHOICE, "bicubic", "bilinear|bicubic", "how images are resized"},
    {"resize", .default_value = "448"},
    {"crop", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"official", "rotate_up_to", "0"},
    {"official", "foreground_shape", "raster"},
    {0},
};

typedef struct anomalydino {
    layer_list layers;
    const char
        *used[MOST_LAYERS + 1]; /* the layers, and the last norm where they pass through it */
    int used_count;
    const node *norms[MOST_LAYERS]; /* of each layer; NULL: it is taken as it is */
    patch_memory memory;            /* without an embedding: its rows are tokens */
    bool cosine;
    bool masks_test, masks_training;
    foreground_rule foreground;
} anomalydino;

/* ---- making ---- */

static imiad_status choose_norm(anomalydino *m, const node_chain *chain, int layer)
{
    const char *name = m->layers.names[layer];
    const node *last = transformer_norm(chain);
    chain_layer found;
    TRY(layer_require(&found, chain, "detector anomalydino", name));
    if (found.class_token)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector anomalydino needs layers with positions, not %s", name);
    m->used[m->used_count++] = name;
    m->norms[layer] = found.node == last ? NULL : last;
    m->memory.dimension += m->layers.channels[layer];
    return IMIAD_OK;
}

static imiad_status choose_layers(anomalydino *m, const imiad_detector *self)
{
    const node_chain *chain = &self->backbone->chain;
    const char *given = options_text(self->options, "layers");
    bool passes = false;
    if (!*given)
        given = transformer_norm(chain) ? "norm" : "layer2,layer3";
    TRY(layer_list_parse(&m->layers, "detector anomalydino", given, self->backbone));
    for (int i = 0; i < m->layers.count; ++i) {
        TRY(choose_norm(m, chain, i));
        passes |= m->norms[i] != NULL;
    }
    if (!passes)
        return IMIAD_OK;
    m->used[m->used_count++] = "norm";
    return backbone_require(self->backbone, "norm");
}

static imiad_status read_foreground(anomalydino *m, const imiad_detector *self)
{
    const option_set *o = self->options;
    const char *where = options_text(o, "foreground");
    m->masks_training = strcmp(where, "both") == 0;
    m->masks_test = m->masks_training || strcmp(where, "test") == 0;
    m->foreground = (foreground_rule){options_real(o, "foreground_threshold"),
                                      strcmp(options_text(o, "foreground_shape"), "raster") == 0};
    if (m->masks_test && !transformer_norm(&self->backbone->chain))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector anomalydino: option foreground needs a transformer's tokens, not %s",
                    self->backbone->architecture->name);
    if (m->masks_training && m->memory.window >= 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "detector anomalydino: option position_window expects a row at every place: "
                    "with it foreground may be none or test");
    return IMIAD_OK;
}

static imiad_status create(imiad_detector *self)
{
    anomalydino *m = self->state;
    m->cosine = strcmp(options_text(self->options, "metric"), "cosine") == 0;
    m->memory.neighbours = options_int(self->options, "neighbours");
    patch_memory_read_places(&m->memory, self);
    TRY(choose_layers(m, self));
    return read_foreground(m, self);
}

static void destroy(imiad_detector *self)
{
    anomalydino *m = self->state;
    patch_memory_free(&m->memory);
    layer_list_free(&m->layers);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const anomalydino *m = self->state;
    *count = m->used_count;
    return m->used;
}

/* ---- tokens ---- */

/* Of some images, in the current scope. */
typedef struct tokens {
    tensor *given;     /* rows x dimension, as the network gives them */
    float *rows;       /* what is compared, on the host */
    int64_t grid[2];   /* height, width */
    int64_t positions; /* of an image */
} tokens;

static tokens find_tokens(imiad_detector *self, const batch *b, tensor *images)
{
    const anomalydino *m = self->state;
    batch whole = *b;
    tensor *features[MOST_LAYERS], *parts[MOST_LAYERS];
    tokens t = {.given = NULL};
    int count = m->layers.count;
    whole.images = transformer_whole_patches(&self->backbone->chain, images);
    detector_features(self, &whole, m->layers.names, count, features);
    t.grid[0] = t_size(features[0], 2);
    t.grid[1] = t_size(features[0], 3);
    t.positions = t.grid[0] * t.grid[1];
    for (int i = 0; i < count; ++i) {
        if (t_size(features[i], 2) != t.grid[0] || t_size(features[i], 3) != t.grid[1])
            features[i] = t_interpolate(features[i], t.grid[0], t.grid[1], BILINEAR, false);
        parts[i] = transformer_rows(features[i], m->norms[i]);
    }
    t.given = count > 1 ? t_cat(parts, count, 1) : parts[0];
    tensor *rows = m->cosine ? t_normalize(t.given, 1) : t.given;
    t.rows = t_data(t_contiguous(t_to_device(rows, CPU)));
    return t;
}

/* For each token whether it belongs to the object: new memory, NULL after a failure, which sticks.
 */
static bool *find_foreground(const anomalydino *m, const tokens *t, int64_t images)
{
    size_t bytes = (size_t)(images * t->positions) * sizeof(bool);
    bool *shown = t_failed() ? NULL : malloc(bytes);
    if (!shown) {
        t_fail(IMIAD_NO_MEMORY, "out of memory: %zu bytes for foregrounds", bytes);
        return NULL;
    }
    for (int64_t i = 0; i < images; ++i) {
        scope s = scope_begin();
        foreground_find(shown + i * t->positions,
                        t_slice(t->given, 0, i * t->positions, (i + 1) * t->positions), t->grid[0],
                        t->grid[1], &m->foreground);
        scope_return(&s, NULL);
    }
    if (t_failed()) {
        free(shown);
        return NULL;
    }
    return shown;
}

/* ---- fit ---- */

static void copy_pixels(made_output *out, const imiad_image *image)
{
    size_t row = 3 * (size_t)out->width;
    for (int32_t y = 0; y < out->height; ++y)
        memcpy(out->bytes + (size_t)y * row, image_row(image, y), row);
}

/* The image is turned before it is resized. */
static imiad_status put_turned(made_output *out, const made_from *from, double degrees)
{
    const imiad_image *native;
    imiad_image *turned, *resized;
    TRY(made_native(&native, from));
    TRY(image_turn_smoothly(&turned, native, degrees));
    imiad_status status = preprocess_image(&resized, turned, &from->detector->preprocessing);
    imiad_image_free(turned);
    TRY(status);
    copy_pixels(out, resized);
    imiad_image_free(resized);
    return IMIAD_OK;
}

static imiad_status make_copy(const made_from *from, made_output *out)
{
    size_t angles = (size_t)options_int(from->detector->options, "rotations");
    size_t angle = from->place % angles;
    if (angle > 0)
        return put_turned(out, from, 360.0 * (double)angle / (double)angles);
    copy_pixels(out, from->image);
    return IMIAD_OK;
}

static const made_spec copy_spec = {.kind = MADE_IMAGE};
static const train_maker copy_maker = {&copy_spec, 1, make_copy};

/* The rows of the background out, and the others closed up: how many are left. */
static int64_t close_up(float *rows, int64_t *sources, const bool *shown, int64_t count,
                        int64_t columns)
{
    int64_t left = 0;
    for (int64_t i = 0; i < count; ++i) {
        if (!shown[i])
            continue;
        memmove(rows + left * columns, rows + i * columns, (size_t)columns * sizeof *rows);
        sources[left++] = sources[i];
    }
    return left;
}

/* The rows of a batch, each with the number of its image. */
static imiad_status add_rows(imiad_bank *bank, const anomalydino *m, const batch *b,
                             const tokens *t, int64_t first_image)
{
    int64_t count = b->count * t->positions, *sources = malloc((size_t)count * sizeof *sources);
    bool *shown = m->masks_training ? find_foreground(m, t, b->count) : NULL;
    if (!sources || t_failed()) {
        free(sources);
        free(shown);
        return t_failed() ? IMIAD_OK
                          : fail_memory("the images of tokens", (size_t)count * sizeof *sources);
    }
    for (int64_t i = 0; i < count; ++i)
        sources[i] = first_image + (int64_t)b->indices[i / t->positions];
    if (shown)
        count = close_up(t->rows, sources, shown, count, m->memory.dimension);
    imiad_status status = count > 0 ? imiad_bank_add_from(bank, t->rows, count, sources) : IMIAD_OK;
    free(sources);
    free(shown);
    return status;
}

static imiad_status add_batch(task_patches *out, imiad_detector *self, const batch *b, bool turned,
                              int64_t first_image)
{
    const anomalydino *m = self->state;
    const tokens t = find_tokens(self, b, turned ? b->made[0] : b->images);
    if (t_failed())
        return IMIAD_OK;
    if (imiad_bank_rows(out->bank) == 0)
        memcpy(out->grid, t.grid, sizeof out->grid);
    if (m->memory.window >= 0)
        TRY(one_size_check(self, "positions", t.grid, out->grid));
    return add_rows(out->bank, m, b, &t, first_image);
}

static imiad_status add_batches(task_patches *out, imiad_detector *self, train_set *normals,
                                size_t copies, int64_t first_image, const progress *p)
{
    int64_t done = 0, total = (int64_t)(train_set_count(normals) * copies);
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        imiad_status status = IMIAD_OK;
        more = train_set_next(normals, &b);
        if (more)
            status = add_batch(out, self, &b, copies > 1, first_image);
        TRY(scope_end(&s));
        TRY(status);
        done += more ? b.count : 0;
        TRY(progress_report(p, "features", done, total));
    }
    return IMIAD_OK;
}

static imiad_status check_rows(const anomalydino *m, const imiad_bank *bank)
{
    int64_t rows = imiad_bank_rows(bank);
    return rows >= m->memory.neighbours
               ? IMIAD_OK
               : fail(IMIAD_OUT_OF_RANGE,
                      "detector anomalydino: %lld tokens were learned%s, fewer than neighbours "
                      "%lld",
                      (long long)rows, m->masks_training ? " of the foreground" : "",
                      (long long)m->memory.neighbours);
}

static imiad_status fill(task_patches *out, imiad_detector *self, train_set *normals,
                         int64_t first_image, const progress *p)
{
    const anomalydino *m = self->state;
    size_t copies =
        turned_copies_of(self, normals, (size_t)options_int(self->options, "rotations"));
    if (copies > 1)
        TRY(turned_copies_begin(normals, &copy_maker, copies, self->tasks));
    imiad_status status = add_batches(out, self, normals, copies, first_image, p);
    train_set_rest(normals);
    TRY(status);
    TRY(check_rows(m, out->bank));
    return patch_memory_thin(out->bank, m->memory.window >= 0 ? &out->kept : NULL, &m->memory, self,
                             out->images * (int64_t)copies, NULL, p);
}

/* The bank of the given images alone. */
static imiad_status collect(task_patches *out, imiad_detector *self, train_set *normals,
                            int64_t first_image, const progress *p)
{
    const anomalydino *m = self->state;
    task_patches rows = {.images = (int64_t)train_set_count(normals)};
    imiad_storage storage = storage_named(options_text(self->options, "storage"));
    TRY(imiad_bank_create_stored(&rows.bank, m->memory.dimension, storage, memory_budget(self)));
    imiad_status status = fill(&rows, self, normals, first_image, p);
    if (status != IMIAD_OK) {
        task_patches_free(&rows);
        return status;
    }
    *out = rows;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    anomalydino *m = self->state;
    task_patches rows;
    patch_memory_clear(&m->memory);
    TRY(collect(&rows, self, normals, 0, p));
    imiad_status status = patch_memory_take(&m->memory, self, &rows);
    task_patches_free(&rows);
    return status;
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    anomalydino *m = self->state;
    task_patches rows;
    TRY(collect(&rows, self, normals, m->memory.images, p));
    imiad_status status = patch_memory_join(&m->memory, self, &rows);
    task_patches_free(&rows);
    return status;
}

static imiad_status forget(int64_t *removed, imiad_detector *self, int64_t image)
{
    anomalydino *m = self->state;
    return patch_memory_forget(removed, &m->memory, self, image);
}

/* ---- score ---- */

static void hide_background(float *values, const anomalydino *m, const tokens *t, int64_t images)
{
    bool *shown = find_foreground(m, t, images);
    for (int64_t i = 0; shown && i < images * t->positions; ++i)
        values[i] = shown[i] ? values[i] : 0;
    free(shown);
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const anomalydino *m = self->state;
    const tokens t = find_tokens(self, b, b->images);
    tensor *maps = t_zeros(3, (int64_t[]){b->count, t.grid[0], t.grid[1]}, F32, CPU);
    float *values = t_data(maps);
    if (!values || (m->memory.window >= 0 &&
                    !t_try(one_size_check(self, "positions", t.grid, m->memory.grid))))
        return;
    t_try(token_distances(values, &m->memory, self, t.rows, b->count, t.positions, m->cosine));
    if (m->masks_test && !t_failed())
        hide_background(values, m, &t, b->count);
    tensor *of_images = t_view(maps, 2, (int64_t[]){b->count, t.positions});
    *out = (scores){maps,
                    map_image_scores(of_images, "top", options_real(self->options, "top_share"))};
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const anomalydino *m = self->state;
    return patch_memory_save(&m->memory, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    anomalydino *m = self->state;
    return patch_memory_load(&m->memory, file);
}

static const imiad_bank *bank(const imiad_detector *self)
{
    const anomalydino *m = self->state;
    return m->memory.bank;
}

const detector_ops anomalydino_ops = {
    .name = "anomalydino",
    .title = "AnomalyDINO (Damm et al., WACV 2025)",
    .joins_tasks = true,
    .options = options,
    .presets = presets,
    .state_size = sizeof(anomalydino),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .forget = forget,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .bank = bank,
    .layers = used_layers,
};
