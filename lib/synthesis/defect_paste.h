/* A labelled defect pasted into a normal image, as BGAD (Yao, Li, Zhang, Sun, Zhang: CVPR 2023) and
 * the public PRN make more anomalies of a few. Images are RGB8, masks GRAY8, 0 or 255, all of one
 * size. */
#ifndef SYNTHESIS_DEFECT_PASTE_H
#define SYNTHESIS_DEFECT_PASTE_H

#include <stdbool.h>

#include "base/random.h"
#include "imiad/image.h"

/* What differs from the colour of the image's border: beyond Otsu's threshold of that difference.
 * All of the image where that is hardly anything, or where the border itself differs: a texture. */
imiad_status object_mask(imiad_image **out, const imiad_image *image);

/* Where more than two thirds of the defect lie in the foreground (NULL: all of it is), its pixels
 * go where they are. Elsewhere each of its regions goes to a drawn place of the foreground; what
 * lies beyond the image is left out. *mask: what was pasted. */
imiad_status defect_paste(imiad_image **out, imiad_image **mask, const imiad_image *normal,
                          const imiad_image *defect, const imiad_image *defect_mask,
                          const imiad_image *foreground, random_stream *s);
/* The same after three drawn changes of the defect (defect_changes.h); `anywhere`: all of the
 * normal image is foreground, not only its object. */
imiad_status defect_paste_changed(imiad_image **out, imiad_image **mask, const imiad_image *normal,
                                  const imiad_image *defect, const imiad_image *defect_mask,
                                  bool anywhere, random_stream *s);

#endif
