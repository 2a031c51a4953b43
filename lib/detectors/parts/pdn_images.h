/* What EfficientAD makes of images while it trains, on the loader's threads; RGB8 of the square
 * input's size. Batzner, Heckler, König: WACV 2024, sections 3.2 and 3.3. */
#ifndef DETECTORS_PARTS_PDN_IMAGES_H
#define DETECTORS_PARTS_PDN_IMAGES_H

#include "detectors/algorithm.h"
#include "synthesis/texture_source.h"

/* The training image with one of brightness, contrast and saturation changed, by a factor of 0.8 to
 * 1.2: before it was resized, or after. */
imiad_status pdn_make_jittered(made_output *out, const made_from *from, bool native);
/* Another image twice as large, three times in ten grey, of which the middle is taken. */
imiad_status pdn_make_penalty(made_output *out, const made_from *from, texture_source *images);

#endif
