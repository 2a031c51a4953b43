/* MVTec LOCO's metrics of a run: saturated overlap and image AUROC by kind of defect. */
#ifndef EXAMPLES_LOCO_H
#define EXAMPLES_LOCO_H

#include <imiad/imiad.h>

enum { LOCO_VALUES = 18 };
/* "structural_image_auroc" ... "mean_spro_1.0", as the published tables name them. */
extern const char *const loco_names[LOCO_VALUES];

/* Adds a test image and its map, which must have the native size: that is where saturations, in
 * pixels, are meant. */
imiad_status loco_add(imiad_spro *spro, const imiad_dataset *dataset, const imiad_scored *scored);
/* NAN where a value does not exist. openiad_order: image AUROC as open-iad computes it. */
void loco_read(double out[LOCO_VALUES], const imiad_spro *spro, int openiad_order);

#endif
