/* Thresholds: from raw scores to a verdict. Raw scores stay what they are; a threshold says what it
 * was chosen from, and is never chosen from a test split by the library. */
#ifndef IMIAD_CALIBRATION_H
#define IMIAD_CALIBRATION_H

#include "imiad/detector.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum imiad_threshold_rule {
    IMIAD_THRESHOLD_QUANTILE = 1, /* of the scores of normal images; needs no defective one */
    IMIAD_THRESHOLD_F1_MAX = 2    /* where F1 is largest; needs normal and defective images */
} imiad_threshold_rule;

typedef enum imiad_sensitivity {
    IMIAD_SENSITIVITY_LOW = 1,    /* few false alarms */
    IMIAD_SENSITIVITY_NORMAL = 2, /* the rule itself */
    IMIAD_SENSITIVITY_HIGH = 3    /* few missed defects */
} imiad_sensitivity;

/* An image is anomalous where its score is above the threshold, a pixel where its map's value is
 * above map_threshold. */
typedef struct imiad_calibration {
    uint32_t struct_size;
    imiad_threshold_rule rule;
    double threshold;      /* at normal sensitivity */
    double low_threshold;  /* at low sensitivity: not below `threshold` */
    double high_threshold; /* at high sensitivity: not above it */
    double map_threshold;  /* the same quantile of the largest values of normal maps;
                            * `threshold` where these were not given */
    double centre;         /* the median score of the normal images */
    double quantile;       /* as asked for */
    int64_t normal_count;  /* images that it was chosen from */
    int64_t defective_count;
    const char *source; /* which these were, in words; borrowed from the detector
                         * until it is calibrated, fitted or freed */
    /* How the scores were made: the side of the tiles in pixels and their overlap, as in
     * imiad_score_options; 0 for whole images. imiad_detector_calibrate leaves both at 0: whoever
     * scores by tiles sets them. */
    int32_t tile_side;
    double tile_overlap;
} imiad_calibration;
#define IMIAD_CALIBRATION_INIT                                                                     \
    {                                                                                              \
        sizeof(imiad_calibration), (imiad_threshold_rule)0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0        \
    }

typedef struct imiad_calibration_options {
    uint32_t struct_size;
    imiad_threshold_rule rule;
    /* Of the normal scores, in [0, 1], linear between two of them as NumPy does it. With
     * IMIAD_THRESHOLD_F1_MAX for the map threshold only. */
    double quantile;
    /* IMIAD_THRESHOLD_QUANTILE: those of the other two sensitivities, low_quantile >= quantile >=
     * high_quantile. With IMIAD_THRESHOLD_F1_MAX, low sensitivity is the lowest threshold above
     * every normal score, high sensitivity the highest one below every defective score. */
    double low_quantile, high_quantile;
    /* imiad_detector_fit_calibrated on a dataset without official validation images: the share of
     * the normal training images that is held out, in (0, 1), at least one image */
    double share;
    uint64_t seed; /* draws them */
} imiad_calibration_options;
#define IMIAD_CALIBRATION_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(imiad_calibration_options), IMIAD_THRESHOLD_QUANTILE, 0.99, 1, 0.95, 0.2, 0         \
    }

/* Chooses the thresholds of a fitted detector from `count` scores of images that it was not fitted
 * on, such as imiad_detector_score_batch gives, with the options that will be used later: scores of
 * tiles or regions need thresholds of their own. labels: 0 normal, 1 defective; NULL: all normal.
 * map_maxima: the largest value of each image's map, or NULL. source: which images these are, in
 * words, at most 255 bytes; it goes into the detector's file with the rest. options may be NULL. A
 * threshold between two scores lies in their middle.
 * Errors: IMIAD_UNDEFINED (no normal image; two or more that all score the same, which says that
 * something is wrong with the images; for F1 no defective one), IMIAD_NOT_FINITE,
 * IMIAD_OUT_OF_RANGE, IMIAD_WRONG_STATE before fitting. */
IMIAD_API imiad_status imiad_detector_calibrate(imiad_detector *detector, const float *scores,
                                                const int32_t *labels, const float *map_maxima,
                                                size_t count, const char *source,
                                                const imiad_calibration_options *options);

/* Fits on a split and calibrates on images that were not fitted: the dataset's official validation
 * images of the category where there are any, else a share of the normal training images, drawn by
 * `seed` and left out of the fit. With IMIAD_THRESHOLD_F1_MAX, training images that the split tells
 * defective (supervised setting) join them. No test image is touched. options may be NULL.
 * Errors: those of fitting and scoring; IMIAD_UNDEFINED where nothing can be held out. */
IMIAD_API imiad_status imiad_detector_fit_calibrated(imiad_detector *detector,
                                                     const imiad_split *split,
                                                     const imiad_calibration_options *options,
                                                     imiad_progress_function progress, void *user);

/* Errors of the rest: IMIAD_WRONG_STATE where the detector has no calibration. Fitting takes it
 * away; saving and cloning keep it. */
IMIAD_API imiad_status imiad_detector_calibration(imiad_calibration *out,
                                                  const imiad_detector *detector);
/* Sets thresholds found elsewhere: all of *calibration, whose text is copied. */
IMIAD_API imiad_status imiad_detector_set_calibration(imiad_detector *detector,
                                                      const imiad_calibration *calibration);
/* 1 where the score is above the threshold of that sensitivity, else 0. */
IMIAD_API imiad_status imiad_detector_verdict(int32_t *out, const imiad_detector *detector,
                                              float score, imiad_sensitivity sensitivity);
/* A score between 0 and 1 that says the same for every detector: 0.5 at the threshold, 0 at the
 * median normal score and below, 1 as far above the threshold as the median lies below it and
 * beyond, linear in between; 0, 0.5 and 1 only where the median is not below the threshold. */
IMIAD_API imiad_status imiad_detector_calibrated_score(double *out, const imiad_detector *detector,
                                                       float score);

#ifdef __cplusplus
}
#endif
#endif
