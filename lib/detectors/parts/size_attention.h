/* Attention between the patches of a map, for patches of several sizes: the whole map, its half,
 * its quarter and so on. Of PRN (Zhang, Wu, Wang, Chen, Jiang: CVPR 2023). */
#ifndef DETECTORS_PARTS_SIZE_ATTENTION_H
#define DETECTORS_PARTS_SIZE_ATTENTION_H

#include "nn/modules.h"

enum { ATTENTION_SIZES = 6 };

/* Every coordinate of a token has a factor and an offset of its own. */
typedef struct coordinate_projection {
    tensor *weight, *bias; /* dimension x 1 x 1; dimension */
} coordinate_projection;

typedef struct patch_attention {
    int parts;                     /* a side of the map */
    coordinate_projection q, k, v; /* with one patch v only: its weight is 1 */
} patch_attention;

typedef struct size_attention {
    patch_attention sizes[ATTENTION_SIZES];
    int count;
    conv_block first, second; /* the second without its activation */
    conv2d shortcut;
} size_attention;

/* For maps of channels x height x width, whose sides 2^(sizes - 1) divides. Under the public code's
 * names. */
size_attention size_attention_add(const builder *b, const char *name, int64_t channels,
                                  int64_t height, int64_t width, int sizes);
/* n x channels x height x width, as the result. */
tensor *size_attention_run(const size_attention *a, tensor *map, bool training);

/* n x channels x h x w into n x parts^2 x (channels h/parts w/parts) tokens, along the rows; and
 * back to maps of that height and width. */
tensor *split_patches(tensor *map, int parts);
tensor *join_patches(tensor *tokens, int parts, int64_t height, int64_t width);

#endif
