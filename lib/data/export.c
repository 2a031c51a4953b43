/* A dataset's fingerprint, and its copy in MVTec AD's layout. */
#include <limits.h>
#include <pthread.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/threads.h"
#include "data/dataset.h"

/* ---- digest ---- */

/* Every text with its NUL: no two lists can run together into the same bytes. */
static void digest_text(SHA2_CTX *hash, const char *text)
{
    SHA256Update(hash, (const uint8_t *)text, strlen(text) + 1);
}

static void digest_number(SHA2_CTX *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; ++i)
        bytes[i] = (uint8_t)(number >> (8 * i));
    SHA256Update(hash, bytes, sizeof bytes);
}

static imiad_status digest_size(SHA2_CTX *hash, const imiad_dataset *dataset, const char *path)
{
    char *whole = path_join(dataset->root, path);
    if (!whole)
        return fail_memory("a path", strlen(path));
    uint64_t size = 0;
    imiad_status status = file_size(&size, whole);
    free(whole);
    digest_number(hash, size);
    return status;
}

static imiad_status digest_sample(SHA2_CTX *hash, const imiad_dataset *dataset, const sample *s)
{
    digest_text(hash, s->path);
    digest_number(hash, (uint64_t)s->subset);
    digest_text(hash, dataset->categories[s->category].name);
    digest_number(hash, (uint64_t)s->label);
    digest_text(hash, s->kind);
    if (s->group) /* part of what is measured, where there is any */
        digest_text(hash, s->group);
    digest_number(hash, s->mask_count);
    if (!dataset->ops->draw_image)
        TRY(digest_size(hash, dataset, s->path));
    for (size_t i = 0; i < s->mask_count; ++i) {
        digest_text(hash, s->mask_paths[i]);
        TRY(digest_size(hash, dataset, s->mask_paths[i]));
    }
    return IMIAD_OK;
}

imiad_status imiad_dataset_digest(char out[65], const imiad_dataset *dataset)
{
    if (!out || !dataset)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_dataset_digest: out or dataset is NULL");
    SHA2_CTX hash;
    SHA256Init(&hash);
    digest_text(&hash, dataset->ops->name);
    const option_spec *drawing = dataset->ops->draw_image ? dataset->ops->options : NULL;
    for (; drawing && drawing->name; ++drawing) {
        digest_text(&hash, drawing->name);
        digest_text(&hash, options_text(dataset->options, drawing->name));
    }
    for (size_t i = 0; i < dataset->sample_count; ++i)
        TRY(digest_sample(&hash, dataset, &dataset->samples[i]));
    SHA256End(&hash, out);
    return IMIAD_OK;
}

/* ---- export ---- */

static imiad_status check_empty(const char *folder)
{
    if (!folder_exists(folder))
        return IMIAD_OK;
    name_list names;
    TRY(folder_list(&names, folder));
    size_t count = names.count;
    name_list_free(&names);
    if (count > 0)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "export to %s: the folder is not empty, and old and new images would mix",
                    folder);
    return IMIAD_OK;
}

/* root/category/part/kind; NULL where memory runs out. Category and kind are whatever a data set in
 * memory or a plug-in calls them. */
static char *folder_of(const char *root, const char *category, const char *part, const char *kind)
{
    char *whole = NULL, *outer = path_join_untrusted(root, category);
    char *inner = outer ? path_join(outer, part) : NULL;
    if (inner)
        whole = path_join_untrusted(inner, kind);
    free(inner);
    free(outer);
    return whole;
}

/* Writes folder/NUMBERsuffix.png and frees the folder's name, which may be NULL; the folder is made
 * where it is new. */
static imiad_status write_numbered(const imiad_image *image, char *folder, size_t number,
                                   const char *suffix)
{
    if (!folder)
        return fail_memory("a path", PATH_MAX);
    char *path = NULL;
    imiad_status status = folder_make(folder);
    if (status == IMIAD_OK && asprintf(&path, "%s/%03zu%s.png", folder, number, suffix) < 0) {
        path = NULL;
        status = fail_memory("a path", strlen(folder));
    }
    if (status == IMIAD_OK)
        status = imiad_image_write_png(image, path);
    free(path);
    free(folder);
    return status;
}

