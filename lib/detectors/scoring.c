/* Scoring into the caller's memory: batches of images in memory, regions of interest, tiles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/detector.h"
#include "image/frame.h"
#include "image/pixels.h"

/* One call, and what its images share. */
typedef struct request {
    imiad_detector *detector;
    const imiad_image *const *images;
    size_t count;
    imiad_score_options options;
    preprocessing tile; /* a tile to the detector's input */
    float *scores, *maps;
    size_t capacity, used; /* of maps */
    map_buffer buffer;     /* of a batch of inputs */
} request;

/* ---- checks ---- */

static int32_t input_side(const imiad_detector *self)
{
    return self->preprocessing.crop ? self->preprocessing.crop : self->preprocessing.resize;
}

static imiad_status read_options(imiad_score_options *out, const imiad_detector *self,
                                 const imiad_score_options *given)
{
    *out = (imiad_score_options)IMIAD_SCORE_OPTIONS_INIT;
    TRY(struct_read(out, sizeof *out, given, sizeof *out, "score options"));
    if (out->map_frame != IMIAD_MAP_INPUT && out->map_frame != IMIAD_MAP_IMAGE)
        return fail(IMIAD_OUT_OF_RANGE, "score options: map_frame is %d", out->map_frame);
    if (out->tile_side < 0 || (out->tiles && !(out->tile_overlap >= 0 && out->tile_overlap <= 0.5)))
        return fail(IMIAD_OUT_OF_RANGE,
                    "score options: tiles of %d pixels that overlap by %g: it must be in 0..0.5",
                    out->tile_side, out->tile_overlap);
    if (out->tile_side == 0)
        out->tile_side = input_side(self);
    return IMIAD_OK;
}

imiad_status imiad_detector_map_size(int32_t *out_width, int32_t *out_height,
                                     const imiad_detector *detector, int32_t width, int32_t height,
                                     const imiad_score_options *options)
{
    imiad_score_options o;
    if (!out_width || !out_height || !detector || width < 1 || height < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "map size: NULL, or %d x %d is no size", width, height);
    TRY(read_options(&o, detector, options));
    if (o.tiles || o.map_frame == IMIAD_MAP_IMAGE) {
        *out_width = width;
        *out_height = height;
    } else {
        preprocess_size(out_width, out_height, &detector->preprocessing, width, height);
    }
    return IMIAD_OK;
}

static const imiad_image *region_of(const request *r, size_t image)
{
    return r->options.regions ? r->options.regions[image] : NULL;
}

static imiad_status check_region(const request *r, size_t i)
{
    const imiad_image *region = region_of(r, i), *image = r->images[i];
    if (!region)
        return IMIAD_OK;
    TRY(image_check(region, "its region of interest"));
    if (region->format != IMIAD_PIXEL_GRAY8)
        return fail(IMIAD_MISMATCH, "its region of interest must be GRAY8, one byte a pixel");
    if (region->width != image->width || region->height != image->height)
        return fail(IMIAD_MISMATCH, "its region of interest has %d x %d pixels, itself %d x %d",
                    region->width, region->height, image->width, image->height);
    return IMIAD_OK;
}

/* Everything is checked before the first image is scored. */
static imiad_status check_images(const request *r)
{
    size_t needed = 0;
    for (size_t i = 0; i < r->count; ++i) {
        int32_t width, height;
        imiad_status status = image_check(r->images[i], "it");
        if (status == IMIAD_OK)
            status = check_region(r, i);
        if (status == IMIAD_OK && r->options.tiles &&
            imiad_image_tile_count(r->images[i]->width, r->images[i]->height, r->options.tile_side,
                                   r->options.tile_overlap) == 0)
            status = fail(IMIAD_MISMATCH, "its %d x %d pixels are fewer than a tile's %d",
                          r->images[i]->width, r->images[i]->height, r->options.tile_side);
        if (status != IMIAD_OK)
            return fail_within(status, "score: image %zu", i);
        TRY(imiad_detector_map_size(&width, &height, r->detector, r->images[i]->width,
                                    r->images[i]->height, &r->options));
        needed += (size_t)width * (size_t)height;
    }
    if (r->maps && r->capacity < needed)
        return fail(IMIAD_INVALID_ARGUMENT, "score: the maps need %zu floats, the buffer has %zu",
                    needed, r->capacity);
    return IMIAD_OK;
}

