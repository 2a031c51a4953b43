/* The registry of detectors: the library's own and those that programs registered. */
#ifndef DETECTORS_REGISTRY_H
#define DETECTORS_REGISTRY_H

#include "detectors/algorithm.h"

extern const detector_ops *const detector_table[]; /* the library's own; ends in NULL */

/* IMIAD_UNKNOWN_OPTION names all that there are. */
imiad_status detector_find(const detector_ops **out, const char *name);

#endif
