/* Elementwise operations, comparisons, and those in place. */
#include "bridge/bridge.h"

#include <cmath>

#define UNARY(name)                                                                                \
    tensor *t_##name(tensor *a)                                                                    \
    {                                                                                              \
        return operation(#name, {a}, [&] { return at::name(*a); });                                \
    }
#define BINARY(name)                                                                               \
    tensor *t_##name(tensor *a, tensor *b)                                                         \
    {                                                                                              \
        return operation(#name, {a, b}, [&] { return at::name(*a, *b); });                         \
    }
#define WITH_NUMBER(name, function)                                                                \
    tensor *t_##name(tensor *a, double b)                                                          \
    {                                                                                              \
        return operation(#name, {a}, [&] { return at::function(*a, number_for(a, b)); });          \
    }
#define ALONG(name)                                                                                \
    tensor *t_##name(tensor *a, int dim)                                                           \
    {                                                                                              \
        return operation(#name, {a}, [&] { return at::name(*a, dim); });                           \
    }

UNARY(neg)
UNARY(abs)
UNARY(square)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(exp)
UNARY(log)
UNARY(log1p)
UNARY(erfinv)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(atan)
UNARY(sigmoid)
UNARY(log_sigmoid)
UNARY(softplus)
UNARY(relu)
UNARY(gelu)
UNARY(silu)
UNARY(hardswish)
UNARY(hardsigmoid)
UNARY(logical_not)

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(minimum)
BINARY(maximum)
BINARY(gt)
BINARY(ge)
BINARY(eq)
BINARY(logical_and)

WITH_NUMBER(add_scalar, add)
WITH_NUMBER(mul_scalar, mul)
WITH_NUMBER(div_scalar, div)
WITH_NUMBER(pow, pow)
WITH_NUMBER(gt_scalar, gt)
WITH_NUMBER(lt_scalar, lt)
WITH_NUMBER(eq_scalar, eq)
WITH_NUMBER(leaky_relu, leaky_relu)
WITH_NUMBER(elu, elu)

ALONG(softmax)
ALONG(log_softmax)
ALONG(cumsum)

tensor *t_relu6(tensor *a)
{
    return operation("relu6", {a}, [&] { return at::hardtanh(*a, 0, 6); });
}

tensor *t_relu_(tensor *a)
{
    return action("relu_", {a}, [&] { at::relu_(a->value); }) ? a : nullptr;
}

tensor *t_clamp(tensor *a, double low, double high)
{
    return operation("clamp", {a}, [&] {
        at::Tensor clamped = *a;
        if (!std::isinf(low))
            clamped = at::clamp_min(clamped, number_for(a, low));
        if (!std::isinf(high))
            clamped = at::clamp_max(clamped, number_for(a, high));
        return clamped;
    });
}

tensor *t_where(tensor *condition, tensor *a, tensor *b)
{
    return operation("where", {condition, a, b}, [&] { return at::where(*condition, *a, *b); });
}

tensor *t_plus(tensor *a_or_null, tensor *b)
{
    if (a_or_null || t_failed())
        return t_add(a_or_null, b);
    return may_run("plus", {b}) ? b : nullptr;
}

tensor *t_times(tensor *a_or_null, tensor *b)
{
    if (a_or_null || t_failed())
        return t_mul(a_or_null, b);
    return may_run("times", {b}) ? b : nullptr;
}

/* ---- in place ---- */

template <typename Body>
static void in_place(const char *name, const operands &given, const Body &body)
{
    action(name, given, [&] {
        at::NoGradGuard guard;
        body();
    });
}

void t_zero_(tensor *a)
{
    in_place("zero_", {a}, [&] { a->value.zero_(); });
}

void t_fill_(tensor *a, double value)
{
    in_place("fill_", {a}, [&] { a->value.fill_(number_for(a, value)); });
}

void t_add_(tensor *a, tensor *b, double alpha)
{
    in_place("add_", {a, b}, [&] { a->value.add_(*b, number_for(a, alpha)); });
}

void t_add_scalar_(tensor *a, double b)
{
    in_place("add_scalar_", {a}, [&] { a->value.add_(number_for(a, b)); });
}

void t_mul_(tensor *a, double b)
{
    in_place("mul_", {a}, [&] { a->value.mul_(number_for(a, b)); });
}

void t_div_(tensor *a, double b)
{
    in_place("div_", {a}, [&] { a->value.div_(number_for(a, b)); });
}

void t_lerp_(tensor *a, tensor *b, double weight)
{
    in_place("lerp_", {a, b}, [&] { a->value.lerp_(*b, weight); });
}

void t_addcmul_(tensor *a, tensor *b, tensor *c, double value)
{
    in_place("addcmul_", {a, b, c}, [&] { a->value.addcmul_(*b, *c, number_for(a, value)); });
}

void t_addcdiv_(tensor *a, tensor *b, tensor *c, double value)
{
    in_place("addcdiv_", {a, b, c}, [&] { a->value.addcdiv_(*b, *c, value); });
}
