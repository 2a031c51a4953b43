/* Training images that are learned several times, as they are and turned: the option rotate_up_to
 * says of how many images at most. */
#ifndef DETECTORS_PARTS_TURNED_COPIES_H
#define DETECTORS_PARTS_TURNED_COPIES_H

#include "detectors/algorithm.h"

#define ROTATE_UP_TO_OPTION                                                                        \
    {                                                                                              \
        "rotate_up_to", OPT_INT, "16", "0..",                                                      \
            "most training images that are learned with turned copies; 0: any number"              \
    }

/* `copies`, or 1 where there are more images than that. */
size_t turned_copies_of(const imiad_detector *self, const train_set *normals, size_t copies);
/* Begins a pass in which every image comes so often, one behind the other: place modulo copies says
 * the maker which of them it makes. */
imiad_status turned_copies_begin(train_set *normals, const train_maker *maker, size_t copies,
                                 int64_t epoch);

#endif
