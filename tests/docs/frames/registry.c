#include "detectors/detector.h"
@BLOCK@
