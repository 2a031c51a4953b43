/* Random tensors, from the library's own streams. */
#include "bridge/bridge.h"

#include "base/random.h"
#include "base/threads.h"

/* Draws `count` floats from the beginning of a stream; two numbers say which. */
using draw_floats = void (*)(float *out, size_t count, random_stream stream, double a, double b);

/* Numbers that each take a fixed share of a block: pieces are drawn side by side, and are what one
 * draw from the beginning would be. */
struct side_by_side {
    float *numbers;
    random_stream stream;
    size_t a_block;
    draw_floats draw;
    double a, b;

    static void fill(void *context, size_t begin, size_t end)
    {
        const side_by_side *s = static_cast<const side_by_side *>(context);
        s->draw(s->numbers + begin, end - begin, random_from(s->stream, begin / s->a_block), s->a,
                s->b);
    }
};

enum : size_t { PIECE = 1 << 14 };

static at::Tensor drawn(int rank, const int64_t *shape, device d, side_by_side how)
{
    at::Tensor numbers = at::empty(shape_of(rank, shape), options_of(F32, {false, 0}));
    how.numbers = numbers.data_ptr<float>();
    parallel_for(static_cast<size_t>(numbers.numel()), PIECE, how.fill, &how);
    return d.cuda ? numbers.to(torch_device(d)) : numbers;
}

tensor *t_uniform(int rank, const int64_t *shape, double low, double high, uint64_t seed,
                  const char *purpose, device d)
{
    return operation("uniform", {}, [&] {
        return drawn(
            rank, shape, d,
            {nullptr, random_open(seed, purpose), REALS_A_BLOCK, random_uniforms, low, high});
    });
}

tensor *t_normal(int rank, const int64_t *shape, double mean, double std, uint64_t seed,
                 const char *purpose, device d)
{
    return operation("normal", {}, [&] {
        return drawn(
            rank, shape, d,
            {nullptr, random_open(seed, purpose), NORMALS_A_BLOCK, random_normals, mean, std});
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
        at::Tensor factors = at::empty(x->value.sizes(), options_of(F32, {false, 0}));
        random_choices(factors.data_ptr<float>(), static_cast<size_t>(factors.numel()),
                       &this_thread().random, p, static_cast<float>(1 / (1 - p)));
        return at::mul(*x, factors.to(x->value.options()));
    });
}
