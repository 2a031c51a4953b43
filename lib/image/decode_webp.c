/* WebP through libwebp, which Pillow uses too. */
#include "image/decode.h"

#include <webp/decode.h>

#include "base/error.h"
#include "image/pixels.h"

static imiad_status look(WebPBitstreamFeatures *found, const encoded_image *e)
{
    VP8StatusCode code = WebPGetFeatures(e->bytes, e->size, found);
    if (code == VP8_STATUS_NOT_ENOUGH_DATA)
        return fail_decoding(e, "the WebP is truncated after %zu bytes", e->size);
    if (code != VP8_STATUS_OK)
        return fail_decoding(e, "the WebP's header is damaged");
    if (found->has_animation)
        return fail_decoding(e, "an animated WebP is no photograph");
    return check_encoded_size(e, found->width, found->height);
}

imiad_status webp_size(int64_t *width, int64_t *height, const encoded_image *e)
{
    WebPBitstreamFeatures found;
    TRY(look(&found, e));
    *width = found.width;
    *height = found.height;
    return IMIAD_OK;
}

/* Alpha is dropped, not blended, as everywhere. */
imiad_status decode_webp(imiad_image **out, const encoded_image *e)
{
    WebPBitstreamFeatures found;
    TRY(look(&found, e));
    imiad_image *image;
    TRY(image_create(&image, IMIAD_PIXEL_RGB8, found.width, found.height));
    size_t bytes = image->stride * (size_t)image->height;
    if (!WebPDecodeRGBInto(e->bytes, e->size, image->pixels, bytes, (int)image->stride)) {
        imiad_image_free(image);
        return fail_decoding(e, "the WebP is truncated or damaged");
    }
    *out = image;
    return IMIAD_OK;
}
