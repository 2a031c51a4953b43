#include "detectors/parts/residual_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bank/bank.h"
#include "base/error.h"
#include "detectors/parts/foreign_search.h"
#include "detectors/parts/memory_budget.h"
#include "detectors/parts/one_size.h"
#include "detectors/parts/position_code.h"
#include "detectors/parts/token_losses.h"

enum { TEXTURE_BYTES = 256000000 };

static int64_t positions(const residual_memory *m)
{
    return residual_memory_positions(m);
}

/* ---- making ---- */

/* Images are of one size, so the grid is known before any of them. */
static imiad_status set_grid(residual_memory *m, const imiad_detector *self)
{
    const preprocessing *p = &self->preprocessing;
    int64_t shape[3], side = p->crop ? p->crop : p->resize;
    TRY(backbone_layer_shape(shape, self->backbone, m->patches.layers.names[0], side, side));
    for (int i = 0; i < 2; ++i)
        m->grid[i] = shape[1 + i];
    m->labels.rows = m->grid[0];
    m->labels.columns = m->grid[1];
    int64_t values = positions(m) * m->patches.dimension;
    float share = (float)options_real(self->options, "position");
    m->code = malloc((size_t)values * sizeof *m->code);
    if (!m->code)
        return fail_memory("the codes of positions", (size_t)values * sizeof *m->code);
    position_code_apart(m->code, m->grid[0], m->grid[1], m->patches.dimension);
    for (int64_t i = 0; i < values; ++i)
        m->code[i] *= share;
    return IMIAD_OK;
}

imiad_status residual_memory_create(residual_memory *m, const imiad_detector *self)
{
    const option_set *o = self->options;
    TRY(one_size_require(self));
    if (options_int(o, "target_embed_dimension") % 4)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector %s: option target_embed_dimension is %lld: it must be a multiple of "
                    "4",
                    self->ops->name, (long long)options_int(o, "target_embed_dimension"));
    m->labels.mode = LABELS_MASKS;
    while (strcmp(options_text(o, "labels"), label_mode_names[m->labels.mode]) != 0)
        m->labels.mode++;
    m->labels.anomalous = options_real(o, "anomalous_share");
    m->labels.good = options_real(o, "good_share");
    m->relative = strcmp(options_text(o, "residuals"), "relative") == 0;
    m->scale = 1;
    TRY(patch_memory_create(&m->patches, self));
    return set_grid(m, self);
}

void residual_memory_put_away(residual_memory *m)
{
    residual_pool_free(&m->pool);
    texture_source_close(m->textures);
    m->textures = NULL;
}

void residual_memory_forget(residual_memory *m)
{
    residual_memory_put_away(m);
    imiad_bank_free(m->patches.bank);
    m->patches.bank = NULL;
    m->learned_from[0] = '\0';
}

void residual_memory_free(residual_memory *m)
{
    residual_memory_forget(m);
    free(m->code);
    patch_memory_free(&m->patches);
}

/* ---- patches that know their place ---- */

static void add_code(float *rows, const residual_memory *m, int64_t images)
{
    int64_t values = positions(m) * m->patches.dimension;
    for (int64_t n = 0; n < images; ++n)
        for (int64_t i = 0; i < values; ++i)
            rows[n * values + i] += m->code[i];
}

/* ---- filling bank and pool ---- */

/* Of images that are read one after the other: what is done with their patches. */
typedef struct filling {
    residual_memory *memory;
    imiad_detector *self;
    const progress *progress;
    int64_t done, total; /* images */
    imiad_bank *bank;
    random_stream stream;
    int64_t left, wanted; /* good patches that are to come; that the bank still takes of them */
} filling;

/* Each of the rows that are still to come is as likely one of those that are still wanted. */
static imiad_status add_to_bank(filling *f, const float *rows, int64_t image)
{
    const residual_memory *m = f->memory;
    for (int64_t i = 0; i < positions(m); ++i)
        if ((int64_t)random_below(&f->stream, (uint64_t)f->left--) < f->wanted) {
            TRY(imiad_bank_add_from(f->bank, rows + i * m->patches.dimension, 1, &image));
            f->wanted--;
        }
    return IMIAD_OK;
}

