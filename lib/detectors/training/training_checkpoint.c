/* A training run between two epochs as one file, and its losses as another. docs/formats.md */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file_writer.h"
#include "base/files.h"
#include "base/json_error.h"
#include "base/options.h"
#include "detectors/training/training_state.h"

#define FORMAT_NAME "imiad-training-1"

/* Options that change nothing of what a run learns. */
static const char *const circumstances[] = {
    "batch",    "smoothing",     "checkpoint",  "checkpoint_every",
    "loss_log", "feature_cache", "image_cache", NULL};

static bool counts(const char *option)
{
    for (const char *const *name = circumstances; *name; ++name)
        if (strcmp(option, *name) == 0)
            return false;
    return true;
}

static const char *path_of(const training_run *run)
{
    return options_text(run->training->detector->options, "checkpoint");
}

/* ---- what a run is, as text: each must agree before it continues ---- */

typedef struct identity {
    char images[65];
    char backbone[512];
    char *options; /* JSON */
} identity;

/* Options that were added later: their defaults are what every run did before. */
static bool is_later_default(const imiad_option *option)
{
    return strcmp(option->name, "accumulate") == 0 && strcmp(option->value, "1") == 0;
}

static char *describe_options(const option_set *options)
{
    json_t *object = json_object();
    bool good = object != NULL;
    for (size_t i = 0; good && i < options_count(options); ++i) {
        imiad_option option = options_get(options, i);
        if (counts(option.name) && !is_later_default(&option))
            good = json_put_text(object, option.name, option.value);
    }
    char *text = good ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(object);
    return text;
}

static imiad_status identify(identity *out, const training_run *run)
{
    const imiad_detector *self = run->training->detector;
    const imiad_backbone *b = self->backbone;
    identity id = {.backbone = "none"};
    TRY(train_set_digest(id.images, run->images));
    if (b) /* random weights have no digest: their text says the seed */
        snprintf(id.backbone, sizeof id.backbone, "%s, %s, %s", imiad_backbone_name(b),
                 imiad_backbone_digest(b)[0] ? imiad_backbone_digest(b) : imiad_backbone_weights(b),
                 imiad_backbone_precision(b));
    id.options = describe_options(self->options);
    if (!id.options)
        return fail_memory("a checkpoint's description", 1024);
    *out = id;
    return IMIAD_OK;
}

