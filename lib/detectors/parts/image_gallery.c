#include "detectors/parts/image_gallery.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- filling ---- */

static size_t class_bytes(const image_gallery *g, int64_t images)
{
    return (size_t)(images * g->class_channels) * sizeof *g->classes;
}

imiad_status image_gallery_open(image_gallery *g, imiad_storage storage, int64_t images)
{
    g->classes = malloc(class_bytes(g, images));
    if (!g->classes)
        return fail_memory("whole images", class_bytes(g, images));
    for (int i = 0; i < g->layers; ++i)
        TRY(imiad_bank_create_stored(&g->patches[i], g->channels[i], storage, 0));
    return IMIAD_OK;
}

void image_gallery_free(image_gallery *g)
{
    for (int i = 0; i < MOST_LAYERS; ++i)
        imiad_bank_free(g->patches[i]);
    free(g->classes);
    *g = (image_gallery){.layers = 0};
}

imiad_status image_gallery_add(image_gallery *g, const float *const *patches, const float *classes,
                               int64_t count, int64_t first)
{
    int64_t places = g->grid[0] * g->grid[1], rows = count * places;
    int64_t *sources = malloc((size_t)rows * sizeof *sources);
    if (!sources)
        return fail_memory("the images of patches", (size_t)rows * sizeof *sources);
    for (int64_t i = 0; i < rows; ++i)
        sources[i] = first + g->images + i / places;
    imiad_status status = IMIAD_OK;
    for (int i = 0; status == IMIAD_OK && i < g->layers; ++i)
        status = imiad_bank_add_from(g->patches[i], patches[i], rows, sources);
    free(sources);
    memcpy(g->classes + g->images * g->class_channels, classes, class_bytes(g, count));
    g->images += count;
    return status;
}

static void cut_layers(image_gallery *g, int layers, int64_t from, int64_t to)
{
    for (int i = 0; i < layers; ++i)
        for (int64_t image = from; image < to; ++image)
            (void)imiad_bank_forget(g->patches[i], image, NULL);
}

void image_gallery_cut(image_gallery *g, int64_t images)
{
    cut_layers(g, g->layers, images, g->images);
    g->images = images;
}

/* Takes the joined rows out again where a later layer's did not fit. */
static imiad_status join_patches(image_gallery *g, const image_gallery *more)
{
    imiad_status status = IMIAD_OK;
    int joined = 0;
    while (status == IMIAD_OK && joined < g->layers) {
        status = imiad_bank_merge(g->patches[joined], more->patches[joined]);
        joined += status == IMIAD_OK;
    }
    if (status != IMIAD_OK)
        cut_layers(g, joined, g->images, g->images + more->images);
    return status;
}

imiad_status image_gallery_join(image_gallery *g, const image_gallery *more)
{
    int64_t all = g->images + more->images;
    float *classes = realloc(g->classes, class_bytes(g, all));
    if (!classes)
        return fail_memory("whole images", class_bytes(g, all));
    g->classes = classes;
    TRY(join_patches(g, more));
    memcpy(classes + g->images * g->class_channels, more->classes, class_bytes(g, more->images));
    g->images = all;
    return IMIAD_OK;
}

imiad_status gallery_index_create(gallery_index *out, const image_gallery *g)
{
    gallery_index index = {NULL, {NULL}};
    int64_t places = g->grid[0] * g->grid[1], rows = g->images * places;
    int32_t *of_rows = malloc((size_t)rows * sizeof *of_rows);
    if (!of_rows)
        return fail_memory("the places of patches", (size_t)rows * sizeof *of_rows);
    for (int64_t i = 0; i < rows; ++i)
        of_rows[i] = (int32_t)(i % places);
    imiad_status status = windows_create(&index.windows, of_rows, rows, g->grid[0], g->grid[1]);
    free(of_rows);
    TRY(status);
    for (int i = 0; i < g->layers; ++i)
        window_sketches_create(&index.sketches[i], g->patches[i], index.windows);
    *out = index;
    return IMIAD_OK;
}

void gallery_index_free(gallery_index *index)
{
    windows_free(index->windows);
    for (int i = 0; i < MOST_LAYERS; ++i)
        window_sketches_free(index->sketches[i]);
    *index = (gallery_index){NULL, {NULL}};
}

/* ---- scoring ---- */

