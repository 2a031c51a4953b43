/* What files from elsewhere may cost: imiad_set_limits. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "imiad/limits.h"

int64_t limit_image_pixels(void);
uint64_t limit_file_bytes(void);
uint64_t limit_header_bytes(void);

#endif
