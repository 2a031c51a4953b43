#include "detectors/parts/patch_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"

/* ---- making ---- */

const imiad_option patch_memory_later[] = {
    {"position_window", "-1"}, {"coreset_scope", "global"}, {"min_rows", "20"}, {NULL, NULL}};

void patch_memory_read_places(patch_memory *out, const imiad_detector *self)
{
    const char *of_coreset = options_find(self->options, "coreset_scope");
    bool has_window = options_find(self->options, "position_window");
    out->window = has_window ? options_int(self->options, "position_window") : -1;
    out->by_place = of_coreset && strcmp(of_coreset, "position") == 0;
}

static bool places_count(const patch_memory *m)
{
    return m->window >= 0 || m->by_place;
}

imiad_status patch_memory_create(patch_memory *out, const imiad_detector *self)
{
    char owner[64];
    snprintf(owner, sizeof owner, "detector %s", self->ops->name);
    out->neighbours = options_int(self->options, "neighbours");
    patch_memory_read_places(out, self);
    int patch = (int)options_int(self->options, "patch_size");
    if (patch % 2 == 0)
        return fail(IMIAD_OUT_OF_RANGE, "%s: option patch_size is %d: it must be odd", owner,
                    patch);
    TRY(layer_list_parse(&out->layers, owner, options_text(self->options, "layers"),
                         self->backbone));
    TRY(patch_embedding_create(&out->embedding, out->layers.count, out->layers.channels, patch,
                               options_int(self->options, "pretrain_embed_dimension"),
                               options_int(self->options, "target_embed_dimension")));
    out->dimension = patch_embedding_dimension(out->embedding);
    return IMIAD_OK;
}

void patch_memory_clear(patch_memory *m)
{
    imiad_bank_free(m->bank);
    windows_free(m->windows);
    window_sketches_free(m->sketches);
    free(m->places);
    m->bank = NULL;
    m->windows = NULL;
    m->sketches = NULL;
    m->places = NULL;
}

void patch_memory_free(patch_memory *m)
{
    patch_memory_clear(m);
    layer_list_free(&m->layers);
    patch_embedding_free(m->embedding);
}

float *patch_memory_embed(int64_t grid[2], const patch_memory *m, imiad_detector *self,
                          const batch *b)
{
    tensor *features[PATCH_LEVELS];
    detector_features(self, b, m->layers.names, m->layers.count, features);
    grid[0] = t_size(features[0], 2);
    grid[1] = t_size(features[0], 3);
    size_t values = (size_t)(b->count * grid[0] * grid[1] * m->dimension);
    float *rows = t_failed() ? NULL : malloc(values * sizeof *rows);
    if (!rows)
        t_fail(IMIAD_NO_MEMORY, "out of memory: %zu bytes for patch features",
               values * sizeof *rows);
    else
        patch_embedding_apply(rows, m->embedding, features, false);
    return rows;
}

/* ---- filling ---- */

static imiad_status same_grid(int64_t common[2], const int64_t grid[2], bool first,
                              const imiad_detector *self)
{
    if (first)
        memcpy(common, grid, 2 * sizeof *grid);
    return one_size_check(self, "positions", grid, common);
}

/* The rows of a batch, each with the number of its image. */
static imiad_status add_images(imiad_bank *bank, const float *rows, int64_t images,
                               int64_t positions, int64_t first_image)
{
    int64_t count = images * positions, *sources = malloc((size_t)count * sizeof *sources);
    if (!sources)
        return fail_memory("the images of patches", (size_t)count * sizeof *sources);
    for (int64_t i = 0; i < count; ++i)
        sources[i] = first_image + i / positions;
    imiad_status status = imiad_bank_add_from(bank, rows, count, sources);
    free(sources);
    return status;
}

