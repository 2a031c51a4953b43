/* Transposed convolutions that learn no more, with their kernels turned beforehand. The outputs at
 * i, i + stride, ... of a side meet every stride-th tap of a kernel: turned around, these taps are
 * an ordinary convolution of a kernel as much smaller, one for each phase (i, j). */
#include "nn/modules.h"

enum { LARGEST_STRIDE = 4 };

/* Each phase has the same taps, and as many outputs as there are inputs. */
static bool can_turn(const conv2d_spec *s)
{
    return s->transposed && s->groups == 1 && s->output_padding == 0 &&
           s->stride <= LARGEST_STRIDE && s->kernel % s->stride == 0 &&
           s->kernel - 2 * s->padding == s->stride;
}

void conv2d_turn(conv2d *c)
{
    const conv2d_spec *s = &c->spec;
    if (!can_turn(s) || s->turned || t_failed())
        return;
    scope opened = scope_begin();
    int64_t taps = s->kernel / s->stride;
    const int64_t apart[] = {s->inputs, s->outputs, taps, s->stride, taps, s->stride};
    const int64_t kernels[] = {s->inputs, s->outputs, taps, taps};
    tensor *all = t_view(t_contiguous(c->weight), 6, apart);
    tensor *phases[LARGEST_STRIDE * LARGEST_STRIDE];
    for (int k = 0; k < s->stride * s->stride; ++k) {
        int row = (k / s->stride + s->padding) % s->stride;
        int column = (k % s->stride + s->padding) % s->stride;
        tensor *own = t_slice(t_slice(all, 3, row, row + 1), 5, column, column + 1);
        own = t_flip(t_flip(t_view(t_contiguous(own), 4, kernels), 2), 3);
        phases[k] = t_transpose(own, 0, 1);
    }
    t_become_(c->weight, t_channels_last(t_cat(phases, s->stride * s->stride, 0)));
    c->spec.turned = true;
    scope_return(&opened, NULL);
}

/* Maps between one another along a dimension of n x h x w x channels. */
static tensor *weave(tensor *const *maps, int count, int dim)
{
    tensor *first = maps[0];
    int64_t shape[] = {t_size(first, 0), t_size(first, 1), t_size(first, 2), t_size(first, 3)};
    shape[dim] *= count;
    return t_view(t_contiguous(t_stack(maps, count, dim + 1)), 4, shape);
}

tensor *conv2d_run_turned(const conv2d *c, tensor *x)
{
    const conv2d_spec *s = &c->spec;
    int stride = s->stride, reach = s->kernel / stride - 1;
    if (stride == 1)
        return t_conv2d(x, c->weight, c->bias, 1, reach - s->padding, 1, 1);
    tensor *rows[LARGEST_STRIDE], *columns[LARGEST_STRIDE];
    for (int i = 0; i < stride; ++i) {
        for (int j = 0; j < stride; ++j) {
            int below = (i + s->padding) / stride, right = (j + s->padding) / stride;
            int64_t at = (i * stride + j) * s->outputs;
            tensor *kernels = t_slice(c->weight, 0, at, at + s->outputs);
            tensor *seen = t_pad2d(x, reach - right, right, reach - below, below, PAD_ZERO);
            columns[j] =
                t_permute(t_conv2d(seen, kernels, c->bias, 1, 0, 1, 1), 4, (int[]){0, 2, 3, 1});
        }
        rows[i] = weave(columns, stride, 2);
    }
    return t_permute(weave(rows, stride, 1), 4, (int[]){0, 3, 1, 2});
}
