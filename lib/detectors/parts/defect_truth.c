#include "detectors/parts/defect_truth.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/parts/distance_weights.h"

enum { MASK, WEIGHTS, PLANES };

static tensor *plane(tensor *planes, int which)
{
    return t_slice(planes, 1, which, which + 1);
}

/* ---- reading ---- */

/* Planes of one image of the input's size, which begin as those of a good one. */
static imiad_status fill_planes(float *planes, const imiad_image *mask, const truth_options *o)
{
    size_t pixels = (size_t)mask->width * (size_t)mask->height, row = (size_t)mask->width;
    uint8_t *own = malloc(pixels);
    if (!own)
        return fail_memory("a mask", pixels);
    for (size_t y = 0; y < (size_t)mask->height; ++y)
        memcpy(own + y * row, mask->pixels + y * mask->stride, row);
    imiad_status status = mask_dilate(own, mask->width, mask->height, o->dilation);
    for (size_t i = 0; i < pixels; ++i)
        planes[MASK * pixels + i] = own[i] > 0;
    if (status == IMIAD_OK && o->peak > 0)
        status = distance_weights(planes + WEIGHTS * pixels, own, mask->width, mask->height,
                                  o->peak, o->power);
    free(own);
    return status;
}

static tensor *begin_planes(int64_t rows, int64_t height, int64_t width)
{
    tensor *planes = t_full(4, (int64_t[]){rows, PLANES, height, width}, 1, F32, CPU);
    t_fill_(plane(planes, MASK), 0);
    return planes;
}

/* Of the grid's size: masks are 0 or 1. */
static tensor *shrink(const defect_truth *t, tensor *planes, const truth_options *o)
{
    tensor *mask = t_interpolate(plane(planes, MASK), t->height, t->width, BILINEAR, o->align);
    mask = t_to(t_logical_not(t_lt_scalar(mask, 0.5)), F32);
    tensor *weighed = t_interpolate(plane(planes, WEIGHTS), t->height, t->width, BILINEAR, true);
    return t_cat((tensor *[]){mask, weighed}, 2, 1);
}

static tensor *mirror(tensor *x, int way)
{
    x = way & MIRROR_DOWN ? t_flip(x, 2) : x;
    return way & MIRROR_ACROSS ? t_flip(x, 3) : x;
}

/* The defect `place` of those that there are, from its mask or NULL. */
static void keep_planes(defect_truth *t, size_t place, const imiad_image *mask, const batch *b,
                        const truth_options *o)
{
    tensor *planes = begin_planes(1, b->height, b->width);
    float *values = t_data(planes);
    if (!values || (mask && !t_try(fill_planes(values, mask, o))))
        return;
    for (int way = 0; way < TRAIN_MIRRORS; ++way) {
        int64_t row = (int64_t)place * TRAIN_MIRRORS + way;
        tensor *small = shrink(t, mirror(planes, way), o);
        t_copy_(t_slice(t->planes, 0, row, row + 1), small);
        if (way == 0)
            t->has_mask[place] = t_item(t_max_all(plane(small, MASK))) > 0;
    }
    t->masks += t->has_mask[place];
}

static void make_room(defect_truth *t, const imiad_detector *self, const batch *b,
                      const truth_options *o)
{
    int64_t layer[3], rows = TRAIN_MIRRORS * (int64_t)t->images.defective_count + 1;
    if (!t_try(backbone_layer_shape(layer, self->backbone, o->layer, b->height, b->width)))
        return;
    t->height = 2 * layer[1];
    t->width = 2 * layer[2];
    tensor *planes = begin_planes(rows, t->height, t->width);
    if (!t_failed())
        t->planes = t_keep(planes);
}

imiad_status defect_truth_read(defect_truth *t, imiad_detector *self, train_set *images,
                               const truth_options *o)
{
    defect_truth_free(t);
    TRY(mixed_images_list(&t->images, images));
    size_t count = t->images.defective_count, done = 0;
    if (count == 0)
        return IMIAD_OK;
    t->has_mask = calloc(count, sizeof *t->has_mask);
    if (!t->has_mask)
        return fail_memory("a list of defects", count);
    const train_pass pass = {.order = t->images.defective, .count = count};
    TRY(train_set_begin(images, &pass));
    while (done < count) {
        scope s = scope_begin();
        batch b = {.count = 0};
        if (train_set_next(images, &b) && !t->planes)
            make_room(t, self, &b, o);
        for (int64_t i = 0; i < b.count && !t_failed(); ++i)
            keep_planes(t, done + (size_t)i, b.mask_pixels ? b.mask_pixels[i] : NULL, &b, o);
        done += (size_t)b.count;
        TRY(scope_end(&s));
    }
    return train_set_rewind(images, NULL);
}

void defect_truth_free(defect_truth *t)
{
    mixed_images_free(&t->images);
    t_free(t->planes);
    free(t->has_mask);
    *t = (defect_truth){.masks = 0};
}

/* ---- of a step ---- */

static size_t place_of(const defect_truth *t, size_t image)
{
    size_t place = 0;
    while (t->images.defective[place] != image)
        ++place;
    return place;
}

step_truth defect_truth_of(const defect_truth *t, const train_step *step)
{
    int64_t rows[MOST_BATCH], good = TRAIN_MIRRORS * (int64_t)t->images.defective_count;
    float labels[MOST_BATCH], drawn[MOST_BATCH];
    for (int64_t i = 0; i < step->count; ++i) {
        bool defect = step->told[i].label == 1;
        size_t place = defect ? place_of(t, step->images[i]) : 0;
        int way = step->mirrored ? step->mirrored[i] : 0;
        rows[i] = defect ? (int64_t)place * TRAIN_MIRRORS + way : good;
        labels[i] = defect;
        drawn[i] = !defect || t->has_mask[place];
    }
    tensor *planes = t_index_select(t->planes, 0, t_from(rows, 1, &step->count, I64, CPU));
    const int64_t column[] = {step->count, 1, 1, 1};
    return (step_truth){.masks = plane(planes, MASK),
                        .weights = plane(planes, WEIGHTS),
                        .labels = t_from(labels, 4, column, F32, CPU),
                        .drawn = t_from(drawn, 4, column, F32, CPU)};
}