static imiad_status add_item(filling *f, const pool_item *item, const float *rows,
                             const float *shares)
{
    residual_memory *m = f->memory;
    int8_t *labels = malloc((size_t)positions(m));
    if (!labels)
        return fail_memory("labels", (size_t)positions(m));
    token_labels_of(labels, &m->labels, shares, item->kind == POOL_LABELLED);
    imiad_status status = residual_pool_add(&m->pool, item, rows, labels);
    free(labels);
    return status;
}

/* An image as it is. */
static imiad_status add_plain(filling *f, const batch *b, int64_t n, const float *rows,
                              float *shares)
{
    const residual_memory *m = f->memory;
    int64_t image = (int64_t)b->indices[n];
    pool_item item = {.kind = POOL_GOOD, .image = b->indices[n], .source = image};
    memset(shares, 0, (size_t)positions(m) * sizeof *shares);
    if (b->told[n].label) {
        item.kind = POOL_LABELLED;
        item.source = IMIAD_NO_SOURCE;
        TRY(token_labels_shares(shares, &m->labels, b->mask_pixels ? b->mask_pixels[n] : NULL,
                                b->pixels[n]));
    } else {
        TRY(add_to_bank(f, rows, image));
    }
    return add_item(f, &item, rows, shares);
}

/* What was made of an image. */
static imiad_status add_made(filling *f, const batch *b, int64_t n, const float *rows,
                             float *shares)
{
    float source = 0;
    t_read(t_slice(b->made[1], 0, n, n + 1), shares, (size_t)positions(f->memory) * sizeof *shares);
    t_read(t_slice(b->made[2], 0, n, n + 1), &source, sizeof source);
    const pool_item item = {.kind = b->told[n].label ? POOL_LABELLED : POOL_MADE,
                            .image = b->indices[n],
                            .source = source < 0 ? IMIAD_NO_SOURCE : (int64_t)source};
    return t_failed() ? IMIAD_OK : add_item(f, &item, rows, shares);
}

static imiad_status open_pool(filling *f)
{
    residual_memory *m = f->memory;
    const option_set *o = f->self->options;
    int64_t most = options_int(o, "most_patches");
    f->left *= positions(m);
    f->wanted = f->left < most ? f->left : most;
    const pool_shape shape = {.items = f->total,
                              .positions = positions(m),
                              .dimension = m->patches.dimension,
                              .neighbours = (int32_t)m->patches.neighbours,
                              .storage = storage_named(options_text(o, "training_storage")),
                              .bytes = (uint64_t)options_int(o, "feature_cache") * 1000000};
    return residual_pool_create(&m->pool, &shape);
}

static imiad_status add_images(filling *f, const batch *b, float *rows, float *shares)
{
    int64_t values = positions(f->memory) * f->memory->patches.dimension;
    add_code(rows, f->memory, b->count);
    for (int64_t n = 0; n < b->count && !t_failed(); ++n)
        TRY((b->made[0] ? add_made : add_plain)(f, b, n, rows + n * values, shares));
    return IMIAD_OK;
}

static imiad_status add_batch(filling *f, const batch *b)
{
    residual_memory *m = f->memory;
    imiad_status status = IMIAD_OK;
    int64_t grid[2];
    float *rows = patch_memory_embed(grid, &m->patches, f->self, b), *shares = NULL;
    if (rows && !t_failed() && t_try(one_size_check(f->self, "positions", grid, m->grid))) {
        shares = malloc((size_t)positions(m) * sizeof *shares);
        status = shares ? add_images(f, b, rows, shares)
                        : fail_memory("shares", (size_t)positions(m) * sizeof *shares);
    }
    free(shares);
    free(rows);
    return status;
}

static imiad_status read_images(filling *f, train_set *set, const train_pass *pass)
{
    TRY(train_set_begin(set, pass));
    for (bool more = true; more;) {
        batch b;
        scope s = scope_begin();
        more = train_set_next(set, &b);
        if (more && pass->maker) /* the network sees what was made */
            b.images = b.made[0];
        imiad_status status = more ? add_batch(f, &b) : IMIAD_OK, failure = scope_end(&s);
        TRY(failure);
        TRY(status);
        f->done += more ? b.count : 0;
        TRY(progress_report(f->progress, "features", f->done, f->total));
    }
    return IMIAD_OK;
}

