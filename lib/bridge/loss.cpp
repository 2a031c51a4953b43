/* Losses. */
#include "bridge/bridge.h"

/* libtorch would broadcast a target of another shape, which is a mistake nearly always. */
template <typename Body>
static tensor *elementwise_loss(const char *name, tensor *x, tensor *target, const Body &body)
{
    return operation(name, {x, target}, [&] {
        if (x->value.sizes() != target->value.sizes())
            refuse(IMIAD_MISMATCH, "the target has another shape");
        return body();
    });
}

tensor *t_mse_loss(tensor *x, tensor *target)
{
    return elementwise_loss("mse_loss", x, target, [&] { return at::mse_loss(*x, *target); });
}

tensor *t_l1_loss(tensor *x, tensor *target)
{
    return elementwise_loss("l1_loss", x, target, [&] { return at::l1_loss(*x, *target); });
}

tensor *t_smooth_l1_loss(tensor *x, tensor *target, double beta)
{
    return elementwise_loss("smooth_l1_loss", x, target, [&] {
        return at::smooth_l1_loss(*x, *target, at::Reduction::Mean, beta);
    });
}

tensor *t_bce_with_logits(tensor *x, tensor *target)
{
    return elementwise_loss("bce_with_logits", x, target, [&] {
        return at::binary_cross_entropy_with_logits(*x, *target, at::Tensor(), at::Tensor());
    });
}

tensor *t_cross_entropy(tensor *logits, tensor *classes)
{
    return operation("cross_entropy", {logits, classes},
                     [&] { return at::cross_entropy_loss(*logits, *classes); });
}

tensor *t_cosine_similarity(tensor *a, tensor *b, int dim)
{
    return operation("cosine_similarity", {a, b},
                     [&] { return at::cosine_similarity(*a, *b, dim); });
}
