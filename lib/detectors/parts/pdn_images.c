#include "detectors/parts/pdn_images.h"

#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "image/preprocess.h"
#include "synthesis/color_jitter.h"

static void put_bytes(made_output *out, const imiad_image *image, int32_t left, int32_t top)
{
    for (int32_t y = 0; y < out->height; ++y)
        memcpy(out->bytes + 3 * (size_t)y * (size_t)out->width,
               image_row(image, top + y) + 3 * (size_t)left, 3 * (size_t)out->width);
}

imiad_status pdn_make_jittered(made_output *out, const made_from *from, bool native)
{
    random_stream s = made_stream(from, "jitter");
    const imiad_image *seen = from->image;
    imiad_image *changed, *resized = NULL;
    imiad_status status = IMIAD_OK;
    if (native)
        TRY(made_native(&seen, from));
    TRY(image_to_rgb(&changed, seen));
    jitter_kind kind = (jitter_kind)random_below(&s, JITTER_HUE); /* any but the hue */
    color_change(changed, kind, random_between(&s, 0.8, 1.2));
    if (native)
        status = preprocess_image(&resized, changed, &from->detector->preprocessing);
    if (status == IMIAD_OK)
        put_bytes(out, native ? resized : changed, 0, 0);
    imiad_image_free(changed);
    imiad_image_free(resized);
    return status;
}

imiad_status pdn_make_penalty(made_output *out, const made_from *from, texture_source *images)
{
    random_stream s = made_stream(from, "penalty");
    imiad_image *drawn;
    TRY(texture_draw(&drawn, images, 2 * out->width, 2 * out->height, NULL, &s));
    if (random_real(&s) < 0.3)
        color_drop(drawn);
    put_bytes(out, drawn, out->width / 2, out->height / 2);
    imiad_image_free(drawn);
    return IMIAD_OK;
}
