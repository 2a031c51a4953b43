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
