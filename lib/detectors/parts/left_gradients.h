/* The IM-IAD code's fault in DevNet and DRA: its optimiser is made before the layers that score, so
 * that these stay as they began, and nobody clears their gradients. From step to step they pile up
 * in the norm by which all gradients are clipped. */
#ifndef DETECTORS_PARTS_LEFT_GRADIENTS_H
#define DETECTORS_PARTS_LEFT_GRADIENTS_H

#include "nn/params.h"

/* Adds a buffer left.NAME for every trainable parameter whose name does not begin with `trained`.
 * In an open scope; failures stick. */
void left_gradients_add(params *store, const char *trained);
/* 0, whose gradients are what was kept: to be added to a step's loss. */
tensor *left_gradients_term(const params *store);
/* Keeps the present gradients, clipped as they are; as training_ops.clipped. */
void left_gradients_keep(const params *store);

#endif
