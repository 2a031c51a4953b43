/* MH-PatchCore: PatchCore's patches in a whitened space, where near means a small Mahalanobis
 * distance, and a bank of bounded size that is merged and reduced as images come. Ferrari, Osmani,
 * Lamma: "Mahalanobis PatchCore: Covariance-Aware and Streaming-Compatible Industrial Anomaly
 * Detection", 2026 (arXiv 2605.27748). */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/bank_weight.h"
#include "bank/merge_reduce.h"
#include "detectors/parts/whitening.h"

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|official",
     "whose defaults: this library's, the authors' code"},
    PATCH_EMBEDDING_OPTIONS,
    {"explained_variance", OPT_REAL, "0.99", "0<..1",
     "share of the variance that the kept components hold"},
    {"shrinkage", OPT_REAL, "0.07", "0..1",
     "how far variances are drawn to their mean before patches are divided by them"},
    {"bank_rows", OPT_INT, "1000", "1..10000000", "patches that the bank holds at most"},
    {"block_images", OPT_INT, "16", "0..65536",
     "images whose patches are thinned together; 0: all, a greedy coreset of everything"},
    {"block_rows", OPT_INT, "0", "0..10000000",
     "patches that are left of a block and of two joined ones; 0: as many as the bank holds"},
    {"neighbours", OPT_INT, "1", "1..1000", "nearest rows whose distances are averaged"},
    {"image_score", OPT_CHOICE, "reweighted", "reweighted|max",
     "largest patch score, weighted by its neighbourhood, or as it is"},
    {"reweight_neighbours", OPT_INT, "9", "1..1000", "bank rows that the weight looks at"},
    {"resize_mode", .default_value = "squash"},
    {0},
};

static const preset_value presets[] = {{"official", "block_rows", "256"}, {0}};

typedef struct mh_patchcore {
    patch_memory memory; /* its bank: whitened patches */
    moments moments;     /* of all patches of all tasks */
    whitening whitening;
    float *given; /* the bank's rows before they were whitened */
} mh_patchcore;

static imiad_status create(imiad_detector *self)
{
    mh_patchcore *m = self->state;
    return patch_memory_create(&m->memory, self);
}

static void forget(mh_patchcore *m)
{
    patch_memory_clear(&m->memory);
    moments_free(&m->moments);
    whitening_free(&m->whitening);
    free(m->given);
    m->given = NULL;
}

static void destroy(imiad_detector *self)
{
    mh_patchcore *m = self->state;
    forget(m);
    patch_memory_free(&m->memory);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const mh_patchcore *m = self->state;
    *count = m->memory.layers.count;
    return m->memory.layers.names;
}

/* ---- the first pass: what varies, and how much ---- */

typedef struct summing {
    moments *moments;
    int64_t columns;
} summing;

/* Image by image, whatever the batch. */
static imiad_status add_moments(void *context, const float *rows, const batch *b,
                                const int64_t grid[2])
{
    const summing *to = context;
    int64_t positions = grid[0] * grid[1], columns = to->columns;
    for (int64_t i = 0; i < b->count && !t_failed(); ++i) {
        scope s = scope_begin();
        moments_add(to->moments, t_from(rows + i * positions * columns, 2,
                                        (int64_t[]){positions, columns}, F32, CPU));
        scope_return(&s, NULL);
    }
    return IMIAD_OK;
}

/* ---- the second pass: the bank ---- */

typedef struct gathering {
    merge_reduce levels;
    row_block block; /* of the images that wait for the others of their block */
    int64_t images, block_images;
    const whitening *whitening;
    int64_t first_image;
} gathering;

static void gathering_free(gathering *g)
{
    merge_reduce_free(&g->levels);
    row_block_free(&g->block);
}

static bool grow(float **values, int64_t count)
{
    float *grown = realloc(*values, (size_t)count * sizeof *grown);
    if (grown)
        *values = grown;
    return grown != NULL;
}

/* `count` more rows, of one image. */
static imiad_status append(row_block *out, const merge_reduce *m, const float *measured,
                           const float *given, int64_t count, int64_t source)
{
    int64_t all = out->count + count, wide = m->measured_columns, whole = m->given_columns;
    int64_t *sources = realloc(out->sources, (size_t)all * sizeof *sources);
    if (sources)
        out->sources = sources;
    if (!sources || !grow(&out->measured, all * wide) || !grow(&out->given, all * whole))
        return fail_memory("patches of a block", (size_t)(all * (wide + whole)) * sizeof(float));
    memcpy(out->measured + out->count * wide, measured, (size_t)(count * wide) * sizeof(float));
    memcpy(out->given + out->count * whole, given, (size_t)(count * whole) * sizeof(float));
    for (int64_t i = out->count; i < all; ++i)
        sources[i] = source;
    out->count = all;
    return IMIAD_OK;
}

