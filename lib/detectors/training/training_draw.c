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

/* The row of one label, in its own memory. */
static imiad_status row_of(row *out, const train_plan *plan, int32_t label)
{
    *out = (row){malloc((plan->count + 1) * sizeof *out->images), 0, 0};
    if (!out->images)
        return fail_memory("a draw of images", plan->count * sizeof *out->images);
    for (size_t i = 0; i < plan->count; ++i)
        if (train_set_image(plan->set, plan->images[i]).label == label)
            out->images[out->count++] = plan->images[i];
    return out->count > 0 ? IMIAD_OK
                          : fail(IMIAD_INTERNAL, "a draw of images: none has the label %d", label);
}

imiad_status training_draw_parts(const train_plan *plan, const draw_part *parts, size_t count,
                                 random_stream *stream, size_t *out)
{
    row *rows = calloc(count + 1, sizeof *rows);
    if (!rows)
        return fail_memory("a draw of images", count * sizeof *rows);
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i)
        status = row_of(&rows[i], plan, parts[i].label);
    for (int64_t step = 0; status == IMIAD_OK && step < plan->steps; ++step)
        for (size_t i = 0; i < count; ++i)
            for (int64_t k = 0; k < parts[i].count; ++k)
                *out++ = next_of(&rows[i], stream);
    for (size_t i = 0; i < count; ++i)
        free(rows[i].images);
    free(rows);
    return status;
}

imiad_status training_draw_balanced(const train_plan *plan, random_stream *stream, size_t *out)
{
    size_t defective = 0;
    for (size_t i = 0; i < plan->count; ++i)
        defective += train_set_image(plan->set, plan->images[i]).label == 1;
    const draw_part halves[] = {{0, (plan->batch + 1) / 2}, {1, plan->batch / 2}};
    const draw_part all = {defective > 0, plan->batch};
    if (defective == 0 || defective == plan->count)
        return training_draw_parts(plan, &all, 1, stream, out);
    return training_draw_parts(plan, halves, 2, stream, out);
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
