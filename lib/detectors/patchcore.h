#ifndef DETECTORS_PATCHCORE_H
#define DETECTORS_PATCHCORE_H

#include "detectors/detector.h"

extern const detector_ops patchcore_ops;

#endif
