#include "synthesis/defect_changes.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/pixels.h"
#include "synthesis/color_spaces.h"
#include "synthesis/moving.h"

const char *const defect_change_names[DEFECT_CHANGES] = {
    [CHANGE_QUARTERS] = "quarters",   [CHANGE_FLIP] = "flip",
    [CHANGE_TRANSPOSE] = "transpose", [CHANGE_LENS] = "lens",
    [CHANGE_NOISE] = "noise",         [CHANGE_BLUR] = "blur",
    [CHANGE_AFFINE] = "affine",       [CHANGE_DISTORTION] = "distortion",
    [CHANGE_LIGHT] = "light",         [CHANGE_HUE] = "hue",
};

static uint8_t clip(double value)
{
    return (uint8_t)rint(fmin(fmax(value, 0), 255));
}

/* Beyond an edge: mirrored without it, or the edge itself. */
typedef int32_t (*edge_rule)(int32_t at, int32_t side);

static int32_t repeated(int32_t at, int32_t side)
{
    return at < 0 ? 0 : at < side ? at : side - 1;
}

static int32_t mirrored(int32_t at, int32_t side)
{
    if (side == 1)
        return 0;
    at = at < 0 ? -at : at;
    return at < side ? at : 2 * (side - 1) - at;
}

/* ---- filters ---- */

/* Of one pixel, from its neighbours. */
typedef uint8_t (*neighbour_function)(const uint8_t *values, const double *kernel, int count);

