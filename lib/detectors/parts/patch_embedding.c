#include "detectors/parts/patch_embedding.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clones.h"
#include "base/error.h"
#include "base/threads.h"

typedef struct tap {
    int32_t index; /* (channel * patch + row) * patch + column: unfold's order */
    float weight;
} tap;

/* The taps of every output on one level: those of output j are taps[first[j]] ..
 * taps[first[j+1]-1]. */
typedef struct level {
    int64_t channels;
    tap *taps;
    int64_t *first;
} level;

struct patch_embedding {
    int levels, patch;
    int64_t dimension;
    level level[PATCH_LEVELS];
};

/* ---- the table ---- */

/* Adaptive average pooling of n to m: output i is the mean of inputs begin..end-1. */
static void bin(int64_t *begin, int64_t *end, int64_t i, int64_t n, int64_t m)
{
    *begin = i * n / m;
    *end = ((i + 1) * n + m - 1) / m;
}

/* Adds the taps of one pooled value of a level, merging a tap that the last value had too. */
static void add_taps(level *l, int64_t *count, int64_t first, int64_t pooled, int64_t inputs,
                     int64_t level_dimension, double weight)
{
    int64_t begin, end;
    bin(&begin, &end, pooled, inputs, level_dimension);
    for (int64_t i = begin; i < end; ++i) {
        float share = (float)(weight / (double)(end - begin));
        if (*count > first && l->taps[*count - 1].index == i)
            l->taps[*count - 1].weight += share;
        else
            l->taps[(*count)++] = (tap){(int32_t)i, share};
    }
}

/* Of all levels, one behind another, the level's own values are those from `begin` on. */
static imiad_status make_level(level *l, const patch_embedding *e, int64_t channels,
                               int64_t level_dimension, int64_t begin_of_level, int64_t stacked)
{
    int64_t inputs = channels * e->patch * e->patch;
    /* bins overlap by at most one value at each end */
    size_t room = (size_t)(inputs + 2 * level_dimension + 2 * e->dimension) * 2;
    room += (size_t)(2 * e->dimension) * (size_t)(inputs / level_dimension + 2);
    l->channels = channels;
    l->taps = malloc(room * sizeof *l->taps);
    l->first = malloc((size_t)(e->dimension + 1) * sizeof *l->first);
    if (!l->taps || !l->first)
        return fail_memory("the patch embedding", room * sizeof *l->taps);
    int64_t count = 0;
    for (int64_t j = 0; j < e->dimension; ++j) {
        int64_t begin, end;
        l->first[j] = count;
        bin(&begin, &end, j, stacked, e->dimension);
        for (int64_t s = begin; s < end; ++s) {
            int64_t pooled = s - begin_of_level;
            if (pooled >= 0 && pooled < level_dimension)
                add_taps(l, &count, l->first[j], pooled, inputs, level_dimension,
                         1.0 / (double)(end - begin));
        }
    }
    l->first[e->dimension] = count;
    return IMIAD_OK;
}

imiad_status patch_embedding_create(patch_embedding **out, int levels, const int64_t *channels,
                                    int patch, int64_t level_dimension, int64_t dimension)
{
    patch_embedding *e = calloc(1, sizeof *e);
    int64_t widths[PATCH_LEVELS], stacked = 0, begin = 0;
    if (!e)
        return fail_memory("the patch embedding", sizeof *e);
    for (int i = 0; i < levels; ++i)
        stacked += widths[i] = level_dimension > 0 ? level_dimension : channels[i];
    *e = (patch_embedding){
        .levels = levels, .patch = patch, .dimension = dimension > 0 ? dimension : stacked};
    for (int i = 0; i < levels; begin += widths[i++]) {
        imiad_status status = make_level(&e->level[i], e, channels[i], widths[i], begin, stacked);
        if (status != IMIAD_OK) {
            patch_embedding_free(e);
            return status;
        }
    }
    *out = e;
    return IMIAD_OK;
}

int64_t patch_embedding_dimension(const patch_embedding *e)
{
    return e->dimension;
}

void patch_embedding_free(patch_embedding *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->levels; ++i) {
        free(e->level[i].taps);
        free(e->level[i].first);
    }
    free(e);
}

/* ---- the C kernel ----
 *
 * Features come position by position, channels together, and so do rows. In between, a tap is one
 * constant shift of a plane: a piece of work is a few outputs of one image, whose channels are laid
 * out as planes with a border of zeros. All of a piece stays in the cache. */

enum { OUTPUTS = 64, LANES = 16 }; /* outputs of a piece; those that are transposed together */

