#include "detectors/parts/random_rotation.h"

#include <string.h>

#include "base/error.h"
#include "image/augment.h"
#include "image/pixels.h"

imiad_status random_rotation_put(made_output *out, const imiad_image *image, double most,
                                 random_stream *stream)
{
    imiad_image *turned;
    size_t row = 3 * (size_t)out->width;
    double degrees = random_between(stream, -most, most);
    const augmentation a = {AUGMENT_ROTATION, {augment_value(degrees)}};
    TRY(augment_image(&turned, image, &a));
    for (int32_t y = 0; y < out->height; ++y)
        memcpy(out->bytes + (size_t)y * row, image_row(turned, y), row);
    imiad_image_free(turned);
    return IMIAD_OK;
}
