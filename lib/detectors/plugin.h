/* Detectors that programs write against the public header: a table of their functions as an
 * algorithm's. */
#ifndef DETECTORS_PLUGIN_H
#define DETECTORS_PLUGIN_H

#include "detectors/algorithm.h"
#include "imiad/plugin.h"

/* New memory; text is copied. */
imiad_status detector_plugin_adapt(detector_ops **out, const imiad_detector_functions *functions);
void detector_plugin_abandon(detector_ops *ops);

#endif
