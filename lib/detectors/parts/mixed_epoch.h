/* An epoch of as many anomalous images as normal ones: labelled defects as they are, labelled
 * defects that are pasted into normal images, and normal images that are damaged. */
#ifndef DETECTORS_PARTS_MIXED_EPOCH_H
#define DETECTORS_PARTS_MIXED_EPOCH_H

#include "detectors/training/training.h"

typedef enum mixed_slot { AS_IT_IS, PASTED, DAMAGED } mixed_slot;

typedef struct mixed_images {
    size_t *normal, *defective; /* places in the train set; one memory, normal's */
    size_t normal_count, defective_count;
} mixed_images;

imiad_status mixed_images_list(mixed_images *out, const train_set *images);
void mixed_images_free(mixed_images *m);

/* Every normal image once, and of anomalous ones half as many (at least one) that are labelled and
 * as many that are damaged; without labelled ones all of these are damaged. */
int64_t mixed_epoch_items(const mixed_images *m);
/* Fills `count` places with them, in random order: image and mixed_slot. The labelled ones go
 * round: `repeats` times as they are, pasted from then on. Places beyond the items begin with them
 * anew. */
imiad_status mixed_epoch_draw(size_t *images, uint8_t *slots, size_t count, const mixed_images *m,
                              int64_t repeats, random_stream *stream);

/* `maps` features of a step's images and their masks, in one order. Frozen features and masks are
 * those of images as they are; what was made (step->made: images and masks) is read, and comes
 * behind them. `slots`: of the step's places. */
void mixed_gather(tensor **features, tensor **masks, imiad_detector *self, const train_step *step,
                  const uint8_t *slots, int maps,
                  void (*read)(imiad_detector *self, const batch *b, tensor **out));

#endif
