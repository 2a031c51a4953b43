/* The default weights: which file they are, where it lies, and what is known of it. */
#ifndef WEIGHTS_DEFAULT_WEIGHTS_H
#define WEIGHTS_DEFAULT_WEIGHTS_H

#include "imiad/common.h"

/* The architecture that they are for. */
extern const char default_weights_architecture[];

/* The path of their file, in new memory, its digest checked: what IMIAD_WEIGHTS names, or the file
 * in the cache folder of the XDG Base Directory Specification. Nothing is ever downloaded. Errors:
 * IMIAD_NOT_FOUND, with how to get them; IMIAD_MISMATCH where it is another file. */
imiad_status default_weights_find(char **path);

/* What weights with this digest were trained on, and their licence; "" where nothing is known.
 * Static text. */
const char *weights_provenance(const char *digest);

#endif
