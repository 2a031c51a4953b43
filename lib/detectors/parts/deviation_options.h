/* Option rows that DevNet and DRA share, each in its place of their tables. */
#ifndef DETECTORS_PARTS_DEVIATION_OPTIONS_H
#define DETECTORS_PARTS_DEVIATION_OPTIONS_H

#include "base/options.h"
#include "detectors/parts/gradient_map.h"

/* clang-format off */
#define DEVIATION_LAYER_OPTIONS                                                                    \
    {"layer", OPT_TEXT, "layer4", "", "backbone layer whose positions are scored"},                \
    {"scales", OPT_INT, "2", "1..4", "sizes of an image, each half of the one before"}
#define DEVIATION_PRIOR_OPTIONS                                                                    \
    {"margin", OPT_REAL, "5", "0..", "deviations of the prior that anomalies are driven away"},    \
    {"prior", OPT_INT, "5000", "2..10000000",                                                      \
     "numbers that are drawn from the prior in each step, for each score that is learned"}
#define DEVIATION_TRAINED_OPTIONS                                                                  \
    {"rotation", OPT_REAL, "180", "0..180",                                                        \
     "degrees to either side by which every training image is turned"},                            \
    {"trained", OPT_CHOICE, "all", "all|backbone",                                                 \
     "backbone: what scores patches stays as it began, and its gradients pile up in the norm "     \
     "that gradients are clipped by, as in the IM-IAD code"},                                      \
    {"weight_decay", OPT_REAL, "0.00001", "0..", "weight decay of Adam"}
#define DEVIATION_DECAY_OPTIONS                                                                    \
    {"decay", OPT_REAL, "0.1", "0<..1", "what the learning rate is multiplied by after them"},     \
    {"localization", OPT_CHOICE, "gradient", LOCALIZATIONS,                                        \
     "pixel maps: none, how much each pixel changes the score, from its minimum to its 99th "      \
     "percentile, or without that scaling"}
#define DEVIATION_DEFAULTS                                                                         \
    {"learning_rate", .default_value = "0.0002"},                                                  \
    {"train_batch", .default_value = "48"},                                                        \
    {"gradient_clip", .default_value = "1"},                                                       \
    {"resize_mode", .default_value = "squash"},                                                    \
    {"resize", .default_value = "448"},                                                            \
    {"crop", .default_value = "0"},                                                                \
    {"smoothing", .default_value = "4"}
/* clang-format on */

#endif
