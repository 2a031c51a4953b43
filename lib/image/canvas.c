#include "image/canvas.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

static uint8_t mix(uint8_t from, uint8_t to, float share)
{
    return (uint8_t)lrintf((float)from + ((float)to - (float)from) * share);
}

void canvas_blend(imiad_image *canvas, int32_t x, int32_t y, color c, float opacity)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height)
        return;
    uint8_t *pixel = image_row(canvas, y) + 3 * (size_t)x;
    pixel[0] = mix(pixel[0], c.r, opacity);
    pixel[1] = mix(pixel[1], c.g, opacity);
    pixel[2] = mix(pixel[2], c.b, opacity);
}

void canvas_fill(imiad_image *canvas, int32_t x, int32_t y, int32_t width, int32_t height, color c)
{
    for (int32_t row = y; row < y + height; ++row)
        for (int32_t column = x; column < x + width; ++column)
            canvas_blend(canvas, column, row, c, 1);
}

void canvas_frame(imiad_image *canvas, int32_t x, int32_t y, int32_t width, int32_t height,
                  int32_t thickness, color c)
{
    int32_t t = thickness;
    canvas_fill(canvas, x - t, y - t, width + 2 * t, t, c);
    canvas_fill(canvas, x - t, y + height, width + 2 * t, t, c);
    canvas_fill(canvas, x - t, y, t, height, c);
    canvas_fill(canvas, x + width, y, t, height, c);
}

/* ---- colours ---- */

/* Oklab to linear sRGB (B. Ottosson, "A perceptual color space for image processing", 2020). */
static void oklab_to_linear(double rgb[3], double lightness, double a, double b)
{
    double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
    double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
    double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static int in_gamut(const double rgb[3])
{
    for (int c = 0; c < 3; ++c)
        if (rgb[c] < 0 || rgb[c] > 1)
            return 0;
    return 1;
}

static uint8_t to_srgb(double linear)
{
    double value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
    return (uint8_t)lrint(255 * fmin(fmax(value, 0), 1));
}

/* Lightness rises evenly, so that order shows without colour too; the hue runs from blue over red
 * to yellow; chroma is what sRGB has at that lightness and hue, up to a limit. */
void heat_colors(color out[256])
{
    for (int i = 0; i < 256; ++i) {
        double t = i / 255.0, lightness = 0.18 + 0.77 * t;
        double hue = (275 + 195 * t) * 3.14159265358979 / 180, rgb[3];
        double low = 0, high = 0.21;
        for (int step = 0; step < 24; ++step) {
            double chroma = (low + high) / 2;
            oklab_to_linear(rgb, lightness, chroma * cos(hue), chroma * sin(hue));
            if (in_gamut(rgb))
                low = chroma;
            else
                high = chroma;
        }
        oklab_to_linear(rgb, lightness, low * cos(hue), low * sin(hue));
        out[i] = (color){to_srgb(rgb[0]), to_srgb(rgb[1]), to_srgb(rgb[2])};
    }
}

/* ---- outlines ---- */

enum { FAR = 1 << 14 };

/* Distance along its row to the nearest marked pixel, for each pixel of the row. */
static void row_distances(int32_t *out, const imiad_image *mask, int32_t y, int32_t scale)
{
    int32_t width = mask->width * scale, run = FAR;
    const uint8_t *row = image_row(mask, y / scale);
    for (int32_t x = 0; x < width; ++x) {
        run = row[x / scale] ? 0 : run < FAR ? run + 1 : FAR;
        out[x] = run;
    }
    for (int32_t x = width - 1; x >= 0; --x) {
        run = row[x / scale] ? 0 : run < FAR ? run + 1 : FAR;
        out[x] = run < out[x] ? run : out[x];
    }
}

/* How much of a pixel a ring from `inner` to `outer` covers, at this distance. */
static float ring(float distance, float inner, float outer)
{
    float within = fminf(distance - inner, outer - distance) + 0.5f;
    return within < 0 ? 0 : within > 1 ? 1 : within;
}

imiad_status canvas_outline(imiad_image *canvas, int32_t x, int32_t y, const imiad_image *mask,
                            int32_t scale, float thickness)
{
    static const color line = {255, 255, 255}, halo = {0, 0, 0};
    int32_t width = mask->width * scale, height = mask->height * scale;
    int32_t reach = (int32_t)ceilf(2 * thickness) + 2;
    size_t bytes = (size_t)width * (size_t)height * sizeof(int32_t);
    int32_t *along = malloc(bytes);
    if (!along)
        return fail_memory("an outline", bytes);
    for (int32_t row = 0; row < height; ++row)
        row_distances(along + (size_t)row * (size_t)width, mask, row, scale);
    for (int32_t row = 0; row < height; ++row) {
        for (int32_t column = 0; column < width; ++column) {
            int64_t nearest = (int64_t)FAR * FAR;
            int32_t from = row > reach ? row - reach : 0;
            int32_t to = row + reach < height ? row + reach : height - 1;
            for (int32_t other = from; other <= to; ++other) {
                int64_t dx = along[(size_t)other * (size_t)width + (size_t)column];
                int64_t dy = other - row, square = dx * dx + dy * dy;
                nearest = square < nearest ? square : nearest;
            }
            float distance = sqrtf((float)nearest) - 0.5f; /* to the edge of the marked pixel */
            if (nearest == 0 || distance > 2 * thickness + 1)
                continue;
            canvas_blend(canvas, x + column, y + row, halo,
                         0.6f * ring(distance, thickness, 2 * thickness));
            canvas_blend(canvas, x + column, y + row, line, ring(distance, 0, thickness));
        }
    }
    free(along);
    return IMIAD_OK;
}
