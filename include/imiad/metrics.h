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

/* Options: connectivity (8 or 4, of the regions that AUPRO counts), infinities (reject or allow),
 * sizes (equal, mask or map: whose size counts where a mask and a map differ). */
IMIAD_API imiad_status imiad_metrics_create(imiad_metrics **out, const imiad_option *options,
                                            size_t option_count);
IMIAD_API void imiad_metrics_free(imiad_metrics *metrics);
IMIAD_API imiad_status imiad_metrics_option_info(imiad_option_info *out, size_t index);

/* Adds one image: its label (0 good, 1 defective) and its score (larger is more anomalous).
 * Errors: IMIAD_NOT_FINITE for NaN, and for infinities unless allowed; nothing is added then. */
IMIAD_API imiad_status imiad_metrics_add_image(imiad_metrics *metrics, int label, double score);

/* Adds one anomaly map with its ground truth. The map is width x height floats, rows first; the
 * mask is GRAY8, non-zero is defective, or NULL for a good image. Where their sizes differ, the
 * option sizes says what happens: equal, IMIAD_MISMATCH; mask, the map is resized to the mask's
 * size, bilinearly between the centres of its pixels, as imiad_evaluate does it, which takes finite
 * scores up to half of what a float holds, else IMIAD_NOT_FINITE; map, the mask is resized to the
 * map's size by nearest neighbour (Pillow's), which can lose small defects. NULL says no size: such
 * a map counts at its own. For sizes=mask give a good image a mask of zeros, so that its pixels
 * weigh as much as the others'. */
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

/* MVTec LOCO's metrics: defects are structural or logical, a defective image has a ground truth of
 * one or more channels, and a channel is found when enough of it is, its saturation area (Bergmann,
 * Batzner, Fauser, Sattlegger, Steger, IJCV 2022). Exact, as all metrics here. */
typedef struct imiad_spro imiad_spro;

/* What an image shows, and what a result is of. Each kind of defect is measured together with all
 * good images; their mean is half the sum of the two results. */
typedef enum imiad_spro_kind {
    IMIAD_SPRO_GOOD = 1,
    IMIAD_SPRO_STRUCTURAL = 2,
    IMIAD_SPRO_LOGICAL = 3,
    IMIAD_SPRO_MEAN = 4
} imiad_spro_kind;

/* A channel of the ground truth: non-zero is inside. The saturation area, in pixels, is
 * min(saturation, area) or, for a relative one, saturation * area cut to a whole number; at
 * least 1. Channels of an image may overlap. An element of arrays: it never grows. */
typedef struct imiad_spro_channel {
    const imiad_image *mask; /* GRAY8; of the map's size, or the option sizes */
    double saturation;       /* pixels, at least 0; relative: a share in [0, 1] */
    int32_t relative;        /* 0 or 1 */
} imiad_spro_channel;

/* Options: infinities (reject or allow), sizes (equal: masks have their map's size; map: they are
 * resized to it by nearest neighbour. Not mask: a good image has no mask to say its size). */
IMIAD_API imiad_status imiad_spro_create(imiad_spro **out, const imiad_option *options,
                                         size_t option_count);
IMIAD_API void imiad_spro_free(imiad_spro *spro);
IMIAD_API imiad_status imiad_spro_option_info(imiad_option_info *out, size_t index);

/* Adds one image's score; LOCO takes the maximum of its map. Errors: as imiad_metrics_add_image. */
IMIAD_API imiad_status imiad_spro_add_image(imiad_spro *spro, imiad_spro_kind kind, double score);

/* Adds one anomaly map, width x height floats, rows first. A good image has no channels, a
 * defective one at least one. Pixels outside all channels of their image are normal. A channel that
 * is all zero, as resizing can leave it, is left out and counted. A saturation in pixels is of the
 * map's pixels. Errors: IMIAD_MISMATCH (a mask of another size, unless sizes=map),
 * IMIAD_OUT_OF_RANGE (a saturation), IMIAD_NOT_FINITE; nothing is added then. */
IMIAD_API imiad_status imiad_spro_add_map(imiad_spro *spro, const float *map, int32_t width,
                                          int32_t height, imiad_spro_kind kind,
                                          const imiad_spro_channel *channels, size_t channel_count);

/* What was added so far, by kind: good, structural, logical. */
typedef struct imiad_spro_counts {
    uint32_t struct_size;
    int64_t images[3], maps[3];
    int64_t normal_pixels[3];
    int64_t channels[3];           /* not empty */
    int64_t empty_channels[3];     /* left out */
    int64_t raised_saturations[3]; /* channels whose saturation area would have been 0 */
} imiad_spro_counts;
#define IMIAD_SPRO_COUNTS_INIT                                                                     \
    {                                                                                              \
        sizeof(imiad_spro_counts), {0}, {0}, {0}, {0}, {0},                                        \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
IMIAD_API imiad_status imiad_spro_count(imiad_spro_counts *out, const imiad_spro *spro);

/* Area under the saturated per-region-overlap curve for false positive rates in [0, limit], divided
 * by limit: 1 is best. limit in (0, 1]; LOCO uses 0.05. */
IMIAD_API imiad_status imiad_spro_area(double *out, const imiad_spro *spro, imiad_spro_kind kind,
                                       double limit);
/* Image AUROC of good images against defective ones of a kind. */
IMIAD_API imiad_status imiad_spro_image_auroc(double *out, const imiad_spro *spro,
                                              imiad_spro_kind kind);
/* The same as open-iad computes it, for comparison: of images with equal scores it takes the
 * curve's point after the first, good before defective, so the result is wrong wherever scores tie.
 */
IMIAD_API imiad_status imiad_spro_image_auroc_loco_order(double *out, const imiad_spro *spro,
                                                         imiad_spro_kind kind);

#ifdef __cplusplus
}
#endif
#endif