imiad_status patch_memory_each(const patch_memory *m, imiad_detector *self, train_set *normals,
                               const char *stage, patch_use *use, void *context, const progress *p)
{
    int64_t done = 0, total = (int64_t)train_set_count(normals);
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        int64_t grid[2];
        imiad_status status = IMIAD_OK;
        more = train_set_next(normals, &b);
        float *rows = more ? patch_memory_embed(grid, m, self, &b) : NULL;
        if (rows && !t_failed())
            status = use(context, rows, &b, grid);
        free(rows);
        TRY(scope_end(&s));
        TRY(status);
        done += more ? b.count : 0;
        TRY(progress_report(p, stage, done, total));
    }
    return IMIAD_OK;
}

typedef struct filling {
    imiad_bank *bank;
    const imiad_detector *self;
    int64_t *common;    /* grid of all images, or NULL: any */
    int64_t next_image; /* its number */
} filling;

static imiad_status add_batch(void *context, const float *rows, const batch *b,
                              const int64_t grid[2])
{
    filling *f = context;
    if (f->common)
        TRY(same_grid(f->common, grid, imiad_bank_rows(f->bank) == 0, f->self));
    TRY(add_images(f->bank, rows, b->count, grid[0] * grid[1], f->next_image));
    f->next_image += b->count;
    return IMIAD_OK;
}

imiad_status patch_memory_collect(imiad_bank **out, int64_t grid[2], const patch_memory *m,
                                  imiad_detector *self, train_set *normals, int64_t first_image,
                                  const progress *p)
{
    imiad_bank *bank;
    if (m->window >= 0 && train_set_is_moved(normals))
        log_message(IMIAD_LOG_WARNING,
                    "detector %s: position_window expects parts that lie alike, and the setting "
                    "turns or moves training images",
                    self->ops->name);
    imiad_storage storage = storage_named(options_text(self->options, "storage"));
    TRY(imiad_bank_create_stored(&bank, m->dimension, storage, memory_budget(self)));
    filling f = {bank, self, grid, first_image};
    imiad_status status = patch_memory_each(m, self, normals, "features", add_batch, &f, p);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return status;
    }
    *out = bank;
    return IMIAD_OK;
}

/* ---- thinning ---- */

static imiad_coreset_options coreset_options(const option_set *set)
{
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    o.ratio = options_real(set, "coreset_ratio");
    o.exact = strcmp(options_text(set, "sampler"), "exact") == 0;
    o.projection = (int32_t)options_int(set, "projection_dim");
    o.starts = (int32_t)options_int(set, "starts");
    o.seed = (uint64_t)options_int(set, "seed");
    return o;
}

static imiad_status check_count(int64_t count, const imiad_bank *bank, const patch_memory *m,
                                const imiad_detector *self)
{
    return count >= m->neighbours
               ? IMIAD_OK
               : fail(IMIAD_OUT_OF_RANGE,
                      "detector %s: coreset_ratio %g of %lld patches keeps %lld, fewer than "
                      "neighbours %lld",
                      self->ops->name, options_real(self->options, "coreset_ratio"),
                      (long long)imiad_bank_rows(bank), (long long)count, (long long)m->neighbours);
}

/* Of all patches: the rows that stay. */
static imiad_status choose_rows(int64_t *picks, int64_t *count, const imiad_bank *bank,
                                const patch_memory *m, const imiad_detector *self, int64_t images,
                                const coreset_mask *mask, const progress *p)
{
    const imiad_coreset_options coreset = coreset_options(self->options);
    if (!m->by_place)
        return bank_select(picks, count, bank, &coreset, mask, p);
    TRY(progress_report(p, "coreset", 0, imiad_bank_rows(bank)));
    const place_coreset how = {coreset.ratio, options_int(self->options, "min_rows"),
                               mask ? mask->left_out : NULL, coreset.seed};
    return bank_select_places(picks, count, bank, imiad_bank_rows(bank) / images, &how);
}

