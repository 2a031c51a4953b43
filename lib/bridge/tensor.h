/* The bridge to libtorch: plain C functions over tensors. The only header that the rest of the
 * library sees of it; libtorch itself is included nowhere but in lib/bridge.
 *
 * Scopes own tensors. Open one at the start of a piece of work; every tensor that an operation
 * returns belongs to the innermost open scope of the thread and dies with it. t_keep hands one to a
 * long-lived owner, scope_return to the enclosing scope. Nobody frees a temporary by hand.
 *
 * Failure sticks. An operation that fails records its message (operation and shapes) in the thread
 * and returns NULL; from then on every operation of the thread does nothing and returns NULL, sizes
 * read 0 and scalars NaN, until scope_end hands the failure over as a status. A block of tensor
 * arithmetic is checked once, at its end.
 *
 *     scope s = scope_begin();
 *     tensor *d = t_sqrt(t_sum(t_square(t_sub(a, b)), 1, false));
 *     t_read(d, distances, sizeof distances);
 *     return scope_end(&s);
 *
 * Names and argument meanings are PyTorch's. Dimensions may be negative. Threads: every thread has
 * its own scopes and failure; a kept tensor may be read by several threads. */
#ifndef BRIDGE_TENSOR_H
#define BRIDGE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "bridge/device.h"
#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tensor tensor;

/* IMIAD_UNSUPPORTED where this libtorch or machine has no such device. */
imiad_status device_find(device d);
void device_synchronize(device d);
/* The bytes of all tensors on a CUDA device, and their peak since the last call. IMIAD_UNSUPPORTED
 * for the CPU, and where this libtorch does not tell. */
imiad_status device_memory(device d, size_t *now, size_t *peak);

/* ---- scopes and failure ---- */

typedef struct scope {
    size_t mark, depth;
    bool grad, outer_grad;
} scope;

/* Beginning a scope also makes libtorch compute with imiad_threads() threads; while any is open,
 * libtorch's warnings go to the library's log. */
scope scope_begin(void);      /* operations record no gradients */
scope scope_begin_grad(void); /* operations record gradients */
/* Frees the scope's tensors and hands the thread's failure over: the status, with its message as
 * the last error. Scopes end in reverse order of their beginning. */
imiad_status scope_end(scope *s);
/* Ends the scope but leaves `t` to the enclosing one, and leaves a failure standing for its end. */
tensor *scope_return(scope *s, tensor *t);

tensor *t_keep(tensor *t); /* takes it out of its scope: the caller owns it */
/* From now on `kept` stands for the tensor that `value` stands for, as a leaf that asks for
 * gradients where it did before; for moving what others hold a handle of. */
void t_become_(tensor *kept, tensor *value);
void t_free(tensor *t); /* a kept one; NULL is fine */
size_t t_live(void);    /* handles alive in the process, for leak tests */

bool t_failed(void);
/* The standing failure, its message as the last error, left standing; IMIAD_OK where there is none.
 */
imiad_status t_status(void);
/* Records a failure found by the caller, unless one stands already. Returns NULL for convenience.
 */
