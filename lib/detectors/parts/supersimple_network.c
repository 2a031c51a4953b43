#include "detectors/parts/supersimple_network.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

enum { KERNEL = 5, REACH = KERNEL / 2, TAPS = KERNEL * KERNEL, ROWS = 64 /* at a time */ };

static const double margin = 0.5;

/* ---- making ---- */

supersimple_network supersimple_network_add(const builder *b, const supersimple_shape *s)
{
    const builder head = builder_below(b, "discriminator");
    supersimple_network n = {.shape = *s};
    const conv2d_spec adaptor = {
        .inputs = s->features, .outputs = s->features, .kernel = 1, .bias = true};
    const conv2d_spec first = {
        .inputs = s->features, .outputs = s->hidden, .kernel = 1, .bias = true};
    const conv2d_spec last = {.inputs = s->hidden, .outputs = 1, .kernel = 1};
    const conv2d_spec around = {.inputs = s->features + 1,
                                .outputs = s->width,
                                .kernel = KERNEL,
                                .padding = REACH,
                                .bias = true};
    n.adaptor = conv2d_add(b, "feature_adaptor.projection", adaptor);
    n.first = conv2d_add(&head, "seg.0", first);
    n.first_norm = batch_norm_add(&head, "seg.1", s->hidden);
    n.last = conv2d_add(&head, "seg.3", last);
    n.around = conv2d_add(&head, "dec_head.0", around);
    n.around_norm = batch_norm_add(&head, "dec_head.1", s->width);
    n.score = linear_add(&head, "fc_score", 2 * s->width + 2, 1, true);
    return n;
}

/* ---- features ---- */

static tensor *enlarge(const supersimple_shape *s, tensor *level, tensor *const *levels)
{
    return t_interpolate(level, 2 * t_size(levels[0], 2), 2 * t_size(levels[0], 3), BILINEAR,
                         s->align);
}

static tensor *average(const supersimple_shape *s, tensor *x)
{
    return s->patch == 1 ? x : t_avg_pool2d(x, s->patch, 1, s->patch / 2, true);
}

tensor *supersimple_features(const supersimple_shape *s, tensor *const *levels)
{
    tensor *large[MOST_LAYERS];
    for (int i = 0; i < s->levels; ++i)
        large[i] = enlarge(s, levels[i], levels);
    return average(s, t_cat(large, s->levels, 1));
}

/* Numbers for each channel of a map. */
static tensor *of_channels(tensor *values)
{
    return t_view(values, 4, (int64_t[]){1, t_size(values, 0), 1, 1});
}

/* A 1x1 convolution of the features: of each level as it is. The zeros around the grid have no
 * bias: it comes last. */
static tensor *convolve_early(const supersimple_shape *s, tensor *const *levels, tensor *matrix,
                              tensor *bias)
{
    tensor *sum = NULL;
    int64_t from = 0;
    for (int i = 0; i < s->levels; from += s->channels[i++]) {
        tensor *own = t_contiguous(t_slice(matrix, 1, from, from + s->channels[i]));
        sum = t_plus(sum, enlarge(s, t_conv2d(levels[i], own, NULL, 1, 0, 1, 1), levels));
    }
    return t_add(average(s, sum), of_channels(bias));
}

tensor *supersimple_adapt(const supersimple_network *n, tensor *const *levels)
{
    return convolve_early(&n->shape, levels, n->adaptor.weight, n->adaptor.bias);
}

static tensor *as_matrix(tensor *kernel)
{
    return t_view(kernel, 2, (int64_t[]){t_size(kernel, 0), t_size(kernel, 1)});
}

static tensor *as_kernel(tensor *matrix)
{
    return t_view(matrix, 4, (int64_t[]){t_size(matrix, 0), t_size(matrix, 1), 1, 1});
}

/* The first layer of the map's head behind the adaptor: W (A x + a) + b. */
static void compose(const supersimple_network *n, dtype type, tensor **matrix, tensor **bias)
{
    tensor *second = t_to(as_matrix(n->first.weight), type),
           *first = t_to(as_matrix(n->adaptor.weight), type);
    tensor *moved = t_matmul(second, t_unsqueeze(t_to(n->adaptor.bias, type), 1));
    *matrix = t_matmul(second, first);
    *bias = t_add(t_squeeze(moved, 1), t_to(n->first.bias, type));
}

/* ---- the head of the score, from the sums of its convolution ---- */