imiad_status patch_memory_thin(imiad_bank *bank, int64_t **kept, const patch_memory *m,
                               const imiad_detector *self, int64_t images, const coreset_mask *mask,
                               const progress *p)
{
    double ratio = options_real(self->options, "coreset_ratio");
    if (ratio == 1 && !kept && !mask)
        return IMIAD_OK;
    int64_t rows = imiad_bank_rows(bank), count = imiad_coreset_size(rows, ratio);
    if (m->by_place)
        count = rows;
    TRY(check_count(count, bank, m, self));
    int64_t *picks = malloc((size_t)count * sizeof *picks);
    if (!picks)
        return fail_memory("a coreset", (size_t)count * sizeof *picks);
    imiad_status status = choose_rows(picks, &count, bank, m, self, images, mask, p);
    if (status == IMIAD_OK)
        status = check_count(count, bank, m, self); /* now of those that were not left out */
    /* otherwise they are all of them, in order of rows or of places */
    if (status == IMIAD_OK && (count < rows || m->by_place))
        status = imiad_bank_keep(bank, picks, count);
    if (status == IMIAD_OK && kept)
        *kept = picks;
    else
        free(picks);
    return status;
}

/* ---- rows of images, and where they lie ---- */

void task_patches_free(task_patches *rows)
{
    imiad_bank_free(rows->bank);
    free(rows->kept);
    *rows = (task_patches){NULL};
}

/* The places of all rows, those of before first: new memory. */
static imiad_status gather_places(int32_t **out, const patch_memory *m, int64_t before,
                                  const task_patches *rows)
{
    int64_t count = imiad_bank_rows(rows->bank), positions = rows->grid[0] * rows->grid[1];
    int32_t *places = malloc((size_t)(before + count) * sizeof *places);
    if (!places)
        return fail_memory("the places of a bank", (size_t)(before + count) * sizeof *places);
    if (before > 0)
        memcpy(places, m->places, (size_t)before * sizeof *places);
    for (int64_t i = 0; i < count; ++i)
        places[before + i] = (int32_t)((rows->kept ? rows->kept[i] : i) % positions);
    *out = places;
    return IMIAD_OK;
}

/* Where so few rows lie near some places that their windows grow. */
static void tell_short(const patch_memory *m, const imiad_detector *self)
{
    int64_t few = windows_short(m->windows, m->window, m->neighbours);
    if (few > 0)
        log_message(IMIAD_LOG_INFO,
                    "detector %s: at %lld of %lld places fewer than %lld rows lie within "
                    "position_window %lld: there the window grows",
                    self->ops->name, (long long)few, (long long)(m->grid[0] * m->grid[1]),
                    (long long)m->neighbours, (long long)m->window);
}

typedef struct placed {
    int32_t *places;
    bank_windows *windows;
} placed;

/* Of the rows that were there before and those that come. */
static imiad_status make_placed(placed *out, const patch_memory *m, int64_t before,
                                const task_patches *rows)
{
    int32_t *places = NULL;
    bank_windows *windows;
    TRY(gather_places(&places, m, before, rows));
    imiad_status status = windows_create(&windows, places, before + imiad_bank_rows(rows->bank),
                                         rows->grid[0], rows->grid[1]);
    if (status != IMIAD_OK) {
        free(places);
        return status;
    }
    *out = (placed){places, windows};
    return IMIAD_OK;
}

static void drop_placed(placed *p)
{
    windows_free(p->windows);
    free(p->places);
}

/* The bank is the new one already. */
static void put_placed(patch_memory *m, const placed *p, const int64_t grid[2])
{
    windows_free(m->windows);
    window_sketches_free(m->sketches);
    free(m->places);
    m->windows = p->windows;
    m->places = p->places;
    memcpy(m->grid, grid, sizeof m->grid);
    window_sketches_create(&m->sketches, m->bank, m->windows);
}

