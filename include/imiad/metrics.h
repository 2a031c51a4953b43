/* Metrics: what scores and masks add up to, exactly. Definitions: docs/metrics.md.
 *
 * Image metrics rank images by their score; pixel metrics rank all pixels of all images added. All
 * are exact over groups of equal scores: no threshold sampling, no histogram, no dependence on the
 * order in which images came. A quantity that does not exist for what was added (one class only) is
 * IMIAD_UNDEFINED, never a number. */
#ifndef IMIAD_METRICS_H
#define IMIAD_METRICS_H

#include "imiad/common.h"
#include "imiad/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct imiad_metrics imiad_metrics;

/* Options: connectivity (8 or 4, of the regions that AUPRO counts), infinities (reject or allow).
 */
IMIAD_API imiad_status imiad_metrics_create(imiad_metrics **out, const imiad_option *options,
                                            size_t option_count);
IMIAD_API void imiad_metrics_free(imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_option_info(imiad_option_info *out, size_t index);

/* Adds one image: its label (0 good, 1 defective) and its score (larger is more anomalous).
 * Errors: IMIAD_NOT_FINITE for NaN, and for infinities unless allowed; nothing is added then. */
IMIAD_API imiad_status imiad_metrics_add_image(imiad_metrics *metrics, int label, double score);

/* Adds one anomaly map with its ground truth. The map is width x height floats, rows first; the
 * mask is GRAY8 of the same size, non-zero is defective, or NULL for a good image. A mask of
 * another size is IMIAD_MISMATCH: resize one of them first, by nearest neighbour, so that the rule
 * is yours. */
IMIAD_API imiad_status imiad_metrics_add_map(imiad_metrics *metrics, const float *map,
                                             int32_t width, int32_t height,
                                             const imiad_image *mask);

/* What was added so far: the numbers to report beside every result. */
typedef struct imiad_metrics_counts {
    uint32_t struct_size;
    int64_t images, defective_images; /* of imiad_metrics_add_image */
    int64_t maps, defective_maps;     /* of imiad_metrics_add_map; with a defective pixel */
    int64_t empty_masks; /* masks given without a defective pixel: good images, or defects that
                          * vanished when the mask was resized */
    int64_t normal_pixels, defective_pixels;
    int64_t regions; /* connected, of all masks */
} imiad_metrics_counts;
#define IMIAD_METRICS_COUNTS_INIT                                                                  \
    {                                                                                              \
        sizeof(imiad_metrics_counts), 0, 0, 0, 0, 0, 0, 0, 0                                       \
    }
IMIAD_API imiad_status imiad_metrics_count(imiad_metrics_counts *out, const imiad_metrics *metrics);

/* Area under the ROC curve, average precision (stepwise, no interpolation), and the largest F1 with
 * the lowest threshold that attains it (prediction: score >= threshold; threshold may be NULL). */
IMIAD_API imiad_status imiad_metrics_image_auroc(double *out, const imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_image_ap(double *out, const imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_image_f1max(double *out, double *threshold,
                                                 const imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_pixel_auroc(double *out, const imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_pixel_ap(double *out, const imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_pixel_f1max(double *out, double *threshold,
                                                 const imiad_metrics *metrics);

/* Area under the per-region-overlap curve for false positive rates in [0, limit], divided by limit:
 * 1 is best. limit in (0, 1]; the field uses 0.3. Exact: every score is a threshold. */
IMIAD_API imiad_status imiad_metrics_aupro(double *out, const imiad_metrics *metrics, double limit);
/* The variant of MVTec 3D's evaluation code that open-iad uses: `steps` thresholds (100 there) at
 * equidistant ranks of the normal scores, and the false positive rate from the rank. Approximate;
 * for comparison with numbers published that way. */
IMIAD_API imiad_status imiad_metrics_aupro_sampled(double *out, const imiad_metrics *metrics,
                                                   double limit, int steps);

#ifdef __cplusplus
}
#endif
#endif
