#include "detectors/detector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/anomaly_map.h"
#include "detectors/calibration.h"
#include "detectors/schema.h"
#include "image/preprocess.h"

/* ---- making ---- */

static preprocessing read_preprocessing(const option_set *options)
{
    preprocessing p = {.squash = strcmp(options_text(options, "resize_mode"), "squash") == 0,
                       .resize = (int32_t)options_int(options, "resize"),
                       .crop = (int32_t)options_int(options, "crop")};
    memcpy(p.mean, imagenet_mean, sizeof p.mean);
    memcpy(p.std, imagenet_std, sizeof p.std);
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
    atomic_init(&self->references, 1);
    self->timings.struct_size = sizeof self->timings;
    self->backbone = ops->needs_backbone ? backbone_retain(backbone) : NULL;
    self->state = calloc(1, ops->state_size);
    imiad_status status = self->state
                              ? detector_parse_options(&self->options, ops, options, option_count)
                              : fail_memory("a detector", ops->state_size);
    if (status == IMIAD_OK) {
        self->preprocessing = read_preprocessing(self->options);
        status = ops->create(self);
    }
    if (status != IMIAD_OK) {
        imiad_detector_free(self);
        return status;
    }
    *out = self;
    return IMIAD_OK;
}

imiad_status imiad_detector_create(imiad_detector **out, const char *name, imiad_backbone *backbone,
                                   const imiad_option *options, size_t option_count)
{
    if (!out || !name)
        return fail(IMIAD_INVALID_ARGUMENT, "detector: out or name is NULL");
    const detector_ops *ops;
    TRY(detector_find(&ops, name));
    return detector_create(out, ops, backbone, options, option_count);
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
    return self->ops->name;
}

const char *imiad_detector_option(const imiad_detector *self, const char *name)
{
    return options_find(self->options, name);
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
    return self->backbone ? self->backbone->device : CPU;
}

int64_t detector_batch_size(const imiad_detector *self)
{
    return options_int(self->options, "batch");
}

static void run_backbone(void (*run)(const imiad_backbone *, tensor *, const char *const *, int,
                                     tensor **),
                         imiad_detector *self, const batch *b, const char *const *layers, int count,
                         tensor **out)
{
    device_synchronize(self->backbone->device);
    double start = clock_seconds();
    run(self->backbone, b->images, layers, count, out);
    device_synchronize(self->backbone->device);
    self->timings.backbone_seconds += clock_seconds() - start;
}

void detector_features(imiad_detector *self, const batch *b, const char *const *layers, int count,
                       tensor **out)
{
    run_backbone(backbone_features, self, b, layers, count, out);
}

void detector_sums(imiad_detector *self, const batch *b, const char *const *layers, int count,
                   tensor **out)
{
    run_backbone(backbone_sums, self, b, layers, count, out);
}

/* ---- batches ---- */

void detector_make_batch(batch *out, const imiad_detector *self, const imiad_image *const *images,
                         size_t count)
{
    int64_t height = images[0]->height, width = images[0]->width;
    *out = (batch){NULL, (int64_t)count, height, width, images};
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

/* ---- fitting ---- */

/* Clones score with what their original learned: it must not change. */
static imiad_status check_alone(const imiad_detector *self, const char *before)
{
    if (!self->origin && atomic_load(&self->references) == 1)
        return IMIAD_OK;
    return fail(IMIAD_WRONG_STATE, "detector %s shares what it learned with clones: %s%s",
                self->ops->name, self->origin ? "this is one" : "free them before ",
                self->origin ? "" : before);
}

imiad_status imiad_detector_forget(imiad_detector *self, int64_t image, int64_t *removed)
{
    int64_t rows = 0;
    if (!self)
        return fail(IMIAD_INVALID_ARGUMENT, "forgetting an image: detector is NULL");
    if (!self->ops->forget)
        return fail(IMIAD_UNSUPPORTED, "detector %s cannot forget single images", self->ops->name);
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s has nothing to forget before fit or load",
                    self->ops->name);
    TRY(check_alone(self, "it forgets"));
    TRY(self->ops->forget(&rows, self, image));
    if (removed)
        *removed = rows;
    return IMIAD_OK;
}

