/* How large an image is, from its file's first bytes. */
#include "image/decode.h"

#include "base/error.h"
#include "base/files.h"

static int64_t big_endian(const uint8_t *bytes, int count)
{
    int64_t value = 0;
    for (int i = 0; i < count; ++i)
        value = value << 8 | bytes[i];
    return value;
}

static int64_t little_endian(const uint8_t *bytes, int count)
{
    int64_t value = 0;
    for (int i = count - 1; i >= 0; --i)
        value = value << 8 | bytes[i];
    return value;
}

/* ISO/IEC 15948, 11.2.2: the header is the first chunk. */
static bool size_of_png(int64_t *width, int64_t *height, const encoded_image *e)
{
    if (e->size < 24)
        return false;
    *width = big_endian(e->bytes + 16, 4);
    *height = big_endian(e->bytes + 20, 4);
    return true;
}

/* ITU-T T.81, B.1.1: from segment to segment up to the frame header. */
static bool size_of_jpeg(int64_t *width, int64_t *height, const encoded_image *e)
{
    for (size_t at = 2; at + 9 <= e->size;) {
        const uint8_t *segment = e->bytes + at;
        if (segment[0] != 0xFF)
            return false;
        if (segment[1] == 0xFF) { /* fill */
            ++at;
            continue;
        }
        bool frame = segment[1] >= 0xC0 && segment[1] <= 0xCF && segment[1] != 0xC4 &&
                     segment[1] != 0xC8 && segment[1] != 0xCC;
        if (frame) {
            *height = big_endian(segment + 5, 2);
            *width = big_endian(segment + 7, 2);
            return true;
        }
        at += 2 + (size_t)big_endian(segment + 2, 2);
    }
    return false;
}

/* The core header of OS/2 has sizes of 16 bits; negative heights list the top row first. */
static bool size_of_bmp(int64_t *width, int64_t *height, const encoded_image *e)
{
    if (e->size < 26)
        return false;
    bool core = little_endian(e->bytes + 14, 4) == 12;
    *width = little_endian(e->bytes + 18, core ? 2 : 4);
    *height =
        core ? little_endian(e->bytes + 20, 2) : (int64_t)(int32_t)little_endian(e->bytes + 22, 4);
    if (*height < 0)
        *height = -*height;
    return true;
}

static imiad_status find_size(int32_t *width, int32_t *height, const encoded_image *e)
{
    int64_t across = 0, down = 0;
    bool found = false;
    if (e->size >= 8 && e->bytes[0] == 0x89 && e->bytes[1] == 'P')
        found = size_of_png(&across, &down, e);
    else if (e->size >= 3 && e->bytes[0] == 0xFF && e->bytes[1] == 0xD8)
        found = size_of_jpeg(&across, &down, e);
    else if (e->size >= 2 && e->bytes[0] == 'B' && e->bytes[1] == 'M')
        found = size_of_bmp(&across, &down, e);
    if (!found)
        return fail_decoding(e, "no PNG, JPEG or BMP header of %zu bytes says its size", e->size);
    TRY(check_encoded_size(e, across, down));
    *width = (int32_t)across;
    *height = (int32_t)down;
    return IMIAD_OK;
}

imiad_status image_file_size(int32_t *width, int32_t *height, const char *path)
{
    file_view view;
    TRY(file_map(&view, path));
    imiad_status status = find_size(width, height, &(encoded_image){view.bytes, view.size, path});
    file_unmap(&view);
    return status;
}
