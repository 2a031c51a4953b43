#include "detectors/parts/patch_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"

/* ---- making ---- */

imiad_status patch_memory_create(patch_memory *out, const imiad_detector *self)
{
    char owner[64];
    snprintf(owner, sizeof owner, "detector %s", self->ops->name);
    out->dimension = options_int(self->options, "target_embed_dimension");
    out->neighbours = options_int(self->options, "neighbours");
    int patch = (int)options_int(self->options, "patch_size");
    if (patch % 2 == 0)
        return fail(IMIAD_OUT_OF_RANGE, "%s: option patch_size is %d: it must be odd", owner,
                    patch);
    TRY(layer_list_parse(&out->layers, owner, options_text(self->options, "layers"),
                         self->backbone));
    return patch_embedding_create(&out->embedding, out->layers.count, out->layers.channels, patch,
                                  options_int(self->options, "pretrain_embed_dimension"),
                                  out->dimension);
}

void patch_memory_free(patch_memory *m)
{
    layer_list_free(&m->layers);
    patch_embedding_free(m->embedding);
    imiad_bank_free(m->bank);
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

static imiad_status fill(imiad_bank *bank, int64_t common[2], const patch_memory *m,
                         imiad_detector *self, train_set *normals, int64_t first_image,
                         const progress *p)
{
    int64_t done = 0, total = (int64_t)train_set_count(normals);
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        int64_t grid[2];
        imiad_status status = IMIAD_OK;
        more = train_set_next(normals, &b);
        float *rows = more ? patch_memory_embed(grid, m, self, &b) : NULL;
        if (rows && !t_failed() && common)
            status = same_grid(common, grid, done == 0, self);
        if (rows && !t_failed() && status == IMIAD_OK)
            status = add_images(bank, rows, b.count, grid[0] * grid[1], first_image + done);
        free(rows);
        TRY(scope_end(&s));
        TRY(status);
        done += more ? b.count : 0;
        TRY(progress_report(p, "features", done, total));
    }
    return IMIAD_OK;
}

imiad_status patch_memory_collect(imiad_bank **out, int64_t grid[2], const patch_memory *m,
                                  imiad_detector *self, train_set *normals, int64_t first_image,
                                  const progress *p)
{
    imiad_bank *bank;
    imiad_storage storage = storage_named(options_text(self->options, "storage"));
    TRY(imiad_bank_create_stored(&bank, m->dimension, storage, memory_budget(self)));
    imiad_status status = fill(bank, grid, m, self, normals, first_image, p);
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

imiad_status patch_memory_thin(imiad_bank *bank, int64_t **kept, const patch_memory *m,
                               const imiad_detector *self, const coreset_mask *mask,
                               const progress *p)
{
    imiad_coreset_options coreset = coreset_options(self->options);
    if (coreset.ratio == 1 && !kept && !mask)
        return IMIAD_OK;
    int64_t rows = imiad_bank_rows(bank), count = imiad_coreset_size(rows, coreset.ratio);
    TRY(check_count(count, bank, m, self));
    int64_t *picks = malloc((size_t)count * sizeof *picks);
    if (!picks)
        return fail_memory("a coreset", (size_t)count * sizeof *picks);
    imiad_status status = bank_select(picks, &count, bank, &coreset, mask, p);
    if (status == IMIAD_OK)
        status = check_count(count, bank, m, self); /* now of those that were not left out */
    if (status == IMIAD_OK && count < rows)         /* otherwise they are all of them, in order */
        status = imiad_bank_keep(bank, picks, count);
    if (status == IMIAD_OK && kept)
        *kept = picks;
    else
        free(picks);
    return status;
}

/* The thinned bank of the given images alone. */
static imiad_status task_bank(imiad_bank **out, const patch_memory *m, imiad_detector *self,
                              train_set *normals, int64_t first_image, patch_thinner *thin,
                              const progress *p)
{
    imiad_bank *bank;
    TRY(patch_memory_collect(&bank, NULL, m, self, normals, first_image, p));
    imiad_status status = thin(bank, self, (int64_t)train_set_count(normals), p);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return status;
    }
    *out = bank;
    return IMIAD_OK;
}

imiad_status patch_memory_fit(patch_memory *m, imiad_detector *self, train_set *normals,
                              patch_thinner *thin, const progress *p)
{
    imiad_bank_free(m->bank);
    m->bank = NULL;
    m->images = (int64_t)train_set_count(normals);
    return task_bank(&m->bank, m, self, normals, 0, thin, p);
}

imiad_status patch_memory_fit_more(patch_memory *m, imiad_detector *self, train_set *normals,
                                   patch_thinner *thin, const progress *p)
{
    imiad_bank *bank;
    TRY(task_bank(&bank, m, self, normals, m->images, thin, p));
    imiad_status status = imiad_bank_merge(m->bank, bank);
    m->images += status == IMIAD_OK ? (int64_t)train_set_count(normals) : 0;
    imiad_bank_free(bank);
    return status;
}

/* ---- scoring ---- */

/* What the search finds for the patches of a batch. */
typedef struct found {
    float *squares; /* patches x neighbours */
    int64_t *rows;
} found;

/* On the device that the network runs on: the neighbours and their distances are the same. */
static imiad_status search(found *out, const patch_memory *m, const imiad_detector *self,
                           const float *patches, int64_t count)
{
    device place = detector_device(self);
    char name[16];

    size_t places = (size_t)(count * m->neighbours);
    out->squares = malloc(places * sizeof *out->squares);
    out->rows = malloc(places * sizeof *out->rows);
    if (!out->squares || !out->rows)
        return fail_memory("distances", places * (sizeof *out->squares + sizeof *out->rows));
    return place.cuda
               ? imiad_bank_search_on(out->squares, out->rows, m->bank, device_name(place, name),
                                      patches, count, (int32_t)m->neighbours)
               : imiad_bank_search(out->squares, out->rows, m->bank, patches, count,
                                   (int32_t)m->neighbours);
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
    imiad_status status = search(&f, m, self, patches, count * positions);
    for (int64_t n = 0; status == IMIAD_OK && n < count; ++n) {
        int64_t worst = n * positions;
        for (int64_t i = n * positions; i < (n + 1) * positions; ++i) {
            patch_scores[i] = patch_score(&f, i, k, row_weights);
            worst = patch_scores[i] > patch_scores[worst] ? i : worst;
        }
        image_scores[n] = patch_scores[worst];
        if (image_score)
            status = image_score(&image_scores[n], self, patches + worst * m->dimension,
                                 f.rows[worst * k], f.squares[worst * k]);
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
    if (!t_failed())
        t_try(score_patches(patch_scores, image_scores, m, self, patches, b->count,
                            grid[0] * grid[1], row_weights, image_score));
    free(patches);
    *out = (scores){maps, image};
}

/* ---- forgetting ---- */

imiad_status patch_memory_forget(int64_t *removed, patch_memory *m, const imiad_detector *self,
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
    return imiad_bank_forget(m->bank, image, removed);
}

/* ---- file ---- */

imiad_status patch_memory_save(const patch_memory *m, weights_writer *writer)
{
    TRY(bank_write(writer, m->bank));
    return weights_writer_add(writer, "images", I64, 0, NULL, &m->images);
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
    return IMIAD_OK;
}
