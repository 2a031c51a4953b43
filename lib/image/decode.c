#include "image/decode.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "image/pixels.h"

static const struct codec {
    const char *signature;
    size_t length;
    imiad_status (*decode)(imiad_image **out, const encoded_image *e);
} codecs[] = {
    {"\x89PNG\r\n\x1a\n", 8, decode_png},
    {"\xff\xd8\xff", 3, decode_jpeg},
    {"BM", 2, decode_bmp},
};

imiad_status image_decode(imiad_image **out, const void *bytes, size_t size, const char *name)
{
    encoded_image e = {bytes, size, name};
    if (size == 0)
        return fail_decoding(&e, "it is empty");
    if (size > INT_MAX)
        return fail_decoding(&e, "it has %zu bytes; at most %d are read", size, INT_MAX);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; ++i) {
        size_t length = codecs[i].length < size ? codecs[i].length : size;
        if (memcmp(bytes, codecs[i].signature, length) == 0)
            return codecs[i].decode(out, &e);
    }
    return fail_decoding(&e, "it is not a PNG, JPEG or BMP image");
}

imiad_status imiad_image_read(imiad_image **out, const char *path)
{
    if (!out || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "reading an image: %s is NULL", out ? "path" : "out");
    file_view view;
    TRY(file_map(&view, path));
    imiad_status status = image_decode(out, view.bytes, view.size, path);
    file_unmap(&view);
    return status;
}
