/* The registry of detectors, and the options that all of them share. */
#ifndef DETECTORS_SCHEMA_H
#define DETECTORS_SCHEMA_H

#include "detectors/detector.h"

imiad_status detector_find(const detector_ops **out, const char *name);
imiad_status detector_parse_options(option_set **out, const detector_ops *ops,
                                    const imiad_option *given, size_t given_count);

#endif
