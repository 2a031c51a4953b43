#include "synthesis/cut_paste.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/warp.h"

const cut_paste_options cut_paste_defaults = {.least_area = 0.02,
                                              .most_area = 0.15,
                                              .aspect = 0.3,
                                              .scar_width = {2, 16},
                                              .scar_height = {10, 25},
                                              .scar_rotation = 45,
                                              .jitter = 0.1};

/* ---- drawing ---- */

/* Where a piece fits, in whole pixels; before the image's edge where it is longer. */
static int32_t draw_place(int32_t side, double piece, random_stream *s)
{
    return (int32_t)(random_real(s) * (side - piece));
}

static int32_t fitting(double piece, int32_t side, bool may_exceed)
{
    int32_t pixels = (int32_t)rint(piece);
    pixels = pixels < 1 ? 1 : pixels;
    return may_exceed || pixels < side ? pixels : side;
}

cut cut_paste_draw_patch(int32_t width, int32_t height, const cut_paste_options *o,
                         random_stream *s)
{
    cut c = {.rotation = 0};
    double bound = o->aspect_drawn ? random_between(s, 0.1, 1) : o->aspect;
    double area = random_between(s, o->least_area, o->most_area) * width * height;
    double aspect = exp(random_between(s, log(bound), -log(bound)));
    c.width = fitting(sqrt(area * aspect), width, o->aspect_drawn);
    c.height = fitting(sqrt(area / aspect), height, o->aspect_drawn);
    c.from_y = draw_place(height, c.height, s);
    c.from_x = draw_place(width, c.width, s);
    c.jitter = color_jitter_draw(o->jitter, s);
    c.to_y = draw_place(height, c.height, s);
    c.to_x = draw_place(width, c.width, s);
    return c;
}

cut cut_paste_draw_scar(int32_t width, int32_t height, const cut_paste_options *o, random_stream *s)
{
    cut c = {.rotation = 0};
    double across = fmin(random_between(s, o->scar_width[0], o->scar_width[1]), width);
    double down = fmin(random_between(s, o->scar_height[0], o->scar_height[1]), height);
    c.from_y = draw_place(height, down, s);
    c.from_x = draw_place(width, across, s);
    c.width = fitting(across, width, false);
    c.height = fitting(down, height, false);
    c.jitter = color_jitter_draw(o->jitter, s);
    c.rotation = random_between(s, -o->scar_rotation, o->scar_rotation);
    int32_t turned_width = c.width, turned_height = c.height;
    warp_expanded_size(&turned_width, &turned_height, c.rotation);
    c.to_y = draw_place(height, turned_height, s);
    c.to_x = draw_place(width, turned_width, s);
    return c;
}

/* ---- cutting and pasting ---- */

static bool is_inside(const imiad_image *image, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x < image->width && y < image->height;
}

/* Black beyond the image. */
static imiad_status cut_piece(imiad_image **out, const imiad_image *image, const cut *c)
{
    TRY(image_create(out, IMIAD_PIXEL_RGB8, c->width, c->height));
    for (int32_t y = 0; y < c->height; ++y)
        for (int32_t x = 0; x < c->width; ++x)
            if (is_inside(image, c->from_x + x, c->from_y + y))
                memcpy(image_row(*out, y) + 3 * x,
                       image_row(image, c->from_y + y) + 3 * (c->from_x + x), 3);
    color_jitter_apply(*out, &c->jitter);
    return IMIAD_OK;
}

/* `shown` is the piece's own mask, NULL where all of it counts. */
static void put_piece(imiad_image *out, imiad_image *mask, const imiad_image *piece,
                      const imiad_image *shown, const cut *c)
{
    for (int32_t y = 0; y < piece->height; ++y)
        for (int32_t x = 0; x < piece->width; ++x) {
            if (!is_inside(out, c->to_x + x, c->to_y + y) || (shown && !image_row(shown, y)[x]))
                continue;
            memcpy(image_row(out, c->to_y + y) + 3 * (c->to_x + x), image_row(piece, y) + 3 * x, 3);
            if (mask)
                image_row(mask, c->to_y + y)[c->to_x + x] = 255;
        }
}

static imiad_status paste(imiad_image **out, imiad_image **mask, const imiad_image *image,
                          const imiad_image *piece, const imiad_image *shown, const cut *c)
{
    imiad_image *pasted, *place = NULL;
    TRY(image_to_rgb(&pasted, image));
    if (mask) {
        imiad_status status = image_create(&place, IMIAD_PIXEL_GRAY8, image->width, image->height);
        if (status != IMIAD_OK) {
            imiad_image_free(pasted);
            return status;
        }
        *mask = place;
    }
    put_piece(pasted, place, piece, shown, c);
    *out = pasted;
    return IMIAD_OK;
}

imiad_status cut_paste_patch(imiad_image **out, imiad_image **mask, const imiad_image *image,
                             const cut *c)
{
    imiad_image *piece;
    TRY(cut_piece(&piece, image, c));
    imiad_status status = paste(out, mask, image, piece, NULL, c);
    imiad_image_free(piece);
    return status;
}

imiad_status cut_paste_scar(imiad_image **out, imiad_image **mask, const imiad_image *image,
                            const cut *c)
{
    imiad_image *piece, *turned, *shown;
    TRY(cut_piece(&piece, image, c));
    imiad_status status = warp_rotate_expanded(&turned, &shown, piece, c->rotation);
    imiad_image_free(piece);
    TRY(status);
    status = paste(out, mask, image, turned, shown, c);
    imiad_image_free(turned);
    imiad_image_free(shown);
    return status;
}

/* ---- variants ---- */

int cut_paste_count(cut_paste_variant variant)
{
    return variant == CUT_PASTE_3WAY ? 2 : 1;
}

static imiad_status draw_and_paste(imiad_image **out, const imiad_image *image, bool scar,
                                   const cut_paste_options *o, random_stream *s)
{
    cut c = scar ? cut_paste_draw_scar(image->width, image->height, o, s)
                 : cut_paste_draw_patch(image->width, image->height, o, s);
    return scar ? cut_paste_scar(out, NULL, image, &c) : cut_paste_patch(out, NULL, image, &c);
}

imiad_status cut_paste(imiad_image *out[CUT_PASTE_MOST], const imiad_image *image,
                       cut_paste_variant variant, const cut_paste_options *o, random_stream *s)
{
    bool scar = variant == CUT_PASTE_SCAR;
    if (variant == CUT_PASTE_UNION)
        scar = random_real(s) >= 0.5;
    TRY(draw_and_paste(&out[0], image, scar, o, s));
    if (variant != CUT_PASTE_3WAY)
        return IMIAD_OK;
    imiad_status status = draw_and_paste(&out[1], image, true, o, s);
    if (status != IMIAD_OK)
        imiad_image_free(out[0]);
    return status;
}

imiad_status cut_mix(imiad_image **out, imiad_image **mask, const imiad_image *image,
                     random_stream *s)
{
    cut c = cut_paste_draw_patch(image->width, image->height, &cut_paste_defaults, s);
    return cut_paste_patch(out, mask, image, &c);
}
