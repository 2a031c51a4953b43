#include "detectors/parts/token_losses.h"

#include <math.h>
#include <stdlib.h>

static tensor *index_of(const int64_t *rows, int64_t count, device d)
{
    return t_to_device(t_from(rows, 1, &count, I64, CPU), d);
}

tensor *token_focal(tensor *logits, tensor *targets, const int8_t *labels, int of, double alpha,
                    double gamma)
{
    int64_t rows = t_size(logits, 0), count = 0;
    int64_t *chosen = malloc(((size_t)rows + 1) * sizeof *chosen);
    if (!chosen)
        return t_fail(IMIAD_NO_MEMORY, "out of memory for %lld tokens", (long long)rows);
    for (int64_t i = 0; i < rows; ++i)
        if (of == TOKEN_LABELLED ? labels[i] == 0 || labels[i] == 1 : labels[i] == of)
            chosen[count++] = i;
    tensor *index = count ? index_of(chosen, count, t_device(logits)) : NULL;
    free(chosen);
    if (!index)
        return NULL;
    tensor *t = t_index_select(targets, 0, index);
    tensor *log_p = t_log_softmax(t_index_select(logits, 0, index), 1);
    log_p = t_logsumexp(t_add(log_p, t_log(t)), 1, false);
    tensor *bad = t_gt(t_slice(t, 1, 1, 2), t_slice(t, 1, 0, 1));
    bad = t_view(t_to(bad, t_type(log_p)), 1, &count);
    tensor *weight = t_add_scalar(t_mul_scalar(bad, 2 * alpha - 1), 1 - alpha);
    tensor *hard = t_pow(t_add_scalar(t_neg(t_exp(log_p)), 1), gamma);
    return t_neg(t_mean_all(t_mul(t_mul(weight, hard), log_p)));
}

tensor *token_targets(const int8_t *labels, int64_t rows, device d)
{
    tensor *host = t_zeros(2, (int64_t[]){rows, 2}, F32, CPU);
    float *values = t_data(host);
    for (int64_t i = 0; values && i < rows; ++i)
        if (labels[i] != TOKEN_UNLABELLED)
            values[2 * i + labels[i]] = 1;
    return t_to_device(host, d);
}

tensor *token_guess(tensor *logits, int64_t copies, double temperature)
{
    int64_t windows = t_size(logits, 0) / copies, places = t_size(logits, 1);
    tensor *p = t_view(t_softmax(logits, -1), 4, (int64_t[]){windows, copies, places, 2});
    p = t_pow(t_mean(p, 1, true), 1 / temperature);
    p = t_div(p, t_sum(p, -1, true));
    p = t_expand(p, 4, (int64_t[]){windows, copies, places, 2});
    return t_view(t_contiguous(p), 2, (int64_t[]){-1, 2});
}

/* 1 for the rows that are taken back. */
static tensor *taken_back(const int8_t *labels, int64_t rows, const token_mixing *how, device d)
{
    tensor *host = t_zeros(2, (int64_t[]){rows, 1}, F32, CPU);
    float *back = t_data(host);
    int64_t labelled = 0, seen = 0;
    for (int64_t i = 0; i < rows; ++i)
        labelled += labels[i] != TOKEN_UNLABELLED;
    int64_t stay = (int64_t)floor((double)labelled * how->mixed);
    for (int64_t i = 0; back && i < rows; ++i) {
        int64_t row = how->partners[i], asked = how->reference ? i : row;
        if (labels[asked] != TOKEN_UNLABELLED && seen++ >= stay)
            back[row] = 1;
    }
    return t_to_device(host, d);
}

static tensor *mix(tensor *x, tensor *partners, tensor *back, double share)
{
    tensor *other = t_index_select(x, 0, partners);
    tensor *mixed = t_add(t_mul_scalar(x, share), t_mul_scalar(other, 1 - share));
    return t_where(t_gt_scalar(back, 0), x, mixed);
}

void token_mix(tensor **x, tensor **targets, const int8_t *labels, const token_mixing *how)
{
    int64_t rows = t_size(*x, 0);
    device d = t_device(*x);
    tensor *partners = index_of(how->partners, rows, d);
    tensor *back = taken_back(labels, rows, how, d);
    *x = mix(*x, partners, back, how->share);
    *targets = mix(*targets, partners, back, how->share);
}

/* ---- draws ---- */

int64_t *token_partners(int64_t rows, random_stream *stream)
{
    size_t *partners = malloc((size_t)rows * sizeof *partners);
    if (!partners) {
        t_fail(IMIAD_NO_MEMORY, "out of memory for %lld tokens", (long long)rows);
        return NULL;
    }
    for (int64_t i = 0; i < rows; ++i)
        partners[i] = (size_t)i;
    random_shuffle(stream, partners, (size_t)rows);
    return (int64_t *)partners; /* places are far below half of either type */
}

/* Of the distribution Gamma(a, 1): Marsaglia and Tsang, ACM TOMS 2000. */
static double draw_gamma(random_stream *stream, double a)
{
    double below = a < 1 ? pow(1 - random_real(stream), 1 / a) : 1;
    double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = random_normal(stream), v = 1 + c * x;
        v = v * v * v;
        if (v > 0 && log(1 - random_real(stream)) < 0.5 * x * x + d - d * v + d * log(v))
            return below * d * v;
    }
}

double token_mixing_share(random_stream *stream, double a)
{
    double x = draw_gamma(stream, a), y = draw_gamma(stream, a);
    double b = x + y > 0 ? x / (x + y) : 1; /* both 0: a so small that b is 0 or 1 */
    return b > 0.5 ? b : 1 - b;
}

tensor *token_blank(tensor *tokens, int8_t *labels, double share, random_stream *stream)
{
    int64_t windows = t_size(tokens, 0), places = t_size(tokens, 1);
    int64_t kept = (int64_t)((double)places * (1 - share));
    tensor *host = t_zeros(3, (int64_t[]){windows, places, 1}, F32, CPU);
    float *keep = t_data(host);
    for (int64_t n = 0; keep && n < windows; ++n) {
        int64_t *order = token_partners(places, stream);
        for (int64_t i = 0; order && i < places; ++i) {
            int64_t at = n * places + order[i];
            keep[at] = i < kept;
            labels[at] = (int8_t)(i < kept ? labels[at] : TOKEN_DROPPED);
        }
        free(order);
    }
    return t_mul(tokens, t_to_device(host, t_device(tokens)));
}