/* Good images each `good` times, then defective ones each `bad` times. */
static size_t *list_images(const train_set *set, size_t good, size_t bad, size_t *count)
{
    size_t all = train_set_count(set), n = 0;
    *count = train_set_count_label(set, 0) * good + train_set_count_label(set, 1) * bad;
    size_t *order = malloc((*count + 1) * sizeof *order);
    for (int label = 0; label < 2 && order; ++label)
        for (size_t i = 0; i < all; ++i)
            for (size_t k = 0; k < (label ? bad : good); ++k)
                if (train_set_image(set, i).label == label)
                    order[n++] = i;
    if (!order)
        fail_memory("an order of images", *count * sizeof *order);
    return order;
}

static imiad_status read_plain(filling *f, train_set *set)
{
    size_t count, *order = list_images(set, 1, 1, &count);
    const train_pass pass = {.order = order, .count = count};
    imiad_status status = order ? read_images(f, set, &pass) : IMIAD_NO_MEMORY;
    free(order);
    return status;
}

static imiad_status read_made(filling *f, train_set *set, make_function make)
{
    residual_memory *m = f->memory;
    size_t count, *order = list_images(set, (size_t)options_int(f->self->options, "synthetic"),
                                       (size_t)options_int(f->self->options, "variants"), &count);
    const train_maker maker = {m->specs, DEFECT_OUTPUTS, make};
    const train_pass pass = {.order = order, .count = count, .maker = &maker};
    defect_specs(m->specs, &m->labels);
    imiad_status status = !order ? IMIAD_NO_MEMORY : count ? read_images(f, set, &pass) : IMIAD_OK;
    free(order);
    return status;
}

static imiad_status fill(filling *f, train_set *set, make_function make)
{
    residual_memory *m = f->memory;
    const option_set *o = f->self->options;
    imiad_storage storage = storage_named(options_text(o, "storage"));
    int64_t own = 0;
    TRY(imiad_bank_create_stored(&m->patches.bank, m->patches.dimension, storage,
                                 memory_budget(f->self)));
    f->bank = m->patches.bank;
    TRY(open_pool(f));
    TRY(read_plain(f, set));
    TRY(patch_memory_thin(f->bank, NULL, &m->patches, f->self, 0, NULL, f->progress));
    TRY(read_made(f, set, make));
    TRY(residual_pool_match(&m->pool, &own, f->bank, detector_device(f->self), f->progress));
    if (own > 0)
        log_message(IMIAD_LOG_WARNING,
                    "%s: %lld training images are matched to their own patches too: the bank "
                    "has too few of others",
                    f->self->ops->name, (long long)own);
    return IMIAD_OK;
}

/* Into the log and, with the detector, into its file. */
static void report(residual_memory *m, const imiad_detector *self)
{
    const residual_pool *p = &m->pool;
    int64_t tokens = p->count * p->positions, unused = 0;
    long long good = residual_pool_count(p, POOL_GOOD), made = residual_pool_count(p, POOL_MADE);
    long long labelled = residual_pool_count(p, POOL_LABELLED);
    for (int64_t i = 0; i < tokens; ++i)
        unused += p->labels[i] == TOKEN_UNLABELLED;
    snprintf(m->learned_from, sizeof m->learned_from,
             labelled ? "%lld good images, %lld made defects, %lld forms of labelled ones (%s)"
                      : "%lld good images and %lld made defects: none was labelled",
             good, made, labelled, label_mode_names[m->labels.mode]);
    log_message(IMIAD_LOG_INFO, "%s: learns from %s; %.2f %% of the tokens have no label",
                self->ops->name, m->learned_from, 100 * (double)unused / (double)tokens);
}

