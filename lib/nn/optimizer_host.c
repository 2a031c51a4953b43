/* Every operation is rounded by itself and in PyTorch's order, and pieces do not depend on the
 * number of threads: every processor takes the same step. */
#include "nn/optimizer_host.h"

#include <math.h>
#include <stdlib.h>

#include "base/clones.h"
#include "base/error.h"
#include "base/threads.h"

enum {
    PIECE = 1 << 16, /* what a thread takes at once */
    SPAN = 1 << 11,  /* whose moments are still in the nearest cache when the values move */
    LANES = 16
};

/* ---- SGD ---- */

typedef struct sgd {
    const host_numbers *numbers;
    float decay, momentum, down;
    bool nesterov;
} sgd;

CLONES static void descend_sgd(const sgd *s, size_t begin, size_t end)
{
    float *restrict value = s->numbers->value, *restrict buffer = s->numbers->state[0];
    const float *restrict gradient = s->numbers->gradient;
    const float decay = s->decay, momentum = s->momentum, down = s->down;
    if (!buffer)
        for (size_t i = begin; i < end; ++i)
            value[i] += down * (gradient[i] + decay * value[i]);
    else if (s->nesterov)
        for (size_t i = begin; i < end; ++i) {
            float g = gradient[i] + decay * value[i];
            buffer[i] = momentum * buffer[i] + g;
            value[i] += down * (g + momentum * buffer[i]);
        }
    else
        for (size_t i = begin; i < end; ++i) {
            buffer[i] = momentum * buffer[i] + (gradient[i] + decay * value[i]);
            value[i] += down * buffer[i];
        }
}

static void sgd_piece(void *context, size_t begin, size_t end)
{
    descend_sgd(context, begin, end);
}

void optimizer_host_sgd(const optimizer_options *options, const host_numbers *numbers, double rate)
{
    sgd s = {numbers, (float)options->weight_decay, (float)options->momentum, (float)-rate,
             options->nesterov};
    parallel_for(numbers->count, PIECE, sgd_piece, &s);
}

/* ---- Adam and its kin ---- */

typedef struct adam {
    const host_numbers *numbers;
    float keep;  /* of the value, before it moves */
    float decay; /* of the value, added to the gradient */
    float to_mean, beta2, to_square, bias2, eps, down;
    double *ratios; /* sums of (gradient / denominator)^2, one a piece; NULL: nobody asks */
} adam;

CLONES static void follow_moments(const adam *a, size_t begin, size_t end)
{
    float *restrict value = a->numbers->value, *restrict mean = a->numbers->state[0],
                    *restrict square = a->numbers->state[1];
    const float *restrict gradient = a->numbers->gradient;
    const float keep = a->keep, decay = a->decay, to_mean = a->to_mean, beta2 = a->beta2,
                to_square = a->to_square;
    for (size_t i = begin; i < end; ++i) {
        float p = value[i] * keep, g = gradient[i] + decay * p;
        value[i] = p;
        mean[i] += to_mean * (g - mean[i]);
        square[i] = beta2 * square[i] + to_square * g * g;
    }
}

CLONES static void keep_largest(float *restrict largest, const float *restrict square, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        largest[i] = square[i] > largest[i] || isnan(square[i]) ? square[i] : largest[i];
}

CLONES static void move_values(const adam *a, const float *restrict square, size_t begin,
                               size_t end)
{
    float *restrict value = a->numbers->value;
    const float *restrict mean = a->numbers->state[0];
    const float bias2 = a->bias2, eps = a->eps, down = a->down;
    for (size_t i = begin; i < end; ++i)
        value[i] += down * mean[i] / (sqrtf(square[i]) / bias2 + eps);
}

CLONES static double squared_ratios(const adam *a, const float *restrict square, size_t begin,
                                    size_t end)
{
    const float *restrict gradient = a->numbers->gradient;
    const float bias2 = a->bias2, eps = a->eps;
    double sums[LANES] = {0}, sum = 0;
    size_t i = begin;
    for (; i + LANES <= end; i += LANES)
        for (size_t lane = 0; lane < LANES; ++lane) {
            float ratio = gradient[i + lane] / (sqrtf(square[i + lane]) / bias2 + eps);
            sums[lane] += (double)ratio * (double)ratio;
        }
    for (; i < end; ++i) {
        float ratio = gradient[i] / (sqrtf(square[i]) / bias2 + eps);
        sum += (double)ratio * (double)ratio;
    }
    for (size_t lane = 0; lane < LANES; ++lane)
        sum += sums[lane];
    return sum;
}

static const float *denominators(const adam *a)
{
    return a->numbers->state[2] ? a->numbers->state[2] : a->numbers->state[1];
}

static void moments_piece(void *context, size_t begin, size_t end)
{
    const adam *a = context;
    float *square = a->numbers->state[1], *largest = a->numbers->state[2];
    follow_moments(a, begin, end);
    if (largest)
        keep_largest(largest + begin, square + begin, end - begin);
    if (a->ratios)
        a->ratios[begin / PIECE] = squared_ratios(a, denominators(a), begin, end);
}

static void move_piece(void *context, size_t begin, size_t end)
{
    move_values(context, denominators(context), begin, end);
}

static void adam_piece(void *context, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i += SPAN) {
        size_t until = end - i < SPAN ? end : i + SPAN;
        moments_piece(context, i, until);
        move_piece(context, i, until);
    }
}

/* max(1, RMS(gradient / denominator)) of the whole parameter, whose moments it makes. */
static double make_moments(adam *a)
{
    size_t pieces = (a->numbers->count + PIECE - 1) / PIECE;
    a->ratios = calloc(pieces + 1, sizeof *a->ratios);
    if (!a->ratios) {
        t_try(fail_memory("an optimiser's step", (pieces + 1) * sizeof *a->ratios));
        return 1;
    }
    parallel_for(a->numbers->count, PIECE, moments_piece, a);
    double sum = 0;
    for (size_t i = 0; i < pieces; ++i)
        sum += a->ratios[i];
    free(a->ratios);
    double rms = sqrt(sum / (double)a->numbers->count);
    return rms > 1 ? rms : 1;
}

void optimizer_host_adam(const optimizer_options *options, const host_numbers *numbers, double rate,
                         int64_t step)
{
    bool is_plain = options->kind == OPTIMIZER_ADAM;
    double bias1 = 1 - pow(options->beta1, (double)step);
    double bias2 = 1 - pow(options->beta2, (double)step);
    adam a = {.numbers = numbers,
              .keep = is_plain ? 1 : (float)(1 - rate * options->weight_decay),
              .decay = is_plain ? (float)options->weight_decay : 0,
              .to_mean = (float)(1 - options->beta1),
              .beta2 = (float)options->beta2,
              .to_square = (float)(1 - options->beta2),
              .bias2 = (float)sqrt(bias2),
              .eps = (float)options->eps,
              .down = (float)(-rate / bias1)};
    if (numbers->count == 0)
        return;
    if (options->kind != OPTIMIZER_STABLE_ADAMW) {
        parallel_for(numbers->count, PIECE, adam_piece, &a);
        return;
    }
    a.down = (float)(-rate / make_moments(&a) / bias1);
    if (!t_failed())
        parallel_for(numbers->count, PIECE, move_piece, &a);
}
