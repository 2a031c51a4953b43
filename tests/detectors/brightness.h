/* A detector whose numbers can be said by hand: a pixel's score is its red value, 0..255. */
#ifndef TESTS_DETECTORS_BRIGHTNESS_H
#define TESTS_DETECTORS_BRIGHTNESS_H

#include <string.h>

#include "bridge/tensor.h"
#include "check_suite.h"
#include "detectors/detector.h"
#include "imiad/imiad.h"

static inline imiad_status brightness_create(imiad_detector *self)
{
    return IMIAD_OK;
}

static inline void brightness_destroy(imiad_detector *self)
{
}

static inline imiad_status brightness_fit(imiad_detector *self, train_set *normals,
                                          const progress *p)
{
    return IMIAD_OK;
}

/* Takes the normalisation back. */
static inline void brightness_score(imiad_detector *self, const batch *b, scores *out)
{
    tensor *red = t_squeeze(t_slice(b->images, 1, 0, 1), 1);
    red = t_add_scalar(t_mul_scalar(red, (double)self->preprocessing.std[0]),
                       (double)self->preprocessing.mean[0]);
    out->maps = t_mul_scalar(red, 255);
}

static inline imiad_status brightness_save(const imiad_detector *self, weights_writer *writer)
{
    return IMIAD_OK;
}

static inline imiad_status brightness_load(imiad_detector *self, const weights *file)
{
    return IMIAD_OK;
}

static const detector_ops brightness_ops = {
    .name = "brightness",
    .title = "The red value",
    .state_size = 1,
    .create = brightness_create,
    .fit = brightness_fit,
    .score = brightness_score,
    .save = brightness_save,
    .load = brightness_load,
    .destroy = brightness_destroy,
};

/* An image in the caller's memory, zeros. */
static inline imiad_image new_image(imiad_pixel_format format, int32_t width, int32_t height)
{
    static const size_t bytes[] = {[IMIAD_PIXEL_GRAY8] = 1,
                                   [IMIAD_PIXEL_RGB8] = 3,
                                   [IMIAD_PIXEL_BGR8] = 3,
                                   [IMIAD_PIXEL_RGBA8] = 4};
    size_t stride = (size_t)width * bytes[format] + 5; /* rows are not contiguous */
    return (imiad_image){
        sizeof(imiad_image), format, width, height, stride, calloc(stride * (size_t)height, 1)};
}

/* A grey image whose value at (x, y) is (7 x + 13 y + start) mod 251. */
static inline imiad_image slope(int32_t width, int32_t height, int start)
{
    imiad_image image = new_image(IMIAD_PIXEL_GRAY8, width, height);
    for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x)
            image.pixels[(size_t)y * image.stride + (size_t)x] =
                (uint8_t)((7 * x + 13 * y + start) % 251);
    return image;
}

/* Fitted, for inputs of side x side, without smoothing. */
static inline imiad_detector *brightness(const char *side, const char *crop)
{
    const imiad_option options[] = {
        {"resize", side}, {"crop", crop}, {"smoothing", "0"}, {"batch", "3"}};
    imiad_detector *d = NULL;
    imiad_image image = slope(16, 16, 0);
    const imiad_image *images[1] = {&image};
    ck_ok(detector_create(&d, &brightness_ops, NULL, options, 4));
    ck_ok(imiad_detector_fit_images(d, images, 1, NULL, NULL));
    free(image.pixels);
    return d;
}

#endif
