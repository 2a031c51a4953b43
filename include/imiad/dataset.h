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
    int32_t has_mask;    /* 1 where the ground truth is known; a good image's is all zero */
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
 * test, then bytewise order of paths, folder by folder. After opening, a dataset never changes: any
 * number of threads may read it.
 * Files without a place in the layout are logged and left out. A category that cannot be listed, or
 * that lacks images, is logged and left empty; making a split of it is what fails, so that it does
 * not stand in the way of the others.
 * Errors: IMIAD_UNKNOWN_OPTION, IMIAD_OUT_OF_RANGE, IMIAD_NOT_FOUND (no such folder, or no category
 * in it), IMIAD_FORMAT. */
IMIAD_API imiad_status imiad_dataset_open(imiad_dataset **out, const char *name, const char *root,
                                          const imiad_option *options, size_t option_count);
/* Gives the caller's reference back; splits made from the dataset keep it alive. */
IMIAD_API void imiad_dataset_free(imiad_dataset *dataset);

IMIAD_API const char *imiad_dataset_name(const imiad_dataset *dataset);
IMIAD_API const char *
imiad_dataset_root(const imiad_dataset *dataset); /* "" for a procedural one */
/* The value of an option as text, given or default; NULL where there is no such option. Borrowed.
 */
IMIAD_API const char *imiad_dataset_option(const imiad_dataset *dataset, const char *name);
IMIAD_API size_t imiad_dataset_category_count(const imiad_dataset *dataset);
IMIAD_API const char *imiad_dataset_category(const imiad_dataset *dataset, size_t index);

/* How many images of which kind a category has. Text is borrowed from the dataset. */
typedef struct imiad_category_info {
    uint32_t struct_size;
    const char *name;
    size_t train_good, train_defective, validation, test_good, test_defective;
    size_t missing_masks; /* defective images without ground truth */
} imiad_category_info;
#define IMIAD_CATEGORY_INFO_INIT                                                                   \
    {                                                                                              \
        sizeof(imiad_category_info), 0, 0, 0, 0, 0, 0, 0                                           \
    }
IMIAD_API imiad_status imiad_dataset_category_info(imiad_category_info *out,
                                                   const imiad_dataset *dataset, size_t index);

/* How far an official count can be trusted. */
typedef enum imiad_provenance {
    IMIAD_PROVENANCE_VERIFIED = 1,  /* counted in a file list, an archive or the official split */
    IMIAD_PROVENANCE_SECONDARY = 2, /* independent projects counted the same in their copies */
    IMIAD_PROVENANCE_RECALLED = 3   /* from publications; the totals agree, no listing was seen */
} imiad_provenance;

/* What the publisher's copy of a category holds. */
typedef struct imiad_official_counts {
    uint32_t struct_size;
    imiad_provenance provenance;
    size_t good, defective; /* in all */
    /* 0 where the publisher has no split, or the dataset was opened with another one: then only the
     * two totals can be compared, and the counts below are 0 */
    int32_t has_split;
    size_t train_good, train_defective, validation, test_good, test_defective;
} imiad_official_counts;
#define IMIAD_OFFICIAL_COUNTS_INIT                                                                 \
    {                                                                                              \
        sizeof(imiad_official_counts), (imiad_provenance)0, 0, 0, 0, 0, 0, 0, 0, 0                 \
    }
/* IMIAD_NOT_FOUND where nothing is known of that category: a name that the publisher's copy does
 * not have, or a dataset of the user's own. A copy with other counts is read all the same. */
IMIAD_API imiad_status imiad_dataset_official_counts(imiad_official_counts *out,
                                                     const imiad_dataset *dataset, size_t category);
/* The official number of defective images of one kind, over all subsets; IMIAD_NOT_FOUND where the
 * publisher's copy has no such kind or its kinds are not known. */
IMIAD_API imiad_status imiad_dataset_official_kind(size_t *out, const imiad_dataset *dataset,
                                                   size_t category, const char *kind);

/* The categories of the publisher's copy, in its order; NULL past the last. Static text. */
IMIAD_API const char *imiad_dataset_official_category(const imiad_dataset *dataset, size_t index);

/* A kind of defect that a dataset describes (MVTec LOCO AD): what its pixels are called in a mask
 * channel, and from which predicted area on it counts as found. Text is borrowed from the dataset.
 * Source: Bergmann, Batzner, Fauser, Sattlegger, Steger: IJCV 130, 2022. */
