/* Epochs of normal images and anomalous ones: labelled defects as they are, labelled defects that
 * are pasted into normal images, and normal images that are damaged. */
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

/* Every normal image once and every labelled one `repeats` times, of which the last `pasted` ones
 * are pasted; as above. */
int64_t mixed_repeated_items(const mixed_images *m, int64_t repeats);
imiad_status mixed_repeated_draw(size_t *images, uint8_t *slots, size_t count,
                                 const mixed_images *m, int64_t repeats, int64_t pasted,
                                 random_stream *stream);

/* For a train_maker of an image and a mask: the labelled defect that the image shows, changed and
 * pasted into one of the normal images; `anywhere`: not only onto its object. */
imiad_status mixed_paste(made_output *out, const made_from *from, const mixed_images *m,
                         bool anywhere);
/* Any other image and its mask, which are freed. */
void mixed_hand_over(made_output *out, imiad_image *image, imiad_image *mask);

bool mixed_any_made(const uint8_t *slots, int64_t count);

/* `maps` features of a step's images and their masks. Frozen features and masks are those of images
 * as they are; what was made (step->made: images and masks) is read. `slots`: of the step's places.
 */
void mixed_gather(tensor **features, tensor **masks, imiad_detector *self, const train_step *step,
                  const uint8_t *slots, int maps,
                  void (*read)(imiad_detector *self, const batch *b, tensor **out));

#endif
