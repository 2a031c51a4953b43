#include "data/readers/dagm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/options.h"
#include "data/reader.h"

/* ---- Labels.txt ---- */

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static int compare_labels(const void *left, const void *right)
{
    const dagm_label *a = left, *b = right;
    return strcasecmp(a->image, b->image);
}

/* The columns of a row without empty ones behind `wanted`: tabs at the end of its line. */
static size_t count_columns(const table_row *row, size_t wanted)
{
    size_t count = row->count;
    while (count > wanted && row->fields[count - 1][strspn(row->fields[count - 1], " ")] == '\0')
        --count;
    return count;
}

/* index, flag, image, flag, mask; the mask of a good image is "0". In the published files the lines
 * of good images end in one more tab, those of defective ones do not. */
static imiad_status read_label(dagm_label *label, const table_row *row, const char *name)
{
    if (count_columns(row, 5) != 5)
        return fail(IMIAD_FORMAT, "%s, line %zu: %zu columns between tabs instead of 5", name,
                    row->line, row->count);
    const char *image = row->fields[2], *mask = row->fields[4];
    if (!is_number(row->fields[0]) || !is_number(row->fields[1]) || !is_number(row->fields[3]))
        return fail(IMIAD_FORMAT, "%s, line %zu: columns 1, 2 and 4 must be numbers", name,
                    row->line);
    if (!reader_name_is_plain(image) || !is_image_name(image))
        return fail(IMIAD_FORMAT, "%s, line %zu: \"%s\" is no name of an image file", name,
                    row->line, image);
    bool good = strcmp(mask, "0") == 0;
    if (!good && (!reader_name_is_plain(mask) || !is_image_name(mask)))
        return fail(IMIAD_FORMAT, "%s, line %zu: \"%s\" is neither 0 nor the name of a mask", name,
                    row->line, mask);
    *label = (dagm_label){image, good ? NULL : mask, row->line};
    return IMIAD_OK;
}

imiad_status dagm_parse_labels(dagm_label *labels, size_t *count, const table *t, const char *name)
{
    if (t->count == 0 || t->rows[0].count != 1 || !is_number(t->rows[0].fields[0]))
        return fail(IMIAD_FORMAT, "%s: the first line must be the number of the class alone", name);
    for (size_t i = 1; i < t->count; ++i)
        TRY(read_label(&labels[i - 1], &t->rows[i], name));
    size_t found = t->count - 1;
    if (found > 1)
        qsort(labels, found, sizeof *labels, compare_labels);
    for (size_t i = 1; i < found; ++i)
        if (strcasecmp(labels[i - 1].image, labels[i].image) == 0)
            return fail(IMIAD_FORMAT, "%s, line %zu: %s is listed twice", name, labels[i].line,
                        labels[i].image);
    *count = found;
    return IMIAD_OK;
}

/* ---- ellipses ---- */

static int compare_ellipses(const void *left, const void *right)
{
    const dagm_ellipse *a = left, *b = right;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* index, semi-major axis, semi-minor axis, angle, x, y */
static imiad_status read_ellipse(dagm_ellipse *e, const table_row *row, const char *name)
{
    double values[6];
    if (count_columns(row, 6) != 6)
        return fail(IMIAD_FORMAT, "%s, line %zu: %zu columns between tabs instead of 6", name,
                    row->line, row->count);
    for (int i = 0; i < 6; ++i)
        if (!real_parse(&values[i], row->fields[i]) || fabs(values[i]) > 1e6)
            return fail(IMIAD_FORMAT, "%s, line %zu: \"%s\" is no number that an ellipse can have",
                        name, row->line, row->fields[i]);
    if (values[0] < 0 || values[0] != floor(values[0]))
        return fail(IMIAD_FORMAT, "%s, line %zu: %s is no number of an image", name, row->line,
                    row->fields[0]);
    if (!(values[1] > 0 && values[2] > 0))
        return fail(IMIAD_FORMAT, "%s, line %zu: an ellipse's axes must be above 0", name,
                    row->line);
    *e = (dagm_ellipse){(int64_t)values[0], values[1], values[2], values[3],
                        values[4],          values[5], row->line};
    return IMIAD_OK;
}

imiad_status dagm_parse_ellipses(dagm_ellipse *ellipses, const table *t, const char *name)
{
    for (size_t i = 0; i < t->count; ++i)
        TRY(read_ellipse(&ellipses[i], &t->rows[i], name));
    if (t->count > 1)
        qsort(ellipses, t->count, sizeof *ellipses, compare_ellipses);
    for (size_t i = 1; i < t->count; ++i)
        if (ellipses[i - 1].index == ellipses[i].index)
            return fail(IMIAD_FORMAT, "%s, line %zu: image %lld is listed twice", name,
                        ellipses[i].line, (long long)ellipses[i].index);
    return IMIAD_OK;
}
