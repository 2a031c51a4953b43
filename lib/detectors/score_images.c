/* From preprocessed images to scores and maps: the path that training, deployment and evaluation
 * share. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "detectors/anomaly_map.h"
#include "detectors/detector.h"

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
    size_t used = (size_t)snprintf(out, 128, "[");
    for (int i = 0; i < t_rank(t) && used < 96; ++i)
        used += (size_t)snprintf(out + used, 128 - used, i ? ", %lld" : "%lld",
                                 (long long)t_size(t, i));
    snprintf(out + used, 128 - used, "] in %s", dtype_name(t_type(t)));
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

imiad_status detector_score_images(outcome *out, imiad_detector *self,
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
    imiad_status status = detector_score_images(&o, self, images, 1, &buffer);
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
