#include "report/evidence.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json_error.h"

/* What a report reads of one cell: more is not of a test set. */
enum { MOST_IMAGES = 100000, MOST_NUMBERS = 1000 };

static const char *text_of(const imiad_cell *cell, const char *name)
{
    for (size_t i = 0; i < cell->evidence_count; ++i)
        if (strcmp(cell->evidence[i].name, name) == 0)
            return cell->evidence[i].value;
    return NULL;
}

const char *evidence_picture(const imiad_cell *cell, const char *name)
{
    static const char begin[] = "data:image/png;base64,";
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const char *text = text_of(cell, name);
    if (!text || strncmp(text, begin, sizeof begin - 1) != 0)
        return NULL;
    const char *bytes = text + sizeof begin - 1;
    return *bytes && !bytes[strspn(bytes, digits)] ? text : NULL;
}

/* *out is NULL where there is no such evidence, or it is no JSON. */
static imiad_status read_json(json_t **out, const imiad_cell *cell, const char *name)
{
    const char *text = text_of(cell, name);
    json_error_t error;
    *out = NULL;
    if (!text)
        return IMIAD_OK;
    imiad_status status =
        json_read(out, text, strlen(text), JSON_DECODE_ANY, &error, "a cell's evidence");
    if (status != IMIAD_OK)
        *out = NULL;
    return status == IMIAD_NO_MEMORY ? status : IMIAD_OK;
}

/* ---- scores ---- */

static int by_score(const void *a, const void *b)
{
    const scored_image *x = a, *y = b;
    int order = (x->score < y->score) - (x->score > y->score);
    return order ? order : strcmp(x->path, y->path);
}

/* [label, score, kind, path] */
static imiad_status take_image(cell_evidence *out, kept *k, const json_t *line)
{
    const json_t *label = json_array_get(line, 0), *score = json_array_get(line, 1);
    if (!json_is_integer(label) || !json_is_number(score))
        return IMIAD_OK;
    scored_image *image = &out->images[out->image_count];
    *image = (scored_image){.defective = json_integer_value(label) == 1,
                            .score = json_number_value(score)};
    TRY(kept_text(&image->kind, k, json_string_value(json_array_get(line, 2))));
    TRY(kept_text(&image->path, k, json_string_value(json_array_get(line, 3))));
    out->image_count++;
    out->defective += image->defective;
    out->good += !image->defective;
    return IMIAD_OK;
}

static imiad_status read_scores(cell_evidence *out, kept *k, const json_t *lines)
{
    size_t count = json_array_size(lines) < MOST_IMAGES ? json_array_size(lines) : MOST_IMAGES;
    TRY(kept_take(&out->images, k, (count + 1) * sizeof *out->images));
    for (size_t i = 0; i < count; ++i)
        TRY(take_image(out, k, json_array_get(lines, i)));
    qsort(out->images, out->image_count, sizeof *out->images, by_score);
    return IMIAD_OK;
}

/* ---- numbers ---- */

static double number_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Room for the numbers of a list. */
static imiad_status make_numbers(number_list *out, kept *k, const json_t *list, size_t *most)
{
    *most = json_array_size(list) < MOST_NUMBERS ? json_array_size(list) : MOST_NUMBERS;
    *out = (number_list){NULL, 0};
    return kept_take(&out->numbers, k, (*most + 1) * sizeof *out->numbers);
}

static imiad_status read_course(cell_evidence *out, kept *k, const json_t *list)
{
    size_t most;
    TRY(make_numbers(&out->course, k, list, &most));
    for (size_t i = 0; i < most; ++i)
        out->course.numbers[out->course.count++] = number_of(json_array_get(list, i));
    return IMIAD_OK;
}

/* AUPRO up to a limit, times the limit, is the area below the curve up to there: what one limit
 * adds to the one before is the mean overlap between them. */
static imiad_status read_overlaps(cell_evidence *out, kept *k, const json_t *list)
{
    size_t most;
    double limit_before = 0, area_before = 0;
    TRY(make_numbers(&out->rates, k, list, &most));
    TRY(make_numbers(&out->overlaps, k, list, &most));
    for (size_t i = 0; i < most; ++i) {
        const json_t *pair = json_array_get(list, i);
        double limit = number_of(json_array_get(pair, 0));
        double area = limit * number_of(json_array_get(pair, 1));
        if (!(limit > limit_before && limit <= 1) || !(area >= 0 && area <= 1))
            continue;
        double overlap = (area - area_before) / (limit - limit_before);
        out->rates.numbers[out->rates.count++] = (limit_before + limit) / 2;
        out->overlaps.numbers[out->overlaps.count++] = fmin(1, fmax(0, overlap));
        limit_before = limit;
        area_before = area;
    }
    return IMIAD_OK;
}

static double count_of(const json_t *value)
{
    json_int_t count = json_is_integer(value) ? json_integer_value(value) : -1;
    return count >= 0 && count < 1000000000 ? (double)count : -1;
}

static imiad_status read_task(cell_evidence *out, kept *k, const json_t *value)
{
    (void)k;
    out->task = count_of(value);
    return IMIAD_OK;
}

static imiad_status read_category(cell_evidence *out, kept *k, const json_t *object)
{
    (void)k;
    out->category = (category_counts){count_of(json_object_get(object, "normal")),
                                      count_of(json_object_get(object, "defective")),
                                      count_of(json_object_get(object, "kinds")),
                                      count_of(json_object_get(object, "shortest_side")),
                                      count_of(json_object_get(object, "longest_side"))};
    return IMIAD_OK;
}

/* ---- all of it ---- */

static const struct {
    const char *name;
    imiad_status (*read)(cell_evidence *out, kept *k, const json_t *value);
} readers[] = {{"scores", read_scores},
               {"aupro", read_overlaps},
               {"task", read_task},
               {"course of image_auroc", read_course},
               {"category", read_category}};

imiad_status evidence_read(cell_evidence *out, kept *k, const imiad_cell *cell)
{
    *out = (cell_evidence){.task = -1, .category = {-1, -1, -1, -1, -1}};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; ++i) {
        json_t *value;
        TRY(read_json(&value, cell, readers[i].name));
        imiad_status status = value ? readers[i].read(out, k, value) : IMIAD_OK;
        json_decref(value);
        TRY(status);
    }
    return IMIAD_OK;
}