typedef struct grid {
    int64_t height, width, pitch, plane; /* pitch and plane of the padded copy */
    const float *values;                 /* n x height x width x channels */
} grid;

/* Bilinear resizing along one axis, align_corners false. */
typedef struct axis {
    int32_t *low, *high;
    float *fraction;
} axis;

typedef struct embedding_job {
    const patch_embedding *e;
    float *rows;
    int64_t pieces; /* of one image */
    grid grid[PATCH_LEVELS];
    axis y[PATCH_LEVELS], x[PATCH_LEVELS];
    int64_t planes_room, sums_room, outputs_room; /* of a piece, in floats */
    atomic_bool starved;
} embedding_job;

/* The outputs begin..end-1 of an image. Its memory: a level's planes, their sums, and the outputs
 * of each level's positions. */
typedef struct piece {
    int64_t image, begin, end;
    float *planes, *sums, *outputs[PATCH_LEVELS];
} piece;

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* Four by four: first pairs of rows, then pairs of pairs. */
static inline void transpose_four(float *out, int64_t out_pitch, const float *in, int64_t in_pitch)
{
    four a = *(const four *)in, b = *(const four *)(in + in_pitch);
    four c = *(const four *)(in + 2 * in_pitch), d = *(const four *)(in + 3 * in_pitch);
    four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5),
         cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    *(four *)out = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four *)(out + out_pitch) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four *)(out + 2 * out_pitch) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four *)(out + 3 * out_pitch) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* out[c][r] = in[r][c] */
static void transpose(float *out, int64_t out_pitch, const float *in, int64_t in_pitch,
                      int64_t rows, int64_t columns)
{
    int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (int64_t r = 0; r < whole_rows; r += 4)
        for (int64_t c = 0; c < whole_columns; c += 4)
            transpose_four(out + c * out_pitch + r, out_pitch, in + r * in_pitch + c, in_pitch);
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c)
            out[c * out_pitch + r] = in[r * in_pitch + c];
}

CLONES static void add_scaled(float *restrict sum, const float *restrict values, float weight,
                              int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        sum[i] += weight * values[i];
}

/* One output of a level on its own grid, at the padded pitch; the first plane is that of `channel`.
 */
static void sum_taps(float *out, const float *planes, const grid *g, const level *l, int64_t j,
                     int patch, int64_t channel)
{
    int64_t run = g->height * g->pitch - (patch - 1);
    memset(out, 0, (size_t)(g->height * g->pitch) * sizeof *out);
    for (int64_t i = l->first[j]; i < l->first[j + 1]; ++i) {
        int64_t index = l->taps[i].index, column = index % patch, row = index / patch % patch;
        const float *plane = planes + (index / patch / patch - channel) * g->plane;
        add_scaled(out, plane + row * g->pitch + column, l->taps[i].weight, run);
    }
}

/* The channels begin..end-1 of an image as padded planes. */
static void lay_planes(float *planes, const grid *g, const level *l, int64_t image, int64_t begin,
                       int64_t end, int border)
{
    const float *values = g->values + image * g->height * g->width * l->channels;
    memset(planes, 0, (size_t)((end - begin) * g->plane) * sizeof *planes);
    for (int64_t y = 0; y < g->height; ++y, values += g->width * l->channels)
        transpose(planes + (y + border) * g->pitch + border, g->plane, values + begin, l->channels,
                  g->width, end - begin);
}

/* Which channels the outputs begin..end-1 of a level look at; false where none. Taps ascend. */
static bool channel_span(int64_t span[2], const level *l, int64_t begin, int64_t end, int patch)
{
    if (l->first[begin] == l->first[end])
        return false;
    span[0] = INT64_MAX;
    span[1] = 0;
    for (int64_t i = l->first[begin]; i < l->first[end]; ++i) {
        int64_t channel = l->taps[i].index / patch / patch;
        span[0] = channel < span[0] ? channel : span[0];
        span[1] = channel >= span[1] ? channel + 1 : span[1];
    }
    return true;
}

/* A level's outputs at its own positions: height * width rows of OUTPUTS. */
static void sum_level(piece *p, const embedding_job *job, int number, const int64_t span[2])
{
    const patch_embedding *e = job->e;
    const grid *g = &job->grid[number];
    int64_t size = g->height * g->pitch;
    lay_planes(p->planes, g, &e->level[number], p->image, span[0], span[1], e->patch / 2);
    for (int64_t first = p->begin; first < p->end; first += LANES) {
        int64_t lanes = p->end - first < LANES ? p->end - first : LANES;
        for (int64_t k = 0; k < lanes; ++k)
            sum_taps(p->sums + k * size, p->planes, g, &e->level[number], first + k, e->patch,
                     span[0]);
        float *out = p->outputs[number] + (first - p->begin);
        for (int64_t y = 0; y < g->height; ++y)
            transpose(out + y * g->width * OUTPUTS, OUTPUTS, p->sums + y * g->pitch, size, LANES,
                      g->width);
    }
}