/* The sample's place among those of the same category, subset and kind. */
static size_t number_of(const imiad_dataset *dataset, const sample *s)
{
    size_t number = 0;
    for (const sample *before = dataset->samples; before < s; ++before)
        number += before->category == s->category && before->subset == s->subset &&
                  strcmp(before->kind, s->kind) == 0;
    return number;
}

static imiad_status export_mask(const imiad_dataset *dataset, size_t index,
                                const imiad_image *image, const char *root, size_t number)
{
    const sample *s = &dataset->samples[index];
    imiad_image *mask;
    TRY(dataset_read_mask_of(&mask, dataset, index, image));
    if (!mask) /* unknown, and the caller wants that skipped */
        return IMIAD_OK;
    imiad_status status = write_numbered(
        mask, folder_of(root, dataset->categories[s->category].name, "ground_truth", s->kind),
        number, "_mask");
    imiad_image_free(mask);
    return status;
}

static imiad_status export_sample(const imiad_dataset *dataset, size_t index, const char *root)
{
    static const char *const parts[] = {[IMIAD_SUBSET_TRAIN] = "train",
                                        [IMIAD_SUBSET_VALIDATION] = "validation",
                                        [IMIAD_SUBSET_TEST] = "test"};
    const sample *s = &dataset->samples[index];
    if (s->label == 1 && s->subset != IMIAD_SUBSET_TEST) {
        log_message(IMIAD_LOG_WARNING,
                    "export: left out %s, a defective image outside the test set", s->path);
        return IMIAD_OK;
    }
    size_t number = number_of(dataset, s);
    imiad_image *image;
    TRY(imiad_dataset_read_deep_image(&image, dataset, index));
    imiad_status status = write_numbered(
        image, folder_of(root, dataset->categories[s->category].name, parts[s->subset], s->kind),
        number, "");
    if (status == IMIAD_OK && s->label == 1)
        status = export_mask(dataset, index, image, root, number);
    imiad_image_free(image);
    return status;
}

/* Many images at a time; of several failures the first sample's is told. */
typedef struct export_job {
    const imiad_dataset *dataset;
    const char *root;
    pthread_mutex_t lock;
    size_t failed; /* the sample; SIZE_MAX: none yet */
    imiad_status status;
    char *message;
} export_job;

static bool is_needed(export_job *job, size_t index)
{
    pthread_mutex_lock(&job->lock);
    bool needed = index < job->failed;
    pthread_mutex_unlock(&job->lock);
    return needed;
}

static void keep_failure(export_job *job, size_t index, imiad_status status)
{
    pthread_mutex_lock(&job->lock);
    if (index < job->failed) {
        job->failed = index;
        job->status = status;
        free(job->message);
        job->message = strdup(imiad_last_error());
    }
    pthread_mutex_unlock(&job->lock);
}

static void export_some(void *context, size_t begin, size_t end)
{
    export_job *job = context;
    for (size_t i = begin; i < end && is_needed(job, i); ++i) {
        imiad_status status = export_sample(job->dataset, i, job->root);
        if (status != IMIAD_OK)
            keep_failure(job, i, status);
    }
}

imiad_status imiad_dataset_export(const imiad_dataset *dataset, const char *folder)
{
    if (!dataset || !folder || !*folder)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_dataset_export: dataset or folder is missing");
    TRY(check_empty(folder));
    export_job job = {
        .dataset = dataset, .root = folder, .lock = PTHREAD_MUTEX_INITIALIZER, .failed = SIZE_MAX};
    parallel_for(dataset->sample_count, 1, export_some, &job);
    if (job.status != IMIAD_OK)
        fail(job.status, "%s", job.message ? job.message : "an image could not be exported");
    free(job.message);
    pthread_mutex_destroy(&job.lock);
    return job.status;
}
