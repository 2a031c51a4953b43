/* The definitions, as plainly as they can be written: every pixel in one array, every pair and
 * every threshold visited. The library is held against this. */
#ifndef TESTS_METRICS_TWIN_H
#define TESTS_METRICS_TWIN_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TWIN_PIXELS = 2048 };

typedef struct twin {
    int count, positives, regions;
    double score[TWIN_PIXELS];
    int region[TWIN_PIXELS]; /* -1: normal */
    int area[TWIN_PIXELS];
} twin;

static void twin_fill(twin *t, const uint8_t *mask, int first, int width, int height, int x, int y,
                      int connectivity)
{
    if (x < 0 || y < 0 || x >= width || y >= height || !mask[y * width + x] ||
        t->region[first + y * width + x] >= 0)
        return;
    t->region[first + y * width + x] = t->regions;
    t->area[t->regions]++;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx)
            if (connectivity == 8 || dx == 0 || dy == 0)
                twin_fill(t, mask, first, width, height, x + dx, y + dy, connectivity);
}

static inline void twin_add(twin *t, const float *map, const uint8_t *mask, int width, int height,
                            int connectivity)
{
    int first = t->count;
    for (int i = 0; i < width * height; ++i, ++t->count) {
        t->score[t->count] = map[i];
        t->region[t->count] = -1;
        t->positives += mask && mask[i];
    }
    for (int i = 0; mask && i < width * height; ++i)
        if (mask[i] && t->region[first + i] < 0) {
            t->area[t->regions] = 0;
            twin_fill(t, mask, first, width, height, i % width, i / width, connectivity);
            t->regions++;
        }
}

static inline double twin_auroc(const twin *t)
{
    double pairs = 0;
    for (int i = 0; i < t->count; ++i)
        for (int j = 0; t->region[i] >= 0 && j < t->count; ++j)
            if (t->region[j] < 0)
                pairs += t->score[i] > t->score[j] ? 1 : t->score[i] == t->score[j] ? 0.5 : 0;
    return pairs / ((double)t->positives * (t->count - t->positives));
}

static int twin_descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Distinct scores, descending. */
static inline int twin_thresholds(double *out, const twin *t)
{
    int distinct = 0;
    memcpy(out, t->score, (size_t)t->count * sizeof *out);
    qsort(out, (size_t)t->count, sizeof *out, twin_descending);
    for (int i = 0; i < t->count; ++i)
        if (i == 0 || out[i] != out[i - 1])
            out[distinct++] = out[i];
    return distinct;
}

static inline void twin_ap_f1(double *ap, double *f1, double *threshold, const twin *t)
{
    double thresholds[TWIN_PIXELS], recall = 0;
    int distinct = twin_thresholds(thresholds, t);
    *ap = *f1 = 0;
    for (int k = 0; k < distinct; ++k) {
        double found = 0, wrong = 0;
        for (int i = 0; i < t->count; ++i)
            if (t->score[i] >= thresholds[k])
                *(t->region[i] >= 0 ? &found : &wrong) += 1;
        *ap += (found / t->positives - recall) * (found / (found + wrong));
        recall = found / t->positives;
        double here = 2 * found / (2 * found + wrong + (t->positives - found));
        if (here >= *f1) {
            *f1 = here;
            *threshold = thresholds[k];
        }
    }
}

/* FPR and PRO of the prediction s > threshold (>= where `including`). */
static inline void twin_point(double *fpr, double *pro, const twin *t, double threshold,
                              int including)
{
    int above[TWIN_PIXELS] = {0}, wrong = 0;
    for (int i = 0; i < t->count; ++i)
        if (t->score[i] > threshold || (including && t->score[i] == threshold))
            *(t->region[i] >= 0 ? &above[t->region[i]] : &wrong) += 1;
    *fpr = (double)wrong / (t->count - t->positives);
    *pro = 0;
    for (int r = 0; r < t->regions; ++r)
        *pro += (double)above[r] / t->area[r] / t->regions;
}

static inline double twin_aupro(const twin *t, double limit)
{
    double thresholds[TWIN_PIXELS], area = 0, x0 = 0, y0 = 0;
    int distinct = twin_thresholds(thresholds, t);
    for (int k = 0; k < distinct && x0 < limit; ++k) {
        double x, y;
        twin_point(&x, &y, t, thresholds[k], 1);
        if (x > limit) {
            y = y0 + (y - y0) * (limit - x0) / (x - x0);
            x = limit;
        }
        area += (x - x0) * (y + y0) / 2;
        x0 = x;
        y0 = y;
    }
    return area / limit;
}

/* Thresholds at equidistant ranks of the ascending normal scores, rates from the ranks. */
static inline double twin_sampled(const twin *t, double limit, int steps)
{
    double normal[TWIN_PIXELS], area = 0, x0 = 1, y0 = 1;
    int count = 0;
    for (int i = 0; i < t->count; ++i)
        if (t->region[i] < 0)
            normal[count++] = t->score[i];
    qsort(normal, (size_t)count, sizeof *normal, twin_descending);
    for (int k = 0; k < steps; ++k) {
        int rank = k == steps - 1 ? count - 1 : (int)(k * ((double)(count - 1) / (steps - 1)));
        double ignored, x = 1.0 - (rank + 1.0) / count, y, right = x0, top = y0;
        twin_point(&ignored, &y, t, normal[count - 1 - rank], 0);
        if (x < limit && x0 > limit) {
            right = limit;
            top = y + (y0 - y) * (limit - x) / (x0 - x);
        }
        if (x < limit)
            area += (right - x) * (top + y) / 2;
        x0 = x;
        y0 = y;
    }
    return area / limit;
}

#endif