static imiad_status gather(void *context, const float *rows, const batch *b, const int64_t grid[2])
{
    gathering *g = context;
    const merge_reduce *l = &g->levels;
    int64_t positions = grid[0] * grid[1];
    const float *measured = t_data(whitening_apply(g->whitening, rows, b->count * positions));
    for (int64_t i = 0; measured && i < b->count; ++i) {
        TRY(append(&g->block, l, measured + i * positions * l->measured_columns,
                   rows + i * positions * l->given_columns, positions,
                   g->first_image + (int64_t)b->indices[i]));
        if (++g->images == g->block_images) {
            TRY(merge_reduce_add(&g->levels, &g->block));
            g->images = 0;
        }
    }
    return IMIAD_OK;
}

static imiad_status gather_all(gathering *g, imiad_detector *self, train_set *normals,
                               const progress *p)
{
    const mh_patchcore *m = self->state;
    TRY(patch_memory_each(&m->memory, self, normals, "bank", gather, g, p));
    return g->block.count > 0 ? merge_reduce_add(&g->levels, &g->block) : IMIAD_OK;
}

/* Of the given images alone. */
static imiad_status choose_rows(row_block *out, const whitening *w, imiad_detector *self,
                                train_set *normals, int64_t first_image, const progress *p)
{
    const mh_patchcore *m = self->state;
    int64_t rows = options_int(self->options, "bank_rows"),
            block_rows = options_int(self->options, "block_rows");
    gathering g = {.block_images = options_int(self->options, "block_images"),
                   .whitening = w,
                   .first_image = first_image};
    g.levels.measured_columns = whitening_columns(w);
    g.levels.given_columns = m->memory.dimension;
    g.levels.block_rows = block_rows > 0 && block_rows < rows ? block_rows : rows;
    TRY(train_set_rewind(normals, NULL));
    imiad_status status = gather_all(&g, self, normals, p);
    if (status == IMIAD_OK)
        status = merge_reduce_finish(out, &g.levels, rows);
    gathering_free(&g);
    return status;
}

/* ---- fit ---- */

static imiad_status add_to_bank(imiad_bank *bank, const whitening *w, const float *given,
                                const int64_t *sources, int64_t count)
{
    scope s = scope_begin();
    const float *measured = t_data(whitening_apply(w, given, count));
    imiad_status status = measured ? imiad_bank_add_from(bank, measured, count, sources) : IMIAD_OK;
    imiad_status failure = scope_end(&s);
    return failure != IMIAD_OK ? failure : status;
}

/* Rows of earlier tasks, whitened as it is now, come before the new ones. */
static imiad_status make_bank(mh_patchcore *out, const mh_patchcore *before, const row_block *rows)
{
    const imiad_bank *old = before->memory.bank;
    int64_t kept = old ? imiad_bank_rows(old) : 0, columns = before->memory.dimension;
    size_t values = (size_t)((kept + rows->count) * columns);
    out->given = malloc(values * sizeof *out->given);
    if (!out->given)
        return fail_memory("rows of a bank", values * sizeof *out->given);
    if (kept > 0)
        memcpy(out->given, before->given, (size_t)(kept * columns) * sizeof *out->given);
    memcpy(out->given + kept * columns, rows->given,
           (size_t)(rows->count * columns) * sizeof *out->given);
    TRY(imiad_bank_create(&out->memory.bank, whitening_columns(&out->whitening), 0));
    if (kept > 0)
        TRY(add_to_bank(out->memory.bank, &out->whitening, before->given, imiad_bank_sources(old),
                        kept));
    return imiad_bank_add_from(out->memory.bank, rows->measured, rows->count, rows->sources);
}

static imiad_status check_rows(const mh_patchcore *m, int64_t rows)
{
    return rows >= m->memory.neighbours
               ? IMIAD_OK
               : fail(IMIAD_OUT_OF_RANGE,
                      "detector mh_patchcore: its bank has %lld rows, fewer than neighbours %lld",
                      (long long)rows, (long long)m->memory.neighbours);
}

/* On top of what `before` has learned, which is nothing in a first fit. */
static imiad_status learn(mh_patchcore *out, const mh_patchcore *before, imiad_detector *self,
                          train_set *normals, const progress *p)
{
    row_block rows = {0};
    summing to = {&out->moments, before->memory.dimension};
    TRY(patch_memory_each(&before->memory, self, normals, "moments", add_moments, &to, p));
    if (before->moments.mean) {
        scope s = scope_begin();
        moments_merge(&out->moments, &before->moments);
        TRY(scope_end(&s));
    }
    TRY(whitening_find(&out->whitening, &out->moments,
                       options_real(self->options, "explained_variance"),
                       options_real(self->options, "shrinkage")));
    out->memory.images = before->memory.images + (int64_t)train_set_count(normals);
    TRY(choose_rows(&rows, &out->whitening, self, normals, before->memory.images, p));
    imiad_status status = check_rows(before, rows.count);
    if (status == IMIAD_OK)
        status = make_bank(out, before, &rows);
    row_block_free(&rows);
    return status;
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    mh_patchcore *m = self->state, next = {.given = NULL};
    imiad_status status = learn(&next, m, self, normals, p);
    if (status != IMIAD_OK) {
        forget(&next);
        return status;
    }
    forget(m);
    m->memory.bank = next.memory.bank;
    m->memory.images = next.memory.images;
    m->moments = next.moments;
    m->whitening = next.whitening;
    m->given = next.given;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    mh_patchcore *m = self->state;
    forget(m);
    m->memory.images = 0;
    return fit_more(self, normals, p);
}