typedef struct imiad_defect_info {
    uint32_t struct_size;
    int32_t pixel_value; /* 1..255: the one value beside 0 of a mask channel with this defect */
    const char *name;    /* "missing_pushpin" */
    /* pixels at the image's native size, a whole number; or, where relative_saturation is 1, a
     * share in (0, 1] of the channel's area */
    double saturation_threshold;
    int32_t relative_saturation;
} imiad_defect_info;
#define IMIAD_DEFECT_INFO_INIT                                                                     \
    {                                                                                              \
        sizeof(imiad_defect_info), 0, 0, 0, 0                                                      \
    }
/* How many a category describes; 0 for datasets that describe none. */
IMIAD_API size_t imiad_dataset_defect_count(const imiad_dataset *dataset, size_t category);
IMIAD_API imiad_status imiad_dataset_defect(imiad_defect_info *out, const imiad_dataset *dataset,
                                            size_t category, size_t index);
/* The one of a pixel value, such as the largest value of what imiad_dataset_read_mask_channel
 * gives. IMIAD_NOT_FOUND where the category has none, naming the file that should describe it. */
IMIAD_API imiad_status imiad_dataset_find_defect(imiad_defect_info *out,
                                                 const imiad_dataset *dataset, size_t category,
                                                 int32_t pixel_value);

IMIAD_API size_t imiad_dataset_sample_count(const imiad_dataset *dataset);
IMIAD_API imiad_status imiad_dataset_sample(imiad_sample *out, const imiad_dataset *dataset,
                                            size_t index);

/* Images that show one thing, such as the views of one part, form a group: its name, which no other
 * group of the category has; NULL for an image that stands alone, and past the end. Borrowed. */
IMIAD_API const char *imiad_dataset_sample_group(const imiad_dataset *dataset, size_t index);

/* The native size of a sample's image in pixels, from its file's header alone. Errors:
 * IMIAD_NOT_FOUND, IMIAD_IO, IMIAD_FORMAT; a file whose header is sound may still fail to decode.
 */
IMIAD_API imiad_status imiad_dataset_image_size(int32_t *width, int32_t *height,
                                                const imiad_dataset *dataset, size_t index);
/* The decoded image of a sample at its native size, 8 bits a channel. */
IMIAD_API imiad_status imiad_dataset_read_image(imiad_image **out, const imiad_dataset *dataset,
                                                size_t index);
/* The same as detectors are shown it: GRAY16 where a grey image has more than 8 bits. Scores of
 * this image are those of the dataset's sample. */
IMIAD_API imiad_status imiad_dataset_read_deep_image(imiad_image **out,
                                                     const imiad_dataset *dataset, size_t index);
/* The ground truth of a sample, GRAY8, 0 or 255, at the size of its image: where any of its masks
 * reaches the option mask_threshold; all zero for a good one. Errors: IMIAD_NOT_FOUND where a
 * defective image has no mask (unless the dataset was opened with missing_mask=empty),
 * IMIAD_MISMATCH where a mask's size differs from its image's. */
IMIAD_API imiad_status imiad_dataset_read_mask(imiad_image **out, const imiad_dataset *dataset,
                                               size_t index);
/* Some datasets give each defect of an image a mask of its own, with a value that means something:
 * the number of masks, and one of them as it is on disk, GRAY8. Good images have none. */
IMIAD_API size_t imiad_dataset_mask_channels(const imiad_dataset *dataset, size_t index);
IMIAD_API imiad_status imiad_dataset_read_mask_channel(imiad_image **out,
                                                       const imiad_dataset *dataset, size_t index,
                                                       size_t channel);

/* SHA-256, in hexadecimal, over the sample list (path, subset, category, label, kind, masks) and
 * the size of every file; of a procedural dataset, over its options instead of sizes. What a result
 * record stores. 65 bytes with the NUL are written. */
IMIAD_API imiad_status imiad_dataset_digest(char out[65], const imiad_dataset *dataset);

/* Writes every image and mask below `folder` in MVTec AD's layout, as PNG, numbered within each
 * folder. `folder` must be empty or not exist yet. Defective training images have no place in that
 * layout: they are logged and left out. */
IMIAD_API imiad_status imiad_dataset_export(const imiad_dataset *dataset, const char *folder);

/* ---- datasets of the caller's own: docs/plugins.md, docs/embedding.md ---- */

/* What the function `list` hands over, image by image. All text is copied. */
typedef struct imiad_listed_sample {
    uint32_t struct_size;
    imiad_subset subset;
    const char *category;
    int32_t label;         /* 1 defective, 0 good */
    const char *kind;      /* NULL: "good" or "defect", by the label */
    const char *path;      /* unique in the dataset; below the root where images are files */
    const char *mask_path; /* of a defective image's mask file below the root, or NULL */
    int32_t has_mask;      /* 1: read_mask gives this defective image's ground truth */
    uint64_t key;          /* handed back to read_image and read_mask */
} imiad_listed_sample;
#define IMIAD_LISTED_SAMPLE_INIT                                                                   \
    {                                                                                              \
        sizeof(imiad_listed_sample), (imiad_subset)0, 0, 0, 0, 0, 0, 0, 0                          \
    }

