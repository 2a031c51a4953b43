/* What scoring, files and protocols see of a detector: the base of all algorithms. */
#ifndef DETECTORS_DETECTOR_H
#define DETECTORS_DETECTOR_H

#include "detectors/algorithm.h"

/* imiad_detector_create of an algorithm that need not be registered. */
imiad_status detector_create(imiad_detector **out, const detector_ops *ops,
                             imiad_backbone *backbone, const imiad_option *options,
                             size_t option_count);

/* The options as the detector's schema has them: what the chosen preset sets, then what is given;
 * the later value counts. */
imiad_status detector_parse_options(option_set **out, const detector_ops *ops,
                                    const imiad_option *given, size_t given_count);
/* All tables of a detector's schema, the common one first. */
const option_spec *const *detector_option_tables(const option_spec *tables[5],
                                                 const detector_ops *ops);

/* ---- training sets ---- */

imiad_status train_set_open(train_set **out, imiad_detector *detector, const image_source *source);
void train_set_close(train_set *set);

/* ---- scoring ---- */

enum { MOST_SCORED = 256 }; /* images together: the most that the option batch takes */

/* One image's outcome inside a batch. */
typedef struct outcome {
    float score;
    int32_t width, height;
    const float *map; /* NULL without maps; borrowed until the next batch */
} outcome;

/* Scores preprocessed RGB8 images of one size. `maps` is the caller's buffer for all their maps,
 * grown as needed and freed by the caller. */
typedef struct map_buffer {
    float *values;
    size_t capacity;
} map_buffer;
imiad_status map_buffer_grow(map_buffer *buffer, size_t values);
imiad_status detector_score_images(outcome *out, imiad_detector *self,
                                   const imiad_image *const *images, size_t count,
                                   map_buffer *maps);

/* Normalised planes of equally large images, on the detector's device, in the current scope. */
void detector_make_batch(batch *out, const imiad_detector *self, const imiad_image *const *images,
                         size_t count);
int64_t detector_batch_size(const imiad_detector *self);
/* Decode and resize seconds come from whoever loads the images. */
void detector_add_loading(imiad_detector *self, double decode_seconds, double resize_seconds);

#endif
