/* The numbers that tests/golden/make_semirest.py computes too, what it found, and what both build
 * of them. */
#ifndef TESTS_DETECTORS_SEMIREST_GOLDEN_H
#define TESTS_DETECTORS_SEMIREST_GOLDEN_H

#include <math.h>
#include <string.h>
#include <zlib.h>

#include "bridge/tensor.h"
#include "check_suite.h"
#include "detectors/parts/residual_pool.h"
#include "detectors/parts/residual_swin.h"

#define GOLDEN "tests/golden/semirest.csv"

enum {
    SAMPLES = 12,
    INPUTS = 6,
    WIDTH = 8,
    HEADS = 2,
    BLOCKS = 4,
    AROUND = 4,
    SIDE = 8,
    GRID = 12
};

/* ---- the numbers that the script computes too ---- */

/* Number `index` of a seed, in [-1, 1). */
static inline double noise(uint32_t index, uint32_t seed)
{
    uint32_t h = (index + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (double)h / 0x1p31 - 1;
}

static inline tensor *noise_tensor(uint32_t seed, int rank, const int64_t *shape)
{
    size_t count = 1;
    for (int i = 0; i < rank; ++i)
        count *= (size_t)shape[i];
    double *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; ++i)
        values[i] = noise((uint32_t)i, seed);
    tensor *t = t_from(values, rank, shape, F64, CPU);
    free(values);
    return t;
}

/* Blocks of 8 x 8 pixels: block k of image n has 5 (k + 3 n) mod 65 pixels of a defect. */
static inline void fill_mask(uint8_t *mask, int n, int side)
{
    int blocks = side / 8;
    memset(mask, 0, (size_t)(side * side));
    for (int b = 0; b < blocks * blocks; ++b)
        for (int p = 0; p < 5 * (b + 3 * n) % 65; ++p)
            mask[(b / blocks * 8 + p / 8) * side + b % blocks * 8 + p % 8] = 255;
}

static inline bool ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static inline void fill_parameter(const param *p)
{
    size_t count = (size_t)t_count(p->value), rows = (size_t)t_size(p->value, 0);
    uint32_t seed = (uint32_t)(crc32(0, (const uint8_t *)p->name, (uInt)strlen(p->name)) % 100000);
    double *values = malloc(count * sizeof *values);
    int64_t shape[4];
    for (int i = 0; i < t_rank(p->value); ++i)
        shape[i] = t_size(p->value, i);
    for (size_t i = 0; i < count; ++i) {
        double v = noise((uint32_t)i, seed);
        if (ends(p->name, "bias"))
            v *= 0.1;
        else if (t_rank(p->value) == 1)
            v = 1 + 0.1 * v;
        else if (!ends(p->name, "table"))
            v *= sqrt(3 / (double)(count / rows));
        values[i] = v;
    }
    t_copy_(p->value, t_from(values, t_rank(p->value), shape, F64, CPU));
    free(values);
}

/* ---- golden values ---- */

typedef struct golden {
    char kind[16], name[80];
    double values[SAMPLES + 8];
    int count;
} golden;

static inline bool golden_next(golden *out, FILE *file)
{
    char text[1024];
    int used = 0;
    if (!fgets(text, sizeof text, file))
        return false;
    ck_assert_int_eq(sscanf(text, "%15[^,],%79[^,]%n", out->kind, out->name, &used), 2);
    out->count = 0;
    for (char *at = text + used; *at == ',' && out->count < SAMPLES + 8;)
        out->values[out->count++] = strtod(at + 1, &at);
    return true;
}

static inline FILE *golden_open(void)
{
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no " GOLDEN ": run from the checkout");
    return file;
}

/* The value that a line holds; fails where there is none. */
static inline golden golden_find(const char *kind, const char *name)
{
    FILE *file = golden_open();
    golden g;
    while (golden_next(&g, file))
        if (strcmp(g.kind, kind) == 0 && strcmp(g.name, name) == 0) {
            fclose(file);
            return g;
        }
    fclose(file);
    ck_abort_msg("no %s of %s", kind, name);
    return g;
}