/* ---- score ---- */

typedef struct found {
    float *squares; /* patches x neighbours */
    int64_t *rows;
} found;

static imiad_status score_image(float *out, float *places, const imiad_detector *self,
                                const found *f, const float *measured, int64_t first,
                                int64_t positions)
{
    const mh_patchcore *m = self->state;
    int64_t k = m->memory.neighbours, worst = first;
    for (int64_t i = first; i < first + positions; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < k; ++j)
            sum += (double)f->squares[i * k + j];
        places[i] = (float)(sum / (double)k);
        worst = places[i] > places[worst] ? i : worst;
    }
    double share = 1;
    if (strcmp(options_text(self->options, "image_score"), "reweighted") == 0)
        TRY(bank_weight(&share, &m->memory, measured + worst * imiad_bank_dimension(m->memory.bank),
                        worst - first, f->rows[worst * k], f->squares[worst * k],
                        options_int(self->options, "reweight_neighbours"), true));
    *out = (float)(share * (double)places[worst]);
    return IMIAD_OK;
}

static imiad_status score_batch(float *places, float *images, const imiad_detector *self,
                                const float *measured, int64_t count, int64_t positions)
{
    const mh_patchcore *m = self->state;
    size_t values = (size_t)(count * positions * m->memory.neighbours);
    found f = {malloc(values * sizeof(float)), malloc(values * sizeof(int64_t))};
    imiad_status status = f.squares && f.rows ? IMIAD_OK : fail_memory("distances", values * 12);
    if (status == IMIAD_OK)
        status =
            patch_memory_search(f.squares, f.rows, &m->memory, self, measured, count, positions);
    for (int64_t i = 0; status == IMIAD_OK && i < count; ++i)
        status = score_image(&images[i], places, self, &f, measured, i * positions, positions);
    free(f.squares);
    free(f.rows);
    return status;
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    const mh_patchcore *m = self->state;
    int64_t grid[2];
    float *rows = patch_memory_embed(grid, &m->memory, self, b);
    tensor *maps = t_zeros(3, (int64_t[]){b->count, grid[0], grid[1]}, F32, CPU);
    tensor *image = t_zeros(1, (int64_t[]){b->count}, F32, CPU), *measured = NULL;
    float *places = t_data(maps), *images = t_data(image);
    if (rows && !t_failed())
        measured = whitening_apply(&m->whitening, rows, b->count * grid[0] * grid[1]);
    free(rows);
    const float *values = t_data(measured);
    if (!t_failed())
        t_try(score_batch(places, images, self, values, b->count, grid[0] * grid[1]));
    *out = (scores){maps, image};
}

/* ---- file ---- */

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    const mh_patchcore *m = self->state;
    const int64_t shape[2] = {imiad_bank_rows(m->memory.bank), m->memory.dimension};
    TRY(patch_memory_save(&m->memory, writer));
    TRY(weights_writer_add(writer, "bank.given", F32, 2, shape, m->given));
    TRY(weights_writer_add_tensor(writer, "whitening.mean", m->whitening.mean));
    TRY(weights_writer_add_tensor(writer, "whitening.matrix", m->whitening.matrix));
    return moments_save(&m->moments, writer);
}

static imiad_status load_given(mh_patchcore *m, const weights *file)
{
    const weight *given;
    const int64_t shape[2] = {imiad_bank_rows(m->memory.bank), m->memory.dimension};
    TRY(weights_expect(&given, file, "bank.given", F32, 2, shape));
    m->given = malloc(given->bytes);
    if (!m->given)
        return fail_memory("rows of a bank", given->bytes);
    memcpy(m->given, given->data, given->bytes);
    return IMIAD_OK;
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    mh_patchcore *m = self->state;
    const int64_t columns = m->memory.dimension;
    const weight *matrix;
    device d = detector_device(self);
    TRY(weights_expect(NULL, file, "whitening.mean", F32, 1, &columns));
    TRY(weights_expect(&matrix, file, "whitening.matrix", F32, 2, (int64_t[]){columns, ANY_SIZE}));
    m->memory.dimension = matrix->shape[1]; /* as the bank's columns are checked */
    imiad_status status = patch_memory_load(&m->memory, file);
    m->memory.dimension = columns;
    TRY(status);
    TRY(load_given(m, file));
    TRY(weights_load_tensor(&m->whitening.mean, file, "whitening.mean", d));
    TRY(weights_load_tensor(&m->whitening.matrix, file, "whitening.matrix", d));
    return moments_load(&m->moments, columns, file, CPU);
}

static const imiad_bank *bank(const imiad_detector *self)
{
    return ((const mh_patchcore *)self->state)->memory.bank;
}

const detector_ops mh_patchcore_ops = {
    .name = "mh_patchcore",
    .title = "MH-PatchCore (Ferrari et al., 2026)",
    .options = options,
    .presets = presets,
    .state_size = sizeof(mh_patchcore),
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
