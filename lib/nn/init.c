#include "nn/init.h"

#include <math.h>

/* torch.nn.init._calculate_fan_in_and_fan_out */
typedef struct fans {
    double in, out;
} fans;

static fans fans_of(int rank, const int64_t *shape)
{
    double field = 1;
    for (int i = 2; i < rank; ++i)
        field *= (double)shape[i];
    return (fans){(double)shape[1] * field, (double)shape[0] * field};
}

static tensor *uniform_within(int rank, const int64_t *shape, double bound, uint64_t seed,
                              const char *purpose)
{
    return t_uniform(rank, shape, -bound, bound, seed, purpose, CPU);
}

tensor *init_kaiming_normal(int rank, const int64_t *shape, uint64_t seed, const char *purpose)
{
    return t_normal(rank, shape, 0, sqrt(2 / fans_of(rank, shape).out), seed, purpose, CPU);
}

tensor *init_default(int rank, const int64_t *shape, uint64_t seed, const char *purpose)
{
    return uniform_within(rank, shape, 1 / sqrt(fans_of(rank, shape).in), seed, purpose);
}

tensor *init_default_bias(int64_t count, int64_t fan_in, uint64_t seed, const char *purpose)
{
    return uniform_within(1, &count, 1 / sqrt((double)fan_in), seed, purpose);
}

tensor *init_xavier_normal(int rank, const int64_t *shape, uint64_t seed, const char *purpose)
{
    fans f = fans_of(rank, shape);
    return t_normal(rank, shape, 0, sqrt(2 / (f.in + f.out)), seed, purpose, CPU);
}

tensor *init_xavier_uniform(int rank, const int64_t *shape, uint64_t seed, const char *purpose)
{
    fans f = fans_of(rank, shape);
    return uniform_within(rank, shape, sqrt(6 / (f.in + f.out)), seed, purpose);
}

/* Through the inverse of the distribution function, as PyTorch does it. */
tensor *init_trunc_normal(int rank, const int64_t *shape, double std, double most, uint64_t seed,
                          const char *purpose)
{
    double bound = erf(most / (std * sqrt(2)));
    tensor *share = t_uniform(rank, shape, -bound, bound, seed, purpose, CPU);
    return t_clamp(t_mul_scalar(t_erfinv(share), std * sqrt(2)), -most, most);
}

tensor *init_weight(initialisation how, int rank, const int64_t *shape, double std, double most,
                    uint64_t seed, const char *purpose)
{
    if (rank < 2 && how >= INIT_DEFAULT && how <= INIT_XAVIER_UNIFORM)
        return t_fail(IMIAD_INTERNAL, "%s needs a weight of two dimensions or more to begin",
                      purpose);
    switch (how) {
    case INIT_DEFAULT:
        return init_default(rank, shape, seed, purpose);
    case INIT_KAIMING_NORMAL:
        return init_kaiming_normal(rank, shape, seed, purpose);
    case INIT_XAVIER_NORMAL:
        return init_xavier_normal(rank, shape, seed, purpose);
    case INIT_XAVIER_UNIFORM:
        return init_xavier_uniform(rank, shape, seed, purpose);
    case INIT_NORMAL:
        return t_normal(rank, shape, 0, std, seed, purpose, CPU);
    case INIT_TRUNC_NORMAL:
        return init_trunc_normal(rank, shape, std, most, seed, purpose);
    case INIT_ZEROS:
        return t_zeros(rank, shape, F32, CPU);
    case INIT_ONES:
        return t_full(rank, shape, 1, F32, CPU);
    }
    return t_fail(IMIAD_INTERNAL, "%d is no initialisation", (int)how);
}
