/* Images turned by a drawn angle while training. */
#ifndef DETECTORS_PARTS_RANDOM_ROTATION_H
#define DETECTORS_PARTS_RANDOM_ROTATION_H

#include "detectors/algorithm.h"

/* Puts the image, of the output's size, there: turned counter-clockwise as Pillow turns it by the
 * nearest pixel. Where nothing is seen it is black, or, mirrored, shows the image reflected at its
 * border pixels. */
imiad_status rotation_put(made_output *out, const imiad_image *image, double degrees,
                          bool mirrored);
/* By an angle of up to `most` degrees to either side, black where nothing is seen. */
imiad_status random_rotation_put(made_output *out, const imiad_image *image, double most,
                                 random_stream *stream);

#endif
