#include "detectors/parts/memory_budget.h"

#include <inttypes.h>

#include "base/error.h"

uint64_t memory_budget(const imiad_detector *self)
{
    return (uint64_t)options_int(self->options, "memory_budget") * 1000000;
}

imiad_status memory_budget_check(const imiad_detector *self, int64_t images, uint64_t bytes)
{
    const uint64_t budget = memory_budget(self);
    if (budget == 0 || bytes <= budget)
        return IMIAD_OK;
    return fail(IMIAD_OVER_BUDGET,
                "detector %s: %" PRId64 " images need %" PRIu64 " bytes: memory_budget is %" PRIu64
                " bytes",
                self->ops->name, images, bytes, budget);
}
