/* A fitted detector as one file: safetensors whose metadata says what it is, with the backbone's
 * used weights under "backbone." and what the algorithm learned beside them. docs/formats.md */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json_error.h"
#include "detectors/calibration.h"
#include "detectors/registry.h"
#include "detectors/training/training.h"

#define FORMAT_NAME "imiad-detector-1"
#define PREFIX      "backbone."

static imiad_status write_json(weights_writer *writer, const char *key, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return fail_memory("a detector's description", 1024);
    imiad_status status = weights_writer_metadata(writer, key, text);
    free(text);
    return status;
}

static bool is_left_out(const detector_ops *ops, const imiad_option *option)
{
    const imiad_option *later = ops->later;
    while (later && later->name && strcmp(later->name, option->name) != 0)
        ++later;
    return later && later->name && strcmp(later->value, option->value) == 0;
}

static json_t *describe_options(const imiad_detector *self)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < options_count(self->options); ++i) {
        imiad_option option = options_get(self->options, i);
        if (is_left_out(self->ops, &option))
            continue;
        if (!json_put_text(object, option.name, option.value)) {
            json_decref(object);
            return NULL; /* a file without the option would be read with its default */
        }
    }
    return object;
}

static json_t *describe_colours(const float values[3])
{
    return json_pack("[f, f, f]", (double)values[0], (double)values[1], (double)values[2]);
}

/* Where colours are ImageNet's and names the architecture's own, nothing is said of them, as before
 * there was anything else. */
static json_t *describe_backbone(const imiad_backbone *b)
{
    json_t *object = json_pack("{s:s, s:o, s:s, s:s}", "architecture", imiad_backbone_name(b),
                               "weights", text_to_json(imiad_backbone_weights(b)), "digest",
                               imiad_backbone_digest(b), "precision", imiad_backbone_precision(b));
    if (memcmp(b->mean, imagenet_mean, sizeof b->mean) != 0 ||
        memcmp(b->std, imagenet_std, sizeof b->std) != 0) {
        json_object_set_new(object, "mean", describe_colours(b->mean));
        json_object_set_new(object, "deviation", describe_colours(b->std));
    }
    if (!backbone_has_own_names(b))
        json_object_set_new(object, "dialect", json_string(imiad_backbone_dialect(b)));
    return object;
}

static imiad_status write_all(const imiad_detector *self, weights_writer *writer)
{
    TRY(weights_writer_metadata(writer, "format", FORMAT_NAME));
    TRY(weights_writer_metadata(writer, "detector", self->ops->name));
    TRY(weights_writer_metadata(writer, "library", imiad_version()));
    TRY(write_json(writer, "options", describe_options(self)));
    if (self->tasks > 1) {
        char tasks[24];
        snprintf(tasks, sizeof tasks, "%lld", (long long)self->tasks);
        TRY(weights_writer_metadata(writer, "tasks", tasks));
    }
    if (self->calibration)
        TRY(write_json(writer, "calibration", calibration_to_json(&self->calibration->values)));
    if (self->backbone) {
        const imiad_backbone *b = self->backbone;
        TRY(write_json(writer, "backbone", describe_backbone(b)));
        int count;
        const char *const *layers = self->ops->layers(self, &count);
        TRY(backbone_save(b, writer, PREFIX, layers, count));
    }
    return self->ops->save(self, writer);
}

/* Collects the file and writes it; without a path only its tensors' bytes are counted. */
static imiad_status save(const imiad_detector *self, const char *path, bool learning,
                         uint64_t *bytes)
{
    weights_writer *writer;
    TRY(weights_writer_create(&writer));
    scope s = scope_begin(); /* holds what the writer borrows */
    imiad_status status = write_all(self, writer);
    if (status == IMIAD_OK && learning && self->ops->family_options == training_options)
        status = training_save_learning(self, writer);
    if (status == IMIAD_OK && bytes)
        *bytes = weights_writer_bytes(writer);
    if (status == IMIAD_OK && path && !t_failed())
        status = weights_writer_commit(writer, path);
    imiad_status failure = scope_end(&s);
    weights_writer_free(writer);
    return failure != IMIAD_OK ? failure : status;
}

static imiad_status check_saving(const imiad_detector *self, const char *path)
{
    if (!self || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "save: detector or path is NULL");
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s must be fitted before it can be saved to %s",
                    self->ops->name, path);
    return IMIAD_OK;
}

imiad_status imiad_detector_save(const imiad_detector *self, const char *path)
{
    TRY(check_saving(self, path));
    return save(self, path, false, NULL);
}

imiad_status imiad_detector_save_learning(const imiad_detector *self, const char *path)
{
    TRY(check_saving(self, path));
    return save(self, path, true, NULL);
}

imiad_status imiad_detector_bytes(uint64_t *out, const imiad_detector *self)
{
    if (!out || !self)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_detector_bytes: out or detector is NULL");
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s has learned nothing yet", self->ops->name);
    return save(self, NULL, false, out);
}

/* ---- loading ---- */

static imiad_status metadata(const char **out, const weights *file, const char *path,
                             const char *key)
{
    *out = weights_metadata(file, key);
    return *out ? IMIAD_OK
                : fail(IMIAD_FORMAT, "%s is not a saved detector: it has no \"%s\"", path, key);
}

