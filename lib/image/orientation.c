/* Which way up an image is, by what its camera wrote (EXIF's tag 274), and turning it so. */
#include <string.h>

#include "base/error.h"
#include "image/decode.h"
#include "image/pixels.h"

enum { ORIENTATION = 274, SHORT = 3 };

/* ---- finding it ---- */

static uint32_t number(const uint8_t *bytes, int count, bool little)
{
    uint32_t value = 0;
    for (int i = 0; i < count; ++i)
        value = value << 8 | bytes[little ? count - 1 - i : i];
    return value;
}

/* The first directory of EXIF data, which is laid out as a TIFF is. */
static int read_exif(const uint8_t *exif, size_t size)
{
    if (size < 8 || (memcmp(exif, "II*\0", 4) != 0 && memcmp(exif, "MM\0*", 4) != 0))
        return 1;
    bool little = exif[0] == 'I';
    size_t at = number(exif + 4, 4, little);
    if (at > size - 2 || size - at < 2)
        return 1;
    size_t entries = number(exif + at, 2, little);
    for (at += 2; entries > 0 && size - at >= 12; at += 12, --entries)
        if (number(exif + at, 2, little) == ORIENTATION &&
            number(exif + at + 2, 2, little) == SHORT)
            return (int)number(exif + at + 8, 2, little);
    return 1;
}

static int orientation_of_jpeg(const encoded_image *e)
{
    for (size_t at = 2; e->size - at >= 10;) {
        const uint8_t *segment = e->bytes + at;
        size_t length = number(segment + 2, 2, false);
        if (segment[0] != 0xFF || segment[1] == 0xDA || length < 2 || length > e->size - at - 2)
            return 1;
        if (segment[1] == 0xE1 && length >= 8 && memcmp(segment + 4, "Exif\0\0", 6) == 0)
            return read_exif(segment + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

static int orientation_of_png(const encoded_image *e)
{
    for (size_t at = 8; e->size - at >= 12;) {
        size_t length = number(e->bytes + at, 4, false);
        if (length > e->size - at - 12)
            return 1;
        if (memcmp(e->bytes + at + 4, "eXIf", 4) == 0)
            return read_exif(e->bytes + at + 8, length);
        at += 12 + length;
    }
    return 1;
}

int image_orientation(const encoded_image *e)
{
    int found = 1;
    if (e->size > 12 && e->bytes[0] == 0xFF)
        found = orientation_of_jpeg(e);
    else if (e->size > 12 && e->bytes[0] == 0x89)
        found = orientation_of_png(e);
#ifdef IMIAD_LIBTIFF
    else if (e->size > 12 && (e->bytes[0] == 'I' || e->bytes[0] == 'M'))
        found = tiff_orientation(e);
#endif
    return found >= 1 && found <= 8 ? found : 1;
}

/* ---- turning ---- */

/* Where the pixel (x, y) of the turned image is in the stored one. */
static void find_stored(int32_t *sx, int32_t *sy, int orientation, int32_t x, int32_t y,
                        const imiad_image *stored)
{
    static const struct {
        bool across, right, bottom; /* exchanged; counted from the right, from the bottom */
    } ways[] = {{false, false, false}, {false, true, false}, {false, true, true},
                {false, false, true},  {true, false, false}, {true, false, true},
                {true, true, true},    {true, true, false}};
    int32_t along = ways[orientation - 1].across ? y : x;
    int32_t down = ways[orientation - 1].across ? x : y;
    *sx = ways[orientation - 1].right ? stored->width - 1 - along : along;
    *sy = ways[orientation - 1].bottom ? stored->height - 1 - down : down;
}

imiad_status image_turn(imiad_image **image, int orientation)
{
    imiad_image *stored = *image, *turned;
    bool across = orientation >= 5;
    if (orientation == 1)
        return IMIAD_OK;
    imiad_status status =
        image_create(&turned, stored->format, across ? stored->height : stored->width,
                     across ? stored->width : stored->height);
    size_t bytes = (size_t)pixel_bytes(stored->format);
    for (int32_t y = 0; status == IMIAD_OK && y < turned->height; ++y)
        for (int32_t x = 0; x < turned->width; ++x) {
            int32_t sx, sy;
            find_stored(&sx, &sy, orientation, x, y, stored);
            memcpy(image_row(turned, y) + bytes * (size_t)x,
                   image_row(stored, sy) + bytes * (size_t)sx, bytes);
        }
    imiad_image_free(stored);
    *image = status == IMIAD_OK ? turned : NULL;
    return status;
}
