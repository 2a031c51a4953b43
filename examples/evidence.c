#include "evidence.h"
#include "names.h"
#include "thumbnail.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test image with its map, until the scale of the heat is known. */
typedef struct look {
    imiad_image *image, *mask; /* image NULL: none so far; mask NULL: none */
    float *map;
    int width, height;
    float score;
} look;

/* The defective images that are shown beside the same ones of other detectors: one of each sort. */
enum { STRUCTURAL, LOGICAL, SORTS };
static const char *const sorts[SORTS] = {"structural", "logical"};

/* The images on which a detector did best and worst. */
enum { FOUND, MISSED, FALSE_ALARM, CASES };
static const char *const cases[CASES] = {"picture found", "picture missed", "picture false alarm"};

/* Of all maps a value in so many is looked at, to scale the colours. */
enum { EVERY = 61 };

struct evidence {
    const imiad_split *split;
    const imiad_dataset *dataset;
    json_t *scores;
    int pictures;
    size_t shown[SORTS]; /* samples; SIZE_MAX: none */
    look looks[SORTS], extremes[CASES];
    float *values; /* of maps */
    size_t value_count, value_room;
};

/* ---- which images are shown ---- */

static int sort_of(const char *kind)
{
    return strncmp(kind, "logical", 7) == 0 ? LOGICAL : STRUCTURAL;
}

/* The middle one of the defective images of each sort, whatever the detector is. */
static void choose_shown(evidence *e)
{
    size_t counts[SORTS] = {0}, passed[SORTS] = {0};
    for (int round = 0; round < 2; ++round)
        for (size_t i = 0; i < imiad_split_test_count(e->split); ++i) {
            imiad_sample sample = IMIAD_SAMPLE_INIT;
            size_t index = imiad_split_test(e->split, i);
            if (imiad_dataset_sample(&sample, e->dataset, index) != IMIAD_OK || sample.label == 0)
                continue;
            int sort = sort_of(sample.kind);
            if (round == 0)
                ++counts[sort];
            else if (passed[sort]++ == counts[sort] / 2)
                e->shown[sort] = index;
        }
}

evidence *evidence_begin(const imiad_split *split, int pictures)
{
    evidence *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    *e = (evidence){.split = split,
                    .dataset = imiad_split_dataset(split),
                    .scores = json_array(),
                    .pictures = pictures,
                    .shown = {SIZE_MAX, SIZE_MAX}};
    if (pictures)
        choose_shown(e);
    return e;
}

/* ---- what is kept of an image ---- */

static void drop(look *l)
{
    imiad_image_free(l->image);
    imiad_image_free(l->mask);
    free(l->map);
    *l = (look){.image = NULL};
}

/* Small already: a set of large images would not fit. */
static imiad_status take_look(look *out, const imiad_scored *scored)
{
    size_t bytes = (size_t)scored->width * (size_t)scored->height * sizeof *scored->map;
    drop(out);
    out->map = malloc(bytes);
    imiad_status status = out->map ? IMIAD_OK : IMIAD_NO_MEMORY;
    if (status == IMIAD_OK)
        status = thumbnail_shrink(&out->image, scored->image);
    if (status == IMIAD_OK && scored->mask)
        status = thumbnail_shrink(&out->mask, scored->mask);
    if (status != IMIAD_OK) {
        drop(out);
        return status;
    }
    memcpy(out->map, scored->map, bytes);
    out->width = scored->width;
    out->height = scored->height;
    out->score = scored->score;
    return IMIAD_OK;
}

static imiad_status add_values(evidence *e, const imiad_scored *scored)
{
    size_t size = (size_t)scored->width * (size_t)scored->height, more = size / EVERY + 1;
    if (e->value_count + more > e->value_room) {
        size_t room = 2 * (e->value_count + more);
        float *grown = realloc(e->values, room * sizeof *grown);
        if (!grown)
            return IMIAD_NO_MEMORY;
        e->values = grown;
        e->value_room = room;
    }
    for (size_t i = 0; i < size; i += EVERY)
        e->values[e->value_count++] = scored->map[i];
    return IMIAD_OK;
}