/* ---- regions ---- */

/* The range of the map where the mask is not zero; false where it is zero everywhere. */
static bool find_range(float *low, float *high, const float *map, const imiad_image *mask)
{
    bool found = false;
    *low = INFINITY;
    *high = -INFINITY;
    for (int32_t y = 0; y < mask->height; ++y, map += mask->width) {
        const uint8_t *row = image_row(mask, y);
        for (int32_t x = 0; x < mask->width; ++x) {
            if (!row[x])
                continue;
            found = true;
            *low = map[x] < *low ? map[x] : *low;
            *high = map[x] > *high ? map[x] : *high;
        }
    }
    return found;
}

static imiad_status apply_region(float *highest, float *map, const imiad_image *mask)
{
    float low, high;
    if (!find_range(&low, &high, map, mask))
        return fail(IMIAD_INVALID_ARGUMENT, "its region of interest shows no pixel of the map");
    for (int32_t y = 0; y < mask->height; ++y, map += mask->width) {
        const uint8_t *row = image_row(mask, y);
        for (int32_t x = 0; x < mask->width; ++x)
            map[x] = row[x] ? map[x] : low;
    }
    *highest = high;
    return IMIAD_OK;
}

/* ---- whole images ---- */

/* `input` is the detector's own map: it may be changed. */
static imiad_status finish_whole(request *r, size_t i, float *input, const outcome *o)
{
    const imiad_image *region = region_of(r, i), *image = r->images[i];
    const preprocessing *p = &r->detector->preprocessing;
    float *map = r->maps ? r->maps + r->used : NULL, unused;
    r->scores[i] = o->score;
    if (map && r->options.map_frame == IMIAD_MAP_IMAGE) {
        frame_map(map, image->width, image->height, input, o->width, o->height, p, image->width,
                  image->height);
        if (region)
            TRY(apply_region(&unused, map, region));
        r->used += (size_t)image->width * (size_t)image->height;
    }
    if (region) {
        imiad_image *seen;
        TRY(preprocess_mask(&seen, region, p));
        imiad_status status = apply_region(&r->scores[i], input, seen);
        imiad_image_free(seen);
        TRY(status);
    }
    if (map && r->options.map_frame == IMIAD_MAP_INPUT) {
        size_t size = (size_t)o->width * (size_t)o->height;
        memcpy(map, input, size * sizeof *map);
        r->used += size;
    }
    return IMIAD_OK;
}

static imiad_status need_map(const request *r, const outcome *o)
{
    if (o->map || (!r->maps && !r->options.regions))
        return IMIAD_OK;
    return fail(IMIAD_UNSUPPORTED, "detector %s makes no maps", r->detector->ops->name);
}

/* Images first.. of one input size: as many as a batch takes, preprocessed. */
static imiad_status gather(imiad_image **inputs, size_t *count, const request *r, size_t first)
{
    int32_t width, height, next_width, next_height;
    size_t most = (size_t)detector_batch_size(r->detector);
    const preprocessing *p = &r->detector->preprocessing;
    preprocess_size(&width, &height, p, r->images[first]->width, r->images[first]->height);
    for (*count = 0; *count < most && first + *count < r->count; ++*count) {
        const imiad_image *image = r->images[first + *count];
        preprocess_size(&next_width, &next_height, p, image->width, image->height);
        if (next_width != width || next_height != height)
            break;
        imiad_status status = preprocess_image(&inputs[*count], image, p);
        if (status != IMIAD_OK)
            return fail_within(status, "score: image %zu", first + *count);
    }
    return IMIAD_OK;
}

