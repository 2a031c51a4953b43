#include "detectors/parts/mixed_epoch.h"

#include <stdlib.h>

#include "base/error.h"

imiad_status mixed_images_list(mixed_images *out, const train_set *images)
{
    size_t count = train_set_count(images), normal = 0, defective = 0;
    mixed_images_free(out);
    out->normal_count = train_set_count_label(images, 0);
    out->defective_count = count - out->normal_count;
    out->normal = malloc(count * sizeof *out->normal);
    if (!out->normal)
        return fail_memory("a list of images", count * sizeof *out->normal);
    out->defective = out->normal + out->normal_count;
    for (size_t i = 0; i < count; ++i) {
        if (train_set_image(images, i).label == 0)
            out->normal[normal++] = i;
        else
            out->defective[defective++] = i;
    }
    return IMIAD_OK;
}

void mixed_images_free(mixed_images *m)
{
    free(m->normal);
    *m = (mixed_images){.normal_count = 0};
}

static size_t half_of(const mixed_images *m)
{
    return m->normal_count > 1 ? m->normal_count / 2 : 1;
}

int64_t mixed_epoch_items(const mixed_images *m)
{
    return (int64_t)(m->normal_count + 2 * half_of(m));
}

typedef struct item {
    size_t image;
    mixed_slot slot;
} item;

static void list_items(item *out, const mixed_images *m, int64_t repeats, random_stream *stream)
{
    size_t real = m->defective_count > 0 ? half_of(m) : 0, damaged = 2 * half_of(m) - real;
    for (size_t i = 0; i < m->normal_count; ++i)
        *out++ = (item){m->normal[i], AS_IT_IS};
    for (size_t i = 0; i < real; ++i) {
        bool again = i < (size_t)repeats * m->defective_count;
        *out++ = (item){m->defective[i % m->defective_count], again ? AS_IT_IS : PASTED};
    }
    for (size_t i = 0; i < damaged; ++i)
        *out++ = (item){m->normal[random_below(stream, m->normal_count)], DAMAGED};
}

imiad_status mixed_epoch_draw(size_t *images, uint8_t *slots, size_t count, const mixed_images *m,
                              int64_t repeats, random_stream *stream)
{
    size_t items = (size_t)mixed_epoch_items(m);
    size_t *order = malloc(items * sizeof *order);
    item *list = malloc(items * sizeof *list);
    imiad_status status =
        order && list ? IMIAD_OK : fail_memory("an epoch", items * (sizeof *list + sizeof *order));
    if (status == IMIAD_OK) {
        list_items(list, m, repeats, stream);
        for (size_t i = 0; i < items; ++i)
            order[i] = i;
        random_shuffle(stream, order, items);
        for (size_t i = 0; i < count; ++i) {
            images[i] = list[order[i % items]].image;
            slots[i] = (uint8_t)list[order[i % items]].slot;
        }
    }
    free(order);
    free(list);
    return status;
}

/* ---- a step ---- */

/* The rows of a step whose images are as they are, or those that were made. */
static tensor *rows_of(const train_step *step, const uint8_t *slots, bool made, int64_t *count)
{
    int64_t rows[MOST_BATCH];
    *count = 0;
    for (int64_t i = 0; i < step->count; ++i)
        if ((slots[i] != AS_IT_IS) == made)
            rows[(*count)++] = i;
    return t_to_device(t_from(rows, 1, count, I64, CPU), t_device(step->masks));
}

void mixed_gather(tensor **features, tensor **masks, imiad_detector *self, const train_step *step,
                  const uint8_t *slots, int maps,
                  void (*read)(imiad_detector *self, const batch *b, tensor **out))
{
    int64_t kept, made;
    tensor *as_they_are = rows_of(step, slots, false, &kept);
    tensor *drawn = rows_of(step, slots, true, &made);
    tensor *found[FROZEN_TENSORS];
    for (int i = 0; i < maps; ++i)
        features[i] = made ? t_index_select(step->frozen[i], 0, as_they_are) : step->frozen[i];
    *masks = made ? t_index_select(step->masks, 0, as_they_are) : step->masks;
    if (made == 0)
        return;
    const batch b = {.images = t_index_select(step->made[0], 0, drawn),
                     .count = made,
                     .height = step->pixels.height,
                     .width = step->pixels.width};
    read(self, &b, found);
    for (int i = 0; i < maps; ++i)
        features[i] = t_cat((tensor *[]){features[i], found[i]}, 2, 0);
    *masks = t_cat((tensor *[]){*masks, t_index_select(step->made[1], 0, drawn)}, 2, 0);
}