static uint8_t weigh(const uint8_t *values, const double *kernel, int count)
{
    double sum = 0;
    for (int i = 0; i < count; ++i)
        sum += kernel[i] * values[i];
    return clip(sum);
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

static uint8_t middle(const uint8_t *values, const double *kernel, int count)
{
    uint8_t sorted[9];
    (void)kernel;
    memcpy(sorted, values, (size_t)count);
    qsort(sorted, (size_t)count, 1, compare_bytes);
    return sorted[count / 2];
}

enum { MOST_SIDE = 7 };

static imiad_status each_neighbourhood(imiad_image **image, neighbour_function f, edge_rule edge,
                                       const double *kernel, int side)
{
    imiad_image *out;
    const imiad_image *from = *image;
    /* mirroring needs no more than one edge */
    int32_t shorter = from->width < from->height ? from->width : from->height;
    if (side > MOST_SIDE || side / 2 >= shorter)
        return IMIAD_OK;
    TRY(image_create(&out, IMIAD_PIXEL_RGB8, from->width, from->height));
    for (int32_t y = 0; y < from->height; ++y)
        for (int32_t x = 0; x < from->width; ++x)
            for (int c = 0; c < 3; ++c) {
                uint8_t values[MOST_SIDE * MOST_SIDE];
                for (int i = 0; i < side * side; ++i) {
                    int32_t at_x = edge(x + i % side - side / 2, from->width);
                    int32_t at_y = edge(y + i / side - side / 2, from->height);
                    values[i] = image_row(from, at_y)[3 * at_x + c];
                }
                image_row(out, y)[3 * x + c] = f(values, kernel, side * side);
            }
    imiad_image_free(*image);
    *image = out;
    return IMIAD_OK;
}

imiad_status filter_image(imiad_image **image, const double *kernel, int side)
{
    return each_neighbourhood(image, weigh, mirrored, kernel, side);
}

imiad_status median_image(imiad_image **image)
{
    return each_neighbourhood(image, middle, repeated, NULL, 3);
}

/* A line of ones from one place of a square to another, of sum 1. */
static void draw_line(double *kernel, int side, int x, int y, int to_x, int to_y)
{
    int steps = abs(to_x - x) > abs(to_y - y) ? abs(to_x - x) : abs(to_y - y), drawn = 0;
    memset(kernel, 0, (size_t)(side * side) * sizeof *kernel);
    for (int i = 0; i <= steps; ++i, ++drawn) {
        double part = steps > 0 ? (double)i / steps : 0;
        int at_x = (int)floor(x + part * (to_x - x) + 0.5);
        int at_y = (int)floor(y + part * (to_y - y) + 0.5);
        kernel[at_y * side + at_x] = 1;
    }
    for (int i = 0; i < side * side; ++i)
        kernel[i] /= drawn;
}

static imiad_status blur_along_line(imiad_image **image, random_stream *s)
{
    double kernel[MOST_SIDE * MOST_SIDE];
    int side = 3 + 2 * (int)random_below(s, 3);
    int at[4];
    do
        for (int i = 0; i < 4; ++i)
            at[i] = (int)random_below(s, (uint64_t)side);
    while (at[0] == at[2] && at[1] == at[3]);
    draw_line(kernel, side, at[0], at[1], at[2], at[3]);
    return filter_image(image, kernel, side);
}

static imiad_status blur(imiad_image **image, random_stream *s)
{
    double even[9], kind = random_real(s);
    for (int i = 0; i < 9; ++i)
        even[i] = 1 / 9.0;
    if (kind < 0.5)
        return blur_along_line(image, s);
    return kind < 0.75 ? median_image(image) : filter_image(image, even, 3);
}

/* A kernel that changes nothing, mixed with one that does. */
static imiad_status filter_mixed(imiad_image **image, const double effect[9], double alpha)
{
    double kernel[9];
    for (int i = 0; i < 9; ++i)
        kernel[i] = alpha * effect[i] + (i == 4 ? 1 - alpha : 0);
    return filter_image(image, kernel, 3);
}

static imiad_status sharpen(imiad_image **image, random_stream *s)
{
    double alpha = random_between(s, 0.2, 0.5), lightness = random_between(s, 0.5, 1);
    const double effect[9] = {-1, -1, -1, -1, 8 + lightness, -1, -1, -1, -1};
    return filter_mixed(image, effect, alpha);
}

static imiad_status emboss(imiad_image **image, random_stream *s)
{
    double alpha = random_between(s, 0.2, 0.5), strength = random_between(s, 0.2, 0.7);
    const double effect[9] = {-1 - strength, -strength, 0,        -strength,   1,
                              strength,      0,         strength, 1 + strength};
    return filter_mixed(image, effect, alpha);
}

/* ---- values ---- */

static void add_noise(imiad_image *image, random_stream *s)
{
    bool grey = random_real(s) < 0.5; /* the same for all three channels */
    double deviation = grey ? random_between(s, 2.55, 12.75) : sqrt(random_between(s, 10, 50));
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            double noise = random_normal(s);
            for (int c = 0; c < 3; ++c) {
                uint8_t *value = image_row(image, y) + 3 * x + c;
                noise = !grey && c > 0 ? random_normal(s) : noise;
                *value = clip(*value + deviation * noise);
            }
        }
}

static void shift_light(imiad_image *image, random_stream *s)
{
    double contrast = random_between(s, 0.8, 1.2), summand = 255 * random_between(s, -0.2, 0.2);
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t i = 0; i < 3 * image->width; ++i) {
            uint8_t *value = image_row(image, y) + i;
            *value = clip(*value * contrast + summand);
        }
}

static void shift_hue(imiad_image *image, random_stream *s)
{
    double hue = random_between(s, -20, 20), saturation = random_between(s, -30, 30);
    double brightness = random_between(s, -20, 20);
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x) {
            uint8_t *rgb = image_row(image, y) + 3 * x, color[3];
            color_from_rgb(color, rgb, COLOR_HSV);
            color[0] = (uint8_t)fmod(color[0] + hue + 180, 180);
            color[1] = (uint8_t)fmin(fmax(color[1] + saturation, 0), 255);
            color[2] = (uint8_t)fmin(fmax(color[2] + brightness, 0), 255);
            color_to_rgb(rgb, color, COLOR_HSV);
        }
}

/* ---- CLAHE. Zuiderveld: Graphics Gems IV, 1994 ---- */

enum { TILES = 8, VALUES = 256 };

typedef uint8_t tile_table[VALUES];