imiad_status patch_memory_take(patch_memory *m, const imiad_detector *self, task_patches *rows)
{
    placed p;
    patch_memory_clear(m);
    if (m->window >= 0) {
        TRY(make_placed(&p, m, 0, rows));
    }
    m->bank = rows->bank;
    m->images = rows->images;
    rows->bank = NULL;
    if (m->window >= 0) {
        put_placed(m, &p, rows->grid);
        tell_short(m, self);
    }
    return IMIAD_OK;
}

imiad_status patch_memory_join(patch_memory *m, const imiad_detector *self, task_patches *rows)
{
    placed p = {NULL};
    if (m->window >= 0) {
        TRY(one_size_check(self, "positions", rows->grid, m->grid));
        TRY(make_placed(&p, m, imiad_bank_rows(m->bank), rows));
    }
    imiad_status status = imiad_bank_merge(m->bank, rows->bank);
    if (status != IMIAD_OK) {
        drop_placed(&p);
        return status;
    }
    m->images += rows->images;
    if (m->window >= 0) {
        put_placed(m, &p, rows->grid);
        tell_short(m, self);
    }
    return IMIAD_OK;
}

/* The thinned bank of the given images alone. */
static imiad_status task_rows(task_patches *out, const patch_memory *m, imiad_detector *self,
                              train_set *normals, int64_t first_image, patch_thinner *thin,
                              const progress *p)
{
    bool counts = places_count(m);
    task_patches rows = {.images = (int64_t)train_set_count(normals)};
    TRY(patch_memory_collect(&rows.bank, counts ? rows.grid : NULL, m, self, normals, first_image,
                             p));
    imiad_status status = thin(rows.bank, counts ? &rows.kept : NULL, self, rows.images, p);
    if (status != IMIAD_OK) {
        task_patches_free(&rows);
        return status;
    }
    *out = rows;
    return IMIAD_OK;
}

imiad_status patch_memory_fit(patch_memory *m, imiad_detector *self, train_set *normals,
                              patch_thinner *thin, const progress *p)
{
    task_patches rows;
    patch_memory_clear(m);
    TRY(task_rows(&rows, m, self, normals, 0, thin, p));
    imiad_status status = patch_memory_take(m, self, &rows);
    task_patches_free(&rows);
    return status;
}

imiad_status patch_memory_fit_more(patch_memory *m, imiad_detector *self, train_set *normals,
                                   patch_thinner *thin, const progress *p)
{
    task_patches rows;
    TRY(task_rows(&rows, m, self, normals, m->images, thin, p));
    imiad_status status = patch_memory_join(m, self, &rows);
    task_patches_free(&rows);
    return status;
}

/* ---- scoring ---- */

/* What the search finds for the patches of a batch. */
typedef struct found {
    float *squares; /* patches x neighbours */
    int64_t *rows;
} found;

/* Whether a window leaves anything out. */
static bool is_near(const patch_memory *m)
{
    return m->window >= 0 && (m->window < m->grid[0] - 1 || m->window < m->grid[1] - 1);
}

static window_search search_near(const patch_memory *m)
{
    return (window_search){m->bank, m->windows, m->sketches, m->window, NULL};
}

imiad_status patch_memory_search(float *squares, int64_t *rows, const patch_memory *m,
                                 const imiad_detector *self, const float *patches, int64_t images,
                                 int64_t positions)
{
    device place = detector_device(self);
    char name[16];
    int32_t k = (int32_t)m->neighbours;
    const window_search near = search_near(m);
    if (is_near(m))
        return windows_search(squares, rows, &near, patches, images, k);
    return place.cuda ? imiad_bank_search_on(squares, rows, m->bank, device_name(place, name),
                                             patches, images * positions, k)
                      : imiad_bank_search(squares, rows, m->bank, patches, images * positions, k);
}

