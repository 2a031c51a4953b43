/* Small pictures as text that a page shows: "data:image/png;base64,...". */
#ifndef EXAMPLES_THUMBNAIL_H
#define EXAMPLES_THUMBNAIL_H

#include <imiad/imiad.h>

enum { THUMBNAIL_SIDE = 112 }; /* the longer side, in pixels */

/* A smaller copy. */
imiad_status thumbnail_shrink(imiad_image **out, const imiad_image *image);
/* A smaller copy under a heat map, width x height floats: from blue at `low` to red at `high`; with
 * the outline of a ground truth in white, which may be NULL. */
imiad_status thumbnail_heat(imiad_image **out, const imiad_image *image, const float *map,
                            int width, int height, float low, float high, const imiad_image *mask);
/* New memory; NULL with imiad_last_error set. */
char *thumbnail_text(const imiad_image *image);

#endif
