/* PatchCore: a memory bank of locally aware patch features of normal images, thinned by a greedy
 * coreset; a patch is as anomalous as it is far from the nearest of them. Roth, Pemula, Zepeda,
 * Schoelkopf, Brox, Gehler: "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. */
#include "detectors/detector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/layer_list.h"
#include "detectors/patch_embedding.h"

static const option_spec options[] = {
    {"layers", OPT_TEXT, "layer2,layer3", "", "backbone layers, the first one sets the grid"},
    {"patch_size", OPT_INT, "3", "1..15", "side of a patch's neighbourhood, odd"},
    {"pretrain_embed_dimension", OPT_INT, "1024", "1..65536", "values a layer is averaged to"},
    {"target_embed_dimension", OPT_INT, "1024", "1..65536", "values a patch is averaged to"},
    {"sampler", OPT_CHOICE, "approximate", "approximate|exact",
     "greedy coreset from random starts, or from all distances"},
    {"coreset_ratio", OPT_REAL, "0.1", "0<..1", "share of the bank to keep; 1 keeps all of it"},
    {"projection_dim", OPT_INT, "128", "0..65536",
     "columns of the random projection that the coreset measures in; 0: none"},
    {"starts", OPT_INT, "10", "1..1000", "rows whose mean distance begins the coreset"},
    {"neighbours", OPT_INT, "1", "1..1000", "nearest rows whose distances are averaged"},
    {"image_score", OPT_CHOICE, "max", "max|reweighted",
     "largest patch score (the code), or weighted by its neighbourhood (the paper, equation 7)"},
    {"reweight_neighbours", OPT_INT, "9", "1..1000", "bank rows that the weight looks at"},
    {"seed", OPT_INT, "0", "0..", "draws the projection and the starts"},
    {"memory_budget", OPT_INT, "0", "0..", "most megabytes the bank may take; 0: no bound"},
    {0},
};

typedef struct patchcore {
    layer_list layers;
    patch_embedding *embedding;
    int64_t dimension, neighbours;
    imiad_bank *bank;
} patchcore;

