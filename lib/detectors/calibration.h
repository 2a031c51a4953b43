/* A detector's thresholds, as it keeps them and as its file does. */
#ifndef DETECTORS_CALIBRATION_H
#define DETECTORS_CALIBRATION_H

#include <jansson.h>

#include "detectors/detector.h"
#include "imiad/calibration.h"

typedef struct stored_calibration {
    imiad_calibration values;
    char source[256];
} stored_calibration;

json_t *calibration_to_json(const imiad_calibration *c); /* NULL when memory runs out */
imiad_status calibration_from_json(imiad_detector *self, const char *text);

#endif
