/* stb_image, compiled here and reachable only through decode_with_stb. */
#include "image/decode.h"

#include <stdlib.h>

#include "base/error.h"
#include "image/pixels.h"

#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
/* its warnings are its own: silenced for this file */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <stb/stb_image.h>

imiad_status decode_with_stb(imiad_image **out, const encoded_image *e, const encoded_layout *l)
{
    int width, height, channels, wanted = l->gray ? STBI_grey : STBI_rgb;
    uint8_t *pixels =
        stbi_load_from_memory(e->bytes, (int)e->size, &width, &height, &channels, wanted);
    if (!pixels)
        return fail_decoding(e, "%s", stbi_failure_reason());
    if (width != l->width || height != l->height) {
        free(pixels);
        return fail_decoding(e, "%d x %d pixels, though its header says %lld x %lld", width, height,
                             (long long)l->width, (long long)l->height);
    }
    return image_adopt(out, l->gray ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8, width, height, pixels);
}
