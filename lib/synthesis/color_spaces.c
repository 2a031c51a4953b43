#include "synthesis/color_spaces.h"

#include <float.h>
#include <math.h>

const int brightness_channel[COLOR_SPACES] = {
    [COLOR_YCRCB] = 0, [COLOR_HSV] = 2, [COLOR_HLS] = 1,
    [COLOR_LAB] = 0,   [COLOR_LUV] = 0, [COLOR_YUV] = 0,
};

static uint8_t clip(int value)
{
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static uint8_t nearest(double value)
{
    return clip((int)rint(value));
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* ---- luma and two differences: fixed point of 14 bits ---- */

enum { BITS = 14, HALF = 1 << (BITS - 1), MIDDLE = 128 << BITS };

static int scale_down(int value)
{
    return (value + HALF) >> BITS;
}

static int luma(const uint8_t rgb[3])
{
    return scale_down(rgb[0] * 4899 + rgb[1] * 9617 + rgb[2] * 1868);
}

static void to_ycrcb(uint8_t out[3], const uint8_t rgb[3])
{
    int y = luma(rgb);
    out[0] = clip(y);
    out[1] = clip(scale_down((rgb[0] - y) * 11682 + MIDDLE));
    out[2] = clip(scale_down((rgb[2] - y) * 9241 + MIDDLE));
}

static void from_ycrcb(uint8_t rgb[3], const uint8_t c[3])
{
    int y = c[0], cr = c[1] - 128, cb = c[2] - 128;
    rgb[0] = clip(y + scale_down(cr * 22987));
    rgb[1] = clip(y + scale_down(cb * -5636 + cr * -11698));
    rgb[2] = clip(y + scale_down(cb * 29049));
}

static void to_yuv(uint8_t out[3], const uint8_t rgb[3])
{
    int y = luma(rgb);
    out[0] = clip(y);
    out[1] = clip(scale_down((rgb[2] - y) * 8061 + MIDDLE));
    out[2] = clip(scale_down((rgb[0] - y) * 14369 + MIDDLE));
}

static void from_yuv(uint8_t rgb[3], const uint8_t c[3])
{
    int y = c[0], u = c[1] - 128, v = c[2] - 128;
    rgb[0] = clip(y + scale_down(v * 18678));
    rgb[1] = clip(y + scale_down(u * -6472 + v * -9519));
    rgb[2] = clip(y + scale_down(u * 33292));
}

/* ---- hue ---- */

static void to_hsv(uint8_t out[3], const uint8_t rgb[3])
{
    enum { SHIFT = 12, ROUND = 1 << (SHIFT - 1) };
    int r = rgb[0], g = rgb[1], b = rgb[2];
    int most = larger(r, larger(g, b)), range = most - smaller(r, smaller(g, b));
    int by_value = most ? (int)rint((255 << SHIFT) / (double)most) : 0;
    int by_range = range ? (int)rint((180 << SHIFT) / (6.0 * range)) : 0;
    int hue = most == r ? g - b : most == g ? b - r + 2 * range : r - g + 4 * range;
    hue = (hue * by_range + ROUND) >> SHIFT;
    out[0] = clip(hue < 0 ? hue + 180 : hue);
    out[1] = clip((range * by_value + ROUND) >> SHIFT);
    out[2] = (uint8_t)most;
}

/* Of four values by the sixth of the circle that the hue lies in: blue, green, red. */
static void pick_by_sector(uint8_t rgb[3], const float values[4], int sector)
{
    static const int order[6][3] = {{1, 3, 0}, {1, 0, 2}, {3, 0, 1},
                                    {0, 2, 1}, {0, 1, 3}, {2, 1, 0}};
    for (int i = 0; i < 3; ++i)
        rgb[2 - i] = nearest(values[order[sector][i]] * 255.f);
}

/* A hue of 0..179 as sector and the part of it. */
static int find_sector(float *part, uint8_t hue)
{
    float h = fmodf(hue * (6.f / 180.f), 6.f);
    int sector = (int)floorf(h);
    *part = h - (float)sector;
    return sector;
}

static void from_hsv(uint8_t rgb[3], const uint8_t c[3])
{
    float s = c[1] * (1.f / 255.f), v = c[2] * (1.f / 255.f), part;
    int sector = find_sector(&part, c[0]);
    const float values[4] = {v, v * (1.f - s), v * (1.f - s * part), v * (1.f - s * (1.f - part))};
    pick_by_sector(rgb, values, sector);
}

static void to_hls(uint8_t out[3], const uint8_t rgb[3])
{
    float r = rgb[0] * (1.f / 255.f), g = rgb[1] * (1.f / 255.f), b = rgb[2] * (1.f / 255.f);
    float most = fmaxf(r, fmaxf(g, b)), least = fminf(r, fminf(g, b));
    float range = most - least, l = (most + least) * 0.5f, h = 0, s = 0;
    if (range > FLT_EPSILON) {
        s = l < 0.5f ? range / (most + least) : range / (2 - most - least);
        float scale = 60.f / range;
        h = most == r   ? (g - b) * scale
            : most == g ? (b - r) * scale + 120.f
                        : (r - g) * scale + 240.f;
        if (h < 0.f)
            h += 360.f;
    }
    out[0] = nearest(h * 0.5f);
    out[1] = nearest(l * 255.f);
    out[2] = nearest(s * 255.f);
}

static void from_hls(uint8_t rgb[3], const uint8_t c[3])
{
    float l = c[1] * (1.f / 255.f), s = c[2] * (1.f / 255.f), part;
    float high = l <= 0.5f ? l * (1 + s) : l + s - l * s, low = 2 * l - high;
    int sector = find_sector(&part, c[0]);
    const float values[4] = {high, low, low + (high - low) * (1 - part), low + (high - low) * part};
    pick_by_sector(rgb, values, sector);
}

/* ---- CIE 1976, from sRGB under D65 ---- */

static const double to_xyz[3][3] = {
    {0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}};
static const double from_xyz[3][3] = {{3.240479, -1.53715, -0.498535},
                                      {-0.969256, 1.875991, 0.041556},
                                      {0.055648, -0.204043, 1.057311}};
static const double white[3] = {0.950456, 1, 1.088754};
static const double white_u = 0.19793943, white_v = 0.46831096; /* u' and v' of the white */

static void find_xyz(double xyz[3], const uint8_t rgb[3])
{
    double linear[3];
    for (int i = 0; i < 3; ++i) {
        double value = rgb[i] / 255.0;
        linear[i] = value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4);
    }
    for (int i = 0; i < 3; ++i)
        xyz[i] = to_xyz[i][0] * linear[0] + to_xyz[i][1] * linear[1] + to_xyz[i][2] * linear[2];
}

static void show_xyz(uint8_t rgb[3], const double xyz[3])
{
    for (int i = 0; i < 3; ++i) {
        double value = from_xyz[i][0] * xyz[0] + from_xyz[i][1] * xyz[1] + from_xyz[i][2] * xyz[2];
        value = value < 0 ? 0 : value > 1 ? 1 : value;
        value = value <= 0.0031308 ? value * 12.92 : 1.055 * pow(value, 1 / 2.4) - 0.055;
        rgb[i] = nearest(value * 255);
    }
}

static double curve(double t)
{
    return t > 0.008856 ? cbrt(t) : 7.787 * t + 16.0 / 116;
}

static double uncurve(double f)
{
    return f > 6.0 / 29 ? f * f * f : (f - 16.0 / 116) / 7.787;
}

static double lightness(double y)
{
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

static double unlightness(double l)
{
    return l > 8 ? pow((l + 16) / 116, 3) : l / 903.3;
}

static void to_lab(uint8_t out[3], const uint8_t rgb[3])
{
    double xyz[3];
    find_xyz(xyz, rgb);
    double x = curve(xyz[0] / white[0]), y = curve(xyz[1]), z = curve(xyz[2] / white[2]);
    out[0] = nearest(lightness(xyz[1]) * 2.55);
    out[1] = nearest(500 * (x - y) + 128);
    out[2] = nearest(200 * (y - z) + 128);
}

static void from_lab(uint8_t rgb[3], const uint8_t c[3])
{
    double y = unlightness(c[0] / 2.55), f = curve(y);
    double x = uncurve(f + (c[1] - 128) / 500.0), z = uncurve(f - (c[2] - 128) / 200.0);
    show_xyz(rgb, (double[]){x * white[0], y, z * white[2]});
}

static void to_luv(uint8_t out[3], const uint8_t rgb[3])
{
    double xyz[3];
    find_xyz(xyz, rgb);
    double l = lightness(xyz[1]), sum = fmax(xyz[0] + 15 * xyz[1] + 3 * xyz[2], FLT_EPSILON);
    double u = 13 * l * (4 * xyz[0] / sum - white_u), v = 13 * l * (9 * xyz[1] / sum - white_v);
    out[0] = nearest(l * 2.55);
    out[1] = nearest((u + 134) * 255 / 354);
    out[2] = nearest((v + 140) * 255 / 262);
}

static void from_luv(uint8_t rgb[3], const uint8_t c[3])
{
    double l = c[0] / 2.55, y = unlightness(l);
    double u = c[1] * 354 / 255.0 - 134, v = c[2] * 262 / 255.0 - 140;
    double up = l > 0 ? u / (13 * l) + white_u : white_u;
    double vp = l > 0 ? v / (13 * l) + white_v : white_v;
    double x = vp > 0 ? y * 2.25 * up / vp : 0;
    double z = vp > 0 ? y * (3 - 0.75 * up - 5 * vp) / vp : 0;
    show_xyz(rgb, (double[]){x, y, z});
}

/* ---- all of them ---- */

typedef void (*conversion)(uint8_t out[3], const uint8_t in[3]);

void color_from_rgb(uint8_t out[3], const uint8_t rgb[3], color_space space)
{
    static const conversion into[COLOR_SPACES] = {to_ycrcb, to_hsv, to_hls, to_lab, to_luv, to_yuv};
    into[space](out, rgb);
}

void color_to_rgb(uint8_t rgb[3], const uint8_t color[3], color_space space)
{
    static const conversion back[COLOR_SPACES] = {from_ycrcb, from_hsv, from_hls,
                                                  from_lab,   from_luv, from_yuv};
    back[space](rgb, color);
}

/* ---- Pillow's ---- */

void pillow_hsv_from_rgb(uint8_t out[3], const uint8_t rgb[3])
{
    int r = rgb[0], g = rgb[1], b = rgb[2];
    int most = larger(r, larger(g, b)), range = most - smaller(r, smaller(g, b));
    out[0] = out[1] = 0;
    out[2] = (uint8_t)most;
    if (range == 0)
        return;
    float scale = (float)range, s = scale / (float)most;
    float red = (float)(most - r) / scale, green = (float)(most - g) / scale;
    float blue = (float)(most - b) / scale;
    float h = r == most   ? blue - green
              : g == most ? (float)(2.0 + (double)red - (double)blue)
                          : (float)(4.0 + (double)green - (double)red);
    h = (float)fmod((double)h / 6.0 + 1.0, 1.0);
    out[0] = clip((int)((double)h * 255.0));
    out[1] = clip((int)((double)s * 255.0));
}

void pillow_hsv_to_rgb(uint8_t rgb[3], const uint8_t hsv[3])
{
    uint8_t v = hsv[2];
    float hue = (float)hsv[0], s = (float)((double)hsv[1] / 255.0);
    int sector = (int)floor((double)hue * 6.0 / 255.0);
    float part = (float)((double)hue * 6.0 / 255.0 - (double)sector);
    uint8_t p = clip((int)round((double)v * (1.0 - (double)s)));
    uint8_t q = clip((int)round((double)v * (1.0 - (double)(s * part))));
    uint8_t t = clip((int)round((double)v * (1.0 - (double)s * (1.0 - (double)part))));
    const uint8_t colors[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
    for (int i = 0; i < 3; ++i)
        rgb[i] = hsv[1] == 0 ? v : colors[sector % 6][i];
}

uint8_t pillow_luminance(const uint8_t rgb[3])
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

uint8_t pillow_blend(uint8_t from, uint8_t to, float amount)
{
    float value = (float)from + amount * (float)(to - from);
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}