static tensor *judge_image(const supersimple_network *n, tensor *sums, tensor *map)
{
    tensor *seen = t_flatten(t_relu(sums), 2, 3), *flat = t_flatten(map, 2, 3);
    tensor *all[] = {t_amax(seen, 2, false), t_mean(seen, 2, false), t_amax(flat, 2, false),
                     t_mean(flat, 2, false)};
    return t_squeeze(linear_run(&n->score, t_cat(all, 4, 1)), 1);
}

/* The 5x5 kernel's part of the features, or of the map, which is the last channel. */
static tensor *part_of_kernel(const supersimple_network *n, tensor *kernel, bool map)
{
    int64_t features = n->shape.features;
    return map ? t_slice(kernel, 1, features, features + 1) : t_slice(kernel, 1, 0, features);
}

static tensor *convolve_around(tensor *x, tensor *kernel, tensor *bias)
{
    return t_conv2d(x, kernel, bias, 1, REACH, 1, 1);
}

/* ---- noise ---- */

/* Where a position of a grid lies in the wide one, as seen by each tap of the kernel. */
static void list_taps(int64_t *out, int64_t grid, int64_t y, int64_t x, int64_t height,
                      int64_t width)
{
    int64_t wide = width + 2 * REACH;
    for (int dy = 0; dy < KERNEL; ++dy)
        for (int dx = 0; dx < KERNEL; ++dx)
            *out++ = (grid * (height + 2 * REACH) + y + 2 * REACH - dy) * wide + x + 2 * REACH - dx;
}

void supersimple_noise_place(supersimple_noise *out, tensor *mask)
{
    int64_t height = t_size(mask, 2), width = t_size(mask, 3), all = t_count(mask), count = 0;
    int64_t rows = 0;
    device d = t_device(mask);
    float *values = malloc((size_t)all * sizeof *values);
    int64_t *places = calloc((size_t)(all + ROWS), sizeof *places), *taps = NULL;
    *out = (supersimple_noise){.count = 0};
    if (values && places && !t_failed()) {
        t_read(t_contiguous(t_to_device(mask, CPU)), values, (size_t)all * sizeof *values);
        for (int64_t i = 0; i < all && !t_failed(); ++i)
            if (values[i] > 0)
                places[count++] = i;
        rows = (count + ROWS - 1) / ROWS * ROWS;
        taps = calloc((size_t)(rows * TAPS + 1), sizeof *taps);
    }
    if (!taps)
        t_fail(IMIAD_NO_MEMORY, "no memory for places of noise");
    for (int64_t i = 0; taps && i < count; ++i) {
        int64_t at = places[i] % (height * width);
        list_taps(taps + i * TAPS, places[i] / (height * width), at / width, at % width, height,
                  width);
    }
    if (taps && count > 0) {
        out->count = count;
        out->rows = rows;
        out->places = t_to_device(t_from(places, 1, &rows, I64, CPU), d);
        out->taps = t_to_device(t_from(taps, 2, (int64_t[]){rows, TAPS}, I64, CPU), d);
    }
    free(values);
    free(places);
    free(taps);
}

void supersimple_noise_fill(supersimple_noise *noise, tensor *values)
{
    const int64_t rest[] = {noise->rows - noise->count, t_size(values, 1)};
    tensor *zeros = t_zeros(2, rest, t_type(values), t_device(values));
    noise->values = t_cat((tensor *[]){values, zeros}, 2, 0);
}

/* Adds rows to those that are named. */
static tensor *add_rows(tensor *into, tensor *places, tensor *rows)
{
    int64_t shape[] = {t_size(rows, 0), t_size(rows, 1)};
    tensor *index = t_expand(t_unsqueeze(places, 1), 2, shape);
    return t_scatter_add(into, 0, index, rows);
}

/* Both copies of n x channels x h x w as rows, a position each. */
static tensor *two_copies(tensor *x)
{
    tensor *rows = t_permute(x, 4, (int[]){0, 2, 3, 1});
    rows = t_view(rows, 2, (int64_t[]){-1, t_size(x, 1)});
    return t_cat((tensor *[]){rows, rows}, 2, 0);
}

static tensor *as_grids(tensor *rows, int64_t height, int64_t width)
{
    const int64_t shape[] = {-1, height, width, t_size(rows, 1)};
    return t_permute(t_view(rows, 4, shape), 4, (int[]){0, 3, 1, 2});
}

