/* A detector's thresholds: kept, used, and in its file as JSON. Choosing them is
 * protocols/calibrate.c. */
#include "detectors/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json_error.h"
#include "base/text.h"

/* The members that are numbers, by their names in the file. */
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {{"threshold", offsetof(imiad_calibration, threshold)},
               {"low_threshold", offsetof(imiad_calibration, low_threshold)},
               {"high_threshold", offsetof(imiad_calibration, high_threshold)},
               {"map_threshold", offsetof(imiad_calibration, map_threshold)},
               {"centre", offsetof(imiad_calibration, centre)},
               {"quantile", offsetof(imiad_calibration, quantile)}};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static imiad_status check(const imiad_calibration *c)
{
    for (size_t i = 0; i < NUMBERS; ++i) {
        double value;
        memcpy(&value, (const char *)c + numbers[i].offset, sizeof value);
        if (!isfinite(value))
            return fail(IMIAD_NOT_FINITE, "calibration: %s is %g", numbers[i].name, value);
    }
    if (c->rule != IMIAD_THRESHOLD_QUANTILE && c->rule != IMIAD_THRESHOLD_F1_MAX)
        return fail(IMIAD_OUT_OF_RANGE, "calibration: %d is no rule", (int)c->rule);
    if (c->low_threshold < c->threshold || c->high_threshold > c->threshold)
        return fail(IMIAD_OUT_OF_RANGE,
                    "calibration: thresholds of low, normal and high sensitivity are %g, %g and "
                    "%g: they must not rise",
                    c->low_threshold, c->threshold, c->high_threshold);
    if (c->tile_side < 0 || !(c->tile_overlap >= 0 && c->tile_overlap <= 0.5))
        return fail(IMIAD_OUT_OF_RANGE,
                    "calibration: tiles of %d pixels that overlap by %g: the side must not be "
                    "below 0, the overlap within 0..0.5",
                    c->tile_side, c->tile_overlap);
    return c->normal_count < 0 || c->defective_count < 0
               ? fail(IMIAD_OUT_OF_RANGE, "calibration: a count below 0")
               : IMIAD_OK;
}

imiad_status imiad_detector_set_calibration(imiad_detector *self,
                                            const imiad_calibration *calibration)
{
    imiad_calibration c = IMIAD_CALIBRATION_INIT;
    if (!self || !calibration)
        return fail(IMIAD_INVALID_ARGUMENT, "calibration: NULL");
    TRY(struct_read(&c, sizeof c, calibration, offsetof(imiad_calibration, tile_side),
                    "calibration"));
    if (!self->fitted)
        return fail(IMIAD_WRONG_STATE, "detector %s must be fitted before it is calibrated",
                    self->ops->name);
    TRY(check(&c));
    if (!c.source || strlen(c.source) >= sizeof self->calibration->source)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "calibration: its source must be said, in at most %zu bytes",
                    sizeof self->calibration->source - 1);
    stored_calibration *stored = calloc(1, sizeof *stored);
    if (!stored)
        return fail_memory("a calibration", sizeof *stored);
    c.struct_size = sizeof c;
    stored->values = c;
    strcpy(stored->source, c.source);
    stored->values.source = stored->source;
    free(self->calibration);
    self->calibration = stored;
    return IMIAD_OK;
}

static imiad_status find(const imiad_calibration **out, const imiad_detector *self)
{
    if (!self)
        return fail(IMIAD_INVALID_ARGUMENT, "calibration: the detector is NULL");
    if (!self->calibration)
        return fail(IMIAD_WRONG_STATE,
                    "detector %s has no thresholds: calibrate it from scores, or fit it with "
                    "fit_calibrated",
                    self->ops->name);
    *out = &self->calibration->values;
    return IMIAD_OK;
}

imiad_status imiad_detector_calibration(imiad_calibration *out, const imiad_detector *detector)
{
    const imiad_calibration *c = NULL;
    TRY(find(&c, detector));
    return struct_write(out, sizeof *out, c, offsetof(imiad_calibration, tile_side), "calibration");
}

