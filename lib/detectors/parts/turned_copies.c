#include "detectors/parts/turned_copies.h"

#include <stdlib.h>

#include "base/error.h"

size_t turned_copies_of(const imiad_detector *self, const train_set *normals, size_t copies)
{
    size_t most = (size_t)options_int(self->options, "rotate_up_to");
    return most == 0 || train_set_count(normals) <= most ? copies : 1;
}

imiad_status turned_copies_begin(train_set *normals, const train_maker *maker, size_t copies,
                                 int64_t epoch)
{
    size_t count = train_set_count(normals) * copies, *order = malloc(count * sizeof *order);
    if (!order)
        return fail_memory("an order of images", count * sizeof *order);
    for (size_t i = 0; i < count; ++i)
        order[i] = i / copies;
    const train_pass pass = {order, count, 0, maker, epoch};
    imiad_status status = train_set_begin(normals, &pass);
    free(order);
    return status;
}
