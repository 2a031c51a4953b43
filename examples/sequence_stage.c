#include "sequence_stage.h"
#include "outputs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* FOLDER/NAME.json says what was measured, and FOLDER/NAME-N.imiad has learned N tasks. */
static void stage_path(char out[4096], const sequence *s, const char *end)
{
    snprintf(out, 4096, "%s/%s%s", s->experiment->arguments.save, s->name, end);
}

static void detector_path(char out[4096], const sequence *s, size_t learned)
{
    char end[40];
    snprintf(end, sizeof end, "-%zu.imiad", learned);
    stage_path(out, s, end);
}

static json_t *names_record(const sequence *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->tasks; ++i)
        json_array_append_new(list, json_string(imiad_split_category(s->splits[i])));
    return list;
}

/* All that was measured after the last task, for a run that only has to report it. */
static json_t *last_record(const sequence *s)
{
    json_t *list = json_array();
    for (size_t j = 0; j < s->tasks; ++j) {
        json_t *values = json_array();
        for (int i = 0; i < VALUES; ++i)
            json_array_append_new(values, number_record(s->last[j].values[i]));
        json_t *record = json_pack("{s:o, s:O}", "values", values, "images", s->last[j].images);
        if (s->last[j].evidence)
            json_object_set(record, "evidence", s->last[j].evidence);
        json_array_append_new(list, record);
    }
    return list;
}

static json_t *stage_record(const sequence *s, size_t learned)
{
    json_t *matrices = json_object(), *bytes = json_array();
    for (int k = 0; k < METRICS; ++k) {
        json_t *values = json_array();
        for (size_t i = 0; i < learned * s->tasks; ++i)
            json_array_append_new(values, number_record(s->matrix[k][i]));
        json_object_set_new(matrices, value_name(k), values);
    }
    for (size_t i = 0; i < learned; ++i)
        json_array_append_new(bytes, json_real(s->bytes[i]));
    json_t *record =
        json_pack("{s:s, s:o, s:I, s:o, s:o}", "cell", s->key, "categories", names_record(s),
                  "learned", (json_int_t)learned, "matrices", matrices, "kept_bytes", bytes);
    if (learned == s->tasks)
        json_object_set_new(record, "last", last_record(s));
    return record;
}

static imiad_status fail_on(const char *what, const char *path)
{
    char message[4352];
    snprintf(message, sizeof message, "cannot %s %s: %s", what, path, strerror(errno));
    return imiad_fail(IMIAD_IO, message);
}

/* Whole or not at all. */
static imiad_status write_stage(const json_t *record, const char *path)
{
    char part[4104];
    snprintf(part, sizeof part, "%s.part", path);
    if (json_dump_file(record, part, JSON_INDENT(1)) != 0 || rename(part, path) != 0)
        return fail_on("write", path);
    return IMIAD_OK;
}

/* After a task: first the detector, then what names it, then the one before is of no more use. */
imiad_status sequence_stage_keep(const sequence *s, const imiad_detector *detector)
{
    size_t learned = s->learned + 1;
    char path[4096], saved[4096];
    detector_path(saved, s, learned);
    stage_path(path, s, ".json");
    imiad_status status = imiad_detector_save_learning(detector, saved);
    if (status != IMIAD_OK)
        return status;
    json_t *record = stage_record(s, learned);
    status = record ? write_stage(record, path) : IMIAD_NO_MEMORY;
    json_decref(record);
    if (status == IMIAD_OK && learned > 1) {
        detector_path(saved, s, learned - 1);
        unlink(saved);
    }
    return status;
}

/* The numbers of a list, null for one that does not exist; whether there are as many. */
static int read_numbers(double *out, size_t count, const json_t *list)
{
    int whole = json_array_size(list) == count;
    for (size_t i = 0; whole && i < count; ++i) {
        const json_t *number = json_array_get(list, i);
        whole = json_is_number(number) || json_is_null(number);
        out[i] = json_is_null(number) ? NAN : json_number_value(number);
    }
    return whole;
}

static int read_last(sequence *s, const json_t *rows)
{
    int whole = json_array_size(rows) == s->tasks;
    for (size_t j = 0; whole && j < s->tasks; ++j) {
        json_t *of = json_array_get(rows, j), *images = json_object_get(of, "images");
        measurement *r = &s->last[j];
        whole =
            json_is_array(images) && read_numbers(r->values, VALUES, json_object_get(of, "values"));
        r->images = json_incref(images);
        r->evidence = json_incref(json_object_get(of, "evidence"));
        r->category = imiad_split_category(s->splits[j]);
        r->value = "";
        r->seed = s->seed;
        output_name(r->name, r, s->experiment->arguments.repeats > 1);
    }
    return whole;
}

/* Whether the record is of this very sequence; what it says is taken over then. */
static int read_stage(sequence *s, const json_t *record)
{
    const char *key = json_string_value(json_object_get(record, "cell"));
    json_t *names = names_record(s);
    json_int_t learned = json_integer_value(json_object_get(record, "learned"));
    int whole = key && strcmp(key, s->key) == 0 && learned > 0 && learned <= (json_int_t)s->tasks &&
                json_equal(names, json_object_get(record, "categories"));
    json_decref(names);
    size_t count = whole ? (size_t)learned : 0;
    for (int k = 0; whole && k < METRICS; ++k)
        whole = read_numbers(s->matrix[k], count * s->tasks,
                             json_object_get(json_object_get(record, "matrices"), value_name(k)));
    whole = whole && read_numbers(s->bytes, count, json_object_get(record, "kept_bytes"));
    if (whole && count == s->tasks)
        whole = read_last(s, json_object_get(record, "last"));
    if (whole)
        s->learned = count;
    return whole;
}

static int forgets(const imiad_detector *detector)
{
    for (size_t i = 0; i < imiad_detector_type_count(); ++i)
        if (strcmp(imiad_detector_type_name(i), imiad_detector_name(detector)) == 0)
            return strcmp(imiad_detector_type_new_task(i), "forgets") == 0;
    return 0;
}

/* Takes up what an earlier run left of the same sequence; *detector is replaced by it. */
imiad_status sequence_stage_recall(sequence *s, imiad_detector **detector)
{
    char path[4096];
    stage_path(path, s, ".json");
    if (access(path, F_OK) != 0)
        return IMIAD_OK;
    json_t *record = json_load_file(path, 0, NULL);
    int whole = read_stage(s, record);
    json_decref(record);
    if (!whole) {
        char message[4352];
        snprintf(message, sizeof message,
                 "%s is of another sequence, or damaged: take another folder, or remove it", path);
        return imiad_fail(IMIAD_MISMATCH, message);
    }
    printf("seed %llu: goes on after task %zu of %zu\n", (unsigned long long)s->seed, s->learned,
           s->tasks);
    if (forgets(*detector)) /* the next task needs nothing of the earlier ones */
        return IMIAD_OK;
    imiad_detector *learned;
    detector_path(path, s, s->learned);
    imiad_status status = imiad_detector_load(&learned, path, s->experiment->arguments.device);
    if (status != IMIAD_OK)
        return status;
    imiad_detector_free(*detector);
    *detector = learned;
    return IMIAD_OK;
}