imiad_status imiad_detector_verdict(int32_t *out, const imiad_detector *detector, float score,
                                    imiad_sensitivity sensitivity)
{
    const imiad_calibration *c = NULL;
    TRY(find(&c, detector));
    if (!out || sensitivity < IMIAD_SENSITIVITY_LOW || sensitivity > IMIAD_SENSITIVITY_HIGH)
        return fail(IMIAD_INVALID_ARGUMENT, "verdict: out is NULL, or %d is no sensitivity",
                    (int)sensitivity);
    const double thresholds[] = {[IMIAD_SENSITIVITY_LOW] = c->low_threshold,
                                 [IMIAD_SENSITIVITY_NORMAL] = c->threshold,
                                 [IMIAD_SENSITIVITY_HIGH] = c->high_threshold};
    if (isnan(score))
        return fail(IMIAD_NOT_FINITE, "verdict: the score is NaN");
    *out = (double)score > thresholds[sensitivity];
    return IMIAD_OK;
}

imiad_status imiad_detector_calibrated_score(double *out, const imiad_detector *detector,
                                             float score)
{
    const imiad_calibration *c = NULL;
    TRY(find(&c, detector));
    if (!out || isnan(score))
        return fail(out ? IMIAD_NOT_FINITE : IMIAD_INVALID_ARGUMENT,
                    "calibrated score: out is NULL, or the score is NaN");
    double above = (double)score - c->threshold, width = c->threshold - c->centre;
    double value = width > 0 ? 0.5 + 0.5 * above / width : above > 0 ? 1 : above < 0 ? 0 : 0.5;
    *out = value < 0 ? 0 : value > 1 ? 1 : value;
    return IMIAD_OK;
}

/* ---- the detector's file ---- */

json_t *calibration_to_json(const imiad_calibration *c)
{
    json_t *object = json_pack("{s:s, s:I, s:I, s:o}", "rule",
                               c->rule == IMIAD_THRESHOLD_QUANTILE ? "quantile" : "f1_max",
                               "normal_count", (json_int_t)c->normal_count, "defective_count",
                               (json_int_t)c->defective_count, "source", text_to_json(c->source));
    int failed = 0;
    for (size_t i = 0; object && i < NUMBERS; ++i) {
        double value;
        memcpy(&value, (const char *)c + numbers[i].offset, sizeof value);
        failed |= json_object_set_new(object, numbers[i].name, json_real(value));
    }
    if (object && c->tile_side > 0) {
        failed |= json_object_set_new(object, "tile_side", json_integer(c->tile_side));
        failed |= json_object_set_new(object, "tile_overlap", json_real(c->tile_overlap));
    }
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static imiad_status read_members(imiad_calibration *c, json_t *object)
{
    /* json_unpack would allocate, and say nothing of where that fails */
    const char *rule = json_string_value(json_object_get(object, "rule"));
    const json_t *normal = json_object_get(object, "normal_count");
    const json_t *defective = json_object_get(object, "defective_count");
    c->source = json_string_value(json_object_get(object, "source"));
    if (!rule || !c->source || !json_is_integer(normal) || !json_is_integer(defective))
        return fail(IMIAD_FORMAT, "its calibration is damaged");
    c->rule = strcmp(rule, "quantile") == 0 ? IMIAD_THRESHOLD_QUANTILE
              : strcmp(rule, "f1_max") == 0 ? IMIAD_THRESHOLD_F1_MAX
                                            : (imiad_threshold_rule)0;
    c->normal_count = json_integer_value(normal);
    c->defective_count = json_integer_value(defective);
    for (size_t i = 0; i < NUMBERS; ++i) {
        const json_t *number = json_object_get(object, numbers[i].name);
        double value = json_number_value(number);
        if (!json_is_number(number))
            return fail(IMIAD_FORMAT, "its calibration lacks %s", numbers[i].name);
        memcpy((char *)c + numbers[i].offset, &value, sizeof value);
    }
    json_int_t side = json_integer_value(json_object_get(object, "tile_side")); /* 0: absent */
    c->tile_side = side >= 0 && side <= INT32_MAX ? (int32_t)side : -1;
    c->tile_overlap = json_number_value(json_object_get(object, "tile_overlap"));
    return IMIAD_OK;
}

imiad_status calibration_from_json(imiad_detector *self, const char *text)
{
    imiad_calibration c = IMIAD_CALIBRATION_INIT;
    json_error_t error;
    json_t *object;
    if (json_read(&object, text, strlen(text), JSON_REJECT_DUPLICATES, &error, "a calibration") ==
        IMIAD_NO_MEMORY)
        return IMIAD_NO_MEMORY;
    imiad_status status = read_members(&c, object);
    if (status == IMIAD_OK)
        status = imiad_detector_set_calibration(self, &c);
    if (status != IMIAD_OK && status != IMIAD_FORMAT && status != IMIAD_NO_MEMORY)
        status = fail_within(IMIAD_FORMAT, "its calibration");
    json_decref(object);
    return status;
}
