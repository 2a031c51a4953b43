#include "detectors/parts/perlin_regions.h"

#include <stdbool.h>
#include <stdlib.h>

#include "synthesis/perlin.h"

enum { MOST_CELLS = 5 /* as a power of two */ };

static int32_t next_power(int64_t side)
{
    int32_t power = 1;
    while (power < side)
        power *= 2;
    return power;
}

static int32_t draw_cells(int32_t side, random_stream *stream)
{
    int32_t cells = 1 << random_below(stream, MOST_CELLS + 1);
    return cells < side ? cells : side;
}

static void draw_noise(float *out, double *room, int32_t height, int32_t width,
                       random_stream *stream)
{
    int32_t rows = draw_cells(height, stream), columns = draw_cells(width, stream);
    if (!t_try(perlin_draw_noise(room, width, height, rows, columns, stream)))
        return;
    for (size_t i = 0; i < (size_t)height * (size_t)width; ++i)
        out[i] = (float)room[i];
}

tensor *perlin_regions(int64_t count, int64_t height, int64_t width, double threshold,
                       random_stream *stream)
{
    int32_t high = next_power(height), wide = next_power(width);
    size_t each = (size_t)high * (size_t)wide;
    tensor *noise = t_zeros(4, (int64_t[]){count, 1, high, wide}, F32, CPU);
    tensor *whole = t_zeros(4, (int64_t[]){count, 1, 1, 1}, F32, CPU);
    float *values = t_data(noise), *keeps = t_data(whole);
    double *room = malloc(each * sizeof *room);
    if (!room)
        t_fail(IMIAD_NO_MEMORY, "no memory for Perlin noise");
    for (int64_t i = 0; room && i < count && !t_failed(); ++i) {
        draw_noise(values + (size_t)i * each, room, high, wide, stream);
        keeps[i] = random_real(stream) <= 0.5;
    }
    free(room);
    if (high != height || wide != width)
        noise = t_interpolate(noise, height, width, BILINEAR, false);
    return t_mul(t_to(t_gt_scalar(noise, threshold), F32), whole);
}
