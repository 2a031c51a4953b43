#include "image/augment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"

/* ---- as text ---- */

const char *const augment_names[AUGMENT_KINDS] = {
    [AUGMENT_NONE] = "none",
    [AUGMENT_ROTATION] = "rotation",
    [AUGMENT_ROTATIONS] = "rotations",
    [AUGMENT_FLIP] = "flip",
    [AUGMENT_SCALE] = "scale",
    [AUGMENT_TRANSLATE] = "translate",
    [AUGMENT_COLOR_JITTER] = "color_jitter",
    [AUGMENT_PERSPECTIVE] = "perspective",
};

/* Values of each kind, and their ranges. Corners that move in by a quarter at most stay a convex
 * quadrangle, which a perspective needs. */
static const struct {
    int values;
    double low, high;
    bool whole;
} limits[AUGMENT_KINDS] = {
    [AUGMENT_NONE] = {0, 0, 0, false},           [AUGMENT_ROTATION] = {1, -360, 360, false},
    [AUGMENT_ROTATIONS] = {2, 1, 1000, true},    [AUGMENT_FLIP] = {2, 0, 1, true},
    [AUGMENT_SCALE] = {1, 0.01, 100, false},     [AUGMENT_TRANSLATE] = {2, -1, 1, false},
    [AUGMENT_COLOR_JITTER] = {2, 0, 100, false}, [AUGMENT_PERSPECTIVE] = {8, 0, 0.25, false},
};

int32_t augment_value(double value)
{
    return (int32_t)rint(value * AUGMENT_UNIT);
}

static double real(int32_t value)
{
    return (double)value / AUGMENT_UNIT;
}

/* A decimal fraction without trailing zeros; printf's would follow the host's locale. */
static int print_value(char *out, size_t room, int32_t value)
{
    uint32_t size = value < 0 ? -(uint32_t)value : (uint32_t)value;
    uint32_t whole = size / AUGMENT_UNIT, rest = size % AUGMENT_UNIT;
    const char *sign = value < 0 ? "-" : "";
    if (rest == 0)
        return snprintf(out, room, " %s%u", sign, whole);
    int digits = 6;
    for (; rest % 10 == 0; rest /= 10)
        --digits;
    return snprintf(out, room, " %s%u.%0*u", sign, whole, digits, rest);
}

