/* Gradients. */
#include "bridge/bridge.h"

void t_require_grad(tensor *t, bool required)
{
    action("require_grad", {t}, [&] { t->value.requires_grad_(required); });
}

void t_backward(tensor *loss)
{
    action("backward", {loss}, [&] { loss->value.backward(); });
}

void t_backward_to(tensor *loss, tensor *leaf)
{
    action("backward_to", {loss, leaf}, [&] {
        const at::Tensor inputs[] = {leaf->value};
        loss->value.backward({}, {}, false, at::TensorList(inputs));
    });
}

tensor *t_grad(tensor *leaf)
{
    if (!may_run("grad", {leaf}) || !leaf->value.is_leaf() || !leaf->value.grad().defined())
        return nullptr;
    return operation("grad", {leaf}, [&] { return leaf->value.grad(); });
}

void t_clear_grad(tensor *leaf)
{
    action("clear_grad", {leaf}, [&] {
        if (leaf->value.grad().defined())
            leaf->value.mutable_grad().reset();
    });
}
