/* What the sources of the bridge share: the handle, the thread's state, and the guard around every
 * operation. Not included outside lib/bridge. */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include <initializer_list>
#include <vector>

#include "bridge/torch_compat.h" /* before tensor.h, whose names are short */

#include "base/random.h"
#include "bridge/race_watch.h"
#include "bridge/tensor.h"
#undef CPU /* a constant for C; here it would replace libtorch's words */

struct thread_state;

struct tensor {
    at::Tensor value;
    thread_state *owner; /* the thread whose scopes hold it; NULL for a kept one */
    size_t position;     /* in that thread's stack */
    uint32_t sign;       /* of life: says in a debug build that the scope has not ended */

    operator const at::Tensor &() const
    {
        return value;
    }
};

struct failure {
    imiad_status status; /* IMIAD_OK: none stands */
    char message[1024];
};

struct thread_state {
    std::vector<tensor *> stack; /* NULL where a tensor was kept */
    size_t depth = 0;            /* open scopes */
    failure failed = {IMIAD_OK, ""};
    int threads = 0; /* last told to libtorch from here */
    c10::WarningHandler *outer_warnings = nullptr;
    random_stream random = random_open(0, "bridge");

    ~thread_state();
};

thread_state &this_thread();

/* Once a process, after the number of threads is set. */
void let_idle_threads_sleep() noexcept;

/* The tensors given to an operation: for the check that they are there, and for messages. The first
 * `required` must not be NULL. */
struct operands {
    const tensor *const *list;
    int count, required;

    operands(std::initializer_list<tensor *> given)
        : list(given.begin()), count(static_cast<int>(given.size())), required(count)
    {
    }
    operands(int needed, std::initializer_list<tensor *> given) : operands(given)
    {
        required = needed;
    }
    operands(tensor *const *parts, int parts_count)
        : list(parts), count(parts_count), required(parts_count)
    {
    }
};

/* False for a handle whose scope has ended; known in a debug build only. */
bool handle_lives(const tensor *t) noexcept;
/* True where the operation may run: no failure stands, a scope is open, its operands are alive. */
bool may_run(const char *name, const operands &given) noexcept;
/* Inside a catch block: records what was caught as the thread's failure. */
void record_caught(const char *name, const operands &given) noexcept;
/* A new handle in the innermost scope. */
tensor *give(at::Tensor &&value);

/* Thrown by the bridge's own checks. */
struct refusal {
    imiad_status status;
    char message[256];
};
[[noreturn]] void refuse(imiad_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Runs the body, which makes a tensor, and puts it into the innermost scope. */
template <typename Body>
tensor *operation(const char *name, const operands &given, const Body &body) noexcept
{
    if (!may_run(name, given))
        return nullptr;
    try {
        const race_watch watch(given.list, given.count);
        return give(body());
    } catch (...) {
        record_caught(name, given);
        return nullptr;
    }
}

/* The same for a body that makes nothing new. */
template <typename Body>
bool action(const char *name, const operands &given, const Body &body) noexcept
{
    if (!may_run(name, given))
        return false;
    try {
        const race_watch watch(given.list, given.count);
        body();
        return true;
    } catch (...) {
        record_caught(name, given);
        return false;
    }
}

/* A further result of an operation, where the caller asks for it. */
inline void also_give(tensor **out, at::Tensor value)
{
    if (out)
        *out = give(std::move(value));
}
inline void clear(tensor **out)
{
    if (out)
        *out = nullptr;
}

/* An optional operand, as libtorch takes it: undefined where it is NULL. */
inline at::Tensor optional(const tensor *t)
{
    return t ? t->value : at::Tensor();
}

/* A number next to a tensor: a whole number does not turn an integer tensor into a real one. */
inline at::Scalar number_for(const tensor *a, double b)
{
    bool whole = !a->value.is_floating_point() && b == static_cast<double>(static_cast<int64_t>(b));
    return whole ? at::Scalar(static_cast<int64_t>(b)) : at::Scalar(b);
}

/* Products by whatever is fastest in this libtorch (product.cpp). */
at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias);
at::Tensor multiply(const at::Tensor &a, const at::Tensor &b);
struct window {
    int64_t stride, padding, dilation;
};
at::Tensor convolve(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                    const window &w, int64_t groups);
/* Without dilation. */
at::Tensor convolve_transposed(const at::Tensor &x, const at::Tensor &weight,
                               const at::Tensor &bias, const window &w, int64_t output_padding,
                               int64_t groups);
/* A transposed convolution by kernels that were turned beforehand. */
at::Tensor turned_kernels(const at::Tensor &weight, const window &w);
at::Tensor convolve_turned(const at::Tensor &x, const at::Tensor &kernels, const at::Tensor &bias,
                           const window &w);

at::ScalarType scalar_type(dtype type);
at::Device torch_device(device d);
at::TensorOptions options_of(dtype type, device d);
at::IntArrayRef shape_of(int rank, const int64_t *shape);

#endif
