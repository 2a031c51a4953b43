#include "nn/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nn/optimizer_host.h"

enum { MOST_STATE = 3 };

typedef struct target {
    tensor *value;
    tensor *state[MOST_STATE]; /* in the order of state_names; NULL where the kind has none */
} target;

struct optimizer {
    optimizer_options options;
    target *targets;
    size_t count;
    params *state;
    tensor *steps; /* I64 [count], on the host: PyTorch counts them for each parameter */
};

/* What each kind remembers, by torch.optim's names. */
static const char *const *state_names(const optimizer_options *options)
{
    static const char *const sgd[] = {"momentum_buffer", NULL}, *const plain[] = {NULL},
                             *const adam[] = {"exp_avg", "exp_avg_sq", NULL},
                             *const amsgrad[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", NULL};
    if (options->kind == OPTIMIZER_SGD)
        return options->momentum != 0 ? sgd : plain;
    return options->amsgrad ? amsgrad : adam;
}

static imiad_status check_options(const optimizer_options *options)
{
    const struct {
        const char *name;
        double value, below;
    } ranges[] = {{"weight_decay", options->weight_decay, INFINITY},
                  {"momentum", options->momentum, INFINITY},
                  {"beta1", options->beta1, 1},
                  {"beta2", options->beta2, 1},
                  {"eps", options->eps, INFINITY}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; ++i)
        if (!(ranges[i].value >= 0 && ranges[i].value < ranges[i].below))
            return fail(IMIAD_OUT_OF_RANGE, "optimiser: %s is %g: it must be in 0..<%g",
                        ranges[i].name, ranges[i].value, ranges[i].below);
    if (options->kind < OPTIMIZER_SGD || options->kind > OPTIMIZER_STABLE_ADAMW)
        return fail(IMIAD_OUT_OF_RANGE, "optimiser: there is no kind %d", options->kind);
    if (options->nesterov && options->momentum == 0)
        return fail(IMIAD_OUT_OF_RANGE, "optimiser: nesterov needs a momentum");
    return IMIAD_OK;
}

static void add_target(optimizer *o, const param *one)
{
    target *t = &o->targets[o->count++];
    t->value = one->value;
    const char *const *names = state_names(&o->options);
    for (int i = 0; names[i]; ++i) {
        char name[512];
        if (snprintf(name, sizeof name, "%s.%s", names[i], one->name) >= (int)sizeof name)
            t_fail(IMIAD_INTERNAL, "the parameter's name is too long: %s", one->name);
        t->state[i] = params_add(o->state, name, t_mul_scalar(t_detach(one->value), 0), false);
        t_zero_(t->state[i]); /* 0 times infinity is not 0 */
    }
}

static imiad_status prepare(optimizer *o, const params *p, const char *prefix)
{
    size_t length = prefix ? strlen(prefix) : 0;
    o->targets = calloc(params_count(p) + 1, sizeof *o->targets);
    if (!o->targets)
        return fail_memory("an optimiser", params_count(p) * sizeof *o->targets);
    TRY(params_create(&o->state));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(p) && !t_failed(); ++i) {
        const param *one = params_at(p, i);
        if (one->trainable && (length == 0 || strncmp(one->name, prefix, length) == 0))
            add_target(o, one);
    }
    int64_t count = (int64_t)o->count;
    o->steps = params_add(o->state, "step", t_zeros(1, &count, I64, CPU), false);
    return scope_end(&s);
}

imiad_status optimizer_create(optimizer **out, params *p, const char *prefix,
                              const optimizer_options *options)
{
    TRY(check_options(options));
    optimizer *o = calloc(1, sizeof *o);
    if (!o)
        return fail_memory("an optimiser", sizeof *o);
    o->options = *options;
    if (options->kind != OPTIMIZER_SGD) {
        o->options.beta1 = options->beta1 != 0 ? options->beta1 : 0.9;
        o->options.beta2 = options->beta2 != 0 ? options->beta2 : 0.999;
        o->options.eps = options->eps != 0 ? options->eps : 1e-8;
    }
    imiad_status status = prepare(o, p, prefix);
    if (status != IMIAD_OK) {
        optimizer_free(o);
        return status;
    }
    *out = o;
    return IMIAD_OK;
}

void optimizer_free(optimizer *o)
{
    if (!o)
        return;
    params_free(o->state);
    free(o->targets);
    free(o);
}

params *optimizer_state(optimizer *o)
{
    return o->state;
}

void optimizer_zero_grad(optimizer *o)
{
    for (size_t i = 0; i < o->count; ++i)
        t_clear_grad(o->targets[i].value);
}