static imiad_status add_pictures(evidence *e, const imiad_scored *scored)
{
    int defective = scored->info.label == 1;
    const int wanted[CASES] = {
        [FOUND] =
            defective && !(e->extremes[FOUND].image && scored->score <= e->extremes[FOUND].score),
        [MISSED] =
            defective && !(e->extremes[MISSED].image && scored->score >= e->extremes[MISSED].score),
        [FALSE_ALARM] = !defective && !(e->extremes[FALSE_ALARM].image &&
                                        scored->score <= e->extremes[FALSE_ALARM].score)};
    imiad_status status = add_values(e, scored);
    for (int k = 0; k < SORTS && status == IMIAD_OK; ++k)
        if (scored->sample == e->shown[k])
            status = take_look(&e->looks[k], scored);
    for (int k = 0; k < CASES && status == IMIAD_OK; ++k)
        if (wanted[k])
            status = take_look(&e->extremes[k], scored);
    return status;
}

imiad_status evidence_add(evidence *e, const imiad_scored *scored)
{
    imiad_status status = IMIAD_OK;
    json_t *line = json_array(), *name = json_object();
    json_array_append_new(line, json_integer(scored->info.label));
    json_array_append_new(line, json_real((double)scored->score));
    name_into(name, "kind", scored->info.kind); /* whatever bytes they hold */
    name_into(name, "path", scored->info.path);
    json_array_append(line, json_object_get(name, "kind"));
    json_array_append(line, json_object_get(name, "path"));
    json_decref(name);
    if (json_array_size(line) != 4 || json_array_append(e->scores, line) != 0)
        status = IMIAD_NO_MEMORY;
    json_decref(line);
    if (status != IMIAD_OK)
        return status;
    return e->pictures && scored->map ? add_pictures(e, scored) : IMIAD_OK;
}

/* ---- pictures ---- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static imiad_status put_picture(json_t *object, const char *name, const imiad_image *image)
{
    char *text = thumbnail_text(image);
    int bad = !text || json_object_set_new(object, name, json_string(text)) != 0;
    free(text);
    return bad ? IMIAD_IO : IMIAD_OK;
}

static imiad_status put_heat(json_t *object, const char *name, const look *l, float low, float high)
{
    imiad_image *drawn;
    imiad_status status =
        thumbnail_heat(&drawn, l->image, l->map, l->width, l->height, low, high, l->mask);
    if (status != IMIAD_OK)
        return status;
    status = put_picture(object, name, drawn);
    imiad_image_free(drawn);
    return status;
}

/* The image, the ground truth and the map of one that is shown beside other detectors'. */
static imiad_status put_shown(json_t *object, const char *sort, const look *l, float low,
                              float high)
{
    char name[64];
    if (!l->image)
        return IMIAD_OK;
    snprintf(name, sizeof name, "picture %s image", sort);
    imiad_status status = put_picture(object, name, l->image);
    snprintf(name, sizeof name, "picture %s mask", sort);
    if (status == IMIAD_OK && l->mask)
        status = put_picture(object, name, l->mask);
    snprintf(name, sizeof name, "picture %s map", sort);
    return status == IMIAD_OK ? put_heat(object, name, l, low, high) : status;
}

/* The first training image. */
static imiad_status put_good(json_t *object, const evidence *e)
{
    imiad_image *image, *small;
    if (imiad_split_train_count(e->split) == 0 || imiad_split_train_label(e->split, 0) != 0)
        return IMIAD_OK;
    imiad_status status =
        imiad_dataset_read_image(&image, e->dataset, imiad_split_train(e->split, 0));
    if (status != IMIAD_OK)
        return status;
    status = thumbnail_shrink(&small, image);
    imiad_image_free(image);
    if (status != IMIAD_OK)
        return status;
    status = put_picture(object, "picture good", small);
    imiad_image_free(small);
    return status;
}

/* One scale for all: from the median of all values to the one that a value in a thousand exceeds.
 */
static imiad_status put_pictures(json_t *object, evidence *e)
{
    if (e->value_count == 0)
        return IMIAD_OK;
    qsort(e->values, e->value_count, sizeof *e->values, compare_floats);
    float low = e->values[e->value_count / 2];
    float high = e->values[e->value_count - 1 - e->value_count / 1000];
    imiad_status status = put_good(object, e);
    for (int k = 0; k < SORTS && status == IMIAD_OK; ++k)
        status = put_shown(object, sorts[k], &e->looks[k], low, high);
    for (int k = 0; k < CASES && status == IMIAD_OK; ++k)
        if (e->extremes[k].image)
            status = put_heat(object, cases[k], &e->extremes[k], low, high);
    return status;
}

