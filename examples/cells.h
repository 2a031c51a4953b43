/* One cell of the benchmark: a detector on a category in a setting with a seed, what it came to,
 * and how that is printed and recorded. */
#ifndef EXAMPLES_CELLS_H
#define EXAMPLES_CELLS_H

#include "arguments.h"
#include "loco.h"

/* What is measured of a cell; NAN where it does not exist. */
enum {
    IMAGE_AUROC,
    IMAGE_AP,
    IMAGE_F1MAX,
    PIXEL_AUROC,
    PIXEL_AP,
    PIXEL_F1MAX,
    AUPRO,
    METRICS,
    FIT_SECONDS = METRICS,
    DECODE_SECONDS, /* an image, as the four below */
    RESIZE_SECONDS,
    BACKBONE_SECONDS,
    SCORE_SECONDS,
    MAP_SECONDS,
    IMAGES_PER_SECOND,
    PEAK_RSS_BYTES,
    TRAIN_IMAGES,
    DRAWN_IMAGES, /* by the setting: shots, anomalies or noise */
    TEST_IMAGES,
    LOCO,                        /* MVTec LOCO's own; loco.h */
    GROUPS = LOCO + LOCO_VALUES, /* image AUROC, AP and F1-max of groups, to the end */
    GROUP_VALUES = 3,
    VALUES = GROUPS + GROUP_VALUES
};
const char *value_name(int value);

enum { OUTPUT_KEY = 17 };

typedef struct measurement {
    const char *category, *value; /* borrowed; value: what the setting varies, "0.1", or "" */
    uint64_t seed;
    double values[VALUES];
    json_t *images;   /* path, label and score of each; NULL where they were not asked for */
    json_t *evidence; /* for the store, evidence.h; NULL likewise, or without a store */
    char name[IMIAD_FILE_NAME_ROOM]; /* of its outputs, outputs.h; "": the category's */
    char key[OUTPUT_KEY];            /* what the cell is; "" without a store */
} measurement;

void measurement_release(measurement *r); /* its images and evidence */

/* What a program opens once. */
typedef struct experiment {
    arguments arguments;
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_results *results; /* NULL without --results */
    struct pictures *pictures;
    json_t *facts;  /* of the run, once there is a detector to ask */
    json_t *before; /* the record of an earlier run that is gone on with; NULL: none */
} experiment;

/* Opens what the command line names. Returns 0, or 1 with a message printed. */
int experiment_open(experiment *b);
void experiment_close(experiment *b);
/* The record of the run: its facts, and the list under its name. Both stay the caller's. */
imiad_status experiment_write_record(const experiment *b, const char *list, json_t *records);

/* Scores the split's test set with a fitted detector and fills in the measurement: metrics, stages,
 * images when `keep_images`. */
imiad_status experiment_measure(measurement *out, experiment *b, imiad_detector *detector,
                                const imiad_split *split, int keep_images);
/* Fits first. */
imiad_status experiment_fit_and_measure(measurement *out, experiment *b, imiad_detector *detector,
                                        const imiad_split *split);

/* The cell of a split and a detector in the store. The text is borrowed. */
imiad_status experiment_describe(imiad_cell *cell, experiment *b, const imiad_split *split,
                                 const imiad_detector *detector, uint64_t seed);

/* An option of a program's own behind the cell's value: "shots=8 source=fabric". The text, of
 * CELL_VALUE bytes, becomes the cell's value. */
enum { CELL_VALUE = 512 };
void cell_add_word(imiad_cell *cell, char *text, const char *name, const char *value);

/* Values of the caller's into the store, with the measurement's evidence. */
imiad_status experiment_put_values(experiment *b, const imiad_cell *cell, const measurement *r,
                                   const char *const *names, const double *values, size_t count);
/* The cell's values into the store and out of it. */
imiad_status experiment_put(experiment *b, const imiad_cell *cell, const measurement *r);
imiad_status experiment_recall(measurement *r, experiment *b, const imiad_cell *cell);

/* Means of the values over measurements with the given value (NULL: any): over seeds within a
 * category, then over categories. `deviation` is over seeds, of the mean over categories; NAN for
 * one seed.
 */
void measurements_average(double mean[VALUES], double deviation[VALUES],
                          const measurement *measurements, size_t count, const char *value);
/* What was run: detector, dataset, heading, network and weights, device. */
void title_print(const experiment *b, const char *heading);
/* Tables of the measurements with that value under a heading, by category, none wider than 80
 * columns: one seed with all costs, several with deviations. */
void measurements_print(const experiment *b, const char *heading, const measurement *measurements,
                        size_t count, const char *value);
void print_metric_heads(void); /* two lines, after 31 columns */
void print_metric(double value);

json_t *metrics_record(const double values[VALUES]); /* metrics, LOCO's where there are any */
json_t *measurement_record(const measurement *r);    /* refers to the measurement's images */

#endif