imiad_status residual_scale_of(double *out, const imiad_bank *bank)
{
    size_t width = (size_t)imiad_bank_dimension(bank);
    int64_t rows = imiad_bank_rows(bank);
    double *sums = calloc(2 * width, sizeof *sums), variance = 0;
    float *row = malloc(2 * width * sizeof *row), *first = row ? row + width : NULL;
    imiad_status status =
        sums && row ? imiad_bank_read(first, bank, 0, 1) : fail_memory("a row of the bank", width);
    for (int64_t i = 0; i < rows && status == IMIAD_OK; ++i) {
        status = imiad_bank_read(row, bank, i, 1);
        for (size_t c = 0; c < width && status == IMIAD_OK; ++c) {
            double apart = (double)row[c] - (double)first[c];
            sums[2 * c] += apart;
            sums[2 * c + 1] += apart * apart;
        }
    }
    for (size_t c = 0; c < width && status == IMIAD_OK; ++c) {
        double mean = sums[2 * c] / (double)rows;
        variance += (sums[2 * c + 1] / (double)rows - mean * mean) / (double)width;
    }
    *out = variance > 0 ? 1 / variance : 1;
    free(sums);
    free(row);
    return status;
}

static imiad_status set_scale(residual_memory *m)
{
    m->scale = 1;
    return m->relative ? residual_scale_of(&m->scale, m->patches.bank) : IMIAD_OK;
}

imiad_status residual_memory_fill(residual_memory *m, imiad_detector *self, train_set *set,
                                  make_function make, const progress *p)
{
    const option_set *o = self->options;
    char purpose[64];
    int64_t good = (int64_t)train_set_count_label(set, 0);
    int64_t bad = (int64_t)train_set_count_label(set, 1);
    filling f = {.memory = m, .self = self, .progress = p, .left = good};
    f.total = good * (1 + options_int(o, "synthetic")) + bad * (1 + options_int(o, "variants"));
    snprintf(purpose, sizeof purpose, "%s/patches", self->ops->name);
    f.stream = random_open((uint64_t)options_int(o, "seed"), purpose);
    m->patches.images = good + bad;
    TRY(texture_source_open(&m->textures, options_text(o, "textures"), TEXTURE_BYTES));
    TRY(fill(&f, set, make));
    report(m, self);
    return set_scale(m);
}

/* ---- residuals ---- */

/* The squared differences to the nearest rows, in place of the patches. */
static imiad_status find_residuals(float *rows, int64_t count, const residual_memory *m, device d)
{
    int64_t width = m->patches.dimension;
    int64_t *nearest = malloc((size_t)count * sizeof *nearest);
    float *row = malloc((size_t)width * sizeof *row);
    imiad_status status =
        nearest && row
            ? foreign_search(nearest, m->patches.bank, d, rows, count, 1, IMIAD_NO_SOURCE)
            : fail_memory("neighbours", (size_t)count * sizeof *nearest);
    for (int64_t i = 0; i < count && status == IMIAD_OK; ++i) {
        status = imiad_bank_read(row, m->patches.bank, nearest[i], 1);
        for (int64_t c = 0; c < width; ++c)
            rows[i * width + c] = (row[c] - rows[i * width + c]) * (row[c] - rows[i * width + c]);
    }
    free(nearest);
    free(row);
    return status;
}

float *residual_memory_residuals(const residual_memory *m, imiad_detector *self, const batch *b)
{
    int64_t grid[2];
    float *rows = patch_memory_embed(grid, &m->patches, self, b);
    if (rows && !t_failed() && t_try(one_size_check(self, "positions", grid, m->grid))) {
        add_code(rows, m, b->count);
        t_try(find_residuals(rows, b->count * positions(m), m, detector_device(self)));
    }
    if (!t_failed())
        return rows;
    free(rows);
    return NULL;
}

/* ---- file ---- */

imiad_status residual_memory_save(const residual_memory *m, weights_writer *writer)
{
    TRY(weights_writer_metadata(writer, "learned_from", m->learned_from));
    return patch_memory_save(&m->patches, writer);
}

imiad_status residual_memory_load(residual_memory *m, const weights *file)
{
    const char *learned_from = weights_metadata(file, "learned_from");
    snprintf(m->learned_from, sizeof m->learned_from, "%s", learned_from ? learned_from : "");
    TRY(patch_memory_load(&m->patches, file));
    return set_scale(m);
}
