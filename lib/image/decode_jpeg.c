/* JPEG (ITU-T T.81). The file is walked from marker to marker first, so that one that lost its end
 * is refused whatever decodes it. */
#include "image/decode.h"

#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

enum {
    TEM = 0x01,
    SOF0 = 0xC0,
    DHT = 0xC4,
    JPG = 0xC8,
    DAC = 0xCC,
    SOF15 = 0xCF,
    RST0 = 0xD0,
    RST7 = 0xD7,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA
};

typedef struct jpeg_layout {
    encoded_layout layout;
    int components;
    bool arithmetic;
} jpeg_layout;

static imiad_status read_frame(jpeg_layout *jpeg, const encoded_image *e, int marker,
                               const uint8_t *segment, size_t length)
{
    if (jpeg->components)
        return fail_decoding(e, "the JPEG has two frames");
    if (length < 8)
        return fail_decoding(e, "the JPEG's frame header has %zu bytes", length);
    TRY(check_encoded_size(e, segment[5] << 8 | segment[6], segment[3] << 8 | segment[4]));
    jpeg->layout.width = segment[5] << 8 | segment[6];
    jpeg->layout.height = segment[3] << 8 | segment[4];
    jpeg->components = segment[7];
    jpeg->arithmetic = marker > JPG;
    jpeg->layout.gray = jpeg->components == 1;
    if (segment[2] != 8)
        return fail_decoding(e, "a JPEG of %d bits a sample; 8 are read", segment[2]);
    jpeg->layout.cmyk = jpeg->components == 4;
    if (jpeg->components != 1 && jpeg->components != 3 && jpeg->components != 4)
        return fail_decoding(e, "a JPEG of %d colours; grey, RGB and CMYK are read",
                             jpeg->components);
#ifndef IMIAD_LIBJPEG
    if (jpeg->layout.cmyk)
        return fail(IMIAD_UNSUPPORTED,
                    "cannot decode %s: CMYK, and this library was built without libjpeg", e->name);
#endif
    return IMIAD_OK;
}

/* Huffman tables (B.2.4.2): class and number, how many codes of 1 to 16 bits, their values. Some
 * decoders trust that there are at most 256. */
static imiad_status check_huffman(const encoded_image *e, const uint8_t *segment, size_t length)
{
    enum { COUNTS = 16 };
    for (size_t at = 2; at < length;) {
        size_t values = 0;
        for (size_t i = 1; i <= COUNTS && at + i < length; ++i)
            values += segment[at + i];
        at += 1 + COUNTS + values;
        if (values > 256 || at > length)
            return fail_decoding(e, "the JPEG is damaged: a Huffman table of %zu values", values);
    }
    return IMIAD_OK;
}

/* The next marker at or after `at`, and the byte after it; false at the end of the file. Bytes
 * before it, entropy-coded data among them, are passed over. */
static bool next_marker(int *marker, size_t *at, const encoded_image *e)
{
    for (;;) {
        const uint8_t *found = memchr(e->bytes + *at, 0xFF, e->size - *at);
        if (!found || found + 1 == e->bytes + e->size)
            return false;
        *at = (size_t)(found - e->bytes) + 1;
        *marker = e->bytes[*at];
        if (*marker == 0xFF) /* fill */
            continue;
        *at += 1;
        if (*marker != 0 && *marker != TEM && (*marker < RST0 || *marker > RST7))
            return true;
    }
}

static imiad_status check_jpeg(jpeg_layout *jpeg, const encoded_image *e)
{
    bool scanned = false;
    size_t at = 2; /* after SOI */
    for (;;) {
        int marker;
        if (!next_marker(&marker, &at, e))
            return fail_decoding(e, "the JPEG is truncated after %zu bytes", e->size);
        if (marker == EOI)
            break;
        if (marker == SOI)
            return fail_decoding(e, "the JPEG begins anew at byte %zu", at);
        const uint8_t *segment = e->bytes + at;
        if (e->size - at < 2)
            return fail_decoding(e, "the JPEG is truncated after %zu bytes", e->size);
        size_t length = (size_t)(segment[0] << 8 | segment[1]);
        if (length < 2 || length > e->size - at)
            return fail_decoding(e, "the JPEG is truncated after %zu bytes", e->size);
        if (marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC)
            TRY(read_frame(jpeg, e, marker, segment, length));
        if (marker == DHT)
            TRY(check_huffman(e, segment, length));
        scanned |= marker == SOS;
        at += length;
    }
    if (!jpeg->components || !scanned)
        return fail_decoding(e, "the JPEG has no image");
    return IMIAD_OK;
}

/* Huffman codes have at least one bit for each 8 x 8 block: a file with fewer is refused before
 * anything is allocated. */
static imiad_status check_amount(const jpeg_layout *jpeg, const encoded_image *e)
{
    uint64_t blocks = (uint64_t)jpeg->layout.width * (uint64_t)jpeg->layout.height / 64;
    if (!jpeg->arithmetic && blocks / 8 > e->size)
        return fail_decoding(e, "the JPEG has %zu bytes for %lld x %lld pixels", e->size,
                             (long long)jpeg->layout.width, (long long)jpeg->layout.height);
    return IMIAD_OK;
}

imiad_status decode_jpeg(imiad_image **out, const encoded_image *e)
{
    jpeg_layout jpeg = {.components = 0};
    if (e->size < 3)
        return fail_decoding(e, "the JPEG is truncated after %zu bytes", e->size);
    TRY(check_jpeg(&jpeg, e));
    TRY(check_amount(&jpeg, e));
#ifdef IMIAD_LIBJPEG
    return decode_with_libjpeg(out, e, &jpeg.layout);
#else
    return decode_with_stb(out, e, &jpeg.layout);
#endif
}