CLONES static void add_position(float *restrict sum, const float *restrict values)
{
    for (int i = 0; i < OUTPUTS; ++i)
        sum[i] += values[i];
}

/* corners: above left and right, below left and right */
CLONES static void add_between(float *restrict sum, const float *const corners[4], float down,
                               float right)
{
    const float *a = corners[0], *b = corners[1], *c = corners[2], *d = corners[3];
    for (int i = 0; i < OUTPUTS; ++i) {
        float above = (1 - right) * a[i] + right * b[i];
        float below = (1 - right) * c[i] + right * d[i];
        sum[i] += (1 - down) * above + down * below;
    }
}

/* A level's outputs at a position of the first level's grid. */
static void add_level(float *sum, const float *outputs, const embedding_job *job, int number,
                      int64_t y, int64_t x)
{
    const grid *g = &job->grid[number], *target = &job->grid[0];
    if (g->height == target->height && g->width == target->width) {
        add_position(sum, outputs + (y * g->width + x) * OUTPUTS);
        return;
    }
    const axis *down = &job->y[number], *right = &job->x[number];
    const float *above = outputs + down->low[y] * g->width * OUTPUTS;
    const float *below = outputs + down->high[y] * g->width * OUTPUTS;
    int64_t low = right->low[x] * OUTPUTS, high = right->high[x] * OUTPUTS;
    add_between(sum, (const float *[]){above + low, above + high, below + low, below + high},
                down->fraction[y], right->fraction[x]);
}

static void embed_piece(piece *p, const embedding_job *job)
{
    const patch_embedding *e = job->e;
    const grid *target = &job->grid[0];
    bool used[PATCH_LEVELS];
    for (int i = 0; i < e->levels; ++i) {
        int64_t span[2];
        used[i] = channel_span(span, &e->level[i], p->begin, p->end, e->patch);
        if (used[i])
            sum_level(p, job, i, span);
    }
    float *row = job->rows + p->image * target->height * target->width * e->dimension + p->begin;
    for (int64_t y = 0; y < target->height; ++y)
        for (int64_t x = 0; x < target->width; ++x, row += e->dimension) {
            float sum[OUTPUTS] = {0};
            for (int i = 0; i < e->levels; ++i)
                if (used[i])
                    add_level(sum, p->outputs[i], job, i, y, x);
            memcpy(row, sum, (size_t)(p->end - p->begin) * sizeof *row);
        }
}

static void embed_pieces(void *context, size_t begin, size_t end)
{
    embedding_job *job = context;
    const patch_embedding *e = job->e;
    float *memory =
        calloc((size_t)(job->planes_room + job->sums_room + job->outputs_room), sizeof *memory);
    if (!memory) {
        atomic_store(&job->starved, true);
        return;
    }
    piece p = {.planes = memory, .sums = memory + job->planes_room};
    p.outputs[0] = p.sums + job->sums_room;
    for (int i = 1; i < e->levels; ++i)
        p.outputs[i] =
            p.outputs[i - 1] + OUTPUTS * job->grid[i - 1].height * job->grid[i - 1].width;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        p.image = i / job->pieces;
        p.begin = i % job->pieces * OUTPUTS;
        p.end = p.begin + OUTPUTS < e->dimension ? p.begin + OUTPUTS : e->dimension;
        embed_piece(&p, job);
    }
    free(memory);
}

static bool make_axis(axis *a, int64_t inputs, int64_t outputs)
{
    a->low = malloc((size_t)outputs * sizeof *a->low);
    a->high = malloc((size_t)outputs * sizeof *a->high);
    a->fraction = malloc((size_t)outputs * sizeof *a->fraction);
    if (!a->low || !a->high || !a->fraction)
        return false;
    float scale = (float)inputs / (float)outputs;
    for (int64_t i = 0; i < outputs; ++i) {
        float source = fmaxf(scale * ((float)i + 0.5f) - 0.5f, 0.0f);
        int64_t low = (int64_t)source;
        a->low[i] = (int32_t)low;
        a->high[i] = (int32_t)(low + 1 < inputs ? low + 1 : low);
        a->fraction[i] = source - (float)low;
    }
    return true;
}

