/* GraphCore: a memory bank of the features that a graph network has of normal images, thinned by a
 * greedy coreset; a position is as anomalous as it is far from the nearest of them. Xie, Wang, Liu,
 * Zheng, Jin: "Pushing the Limits of Few-shot Anomaly Detection in Industry Vision: GraphCore",
 * ICLR 2023; the network: Han, Wang, Guo, Tang, Wu: "Vision GNN", NeurIPS 2022. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/patch_memory.h"

enum { FEW = 16 };

static const option_spec options[] = {
    {"preset", OPT_CHOICE, "libimiad", "libimiad|open_iad",
     "whose defaults: this library's, the IM-IAD code"},
    {"layers", OPT_TEXT, "", "",
     "backbone layers, the first one sets the grid; empty: backbone.3,backbone.4 of a ViG, "
     "layer2,layer3 of others"},
    {"patch_size", OPT_INT, "1", "1..15",
     "side of the square of positions over which a feature is averaged, odd; 3 in the IM-IAD code "
     "where it smooths"},
    {"colours", OPT_CHOICE, "backbone", "backbone|imagenet",
     "mean and deviation of the input: those of the weights, or ImageNet's"},
    {"coreset_ratio", OPT_REAL, "0", "0..1",
     "share of the patches to keep, at least one; 0: 0.1 of up to 16 images, 0.01 of more"},
    {"projection_dim", OPT_INT, "0", "0..65536",
     "columns of the random projection that the coreset measures in; 0: none"},
    {"storage", OPT_CHOICE, "float32", "float32|bfloat16|float16",
     "numbers of the bank: the narrow kinds take half the memory, rounded"},
    {"seed", OPT_INT, "0", "0..", "draws the projection"},
    PATCH_WINDOW_OPTION,
    {"memory_budget", OPT_INT, "0", "0..", "megabytes that the bank may take; 0: no bound"},
    {"resize", .default_value = "224"},
    {"resize_mode", .default_value = "squash"},
    {"crop", .default_value = "0"},
    {0},
};

static const preset_value presets[] = {
    {"open_iad", "colours", "imagenet"},
    {"open_iad", "coreset_ratio", "0.001"},
    {0},
};

/* ---- making ---- */

static const char *choose_layers(const imiad_detector *self)
{
    const char *named = options_text(self->options, "layers");
    chain_layer found;
    if (*named)
        return named;
    return layer_find(&found, &self->backbone->chain, "backbone.4") ? "backbone.3,backbone.4"
                                                                    : "layer2,layer3";
}

/* Layers side by side as they are; where they differ, each averaged to as many values as the widest
 * has. */
static imiad_status create(imiad_detector *self)
{
    patch_memory *m = self->state;
    int patch = (int)options_int(self->options, "patch_size");
    if (patch % 2 == 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "detector graphcore: option patch_size is %d: it must be odd", patch);
    if (strcmp(options_text(self->options, "colours"), "imagenet") == 0) {
        memcpy(self->preprocessing.mean, imagenet_mean, sizeof imagenet_mean);
        memcpy(self->preprocessing.std, imagenet_std, sizeof imagenet_std);
    }
    TRY(layer_list_parse(&m->layers, "detector graphcore", choose_layers(self), self->backbone));
    int64_t widest = 0;
    for (int i = 0; i < m->layers.count; ++i)
        widest = m->layers.channels[i] > widest ? m->layers.channels[i] : widest;
    m->neighbours = 1;
    patch_memory_read_places(m, self);
    m->dimension = m->layers.count * widest;
    return patch_embedding_create(&m->embedding, m->layers.count, m->layers.channels, patch, widest,
                                  m->dimension);
}

static void destroy(imiad_detector *self)
{
    patch_memory_free(self->state);
}

static const char *const *used_layers(const imiad_detector *self, int *count)
{
    const patch_memory *m = self->state;
    *count = m->layers.count;
    return m->layers.names;
}

/* ---- fit ---- */

/* One row at least: the IM-IAD code's share leaves nothing of a few images. */
static int64_t wanted_rows(const imiad_detector *self, int64_t rows, int64_t images)
{
    double ratio = options_real(self->options, "coreset_ratio");
    ratio = ratio > 0 ? ratio : images <= FEW ? 0.1 : 0.01;
    int64_t wanted = (int64_t)(ratio * (double)rows);
    if (wanted > 0)
        return wanted;
    log_message(IMIAD_LOG_WARNING,
                "graphcore: coreset_ratio %g of %lld patches keeps none: one is kept", ratio,
                (long long)rows);
    return 1;
}

/* The first row, then again and again the one farthest from those that were picked. */
static imiad_status pick(int64_t *picks, int64_t wanted, const imiad_detector *self,
                         const imiad_bank *bank, const progress *p)
{
    static const int64_t first = 0;
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    o.projection = (int32_t)options_int(self->options, "projection_dim");
    o.seed = (uint64_t)options_int(self->options, "seed");
    o.starts = 1;
    o.start_rows = &first;
    o.rows = wanted - 1;
    picks[0] = first;
    int64_t further = wanted - 1;
    return further > 0 ? bank_select(picks + 1, &further, bank, &o, NULL, p) : IMIAD_OK;
}

static imiad_status thin(imiad_bank *bank, int64_t **kept, const imiad_detector *self,
                         int64_t images, const progress *p)
{
    int64_t rows = imiad_bank_rows(bank), wanted = wanted_rows(self, rows, images);
    if (wanted >= rows)
        return IMIAD_OK;
    int64_t *picks = malloc((size_t)wanted * sizeof *picks);
    if (!picks)
        return fail_memory("a coreset", (size_t)wanted * sizeof *picks);
    imiad_status status = pick(picks, wanted, self, bank, p);
    if (status == IMIAD_OK)
        status = imiad_bank_keep(bank, picks, wanted);
    if (status == IMIAD_OK && kept)
        *kept = picks;
    else
        free(picks);
    return status;
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    return patch_memory_fit(self->state, self, normals, thin, p);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    return patch_memory_fit_more(self->state, self, normals, thin, p);
}

/* ---- the rest ---- */

static void score(imiad_detector *self, const batch *b, scores *out)
{
    patch_memory_score(out, self->state, self, b, NULL, NULL);
}

static imiad_status forget(int64_t *removed, imiad_detector *self, int64_t image)
{
    return patch_memory_forget(removed, self->state, self, image);
}

static imiad_status save(const imiad_detector *self, weights_writer *writer)
{
    return patch_memory_save(self->state, writer);
}

static imiad_status load(imiad_detector *self, const weights *file)
{
    return patch_memory_load(self->state, file);
}

static const imiad_bank *bank(const imiad_detector *self)
{
    return ((const patch_memory *)self->state)->bank;
}

const detector_ops graphcore_ops = {
    .name = "graphcore",
    .title = "GraphCore (Xie et al., ICLR 2023)",
    .joins_tasks = true,
    .options = options,
    .later = patch_memory_later,
    .presets = presets,
    .state_size = sizeof(patch_memory),
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
