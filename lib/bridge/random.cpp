/* Random tensors, from the library's own streams. */
#include "bridge/bridge.h"

#include "base/random.h"

template <typename Draw>
static at::Tensor drawn(int rank, const int64_t *shape, device d, const Draw &draw)
{
    at::Tensor numbers = at::empty(shape_of(rank, shape), options_of(F32, {false, 0}));
    float *data = numbers.data_ptr<float>();
    for (int64_t i = 0, count = numbers.numel(); i < count; ++i)
        data[i] = static_cast<float>(draw());
    return d.cuda ? numbers.to(torch_device(d)) : numbers;
}

tensor *t_uniform(int rank, const int64_t *shape, double low, double high, uint64_t seed,
                  const char *purpose, device d)
{
    return operation("uniform", {}, [&] {
        random_stream stream = random_open(seed, purpose);
        return drawn(rank, shape, d, [&] { return random_between(&stream, low, high); });
    });
}

tensor *t_normal(int rank, const int64_t *shape, double mean, double std, uint64_t seed,
                 const char *purpose, device d)
{
    return operation("normal", {}, [&] {
        random_stream stream = random_open(seed, purpose);
        return drawn(rank, shape, d, [&] { return mean + std * random_normal(&stream); });
    });
}

void t_seed(uint64_t seed, const char *purpose)
{
    this_thread().random = random_open(seed, purpose);
}

/* An element is dropped with probability p and divided by 1 - p otherwise. */
tensor *t_dropout(tensor *x, double p, bool training)
{
    return operation("dropout", {x}, [&] {
        if (!(p >= 0 && p < 1))
            refuse(IMIAD_OUT_OF_RANGE, "the probability is %g: it must be in 0..<1", p);
        if (!training || p == 0)
            return x->value;
        random_stream *stream = &this_thread().random;
        at::IntArrayRef shape = x->value.sizes();
        at::Tensor factors = drawn(static_cast<int>(shape.size()), shape.data(), {false, 0}, [&] {
            return random_u32(stream) * 0x1p-32 < p ? 0.0 : 1 / (1 - p);
        });
        return at::mul(*x, factors.to(x->value.options()));
    });
}