tensor *t_fail(imiad_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
tensor *t_fail_with(imiad_status status, const char *message);
/* Makes the failure of another function, with its last error, the thread's; true where none stands
 * afterwards: for (...) if (!t_try(read_next(...))) break; */
bool t_try(imiad_status status);

/* ---- making, looking, copying ---- */

tensor *t_zeros(int rank, const int64_t *shape, dtype type, device d);
tensor *t_full(int rank, const int64_t *shape, double value, dtype type, device d);
tensor *t_arange(int64_t count, dtype type, device d);
/* Copies host memory, rows last. */
tensor *t_from(const void *host, int rank, const int64_t *shape, dtype type, device d);
/* Shares host memory on the CPU without copying; it must outlive every use. */
tensor *t_view_of(void *host, int rank, const int64_t *shape, dtype type);
/* Copies into host memory, contiguous, in the tensor's own type; bytes must be its exact size. */
void t_read(tensor *t, void *host, size_t bytes);
/* The memory of a contiguous CPU tensor, for C kernels; NULL and a failure otherwise. */
void *t_data(tensor *t);
/* The memory of floats on the CPU that lie without gaps in the order of `like`'s, for C kernels that
 * take number after number; NULL, without a failure, for every other tensor. */
float *t_floats_like(tensor *t, tensor *like);

int t_rank(const tensor *t);
int64_t t_size(const tensor *t, int dim);
int64_t t_count(const tensor *t); /* of elements */
dtype t_type(const tensor *t);
device t_device(const tensor *t);
double t_item(tensor *t); /* of one element */

/* These return a view of the same memory where nothing has to change. */
tensor *t_to(tensor *t, dtype type);
tensor *t_to_device(tensor *t, device d);
tensor *t_contiguous(tensor *t);
tensor *t_channels_last(tensor *t); /* memory order of a rank-4 tensor; shape unchanged */
tensor *t_clone(tensor *t);         /* always a copy */
tensor *t_detach(tensor *t);
void t_copy_(tensor *into, tensor *from);

/* ---- elementwise; operands broadcast ---- */

/* A whole number next to an integer tensor leaves it one, as in Python: t_add_scalar(index, 1). */

tensor *t_add(tensor *a, tensor *b);
tensor *t_sub(tensor *a, tensor *b);
tensor *t_mul(tensor *a, tensor *b);
tensor *t_div(tensor *a, tensor *b);
tensor *t_minimum(tensor *a, tensor *b);
tensor *t_maximum(tensor *a, tensor *b);
tensor *t_pow(tensor *a, double exponent);
tensor *t_add_scalar(tensor *a, double b);
tensor *t_mul_scalar(tensor *a, double b);
tensor *t_div_scalar(tensor *a, double b);
tensor *t_clamp(tensor *a, double low, double high); /* an infinity leaves that end open */
tensor *t_neg(tensor *a);
tensor *t_abs(tensor *a);
tensor *t_square(tensor *a);
tensor *t_sqrt(tensor *a);
tensor *t_rsqrt(tensor *a);
tensor *t_exp(tensor *a);
tensor *t_log(tensor *a);
tensor *t_log1p(tensor *a);
tensor *t_erfinv(tensor *a); /* the inverse of the error function */
tensor *t_sin(tensor *a);
tensor *t_cos(tensor *a);
tensor *t_tanh(tensor *a);
tensor *t_atan(tensor *a);
tensor *t_sigmoid(tensor *a);
tensor *t_log_sigmoid(tensor *a);
tensor *t_softplus(tensor *a);
tensor *t_relu(tensor *a);
tensor *t_relu_(tensor *a); /* in place, and recorded; returns a */
tensor *t_relu6(tensor *a);
tensor *t_leaky_relu(tensor *a, double slope);
tensor *t_elu(tensor *a, double alpha);
tensor *t_gelu(tensor *a);
tensor *t_silu(tensor *a);
tensor *t_hardswish(tensor *a);
tensor *t_hardsigmoid(tensor *a);
tensor *t_softmax(tensor *a, int dim);
tensor *t_log_softmax(tensor *a, int dim);
/* Comparisons give BOOL. */
tensor *t_gt(tensor *a, tensor *b);
tensor *t_ge(tensor *a, tensor *b);
tensor *t_eq(tensor *a, tensor *b);
tensor *t_gt_scalar(tensor *a, double b);
tensor *t_lt_scalar(tensor *a, double b);
tensor *t_eq_scalar(tensor *a, double b);
tensor *t_logical_not(tensor *a);
tensor *t_logical_and(tensor *a, tensor *b);
tensor *t_where(tensor *condition, tensor *a, tensor *b);
/* Accumulating from nothing: NULL + b is b. */
tensor *t_plus(tensor *a_or_null, tensor *b);
tensor *t_times(tensor *a_or_null, tensor *b);

/* In place, for optimisers and running statistics; record no gradient. */
void t_zero_(tensor *a);
void t_fill_(tensor *a, double value);
void t_add_(tensor *a, tensor *b, double alpha); /* a += alpha b */
void t_add_scalar_(tensor *a, double b);
void t_mul_(tensor *a, double b);
void t_div_(tensor *a, double b);
void t_lerp_(tensor *a, tensor *b, double weight);              /* a += weight (b - a) */
void t_addcmul_(tensor *a, tensor *b, tensor *c, double value); /* a += value b c */
void t_addcdiv_(tensor *a, tensor *b, tensor *c, double value); /* a += value b / c */

/* ---- reductions ---- */

tensor *t_sum(tensor *a, int dim, bool keep);
tensor *t_mean(tensor *a, int dim, bool keep);
tensor *t_var(tensor *a, int dim, bool unbiased, bool keep);
tensor *t_std(tensor *a, int dim, bool unbiased, bool keep);
tensor *t_amax(tensor *a, int dim, bool keep);
tensor *t_amin(tensor *a, int dim, bool keep);
tensor *t_argmax(tensor *a, int dim); /* I64 */
tensor *t_argmin(tensor *a, int dim);
tensor *t_norm(tensor *a, double p, int dim, bool keep);
tensor *t_logsumexp(tensor *a, int dim, bool keep);
tensor *t_cumsum(tensor *a, int dim);
tensor *t_sum_all(tensor *a); /* a scalar tensor, as the next two */
tensor *t_mean_all(tensor *a);
tensor *t_max_all(tensor *a);
tensor *t_normalize(tensor *a, int dim); /* a / max(|a|, 1e-12), as torch.nn.functional.normalize */

/* ---- shape ---- */

tensor *t_view(tensor *a, int rank,
               const int64_t *shape); /* copies where it must; one -1 allowed */
tensor *t_permute(tensor *a, int rank, const int *order);
tensor *t_transpose(tensor *a, int dim0, int dim1);
tensor *t_unsqueeze(tensor *a, int dim);
tensor *t_squeeze(tensor *a, int dim);
tensor *t_expand(tensor *a, int rank, const int64_t *shape);
tensor *t_repeat(tensor *a, int rank, const int64_t *times);
tensor *t_flatten(tensor *a, int from, int to);
tensor *t_cat(tensor *const *parts, int count, int dim);
tensor *t_stack(tensor *const *parts, int count, int dim);
tensor *t_slice(tensor *a, int dim, int64_t begin, int64_t end); /* a view */
tensor *t_flip(tensor *a, int dim);
tensor *t_roll(tensor *a, int64_t shift, int dim);
tensor *t_rot90(tensor *a, int times, int dim0, int dim1);
tensor *t_index_select(tensor *a, int dim, tensor *index);
tensor *t_gather(tensor *a, int dim, tensor *index);
tensor *t_scatter_add(tensor *a, int dim, tensor *index, tensor *source);
tensor *t_masked_select(tensor *a, tensor *mask);
tensor *t_nonzero(tensor *a);

/* ---- order ---- */

tensor *t_topk(tensor *a, int64_t k, int dim, bool largest, tensor **index_or_null);
/* Equal values keep their order. */
tensor *t_sort(tensor *a, int dim, bool descending, tensor **index_or_null);
tensor *t_argsort(tensor *a, int dim, bool descending);
tensor *t_quantile(tensor *a, double q, int dim, bool keep);
tensor *t_median(tensor *a, int dim); /* the lower of two middle values */
tensor *t_searchsorted(tensor *sorted, tensor *values, bool right);

/* ---- linear algebra ---- */

tensor *t_matmul(tensor *a, tensor *b);
tensor *t_bmm(tensor *a, tensor *b);
tensor *t_einsum(const char *equation, tensor *const *operands, int count);
tensor *t_cdist(tensor *a, tensor *b); /* Euclidean, through matrix products where that pays */
tensor *t_cholesky(tensor *a);
tensor *t_solve_triangular(tensor *triangle, tensor *b, bool upper);
tensor *t_cholesky_solve(tensor *b, tensor *lower);
tensor *t_inverse(tensor *a);
tensor *t_qr(tensor *a, tensor **r_or_null);                       /* reduced: returns Q */
tensor *t_eigh(tensor *a, tensor **vectors_or_null);               /* ascending eigenvalues */
tensor *t_svd(tensor *a, tensor **u_or_null, tensor **vt_or_null); /* thin: singular values */
tensor *t_slogdet(tensor *a); /* the logarithm of the absolute determinant */
tensor *t_eye(int64_t n, dtype type, device d);

/* ---- layers; optional operands may be NULL ---- */

tensor *t_linear(tensor *x, tensor *weight, tensor *bias_or_null);
tensor *t_conv2d(tensor *x, tensor *weight, tensor *bias_or_null, int stride, int padding,
                 int dilation, int groups);
tensor *t_conv_transpose2d(tensor *x, tensor *weight, tensor *bias_or_null, int stride, int padding,
                           int output_padding, int groups);
/* A transposed convolution is `stride`^2 ordinary ones of smaller kernels, one for every phase of its
 * output. These are the kernels, phase behind phase, for a weight that learns no more: turning them
 * for every image would take as long as convolving. Floats on the host, their sides multiples of the
 * stride; one group. Not recorded. */
tensor *t_turned_kernels(tensor *weight, int stride, int padding);
tensor *t_conv_turned2d(tensor *x, tensor *kernels, tensor *bias_or_null, int stride, int padding);
/* running statistics change in place while training; momentum as PyTorch's */
tensor *t_batch_norm(tensor *x, tensor *weight_or_null, tensor *bias_or_null, tensor *running_mean,
                     tensor *running_var, bool training, double momentum, double eps);
tensor *t_group_norm(tensor *x, int groups, tensor *weight_or_null, tensor *bias_or_null,
                     double eps);
tensor *t_instance_norm(tensor *x, tensor *weight_or_null, tensor *bias_or_null, double eps);
tensor *t_layer_norm(tensor *x, int last_dims, tensor *weight_or_null, tensor *bias_or_null,
                     double eps);
tensor *t_max_pool2d(tensor *x, int kernel, int stride, int padding, bool ceil_mode);
tensor *t_avg_pool2d(tensor *x, int kernel, int stride, int padding, bool count_padding);
tensor *t_adaptive_avg_pool2d(tensor *x, int height, int width);
tensor *t_adaptive_avg_pool1d(tensor *x, int width);
tensor *t_unfold(tensor *x, int kernel, int dilation, int padding, int stride); /* im2col */
tensor *t_fold(tensor *x, int height, int width, int kernel, int dilation, int padding, int stride);
tensor *t_dropout(tensor *x, double p, bool training);              /* draws from t_seed's stream */
tensor *t_attention(tensor *q, tensor *k, tensor *v, double scale); /* softmax(scale q k^T) v */

typedef enum pad_mode { PAD_ZERO = 1, PAD_REFLECT, PAD_REPLICATE } pad_mode;
tensor *t_pad2d(tensor *x, int left, int right, int top, int bottom, pad_mode mode);

typedef enum interpolation { NEAREST = 1, BILINEAR, BICUBIC } interpolation;
tensor *t_interpolate(tensor *x, int64_t height, int64_t width, interpolation mode,
                      bool align_corners);
tensor *t_grid_sample(tensor *x, tensor *grid, interpolation mode, pad_mode padding,
                      bool align_corners);

/* ---- losses; the mean over all elements, a scalar tensor. A target of another shape is refused,
 * not broadcast ---- */

tensor *t_mse_loss(tensor *x, tensor *target);
tensor *t_l1_loss(tensor *x, tensor *target);
tensor *t_smooth_l1_loss(tensor *x, tensor *target, double beta);
tensor *t_bce_with_logits(tensor *x, tensor *target);
tensor *t_cross_entropy(tensor *logits, tensor *classes);
tensor *t_cosine_similarity(tensor *a, tensor *b, int dim); /* not reduced */

/* ---- random; numbers come from base/random.h's named streams, so a seed means the same everywhere
 */

/* Where the calling thread's next t_dropout draws from. */
void t_seed(uint64_t seed, const char *purpose);
tensor *t_uniform(int rank, const int64_t *shape, double low, double high, uint64_t seed,
                  const char *purpose, device d);
tensor *t_normal(int rank, const int64_t *shape, double mean, double std, uint64_t seed,
                 const char *purpose, device d);

/* ---- gradients ---- */

void t_require_grad(tensor *t, bool required); /* of a leaf */
void t_backward(tensor *loss);
/* The same, and only this leaf gets a gradient: nothing is added to others, so that several threads
 * may do it with parameters that they share. */
void t_backward_to(tensor *loss, tensor *leaf);
tensor *t_grad(tensor *leaf); /* what backward left there, or NULL without a failure */
void t_clear_grad(tensor *leaf);

#ifdef __cplusplus
}
#endif
#endif
