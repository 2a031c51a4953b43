#include "image/decode.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/files.h"
#include "image/pixels.h"

/* ---- formats ---- */

#ifndef IMIAD_LIBTIFF
static imiad_status no_tiff(imiad_image **out, const encoded_image *e)
{
    return fail(IMIAD_UNSUPPORTED, "cannot decode %s: this library was built without TIFF",
                e->name);
}
#define decode_tiff no_tiff
#endif

#ifndef IMIAD_LIBWEBP
static imiad_status no_webp(imiad_image **out, const encoded_image *e)
{
    return fail(IMIAD_UNSUPPORTED, "cannot decode %s: this library was built without WebP",
                e->name);
}
#define decode_webp no_webp
#endif

static const struct codec {
    const char *signature;
    size_t length;
    imiad_status (*decode)(imiad_image **out, const encoded_image *e);
} codecs[] = {
    {"\x89PNG\r\n\x1a\n", 8, decode_png},
    {"\xff\xd8\xff", 3, decode_jpeg},
    {"BM", 2, decode_bmp},
    {"II*\0", 4, decode_tiff},
    {"MM\0*", 4, decode_tiff},
    {"II+\0", 4, decode_tiff}, /* more than 4 GB */
    {"MM\0+", 4, decode_tiff},
    {"RIFF", 4, decode_webp},
    {"P1", 2, decode_pnm},
    {"P2", 2, decode_pnm},
    {"P3", 2, decode_pnm},
    {"P4", 2, decode_pnm},
    {"P5", 2, decode_pnm},
    {"P6", 2, decode_pnm},
};

static const char *const extensions[] = {
    ".png",  ".jpg",  ".jpeg", ".jpe", ".jfif", ".bmp", ".pbm", ".pgm", ".ppm", ".pnm",
#ifdef IMIAD_LIBTIFF
    ".tif",  ".tiff",
#endif
#ifdef IMIAD_LIBWEBP
    ".webp",
#endif
};

static const char *extension_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot : "";
}

bool image_has_name(const char *name)
{
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; ++i)
        if (strcasecmp(extension_of(name), extensions[i]) == 0)
            return true;
    return false;
}

const char *image_name_problem(const char *name)
{
    const char *extension = extension_of(name);
    if (strcasecmp(extension, ".tif") == 0 || strcasecmp(extension, ".tiff") == 0)
        return "this library was built without TIFF";
    if (strcasecmp(extension, ".webp") == 0)
        return "this library was built without WebP";
    return "it is no image file of a format that is read";
}

/* ---- decoding ---- */

static imiad_status check_options(const imiad_decode_options *o)
{
    if (!isfinite(o->low) || !isfinite(o->high) || o->low > o->high)
        return fail(IMIAD_INVALID_ARGUMENT, "decoding: the range is %g..%g", o->low, o->high);
    return IMIAD_OK;
}

static imiad_status decode(imiad_image **out, const encoded_image *e)
{
    if (e->size == 0)
        return fail_decoding(e, "it is empty");
    if (e->size > INT_MAX)
        return fail_decoding(e, "it has %zu bytes; at most %d are read", e->size, INT_MAX);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; ++i) {
        size_t length = codecs[i].length < e->size ? codecs[i].length : e->size;
        if (memcmp(e->bytes, codecs[i].signature, length) == 0)
            return codecs[i].decode(out, e);
    }
    return fail_decoding(e, "it is no image of a format that is read");
}

imiad_status image_decode(imiad_image **out, const void *bytes, size_t size, const char *name,
                          const imiad_decode_options *options)
{
    imiad_decode_options o = IMIAD_DECODE_OPTIONS_INIT;
    TRY(struct_read(&o, sizeof o, options, offsetof(imiad_decode_options, deep),
                    "decoding: the options"));
    TRY(check_options(&o));
    deep_range range = {.low = o.low, .high = o.high, .deep = o.deep != 0};
    encoded_image e = {bytes, size, name, &range};
    imiad_image *image = NULL;
    imiad_status status = decode(&image, &e);
    if (status == IMIAD_OK)
        deep_warn(&e);
    if (status == IMIAD_OK && o.upright)
        status = image_turn(&image, image_orientation(&e));
    free(range.values);
    if (status == IMIAD_OK)
        *out = image;
    return status;
}

imiad_status imiad_image_decode(imiad_image **out, const void *bytes, size_t size,
                                const imiad_decode_options *options)
{
    if (!out || (!bytes && size > 0))
        return fail(IMIAD_INVALID_ARGUMENT, "decoding an image: %s is NULL", out ? "bytes" : "out");
    return image_decode(out, bytes, size, "an image in memory", options);
}

imiad_status imiad_image_read_with(imiad_image **out, const char *path,
                                   const imiad_decode_options *options)
{
    if (!out || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "reading an image: %s is NULL", out ? "path" : "out");
    file_view view;
    TRY(file_read_briefly(&view, path));
    imiad_status status = image_decode(out, view.bytes, view.size, path, options);
    file_unmap(&view);
    return status;
}

imiad_status imiad_image_read(imiad_image **out, const char *path)
{
    return imiad_image_read_with(out, path, NULL);
}
