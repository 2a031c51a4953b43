/* A unit: the smallest piece of a network that has weights. In a frozen network a convolution and
 * its batch norm are folded into one; in a trained one they stay apart. */
#ifndef NN_UNIT_H
#define NN_UNIT_H

#include "nn/dialect.h"
#include "nn/params.h"

typedef enum unit_kind {
    UNIT_CONVOLUTION = 1, /* with a batch norm behind it where it has a norm's name */
    UNIT_TRANSPOSED,      /* the same, transposed: 2x2 with stride 2 */
    UNIT_BATCH_NORM,      /* alone; `norm` is its name too */
    UNIT_LINEAR,
    UNIT_LAYER_NORM,
    UNIT_FREE,     /* one tensor of `shape` that is not named after a part: a class token */
    UNIT_POSITIONS /* the same, 1 x (a square, or one more) x channels: as many as a file has */
} unit_kind;

enum {
    UNIT_WEIGHT,
    UNIT_BIAS,
    UNIT_SCALE, /* the batch norm's, from here on */
    UNIT_SHIFT,
    UNIT_MEAN,
    UNIT_VARIANCE,
    UNIT_TENSORS
};

typedef struct unit {
    unit_kind kind;
    char name[64]; /* of its weights: "layer1.0.conv1" */
    char norm[64]; /* of its batch norm's: "layer1.0.bn1"; "" where it has none */
    int64_t inputs, outputs;
    int kernel, stride, padding;
    int groups;    /* 0: 1 */
    bool same;     /* TensorFlow's padding: the odd pixel at the end, for ceil(size / stride) */
    int side;      /* of its input where the network was trained, with `same`; 0: not known */
    bool fixed;    /* the padding is what `same` gives for that side, whatever the input */
    bool unbiased; /* a linear unit, or a convolution without batch norm, that has no bias */
    bool biased;   /* a convolution that has a bias although a batch norm follows */
    double epsilon, momentum; /* of the norm; 0: 1e-5 and 0.1 */
    int rank;                 /* of a free tensor */
    int64_t shape[4];         /* likewise */
    double first;             /* a free tensor's first value; 0: drawn from N(0, 0.02) */
    int block;                /* the node's place among the blocks, for dialects that count them */
    tensor *tensors[UNIT_TENSORS]; /* frozen: kept, WEIGHT and BIAS only; trained: the store's */
} unit;

/* Whether a file may have this tensor of the unit, its shape and its full name. */
bool unit_has(const unit *u, int which);
int unit_shape(int64_t shape[4], const unit *u, int which); /* returns the rank */
const char *unit_tensor_name(char out[LONGEST_NAME], const unit *u, int which);

/* Whether the source has all that the unit needs; otherwise `missing` is the name of what lacks. */
bool unit_present(const unit *u, const weights_source *source, char missing[LONGEST_NAME]);
/* That the tensors which are there have the architecture's shape: IMIAD_MISMATCH names both. */
imiad_status unit_check(const unit *u, const weights_source *source);

/* From a state dict: weights and batch norm, or weight and bias where it is folded already. The
 * norm is folded in double precision, rounded once. IMIAD_MISMATCH names a weight of another shape,
 * IMIAD_FORMAT one that is not finite and a running variance below zero. */
imiad_status unit_load(unit *u, const weights_source *source, device d, dtype precision);
/* What unit_train begins with, with the batch norm folded: the identity. */
imiad_status unit_random(unit *u, uint64_t seed, device d, dtype precision);
void unit_free(unit *u); /* of a frozen network */

/* Adds the tensors to the store as PREFIX + their names, as torchvision begins them: convolutions
 * by He's normal initialisation over the outputs' fan of a group (a transposed one as PyTorch
 * begins it), linear units and free tensors from N(0, 0.02), biases 0, norms the identity. Numbers
 * come from the streams PURPOSE/NAME; PURPOSE NULL leaves the weights 0, for a file to fill in.
 * Needs an open scope; failures stick. The store must outlive the unit, which is not freed. */
void unit_train(unit *u, params *store, const char *prefix, uint64_t seed, const char *purpose,
                device d);
/* Copies a trained unit's tensors from a file, batch norm and all. */
imiad_status unit_copy(unit *u, const weights_source *source);

/* All rows or columns of zeros that a fixed padding adds, half of them before, the odd one after.
 */
int unit_fixed_padding(const unit *u);
/* `training` is of trained ones: batch statistics, and the running ones change. */
tensor *unit_run(const unit *u, tensor *x, bool training);

#endif