/* The first option of ours that the file's text has otherwise. */
static imiad_status fail_options(const char *path, const char *theirs, const char *ours)
{
    json_t *found = json_loads(theirs, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = json_loads(ours, 0, NULL), *value;
    const char *key;
    imiad_status status = fail(IMIAD_MISMATCH, "checkpoint %s was made with other options", path);
    json_object_foreach(wanted, key, value)
    {
        const char *other = json_string_value(json_object_get(found, key));
        if (!other || strcmp(other, json_string_value(value)) != 0) {
            status = fail(IMIAD_MISMATCH,
                          "checkpoint %s was made with %s=%s, this is a fit with %s=%s: name "
                          "another checkpoint, or delete it to begin anew",
                          path, key, other ? other : "(nothing)", key, json_string_value(value));
            break;
        }
    }
    json_decref(found);
    json_decref(wanted);
    return status;
}

static imiad_status compare(const char *path, const char *what, const char *theirs,
                            const char *ours)
{
    if (strcmp(theirs, ours) == 0)
        return IMIAD_OK;
    return fail(IMIAD_MISMATCH,
                "checkpoint %s was made %s (%s, not %s): name another checkpoint, or delete it to "
                "begin anew",
                path, what, theirs, ours);
}

/* ---- writing ---- */

static imiad_status write_number(weights_writer *writer, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return weights_writer_metadata(writer, key, text);
}

static imiad_status write_description(const training_run *run, weights_writer *writer)
{
    identity id;
    TRY(identify(&id, run));
    imiad_status status = weights_writer_metadata(writer, "options", id.options);
    free(id.options);
    TRY(status);
    TRY(weights_writer_metadata(writer, "format", FORMAT_NAME));
    TRY(weights_writer_metadata(writer, "detector", run->training->detector->ops->name));
    TRY(weights_writer_metadata(writer, "library", imiad_version()));
    TRY(weights_writer_metadata(writer, "backbone", id.backbone));
    TRY(weights_writer_metadata(writer, "images", id.images));
    TRY(weights_writer_metadata(writer, "start", run->start));
    TRY(write_number(writer, "epoch", run->epoch));
    TRY(write_number(writer, "step", run->index));
    TRY(write_number(writer, "best_epoch", run->best.stores[0] ? run->best.epoch : -1));
    TRY(weights_writer_add(writer, "best_value", F64, 1, (int64_t[]){1}, &run->best.value));
    const training *t = run->training;
    if (t->counts)
        TRY(weights_writer_add(writer, "counts", I64, 1, (int64_t[]){(int64_t)t->counts_count},
                               t->counts));
    const int64_t shape[2] = {run->epoch, run->turns};
    return weights_writer_add(writer, "losses", F64, run->turns > 1 ? 2 : 1, shape, run->losses);
}

static imiad_status write_stores(const training_run *run, weights_writer *writer)
{
    const training *t = run->training;
    char prefix[64];
    TRY(training_save(t->detector, writer));
    for (int i = 0; i < t->rule_count; ++i) {
        snprintf(prefix, sizeof prefix, "optimizer.%s.", t->rules[i].name);
        TRY(params_save(optimizer_state(t->rules[i].optimizer), prefix, writer));
    }
    for (int i = 0; run->best.stores[0] && i < t->store_count; ++i) {
        snprintf(prefix, sizeof prefix, "best.%s.", t->stores[i].name);
        TRY(params_save(run->best.stores[i], prefix, writer));
    }
    for (int i = 0; i < t->store_count; ++i) {
        snprintf(prefix, sizeof prefix, "average.%s.", t->stores[i].name);
        if (t->stores[i].average)
            TRY(params_save(t->stores[i].average, prefix, writer));
    }
    return IMIAD_OK;
}

imiad_status checkpoint_write(const training_run *run)
{
    if (!*path_of(run))
        return IMIAD_OK;
    weights_writer *writer;
    TRY(weights_writer_create(&writer));
    scope s = scope_begin(); /* holds what the writer borrows */
    imiad_status status = write_description(run, writer);
    if (status == IMIAD_OK)
        status = write_stores(run, writer);
    if (status == IMIAD_OK && !t_failed())
        status = weights_writer_commit(writer, path_of(run));
    imiad_status failure = scope_end(&s);
    weights_writer_free(writer);
    return failure != IMIAD_OK ? failure : status;
}

imiad_status checkpoint_remove(const training_run *run)
{
    const char *path = path_of(run);
    if (*path && unlink(path) != 0 && errno != ENOENT)
        return fail(IMIAD_IO, "cannot remove the finished checkpoint %s: %s", path,
                    strerror(errno));
    return IMIAD_OK;
}

/* ---- reading ---- */

static const char *text_of(const weights *file, const char *key)
{
    const char *text = weights_metadata(file, key);
    return text ? text : "";
}

static imiad_status check_identity(const training_run *run, const weights *file, const char *path)
{
    if (strcmp(text_of(file, "format"), FORMAT_NAME) != 0)
        return fail(IMIAD_FORMAT, "%s is no checkpoint of a training run", path);
    TRY(compare(path, "by another detector", text_of(file, "detector"),
                run->training->detector->ops->name));
    identity id;
    TRY(identify(&id, run));
    imiad_status status = IMIAD_OK;
    if (strcmp(text_of(file, "options"), id.options) != 0)
        status = fail_options(path, text_of(file, "options"), id.options);
    if (status == IMIAD_OK)
        status = compare(path, "with another backbone", text_of(file, "backbone"), id.backbone);
    if (status == IMIAD_OK)
        status = compare(path, "from other training images", text_of(file, "images"), id.images);
    if (status == IMIAD_OK)
        status = compare(path, "from other first parameters", text_of(file, "start"), run->start);
    free(id.options);
    return status;
}

static imiad_status load_numbers(training_run *run, const weights *file)
{
    int64_t epoch = strtoll(text_of(file, "epoch"), NULL, 10);
    int64_t step = strtoll(text_of(file, "step"), NULL, 10);
    int64_t best = strtoll(text_of(file, "best_epoch"), NULL, 10);
    const weight *losses, *value;
    if (epoch < 0 || epoch > run->epochs || step < 0 || best >= epoch)
        return fail(IMIAD_FORMAT, "its counters are damaged");
    TRY(weights_expect(&losses, file, "losses", F64, run->turns > 1 ? 2 : 1,
                       (int64_t[]){epoch, run->turns}));
    TRY(weights_expect(&value, file, "best_value", F64, 1, (int64_t[]){1}));
    const training *t = run->training;
    if (t->counts) {
        const weight *counts;
        TRY(weights_expect(&counts, file, "counts", I64, 1, (int64_t[]){(int64_t)t->counts_count}));
        memcpy(t->counts, counts->data, t->counts_count * sizeof *t->counts);
    }
    memcpy(run->losses, losses->data, (size_t)(epoch * run->turns) * sizeof *run->losses);
    memcpy(&run->best.value, value->data, sizeof run->best.value);
    run->epoch = epoch;
    run->index = step;
    run->best.epoch = best;
    return IMIAD_OK;
}

static imiad_status load_stores(training_run *run, const weights *file)
{
    training *t = run->training;
    char prefix[64];
    TRY(training_load(t->detector, file));
    training_note_threads(t);
    for (int i = 0; i < t->rule_count; ++i) {
        snprintf(prefix, sizeof prefix, "optimizer.%s.", t->rules[i].name);
        TRY(params_load(optimizer_state(t->rules[i].optimizer), file, prefix, PARAMS_EXACT));
    }
    for (int i = 0; run->best.epoch >= 0 && i < t->store_count; ++i) {
        snprintf(prefix, sizeof prefix, "best.%s.", t->stores[i].name);
        TRY(params_clone(&run->best.stores[i], t->stores[i].parameters));
        TRY(params_load(run->best.stores[i], file, prefix, PARAMS_EXACT));
    }
    for (int i = 0; i < t->store_count; ++i) {
        snprintf(prefix, sizeof prefix, "average.%s.", t->stores[i].name);
        if (t->stores[i].average)
            TRY(params_load(t->stores[i].average, file, prefix, PARAMS_EXACT));
    }
    return IMIAD_OK;
}

imiad_status checkpoint_resume(training_run *run)
{
    const char *path = path_of(run);
    if (!*path)
        return IMIAD_OK;
    if (!file_exists(path)) /* a path that cannot be written fails now, not after an epoch */
        return checkpoint_write(run);
    weights *file;
    TRY(weights_open(&file, path));
    imiad_status status = weights_verify(file);
    if (status == IMIAD_OK)
        status = check_identity(run, file, path);
    if (status == IMIAD_OK) {
        status = load_numbers(run, file);
        if (status == IMIAD_OK)
            status = load_stores(run, file);
        if (status != IMIAD_OK)
            fail_within(status, "checkpoint %s", path);
    }
    weights_free(file);
    if (status == IMIAD_OK)
        log_message(IMIAD_LOG_INFO, "%s: continues after epoch %" PRId64 " of %" PRId64 " from %s",
                    run->training->detector->ops->name, run->epoch, run->epochs, path);
    return status;
}

/* ---- losses ---- */

static void write_lines(FILE *file, size_t task, const double *losses, size_t count, int turns)
{
    for (size_t i = 0; i < count; ++i) {
        fprintf(file, "%zu,%zu", task, i + 1);
        for (int turn = 0; turn < turns; ++turn) {
            char text[REAL_BYTES];
            plain_print(text, sizeof text, "%.17g", losses[i * (size_t)turns + (size_t)turn]);
            fprintf(file, ",%s", text);
        }
        fputc('\n', file);
    }
}

imiad_status loss_log_write(const training_run *run)
{
    const training *t = run->training;
    const char *path = options_text(t->detector->options, "loss_log");
    size_t a_task = (size_t)(run->epochs * run->turns);
    if (!*path)
        return IMIAD_OK;
    file_writer writer;
    TRY(file_write_begin(&writer, path));
    fprintf(writer.stream, "task,epoch,loss");
    for (int turn = 1; turn < run->turns; ++turn)
        fprintf(writer.stream, ",loss%d", turn + 1);
    fputc('\n', writer.stream);
    for (size_t task = 0; task < t->tasks; ++task)
        write_lines(writer.stream, task + 1, t->losses + task * a_task, (size_t)run->epochs,
                    run->turns);
    write_lines(writer.stream, t->tasks + 1, run->losses, (size_t)run->epoch, run->turns);
    return file_write_commit(&writer);
}
