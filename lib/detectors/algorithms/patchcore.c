/* PatchCore: a memory bank of locally aware patch features of normal images, thinned by a greedy
 * coreset; a patch is as anomalous as it is far from the nearest of them. Roth, Pemula, Zepeda,
 * Schoelkopf, Brox, Gehler: "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/bank_weight.h"

static const option_spec options[] = {
    PATCH_MEMORY_OPTIONS,
    PATCH_WINDOW_OPTION,
    PLACE_CORESET_OPTIONS,
    {"image_score", OPT_CHOICE, "max", "max|reweighted",
     "largest patch score (the code), or weighted by its neighbourhood (the paper, equation 7)"},
    {"reweight_neighbours", OPT_INT, "9", "1..1000",
     "bank rows that the weight looks at; with one there is nothing to weigh: the maximum"},
    {0},
};

static imiad_status create(imiad_detector *self)
{
    return patch_memory_create(self->state, self);
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

static imiad_status thin(imiad_bank *bank, int64_t **kept, const imiad_detector *self,
                         int64_t images, const progress *p)
{
    return patch_memory_thin(bank, kept, self->state, self, images, NULL, p);
}

static imiad_status fit(imiad_detector *self, train_set *normals, const progress *p)
{
    return patch_memory_fit(self->state, self, normals, thin, p);
}

static imiad_status fit_more(imiad_detector *self, train_set *normals, const progress *p)
{
    return patch_memory_fit_more(self->state, self, normals, thin, p);
}

/* ---- score ---- */

/* Equation 7: the largest patch distance, weighted down where the bank is sparse around its nearest
 * row. */
static imiad_status reweighted(float *out, const imiad_detector *self, const float *patch,
                               int64_t place, int64_t nearest, float squared_distance)
{
    int64_t around = options_int(self->options, "reweight_neighbours");
    double share, distance = sqrt((double)squared_distance);
    TRY(bank_weight(&share, self->state, patch, place, nearest, squared_distance, around, false));
    *out = (float)(distance * share);
    return IMIAD_OK;
}

static void score(imiad_detector *self, const batch *b, scores *out)
{
    bool weigh = strcmp(options_text(self->options, "image_score"), "reweighted") == 0;
    patch_memory_score(out, self->state, self, b, NULL, weigh ? reweighted : NULL);
}

static imiad_status forget(int64_t *removed, imiad_detector *self, int64_t image)
{
    return patch_memory_forget(removed, self->state, self, image);
}

/* ---- file ---- */

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

const detector_ops patchcore_ops = {
    .name = "patchcore",
    .title = "PatchCore (Roth et al., CVPR 2022)",
    .of = "imiad",
    .options = options,
    .later = patch_memory_later,
    .state_size = sizeof(patch_memory),
    .needs_backbone = true,
    .create = create,
    .fit = fit,
    .fit_more = fit_more,
    .joins_tasks = true,
    .forget = forget,
    .score = score,
    .save = save,
    .load = load,
    .destroy = destroy,
    .bank = bank,
    .layers = used_layers,
};
