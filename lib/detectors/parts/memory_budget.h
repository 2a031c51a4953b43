/* The option memory_budget, in megabytes: what a detector may take for what it remembers. */
#ifndef DETECTORS_PARTS_MEMORY_BUDGET_H
#define DETECTORS_PARTS_MEMORY_BUDGET_H

#include "detectors/algorithm.h"

uint64_t memory_budget(const imiad_detector *self); /* in bytes; 0: no bound */
/* IMIAD_OVER_BUDGET where so many images need more bytes than that. */
imiad_status memory_budget_check(const imiad_detector *self, int64_t images, uint64_t bytes);

#endif
