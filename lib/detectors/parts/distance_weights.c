#include "detectors/parts/distance_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/mask_shapes.h"

/* ---- dilation: a square is a row and a column ---- */

static void dilate_line(uint8_t *out, const uint8_t *in, int32_t count, int32_t stride,
                        int32_t reach)
{
    int32_t last = -1 - 2 * reach; /* the last pixel inside up to the square's end */
    for (int32_t ahead = 0; ahead < count + reach; ++ahead) {
        if (ahead < count && in[(size_t)ahead * (size_t)stride] > 0)
            last = ahead;
        int32_t x = ahead - reach;
        if (x >= 0)
            out[(size_t)x * (size_t)stride] = last >= x - reach ? 255 : 0;
    }
}

imiad_status mask_dilate(uint8_t *mask, int32_t width, int32_t height, int32_t side)
{
    size_t pixels = (size_t)width * (size_t)height;
    uint8_t *half = malloc(pixels);
    if (!half)
        return fail_memory("a dilated mask", pixels);
    for (int32_t y = 0; y < height; ++y)
        dilate_line(half + (size_t)y * (size_t)width, mask + (size_t)y * (size_t)width, width, 1,
                    side / 2);
    for (int32_t x = 0; x < width; ++x)
        dilate_line(mask + x, half + x, height, width, side / 2);
    free(half);
    return IMIAD_OK;
}

/* ---- exact squared distances, a line at a time: Felzenszwalb, Huttenlocher: Theory of Computing
 * 2012 ---- */

typedef struct envelope {
    int32_t *roots;  /* of the parabolas that are lowest somewhere, from the left */
    double *borders; /* where each begins */
    double *heights; /* of the line, as it was */
} envelope;

/* Where parabola `to` comes to lie below `from`, left of it. */
static double meeting(const double *heights, int32_t from, int32_t to)
{
    double difference = heights[to] + (double)to * to - heights[from] - (double)from * from;
    return difference / (2.0 * (to - from));
}

static void lower(double *line, int32_t count, int32_t stride, const envelope *e)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < count; ++i)
        e->heights[i] = line[(size_t)i * (size_t)stride];
    for (int32_t i = 0; i < count; ++i) {
        if (isinf(e->heights[i]))
            continue;
        double at = -INFINITY;
        while (kept > 0 &&
               (at = meeting(e->heights, e->roots[kept - 1], i)) <= e->borders[kept - 1])
            --kept;
        e->roots[kept] = i;
        e->borders[kept++] = at;
    }
    for (int32_t i = 0, k = 0; kept > 0 && i < count; ++i) {
        while (k + 1 < kept && e->borders[k + 1] <= i)
            ++k;
        double apart = i - e->roots[k];
        line[(size_t)i * (size_t)stride] = apart * apart + e->heights[e->roots[k]];
    }
}

static void measure(double *squares, const uint8_t *mask, int32_t width, int32_t height,
                    const envelope *e)
{
    size_t pixels = (size_t)width * (size_t)height;
    for (size_t i = 0; i < pixels; ++i)
        squares[i] = mask[i] > 0 ? INFINITY : 0;
    for (int32_t x = 0; x < width; ++x)
        lower(squares + x, height, width, e);
    for (int32_t y = 0; y < height; ++y)
        lower(squares + (size_t)y * (size_t)width, width, 1, e);
}

/* ---- weights ---- */

static void weigh(float *out, const double *squares, const mask_components *c, double *largest,
                  double peak, double power)
{
    size_t pixels = (size_t)c->width * (size_t)c->height;
    for (size_t i = 0; i < pixels; ++i)
        if (c->numbers[i] > 0 && squares[i] > largest[c->numbers[i] - 1])
            largest[c->numbers[i] - 1] = squares[i];
    for (size_t i = 0; i < pixels; ++i) {
        double most = c->numbers[i] > 0 ? largest[c->numbers[i] - 1] : 0;
        out[i] = 1;
        if (isinf(most))
            out[i] = (float)peak;
        else if (c->numbers[i] > 0)
            out[i] = (float)(peak * pow(sqrt(squares[i]) / sqrt(most), power));
    }
}

imiad_status distance_weights(float *out, const uint8_t *mask, int32_t width, int32_t height,
                              double peak, double power)
{
    mask_components c;
    TRY(mask_components_find(&c, mask, width, height));
    size_t pixels = (size_t)width * (size_t)height;
    size_t longest = (size_t)(width > height ? width : height);
    envelope e = {malloc((longest + 1) * sizeof *e.roots),
                  malloc((longest + 1) * sizeof *e.borders), malloc(longest * sizeof *e.heights)};
    double *squares = malloc(pixels * sizeof *squares);
    double *largest = calloc((size_t)c.count + 1, sizeof *largest);
    imiad_status status = IMIAD_OK;
    if (e.roots && e.borders && e.heights && squares && largest) {
        measure(squares, mask, width, height, &e);
        weigh(out, squares, &c, largest, peak, power);
    } else {
        status = fail_memory("distances in a mask", pixels * sizeof *squares);
    }
    free(e.roots);
    free(e.borders);
    free(e.heights);
    free(squares);
    free(largest);
    mask_components_free(&c);
    return status;
}
