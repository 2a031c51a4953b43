#include "imiad/metrics.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/options.h"
#include "metrics/sizes.h"

static const option_spec metrics_options[] = {
    {"connectivity", OPT_CHOICE, "8", "8|4", "neighbours of a pixel in the regions of AUPRO"},
    {"infinities", OPT_CHOICE, "reject", "reject|allow", "what to do with infinite scores"},
    {"sizes", OPT_CHOICE, "equal", "equal|mask|map", SIZES_HELP},
    {0},
};
static const option_spec *const option_tables[] = {metrics_options, NULL};

/* What was added, and the rankings of it, made when they are first asked for. Asking changes
 * nothing that can be seen, so it takes a const handle; hence the extra pointer. */
typedef struct metrics_state {
    pixel_rules rules;
    image_scores images;
    pixel_store *pixels; /* NULL before the first map */
    uint64_t empty_masks;
    ranking image_ranking, pixel_ranking;
    bool images_ranked, pixels_ranked;
} metrics_state;

struct imiad_metrics {
    metrics_state *state;
};

imiad_status imiad_metrics_create(imiad_metrics **out, const imiad_option *options,
                                  size_t option_count)
{
    if (!out)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_metrics_create: out is NULL");
    option_set *set = NULL;
    TRY(options_parse(&set, "metrics", option_tables, options, option_count));
    imiad_metrics *metrics = malloc(sizeof *metrics);
    metrics_state *state = calloc(1, sizeof *state);
    if (metrics && state) {
        state->rules.connectivity = strcmp(options_text(set, "connectivity"), "4") == 0 ? 4 : 8;
        state->rules.infinities = strcmp(options_text(set, "infinities"), "allow") == 0;
        state->rules.sizes = size_rule_named(options_text(set, "sizes"));
        metrics->state = state;
    }
    options_free(set);
    if (!metrics || !state) {
        free(metrics);
        free(state);
        return fail_memory("metrics", sizeof *state);
    }
    *out = metrics;
    return IMIAD_OK;
}

void imiad_metrics_free(imiad_metrics *metrics)
{
    if (!metrics)
        return;
    image_scores_free(&metrics->state->images);
    pixel_store_free(metrics->state->pixels);
    free(metrics->state);
    free(metrics);
}

imiad_status imiad_metrics_option_info(imiad_option_info *out, size_t index)
{
    return options_info(out, option_tables, index);
}

imiad_status imiad_metrics_add_image(imiad_metrics *metrics, int label, double score)
{
    if (!metrics)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_metrics_add_image: metrics is NULL");
    metrics_state *state = metrics->state;
    if (label != 0 && label != 1)
        return fail(IMIAD_OUT_OF_RANGE, "label is %d: it must be 0 (good) or 1 (defective)", label);
    TRY(image_scores_add(&state->images, label, score, state->rules.infinities));
    state->images_ranked = false;
    return IMIAD_OK;
}

imiad_status imiad_metrics_add_map(imiad_metrics *metrics, const float *map, int32_t width,
                                   int32_t height, const imiad_image *mask)
{
    if (!metrics || !map)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_metrics_add_map: %s is NULL",
                    metrics ? "map" : "metrics");
    if (width < 1 || height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "a map of %d x %d: both must be at least 1", (int)width,
                    (int)height);
    metrics_state *state = metrics->state;
    if (mask)
        TRY(mask_check(mask));
    if (!state->pixels)
        TRY(pixel_store_create(&state->pixels));
    state->pixels_ranked = false;
    const ground_truth truth = {.mask = mask};
    TRY(add_sized(state->pixels, map, width, height, truth, state->rules));
    if (mask && state->pixels->mask.region_count == 0)
        state->empty_masks++;
    return IMIAD_OK;
}

imiad_status imiad_metrics_count(imiad_metrics_counts *out, const imiad_metrics *metrics)
{
    if (!out || !metrics)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_metrics_count: %s is NULL",
                    out ? "metrics" : "out");
    const metrics_state *state = metrics->state;
    imiad_metrics_counts counts = {.struct_size = out->struct_size,
                                   .images = (int64_t)state->images.count,
                                   .empty_masks = (int64_t)state->empty_masks};
    for (size_t i = 0; i < state->images.count; ++i)
        counts.defective_images += state->images.items[i].label;
    if (state->pixels) {
        counts.maps = (int64_t)state->pixels->map_count;
        counts.defective_maps = (int64_t)state->pixels->defective_map_count;
        counts.normal_pixels = (int64_t)score_set_total(state->pixels->normals);
        counts.defective_pixels = (int64_t)state->pixels->defect_count;
        counts.regions = (int64_t)state->pixels->region_count;
    }
    memcpy(out, &counts, out->struct_size < sizeof counts ? out->struct_size : sizeof counts);
    return IMIAD_OK;
}