/* One tile's new values from its histogram, whose counts beyond the limit are spread over all. */
static void equalize_tile(tile_table table, const uint8_t *plane, int32_t width, int32_t height,
                          int32_t left, int32_t top, int32_t across, int32_t down, double limit)
{
    int counts[VALUES] = {0}, area = across * down, most = (int)(limit * area / VALUES), excess = 0;
    most = most < 1 ? 1 : most;
    for (int32_t y = top; y < top + down; ++y)
        for (int32_t x = left; x < left + across; ++x)
            counts[plane[mirrored(y, height) * width + mirrored(x, width)]]++;
    for (int v = 0; v < VALUES; ++v)
        if (counts[v] > most) {
            excess += counts[v] - most;
            counts[v] = most;
        }
    int each = excess / VALUES, left_over = excess % VALUES;
    int step = left_over > 0 && VALUES / left_over > 1 ? VALUES / left_over : 1;
    for (int v = 0; v < VALUES; ++v)
        counts[v] += each;
    for (int v = 0; v < VALUES && left_over > 0; v += step, --left_over)
        counts[v]++;
    for (int v = 0, sum = 0; v < VALUES; ++v) {
        sum += counts[v];
        table[v] = clip(sum * (255.0 / area));
    }
}

/* The tile before a pixel and how far it is on the way to the next one. */
static int tile_before(double *part, int32_t at, int32_t tile)
{
    double place = (double)at / tile - 0.5;
    int before = (int)floor(place);
    *part = place - before;
    return before;
}

static int existing(int tile)
{
    return tile < 0 ? 0 : tile < TILES ? tile : TILES - 1;
}

imiad_status equalize_plane(uint8_t *out, const uint8_t *plane, int32_t width, int32_t height,
                            double limit)
{
    tile_table *tables = malloc(TILES * TILES * sizeof *tables);
    if (!tables)
        return fail_memory("an equalised image", TILES * TILES * sizeof *tables);
    int32_t across = (width + TILES - 1) / TILES, down = (height + TILES - 1) / TILES;
    for (int i = 0; i < TILES * TILES; ++i)
        equalize_tile(tables[i], plane, width, height, i % TILES * across, i / TILES * down, across,
                      down, limit);
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x) {
            double right, below;
            int column = tile_before(&right, x, across), row = tile_before(&below, y, down);
            uint8_t value = *plane++;
            double sum = 0;
            for (int i = 0; i < 4; ++i) {
                int at = existing(row + (i >> 1)) * TILES + existing(column + (i & 1));
                sum += tables[at][value] * ((i & 1) ? right : 1 - right) *
                       ((i >> 1) ? below : 1 - below);
            }
            *out++ = clip(sum);
        }
    free(tables);
    return IMIAD_OK;
}

imiad_status equalize_tiles(imiad_image *image, double limit)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    if (image->width < 2 * TILES || image->height < 2 * TILES)
        return IMIAD_OK;
    uint8_t *colors = malloc(5 * pixels), *plane = colors + 3 * pixels;
    if (!colors)
        return fail_memory("an equalised image", 5 * pixels);
    for (size_t i = 0; i < pixels; ++i) {
        const uint8_t *row = image_row(image, (int32_t)(i / (size_t)image->width));
        color_from_rgb(colors + 3 * i, row + 3 * (i % (size_t)image->width), COLOR_LAB);
        plane[i] = colors[3 * i];
    }
    imiad_status status = equalize_plane(plane + pixels, plane, image->width, image->height, limit);
    for (size_t i = 0; status == IMIAD_OK && i < pixels; ++i) {
        uint8_t *row = image_row(image, (int32_t)(i / (size_t)image->width));
        colors[3 * i] = plane[pixels + i];
        color_to_rgb(row + 3 * (i % (size_t)image->width), colors + 3 * i, COLOR_LAB);
    }
    free(colors);
    return status;
}

static imiad_status change_light(imiad_image **image, random_stream *s)
{
    switch (random_below(s, 4)) {
    case 0:
        return equalize_tiles(*image, random_between(s, 1, 2));
    case 1:
        return sharpen(image, s);
    case 2:
        return emboss(image, s);
    default:
        shift_light(*image, s);
        return IMIAD_OK;
    }
}

