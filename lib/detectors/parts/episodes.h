/* Batches for learning from few images on other categories: queries of one category, and supports
 * of each. */
#ifndef DETECTORS_PARTS_EPISODES_H
#define DETECTORS_PARTS_EPISODES_H

#include "detectors/training/training.h"

typedef struct episodes {
    int64_t queries, supports; /* at most so many queries; supports of each */
} episodes;

/* A step of training is `queries` images of one category, then the supports of the first, of the
 * second, and so on. Where a category's last queries are fewer, the last one is repeated. */
imiad_status episodes_plan(train_plan *plan, const episodes *shape);
/* Every category of the sources shuffled and cut into queries, the pieces of all in a random order;
 * supports are other images of the category, with replacement. For training_ops.draw. */
imiad_status episodes_draw(const train_plan *plan, const episodes *shape, random_stream *stream,
                           size_t *out);
/* How many queries of a step are not repeated. */
int64_t episode_queries(const size_t *images, int64_t most);

#endif