static double product(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

imiad_status image_gallery_alike(bool *wanted, const image_gallery *g, const float *image,
                                 int64_t k)
{
    double *products = malloc((size_t)g->images * sizeof *products);
    if (!products)
        return fail_memory("images that are alike", (size_t)g->images * sizeof *products);
    for (int64_t i = 0; i < g->images; ++i) {
        products[i] = wanted[i]
                          ? product(image, g->classes + i * g->class_channels, g->class_channels)
                          : -INFINITY;
        wanted[i] = false;
    }
    for (int64_t held = 0; held < k; ++held) {
        int64_t best = 0;
        for (int64_t i = 1; i < g->images; ++i)
            best = products[i] > products[best] ? i : best;
        if (products[best] == -INFINITY)
            break;
        products[best] = -INFINITY;
        wanted[best] = true;
    }
    free(products);
    return IMIAD_OK;
}

/* Of vectors of unit length, half the squared distance is one less the cosine. */
imiad_status image_gallery_score(float *out, const image_gallery *g, const gallery_index *index,
                                 const float *const *queries, int64_t count, int64_t window,
                                 const double *shares, const bool *wanted)
{
    int64_t total = count * g->grid[0] * g->grid[1];
    int64_t radius = window >= 0 ? window : g->grid[0] + g->grid[1];
    const window_sources among = {wanted, g->images};
    float *squares = malloc((size_t)total * sizeof *squares);
    int64_t *rows = malloc((size_t)total * sizeof *rows);
    imiad_status status = squares && rows ? IMIAD_OK : fail_memory("distances", (size_t)total * 12);
    memset(out, 0, (size_t)total * sizeof *out);
    for (int i = 0; status == IMIAD_OK && i < g->layers; ++i) {
        const window_search how = {g->patches[i], index->windows, index->sketches[i], radius,
                                   &among};
        status = windows_search(squares, rows, &how, queries[i], count, 1);
        for (int64_t p = 0; status == IMIAD_OK && p < total; ++p)
            out[p] += (float)(shares[i] * 0.5 * (double)squares[p]);
    }
    free(squares);
    free(rows);
    return status;
}

/* ---- file ---- */

static const int64_t two = 2;

static const char *patches_name(char out[32], int layer)
{
    snprintf(out, 32, "patches.%d", layer);
    return out;
}

imiad_status image_gallery_save(const image_gallery *g, weights_writer *writer)
{
    char name[32];
    for (int i = 0; i < g->layers; ++i) {
        const point_set points = bank_points(g->patches[i]);
        TRY(weights_writer_add(writer, patches_name(name, i), storage_kinds[points.storage].type, 2,
                               (int64_t[]){(int64_t)points.count, (int64_t)points.columns},
                               points.rows));
    }
    TRY(weights_writer_add(writer, "classes", F32, 2, (int64_t[]){g->images, g->class_channels},
                           g->classes));
    return weights_writer_add(writer, "grid", I64, 1, &two, g->grid);
}

/* One image's patches as they were: widened, and rounded again to the same numbers. */
static imiad_status load_image(image_gallery *g, int layer, int64_t image, const point_set *points,
                               float *wide, int64_t *sources)
{
    int64_t places = g->grid[0] * g->grid[1];
    for (int64_t p = 0; p < places; ++p) {
        kernels_best()->widen[points->storage](wide + (size_t)p * points->columns,
                                               point_row(points, (size_t)(image * places + p)),
                                               points->columns);
        sources[p] = image;
    }
    return imiad_bank_add_from(g->patches[layer], wide, places, sources);
}

static imiad_status load_patches(image_gallery *g, const weights *file, int layer,
                                 imiad_storage storage)
{
    char name[32];
    const weight *found;
    int64_t places = g->grid[0] * g->grid[1];
    const int64_t shape[2] = {g->images * places, g->channels[layer]};
    TRY(weights_expect(&found, file, patches_name(name, layer), storage_kinds[storage].type, 2,
                       shape));
    const point_set points = {found->data, (size_t)shape[0], (size_t)shape[1], storage};
    float *wide = malloc((size_t)(places * shape[1]) * sizeof *wide);
    int64_t *sources = malloc((size_t)places * sizeof *sources);
    imiad_status status =
        wide && sources ? IMIAD_OK : fail_memory("patches", (size_t)(places * shape[1]) * 4);
    for (int64_t image = 0; status == IMIAD_OK && image < g->images; ++image)
        status = load_image(g, layer, image, &points, wide, sources);
    free(wide);
    free(sources);
    return status;
}

imiad_status image_gallery_load(image_gallery *g, const weights *file, imiad_storage storage)
{
    enum { MOST_SIDE = 8192 };
    const weight *classes, *grid;
    TRY(weights_expect(&classes, file, "classes", F32, 2,
                       (int64_t[]){ANY_SIZE, g->class_channels}));
    TRY(weights_expect(&grid, file, "grid", I64, 1, &two));
    int64_t images = classes->shape[0];
    memcpy(g->grid, grid->data, sizeof g->grid);
    if (g->grid[0] < 1 || g->grid[0] > MOST_SIDE || g->grid[1] < 1 || g->grid[1] > MOST_SIDE)
        return fail(IMIAD_FORMAT, "a grid of %lld x %lld places", (long long)g->grid[1],
                    (long long)g->grid[0]);
    TRY(image_gallery_open(g, storage, images));
    g->images = images;
    memcpy(g->classes, classes->data, classes->bytes);
    for (int i = 0; i < g->layers; ++i)
        TRY(load_patches(g, file, i, storage));
    return IMIAD_OK;
}
