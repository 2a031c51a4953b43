/* SoftPatch: PatchCore for training images some of which are defective. Every training patch gets
 * an outlier factor among those of the other images at its position; the worst stay out of the
 * bank, and the factors of the others weigh the distances to them. Jiang, Liu, Wang, Nie, Wu, Liu,
 * Wang, Zheng: "SoftPatch: Unsupervised Anomaly Detection with Noisy Data", NeurIPS 2022. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/outlier_factors.h"
#include "detectors/parts/patch_memory.h"

static const option_spec options[] = {
    PATCH_MEMORY_OPTIONS,
    PATCH_WINDOW_OPTION,
    PLACE_CORESET_OPTIONS,
    {"discriminator", OPT_CHOICE, "lof", OUTLIER_METHODS,
     "what makes a training patch an outlier: local outlier factor, with the rounding of the "
     "code's GPU variant, distance to the nearest, Mahalanobis distance"},
    {"lof_k", OPT_INT, "6", "1..1000",
     "neighbours of the local outlier factor; all others where there are fewer"},
    {"threshold", OPT_REAL, "0.15", "0..0.99", "share of the training patches to leave out"},
    {"soft_weights", OPT_BOOL, "true", "", "outlier factors weigh the distances to the bank"},
    {"first_pick", OPT_CHOICE, "kept", "kept|any",
     "the coreset begins with a patch that is not left out, or with any (the code)"},
    {0},
};

typedef struct softpatch {
    patch_memory memory;
    float *row_weights; /* one for each row of the bank */
} softpatch;

static imiad_status create(imiad_detector *self)
{
    softpatch *m = self->state;
    return patch_memory_create(&m->memory, self);
}

static void drop(softpatch *m)
{
    patch_memory_clear(&m->memory);
    free(m->row_weights);
    m->row_weights = NULL;
}

static void destroy(imiad_detector *self)
{
    softpatch *m = self->state;
    drop(m);
    patch_memory_free(&m->memory);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const softpatch *m = self->state;
    *count = m->memory.layers.count;
    return m->memory.layers.names;
}

/* ---- fit ---- */

/* Factors in the given rows, or in a random projection of them that is not the coreset's. */
static imiad_status measure_projected(float *factors, const imiad_bank *bank, int64_t positions,
                                      const option_set *set, const progress *p)
{
    const char *method = options_text(set, "discriminator");
    int64_t neighbours = options_int(set, "lof_k"), columns = options_int(set, "projection_dim");
    patch_rows rows = {imiad_bank_data(bank), imiad_bank_rows(bank) / positions, positions,
                       imiad_bank_dimension(bank)};
    bool projects = columns != 0 && columns != rows.columns;
    if (!projects && rows.values)
        return outlier_factors(factors, &rows, method, neighbours, p);
    rows.columns = projects ? columns : rows.columns;
    size_t bytes = (size_t)(imiad_bank_rows(bank) * rows.columns) * sizeof(float);
    float *made = pages_take(bytes);
    if (!made)
        return fail_memory("the rows that outliers are looked for in", bytes);
    imiad_status status =
        projects ? bank_project(made, bank, rows.columns, NULL, (uint64_t)options_int(set, "seed"),
                                "softpatch/projection")
                 : imiad_bank_read(made, bank, 0, imiad_bank_rows(bank));
    rows.values = made;
    if (status == IMIAD_OK)
        status = outlier_factors(factors, &rows, method, neighbours, p);
    pages_free(made, bytes);
    return status;
}

/* Thins the bank; row_weights become those of the rows that stay, in their order. */
static imiad_status thin(task_patches *rows, float **row_weights, const float *factors,
                         bool *left_out, const imiad_detector *self, const progress *p)
{
    const softpatch *m = self->state;
    int64_t all = imiad_bank_rows(rows->bank);
    coreset_mask mask = {left_out, strcmp(options_text(self->options, "first_pick"), "any") == 0};
    double threshold;
    TRY(outlier_threshold(&threshold, factors, all, options_real(self->options, "threshold")));
    for (int64_t i = 0; i < all; ++i)
        left_out[i] = (double)factors[i] > threshold;
    TRY(patch_memory_thin(rows->bank, &rows->kept, &m->memory, self, rows->images, &mask, p));
    size_t count = (size_t)imiad_bank_rows(rows->bank);
    *row_weights = malloc(count * sizeof **row_weights);
    for (size_t i = 0; *row_weights && i < count; ++i)
        (*row_weights)[i] = factors[rows->kept[i]];
    return *row_weights ? IMIAD_OK
                        : fail_memory("the weights of a bank", count * sizeof **row_weights);
}