static imiad_status search(found *out, const patch_memory *m, const imiad_detector *self,
                           const float *patches, int64_t images, int64_t positions)
{
    size_t places = (size_t)(images * positions * m->neighbours);
    out->squares = malloc(places * sizeof *out->squares);
    out->rows = malloc(places * sizeof *out->rows);
    if (!out->squares || !out->rows)
        return fail_memory("distances", places * (sizeof *out->squares + sizeof *out->rows));
    return patch_memory_search(out->squares, out->rows, m, self, patches, images, positions);
}

imiad_status patch_memory_nearest(float *squares, int64_t *rows, const patch_memory *m,
                                  const float *feature, int64_t place, int32_t count)
{
    const window_search near = search_near(m);
    return is_near(m) ? windows_search_at(squares, rows, &near, feature, place, count)
                      : imiad_bank_search(squares, rows, m->bank, feature, 1, count);
}

static float patch_score(const found *f, int64_t patch, int64_t neighbours,
                         const float *row_weights)
{
    double sum = 0;
    for (int64_t j = patch * neighbours; j < (patch + 1) * neighbours; ++j)
        sum += (double)f->squares[j] * (row_weights ? (double)row_weights[f->rows[j]] : 1.0);
    return (float)(sum / (double)neighbours);
}

/* Patch scores and image scores of `count` images with `positions` patches each. */
static imiad_status score_patches(float *patch_scores, float *image_scores, const patch_memory *m,
                                  const imiad_detector *self, const float *patches, int64_t count,
                                  int64_t positions, const float *row_weights,
                                  patch_image_score *image_score)
{
    int64_t k = m->neighbours;
    found f = {NULL, NULL};
    imiad_status status = search(&f, m, self, patches, count, positions);
    for (int64_t n = 0; status == IMIAD_OK && n < count; ++n) {
        int64_t worst = n * positions;
        for (int64_t i = n * positions; i < (n + 1) * positions; ++i) {
            patch_scores[i] = patch_score(&f, i, k, row_weights);
            worst = patch_scores[i] > patch_scores[worst] ? i : worst;
        }
        image_scores[n] = patch_scores[worst];
        if (image_score)
            status = image_score(&image_scores[n], self, patches + worst * m->dimension,
                                 worst - n * positions, f.rows[worst * k], f.squares[worst * k]);
    }
    free(f.squares);
    free(f.rows);
    return status;
}

void patch_memory_score(scores *out, const patch_memory *m, imiad_detector *self, const batch *b,
                        const float *row_weights, patch_image_score *image_score)
{
    int64_t grid[2];
    float *patches = patch_memory_embed(grid, m, self, b);
    tensor *maps = t_zeros(3, (int64_t[]){b->count, grid[0], grid[1]}, F32, CPU);
    tensor *image = t_zeros(1, (int64_t[]){b->count}, F32, CPU);
    float *patch_scores = t_data(maps), *image_scores = t_data(image);
    if (!t_failed() && m->window >= 0)
        t_try(one_size_check(self, "positions", grid, m->grid));
    if (!t_failed())
        t_try(score_patches(patch_scores, image_scores, m, self, patches, b->count,
                            grid[0] * grid[1], row_weights, image_score));
    free(patches);
    *out = (scores){maps, image};
}

/* ---- forgetting ---- */

/* The places of the rows that are not of the image, with what searches them. */
static imiad_status places_without(placed *out, const patch_memory *m, int64_t image)
{
    const int64_t *sources = imiad_bank_sources(m->bank);
    int64_t rows = imiad_bank_rows(m->bank), held = 0;
    int32_t *places = malloc((size_t)rows * sizeof *places);
    if (!places)
        return fail_memory("the places of a bank", (size_t)rows * sizeof *places);
    for (int64_t i = 0; i < rows; ++i)
        if (!sources || sources[i] != image)
            places[held++] = m->places[i];
    imiad_status status = windows_create(&out->windows, places, held, m->grid[0], m->grid[1]);
    if (status != IMIAD_OK) {
        free(places);
        return status;
    }
    out->places = places;
    return IMIAD_OK;
}

