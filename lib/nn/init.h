/* Fresh parameters as torch.nn.init makes them, from the library's named random streams: the same
 * seed and purpose give the same numbers everywhere. Shapes are PyTorch's: [out, in, ...] of linear
 * layers and convolutions, [in, out, height, width] of transposed convolutions. The fans are those
 * of PyTorch's code, which counts dimension 1 as inputs and dimension 0 as outputs whatever the
 * layer. On the CPU, float32, into the innermost scope. */
#ifndef NN_INIT_H
#define NN_INIT_H

#include "bridge/tensor.h"

/* kaiming_normal_ with mode fan_out, nonlinearity relu: N(0, 2 / fan_out), torchvision's for the
 * convolutions of a ResNet. He, Zhang, Ren, Sun: ICCV 2015. */
tensor *init_kaiming_normal(int rank, const int64_t *shape, uint64_t seed, const char *purpose);
/* kaiming_uniform_ with a = sqrt(5), what Linear, Conv2d and ConvTranspose2d begin with: uniform
 * within 1 / sqrt(fan_in). */
tensor *init_default(int rank, const int64_t *shape, uint64_t seed, const char *purpose);
/* The bias that belongs to such a weight: `count` numbers, uniform within 1 / sqrt(fan_in). */
tensor *init_default_bias(int64_t count, int64_t fan_in, uint64_t seed, const char *purpose);
/* xavier_normal_: N(0, 2 / (fan_in + fan_out)); xavier_uniform_: of the same variance. Glorot,
 * Bengio: AISTATS 2010. */
tensor *init_xavier_normal(int rank, const int64_t *shape, uint64_t seed, const char *purpose);
tensor *init_xavier_uniform(int rank, const int64_t *shape, uint64_t seed, const char *purpose);

/* trunc_normal_: N(0, std^2) cut off at the numbers -most and most; PyTorch's own bound is 2,
 * whatever the deviation. */
tensor *init_trunc_normal(int rank, const int64_t *shape, double std, double most, uint64_t seed,
                          const char *purpose);

/* All of them by name. */
typedef enum initialisation {
    INIT_DEFAULT, /* what PyTorch begins the layer with */
    INIT_KAIMING_NORMAL,
    INIT_XAVIER_NORMAL,
    INIT_XAVIER_UNIFORM,
    INIT_NORMAL,
    INIT_TRUNC_NORMAL,
    INIT_ZEROS,
    INIT_ONES
} initialisation;

/* A weight; `std` is of the normal ones, `most` of the truncated one. Default and fans need two
 * dimensions. */
tensor *init_weight(initialisation how, int rank, const int64_t *shape, double std, double most,
                    uint64_t seed, const char *purpose);

#endif