/* What the 5x5 convolution makes of the noise: each position spreads to 25. */
static tensor *spread_noise(const supersimple_network *n, const supersimple_noise *noise,
                            int64_t grids, int64_t height, int64_t width)
{
    int64_t features = n->shape.features, outputs = n->shape.width;
    tensor *kernel = t_permute(part_of_kernel(n, n->around.weight, false), 4, (int[]){2, 3, 0, 1});
    kernel = t_view(kernel, 2, (int64_t[]){TAPS * outputs, features});
    tensor *seen = t_view(t_linear(noise->values, kernel, NULL), 2, (int64_t[]){-1, outputs});
    int64_t high = height + 2 * REACH, wide = width + 2 * REACH;
    tensor *canvas =
        t_zeros(2, (int64_t[]){grids * high * wide, outputs}, t_type(seen), t_device(seen));
    canvas = as_grids(add_rows(canvas, t_flatten(noise->taps, 0, 1), seen), high, wide);
    return t_slice(t_slice(canvas, 2, REACH, REACH + height), 3, REACH, REACH + width);
}

/* ---- training ---- */

static tensor *map_from(const supersimple_network *n, tensor *sums, bool training)
{
    return conv2d_run(&n->last, t_leaky_relu(batch_norm_run(&n->first_norm, sums, training), 0.2));
}

void supersimple_learn(const supersimple_network *n, tensor *const *levels,
                       const supersimple_noise *noise, bool stop, tensor **map, tensor **score)
{
    const supersimple_shape *s = &n->shape;
    int64_t height = 2 * t_size(levels[0], 2), width = 2 * t_size(levels[0], 3);
    tensor *matrix, *bias;
    compose(n, t_type(n->first.weight), &matrix, &bias);
    tensor *rows = two_copies(convolve_early(s, levels, as_kernel(matrix), bias));
    if (noise->count > 0)
        rows = add_rows(rows, noise->places,
                        t_linear(noise->values, as_matrix(n->first.weight), NULL));
    *map = map_from(n, as_grids(rows, height, width), true);
    tensor *seen = stop ? t_detach(*map) : *map;
    tensor *features = s->adapted ? supersimple_adapt(n, levels) : supersimple_features(s, levels);
    tensor *sums =
        convolve_around(features, part_of_kernel(n, n->around.weight, false), n->around.bias);
    sums = t_add(as_grids(two_copies(sums), height, width),
                 convolve_around(seen, part_of_kernel(n, n->around.weight, true), NULL));
    if (noise->count > 0)
        sums = t_add(sums, spread_noise(n, noise, 2 * t_size(features, 0), height, width));
    *score = judge_image(n, batch_norm_run(&n->around_norm, sums, true), seen);
}

void supersimple_learn_plainly(const supersimple_network *n, tensor *features, tensor *noise,
                               bool stop, tensor **map, tensor **score)
{
    tensor *adapted = conv2d_run(&n->adaptor, features);
    tensor *drawn = t_add(t_cat((tensor *[]){adapted, adapted}, 2, 0), noise);
    tensor *seen =
        n->shape.adapted ? drawn : t_add(t_cat((tensor *[]){features, features}, 2, 0), noise);
    *map = map_from(n, conv2d_run(&n->first, drawn), true);
    tensor *known = stop ? t_detach(*map) : *map;
    tensor *sums = conv2d_run(&n->around, t_cat((tensor *[]){seen, known}, 2, 1));
    *score = judge_image(n, batch_norm_run(&n->around_norm, sums, true), known);
}

/* ---- scoring ---- */

/* gamma / sqrt(variance + eps), in double. */
static tensor *scale_of(const batch_norm *n)
{
    tensor *deviation = t_sqrt(t_add_scalar(t_to(n->variance, F64), n->eps));
    return t_div(t_to(n->weight, F64), deviation);
}

static tensor *shift_of(const batch_norm *n, tensor *bias, tensor *scale)
{
    return t_add(t_mul(t_sub(bias, t_to(n->mean, F64)), scale), t_to(n->bias, F64));
}

