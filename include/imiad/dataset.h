/* Datasets: the images of one category or many, with labels, masks and the official split. */
#ifndef IMIAD_DATASET_H
#define IMIAD_DATASET_H

#include "imiad/common.h"
#include "imiad/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct imiad_dataset imiad_dataset;

typedef enum imiad_subset {
    IMIAD_SUBSET_TRAIN = 1,
    IMIAD_SUBSET_VALIDATION = 2,
    IMIAD_SUBSET_TEST = 3
} imiad_subset;

/* One image of a dataset. Text is borrowed from the dataset. */
typedef struct imiad_sample {
    uint32_t struct_size;
    imiad_subset subset; /* the official split */
    int32_t category;    /* index into the dataset's categories */
    int32_t label;       /* 1 defective, 0 good; from the folder, never from the mask */
    int32_t has_mask;    /* 1 where ground truth exists; a good image has an all-zero one implied */
    const char *kind;    /* "good" or the kind of defect: "bent_lead" */
    const char *path;    /* relative to the root, with forward slashes; unique in the dataset */
} imiad_sample;
#define IMIAD_SAMPLE_INIT                                                                          \
    {                                                                                              \
        sizeof(imiad_sample), (imiad_subset)0, 0, 0, 0, 0, 0                                       \
    }

/* The registered datasets: what imiad_dataset_open takes as a name. */
IMIAD_API size_t imiad_dataset_type_count(void);
IMIAD_API const char *imiad_dataset_type_name(size_t index);
IMIAD_API const char *imiad_dataset_type_title(size_t index);
/* The option schema of a dataset: indices from 0 until IMIAD_OUT_OF_RANGE. */
IMIAD_API imiad_status imiad_dataset_option_info(imiad_option_info *out, const char *name,
                                                 size_t index);

/* Lists the dataset `name` below the folder `root` (NULL or "" for a procedural one). Nothing is
 * decoded yet; nothing on disk is changed. Samples are in category order, then train, validation,
 * test, then bytewise path order. After opening, a dataset never changes: any number of threads may
 * read it.
 * Errors: IMIAD_UNKNOWN_OPTION, IMIAD_OUT_OF_RANGE, IMIAD_NOT_FOUND, IMIAD_FORMAT. */
IMIAD_API imiad_status imiad_dataset_open(imiad_dataset **out, const char *name, const char *root,
                                          const imiad_option *options, size_t option_count);
/* Gives the caller's reference back; splits made from the dataset keep it alive. */
IMIAD_API void imiad_dataset_free(imiad_dataset *dataset);

IMIAD_API const char *imiad_dataset_name(const imiad_dataset *dataset);
IMIAD_API size_t imiad_dataset_category_count(const imiad_dataset *dataset);
IMIAD_API const char *imiad_dataset_category(const imiad_dataset *dataset, size_t index);
IMIAD_API size_t imiad_dataset_sample_count(const imiad_dataset *dataset);
IMIAD_API imiad_status imiad_dataset_sample(imiad_sample *out, const imiad_dataset *dataset,
                                            size_t index);

/* The decoded image of a sample at its native size. */
IMIAD_API imiad_status imiad_dataset_read_image(imiad_image **out, const imiad_dataset *dataset,
                                                size_t index);
/* The ground truth of a sample, GRAY8, 0 or 255, at the size of its image: the union of all its
 * masks; all zero for a good one. Errors: IMIAD_NOT_FOUND where a defective image has no mask
 * (unless the dataset was opened with missing_mask=empty), IMIAD_MISMATCH where its size differs.
 */
IMIAD_API imiad_status imiad_dataset_read_mask(imiad_image **out, const imiad_dataset *dataset,
                                               size_t index);

/* SHA-256, in hexadecimal, over the sorted sample list (path, subset, label, kind) and every file's
 * size: what a result record stores. 65 bytes with the NUL are written. */
IMIAD_API imiad_status imiad_dataset_digest(char out[65], const imiad_dataset *dataset);

/* Writes every image and mask below `folder` in MVTec AD's layout, as PNG. */
IMIAD_API imiad_status imiad_dataset_export(const imiad_dataset *dataset, const char *folder);

#ifdef __cplusplus
}
#endif
#endif
