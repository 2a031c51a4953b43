/* stb_image, compiled here and reachable only through decode_with_stb. */
#include "image/decode.h"

#include <stdlib.h>

#include "base/error.h"
#include "image/pixels.h"

/* What the calling thread's decoding may allocate at once: a small file can claim to unpack into
 * gigabytes. Set at the beginning of each call. */
static _Thread_local uint64_t budget;

static void *allocate(size_t bytes)
{
    return bytes <= budget ? malloc(bytes) : NULL;
}

static void *reallocate(void *old, size_t bytes)
{
    return bytes <= budget ? realloc(old, bytes) : NULL;
}

#define STBI_MALLOC(bytes)       allocate(bytes)
#define STBI_REALLOC(old, bytes) reallocate(old, bytes)
#define STBI_FREE(old)           free(old)
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
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
    budget = l->budget;
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
