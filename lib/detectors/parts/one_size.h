/* For detectors whose images must all give maps of one size. */
#ifndef DETECTORS_PARTS_ONE_SIZE_H
#define DETECTORS_PARTS_ONE_SIZE_H

#include "detectors/algorithm.h"

/* IMIAD_OUT_OF_RANGE where the options let images keep sizes of their own. */
imiad_status one_size_require(const imiad_detector *self);
/* IMIAD_MISMATCH where an image's height and width, in positions or pixels, are not those of the
 * images that were seen before. */
imiad_status one_size_check(const imiad_detector *self, const char *of, const int64_t size[2],
                            const int64_t before[2]);

#endif
