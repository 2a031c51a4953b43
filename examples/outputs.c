#include "outputs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void output_name(char out[IMIAD_FILE_NAME_ROOM], const measurement *r, int several)
{
    char text[1024];
    if (several)
        snprintf(text, sizeof text, "%s%s%s-%llu", r->category, *r->value ? "-" : "", r->value,
                 (unsigned long long)r->seed);
    else
        snprintf(text, sizeof text, "%s", r->category);
    imiad_file_name(out, text);
}

/* FNV-1a over the text and its NUL. */
static uint64_t add_text(uint64_t hash, const char *text)
{
    const char *at = text ? text : "";
    do
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    while (*at++);
    return hash;
}

void output_key(char out[OUTPUT_KEY], const imiad_cell *cell)
{
    const char *const texts[] = {cell->setting,   cell->value,          cell->dataset,
                                 cell->category,  cell->dataset_digest, cell->detector,
                                 cell->backbone,  cell->weights,        cell->weights_digest,
                                 cell->precision, cell->evaluation};
    uint64_t hash = 14695981039346656037u ^ cell->seed;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i)
        hash = add_text(hash, texts[i]);
    for (size_t i = 0; i < cell->option_count; ++i)
        hash = add_text(add_text(hash, cell->options[i].name), cell->options[i].value);
    snprintf(out, OUTPUT_KEY, "%016" PRIx64, hash);
}

/* ---- the record ---- */

void output_recall_record(experiment *b)
{
    if (output_wants_record(b))
        b->before = json_load_file(b->arguments.json, 0, NULL); /* NULL: there is none yet */
}

json_t *output_recorded(const experiment *b, const char *list, const char *key)
{
    size_t index;
    json_t *entry, *entries = json_object_get(b->before, list);
    json_array_foreach(entries, index, entry)
    {
        const char *of = json_string_value(json_object_get(entry, "cell"));
        if (of && strcmp(of, key) == 0)
            return entry;
    }
    return NULL;
}

int output_wants_record(const experiment *b)
{
    return b->results && b->arguments.json && strcmp(b->arguments.json, "-") != 0;
}

/* ---- marks ---- */

typedef struct mark {
    char path[4096];
} mark;

/* Beside what it marks, in the folder of --maps or --save. */
static mark mark_of(const char *folder, const measurement *r)
{
    mark m;
    snprintf(m.path, sizeof m.path, "%s/.%s.cell", folder, r->name);
    return m;
}

static void saved_path(char *out, size_t size, const experiment *b, const measurement *r)
{
    snprintf(out, size, "%s/%s.imiad", b->arguments.save, r->name);
}

static int has_mark(mark m, const char *key)
{
    char found[OUTPUT_KEY] = "";
    FILE *file = fopen(m.path, "r");
    size_t read = file ? fread(found, 1, OUTPUT_KEY - 1, file) : 0;
    if (file)
        fclose(file);
    return read == OUTPUT_KEY - 1 && memcmp(found, key, read) == 0;
}

static imiad_status make_mark(mark m, const char *key)
{
    char message[4352];
    FILE *file = fopen(m.path, "w");
    if (file && fputs(key, file) >= 0 && fclose(file) == 0)
        return IMIAD_OK;
    snprintf(message, sizeof message, "cannot write %s: %s", m.path, strerror(errno));
    return imiad_fail(IMIAD_IO, message);
}

int output_maps_are_made(const experiment *b, const measurement *r)
{
    return !b->arguments.maps || has_mark(mark_of(b->arguments.maps, r), r->key);
}

int output_is_saved(const experiment *b, const measurement *r)
{
    char path[4096];
    saved_path(path, sizeof path, b, r);
    return !b->arguments.save ||
           (has_mark(mark_of(b->arguments.save, r), r->key) && access(path, R_OK) == 0);
}

void output_begin(const experiment *b, const measurement *r)
{
    if (b->arguments.maps)
        unlink(mark_of(b->arguments.maps, r).path);
    if (b->arguments.save)
        unlink(mark_of(b->arguments.save, r).path);
}

imiad_status output_end(const experiment *b, const measurement *r)
{
    imiad_status status = IMIAD_OK;
    if (b->arguments.maps)
        status = make_mark(mark_of(b->arguments.maps, r), r->key);
    if (status == IMIAD_OK && b->arguments.save)
        status = make_mark(mark_of(b->arguments.save, r), r->key);
    return status;
}

imiad_status output_save(const experiment *b, const imiad_detector *detector, const measurement *r)
{
    char path[4096];
    saved_path(path, sizeof path, b, r);
    return imiad_detector_save(detector, path);
}