/* A dataset while it is being listed. */
typedef struct imiad_listing imiad_listing;
/* In any order; categories are numbered as they first appear. Errors: IMIAD_INVALID_ARGUMENT. */
IMIAD_API imiad_status imiad_listing_add(imiad_listing *listing, const imiad_listed_sample *sample);

/* A kind of dataset, as functions. They return IMIAD_OK, or what imiad_fail returned. `dataset`
 * tells root and options (imiad_dataset_root, imiad_dataset_option). */
typedef struct imiad_dataset_functions {
    uint32_t struct_size;
    const char *name;                 /* letters, digits and underscores */
    const char *title;                /* one line for people */
    const imiad_option_info *options; /* beside those of every dataset; NULL where there are none */
    size_t option_count;
    int32_t needs_root; /* 1: opened with a folder; 0: with none */
    void *user;         /* the first argument of every function */
    /* Adds every image to the listing; called once, by the thread that opens the dataset. */
    imiad_status (*list)(void *user, imiad_listing *listing, const imiad_dataset *dataset);
    /* A new image (imiad_image_create, imiad_image_read) of any format, which the library frees;
     * the same one for every call with the sample. Called by several threads at once. NULL: images
     * are the files root/path. */
    imiad_status (*read_image)(void *user, imiad_image **out, const imiad_dataset *dataset,
                               const imiad_sample *sample, uint64_t key);
    /* The ground truth of a defective sample with has_mask: GRAY8, of its image's size; pixels from
     * the option mask_threshold (1) on are defective. Called by several threads at once. NULL where
     * no sample has one. */
    imiad_status (*read_mask)(void *user, imiad_image **out, const imiad_dataset *dataset,
                              const imiad_sample *sample, uint64_t key);
    /* Called once nothing uses `user` any more: when a dataset of imiad_dataset_open_functions has
     * been freed, or could not be opened. Never for registered ones. May be NULL. */
    void (*release)(void *user);
} imiad_dataset_functions;
#define IMIAD_DATASET_FUNCTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(imiad_dataset_functions), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                              \
    }

/* Makes the name one that imiad_dataset_open takes and imiad_dataset_type_name lists, for the
 * process's life. The structure is copied; `user` and the code must stay. Any thread may register.
 * Errors: IMIAD_INVALID_ARGUMENT (a name that is taken or missing, a missing function), those of
 * its options. */
IMIAD_API imiad_status imiad_dataset_register(const imiad_dataset_functions *functions);
/* Opens a dataset of such functions without registering them. Errors: as both. */
IMIAD_API imiad_status imiad_dataset_open_functions(imiad_dataset **out,
                                                    const imiad_dataset_functions *functions,
                                                    const char *root, const imiad_option *options,
                                                    size_t option_count);

/* One image in memory, with what is known of it. Pixels and text are copied. */
typedef struct imiad_memory_sample {
    uint32_t struct_size;
    imiad_subset subset;
    int32_t label;            /* 1 defective, 0 good */
    const imiad_image *image; /* any size and format */
    const imiad_image *mask;  /* GRAY8, of the image's size, non-zero is defective; or NULL */
    const char *category;     /* NULL: "default" */
    const char *kind;         /* NULL: "good" or "defect" */
    const char *path; /* unique; NULL: CATEGORY/SUBSET/KIND/NUMBER, by its place in the array */
} imiad_memory_sample;
#define IMIAD_MEMORY_SAMPLE_INIT                                                                   \
    {                                                                                              \
        sizeof(imiad_memory_sample), (imiad_subset)0, 0, 0, 0, 0, 0, 0                             \
    }
/* A dataset of images in memory; no file is read or written. `samples` is an array of structures of
 * samples[0].struct_size bytes each. Its digest is that of the pixels. `name` (letters, digits,
 * underscores) is what results call it. The options are those of every dataset; where images are
 * many, use functions that read them when asked. Errors: IMIAD_INVALID_ARGUMENT and IMIAD_MISMATCH,
 * which count samples from 0. */
IMIAD_API imiad_status imiad_dataset_from_images(imiad_dataset **out, const char *name,
                                                 const imiad_memory_sample *samples, size_t count,
                                                 const imiad_option *options, size_t option_count);

#ifdef __cplusplus
}
#endif
#endif
