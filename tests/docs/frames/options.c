#include "base/options.h"
const option_spec options[] = {
@BLOCK@
    {0},
};