static imiad_status fit(imiad_detector *self, const image_source *source, bool more,
                        const progress *p)
{
    double start = clock_seconds();
    train_set *set;
    TRY(check_alone(self, "another fit"));
    TRY(train_set_open(&set, self, source));
    more &= self->fitted && self->ops->fit_more;
    free(self->calibration); /* of what is being replaced */
    self->calibration = NULL;
    self->fitted = more; /* only fit_more leaves what there was when it fails */
    imiad_status status = (more ? self->ops->fit_more : self->ops->fit)(self, set, p);
    train_set_close(set);
    self->fitted |= status == IMIAD_OK;
    self->timings.fit_seconds = clock_seconds() - start;
    return status;
}

static imiad_status fit_split(imiad_detector *self, const imiad_split *split, bool more,
                              const progress *p)
{
    if (!self || !split)
        return fail(IMIAD_INVALID_ARGUMENT, "fit: detector or split is NULL");
    size_t count = 0;
    split_entry *normals = malloc((split->train.count + 1) * sizeof *normals);
    if (!normals)
        return fail_memory("a split", split->train.count * sizeof *normals);
    for (size_t i = 0; i < split->train.count; ++i) /* labelled anomalies are not for these */
        if (imiad_split_train_label(split, i) == 0)
            normals[count++] = split->train.entries[i];
    image_source source = {.dataset = split->dataset, .entries = normals, .count = count};
    imiad_status status =
        count ? fit(self, &source, more, p)
              : fail(IMIAD_INVALID_ARGUMENT, "fit: the split has no normal training images");
    free(normals);
    return status;
}

imiad_status imiad_detector_fit(imiad_detector *self, const imiad_split *split,
                                imiad_progress_function function, void *user)
{
    return fit_split(self, split, false, &(progress){function, user});
}

imiad_status imiad_detector_fit_more(imiad_detector *self, const imiad_split *split,
                                     imiad_progress_function function, void *user)
{
    return fit_split(self, split, true, &(progress){function, user});
}

imiad_status imiad_detector_fit_images(imiad_detector *self, const imiad_image *const *images,
                                       size_t count, imiad_progress_function function, void *user)
{
    if (!self || !images || count == 0)
        return fail(IMIAD_INVALID_ARGUMENT, "fit: detector or images is NULL, or there are none");
    image_source source = {.images = images, .count = count};
    return fit(self, &source, false, &(progress){function, user});
}

/* ---- scoring ---- */

imiad_status map_buffer_grow(map_buffer *buffer, size_t values)
{
    if (values <= buffer->capacity)
        return IMIAD_OK;
    float *grown = realloc(buffer->values, values * sizeof *grown);
    if (!grown)
        return fail_memory("anomaly maps", values * sizeof *grown);
    *buffer = (map_buffer){grown, values};
    return IMIAD_OK;
}

static imiad_status read_maps(tensor *maps, map_buffer *buffer)
{
    size_t needed = (size_t)t_count(maps);
    TRY(map_buffer_grow(buffer, needed));
    t_read(t_contiguous(maps), buffer->values, needed * sizeof *buffer->values);
    return IMIAD_OK;
}

static float maximum(const float *map, size_t count)
{
    float most = map[0];
    for (size_t i = 1; i < count; ++i)
        most = map[i] > most ? map[i] : most;
    return most;
}

/* "[8, 28, 28] in float32" */
static const char *shape_text(char out[128], const tensor *t)
{
    static const char *const types[] = {
        [0] = "another type", [F32] = "float32",   [F64] = "float64",
        [F16] = "float16",    [BF16] = "bfloat16", [I64] = "int64",
        [I32] = "int32",      [U8] = "uint8",      [BOOL] = "bool"};
    size_t used = (size_t)snprintf(out, 128, "[");
    for (int i = 0; i < t_rank(t) && used < 96; ++i)
        used += (size_t)snprintf(out + used, 128 - used, i ? ", %lld" : "%lld",
                                 (long long)t_size(t, i));
    snprintf(out + used, 128 - used, "] in %s", types[t_type(t)]);
    return out;
}

static imiad_status check_tensor(const imiad_detector *self, const char *what, const tensor *t,
                                 int rank, int64_t count)
{
    char text[128];
    if (!t || (t_rank(t) == rank && t_size(t, 0) == count && t_type(t) == F32))
        return IMIAD_OK;
    return fail(IMIAD_INTERNAL, "detector %s gave %s of %s for %lld images: want %lld%s in float32",
                self->ops->name, what, shape_text(text, t), (long long)count, (long long)count,
                rank == 3 ? " x h x w" : "");
}

