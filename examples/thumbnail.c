#include "thumbnail.h"
#include "temporary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

imiad_status thumbnail_shrink(imiad_image **out, const imiad_image *image)
{
    int32_t longer = image->width > image->height ? image->width : image->height;
    double factor = longer > THUMBNAIL_SIDE ? (double)THUMBNAIL_SIDE / longer : 1;
    int32_t width = (int32_t)lround(image->width * factor);
    int32_t height = (int32_t)lround(image->height * factor);
    return imiad_image_resize(out, image, width > 0 ? width : 1, height > 0 ? height : 1);
}

/* ---- heat ---- */

/* The classic scale from blue over cyan, yellow and red, t in [0, 1]. */
static void heat_colour(float out[3], float t)
{
    static const float middles[3] = {3, 2, 1}; /* of red, green, blue, in quarters of the scale */
    for (int k = 0; k < 3; ++k) {
        float level = 1.5f - fabsf(4 * t - middles[k]);
        out[k] = 255 * fminf(fmaxf(level, 0), 1);
    }
}

static float heat_at(const float *map, int width, int height, const imiad_image *of, int x, int y)
{
    int column = (int)((x + 0.5f) * (float)width / (float)of->width);
    int row = (int)((y + 0.5f) * (float)height / (float)of->height);
    return map[(size_t)(row < height ? row : height - 1) * (size_t)width +
               (size_t)(column < width ? column : width - 1)];
}

static int is_inside(const imiad_image *mask, const imiad_image *of, int x, int y)
{
    if (x < 0 || y < 0 || x >= of->width || y >= of->height)
        return 0;
    int column = (int)((x + 0.5f) * (float)mask->width / (float)of->width);
    int row = (int)((y + 0.5f) * (float)mask->height / (float)of->height);
    return mask->pixels[(size_t)row * mask->stride + (size_t)column] != 0;
}

/* On the defect's border: inside, with a neighbour outside. */
static int is_border(const imiad_image *mask, const imiad_image *of, int x, int y)
{
    return is_inside(mask, of, x, y) &&
           !(is_inside(mask, of, x - 1, y) && is_inside(mask, of, x + 1, y) &&
             is_inside(mask, of, x, y - 1) && is_inside(mask, of, x, y + 1));
}

imiad_status thumbnail_heat(imiad_image **out, const imiad_image *image, const float *map,
                            int width, int height, float low, float high, const imiad_image *mask)
{
    imiad_status status = thumbnail_shrink(out, image);
    if (status != IMIAD_OK)
        return status;
    imiad_image *drawn = *out;
    for (int y = 0; y < drawn->height; ++y)
        for (int x = 0; x < drawn->width; ++x) {
            unsigned char *pixel = drawn->pixels + (size_t)y * drawn->stride + 3 * (size_t)x;
            float heat[3], t = heat_at(map, width, height, drawn, x, y);
            heat_colour(heat, fminf(fmaxf((t - low) / fmaxf(high - low, 1e-12f), 0), 1));
            int border = mask && is_border(mask, drawn, x, y);
            for (int k = 0; k < 3; ++k)
                pixel[k] = border ? 255 : (unsigned char)(0.5f * ((float)pixel[k] + heat[k]));
        }
    return IMIAD_OK;
}

/* ---- as text ---- */

/* The bytes of a file of ours; NULL where it cannot be read. */
static unsigned char *read_all(size_t *size, const char *path)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        bytes = end > 0 ? malloc((size_t)end) : NULL;
        rewind(file);
        *size = bytes ? fread(bytes, 1, (size_t)end, file) : 0;
        if (bytes && *size != (size_t)end) {
            free(bytes);
            bytes = NULL;
        }
    }
    if (file)
        fclose(file);
    return bytes;
}

static char *base64(const char *before, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(before);
    char *out = malloc(length + (size + 2) / 3 * 4 + 1), *at = out + length;
    if (!out)
        return NULL;
    memcpy(out, before, length);
    for (size_t i = 0; i < size; i += 3) {
        unsigned three = (unsigned)bytes[i] << 16;
        three |= i + 1 < size ? (unsigned)bytes[i + 1] << 8 : 0;
        three |= i + 2 < size ? bytes[i + 2] : 0;
        for (int k = 0; k < 4; ++k)
            *at++ = digits[three >> (18 - 6 * k) & 63];
    }
    for (size_t k = 0; k < (3 - size % 3) % 3; ++k)
        at[-1 - (ptrdiff_t)k] = '=';
    *at = '\0';
    return out;
}

char *thumbnail_text(const imiad_image *image)
{
    char path[TEMPORARY_PATH];
    size_t size = 0;
    if (temporary_file(path, "thumbnail") != IMIAD_OK)
        return NULL;
    unsigned char *bytes =
        imiad_image_write_png(image, path) == IMIAD_OK ? read_all(&size, path) : NULL;
    unlink(path);
    char *text = bytes ? base64("data:image/png;base64,", bytes, size) : NULL;
    free(bytes);
    return text;
}
