/* Weights and images that scripts in tests/golden compute too (formula.py's `noise`), so that
 * neither has to be stored. */
#ifndef TESTS_DETECTORS_FORMULA_H
#define TESTS_DETECTORS_FORMULA_H

#include <math.h>
#include <string.h>
#include <zlib.h>

#include "bridge/tensor.h"
#include "check_suite.h"
#include "image/preprocess.h"
#include "imiad/imiad.h"
#include "nn/params.h"

/* Number `index` of a seed, in [-1, 1). */
static inline double formula_noise(uint32_t index, uint32_t seed)
{
    uint32_t h = (index + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (double)h / 0x1p31 - 1;
}

static inline imiad_image *formula_image(int which, int side)
{
    imiad_image *image;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, side, side));
    uint32_t i = 0;
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < 3 * side; ++x, ++i)
            image->pixels[(size_t)y * (size_t)image->stride + (size_t)x] =
                (uint8_t)floor((formula_noise(i, 1000 * (uint32_t)which) + 1) * 128);
    return image;
}

/* Images first, first + 1, ...: n x 3 x side x side, normalised. */
static inline tensor *formula_images(int first, int64_t count, int side, dtype type)
{
    preprocessing p = {0};
    size_t plane = 3 * (size_t)side * (size_t)side;
    float *values = malloc((size_t)count * plane * sizeof *values);
    memcpy(p.mean, imagenet_mean, sizeof p.mean);
    memcpy(p.std, imagenet_std, sizeof p.std);
    for (int i = 0; i < count; ++i) {
        imiad_image *image = formula_image(first + i, side);
        preprocess_normalize(values + (size_t)i * plane, image, &p);
        imiad_image_free(image);
    }
    tensor *images = t_to(t_from(values, 4, (int64_t[]){count, 3, side, side}, F32, CPU), type);
    free(values);
    return images;
}

static inline bool formula_ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* Every tensor of a store from its name. */
static inline void formula_fill(params *store)
{
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        size_t count = (size_t)t_count(p->value), rows = (size_t)t_size(p->value, 0);
        uint32_t seed =
            (uint32_t)(crc32(0, (const uint8_t *)p->name, (uInt)strlen(p->name)) % 100000);
        float *values = malloc(count * sizeof *values);
        int64_t shape[4];
        for (int d = 0; d < t_rank(p->value); ++d)
            shape[d] = t_size(p->value, d);
        for (size_t k = 0; k < count; ++k) {
            double v = formula_noise((uint32_t)k, seed);
            if (formula_ends(p->name, "running_var"))
                v = 1 + 0.5 * v;
            else if (formula_ends(p->name, "running_mean") || formula_ends(p->name, "bias"))
                v = 0.1 * v;
            else if (t_rank(p->value) == 1)
                v = 1 + 0.1 * v;
            else
                v *= sqrt(3 / (double)(count / rows));
            values[k] = (float)v;
        }
        t_copy_(p->value, t_from(values, t_rank(p->value), shape, F32, CPU));
        free(values);
    }
    ck_ok(scope_end(&s));
}

#endif
