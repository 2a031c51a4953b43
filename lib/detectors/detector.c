#include "detectors/detector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/anomaly_map.h"
#include "detectors/calibration.h"
#include "image/pixels.h"
#include "image/preprocess.h"

/* ---- making ---- */

/* Colours as the backbone's weights want them, ImageNet's without a backbone. */
static preprocessing read_preprocessing(const option_set *options, const imiad_backbone *backbone)
{
    preprocessing p = {.squash = strcmp(options_text(options, "resize_mode"), "squash") == 0,
                       .resize = (int32_t)options_int(options, "resize"),
                       .crop = (int32_t)options_int(options, "crop")};
    const char *filter = options_find(options, "interpolation");
    p.bicubic = filter && strcmp(filter, "bicubic") == 0;
    memcpy(p.mean, backbone ? backbone->mean : imagenet_mean, sizeof p.mean);
    memcpy(p.std, backbone ? backbone->std : imagenet_std, sizeof p.std);
    return p;
}

static imiad_status check_members(const detector_ops *ops)
{
    const struct {
        const char *name;
        bool given;
    } members[] = {
        {"title", ops->title},
        {"state_size", ops->state_size > 0},
        {"create", ops->create},
        {"fit", ops->fit},
        {"score", ops->score},
        {"save", ops->save},
        {"load", ops->load},
        {"destroy", ops->destroy},
        {"layers", ops->layers || !ops->needs_backbone},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; ++i)
        if (!members[i].given)
            return fail(IMIAD_INTERNAL, "detector %s: its detector_ops has no %s", ops->name,
                        members[i].name);
    return IMIAD_OK;
}

imiad_status detector_create(imiad_detector **out, const detector_ops *ops,
                             imiad_backbone *backbone, const imiad_option *options,
                             size_t option_count)
{
    TRY(check_members(ops));
    if (ops->needs_backbone && !backbone)
        return fail(IMIAD_INVALID_ARGUMENT, "detector %s needs a backbone", ops->name);
    imiad_detector *self = calloc(1, sizeof *self);
    if (!self)
        return fail_memory("a detector", sizeof *self);
    self->ops = ops;
    self->takes = ops->takes;
    atomic_init(&self->references, 1);
    self->timings.struct_size = sizeof self->timings;
    self->backbone = ops->needs_backbone ? backbone_retain(backbone) : NULL;
    self->state = calloc(1, ops->state_size);
    imiad_status status = self->state
                              ? detector_parse_options(&self->options, ops, options, option_count)
                              : fail_memory("a detector", ops->state_size);
    if (status == IMIAD_OK) {
        self->preprocessing = read_preprocessing(self->options, self->backbone);
        if (ops->own_device)
            status = device_parse(&self->device, options_text(self->options, "device"));
        if (status == IMIAD_OK)
            status = ops->create(self);
    }
    if (status != IMIAD_OK) {
        imiad_detector_free(self);
        return status;
    }
    *out = self;
    return IMIAD_OK;
}

imiad_status imiad_detector_clone(imiad_detector **out, imiad_detector *detector)
{
    if (!out || !detector)
        return fail(IMIAD_INVALID_ARGUMENT, "clone: NULL");
    if (!detector->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s must be fitted or loaded before it is cloned",
                    detector->ops->name);
    imiad_detector *self = calloc(1, sizeof *self);
    if (!self)
        return fail_memory("a detector", sizeof *self);
    self->origin = detector->origin ? detector->origin : detector;
    atomic_fetch_add(&self->origin->references, 1);
    self->ops = detector->ops;
    self->backbone = detector->backbone;
    self->options = detector->options;
    self->preprocessing = detector->preprocessing;
    self->state = detector->state;
    self->device = detector->device;
    self->takes = detector->takes;
    self->tasks = detector->tasks;
    self->fitted = true;
    self->timings.struct_size = sizeof self->timings;
    imiad_status status = IMIAD_OK;
    if (detector->calibration)
        status = imiad_detector_set_calibration(self, &detector->calibration->values);
    if (status == IMIAD_OK)
        *out = self;
    else
        imiad_detector_free(self);
    return status;
}

void imiad_detector_free(imiad_detector *self)
{
    if (!self)
        return;
    if (self->origin) {
        imiad_detector_free(self->origin);
        free(self->calibration);
        free(self->map);
        free(self);
        return;
    }
    if (atomic_fetch_sub(&self->references, 1) != 1)
        return;
    if (self->options) /* otherwise create never ran */
        self->ops->destroy(self);
    options_free(self->options);
    imiad_backbone_free(self->backbone);
    free(self->state);
    free(self->calibration);
    free(self->map);
    free(self);
}

