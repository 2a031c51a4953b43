#include "detectors/detector.h"
tensor *score(imiad_detector *self, const batch *b);
tensor *score(imiad_detector *self, const batch *b)
{
@BLOCK@
    return both;
}
