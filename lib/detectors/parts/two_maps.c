#include "detectors/parts/two_maps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "detectors/parts/hard_loss.h"
#include "image/preprocess.h"
#include "synthesis/texture_source.h"

static const double quantiles[] = {0.9, 0.995};
static const double apart = 0.1;     /* of these two, once the map is scaled */
static const double rounding = 1e-9; /* of a map beside its mean */

imiad_status map_values_choose(bool **chosen, bool *spared, const imiad_detector *self,
                               const train_set *images, double share)
{
    size_t count = train_set_count(images), *order = malloc(count * sizeof *order);
    bool *flags = calloc(count, sizeof *flags);
    if (!order || !flags) {
        free(order);
        free(flags);
        return fail_memory("a draw of images", count * sizeof *order);
    }
    char purpose[96];
    snprintf(purpose, sizeof purpose, "%s/held-out", self->ops->name);
    random_stream s = random_open((uint64_t)options_int(self->options, "seed"), purpose);
    size_t trained = (size_t)((1 - share) * (double)count + 1e-9);
    trained = trained > 0 ? trained : 1;
    *spared = trained < count;
    for (size_t i = 0; i < count; ++i)
        order[i] = i;
    random_shuffle(&s, order, count);
    for (size_t i = *spared ? trained : 0; i < count; ++i)
        flags[order[i]] = true;
    free(order);
    *chosen = flags;
    return IMIAD_OK;
}

void map_values_free(map_values *v)
{
    for (int i = 0; i < v->count; ++i)
        free(v->values[i]);
}

static imiad_status grow(map_values *v, size_t more)
{
    if (v->used + more <= v->room)
        return IMIAD_OK;
    size_t room = 2 * v->room + more;
    for (int i = 0; i < v->count; ++i) {
        float *grown = realloc(v->values[i], room * sizeof *grown);
        if (!grown)
            return fail_memory("maps", room * sizeof *grown);
        v->values[i] = grown;
    }
    v->room = room;
    return IMIAD_OK;
}

static void add(map_values *v, imiad_detector *self, tensor *images)
{
    tensor *maps[MOST_MAPS];
    v->maps(self, images, maps);
    size_t count = (size_t)t_count(maps[0]);
    if (t_failed() || !t_try(grow(v, count)))
        return;
    for (int i = 0; i < v->count; ++i)
        t_read(t_contiguous(t_mul_scalar(maps[i], 1.0 / (double)v->channels)),
               v->values[i] + v->used, count * sizeof **v->values);
    v->used += count;
}

static imiad_status add_chosen(map_values *v, imiad_detector *self, train_set *images,
                               const train_pass *pass, const progress *p)
{
    TRY(train_set_begin(images, pass));
    for (size_t i = 0; i < pass->count; ++i) {
        scope s = scope_begin();
        batch b;
        if (train_set_next(images, &b))
            add(v, self, b.images);
        TRY(scope_end(&s));
        TRY(progress_report(p, "maps", (int64_t)i + 1, (int64_t)pass->count));
    }
    return IMIAD_OK;
}

imiad_status map_values_of_set(map_values *v, imiad_detector *self, train_set *images,
                               const bool *chosen, const progress *p)
{
    size_t count = train_set_count(images), found = 0, *order = malloc(count * sizeof *order);
    if (!order)
        return fail_memory("an order of images", count * sizeof *order);
    for (size_t i = 0; i < count; ++i)
        if (chosen[i])
            order[found++] = i;
    const train_pass pass = {.order = order, .count = found, .batch = 1};
    imiad_status status = add_chosen(v, self, images, &pass, p);
    train_set_rest(images);
    free(order);
    return status;
}

static imiad_status add_file(map_values *v, imiad_detector *self, const char *path)
{
    imiad_image *read, *seen;
    TRY(imiad_image_read(&read, path));
    imiad_status status = preprocess_image(&seen, read, &self->preprocessing);
    imiad_image_free(read);
    TRY(status);
    scope s = scope_begin();
    tensor *host = t_zeros(4, (int64_t[]){1, 3, seen->height, seen->width}, F32, CPU);
    float *values = t_data(host);
    if (values)
        preprocess_normalize(values, seen, &self->preprocessing);
    add(v, self, t_to_device(host, detector_device(self)));
    imiad_image_free(seen);
    return scope_end(&s);
}

imiad_status map_values_of_folder(map_values *v, imiad_detector *self, const char *folder,
                                  const progress *p)
{
    texture_source *source;
    TRY(texture_source_open(&source, folder, 0));
    size_t count = texture_source_count(source);
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        status = add_file(v, self, texture_source_path(source, i));
        if (status == IMIAD_OK)
            status = progress_report(p, "maps", (int64_t)i + 1, (int64_t)count);
    }
    texture_source_close(source);
    return status;
}

imiad_status map_values_quantiles(float *out, const map_values *v)
{
    const int64_t count = (int64_t)v->used;
    for (int i = 0; i < 2 * v->count; ++i) {
        scope s = scope_begin();
        tensor *values = t_view_of(v->values[i / 2], 1, &count, F32);
        out[i] = (float)quantile_select(values, quantiles[i % 2]);
        TRY(scope_end(&s));
    }
    return IMIAD_OK;
}

void map_values_moments(double *out, const map_values *v)
{
    for (int i = 0; i < v->count; ++i) {
        double mean = 0, square = 0, count = (double)v->used;
        for (size_t j = 0; j < v->used; ++j)
            mean += (double)v->values[i][j] / count;
        for (size_t j = 0; j < v->used; ++j)
            square += pow((double)v->values[i][j] - mean, 2) / count;
        out[2 * i] = mean;
        out[2 * i + 1] = sqrt(square);
    }
}

imiad_status map_values_places(map_place out[MOST_MAPS], const map_values *v, bool by_quantiles)
{
    double moments[2 * MOST_MAPS];
    float found[2 * MOST_MAPS];
    if (by_quantiles)
        TRY(map_values_quantiles(found, v));
    else
        map_values_moments(moments, v);
    for (int i = 0; i < v->count; ++i) {
        double low = by_quantiles ? (double)found[2 * i] : moments[2 * i];
        double width = by_quantiles ? ((double)found[2 * i + 1] - low) / apart : moments[2 * i + 1];
        if (!(width > rounding * low)) {
            log_message(IMIAD_LOG_WARNING,
                        "a map is the same everywhere on the good images that set its scale: it "
                        "keeps its own");
            width = 1;
        }
        out[i] = (map_place){(float)low, (float)width};
    }
    return IMIAD_OK;
}

map_scale map_scale_of(const float q[MAP_QUANTILES], int64_t channels)
{
    map_scale s = {.offset = 0};
    for (int i = 0; i < TWO_MAPS; ++i) {
        double low = (double)q[2 * i], width = (double)q[2 * i + 1] - low;
        double factor = (width > 0 ? apart / width : 1) / TWO_MAPS;
        if (!(width > 0))
            log_message(IMIAD_LOG_WARNING,
                        "the map of the student and the %s is the same everywhere on the good "
                        "images that set its scale: it keeps its own",
                        i == 0 ? "teacher" : "autoencoder");
        s.factors[i] = factor / (double)channels;
        s.offset -= factor * low;
    }
    return s;
}

tensor *map_scale_apply(const map_scale *s, tensor *const maps[TWO_MAPS])
{
    tensor *both =
        t_add(t_mul_scalar(maps[0], s->factors[0]), t_mul_scalar(maps[1], s->factors[1]));
    return t_add_scalar(both, s->offset);
}