const char *imiad_detector_name(const imiad_detector *self)
{
    return self ? self->ops->name : NULL;
}

const char *imiad_detector_option(const imiad_detector *self, const char *name)
{
    return self && name ? options_find(self->options, name) : NULL;
}

const imiad_backbone *imiad_detector_backbone(const imiad_detector *self)
{
    return self ? self->backbone : NULL;
}

imiad_status imiad_detector_bank(const imiad_bank **out, const imiad_detector *self)
{
    if (!out || !self)
        return fail(IMIAD_INVALID_ARGUMENT, "detector bank: NULL");
    if (!self->ops->bank)
        return fail(IMIAD_UNSUPPORTED, "detector %s has no memory bank", self->ops->name);
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s has no memory bank before fit or load",
                    self->ops->name);
    *out = self->ops->bank(self);
    return IMIAD_OK;
}

device detector_device(const imiad_detector *self)
{
    return self->backbone ? self->backbone->device : self->device;
}

int64_t detector_batch_size(const imiad_detector *self)
{
    return options_int(self->options, "batch");
}

static double begin_backbone(const imiad_detector *self)
{
    device_synchronize(self->backbone->device);
    return clock_seconds();
}

static void end_backbone(imiad_detector *self, double start)
{
    device_synchronize(self->backbone->device);
    self->timings.backbone_seconds += clock_seconds() - start;
}

void detector_features(imiad_detector *self, const batch *b, const char *const *layers, int count,
                       tensor **out)
{
    double start = begin_backbone(self);
    backbone_features(self->backbone, b->images, layers, count, out);
    end_backbone(self, start);
}

void detector_sums(imiad_detector *self, const batch *b, const char *const *layers, int count,
                   tensor **out)
{
    double start = begin_backbone(self);
    backbone_sums(self->backbone, b->images, layers, count, out);
    end_backbone(self, start);
}

void detector_tokens(imiad_detector *self, const batch *b, const char *const *layers, int count,
                     position_rule rule, tensor **out)
{
    double start = begin_backbone(self);
    backbone_tokens(self->backbone, b->images, layers, count, rule, out);
    end_backbone(self, start);
}

/* ---- batches ---- */

void detector_make_batch(batch *out, const imiad_detector *self, const imiad_image *const *images,
                         size_t count)
{
    int64_t height = images[0]->height, width = images[0]->width;
    *out = (batch){.count = (int64_t)count, .height = height, .width = width, .pixels = images};
    for (size_t i = 1; i < count; ++i)
        if (images[i]->height != height || images[i]->width != width) {
            t_fail(IMIAD_MISMATCH,
                   "images of %lld x %lld and %d x %d in one batch: set crop, or "
                   "resize_mode=squash, or batch=1",
                   (long long)width, (long long)height, images[i]->width, images[i]->height);
            return;
        }
    size_t plane = (size_t)(3 * height * width);
    tensor *host = t_zeros(4, (int64_t[]){(int64_t)count, 3, height, width}, F32, CPU);
    float *values = t_data(host);
    for (size_t i = 0; values && i < count; ++i)
        preprocess_normalize(values + i * plane, images[i], &self->preprocessing);
    out->images = t_to_device(host, detector_device(self));
}

/* ---- preprocessing and timings ---- */

imiad_status imiad_detector_preprocess(imiad_image **out, const imiad_detector *self,
                                       const imiad_image *image)
{
    if (!out || !self || !image)
        return fail(IMIAD_INVALID_ARGUMENT, "preprocess: NULL");
    imiad_image *seen;
    TRY(preprocess_image(&seen, image, &self->preprocessing));
    TRY(image_show(&seen, IMIAD_PIXEL_RGB8));
    *out = seen;
    return IMIAD_OK;
}

imiad_status imiad_detector_timings(imiad_timings *out, const imiad_detector *self)
{
    if (!out || !self || out->struct_size < sizeof *out)
        return fail(IMIAD_INVALID_ARGUMENT, "timings: NULL, or struct_size is not set");
    *out = self->timings;
    return IMIAD_OK;
}

void detector_add_loading(imiad_detector *self, double decode_seconds, double resize_seconds)
{
    self->timings.decode_seconds += decode_seconds;
    self->timings.resize_seconds += resize_seconds;
}