static imiad_status check_forgetting(const patch_memory *m, const imiad_detector *self,
                                     int64_t image)
{
    const int64_t *sources = imiad_bank_sources(m->bank);
    int64_t rows = imiad_bank_rows(m->bank), left = 0;
    if (image < 0 || image >= m->images)
        return fail(IMIAD_OUT_OF_RANGE, "detector %s: forgetting image %lld: it has learned %lld",
                    self->ops->name, (long long)image, (long long)m->images);
    for (int64_t i = 0; i < rows; ++i)
        left += !sources || sources[i] != image;
    if (left < m->neighbours)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector %s: forgetting image %lld leaves %lld patches, fewer than neighbours "
                    "%lld",
                    self->ops->name, (long long)image, (long long)left, (long long)m->neighbours);
    return IMIAD_OK;
}

imiad_status patch_memory_forget(int64_t *removed, patch_memory *m, const imiad_detector *self,
                                 int64_t image)
{
    placed p = {NULL};
    TRY(check_forgetting(m, self, image));
    if (m->window >= 0)
        TRY(places_without(&p, m, image));
    imiad_status status = imiad_bank_forget(m->bank, image, removed);
    if (status != IMIAD_OK)
        drop_placed(&p);
    else if (m->window >= 0)
        put_placed(m, &p, m->grid);
    return status;
}

/* ---- file ---- */

static const int64_t two = 2;

imiad_status patch_memory_save(const patch_memory *m, weights_writer *writer)
{
    TRY(bank_write(writer, m->bank));
    TRY(weights_writer_add(writer, "images", I64, 0, NULL, &m->images));
    if (m->window < 0)
        return IMIAD_OK;
    const int64_t rows = imiad_bank_rows(m->bank);
    TRY(weights_writer_add(writer, "bank.places", I32, 1, &rows, m->places));
    return weights_writer_add(writer, "bank.grid", I64, 1, &two, m->grid);
}

static imiad_status load_places(patch_memory *m, const weights *file)
{
    const weight *placed_rows, *grid;
    const int64_t rows = imiad_bank_rows(m->bank);
    TRY(weights_expect(&placed_rows, file, "bank.places", I32, 1, &rows));
    TRY(weights_expect(&grid, file, "bank.grid", I64, 1, &two));
    memcpy(m->grid, grid->data, sizeof m->grid);
    if (m->grid[0] < 1 || m->grid[0] > INT16_MAX || m->grid[1] < 1 || m->grid[1] > INT16_MAX)
        return fail(IMIAD_FORMAT, "a bank over a grid of %lld x %lld places", (long long)m->grid[1],
                    (long long)m->grid[0]);
    m->places = malloc(placed_rows->bytes);
    if (!m->places)
        return fail_memory("the places of a bank", placed_rows->bytes);
    memcpy(m->places, placed_rows->data, placed_rows->bytes);
    TRY(windows_create(&m->windows, m->places, rows, m->grid[0], m->grid[1]));
    window_sketches_create(&m->sketches, m->bank, m->windows);
    return IMIAD_OK;
}

imiad_status patch_memory_load(patch_memory *m, const weights *file)
{
    const weight *images = NULL; /* a file of before this number was kept has none */
    TRY(bank_copy_of_file(&m->bank, file, "its memory bank"));
    if (imiad_bank_dimension(m->bank) != m->dimension || imiad_bank_rows(m->bank) < m->neighbours)
        return fail(IMIAD_FORMAT, "no memory bank of %lld columns", (long long)m->dimension);
    if (weights_find(file, "images"))
        TRY(weights_expect(&images, file, "images", I64, 0, NULL));
    m->images = images ? *(const int64_t *)images->data : 0;
    return m->window >= 0 ? load_places(m, file) : IMIAD_OK;
}
