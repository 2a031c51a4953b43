/* Selection files: a split as text. */
#ifndef DATA_SELECTION_H
#define DATA_SELECTION_H

#include "data/split.h"

/* The bytes of a selection file; name is what messages call it. */
imiad_status selection_parse(imiad_split **out, const imiad_dataset *dataset, const void *bytes,
                             size_t size, const char *name);

#endif
