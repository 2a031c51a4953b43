/* One image of a source, read and brought into its geometry: what the loader's threads do, each for
 * itself. */
#ifndef DATA_LOADED_IMAGE_H
#define DATA_LOADED_IMAGE_H

#include "data/loader.h"

typedef struct loading {
    image_source source;
    preprocessing geometry;
    bool with_masks;
    mask_frame frame;
    preprocessing frame_geometry; /* of masks; a resize of 0 leaves them as they are */
} loading;

/* The sample behind a position; the source must have a dataset. */
size_t loaded_sample(const image_source *source, size_t position);
/* What is known of a position before its image is read. */
loaded loaded_describe(const image_source *source, size_t position);
/* The image of result->position. */
imiad_status loaded_read(loaded *result, const loading *l);
/* The same as it is before it is resized and cropped, augmented: new, RGB8. */
imiad_status loaded_read_native(imiad_image **out, const loading *l, size_t position);
uint64_t loaded_bytes(const loaded *result);
void loaded_free(const loaded *result); /* its images */

#endif
