/* Ways to draw batches, for training_ops.draw. */
#include <stdlib.h>

#include "base/error.h"
#include "detectors/training/training.h"

/* An endless row of some images, shuffled anew whenever it ends. */
typedef struct row {
    size_t *images;
    size_t count, next;
} row;

static size_t next_of(row *r, random_stream *stream)
{
    if (r->next == 0)
        random_shuffle(stream, r->images, r->count);
    size_t image = r->images[r->next];
    r->next = (r->next + 1) % r->count;
    return image;
}

imiad_status training_draw_balanced(const train_plan *plan, random_stream *stream, size_t *out)
{
    row rows[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    size_t *images = malloc((plan->count + 1) * sizeof *images);
    if (!images)
        return fail_memory("a draw of images", plan->count * sizeof *images);
    for (int label = 0; label < 2; ++label) {
        rows[label].images = label ? images + rows[0].count : images;
        for (size_t i = 0; i < plan->count; ++i)
            if (train_set_image(plan->set, plan->images[i]).label == label)
                rows[label].images[rows[label].count++] = plan->images[i];
    }
    for (int64_t step = 0; step < plan->steps; ++step)
        for (int64_t i = 0; i < plan->batch; ++i) {
            int label = i >= (plan->batch + 1) / 2;
            if (rows[label].count == 0)
                label = !label;
            *out++ = next_of(&rows[label], stream);
        }
    free(images);
    return IMIAD_OK;
}

imiad_status training_draw_replaced(const train_plan *plan, random_stream *stream, size_t *out)
{
    for (int64_t i = 0; i < plan->steps * plan->batch; ++i)
        out[i] = plan->images[random_below(stream, plan->count)];
    return IMIAD_OK;
}

/* The n-th image of a category, or with n beyond them all how many there are. */
static size_t find_in_category(const train_plan *plan, int32_t category, size_t n, size_t *image)
{
    size_t found = 0;
    for (size_t i = 0; i < plan->count; ++i)
        if (train_set_image(plan->set, plan->images[i]).category == category && found++ == n)
            *image = plan->images[i];
    return found;
}

imiad_status training_draw_pairs(const train_plan *plan, random_stream *stream, size_t *out)
{
    int64_t total = plan->steps * plan->batch;
    for (int64_t i = 0; i < total; i += 2) {
        size_t first = plan->images[random_below(stream, plan->count)], second = first;
        int32_t category = train_set_image(plan->set, first).category;
        size_t alike = find_in_category(plan, category, SIZE_MAX, &second);
        while (alike > 1 && second == first)
            find_in_category(plan, category, random_below(stream, alike), &second);
        out[i] = first;
        if (i + 1 < total)
            out[i + 1] = second;
    }
    return IMIAD_OK;
}
