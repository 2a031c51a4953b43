/* PatchCore's patch embedding alone, after the backbone: Wide-ResNet-50-2's layer2 and layer3 of
 * images of 224 pixels (or --size), in the memory order the backbone leaves them in, random
 * numbers.
 *
 *     bench-patch-embedding [--batch 8] [--size 224] [--threads 1] [--rounds 9]
 *
 * Beside it, in the same run, the official code's order of operations (unfold, resize every tap,
 * average, stack, average), the same as plain tensor operations in a better order (average first,
 * resize what is left), and the floor: reading the features and writing the rows once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "bridge/tensor.h"
#include "detectors/parts/patch_embedding.h"
#include "measure.h"

enum { LEVELS = 2, PATCH = 3, DIMENSION = 1024, MOST_ROUNDS = 99 };

typedef struct settings {
    int batch, size, threads, rounds;
} settings;

typedef struct input {
    tensor *features[LEVELS];
    int64_t rows;
    patch_embedding *embedding;
    float *out;
} input;

static tensor *average(tensor *x, int64_t length)
{
    int64_t rows = t_count(x) / t_size(x, -1);
    tensor *lines = t_view(t_contiguous(x), 3, (int64_t[]){rows, 1, t_size(x, -1)});
    return t_adaptive_avg_pool1d(lines, (int)length);
}

/* n x c k k x h x w */
static tensor *unfold(tensor *x)
{
    int64_t shape[] = {t_size(x, 0), t_size(x, 1) * PATCH * PATCH, t_size(x, 2), t_size(x, 3)};
    return t_view(t_unfold(t_contiguous(x), PATCH, 1, PATCH / 2, 1), 4, shape);
}

static tensor *positions_first(tensor *x)
{
    return t_contiguous(t_permute(x, 4, (int[]){0, 2, 3, 1}));
}

static tensor *stack(tensor **pooled, int64_t rows)
{
    for (int i = 0; i < LEVELS; ++i)
        pooled[i] = t_view(pooled[i], 3, (int64_t[]){rows, 1, DIMENSION});
    tensor *stacked = t_contiguous(t_stack(pooled, LEVELS, 2));
    return average(t_view(stacked, 3, (int64_t[]){rows, 1, LEVELS * DIMENSION}), DIMENSION);
}

static void as_official(input *in)
{
    scope s = scope_begin();
    tensor *first = in->features[0], *pooled[LEVELS];
    for (int i = 0; i < LEVELS; ++i) {
        tensor *taps = unfold(in->features[i]);
        if (i > 0)
            taps = t_interpolate(taps, t_size(first, 2), t_size(first, 3), BILINEAR, false);
        pooled[i] = average(positions_first(taps), DIMENSION);
    }
    t_read(t_contiguous(stack(pooled, in->rows)), in->out,
           (size_t)in->rows * DIMENSION * sizeof(float));
    scope_return(&s, NULL);
}

static void as_tensors(input *in)
{
    scope s = scope_begin();
    tensor *first = in->features[0], *pooled[LEVELS];
    for (int i = 0; i < LEVELS; ++i) {
        tensor *x = in->features[i];
        int64_t shape[] = {t_size(x, 0), t_size(x, 2), t_size(x, 3), DIMENSION};
        pooled[i] = t_view(average(positions_first(unfold(x)), DIMENSION), 4, shape);
        if (i > 0) {
            tensor *planes = t_permute(pooled[i], 4, (int[]){0, 3, 1, 2});
            pooled[i] = positions_first(
                t_interpolate(planes, t_size(first, 2), t_size(first, 3), BILINEAR, false));
        }
    }
    t_read(t_contiguous(stack(pooled, in->rows)), in->out,
           (size_t)in->rows * DIMENSION * sizeof(float));
    scope_return(&s, NULL);
}

static void as_ours(input *in)
{
    patch_embedding_apply(in->out, in->embedding, in->features, false);
}

