/* Features of a frozen network over the training images, computed once as far as a budget allows.
 *
 * A network's kernels round differently for other batch sizes, so features are always computed in
 * groups of one size, the last one filled up with copies: an image's features are then the same
 * bytes in whatever batch, order or run it comes, cached or not. */
#ifndef DETECTORS_TRAINING_FEATURE_CACHE_H
#define DETECTORS_TRAINING_FEATURE_CACHE_H

#include "detectors/algorithm.h"

typedef struct feature_cache feature_cache;

/* Of a batch: `count` tensors whose first dimension is the batch's. */
typedef void (*feature_function)(imiad_detector *self, const batch *b, tensor **out);

/* Groups of `group` images, at most `bytes` of features kept, on the detector's device. */
imiad_status feature_cache_create(feature_cache **out, imiad_detector *self, feature_function f,
                                  int count, int64_t images, int64_t group, uint64_t bytes);
void feature_cache_free(feature_cache *cache);

/* Whether images 0..n-1 fit is known after the first batch: how many are kept. */
int64_t feature_cache_room(const feature_cache *cache);
/* The next images in order, from the first: keeps what fits. In a scope; failures stick. */
void feature_cache_add(feature_cache *cache, const batch *b);
/* Whether every image's features are kept: pixels are not needed to get them. */
bool feature_cache_complete(const feature_cache *cache);
/* Features of the named images, kept or computed from their pixels (b->images may be NULL when the
 * cache is complete), into the innermost scope. */
void feature_cache_get(feature_cache *cache, const size_t *images, const batch *b, tensor **out);

#endif
