#include "detectors/detector.h"
extern const detector_ops mean_distance_ops;
const detector_ops *const table[] = {
@BLOCK@
};