void supersimple_fold(supersimple_folded *out, const supersimple_network *n)
{
    tensor *matrix, *bias, *scale = scale_of(&n->first_norm);
    compose(n, F64, &matrix, &bias);
    tensor *first = as_kernel(t_to(t_mul(matrix, t_unsqueeze(scale, 1)), F32));
    tensor *first_bias = t_to(shift_of(&n->first_norm, bias, scale), F32);
    scale = scale_of(&n->around_norm);
    tensor *by_output = t_view(scale, 4, (int64_t[]){-1, 1, 1, 1});
    tensor *around = t_to(t_mul(t_to(n->around.weight, F64), by_output), F32);
    tensor *around_bias = t_to(shift_of(&n->around_norm, t_to(n->around.bias, F64), scale), F32);
    supersimple_folded_free(out);
    if (t_failed())
        return;
    *out = (supersimple_folded){t_keep(first), t_keep(first_bias), t_keep(t_channels_last(around)),
                                t_keep(around_bias)};
}

void supersimple_folded_free(supersimple_folded *f)
{
    t_free(f->first);
    t_free(f->first_bias);
    t_free(f->around);
    t_free(f->around_bias);
    *f = (supersimple_folded){NULL, NULL, NULL, NULL};
}

void supersimple_judge(const supersimple_network *n, const supersimple_folded *f,
                       tensor *const *levels, tensor **map, tensor **score)
{
    const supersimple_shape *s = &n->shape;
    tensor *first = convolve_early(s, levels, f->first, f->first_bias);
    *map = conv2d_run(&n->last, t_leaky_relu(first, 0.2));
    tensor *features = s->adapted ? supersimple_adapt(n, levels) : supersimple_features(s, levels);
    tensor *both = t_cat((tensor *[]){features, *map}, 2, 1);
    *score = judge_image(n, convolve_around(both, f->around, f->around_bias), *map);
}

/* ---- losses ---- */

/* max(log p, -100), of p in 0..1; where p is 0 no gradient comes through. */
static tensor *bounded_log(tensor *logarithm, tensor *p)
{
    tensor *least =
        t_full(t_rank(p), (int64_t[]){t_size(p, 0), 1, 1, 1}, -100, t_type(p), t_device(p));
    return t_clamp(t_where(t_gt_scalar(p, 0), logarithm, least), -100, INFINITY);
}

/* Cross entropy times (1 - the probability of what is true)^4, for each element. Lin, Goyal,
 * Girshick, He, Dollar: ICCV 2017. */
static tensor *focal(tensor *logits, tensor *truth)
{
    tensor *p = t_sigmoid(logits), *not_p = t_add_scalar(t_neg(p), 1);
    tensor *not_truth = t_add_scalar(t_neg(truth), 1);
    /* a logarithm of 0 is never chosen, but its gradient would be NaN */
    tensor *log_p = t_log(t_clamp(p, 1e-37, INFINITY));
    tensor *log_not = t_log(t_clamp(not_p, 1e-37, INFINITY));
    tensor *entropy =
        t_add(t_mul(truth, bounded_log(log_p, p)), t_mul(not_truth, bounded_log(log_not, not_p)));
    tensor *wrong = t_add(t_mul(p, not_truth), t_mul(not_p, truth));
    return t_neg(t_mul(entropy, t_square(t_square(wrong))));
}

/* The mean of what is chosen, 0 or 1; 0 where nothing is. */
static tensor *mean_of(tensor *values, tensor *chosen)
{
    double count = t_item(t_sum_all(chosen));
    return t_div_scalar(t_sum_all(t_mul(values, chosen)), count > 0 ? count : 1);
}

tensor *supersimple_loss(tensor *map, tensor *score, tensor *masks, tensor *labels, tensor *shares,
                         tensor *drawn)
{
    const int64_t shape[] = {t_size(score, 0), 1, 1, 1};
    tensor *image = t_mean_all(focal(t_view(score, 4, shape), t_view(labels, 4, shape)));
    tensor *clear = t_add_scalar(t_neg(masks), 1), *marked = masks;
    tensor *passed = t_clamp(t_add_scalar(map, margin), 0, INFINITY);
    tensor *missed = t_clamp(t_add_scalar(t_neg(map), margin), 0, INFINITY);
    tensor *pixels = focal(map, masks), *all = t_add(clear, marked);
    if (shares) {
        passed = t_mul(passed, shares);
        missed = t_mul(missed, shares);
        pixels = t_mul(pixels, shares);
    }
    if (drawn) {
        clear = t_mul(clear, drawn);
        marked = t_mul(marked, drawn);
        all = t_mul(all, drawn);
    }
    tensor *truncated = t_add(mean_of(passed, clear), mean_of(missed, marked));
    return t_add(t_add(truncated, mean_of(pixels, all)), image);
}