/* Both or neither; three numbers each, deviations above zero. */
static imiad_status read_colours(imiad_backbone *b, const json_t *mean, const json_t *deviation)
{
    if (!mean && !deviation)
        return IMIAD_OK;
    bool sound = json_array_size(mean) == 3 && json_array_size(deviation) == 3;
    for (size_t i = 0; sound && i < 3; ++i) {
        b->mean[i] = (float)json_number_value(json_array_get(mean, i));
        b->std[i] = (float)json_number_value(json_array_get(deviation, i));
        sound = b->std[i] > 0;
    }
    return sound ? IMIAD_OK : fail(IMIAD_FORMAT, "its backbone's mean and deviation are damaged");
}

static const char *text_in(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static imiad_status load_backbone(imiad_backbone **out, const weights *file, const char *path,
                                  const char *device_text)
{
    const char *text = weights_metadata(file, "backbone");
    if (!text) {
        *out = NULL;
        return IMIAD_OK;
    }
    json_error_t error;
    json_t *object;
    if (json_read(&object, text, strlen(text), JSON_REJECT_DUPLICATES, &error, path) ==
        IMIAD_NO_MEMORY)
        return IMIAD_NO_MEMORY;
    /* json_unpack would allocate, and say nothing of where that fails */
    const char *name = text_in(object, "architecture"), *weights_name = text_in(object, "weights");
    const char *digest = text_in(object, "digest"), *precision = text_in(object, "precision");
    const json_t *naming = json_object_get(object, "dialect");
    json_t *mean = json_object_get(object, "mean"),
           *deviation = json_object_get(object, "deviation");
    imiad_backbone *b = NULL;
    imiad_status status = IMIAD_OK;
    if (!name || !weights_name || !digest || !precision || (naming && !json_is_string(naming)))
        status = fail(IMIAD_FORMAT, "the description of its backbone is damaged");
    if (status == IMIAD_OK)
        status = backbone_from_weights(&b, name, file, PREFIX, weights_name,
                                       json_string_value(naming), device_text, precision);
    if (status == IMIAD_OK)
        status = read_colours(b, mean, deviation);
    if (status == IMIAD_OK)
        strncpy(b->digest, digest, sizeof b->digest - 1);
    json_decref(object);
    if (status != IMIAD_OK) {
        imiad_backbone_free(b);
        return fail_within(status, "%s", path);
    }
    *out = b;
    return IMIAD_OK;
}

/* The device is the caller's choice, not the file's. */
static imiad_status create_from(imiad_detector **out, const char *name, imiad_backbone *backbone,
                                const char *options_text, const char *path, const char *device_text)
{
    const detector_ops *ops;
    json_error_t error;
    json_t *object;
    if (json_read(&object, options_text, strlen(options_text), JSON_REJECT_DUPLICATES, &error,
                  path) == IMIAD_NO_MEMORY)
        return IMIAD_NO_MEMORY;
    imiad_option given[128];
    size_t count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (count == sizeof given / sizeof *given || !json_is_string(value))
            break;
        given[count++] = (imiad_option){key, json_string_value(value)};
    }
    bool whole = json_is_object(object) && count == json_object_size(object);
    if (detector_find(&ops, name) == IMIAD_OK && ops->own_device && count < 128)
        given[count++] = (imiad_option){"device", device_text ? device_text : "cpu"};
    imiad_status status = whole ? imiad_detector_create(out, name, backbone, given, count)
                                : fail(IMIAD_FORMAT, "its options are damaged");
    json_decref(object);
    return status == IMIAD_OK ? status : fail_within(status, "%s", path);
}

static imiad_status read_all(imiad_detector **out, const weights *file, const char *path,
                             const char *device_text)
{
    const char *format, *name, *options;
    TRY(metadata(&format, file, path, "format"));
    if (strcmp(format, FORMAT_NAME) != 0)
        return fail(IMIAD_FORMAT, "%s is \"%s\", not \"" FORMAT_NAME "\"", path, format);
    TRY(metadata(&name, file, path, "detector"));
    TRY(metadata(&options, file, path, "options"));
    imiad_backbone *backbone = NULL;
    TRY(load_backbone(&backbone, file, path, device_text));
    imiad_detector *detector;
    imiad_status status = create_from(&detector, name, backbone, options, path, device_text);
    imiad_backbone_free(backbone); /* the detector holds it */
    TRY(status);
    status = detector->ops->load(detector, file);
    detector->fitted = status == IMIAD_OK;
    const char *tasks = weights_metadata(file, "tasks");
    detector->tasks = tasks ? strtoll(tasks, NULL, 10) : 1;
    const char *calibration = weights_metadata(file, "calibration");
    if (status == IMIAD_OK && calibration)
        status = calibration_from_json(detector, calibration);
    if (status != IMIAD_OK) {
        fail_within(status, "%s", path);
        imiad_detector_free(detector);
        return status;
    }
    *out = detector;
    return IMIAD_OK;
}

imiad_status imiad_detector_load(imiad_detector **out, const char *path, const char *device_text)
{
    if (!out || !path)
        return fail(IMIAD_INVALID_ARGUMENT, "load: out or path is NULL");
    weights *file = NULL;
    imiad_status status = weights_open(&file, path);
    if (status == IMIAD_OK)
        status = weights_verify(file);
    if (status == IMIAD_OK)
        status = read_all(out, file, path, device_text);
    weights_free(file);
    return status == IMIAD_FORMAT ? fail_within(status, "loading a detector") : status;
}
