#include "detectors/parts/mixed_epoch.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "synthesis/defect_paste.h"

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

/* Fills the places with `items` in random order, and begins anew. */
static imiad_status scatter(size_t *images, uint8_t *slots, size_t count, const item *list,
                            size_t items, random_stream *stream)
{
    size_t *order = malloc(items * sizeof *order);
    if (!order)
        return fail_memory("an epoch", items * sizeof *order);
    for (size_t i = 0; i < items; ++i)
        order[i] = i;
    random_shuffle(stream, order, items);
    for (size_t i = 0; i < count; ++i) {
        images[i] = list[order[i % items]].image;
        slots[i] = (uint8_t)list[order[i % items]].slot;
    }
    free(order);
    return IMIAD_OK;
}

imiad_status mixed_epoch_draw(size_t *images, uint8_t *slots, size_t count, const mixed_images *m,
                              int64_t repeats, random_stream *stream)
{
    size_t items = (size_t)mixed_epoch_items(m);
    item *list = malloc(items * sizeof *list);
    if (!list)
        return fail_memory("an epoch", items * sizeof *list);
    list_items(list, m, repeats, stream);
    imiad_status status = scatter(images, slots, count, list, items, stream);
    free(list);
    return status;
}

int64_t mixed_repeated_items(const mixed_images *m, int64_t repeats)
{
    return (int64_t)m->normal_count + repeats * (int64_t)m->defective_count;
}

imiad_status mixed_repeated_draw(size_t *images, uint8_t *slots, size_t count,
                                 const mixed_images *m, int64_t repeats, int64_t pasted,
                                 random_stream *stream)
{
    size_t items = (size_t)mixed_repeated_items(m, repeats);
    item *list = malloc(items * sizeof *list), *at = list;
    if (!list)
        return fail_memory("an epoch", items * sizeof *list);
    for (size_t i = 0; i < m->normal_count; ++i)
        *at++ = (item){m->normal[i], AS_IT_IS};
    for (size_t i = 0; i < m->defective_count; ++i)
        for (int64_t k = 0; k < repeats; ++k)
            *at++ = (item){m->defective[i], k < repeats - pasted ? AS_IT_IS : PASTED};
    imiad_status status = scatter(images, slots, count, list, items, stream);
    free(list);
    return status;
}

/* ---- what is pasted ---- */

imiad_status mixed_paste(made_output *out, const made_from *from, const mixed_images *m,
                         bool anywhere)
{
    const imiad_image *normal;
    imiad_image *image, *mask;
    random_stream s = made_stream(from, "paste");
    if (!from->mask)
        return IMIAD_OK; /* the step fails for it, and names the image */
    TRY(made_other(&normal, NULL, from, m->normal[random_below(&s, m->normal_count)]));
    TRY(defect_paste_changed(&image, &mask, normal, from->image, from->mask, anywhere, &s));
    mixed_hand_over(out, image, mask);
    return IMIAD_OK;
}

void mixed_hand_over(made_output *out, imiad_image *image, imiad_image *mask)
{
    size_t pixels = (size_t)out[0].width * (size_t)out[0].height;
    memcpy(out[0].bytes, image->pixels, 3 * pixels);
    memcpy(out[1].bytes, mask->pixels, pixels);
    imiad_image_free(image);
    imiad_image_free(mask);
}

/* ---- a step ---- */

bool mixed_any_made(const uint8_t *slots, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        if (slots[i] != AS_IT_IS)
            return true;
    return false;
}

/* The rows of a step whose images are as they are, and behind them those that were made; and where
 * each row of the step is among them. */
typedef struct row_order {
    int64_t rows[MOST_BATCH], places[MOST_BATCH], kept;
} row_order;

static void order_rows(row_order *out, const train_step *step, const uint8_t *slots)
{
    int64_t next = 0;
    for (int made = 0; made < 2; ++made) {
        for (int64_t i = 0; i < step->count; ++i)
            if ((slots[i] != AS_IT_IS) == made) {
                out->places[i] = next;
                out->rows[next++] = i;
            }
        if (!made)
            out->kept = next;
    }
}

static tensor *select_rows(tensor *t, const int64_t *rows, int64_t count)
{
    return t_index_select(t, 0, t_to_device(t_from(rows, 1, &count, I64, CPU), t_device(t)));
}

/* Rows of the one that are kept, then all of the other, in the step's order. */
static tensor *mix(tensor *as_they_are, tensor *made, const row_order *order, int64_t count)
{
    tensor *kept = select_rows(as_they_are, order->rows, order->kept);
    return select_rows(t_cat((tensor *[]){kept, made}, 2, 0), order->places, count);
}

void mixed_gather(tensor **features, tensor **masks, imiad_detector *self, const train_step *step,
                  const uint8_t *slots, int maps,
                  void (*read)(imiad_detector *self, const batch *b, tensor **out))
{
    row_order order;
    tensor *found[FROZEN_TENSORS];
    order_rows(&order, step, slots);
    const int64_t *drawn = order.rows + order.kept, made = step->count - order.kept;
    *masks = step->masks;
    for (int i = 0; i < maps; ++i)
        features[i] = step->frozen[i];
    if (!mixed_any_made(slots, step->count))
        return;
    const batch b = {.images = select_rows(step->made[0], drawn, made),
                     .count = made,
                     .height = step->pixels.height,
                     .width = step->pixels.width};
    read(self, &b, found);
    for (int i = 0; i < maps; ++i)
        features[i] = mix(step->frozen[i], found[i], &order, step->count);
    *masks = mix(step->masks, select_rows(step->made[1], drawn, made), &order, step->count);
}