/* Norm and samples of a tensor, in its logical order: how far from its norm, or its usual size. */
static inline void hold(tensor *t, const golden *g, double tolerance)
{
    tensor *flat = t_contiguous(t_to(t_view(t_detach(t), 1, (int64_t[]){-1}), F64));
    ck_assert_msg(flat, "%s: %s", g->name, imiad_last_error());
    int64_t count = t_count(flat);
    double *values = malloc((size_t)count * sizeof *values), square = 0;
    t_read(flat, values, (size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; ++i)
        square += values[i] * values[i];
    double norm = sqrt(square), scale = fmax(g->values[0], 1e-9);
    ck_assert_msg(fabs(norm - g->values[0]) <= tolerance * scale, "%s %s: norm %.12g, not %.12g",
                  g->kind, g->name, norm, g->values[0]);
    for (int k = 0; k < SAMPLES; ++k) {
        double found = values[k * (count - 1) / (SAMPLES - 1)];
        ck_assert_msg(fabs(found - g->values[1 + k]) <= tolerance * scale / sqrt((double)count),
                      "%s %s: sample %d is %.12g, not %.12g", g->kind, g->name, k, found,
                      g->values[1 + k]);
    }
    free(values);
}

/* ---- the network ---- */

typedef struct network {
    params *store;
    residual_swin net;
} network;

/* The script's weights, in double precision. */
static inline network make_network(int64_t side)
{
    network n;
    ck_ok(params_create(&n.store));
    const builder b = {.store = n.store};
    scope s = scope_begin();
    const residual_swin_spec spec = {.inputs = INPUTS,
                                     .width = WIDTH,
                                     .heads = HEADS,
                                     .blocks = BLOCKS,
                                     .attention = AROUND,
                                     .shift = side > AROUND ? AROUND / 2 : 0};
    n.net = residual_swin_add(&b, &spec);
    ck_ok(scope_end(&s));
    ck_ok(params_to(n.store, F64, CPU));
    s = scope_begin();
    for (size_t i = 0; i < params_count(n.store); ++i)
        fill_parameter(params_at(n.store, i));
    ck_ok(scope_end(&s));
    return n;
}

static inline tensor *judge(const network *n, tensor *tokens, int64_t side)
{
    return residual_swin_judge(&n->net, residual_swin_embed(&n->net, tokens), side, side, true);
}

/* n x channels x side x side, squared, as tokens. */
static inline tensor *tokens_of(tensor *residuals)
{
    int64_t n = t_size(residuals, 0), places = t_size(residuals, 2) * t_size(residuals, 3);
    tensor *last = t_contiguous(t_permute(t_square(residuals), 4, (int[]){0, 2, 3, 1}));
    return t_view(last, 3, (int64_t[]){n, places, INPUTS});
}

/* Items whose patches are all 0, each matched to a row of its own: the residuals are the rows
 * squared. */
static inline residual_pool make_pool(imiad_bank **bank, int64_t items, int64_t positions)
{
    residual_pool p;
    int64_t own, values = positions * INPUTS;
    float *rows = calloc((size_t)values, sizeof *rows);
    int8_t *labels = calloc((size_t)positions, 1);
    const pool_shape shape = {.items = items,
                              .positions = positions,
                              .dimension = INPUTS,
                              .neighbours = 1,
                              .storage = IMIAD_STORAGE_FLOAT32};
    ck_ok(residual_pool_create(&p, &shape));
    ck_ok(imiad_bank_create(bank, INPUTS, 0));
    for (int64_t i = 0; i < items; ++i) {
        const pool_item item = {
            .kind = (pool_kind)(i % POOL_KINDS), .image = (size_t)i, .source = IMIAD_NO_SOURCE};
        ck_ok(residual_pool_add(&p, &item, rows, labels));
    }
    for (uint32_t n = 0; n < items; ++n) {
        for (int64_t i = 0; i < positions; ++i)
            for (int64_t c = 0; c < INPUTS; ++c)
                rows[i * INPUTS + c] =
                    (float)noise((uint32_t)((n * INPUTS + c) * positions + i), 300);
        ck_ok(imiad_bank_add(*bank, rows, positions));
    }
    ck_ok(residual_pool_match(&p, &own, *bank, CPU, NULL));
    for (int64_t i = 0; i < items * positions; ++i)
        p.nearest[i] = i;
    free(rows);
    free(labels);
    return p;
}

#endif
