/* Parameters from and into weight files. */
#include "nn/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nn/weights_tensor.h"

enum { LISTED = 4 };

/* Names for a message: the first few, and how many there are. */
typedef struct name_roll {
    char text[320];
    size_t count;
} name_roll;

static void roll_add(name_roll *roll, const char *name, const char *detail)
{
    size_t used = strlen(roll->text);
    if (roll->count++ < LISTED)
        snprintf(roll->text + used, sizeof roll->text - used, "%s%s%s", used ? ", " : "", name,
                 detail);
}

static void roll_print(char *out, size_t size, const name_roll *roll, const char *what)
{
    if (roll->count == 0)
        return;
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%zu %s: %s%s", used ? "; " : "", roll->count, what,
             roll->text, roll->count > LISTED ? ", ..." : "");
}

static char *joined(const char *prefix, const char *name)
{
    size_t length = strlen(prefix);
    char *whole = malloc(length + strlen(name) + 1);
    if (whole) {
        memcpy(whole, prefix, length);
        strcpy(whole + length, name);
    }
    return whole;
}

static void shape_print(char *out, size_t size, int rank, const int64_t *shape)
{
    size_t used = 0;
    for (int d = 0; d < rank && used < size; ++d)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, d ? "," : "", shape[d]);
    if (rank == 0)
        snprintf(out, size, "%s", "");
}

/* False, with " is [...], not [...]" in detail, where the shapes differ. */
static bool shape_fits(const weight *found, const tensor *value, char *detail, size_t size)
{
    int64_t own[WEIGHT_RANK];
    int rank = t_rank(value);
    bool fits = rank == found->rank;
    for (int d = 0; d < rank && d < WEIGHT_RANK; ++d) {
        own[d] = t_size(value, d);
        fits = fits && own[d] == found->shape[d];
    }
    if (!fits) {
        char theirs[80], ours[80];
        shape_print(theirs, sizeof theirs, found->rank, found->shape);
        shape_print(ours, sizeof ours, rank < WEIGHT_RANK ? rank : WEIGHT_RANK, own);
        snprintf(detail, size, " is [%s], not [%s]", theirs, ours);
    }
    return fits;
}

/* Finds the file's entry of every parameter, NULL where it is missing. */
static imiad_status match(const weight **found, const params *p, const weights *w,
                          const char *prefix, name_roll *missing, name_roll *misshapen)
{
    for (size_t i = 0; i < params_count(p); ++i) {
        const param *one = params_at(p, i);
        char *name = joined(prefix, one->name), detail[200];
        if (!name)
            return fail_memory("a parameter's name", strlen(one->name));
        found[i] = weights_find(w, name);
        if (!found[i])
            roll_add(missing, name, "");
        else if (!shape_fits(found[i], one->value, detail, sizeof detail))
            roll_add(misshapen, name, detail);
        free(name);
    }
    return IMIAD_OK;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void match_back(const params *p, const weights *w, const char *prefix, name_roll *extra)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < weights_count(w); ++i) {
        const char *name = weights_get(w, i)->name;
        if (strncmp(name, prefix, length) == 0 && !params_find(p, name + length) &&
            !ends_in(name, "num_batches_tracked"))
            roll_add(extra, name, "");
    }
}

static imiad_status load_matched(params *p, const weight *const *found)
{
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(p) && !t_failed(); ++i) {
        scope one = scope_begin();
        if (found[i])
            t_copy_(params_at(p, i)->value,
                    t_from(found[i]->data, found[i]->rank, found[i]->shape, found[i]->type, CPU));
        scope_return(&one, NULL);
    }
    return scope_end(&s);
}

imiad_status params_load(params *p, const weights *w, const char *prefix, int allowed)
{
    name_roll missing = {"", 0}, misshapen = {"", 0}, extra = {"", 0};
    const weight **found = calloc(params_count(p) + 1, sizeof *found);
    if (!found)
        return fail_memory("the entries of a weight file", params_count(p) * sizeof *found);
    imiad_status status = match(found, p, w, prefix ? prefix : "", &missing, &misshapen);
    if (allowed & PARAMS_MISSING_ALLOWED)
        missing.count = 0;
    if (!(allowed & PARAMS_EXTRA_ALLOWED))
        match_back(p, w, prefix ? prefix : "", &extra);
    if (status == IMIAD_OK && missing.count + misshapen.count + extra.count > 0) {
        char message[960] = "";
        roll_print(message, sizeof message, &missing, "missing");
        roll_print(message, sizeof message, &misshapen, "of another shape");
        roll_print(message, sizeof message, &extra, "unexpected");
        status = fail(IMIAD_MISMATCH, "the weights do not fit: %s", message);
    }
    if (status == IMIAD_OK)
        status = load_matched(p, found);
    free(found);
    return status;
}

imiad_status params_load_initial(params *p, const char *path, const char *prefix, const char *name,
                                 const char *who)
{
    char owned[256];
    weights *file;
    TRY(weights_open(&file, path));
    snprintf(owned, sizeof owned, "%s%s", prefix, name);
    imiad_status status =
        params_load(p, file, weights_find(file, owned) ? prefix : "", PARAMS_EXTRA_ALLOWED);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(status, "%s: initial weights %s", who, path);
}

imiad_status params_save(const params *p, const char *prefix, weights_writer *w)
{
    for (size_t i = 0; i < params_count(p); ++i) {
        const param *one = params_at(p, i);
        char *name = joined(prefix ? prefix : "", one->name);
        if (!name)
            return fail_memory("a parameter's name", strlen(one->name));
        imiad_status status = weights_writer_add_tensor(w, name, one->value);
        free(name);
        TRY(t_status()); /* it says more than that the tensor cannot be saved */
        TRY(status);
    }
    return IMIAD_OK;
}