static imiad_status learn_from(task_patches *rows, float **row_weights, const imiad_detector *self,
                               const progress *p)
{
    imiad_bank *bank = rows->bank;
    size_t all = (size_t)imiad_bank_rows(bank);
    int64_t projected = options_int(self->options, "projection_dim");
    int64_t columns = projected > 0 ? projected : imiad_bank_data(bank) ? 0 : bank->dimension;
    TRY(bank_within_budget(bank, "looking for outliers",
                           bank_bytes(bank) + all * (uint64_t)(columns + 1) * sizeof(float)));
    float *factors = malloc(all * sizeof *factors);
    bool *left_out = malloc(all * sizeof *left_out);
    imiad_status status =
        factors && left_out
            ? measure_projected(factors, bank, rows->grid[0] * rows->grid[1], self->options, p)
            : fail_memory("outlier factors", all * (sizeof *factors + sizeof *left_out));
    if (status == IMIAD_OK)
        status = thin(rows, row_weights, factors, left_out, self, p);
    free(factors);
    free(left_out);
    return status;
}

/* The thinned bank of the given images alone, and its weights. */
static imiad_status learn_task(task_patches *out, float **row_weights, imiad_detector *self,
                               train_set *normals, int64_t first_image, const progress *p)
{
    const softpatch *m = self->state;
    task_patches rows = {.images = (int64_t)train_set_count(normals)};
    TRY(patch_memory_collect(&rows.bank, rows.grid, &m->memory, self, normals, first_image, p));
    imiad_status status = learn_from(&rows, row_weights, self, p);
    if (status != IMIAD_OK) {
        task_patches_free(&rows);
        return status;
    }
    *out = rows;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    softpatch *m = self->state;
    task_patches rows;
    drop(m);
    TRY(learn_task(&rows, &m->row_weights, self, normals, 0, p));
    imiad_status status = patch_memory_take(&m->memory, self, &rows);
    task_patches_free(&rows);
    return status;
}

static imiad_status append(softpatch *m, const imiad_detector *self, task_patches *rows,
                           const float *row_weights)
{
    size_t old = (size_t)imiad_bank_rows(m->memory.bank),
           added = (size_t)imiad_bank_rows(rows->bank);
    float *grown = realloc(m->row_weights, (old + added) * sizeof *grown);
    if (!grown)
        return fail_memory("the weights of a bank", (old + added) * sizeof *grown);
    m->row_weights = grown;
    memcpy(grown + old, row_weights, added * sizeof *grown);
    return patch_memory_join(&m->memory, self, rows);
}

/* Another task: its coreset joins those of the earlier ones. */
static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    softpatch *m = self->state;
    task_patches rows;
    float *row_weights;
    TRY(learn_task(&rows, &row_weights, self, normals, m->memory.images, p));
    imiad_status status = append(m, self, &rows, row_weights);
    task_patches_free(&rows);
    free(row_weights);
    return status;
}

/* ---- score ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const softpatch *m = self->state;
    bool soft = options_bool(self->options, "soft_weights");
    patch_memory_score(out, &m->memory, self, b, soft ? m->row_weights : NULL, NULL);
}

/* The weights of the rows that stay move up with them. */
static imiad_status forget_image(int64_t *removed, imiad_detector *self, int64_t image)
{
    softpatch *m = self->state;
    size_t rows = (size_t)imiad_bank_rows(m->memory.bank), held = 0;
    const int64_t *sources = imiad_bank_sources(m->memory.bank);
    bool *goes = calloc(rows, sizeof *goes);
    if (!goes)
        return fail_memory("the rows that go", rows * sizeof *goes);
    for (size_t i = 0; sources && i < rows; ++i)
        goes[i] = sources[i] == image;
    imiad_status status = patch_memory_forget(removed, &m->memory, self, image);
    for (size_t i = 0; status == IMIAD_OK && i < rows; ++i)
        if (!goes[i])
            m->row_weights[held++] = m->row_weights[i];
    free(goes);
    return status;
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const softpatch *m = self->state;
    const int64_t rows = imiad_bank_rows(m->memory.bank);
    TRY(patch_memory_save(&m->memory, writer));
    return weights_writer_add(writer, "weights", F32, 1, &rows, m->row_weights);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    softpatch *m = self->state;
    const weight *found;
    TRY(patch_memory_load(&m->memory, file));
    const int64_t rows = imiad_bank_rows(m->memory.bank);
    TRY(weights_expect(&found, file, "weights", F32, 1, &rows));
    m->row_weights = malloc(found->bytes);
    if (!m->row_weights)
        return fail_memory("the weights of a bank", found->bytes);
    memcpy(m->row_weights, found->data, found->bytes);
    return IMIAD_OK;
}

static const imiad_bank *bank(const imiad_detector *self)
{
    return ((const softpatch *)self->state)->memory.bank;
}

const detector_ops softpatch_ops = {
    .name = "softpatch",
    .title = "SoftPatch (Jiang et al., NeurIPS 2022)",
    .options = options,
    .later = patch_memory_later,
    .state_size = sizeof(softpatch),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .joins_tasks = true,
    .forget = forget_image,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .bank = bank,
    .layers = used_layers,
};