/* Reads all features and writes all rows. */
static void as_floor(input *in)
{
    float sums[16] = {0};
    for (int i = 0; i < LEVELS; ++i) {
        const float *values = t_data(t_permute(in->features[i], 4, (int[]){0, 2, 3, 1}));
        int64_t count = t_count(in->features[i]);
        for (int64_t j = 0; values && j + 16 <= count; j += 16)
            for (int k = 0; k < 16; ++k)
                sums[k] += values[j + k];
    }
    for (int64_t j = 0; j < in->rows * DIMENSION; j += 16)
        memcpy(in->out + j, sums, sizeof sums);
}

/* Median seconds an image. */
static double measure(void (*embed)(input *), input *in, const settings *s, int rounds)
{
    double seconds[MOST_ROUNDS];
    embed(in);
    for (int i = 0; i < rounds; ++i) {
        double begin = clock_seconds();
        embed(in);
        seconds[i] = (clock_seconds() - begin) / s->batch;
    }
    return median(seconds, rounds);
}

static imiad_status run(const settings *s)
{
    scope all = scope_begin();
    input in = {.rows = 0};
    const int64_t channels[LEVELS] = {512, 1024};
    for (int i = 0; i < LEVELS; ++i) {
        int64_t side = (s->size + (8 << i) - 1) / (8 << i);
        in.features[i] = t_channels_last(t_normal(4, (int64_t[]){s->batch, channels[i], side, side},
                                                  0, 1, 1, "bench/embedding", CPU));
        in.rows = i == 0 ? s->batch * side * side : in.rows;
    }
    in.out = malloc((size_t)in.rows * DIMENSION * sizeof *in.out);
    float *official = malloc((size_t)in.rows * DIMENSION * sizeof *official);
    if (!in.out || !official || t_failed() ||
        patch_embedding_create(&in.embedding, LEVELS, channels, PATCH, DIMENSION, DIMENSION) !=
            IMIAD_OK)
        return scope_end(&all);
    int few = s->rounds < 5 ? s->rounds : 5;
    double slow = measure(as_official, &in, s, few);
    memcpy(official, in.out, (size_t)in.rows * DIMENSION * sizeof *official);
    double plain = measure(as_tensors, &in, s, few);
    double floor = measure(as_floor, &in, s, s->rounds);
    double ours = measure(as_ours, &in, s, s->rounds), difference = 0;
    for (int64_t i = 0; i < in.rows * DIMENSION; ++i)
        difference = fmax(difference, fabs((double)in.out[i] - (double)official[i]));
    printf("Wide-ResNet-50-2, %d pixels, batch %d, %d threads, median of %d, an image:\n", s->size,
           s->batch, imiad_threads(), s->rounds);
    printf("the official order   %8.3f ms  %7.1f times ours\n", 1e3 * slow, slow / ours);
    printf("plain tensors        %8.3f ms  %7.1f times ours\n", 1e3 * plain, plain / ours);
    printf("libimiad             %8.3f ms  largest difference to the official order %.1e\n",
           1e3 * ours, difference);
    printf("floor, read + write  %8.3f ms  ours / floor %.1f\n", 1e3 * floor, ours / floor);
    patch_embedding_free(in.embedding);
    free(in.out);
    free(official);
    return scope_end(&all);
}

int main(int argc, char **argv)
{
    settings s = {8, 224, 1, 9};
    const struct {
        const char *name;
        int *value;
    } numbers[] = {{"--batch", &s.batch},
                   {"--size", &s.size},
                   {"--threads", &s.threads},
                   {"--rounds", &s.rounds}};
    for (int i = 1; i + 1 < argc; i += 2)
        for (int k = 0; k < 4; ++k)
            if (strcmp(argv[i], numbers[k].name) == 0)
                *numbers[k].value = atoi(argv[i + 1]);
    s.rounds = s.rounds < 1 ? 1 : s.rounds > MOST_ROUNDS ? MOST_ROUNDS : s.rounds;
    check(imiad_set_threads(s.threads));
    check(run(&s));
    return 0;
}