double optimizer_clip_grad(optimizer *o, double most)
{
    tensor **values = malloc((o->count + 1) * sizeof *values);
    if (!values) {
        t_try(fail_memory("gradients", (o->count + 1) * sizeof *values));
        return NAN;
    }
    for (size_t i = 0; i < o->count; ++i)
        values[i] = o->targets[i].value;
    double norm = tensors_clip_grad(values, o->count, most);
    free(values);
    return norm;
}

static tensor *with_decay(tensor *gradient, tensor *value, double decay)
{
    if (decay == 0)
        return gradient;
    tensor *sum = t_clone(gradient);
    t_add_(sum, value, decay);
    return sum;
}

/* torch.optim.SGD: b = momentum b + g; p -= rate b, or rate (g + momentum b) with Nesterov's */
static void step_sgd(const optimizer_options *options, const target *t, tensor *gradient,
                     double rate)
{
    tensor *down = with_decay(gradient, t->value, options->weight_decay);
    tensor *momentum = t->state[0];
    if (momentum) {
        t_mul_(momentum, options->momentum);
        t_add_(momentum, down, 1);
        if (options->nesterov) {
            down = t_clone(down);
            t_add_(down, momentum, options->momentum);
        } else
            down = momentum;
    }
    t_add_(t->value, down, -rate);
}

/* max(1, RMS(g / denominator)) of a whole tensor. */
static double excess(tensor *gradient, tensor *denominator)
{
    tensor *ratio = t_view(t_div(gradient, denominator), 1, (int64_t[]){-1});
    double rms = t_item(t_norm(ratio, 2, 0, false)) / sqrt((double)t_count(ratio));
    return rms > 1 ? rms : 1;
}

/* torch.optim.Adam and AdamW. Kingma, Ba: ICLR 2015, algorithm 1:
 * m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 * p -= rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps) */
static void step_adam(const optimizer_options *options, const target *t, tensor *gradient,
                      double rate, int64_t step)
{
    tensor *mean = t->state[0], *square = t->state[1], *largest = t->state[2];
    if (options->kind != OPTIMIZER_ADAM)
        t_mul_(t->value, 1 - rate * options->weight_decay);
    else
        gradient = with_decay(gradient, t->value, options->weight_decay);
    t_lerp_(mean, gradient, 1 - options->beta1);
    t_mul_(square, options->beta2);
    t_addcmul_(square, gradient, gradient, 1 - options->beta2);
    if (largest)
        t_copy_(largest, t_maximum(largest, square));
    double bias1 = 1 - pow(options->beta1, (double)step);
    double bias2 = 1 - pow(options->beta2, (double)step);
    tensor *root = t_sqrt(largest ? largest : square);
    t_div_(root, sqrt(bias2));
    t_add_scalar_(root, options->eps);
    if (options->kind == OPTIMIZER_STABLE_ADAMW)
        rate /= excess(gradient, root);
    t_addcdiv_(t->value, mean, root, -rate / bias1);
}

/* False where the numbers are no floats that lie one behind the other in the host's memory, and in
 * the same order: nothing was done. */
static bool step_on_host(const optimizer_options *options, const target *t, tensor *gradient,
                         double rate, int64_t step)
{
    host_numbers numbers = {.value = t_floats_like(t->value, t->value),
                            .gradient = t_floats_like(gradient, t->value),
                            .count = (size_t)t_count(t->value)};
    bool lies = numbers.value && numbers.gradient;
    for (int i = 0; i < MOST_STATE && lies && t->state[i]; ++i)
        lies = (numbers.state[i] = t_floats_like(t->state[i], t->value)) != NULL;
    if (lies && options->kind == OPTIMIZER_SGD)
        optimizer_host_sgd(options, &numbers, rate);
    else if (lies)
        optimizer_host_adam(options, &numbers, rate, step);
    return lies;
}

static void step_one(const optimizer_options *options, const target *t, double rate, int64_t *step)
{
    tensor *gradient = t_grad(t->value);
    if (!gradient)
        return;
    ++*step;
    if (step_on_host(options, t, gradient, rate, *step) || t_failed())
        return;
    if (options->kind == OPTIMIZER_SGD)
        step_sgd(options, t, gradient, rate);
    else
        step_adam(options, t, gradient, rate, *step);
}

void optimizer_step(optimizer *o, double learning_rate)
{
    scope s = scope_begin();
    int64_t *steps = t_data(o->steps);
    for (size_t i = 0; i < o->count && !t_failed(); ++i) {
        scope one = scope_begin(); /* what one parameter's step makes is as large as itself */
        step_one(&o->options, &o->targets[i], learning_rate, &steps[i]);
        scope_return(&one, NULL);
    }
    scope_return(&s, NULL);
}
