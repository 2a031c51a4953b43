#include "station/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Values are out of 255. Sensor noise alone spreads further than CONSTANT_SPREAD. */
enum { CONSTANT_SPREAD = 2, DARK_BELOW = 16 };

static const struct {
    const char *name, *words;
} doubts[DOUBTS] = {
    {"constant", "all its pixels are the same, or nearly so"},
    {"near_black", "it is near black"},
    {"values_fit_8_bits", "it has 16 bits a value but the lower 8 would hold them: it is read as "
                          "black; state its range, such as range=0..255"},
    {"values_fit_12_bits", "it has 16 bits a value but the lower 12 would hold them: it is read as "
                           "near black; state its range, such as range=0..4095"},
    {"size", "its size is outside of what was learned"},
    {"channels", "it is grey where colour was learned, or colour where grey was learned"},
    {"border", "a part of it, at the border, is not looked at"},
};

const char *doubt_name(int bit)
{
    return doubts[bit].name;
}

const char *doubt_words(int bit)
{
    return doubts[bit].words;
}

json_t *doubt_names(unsigned set)
{
    json_t *names = set ? json_array() : NULL;
    for (int bit = 0; names && bit < DOUBTS; ++bit)
        if (set & 1u << bit)
            json_array_append_new(names, json_string(doubts[bit].name));
    return names;
}

/* ---- pixels ---- */

imiad_decode_options look_decoding(const char *range, const char *orientation)
{
    imiad_decode_options options = IMIAD_DECODE_OPTIONS_INIT;
    const char *dots = strstr(range, "..");
    options.deep = 1;
    options.upright = strcmp(orientation, "exif") == 0;
    if (dots) {
        options.low = strtod(range, NULL);
        options.high = strtod(dots + 2, NULL);
    }
    return options;
}

static bool is_deep(const imiad_image *image)
{
    return image->format == IMIAD_PIXEL_GRAY16;
}

/* Channels that count: alpha does not. */
static int colors_of(const imiad_image *image)
{
    return image->format == IMIAD_PIXEL_GRAY8 || is_deep(image) ? 1 : 3;
}

static int bytes_of(const imiad_image *image)
{
    return image->format == IMIAD_PIXEL_GRAY8   ? 1
           : is_deep(image)                     ? 2
           : image->format == IMIAD_PIXEL_RGBA8 ? 4
                                                : 3;
}

