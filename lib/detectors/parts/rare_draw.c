#include "detectors/parts/rare_draw.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *sorted, size_t n)
{
    qsort(sorted, n, sizeof *sorted, by_size);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void weigh(double *weights, double *room, const int64_t *uses, size_t n)
{
    int64_t most = 0;
    for (size_t i = 0; i < n; ++i)
        most = uses[i] > most ? uses[i] : most;
    for (size_t i = 0; i < n; ++i)
        weights[i] = most > 0 ? 1 - (double)uses[i] / (double)most : 1;
    memcpy(room, weights, n * sizeof *room);
    double middle = median(room, n);
    for (size_t i = 0; i < n; ++i)
        weights[i] = pow(weights[i] - middle + 1, 4 * log((double)n));
}

/* One by its weight; any of those with a weight where rounding leaves none. */
static size_t pick(const double *weights, size_t n, random_stream *stream)
{
    double total = 0, sum = 0;
    size_t last = 0;
    for (size_t i = 0; i < n; ++i)
        total += weights[i];
    double at = random_real(stream) * total;
    for (size_t i = 0; i < n; ++i) {
        if (weights[i] <= 0)
            continue;
        last = i;
        sum += weights[i];
        if (at < sum)
            return i;
    }
    return last;
}

/* What was never to be drawn is drawn where all else was: each alike. */
static void revive(double *weights, const bool *taken, size_t n)
{
    for (size_t i = 0; i < n; ++i)
        if (weights[i] > 0)
            return;
    for (size_t i = 0; i < n; ++i)
        weights[i] = taken[i] ? 0 : 1;
}

imiad_status rare_draw(size_t *out, size_t count, int64_t *uses, size_t n, random_stream *stream)
{
    double *weights = malloc(2 * n * sizeof *weights);
    bool *taken = calloc(n, sizeof *taken), again = count > n;
    if (!weights || !taken) {
        free(weights);
        free(taken);
        return fail_memory("a draw of images", 2 * n * sizeof *weights);
    }
    weigh(weights, weights + n, uses, n);
    for (size_t i = 0; i < count; ++i) {
        revive(weights, taken, n);
        out[i] = pick(weights, n, stream);
        uses[out[i]]++;
        if (!again) {
            taken[out[i]] = true;
            weights[out[i]] = 0;
        }
    }
    free(weights);
    free(taken);
    return IMIAD_OK;
}