static imiad_status score_inputs(outcome *outcomes, request *r, imiad_image **inputs, size_t count)
{
    return detector_score_images(outcomes, r->detector, (const imiad_image *const *)inputs, count,
                                 &r->buffer);
}

static imiad_status score_run(request *r, imiad_image **inputs, size_t *count, size_t first)
{
    outcome outcomes[MOST_SCORED];
    double start = clock_seconds();
    TRY(gather(inputs, count, r, first));
    detector_add_loading(r->detector, 0, clock_seconds() - start);
    TRY(score_inputs(outcomes, r, inputs, *count));
    for (size_t i = 0; i < *count; ++i) {
        size_t size = (size_t)outcomes[i].width * (size_t)outcomes[i].height;
        TRY(need_map(r, &outcomes[i]));
        imiad_status status = finish_whole(r, first + i, r->buffer.values + i * size, &outcomes[i]);
        if (status != IMIAD_OK)
            return fail_within(status, "score: image %zu", first + i);
    }
    return IMIAD_OK;
}

static void free_inputs(imiad_image **inputs, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        imiad_image_free(inputs[i]);
}

static imiad_status score_whole(request *r)
{
    for (size_t first = 0, count = 0; first < r->count; first += count) {
        imiad_image *inputs[MOST_SCORED] = {NULL};
        imiad_status status = score_run(r, inputs, &count, first);
        free_inputs(inputs, MOST_SCORED);
        TRY(status);
    }
    return IMIAD_OK;
}

/* ---- tiles ---- */

/* The distance to the border of an edge of `side` pixels. */
static float ramp(int32_t x, int32_t side)
{
    return x < side - 1 - x ? (float)x + 0.5f : (float)(side - x) - 0.5f;
}

/* The sum of all tiles' ramps at each pixel of an edge: new memory. Tiles stand in a grid, so that
 * the weights of an image's pixels are products of two of these. */
static float *sum_ramps(const imiad_score_options *o, int32_t size)
{
    float *sums = calloc((size_t)size, sizeof *sums);
    size_t count = imiad_image_tile_count(size, o->tile_side, o->tile_side, o->tile_overlap);
    int32_t left, top;
    for (size_t i = 0; sums && i < count; ++i)
        if (tile_place(&left, &top, size, o->tile_side, o->tile_side, o->tile_overlap, i) ==
            IMIAD_OK)
            for (int32_t x = 0; x < o->tile_side; ++x)
                sums[left + x] += ramp(x, o->tile_side);
    return sums;
}

/* The whole image's map while its tiles are added. */
typedef struct mosaic {
    float *map;            /* of the image's size; NULL where nobody asks */
    float *piece;          /* tile_side squared */
    float *across, *along; /* sums of ramps */
} mosaic;

static void mosaic_free(mosaic *m)
{
    free(m->piece);
    free(m->across);
    free(m->along);
}

static void add_tile(mosaic *m, const request *r, const imiad_image *image, size_t tile,
                     const outcome *o)
{
    int32_t left = 0, top = 0, side = r->options.tile_side;
    if (!m->map || tile_place(&left, &top, image->width, image->height, side,
                              r->options.tile_overlap, tile) != IMIAD_OK)
        return;
    frame_map(m->piece, side, side, o->map, o->width, o->height, &r->tile, side, side);
    for (int32_t y = 0; y < side; ++y) {
        float *out = m->map + (int64_t)(top + y) * image->width + left;
        float share = ramp(y, side) / m->along[top + y];
        for (int32_t x = 0; x < side; ++x)
            out[x] += m->piece[(int64_t)y * side + x] * share * ramp(x, side) / m->across[left + x];
    }
}