void augment_print(char out[AUGMENT_TEXT_BYTES], const augmentation *a)
{
    out[0] = '\0';
    if (a->kind == AUGMENT_NONE)
        return;
    size_t used = (size_t)snprintf(out, AUGMENT_TEXT_BYTES, "%s", augment_names[a->kind]);
    for (int i = 0; i < limits[a->kind].values; ++i)
        used += (size_t)print_value(out + used, AUGMENT_TEXT_BYTES - used, a->values[i]);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* [-]digits[.digits], at most four before the point and six after it. */
static bool parse_value(int32_t *out, const char **text)
{
    const char *at = *text;
    bool negative = *at == '-';
    at += negative;
    int32_t value = 0;
    int digits = 0, decimals = 0;
    for (; is_digit(*at) && digits < 4; ++digits)
        value = 10 * value + (*at++ - '0');
    if (digits == 0 || (*at == '.' && !is_digit(at[1])) || value > INT32_MAX / AUGMENT_UNIT - 1)
        return false;
    if (*at == '.')
        for (++at; is_digit(*at) && decimals < 6; ++decimals)
            value = 10 * value + (*at++ - '0');
    for (; decimals < 6; ++decimals)
        value *= 10;
    *out = negative ? -value : value;
    *text = at;
    return *at == ' ' || *at == '\0';
}

static imiad_status parse_values(augmentation *a, const char *text)
{
    const char *name = augment_names[a->kind];
    int wanted = limits[a->kind].values, count = 0;
    for (; *text == ' ' && count < wanted; ++count) {
        const char *value = ++text;
        if (!parse_value(&a->values[count], &text))
            return fail(IMIAD_FORMAT, "%s: \"%.32s\" is no decimal fraction", name, value);
        double low = limits[a->kind].low, high = limits[a->kind].high;
        bool whole = a->values[count] % AUGMENT_UNIT == 0;
        if (real(a->values[count]) < low || real(a->values[count]) > high ||
            (limits[a->kind].whole && !whole))
            return fail(IMIAD_OUT_OF_RANGE, "%s: value %d must be %s in %g..%g", name, count + 1,
                        limits[a->kind].whole ? "a whole number" : "a number", low, high);
    }
    if (count < wanted || *text)
        return fail(IMIAD_FORMAT, "%s takes %d values, separated by one space", name, wanted);
    return IMIAD_OK;
}

imiad_status augment_parse(augmentation *out, const char *text)
{
    augmentation a = {AUGMENT_NONE, {0}};
    size_t length = strcspn(text, " ");
    while (a.kind < AUGMENT_KINDS && (strlen(augment_names[a.kind]) != length ||
                                      strncmp(augment_names[a.kind], text, length) != 0))
        a.kind++;
    if (a.kind == AUGMENT_KINDS)
        return fail(IMIAD_FORMAT, "no augmentation is named \"%.*s\"",
                    length < 64 ? (int)length : 64, text);
    TRY(parse_values(&a, text + length));
    *out = a;
    return IMIAD_OK;
}

/* ---- geometry ---- */

/* Which source pixel each pixel of the result shows. */
typedef struct warp warp;
struct warp {
    int32_t width, height;
    void (*look)(int32_t *columns, int32_t *rows, int32_t y, const warp *w); /* of row y */
    int64_t matrix[6];       /* rotation: source = matrix * position, in 1 / 65536 pixels */
    double projection[9];    /* perspective: the same on the unit square */
    int32_t *columns, *rows; /* where columns and rows are independent */
};

/* The pixel that a position lies in, -1 outside. */
static int32_t pixel_at(double position, int32_t size)
{
    return position >= 0 && position < size ? (int32_t)position : -1;
}

static void look_apart(int32_t *columns, int32_t *rows, int32_t y, const warp *w)
{
    memcpy(columns, w->columns, (size_t)w->width * sizeof *columns);
    for (int32_t x = 0; x < w->width; ++x)
        rows[x] = w->rows[y];
}

/* Positions begin + step / 2, begin + 3 step / 2, ..., added up one by one as Pillow does, whose
 * roundings decide positions on the border of two pixels. */
static void fill_axis(int32_t *out, int32_t size, double step, double begin)
{
    double position = begin + step * 0.5;
    for (int32_t i = 0; i < size; ++i, position += step)
        out[i] = pixel_at(position, size);
}

static void look_turned(int32_t *columns, int32_t *rows, int32_t y, const warp *w)
{
    const int64_t *m = w->matrix;
    int64_t column = m[2] + m[1] * y, row = m[5] + m[4] * y;
    for (int32_t x = 0; x < w->width; ++x, column += m[0], row += m[3]) {
        columns[x] = column >= 0 && column >> 16 < w->width ? (int32_t)(column >> 16) : -1;
        rows[x] = row >= 0 && row >> 16 < w->height ? (int32_t)(row >> 16) : -1;
    }
}

static int64_t fixed(double value)
{
    return (int64_t)floor(value * 65536.0 + 0.5);
}

static double round_15(double value)
{
    return rint(value * 1e15) / 1e15;
}

/* Pillow's Image.rotate: the cosines rounded to 15 decimals, then 16.16 fixed point. */
static void set_rotation(warp *w, double degrees)
{
    double angle = -degrees * (M_PI / 180.0);
    double c = round_15(cos(angle)), s = round_15(sin(angle));
    double x = w->width / 2.0, y = w->height / 2.0;
    double column = (c * -x + s * -y) + x, row = (-s * -x + c * -y) + y;
    int64_t matrix[6] = {fixed(c),  fixed(s), fixed(column + c * 0.5 + s * 0.5),
                         fixed(-s), fixed(c), fixed(row - s * 0.5 + c * 0.5)};
    memcpy(w->matrix, matrix, sizeof matrix);
    w->look = look_turned;
}

static void look_in_perspective(int32_t *columns, int32_t *rows, int32_t y, const warp *w)
{
    const double *p = w->projection;
    double v = (y + 0.5) / w->height;
    for (int32_t x = 0; x < w->width; ++x) {
        double u = (x + 0.5) / w->width, depth = p[6] * u + p[7] * v + p[8];
        columns[x] = pixel_at((p[0] * u + p[1] * v + p[2]) / depth * w->width, w->width);
        rows[x] = pixel_at((p[3] * u + p[4] * v + p[5]) / depth * w->height, w->height);
    }
}

/* The projection of the unit square onto the moved corners (Heckbert, "Fundamentals of texture
 * mapping and image warping", 1989, section 2.2.3), inverted through its adjugate. */
static void set_perspective(warp *w, const int32_t *in)
{
    double x0 = real(in[0]), y0 = real(in[1]), x1 = 1 - real(in[2]), y1 = real(in[3]);
    double x2 = 1 - real(in[4]), y2 = 1 - real(in[5]), x3 = real(in[6]), y3 = 1 - real(in[7]);
    double dx1 = x1 - x2, dx2 = x3 - x2, sx = x0 - x1 + x2 - x3;
    double dy1 = y1 - y2, dy2 = y3 - y2, sy = y0 - y1 + y2 - y3;
    double area = dx1 * dy2 - dx2 * dy1;
    double g = (sx * dy2 - dx2 * sy) / area, h = (dx1 * sy - sx * dy1) / area;
    double a = x1 - x0 + g * x1, b = x3 - x0 + h * x3, c = x0;
    double d = y1 - y0 + g * y1, e = y3 - y0 + h * y3, f = y0;
    double inverse[9] = {e - f * h,     c * h - b,     b * f - c * e, f * g - d,    a - c * g,
                         c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d};
    memcpy(w->projection, inverse, sizeof inverse);
    w->look = look_in_perspective;
}

static void set_apart(warp *w, const augmentation *a)
{
    const int32_t *v = a->values;
    w->look = look_apart;
    if (a->kind == AUGMENT_SCALE) {
        double step = 1.0 / real(v[0]);
        fill_axis(w->columns, w->width, step, step * (-w->width * 0.5) + w->width * 0.5);
        fill_axis(w->rows, w->height, step, step * (-w->height * 0.5) + w->height * 0.5);
    } else if (a->kind == AUGMENT_TRANSLATE) {
        fill_axis(w->columns, w->width, 1, -rint(real(v[0]) * w->width));
        fill_axis(w->rows, w->height, 1, -rint(real(v[1]) * w->height));
    } else {
        fill_axis(w->columns, w->width, v[0] ? -1 : 1, v[0] ? w->width : 0);
        fill_axis(w->rows, w->height, v[1] ? -1 : 1, v[1] ? w->height : 0);
    }
}

static void set_warp(warp *w, const augmentation *a)
{
    if (a->kind == AUGMENT_ROTATION)
        set_rotation(w, real(a->values[0]));
    else if (a->kind == AUGMENT_PERSPECTIVE)
        set_perspective(w, a->values);
    else
        set_apart(w, a);
}

static void gather(uint8_t *out, const imiad_image *image, const int32_t *columns,
                   const int32_t *rows)
{
    int bytes = pixel_bytes(image->format);
    for (int32_t x = 0; x < image->width; ++x, out += bytes)
        if (columns[x] >= 0 && rows[x] >= 0)
            memcpy(out, image_row(image, rows[x]) + (size_t)columns[x] * (size_t)bytes,
                   (size_t)bytes);
}

static imiad_status warp_image(imiad_image **out, const imiad_image *image, const augmentation *a)
{
    warp w = {.width = image->width, .height = image->height};
    size_t width = (size_t)w.width, room = 3 * width + (size_t)w.height;
    imiad_image *warped;
    TRY(image_create(&warped, image->format, w.width, w.height));
    int32_t *columns = malloc(room * sizeof *columns), *rows = columns + width;
    if (!columns) {
        imiad_image_free(warped);
        return fail_memory("an augmentation", room * sizeof *columns);
    }
    w.columns = rows + width;
    w.rows = w.columns + width;
    set_warp(&w, a);
    for (int32_t y = 0; y < w.height; ++y) {
        w.look(columns, rows, y, &w);
        gather(image_row(warped, y), image, columns, rows);
    }
    free(columns);
    *out = warped;
    return IMIAD_OK;
}

static imiad_status copy_image(imiad_image **out, const imiad_image *image)
{
    return warp_image(out, image, &(augmentation){.kind = AUGMENT_FLIP}); /* of neither side */
}

static imiad_status turn_repeatedly(imiad_image **out, const imiad_image *image,
                                    const augmentation *a)
{
    int32_t count = a->values[0] / AUGMENT_UNIT, parts = a->values[1] / AUGMENT_UNIT;
    imiad_image *turned = NULL;
    for (int32_t i = count - 1; i >= 0; --i) {
        augmentation turn = {AUGMENT_ROTATION, {augment_value(-360.0 * (i % parts) / parts)}};
        imiad_image *next;
        imiad_status status = warp_image(&next, turned ? turned : image, &turn);
        imiad_image_free(turned);
        TRY(status);
        turned = next;
    }
    *out = turned;
    return IMIAD_OK;
}

/* ---- colours ---- */

/* Pillow's Image.blend from `from` to `to`: single precision, cut towards zero. */
static uint8_t blend(uint8_t from, uint8_t to, float amount)
{
    float value = (float)from + amount * (float)(to - from);
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

static void blend_all(imiad_image *image, uint8_t from, float amount)
{
    uint8_t table[256];
    for (int i = 0; i < 256; ++i)
        table[i] = blend(from, (uint8_t)i, amount);
    size_t bytes = (size_t)image->width * (size_t)pixel_bytes(image->format);
    for (int32_t y = 0; y < image->height; ++y) {
        uint8_t *row = image_row(image, y);
        for (size_t i = 0; i < bytes; ++i)
            row[i] = table[row[i]];
    }
}

/* The mean of the luminance (ITU-R BT.601 in 16 bits, as Pillow's convert("L")), rounded. */
static uint8_t mean_luminance(const imiad_image *rgb)
{
    uint64_t sum = 0;
    for (int32_t y = 0; y < rgb->height; ++y) {
        const uint8_t *p = image_row(rgb, y);
        for (int32_t x = 0; x < rgb->width; ++x, p += 3)
            sum += (p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16;
    }
    return (uint8_t)((double)sum / ((double)rgb->width * rgb->height) + 0.5);
}

/* Grey of 16 bits likewise; its luminance is itself. */
static void blend_deep(imiad_image *image, double from, double amount)
{
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            double value = pixel_get16(image_row(image, y), x);
            value = from + amount * (value - from);
            pixel_put16(image_row(image, y), x,
                        (uint16_t)(value <= 0       ? 0
                                   : value >= 65535 ? 65535
                                                    : value));
        }
}

static double mean_deep(const imiad_image *image)
{
    uint64_t sum = 0;
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x)
            sum += pixel_get16(image_row(image, y), x);
    return floor((double)sum / ((double)image->width * image->height) + 0.5);
}

static imiad_status jitter(imiad_image **out, const imiad_image *image, const augmentation *a)
{
    imiad_image *copy;
    TRY(copy_image(&copy, image));
    if (copy->format == IMIAD_PIXEL_GRAY16) {
        blend_deep(copy, 0, real(a->values[0]));
        blend_deep(copy, mean_deep(copy), real(a->values[1]));
    } else {
        blend_all(copy, 0, (float)real(a->values[0]));
        blend_all(copy, mean_luminance(copy), (float)real(a->values[1]));
    }
    *out = copy;
    return IMIAD_OK;
}

/* ---- all of them ---- */

/* Everything but colours, of any format. */
static imiad_status move_pixels(imiad_image **out, const imiad_image *image, const augmentation *a)
{
    switch (a->kind) {
    case AUGMENT_NONE:
    case AUGMENT_COLOR_JITTER:
        return copy_image(out, image);
    case AUGMENT_ROTATIONS:
        return turn_repeatedly(out, image, a);
    default:
        return warp_image(out, image, a);
    }
}

imiad_status augment_image(imiad_image **out, const imiad_image *image, const augmentation *a)
{
    TRY(image_check(image, "augmentation: image"));
    if (image->format != IMIAD_PIXEL_RGB8 && image->format != IMIAD_PIXEL_GRAY16)
        return fail(IMIAD_INVALID_ARGUMENT, "augmentation: the image is neither RGB8 nor GRAY16");
    return a->kind == AUGMENT_COLOR_JITTER ? jitter(out, image, a) : move_pixels(out, image, a);
}

imiad_status augment_mask(imiad_image **out, const imiad_image *mask, const augmentation *a)
{
    TRY(image_check(mask, "augmentation: mask"));
    if (mask->format != IMIAD_PIXEL_GRAY8)
        return fail(IMIAD_INVALID_ARGUMENT, "augmentation: the mask is not GRAY8");
    return move_pixels(out, mask, a);
}
