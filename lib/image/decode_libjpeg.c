/* JPEG through libjpeg: libjpeg-turbo's accurate integer transform is the one Pillow shows. */
#include "image/decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/error.h"
#include "image/pixels.h"

/* Real files have about ten scans; a hostile one could ask for a full pass over the image each time
 * with a few bytes. */
enum { SCANS_MAX = 100 };

typedef struct jpeg_reader {
    struct jpeg_decompress_struct libjpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    const encoded_image *encoded;
    imiad_image *image;
} jpeg_reader;

static void give_up(j_common_ptr common)
{
    jpeg_reader *reader = common->client_data;
    char reason[JMSG_LENGTH_MAX];
    common->err->format_message(common, reason);
    fail_decoding(reader->encoded, "%s", reason);
    longjmp(reader->failed, 1);
}

/* Warnings after which pixels are guessed. Others (an unknown JFIF revision, stray bytes between
 * segments) lose nothing. */
static void judge_message(j_common_ptr common, int level)
{
    static const int losses[] = {JWRN_ARITH_BAD_CODE, JWRN_BOGUS_PROGRESSION, JWRN_HIT_MARKER,
                                 JWRN_HUFF_BAD_CODE,  JWRN_JPEG_EOF,          JWRN_MUST_RESYNC,
                                 JWRN_NOT_SEQUENTIAL};
    if (level >= 0)
        return;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; ++i)
        if (common->err->msg_code == losses[i])
            give_up(common);
}

static void count_scans(j_common_ptr common)
{
    jpeg_reader *reader = common->client_data;
    if (reader->libjpeg.input_scan_number <= SCANS_MAX)
        return;
    fail_decoding(reader->encoded, "the JPEG has more than %d scans", SCANS_MAX);
    longjmp(reader->failed, 1);
}

/* a * b / 255, rounded as Pillow does. */
static inline uint8_t multiply(int a, int b)
{
    int product = a * b + 128;
    return (uint8_t)(((product >> 8) + product) >> 8);
}

/* Adobe's programs store ink inverted, 255 for none, and all others follow them. */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        for (int c = 0; c < 3; ++c)
            rgb[3 * i + (size_t)c] =
                (uint8_t)(cmyk[4 * i + 3] -
                          multiply(255 - cmyk[4 * i + (size_t)c], cmyk[4 * i + 3]));
}

static void read_rows(jpeg_reader *reader, bool cmyk)
{
    struct jpeg_decompress_struct *libjpeg = &reader->libjpeg;
    JSAMPARRAY inks = NULL; /* libjpeg's own memory */
    if (cmyk)
        inks = libjpeg->mem->alloc_sarray((j_common_ptr)libjpeg, JPOOL_IMAGE,
                                          4 * libjpeg->output_width, 1);
    while (libjpeg->output_scanline < libjpeg->output_height) {
        JSAMPROW row = image_row(reader->image, (int32_t)libjpeg->output_scanline);
        jpeg_read_scanlines(libjpeg, cmyk ? inks : &row, 1);
        if (cmyk)
            cmyk_to_rgb(row, inks[0], libjpeg->output_width);
    }
}

static imiad_status read_pixels(jpeg_reader *reader, const encoded_layout *l)
{
    const encoded_image *e = reader->encoded;
    struct jpeg_decompress_struct *libjpeg = &reader->libjpeg;
    jpeg_mem_src(libjpeg, e->bytes, (unsigned long)e->size);
    jpeg_read_header(libjpeg, TRUE);
    if (libjpeg->image_width != l->width || libjpeg->image_height != l->height)
        return fail_decoding(e, "the JPEG's headers disagree about its size");
    libjpeg->out_color_space = l->gray ? JCS_GRAYSCALE : l->cmyk ? JCS_CMYK : JCS_RGB;
    libjpeg->dct_method = JDCT_ISLOW;
    libjpeg->do_fancy_upsampling = TRUE;
    jpeg_start_decompress(libjpeg);
    TRY(image_create(&reader->image, l->gray ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8, l->width,
                     l->height));
    read_rows(reader, l->cmyk);
    jpeg_finish_decompress(libjpeg);
    return IMIAD_OK;
}

imiad_status decode_with_libjpeg(imiad_image **out, const encoded_image *e, const encoded_layout *l)
{
    jpeg_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return fail_memory("a JPEG decoder", sizeof *reader);
    reader->encoded = e;
    reader->libjpeg.err = jpeg_std_error(&reader->errors);
    reader->libjpeg.client_data = reader;
    reader->errors.error_exit = give_up;
    reader->errors.emit_message = judge_message;
    volatile imiad_status status = IMIAD_FORMAT;
    if (setjmp(reader->failed) == 0) {
        jpeg_create_decompress(&reader->libjpeg);
        reader->progress.progress_monitor = count_scans;
        reader->libjpeg.progress = &reader->progress;
        status = read_pixels(reader, l);
    }
    jpeg_destroy_decompress(&reader->libjpeg);
    if (status == IMIAD_OK)
        *out = reader->image;
    else
        imiad_image_free(reader->image);
    free(reader);
    return status;
}