/* What follows reads as many values as there should be. */
static imiad_status check_scores(const imiad_detector *self, const batch *b, const scores *found)
{
    if (!found->maps && !found->image)
        return fail(IMIAD_INTERNAL, "detector %s gave neither maps nor image scores",
                    self->ops->name);
    TRY(check_tensor(self, "maps", found->maps, 3, b->count));
    return check_tensor(self, "image scores", found->image, 1, b->count);
}

/* Maps upsampled, read and smoothed; image scores read or taken from them. */
static imiad_status finish(outcome *out, imiad_detector *self, const batch *b, const scores *found,
                           map_buffer *maps)
{
    size_t count = (size_t)b->count, size = (size_t)(b->height * b->width);
    TRY(check_scores(self, b, found));
    if (found->maps)
        TRY(read_maps(map_upsample(found->maps, b->height, b->width), maps));
    float *image_scores = malloc(count * sizeof *image_scores);
    if (!image_scores)
        return fail_memory("scores", count * sizeof *image_scores);
    if (found->image)
        t_read(found->image, image_scores, count * sizeof *image_scores);
    imiad_status status = IMIAD_OK;
    if (found->maps && !t_failed())
        status = map_smooth(maps->values, b->count, b->height, b->width,
                            options_real(self->options, "smoothing"));
    for (size_t i = 0; status == IMIAD_OK && !t_failed() && i < count; ++i) {
        const float *map = found->maps ? maps->values + i * size : NULL;
        float score = found->image ? image_scores[i] : maximum(map, size);
        if (!isfinite(score))
            status = fail(IMIAD_NOT_FINITE, "detector %s gave an image the score %g",
                          self->ops->name, (double)score);
        out[i] = (outcome){score, (int32_t)b->width, (int32_t)b->height, map};
    }
    free(image_scores);
    return status;
}

imiad_status detector_score_batch(outcome *out, imiad_detector *self,
                                  const imiad_image *const *images, size_t count, map_buffer *maps)
{
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s must be fitted or loaded before it can score",
                    self->ops->name);
    double start = clock_seconds(), backbone_before = self->timings.backbone_seconds;
    scope s = scope_begin();
    batch b;
    scores found = {NULL, NULL};
    detector_make_batch(&b, self, images, count);
    if (!t_failed())
        self->ops->score(self, &b, &found);
    double scored = clock_seconds();
    imiad_status status = t_failed() ? IMIAD_OK : finish(out, self, &b, &found, maps);
    double backbone = self->timings.backbone_seconds - backbone_before;
    self->timings.score_seconds += scored - start - backbone;
    self->timings.map_seconds += clock_seconds() - scored;
    self->timings.images += (int64_t)count;
    imiad_status failure = scope_end(&s);
    return failure != IMIAD_OK ? failure : status;
}

imiad_status imiad_detector_score(imiad_result *out, imiad_detector *self, const imiad_image *image)
{
    if (!out || !self || !image)
        return fail(IMIAD_INVALID_ARGUMENT, "score: NULL");
    if (out->struct_size < sizeof *out)
        return fail(IMIAD_INVALID_ARGUMENT, "score: struct_size of the result is not set");
    double start = clock_seconds();
    imiad_image *input;
    TRY(preprocess_image(&input, image, &self->preprocessing));
    detector_add_loading(self, 0, clock_seconds() - start);
    map_buffer buffer = {NULL, 0};
    outcome o;
    const imiad_image *const images[1] = {input};
    imiad_status status = detector_score_batch(&o, self, images, 1, &buffer);
    imiad_image_free(input);
    if (status != IMIAD_OK) {
        free(buffer.values);
        return status;
    }
    free(self->map);
    self->map = buffer.values;
    out->score = o.score;
    out->width = o.width;
    out->height = o.height;
    out->map = o.map;
    return IMIAD_OK;
}

imiad_status imiad_detector_preprocess(imiad_image **out, const imiad_detector *self,
                                       const imiad_image *image)
{
    if (!out || !self || !image)
        return fail(IMIAD_INVALID_ARGUMENT, "preprocess: NULL");
    return preprocess_image(out, image, &self->preprocessing);
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
