/* What a detector makes of its training images, between the loader's bytes and tensors. */
#ifndef DETECTORS_MADE_H
#define DETECTORS_MADE_H

#include "detectors/detector.h"

/* Of everything that is made of one image of this size. */
size_t made_bytes(const train_maker *maker, int32_t width, int32_t height);
/* Zeroes the block and says where in it each result goes. */
void made_lay_out(made_output *out, const train_maker *maker, const imiad_image *image,
                  void *block);
/* The results of a batch as tensors; in a scope, failures stick. */
void made_collect(batch *b, const imiad_detector *self, const train_maker *maker,
                  const loaded *items);

#endif