static imiad_status check_query(const void *out, const imiad_metrics *metrics)
{
    if (!out || !metrics)
        return fail(IMIAD_INVALID_ARGUMENT, "%s is NULL", out ? "metrics" : "out");
    return IMIAD_OK;
}

static imiad_status rank_images(const ranking **out, const imiad_metrics *metrics)
{
    metrics_state *state = metrics->state;
    if (!state->images_ranked)
        state->image_ranking = ranking_of_images(state->images.items, state->images.count);
    state->images_ranked = true;
    *out = &state->image_ranking;
    return IMIAD_OK;
}

static imiad_status rank_pixels(const ranking **out, const imiad_metrics *metrics)
{
    metrics_state *state = metrics->state;
    if (!state->pixels_ranked && state->pixels) {
        TRY(pixel_store_rank(&state->pixel_ranking, state->pixels));
        state->pixels_ranked = true;
    }
    *out = &state->pixel_ranking;
    return IMIAD_OK;
}

imiad_status imiad_metrics_image_auroc(double *out, const imiad_metrics *metrics)
{
    const ranking *r;
    TRY(check_query(out, metrics));
    TRY(rank_images(&r, metrics));
    return ranking_auroc(out, r, "image");
}

imiad_status imiad_metrics_image_ap(double *out, const imiad_metrics *metrics)
{
    const ranking *r;
    TRY(check_query(out, metrics));
    TRY(rank_images(&r, metrics));
    return ranking_ap(out, r, "image");
}

imiad_status imiad_metrics_image_f1max(double *out, double *threshold, const imiad_metrics *metrics)
{
    const ranking *r;
    TRY(check_query(out, metrics));
    TRY(rank_images(&r, metrics));
    return ranking_f1max(out, threshold, r, "image");
}

imiad_status imiad_metrics_pixel_auroc(double *out, const imiad_metrics *metrics)
{
    const ranking *r;
    TRY(check_query(out, metrics));
    TRY(rank_pixels(&r, metrics));
    return ranking_auroc(out, r, "pixel");
}

imiad_status imiad_metrics_pixel_ap(double *out, const imiad_metrics *metrics)
{
    const ranking *r;
    TRY(check_query(out, metrics));
    TRY(rank_pixels(&r, metrics));
    return ranking_ap(out, r, "pixel");
}

imiad_status imiad_metrics_pixel_f1max(double *out, double *threshold, const imiad_metrics *metrics)
{
    const ranking *r;
    TRY(check_query(out, metrics));
    TRY(rank_pixels(&r, metrics));
    return ranking_f1max(out, threshold, r, "pixel");
}

static imiad_status check_pro(const void *out, const imiad_metrics *metrics, double limit)
{
    TRY(check_query(out, metrics));
    if (!(limit > 0 && limit <= 1))
        return fail(IMIAD_OUT_OF_RANGE, "the limit of AUPRO is %g: it must be in (0, 1]", limit);
    const pixel_store *pixels = metrics->state->pixels;
    if (!pixels || pixels->region_count == 0)
        return fail(IMIAD_UNDEFINED, "AUPRO is undefined: no defective pixel was added");
    if (score_set_total(pixels->normals) == 0)
        return fail(IMIAD_UNDEFINED, "AUPRO is undefined: no good pixel was added");
    return IMIAD_OK;
}

imiad_status imiad_metrics_aupro(double *out, const imiad_metrics *metrics, double limit)
{
    TRY(check_pro(out, metrics, limit));
    return pro_area(out, metrics->state->pixels, limit);
}

imiad_status imiad_metrics_aupro_sampled(double *out, const imiad_metrics *metrics, double limit,
                                         int steps)
{
    TRY(check_pro(out, metrics, limit));
    if (steps < 2)
        return fail(IMIAD_OUT_OF_RANGE, "AUPRO from %d thresholds: it must be at least 2", steps);
    return pro_area_sampled(out, metrics->state->pixels, limit, steps);
}
