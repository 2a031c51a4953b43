/* PNM: the six kinds of netpbm's pbm, pgm and ppm, as text and as bytes, up to 16 bits a sample. */
#include "image/decode.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

typedef struct pnm_file {
    const encoded_image *encoded;
    size_t at;
    int64_t width, height, top; /* top: the largest value */
    int channels, bytes;        /* of a sample in the image */
    bool bitmap, text;
} pnm_file;

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* White space, and comments from # to the end of their line. */
static void skip_space(pnm_file *p)
{
    const encoded_image *e = p->encoded;
    bool comment = false;
    for (; p->at < e->size; ++p->at) {
        uint8_t byte = e->bytes[p->at];
        if (comment)
            comment = byte != '\n' && byte != '\r';
        else if (byte == '#')
            comment = true;
        else if (!is_space(byte))
            return;
    }
}

static imiad_status read_number(int64_t *out, pnm_file *p)
{
    const encoded_image *e = p->encoded;
    skip_space(p);
    size_t digits = 0;
    *out = 0;
    for (; p->at < e->size && e->bytes[p->at] >= '0' && e->bytes[p->at] <= '9'; ++p->at) {
        if (++digits > 9)
            return fail_decoding(e, "the PNM has a number of more than 9 digits at byte %zu",
                                 p->at);
        *out = 10 * *out + (e->bytes[p->at] - '0');
    }
    if (digits == 0)
        return fail_decoding(e,
                             p->at == e->size ? "the PNM is truncated after %zu bytes"
                                              : "the PNM has no number at byte %zu",
                             p->at);
    return IMIAD_OK;
}

static imiad_status read_header(pnm_file *p)
{
    const encoded_image *e = p->encoded;
    if (e->size < 3)
        return fail_decoding(e, "the PNM is truncated after %zu bytes", e->size);
    int kind = e->bytes[1] - '0';
    p->text = kind < 4;
    p->bitmap = kind % 3 == 1;
    p->channels = kind % 3 == 0 ? 3 : 1;
    p->at = 2;
    TRY(read_number(&p->width, p));
    TRY(read_number(&p->height, p));
    p->top = 1;
    if (!p->bitmap)
        TRY(read_number(&p->top, p));
    if (p->top < 1 || p->top > 65535)
        return fail_decoding(e, "the PNM's largest value is %lld; it must be in 1..65535",
                             (long long)p->top);
    TRY(check_encoded_size(e, p->width, p->height));
    if (!p->text) /* one byte of white space ends the header */
        ++p->at;
    return IMIAD_OK;
}

/* 255 is the largest, rounded as Pillow does. The largest value of more than 8 bits is the range of
 * its file, unless the caller knows better. */
static void put(uint8_t *out, const pnm_file *p, int64_t value)
{
    if (p->top > 255)
        deep_put(out, p->encoded->range, (unsigned)value);
    else
        *out = (uint8_t)lrint((double)value / (double)p->top * 255);
}

static imiad_status fail_large(const pnm_file *p, int64_t value)
{
    return fail_decoding(p->encoded, "the PNM has a value %lld above its largest, %lld",
                         (long long)value, (long long)p->top);
}

/* Digits of a bitmap need no space between them. 1 is black. */
static imiad_status read_text_value(uint8_t *out, pnm_file *p)
{
    const encoded_image *e = p->encoded;
    int64_t value;
    if (!p->bitmap) {
        TRY(read_number(&value, p));
        if (value > p->top)
            return fail_large(p, value);
        put(out, p, value);
        return IMIAD_OK;
    }
    skip_space(p);
    if (p->at == e->size || (e->bytes[p->at] != '0' && e->bytes[p->at] != '1'))
        return fail_decoding(e, "the PNM has neither 0 nor 1 at byte %zu", p->at);
    *out = e->bytes[p->at++] == '1' ? 0 : 255;
    return IMIAD_OK;
}

static imiad_status read_bytes_row(uint8_t *out, pnm_file *p)
{
    const uint8_t *in = p->encoded->bytes + p->at;
    int64_t count = p->width * p->channels;
    if (p->bitmap) {
        for (int64_t x = 0; x < count; ++x)
            out[x] = in[x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
        return IMIAD_OK;
    }
    bool wide = p->top > 255;
    if (p->top == 255) {
        memcpy(out, in, (size_t)count);
        return IMIAD_OK;
    }
    for (int64_t x = 0; x < count; ++x) {
        int64_t value = wide ? in[2 * x] << 8 | in[2 * x + 1] : in[x];
        if (value > p->top)
            return fail_large(p, value);
        put(out + x * p->bytes, p, value);
    }
    return IMIAD_OK;
}

static int64_t bytes_of_row(const pnm_file *p)
{
    return p->bitmap ? (p->width + 7) / 8 : p->width * p->channels * (p->top > 255 ? 2 : 1);
}

static imiad_status check_amount(const pnm_file *p)
{
    const encoded_image *e = p->encoded;
    int64_t needed = p->text ? p->width * p->channels * p->height : bytes_of_row(p) * p->height;
    if (p->at > e->size || (uint64_t)needed > e->size - p->at)
        return fail_decoding(e, "the PNM is truncated: %zu bytes for %lld x %lld pixels", e->size,
                             (long long)p->width, (long long)p->height);
    return IMIAD_OK;
}

static imiad_status read_row(uint8_t *out, pnm_file *p)
{
    if (!p->text) {
        TRY(read_bytes_row(out, p));
        p->at += (size_t)bytes_of_row(p);
        return IMIAD_OK;
    }
    for (int64_t x = 0; x < p->width * p->channels; ++x)
        TRY(read_text_value(out + x * p->bytes, p));
    return IMIAD_OK;
}

imiad_status pnm_size(int64_t *width, int64_t *height, const encoded_image *e)
{
    pnm_file p = {.encoded = e};
    TRY(read_header(&p));
    *width = p.width;
    *height = p.height;
    return IMIAD_OK;
}

imiad_status decode_pnm(imiad_image **out, const encoded_image *e)
{
    pnm_file p = {.encoded = e};
    TRY(read_header(&p));
    TRY(check_amount(&p));
    if (p.top > 255)
        TRY(deep_prepare(e->range, p.channels == 1, (unsigned)p.top, 16));
    p.bytes = e->range->wide ? 2 : 1;
    imiad_image *image;
    TRY(image_create(&image, deep_format(e->range, p.channels == 1), p.width, p.height));
    imiad_status status = IMIAD_OK;
    for (int32_t y = 0; status == IMIAD_OK && y < image->height; ++y)
        status = read_row(image_row(image, y), &p);
    if (status == IMIAD_OK)
        *out = image;
    else
        imiad_image_free(image);
    return status;
}
