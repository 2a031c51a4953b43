/* The cross-scale flow of CS-Flow (Rudolph, Wehrbein, Rosenhahn, Wandt: WACV 2022): three maps,
 * each half as high and wide as the one before, move through coupling blocks whose subnets look at
 * all three. A block permutes every map's channels, x_j = (a_j, b_j), and then
 *
 *     (s, t) = S2(b);  a'_j = exp(L(s_j)) a_j + t_j        L(s) = 0.636 c atan(s / c)
 *     (s, t) = S1(a'); b'_j = exp(L(s_j)) b_j + t_j
 *
 * where 0.636 stands for 2 / pi, as in the authors' code. Functions over tensors work in the
 * caller's scope; failures stick. */
#ifndef NN_CROSS_FLOW_H
#define NN_CROSS_FLOW_H

#include "nn/params.h"

enum { CROSS_SCALES = 3 };

typedef struct cross_flow_shape {
    int64_t channels, hidden; /* of every map; between the convolutions of a subnet */
    int blocks;               /* kernels of 3x3, in the last one of 5x5 */
    double clamp;
} cross_flow_shape;

typedef struct cross_layer {
    tensor *weight, *bias;
} cross_layer;

typedef struct cross_subnet {
    tensor *gamma[CROSS_SCALES];
    cross_layer first[CROSS_SCALES], same[CROSS_SCALES];
    cross_layer up[CROSS_SCALES - 1];   /* from the map below */
    cross_layer down[CROSS_SCALES - 1]; /* from the map above */
} cross_subnet;

typedef struct cross_block {
    cross_subnet s1, s2;
    int kernel;
    tensor *permutation[CROSS_SCALES]; /* kept */
} cross_block;

typedef struct cross_flow {
    cross_flow_shape shape;
    cross_block *blocks;
} cross_flow;

/* Adds the parameters by the names of the authors' state dict, "module_list.4.s1.gamma0", begun as
 * PyTorch begins convolutions, gamma at 0, from the streams PURPOSE/NAME; PURPOSE NULL leaves
 * zeros, for a file to fill in. The permutations are the authors' tables, NumPy's of the seeds 0,
 * 1, .... The store must outlive the flow. */
imiad_status cross_flow_create(cross_flow **out, const cross_flow_shape *shape, params *store,
                               uint64_t seed, const char *purpose, device d);
void cross_flow_free(cross_flow *f);

/* n x channels x h x w, and halves of it, into maps of the same shapes; *log_determinant: n. */
void cross_flow_forward(const cross_flow *f, tensor *const x[CROSS_SCALES], tensor *z[CROSS_SCALES],
                        tensor **log_determinant);
/* x again. The authors' own inverse slices one subnet's output where the other's is meant. */
void cross_flow_inverse(const cross_flow *f, tensor *const z[CROSS_SCALES],
                        tensor *x[CROSS_SCALES]);

#endif
