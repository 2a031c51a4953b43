#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <imiad/imiad.h>

imiad_status register_mean_feature(void);
imiad_status register_pixel_classifier(void);
imiad_status register_stripes(void);

#endif