/* ---- the rest ---- */

/* AUPRO by limit: what lies between two of them is the curve there. */
static json_t *aupro_by_limit(const imiad_metrics *metrics)
{
    static const double limits[] = {0.001, 0.002, 0.004, 0.007, 0.01, 0.015, 0.02, 0.03, 0.04,
                                    0.05,  0.07,  0.1,   0.13,  0.16, 0.2,   0.25, 0.3};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof limits / sizeof *limits; ++i) {
        double area;
        if (imiad_metrics_aupro(&area, metrics, limits[i]) == IMIAD_OK)
            json_array_append_new(list, json_pack("[f, f]", limits[i], area));
    }
    return list;
}

/* How many images the category has, whatever the setting trains on, and how large they are. */
static json_t *category_record(const evidence *e)
{
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    size_t good = 0, defective = 0, category = 0, count = imiad_dataset_sample_count(e->dataset);
    int32_t least = INT32_MAX, most = 0;
    json_t *kinds = json_object();
    while (imiad_dataset_category_info(&info, e->dataset, category) == IMIAD_OK &&
           strcmp(info.name, imiad_split_category(e->split)) != 0)
        ++category;
    for (size_t i = 0; i < count; ++i) {
        imiad_sample sample = IMIAD_SAMPLE_INIT;
        int32_t width, height;
        if (imiad_dataset_sample(&sample, e->dataset, i) != IMIAD_OK ||
            (size_t)sample.category != category)
            continue;
        good += sample.label == 0;
        defective += sample.label == 1;
        if (sample.label == 1)
            name_into(kinds, sample.kind, "");
        if (imiad_dataset_image_size(&width, &height, e->dataset, i) == IMIAD_OK) {
            least = width < least ? width : least;
            least = height < least ? height : least;
            most = width > most ? width : most;
            most = height > most ? height : most;
        }
    }
    json_t *record =
        json_pack("{s:I, s:I, s:I, s:i, s:i}", "normal", (json_int_t)good, "defective",
                  (json_int_t)defective, "kinds", (json_int_t)json_object_size(kinds),
                  "shortest_side", most > 0 ? (int)least : 0, "longest_side", (int)most);
    json_decref(kinds);
    return record;
}

imiad_status evidence_end(json_t **out, evidence *e, const imiad_metrics *metrics)
{
    json_t *object = json_object();
    json_object_set(object, "scores", e->scores);
    json_object_set_new(object, "aupro", aupro_by_limit(metrics));
    json_object_set_new(object, "category", category_record(e));
    imiad_status status = e->pictures ? put_pictures(object, e) : IMIAD_OK;
    evidence_free(e);
    if (status == IMIAD_OK)
        *out = object;
    else
        json_decref(object);
    return status;
}

void evidence_free(evidence *e)
{
    if (!e)
        return;
    for (int k = 0; k < SORTS; ++k)
        drop(&e->looks[k]);
    for (int k = 0; k < CASES; ++k)
        drop(&e->extremes[k]);
    json_decref(e->scores);
    free(e->values);
    free(e);
}

/* ---- for the store ---- */

imiad_status evidence_options(imiad_option **out, size_t *count, json_t **texts,
                              const json_t *object)
{
    const char *name;
    json_t *value;
    *count = 0;
    *texts = json_array();
    *out = calloc(json_object_size(object) + 1, sizeof **out);
    if (!*out || !*texts)
        return IMIAD_NO_MEMORY;
    json_object_foreach((json_t *)object, name, value)
    {
        char *written =
            json_is_string(value)
                ? NULL
                : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        json_t *text = json_is_string(value) ? json_incref(value) : json_string(written);
        free(written);
        if (json_array_append_new(*texts, text) != 0)
            return IMIAD_NO_MEMORY;
        (*out)[(*count)++] = (imiad_option){name, json_string_value(text)};
    }
    return IMIAD_OK;
}