static imiad_status create(imiad_detector *self)
{
    patchcore *m = self->state;
    m->dimension = options_int(self->options, "target_embed_dimension");
    m->neighbours = options_int(self->options, "neighbours");
    int patch = (int)options_int(self->options, "patch_size");
    if (patch % 2 == 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector patchcore: option patch_size is %d: it must be odd", patch);
    TRY(layer_list_parse(&m->layers, "detector patchcore", options_text(self->options, "layers"),
                         self->backbone));
    return patch_embedding_create(&m->embedding, m->layers.count, m->layers.channels, patch,
                                  options_int(self->options, "pretrain_embed_dimension"),
                                  m->dimension);
}

static void destroy(imiad_detector *self)
{
    patchcore *m = self->state;
    layer_list_free(&m->layers);
    patch_embedding_free(m->embedding);
    imiad_bank_free(m->bank);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const patchcore *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* The patch features of a batch: new memory of rows x dimension floats, NULL after a failure. */
static float *embed(imiad_detector *self, const batch *b, int64_t grid[2])
{
    patchcore *m = self->state;
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

/* ---- fit ---- */

static imiad_status fill_bank(imiad_bank *bank, imiad_detector *self, train_set *normals,
                              const progress *p)
{
    int64_t done = 0, total = (int64_t)train_set_count(normals);
    for (bool more = true; more;) {
        scope s = scope_begin();
        batch b;
        int64_t grid[2];
        imiad_status status = IMIAD_OK;
        more = train_set_next(normals, &b);
        float *rows = more ? embed(self, &b, grid) : NULL;
        if (rows && !t_failed())
            status = imiad_bank_add(bank, rows, b.count * grid[0] * grid[1]);
        free(rows);
        TRY(scope_end(&s));
        TRY(status);
        done += more ? b.count : 0;
        TRY(progress_report(p, "features", done, total));
    }
    return IMIAD_OK;
}

static imiad_status thin_bank(imiad_bank *bank, const imiad_detector *self, const progress *p)
{
    const patchcore *m = self->state;
    imiad_coreset_options coreset = IMIAD_CORESET_OPTIONS_INIT;
    coreset.ratio = options_real(self->options, "coreset_ratio");
    coreset.exact = strcmp(options_text(self->options, "sampler"), "exact") == 0;
    coreset.projection = (int32_t)options_int(self->options, "projection_dim");
    coreset.starts = (int32_t)options_int(self->options, "starts");
    coreset.seed = (uint64_t)options_int(self->options, "seed");
    if (coreset.ratio >= 1)
        return IMIAD_OK;
    int64_t count = imiad_coreset_size(imiad_bank_rows(bank), coreset.ratio);
    if (count < m->neighbours)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector patchcore: coreset_ratio %g of %lld patches keeps %lld, fewer than "
                    "neighbours %lld",
                    coreset.ratio, (long long)imiad_bank_rows(bank), (long long)count,
                    (long long)m->neighbours);
    int64_t *picks = malloc((size_t)count * sizeof *picks);
    if (!picks)
        return fail_memory("a coreset", (size_t)count * sizeof *picks);
    imiad_status status =
        imiad_bank_select(picks, bank, &coreset, p ? p->function : NULL, p ? p->user : NULL);
    if (status == IMIAD_OK)
        status = imiad_bank_keep(bank, picks, count);
    free(picks);
    return status;
}

/* The thinned bank of the given images alone. */
static imiad_status task_bank(imiad_bank **out, imiad_detector *self, train_set *normals,
                              const progress *p)
{
    const patchcore *m = self->state;
    imiad_bank *bank;
    uint64_t budget = (uint64_t)options_int(self->options, "memory_budget") * 1000000;
    TRY(imiad_bank_create(&bank, m->dimension, budget));
    imiad_status status = fill_bank(bank, self, normals, p);
    if (status == IMIAD_OK)
        status = thin_bank(bank, self, p);
    if (status != IMIAD_OK) {
        imiad_bank_free(bank);
        return status;
    }
    *out = bank;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    patchcore *m = self->state;
    imiad_bank_free(m->bank);
    m->bank = NULL;
    return task_bank(&m->bank, self, normals, p);
}

/* Another task: its coreset joins those of the earlier ones. */
static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    patchcore *m = self->state;
    imiad_bank *bank;
    TRY(task_bank(&bank, self, normals, p));
    imiad_status status = imiad_bank_add(m->bank, imiad_bank_data(bank), imiad_bank_rows(bank));
    imiad_bank_free(bank);
    return status;
}

/* ---- score ---- */

/* Equation 7: the largest patch distance, weighted down where the bank is sparse around its nearest
 * row: 1 - exp(|p - m*|) / sum over m near m* of exp(|p - m|), with the largest exponent taken out.
 */
static imiad_status reweighted(float *out, const imiad_detector *self, const float *patch,
                               int64_t nearest, double distance)
{
    const patchcore *m = self->state;
    int64_t around = options_int(self->options, "reweight_neighbours");
    if (around > imiad_bank_rows(m->bank))
        around = imiad_bank_rows(m->bank);
    float squares[1000];
    int64_t rows[1000];
    const float *bank = imiad_bank_data(m->bank);
    TRY(imiad_bank_search(squares, rows, m->bank, bank + nearest * m->dimension, 1,
                          (int32_t)around));
    double sum = 0;
    for (int64_t i = 0; i < around; ++i) {
        double square = 0;
        for (int64_t c = 0; c < m->dimension; ++c) {
            double d = (double)patch[c] - (double)bank[rows[i] * m->dimension + c];
            square += d * d;
        }
        sum += exp(sqrt(square) - distance); /* the numerator's exponent: that term becomes 1 */
    }
    *out = (float)(distance * (1 - 1 / sum));
    return IMIAD_OK;
}

/* Patch scores and image scores of `count` images with `positions` patches each. */
static imiad_status score_patches(float *patch_scores, float *image_scores, imiad_detector *self,
                                  const float *rows, int64_t count, int64_t positions)
{
    const patchcore *m = self->state;
    int64_t patches = count * positions, k = m->neighbours;
    float *squares = malloc((size_t)(patches * k) * sizeof *squares);
    int64_t *nearest = malloc((size_t)(patches * k) * sizeof *nearest);
    imiad_status status =
        squares && nearest ? imiad_bank_search(squares, nearest, m->bank, rows, patches, (int32_t)k)
                           : fail_memory("distances", (size_t)(patches * k) * 12);
    bool weigh = strcmp(options_text(self->options, "image_score"), "reweighted") == 0;
    for (int64_t n = 0; status == IMIAD_OK && n < count; ++n) {
        int64_t worst = n * positions;
        for (int64_t i = n * positions; i < (n + 1) * positions; ++i) {
            double sum = 0;
            for (int64_t j = 0; j < k; ++j)
                sum += (double)squares[i * k + j];
            patch_scores[i] = (float)(sum / (double)k);
            worst = patch_scores[i] > patch_scores[worst] ? i : worst;
        }
        image_scores[n] = patch_scores[worst];
        if (weigh)
            status = reweighted(&image_scores[n], self, rows + worst * m->dimension,
                                nearest[worst * k], sqrt((double)squares[worst * k]));
    }
    free(squares);
    free(nearest);
    return status;
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    int64_t grid[2];
    float *rows = embed(self, b, grid);
    tensor *maps = t_zeros(3, (int64_t[]){b->count, grid[0], grid[1]}, F32, CPU);
    tensor *image = t_zeros(1, (int64_t[]){b->count}, F32, CPU);
    float *patch_scores = t_data(maps), *image_scores = t_data(image);
    if (!t_failed()) {
        imiad_status status =
            score_patches(patch_scores, image_scores, self, rows, b->count, grid[0] * grid[1]);
        if (status != IMIAD_OK)
            t_fail(status, "%s", imiad_last_error());
    }
    free(rows);
    *out = (scores){maps, image};
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const patchcore *m = self->state;
    const int64_t shape[2] = {imiad_bank_rows(m->bank), m->dimension};
    return weights_writer_add(writer, "bank", F32, 2, shape, imiad_bank_data(m->bank));
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    patchcore *m = self->state;
    const weight *rows = weights_find(file, "bank");
    if (!rows || rows->type != F32 || rows->rank != 2 || rows->shape[1] != m->dimension ||
        rows->shape[0] < m->neighbours)
        return fail(IMIAD_FORMAT, "no memory bank of %lld columns", (long long)m->dimension);
    TRY(imiad_bank_create(&m->bank, m->dimension, 0));
    return imiad_bank_add(m->bank, rows->data, rows->shape[0]);
}

static const imiad_bank *bank(const imiad_detector *self)
{
    return ((const patchcore *)self->state)->bank;
}

const detector_ops patchcore_ops = {
    .name = "patchcore",
    .title = "PatchCore (Roth et al., CVPR 2022)",
    .options = options,
    .state_size = sizeof(patchcore),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .bank = bank,
    .layers = used_layers,
};
