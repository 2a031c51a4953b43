/* The CSV of the reader `list`. */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "data/reader.h"
#include "data/readers/sample_rows.h"

enum { PATH, SPLIT, LABEL, KIND, MASK, CATEGORY, GROUP, COLUMNS };
static const char *const columns[COLUMNS] = {"path", "split",    "label", "kind",
                                             "mask", "category", "group"};

/* Where each column stands in a row; -1 where the list has none. */
typedef struct header {
    int place[COLUMNS];
    size_t width;
    const char *root;
    const sample_rows *rows;
} header;

static imiad_status read_header(header *h, const table *t)
{
    const char *name = h->rows->name;
    for (int c = 0; c < COLUMNS; ++c)
        h->place[c] = -1;
    if (t->count == 0)
        return fail(IMIAD_FORMAT, "%s is empty; its first line must name its columns", name);
    h->width = t->rows[0].count;
    for (size_t i = 0; i < h->width; ++i) {
        const char *field = t->rows[0].fields[i];
        int c = 0;
        while (c < COLUMNS && strcasecmp(field, columns[c]) != 0)
            ++c;
        if (c == COLUMNS)
            log_message(IMIAD_LOG_INFO, "%s: the column \"%s\" is not read", name, field);
        else if (h->place[c] >= 0)
            return fail(IMIAD_FORMAT, "%s: two columns are named %s", name, columns[c]);
        else
            h->place[c] = (int)i;
    }
    if (h->place[PATH] < 0 || h->place[SPLIT] < 0 || (h->place[LABEL] < 0 && h->place[KIND] < 0))
        return fail(IMIAD_FORMAT,
                    "%s: the first line must name the columns path, split, and label or kind; it "
                    "may name mask, category and group",
                    name);
    return IMIAD_OK;
}

static const char *field(const header *h, const table_row *row, int column)
{
    return h->place[column] >= 0 ? row->fields[h->place[column]] : "";
}

static imiad_status fail_row(const header *h, const table_row *row, int column, const char *wanted)
{
    return fail(IMIAD_FORMAT, "%s, line %zu: %s \"%s\" is %s", h->rows->name, row->line,
                columns[column], field(h, row, column), wanted);
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; ++words)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

static imiad_status read_split(imiad_subset *out, const header *h, const table_row *row)
{
    const char *text = field(h, row, SPLIT);
    if (is_one_of(text, (const char *const[]){"train", "training", NULL}))
        *out = IMIAD_SUBSET_TRAIN;
    else if (is_one_of(text, (const char *const[]){"validation", "val", "valid", NULL}))
        *out = IMIAD_SUBSET_VALIDATION;
    else if (is_one_of(text, (const char *const[]){"test", "testing", NULL}))
        *out = IMIAD_SUBSET_TEST;
    else
        return fail_row(h, row, SPLIT, "none of train, validation and test");
    return IMIAD_OK;
}

static const char *const good_words[] = {"0", "good", "normal", "ok", NULL};
static const char *const bad_words[] = {"1",   "defective", "defect", "anomaly", "anomalous",
                                        "bad", "ng",        "nok",    "ko",      NULL};

/* From the label or, where there is none, from the kind. */
static imiad_status read_label(sample_row *out, const header *h, const table_row *row)
{
    const char *label = field(h, row, LABEL), *kind = field(h, row, KIND);
    bool good_kind = !*kind || is_one_of(kind, good_words);
    if (*label && !is_one_of(label, good_words) && !is_one_of(label, bad_words))
        return fail_row(h, row, LABEL, "neither 0 (good) nor 1 (defective)");
    if (!*label && !*kind)
        return fail_row(h, row, KIND, "empty, and so is the label");
    out->label = *label ? is_one_of(label, bad_words) : !good_kind;
    if (out->label && *kind && good_kind)
        return fail_row(h, row, KIND, "no kind of defect, but the label is of a defective image");
    if (!out->label && !good_kind)
        return fail_row(h, row, KIND, "a kind of defect, but the label is of a good image");
    out->kind = !out->label ? "good" : *kind ? kind : "defective";
    return IMIAD_OK;
}

/* Lists come from elsewhere: "./" and the root itself before a path are taken off, and backslashes
 * are those of Windows. The text is the table's own. */
static const char *plain_path(const header *h, const char *path)
{
    size_t length = strlen(h->root);
    for (char *at = (char *)path; (at = strchr(at, '\\')); ++at)
        *at = '/';
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (length > 0 && strncmp(path, h->root, length) == 0 && path[length] == '/')
        path += length + 1;
    return path;
}

static imiad_status read_masks(sample_row *out, const header *h, const table_row *row)
{
    size_t count = 0;
    out->masks = plain_path(h, field(h, row, MASK));
    for (const char *at = out->masks; *out->masks && at; at = strchr(at, '|')) {
        at += *at == '|';
        char path[4096];
        size_t length = strcspn(at, "|");
        if (length >= sizeof path || ++count > ROW_MASKS_MAX)
            return fail_row(h, row, MASK, "too long");
        memcpy(path, at, length);
        path[length] = '\0';
        if (!reader_path_is_inside(path) || !is_image_name(path))
            return fail_row(h, row, MASK, "no path of an image file below the root");
    }
    return IMIAD_OK;
}

static imiad_status read_row(sample_row *out, const header *h, const table_row *row)
{
    if (row->count != h->width)
        return fail(IMIAD_FORMAT, "%s, line %zu: %zu columns instead of %zu", h->rows->name,
                    row->line, row->count, h->width);
    *out = (sample_row){.path = plain_path(h, field(h, row, PATH)),
                        .category = field(h, row, CATEGORY),
                        .group = field(h, row, GROUP),
                        .number = row->line};
    if (!reader_path_is_inside(out->path) || !is_image_name(out->path))
        return fail_row(h, row, PATH, "no path of an image file below the root");
    if (*out->category && !reader_name_is_plain(out->category))
        return fail_row(h, row, CATEGORY, "no name of a category");
    TRY(read_split(&out->subset, h, row));
    TRY(read_label(out, h, row));
    if (out->subset == IMIAD_SUBSET_VALIDATION && out->label)
        return fail_row(h, row, SPLIT, "validation, whose images are good, but this one is not");
    return read_masks(out, h, row);
}

imiad_status list_parse(sample_rows *rows, const table *t, const char *root)
{
    header h = {.root = root, .rows = rows};
    TRY(read_header(&h, t));
    for (size_t i = 1; i < t->count; ++i)
        TRY(read_row(&rows->rows[i - 1], &h, &t->rows[i]));
    rows->count = t->count - 1;
    if (rows->count == 0)
        return fail(IMIAD_FORMAT, "%s lists no image", rows->name);
    return rows_sort(rows);
}
