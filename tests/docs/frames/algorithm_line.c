#include "detectors/registry.h"
#define EACH_ALGORITHM(DO) \
@BLOCK@
#define DECLARE(name) extern const detector_ops name##_ops;
EACH_ALGORITHM(DECLARE)