/* Tiles first.. of an image, as many as a batch takes. */
static imiad_status score_some(request *r, mosaic *m, imiad_image **inputs, size_t i, size_t first,
                               size_t count)
{
    outcome outcomes[MOST_SCORED];
    const imiad_image *image = r->images[i];
    double start = clock_seconds();
    for (size_t t = 0; t < count; ++t) {
        imiad_image tile = IMIAD_IMAGE_INIT;
        TRY(imiad_image_tile(&tile, image, r->options.tile_side, r->options.tile_overlap,
                             first + t));
        TRY(preprocess_image(&inputs[t], &tile, &r->tile));
    }
    detector_add_loading(r->detector, 0, clock_seconds() - start);
    TRY(score_inputs(outcomes, r, inputs, count));
    for (size_t t = 0; t < count; ++t) {
        TRY(need_map(r, &outcomes[t]));
        r->scores[i] = outcomes[t].score > r->scores[i] ? outcomes[t].score : r->scores[i];
        add_tile(m, r, image, first + t, &outcomes[t]);
    }
    return IMIAD_OK;
}

static imiad_status score_tiles(request *r, mosaic *m, size_t i)
{
    const imiad_image *image = r->images[i];
    size_t most = (size_t)detector_batch_size(r->detector);
    size_t tiles = imiad_image_tile_count(image->width, image->height, r->options.tile_side,
                                          r->options.tile_overlap);
    r->scores[i] = -INFINITY;
    for (size_t first = 0; first < tiles; first += most) {
        imiad_image *inputs[MOST_SCORED] = {NULL};
        size_t count = tiles - first < most ? tiles - first : most;
        imiad_status status = score_some(r, m, inputs, i, first, count);
        free_inputs(inputs, MOST_SCORED);
        TRY(status);
    }
    return m->map && region_of(r, i) ? apply_region(&r->scores[i], m->map, region_of(r, i))
                                     : IMIAD_OK;
}

static imiad_status score_tiled_image(request *r, size_t i)
{
    const imiad_image *image = r->images[i];
    size_t side = (size_t)r->options.tile_side;
    size_t size = (size_t)image->width * (size_t)image->height;
    bool own = !r->maps && region_of(r, i);
    mosaic m = {.map = own ? malloc(size * sizeof *m.map) : r->maps ? r->maps + r->used : NULL};
    if (m.map || own) {
        m.piece = malloc(side * side * sizeof *m.piece);
        m.across = sum_ramps(&r->options, image->width);
        m.along = sum_ramps(&r->options, image->height);
    }
    imiad_status status = IMIAD_OK;
    if ((m.map || own) && !(m.map && m.piece && m.across && m.along))
        status = fail_memory("a tiled map", (size + side * side) * sizeof *m.map);
    if (m.map)
        memset(m.map, 0, size * sizeof *m.map);
    if (status == IMIAD_OK)
        status = score_tiles(r, &m, i);
    r->used += r->maps ? size : 0;
    if (own)
        free(m.map);
    mosaic_free(&m);
    return status == IMIAD_OK ? status : fail_within(status, "score: image %zu", i);
}

/* ---- the call ---- */

imiad_status imiad_detector_score_batch(float *image_scores, float *maps, size_t capacity,
                                        imiad_detector *detector, const imiad_image *const *images,
                                        size_t count, const imiad_score_options *options)
{
    if (!image_scores || !detector || !images)
        return fail(IMIAD_INVALID_ARGUMENT, "score: scores, detector or images is NULL");
    request r = {.detector = detector,
                 .images = images,
                 .count = count,
                 .tile = {.squash = true, .resize = input_side(detector)},
                 .scores = image_scores,
                 .maps = maps,
                 .capacity = capacity};
    TRY(read_options(&r.options, detector, options));
    if (!detector->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s must be fitted or loaded before it can score",
                    detector->ops->name);
    TRY(check_images(&r));
    imiad_status status = IMIAD_OK;
    if (!r.options.tiles)
        status = score_whole(&r);
    for (size_t i = 0; r.options.tiles && status == IMIAD_OK && i < count; ++i)
        status = score_tiled_image(&r, i);
    free(r.buffer.values);
    return status;
}
