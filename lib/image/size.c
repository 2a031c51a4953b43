/* How large an image is, from its file's first bytes. */
#include "image/decode.h"

#include <string.h>

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

static bool begins_with(const encoded_image *e, const char *text, size_t length)
{
    return e->size >= length && memcmp(e->bytes, text, length) == 0;
}

static imiad_status find_size(int64_t *across, int64_t *down, const encoded_image *e)
{
    bool found = false;
    if (begins_with(e, "\x89P", 2))
        found = size_of_png(across, down, e);
    else if (begins_with(e, "\xff\xd8", 2))
        found = size_of_jpeg(across, down, e);
    else if (begins_with(e, "BM", 2))
        found = size_of_bmp(across, down, e);
    else if (e->size >= 2 && e->bytes[0] == 'P' && e->bytes[1] >= '1' && e->bytes[1] <= '6')
        return pnm_size(across, down, e);
#ifdef IMIAD_LIBTIFF
    else if (begins_with(e, "II", 2) || begins_with(e, "MM", 2))
        return tiff_size(across, down, e);
#endif
#ifdef IMIAD_LIBWEBP
    else if (begins_with(e, "RIFF", 4))
        return webp_size(across, down, e);
#endif
    if (!found)
        return fail_decoding(e, "no header of a format that is read says its size in %zu bytes",
                             e->size);
    return IMIAD_OK;
}

/* From the file's first bytes; *all says whether these are the whole file. */
static imiad_status size_in_begin(int32_t *width, int32_t *height, bool *all, const char *path,
                                  size_t most, const imiad_decode_options *options)
{
    file_view view;
    int64_t across = 0, down = 0;
    TRY(file_read_begin(&view, path, most));
    *all = view.size < most;
    encoded_image e = {view.bytes, view.size, path, NULL};
    imiad_status status = find_size(&across, &down, &e);
    if (status == IMIAD_OK)
        status = check_encoded_size(&e, across, down);
    bool exchanged = status == IMIAD_OK && options && options->upright && image_orientation(&e) > 4;
    file_unmap(&view);
    TRY(status);
    *width = (int32_t)(exchanged ? down : across);
    *height = (int32_t)(exchanged ? across : down);
    return IMIAD_OK;
}

/* The first bytes say it, but where much else stands before the frame header of a JPEG or the
 * directory of a TIFF, or the orientation may be anywhere. */
imiad_status image_file_size(int32_t *width, int32_t *height, const char *path,
                             const imiad_decode_options *options)
{
    enum { FIRST = 1 << 16 };
    bool all = false;
    imiad_status status = IMIAD_FORMAT;
    if (!options || !options->upright)
        status = size_in_begin(width, height, &all, path, FIRST, options);
    return status == IMIAD_FORMAT && !all
               ? size_in_begin(width, height, &all, path, SIZE_MAX, options)
               : status;
}