/* A channel of a pixel, of 16 bits the high byte. */
static int value_of(const imiad_image *image, const uint8_t *pixel, int channel)
{
    uint16_t deep;
    if (!is_deep(image))
        return pixel[channel];
    memcpy(&deep, pixel, sizeof deep);
    return deep >> 8;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static uint64_t digest_of(const imiad_image *image)
{
    uint64_t hash = mix(mix(1, (uint64_t)image->width), (uint64_t)image->height);
    size_t row = (size_t)image->width * (size_t)bytes_of(image);
    for (int32_t y = 0; y < image->height; ++y) {
        const uint8_t *at = image->pixels + (size_t)y * image->stride;
        uint64_t word = 0;
        for (size_t x = 0; x < row; x += 8) {
            word = 0;
            memcpy(&word, at + x, row - x < 8 ? row - x : 8);
            hash = mix(hash, word);
        }
    }
    return hash;
}

/* The spread of the channel that spreads most, and the largest value. */
static void find_spread(int *spread, int *most, const imiad_image *image)
{
    int low[3] = {255, 255, 255}, high[3] = {0, 0, 0}, colors = colors_of(image);
    size_t bytes = (size_t)bytes_of(image);
    for (int32_t y = 0; y < image->height; ++y) {
        const uint8_t *row = image->pixels + (size_t)y * image->stride;
        for (int32_t x = 0; x < image->width; ++x)
            for (int c = 0; c < colors; ++c) {
                int value = value_of(image, row + (size_t)x * bytes, c);
                low[c] = value < low[c] ? value : low[c];
                high[c] = value > high[c] ? value : high[c];
            }
    }
    *spread = *most = 0;
    for (int c = 0; c < colors; ++c) {
        *spread = high[c] - low[c] > *spread ? high[c] - low[c] : *spread;
        *most = high[c] > *most ? high[c] : *most;
    }
}

static imiad_status make_thumb(look *out, const imiad_image *image)
{
    imiad_image *small;
    imiad_status status = imiad_image_resize(&small, image, THUMB, THUMB);
    if (status != IMIAD_OK)
        return status;
    int colors = colors_of(image);
    size_t bytes = (size_t)bytes_of(image);
    for (size_t i = 0; i < THUMB * THUMB; ++i) {
        const uint8_t *p = small->pixels + i / THUMB * small->stride + i % THUMB * bytes;
        out->thumb[i] = (uint8_t)(colors == 1 ? value_of(small, p, 0) : (p[0] + p[1] + p[2]) / 3);
    }
    imiad_image_free(small);
    return IMIAD_OK;
}

/* Whether the file is a PNG or a PGM with 16 bits a value. */
static bool has_16_bits(const char *path)
{
    unsigned char head[32] = {0};
    FILE *file = fopen(path, "rbe");
    if (!file)
        return false;
    size_t count = fread(head, 1, sizeof head - 1, file);
    fclose(file);
    if (count > 24 && memcmp(head, "\211PNG\r\n\032\n", 8) == 0)
        return head[24] == 16;
    int most = 0;
    return head[0] == 'P' && (head[1] == '5' || head[1] == '6') &&
           sscanf((const char *)head + 2, "%*d %*d %d", &most) == 1 && most > 255;
}

imiad_status look_at(look *out, const imiad_image *image, const char *path)
{
    int spread, most;
    *out = (look){.width = image->width,
                  .height = image->height,
                  .channels = colors_of(image),
                  .digest = digest_of(image)};
    find_spread(&spread, &most, image);
    if (spread <= CONSTANT_SPREAD)
        out->doubts |= DOUBT_CONSTANT;
    if (most < DARK_BELOW)
        out->doubts |= DOUBT_DARK;
    if (most < DARK_BELOW && (is_deep(image) || (path && has_16_bits(path))))
        out->doubts |= most == 0 ? DOUBT_8_BITS : DOUBT_12_BITS;
    return make_thumb(out, image);
}

double look_difference(const look *a, const look *b)
{
    int64_t sum = 0;
    for (size_t i = 0; i < THUMB * THUMB; ++i)
        sum += abs(a->thumb[i] - b->thumb[i]);
    return (double)sum / (THUMB * THUMB);
}

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The distance from an image to its nearest neighbour, the middle one of at most 200 images, is how
 * unlike photographs of such parts are. An image that was saved again, in another format or size,
 * is much nearer than that; half a step of 255 is near in any case. */
double look_near_limit(const look *const *looks, size_t count)
{
    enum { MOST = 200 };
    double nearest[MOST];
    size_t taken = count < MOST ? count : MOST;
    for (size_t i = 0; i < taken; ++i) {
        nearest[i] = 255;
        for (size_t k = 0; k < count; ++k) {
            double d = k == i ? 255 : look_difference(looks[i], looks[k]);
            nearest[i] = d < nearest[i] ? d : nearest[i];
        }
    }
    if (taken < 3)
        return 0; /* nothing is known of how they differ */
    qsort(nearest, taken, sizeof *nearest, compare_reals);
    double limit = 0.3 * nearest[taken / 2];
    return limit > 0.5 ? 0.5 : limit;
}

/* ---- what was learned ---- */

static void widen(int32_t range[2], int32_t value)
{
    range[0] = range[0] == 0 || value < range[0] ? value : range[0];
    range[1] = value > range[1] ? value : range[1];
}

void range_add(learned_range *range, const look *l)
{
    widen(range->width, l->width);
    widen(range->height, l->height);
    if (l->channels == 1)
        range->gray = true;
    else
        range->color = true;
}

unsigned range_doubts(const learned_range *r, const look *l)
{
    unsigned found = 0;
    if (r->width[0] == 0)
        return 0;
    if (l->width < r->width[0] || l->width > r->width[1] || l->height < r->height[0] ||
        l->height > r->height[1])
        found |= DOUBT_SIZE;
    if (l->channels == 1 ? !r->gray : !r->color)
        found |= DOUBT_CHANNELS;
    return found;
}