/* ---- places ---- */

/* Strips or a lattice: albumentations' GridDistortion and imgaug's PiecewiseAffine. */
static void draw_distortion(place_from *places, int32_t width, int32_t height, random_stream *s)
{
    double kind = 0.7 * random_real(s);
    if (kind < 0.3) {
        places_lens(places, width, height, random_between(s, -0.05, 0.05));
    } else if (kind < 0.4) {
        double factors[2][GRID_STRIPS];
        for (int i = 0; i < 2 * GRID_STRIPS; ++i)
            factors[i / GRID_STRIPS][i % GRID_STRIPS] = random_between(s, 0.7, 1.3);
        places_grid(places, width, height, factors[0], factors[1]);
    } else {
        place_from moved[LATTICE * LATTICE];
        double deviation = random_between(s, 0.03, 0.05);
        for (int i = 0; i < LATTICE * LATTICE; ++i) {
            moved[i].x = deviation * random_normal(s);
            moved[i].y = deviation * random_normal(s);
        }
        places_lattice(places, width, height, moved);
    }
}

static void draw_affine(place_from *places, int32_t width, int32_t height, random_stream *s)
{
    double degrees = random_between(s, -45, 45), scale = random_between(s, 0.8, 1.2);
    double right = random_between(s, -0.0625, 0.0625), down = random_between(s, -0.0625, 0.0625);
    places_affine(places, width, height, degrees, scale, right, down);
}

static void draw_places(place_from *places, int32_t width, int32_t height, defect_change change,
                        random_stream *s)
{
    bool square = width == height;
    int drawn = (int)random_below(s, change == CHANGE_FLIP ? 3 : 4);
    if (change == CHANGE_QUARTERS)
        places_quarters(places, width, height, square ? drawn : drawn & 2);
    else if (change == CHANGE_FLIP)
        places_flipped(places, width, height, drawn != 0, drawn != 1);
    else if (change == CHANGE_TRANSPOSE && square)
        places_transposed(places, width, height);
    else if (change == CHANGE_LENS)
        places_lens(places, width, height, random_between(s, -1, 1));
    else if (change == CHANGE_AFFINE)
        draw_affine(places, width, height, s);
    else if (change == CHANGE_DISTORTION)
        draw_distortion(places, width, height, s);
    else
        places_quarters(places, width, height, 0);
}

static imiad_status change_places(imiad_image **image, imiad_image **mask, defect_change change,
                                  random_stream *s)
{
    int32_t width = (*image)->width, height = (*image)->height;
    size_t bytes = (size_t)width * (size_t)height * sizeof(place_from);
    place_from *places = malloc(bytes);
    if (!places)
        return fail_memory("places of pixels", bytes);
    draw_places(places, width, height, change, s);
    imiad_status status = move_pixels(image, mask, places);
    free(places);
    return status;
}

/* ---- all of them ---- */

imiad_status defect_change_apply(imiad_image **image, imiad_image **mask, defect_change change,
                                 random_stream *s)
{
    static const double shares[DEFECT_CHANGES] = {0.5, 0.5, 0.5, 1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3};
    if (random_real(s) >= shares[change])
        return IMIAD_OK;
    switch (change) {
    case CHANGE_NOISE:
        add_noise(*image, s);
        return IMIAD_OK;
    case CHANGE_BLUR:
        return blur(image, s);
    case CHANGE_LIGHT:
        return change_light(image, s);
    case CHANGE_HUE:
        shift_hue(*image, s);
        return IMIAD_OK;
    default:
        return change_places(image, mask, change, s);
    }
}

imiad_status defect_change_some(imiad_image **image, imiad_image **mask, random_stream *s)
{
    enum { SOME = 3 };
    size_t order[DEFECT_CHANGES];
    for (size_t i = 0; i < DEFECT_CHANGES; ++i)
        order[i] = i;
    random_shuffle(s, order, DEFECT_CHANGES);
    for (int i = 0; i < SOME; ++i)
        TRY(defect_change_apply(image, mask, (defect_change)order[i], s));
    return IMIAD_OK;
}