static void grow(int64_t *room, int64_t needed)
{
    *room = needed > *room ? needed : *room;
}

/* The memory that the pieces of a level need. */
static void make_room(embedding_job *job, int number)
{
    const patch_embedding *e = job->e;
    const grid *g = &job->grid[number];
    for (int64_t begin = 0; begin < e->dimension; begin += OUTPUTS) {
        int64_t span[2], end = begin + OUTPUTS < e->dimension ? begin + OUTPUTS : e->dimension;
        if (channel_span(span, &e->level[number], begin, end, e->patch))
            grow(&job->planes_room, (span[1] - span[0]) * g->plane);
    }
    grow(&job->sums_room, LANES * g->height * g->pitch);
    job->outputs_room += OUTPUTS * g->height * g->width;
}

static bool make_job(embedding_job *job, tensor *const *features, const float *const *values)
{
    const patch_embedding *e = job->e;
    int border = e->patch / 2;
    job->pieces = (e->dimension + OUTPUTS - 1) / OUTPUTS;
    for (int i = 0; i < e->levels; ++i) {
        grid *g = &job->grid[i];
        g->height = t_size(features[i], 2);
        g->width = t_size(features[i], 3);
        g->pitch = g->width + 2 * border;
        g->plane = (g->height + 2 * border) * g->pitch;
        g->values = values[i];
        make_room(job, i);
        if (!make_axis(&job->y[i], g->height, job->grid[0].height) ||
            !make_axis(&job->x[i], g->width, job->grid[0].width))
            return false;
    }
    return true;
}

static void free_job(embedding_job *job)
{
    for (int i = 0; i < job->e->levels; ++i)
        for (int d = 0; d < 2; ++d) {
            axis *a = d ? &job->x[i] : &job->y[i];
            free(a->low);
            free(a->high);
            free(a->fraction);
        }
}

static void apply_kernel(float *rows, const patch_embedding *e, tensor *const *features)
{
    const float *values[PATCH_LEVELS];
    for (int i = 0; i < e->levels; ++i) /* a view of what the backbone gives */
        values[i] = t_data(t_permute(t_channels_last(features[i]), 4, (int[]){0, 2, 3, 1}));
    if (t_failed())
        return;
    embedding_job job = {.e = e, .rows = rows};
    if (make_job(&job, features, values)) {
        size_t count = (size_t)(t_size(features[0], 0) * job.pieces);
        size_t grain = count / (4 * (size_t)imiad_threads());
        parallel_for(count, grain, embed_pieces, &job);
    } else {
        atomic_store(&job.starved, true);
    }
    if (atomic_load(&job.starved))
        t_fail(IMIAD_NO_MEMORY, "out of memory in the patch embedding");
    free_job(&job);
}

/* ---- the same as convolutions, for devices ---- */

static tensor *dense_weight(const patch_embedding *e, const level *l, device d)
{
    int64_t inputs = l->channels * e->patch * e->patch;
    tensor *host = t_zeros(4, (int64_t[]){e->dimension, l->channels, e->patch, e->patch}, F32, CPU);
    float *weight = t_data(host);
    for (int64_t j = 0; weight && j < e->dimension; ++j)
        for (int64_t i = l->first[j]; i < l->first[j + 1]; ++i)
            weight[j * inputs + l->taps[i].index] = l->taps[i].weight;
    return t_to_device(host, d);
}

static void apply_convolutions(float *rows, const patch_embedding *e, tensor *const *features)
{
    int64_t height = t_size(features[0], 2), width = t_size(features[0], 3);
    tensor *sum = NULL;
    for (int i = 0; i < e->levels; ++i) {
        tensor *weight = dense_weight(e, &e->level[i], t_device(features[i]));
        tensor *share = t_conv2d(features[i], weight, NULL, 1, e->patch / 2, 1, 1);
        if (i > 0)
            share = t_interpolate(share, height, width, BILINEAR, false);
        sum = t_plus(sum, share);
    }
    tensor *out = t_contiguous(t_to_device(t_permute(sum, 4, (int[]){0, 2, 3, 1}), CPU));
    t_read(out, rows, (size_t)t_count(out) * sizeof *rows);
}

void patch_embedding_apply(float *rows, const patch_embedding *e, tensor *const *features,
                           bool convolve)
{
    scope s = scope_begin();
    if (convolve || t_device(features[0]).cuda)
        apply_convolutions(rows, e, features);
    else
        apply_kernel(rows, e, features);
    scope_return(&s, NULL);
}
