/* Inside a dataset: the sample list that every reader fills, and the registry of readers. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/files.h"
#include "base/options.h"
#include "imiad/dataset.h"

/* Text belongs to the dataset. */
typedef struct sample {
    imiad_subset subset;
    int32_t category, label;
    const char *kind;
    const char *group;             /* images that show one thing have one; NULL: this image alone */
    const char *path;              /* relative to the root */
    const char *const *mask_paths; /* relative to the root, one per channel of the ground truth */
    size_t mask_count;
    const char *mask_expected; /* where a defective image's missing mask was looked for, or NULL */
    bool mask_drawn;           /* by the reader's draw_mask: ellipses, procedural images */
    uint64_t key;              /* the reader's own: what to draw */
    const void *drawing;       /* the same, as memory of the dataset */
} sample;

/* What could not be listed is no failure of the dataset but of its category: `status` and `problem`
 * wait for whoever makes a split of it. */
typedef struct category_entry {
    const char *name;
    imiad_status status;
    const char *problem;
    const imiad_defect_info *defects; /* in memory of the dataset */
    size_t defect_count;
    const char *defects_expected; /* the file that describes them, or NULL */
} category_entry;

/* One reader: a file in lib/data/readers and a line in the table there. */
typedef struct dataset_ops {
    const char *name, *title;
    const option_spec *options; /* beside the common ones; may give those other defaults; or NULL */
    bool needs_root;
    bool may_lack_tests; /* of somebody's own: good images alone can train and calibrate */
    const char *layout;  /* where images are expected, for messages; NULL without files */
    imiad_status (*list)(imiad_dataset *dataset); /* fills categories and samples */
    void (*unlist)(imiad_dataset *dataset);       /* frees `state`; may be NULL */
    /* NULL where images are files below the root; masks, where no sample has mask_drawn */
    imiad_status (*draw_image)(imiad_image **out, const imiad_dataset *dataset, const sample *s);
    imiad_status (*draw_mask)(imiad_image **out, const imiad_dataset *dataset, const sample *s,
                              const imiad_image *image); /* at the size of the decoded image */
    /* frees the table itself, after the dataset; NULL for those that stay */
    void (*release)(const struct dataset_ops *ops);
} dataset_ops;

extern const dataset_ops *const dataset_table[]; /* the library's own; ends in NULL */

/* The reader of that name, the library's or one that a program registered. IMIAD_UNKNOWN_OPTION
 * names all that there are. */
imiad_status dataset_find(const dataset_ops **out, const char *name);

extern const option_spec dataset_common_options[]; /* of all readers */

/* Opens a dataset of a table that need not be registered; takes the table, also on failure, where
 * it has a release. */
imiad_status dataset_open(imiad_dataset **out, const dataset_ops *ops, const char *root,
                          const imiad_option *options, size_t option_count);

struct imiad_dataset {
    const dataset_ops *ops;
    option_set *options;
    char *root; /* "" where there is none */
    category_entry *categories;
    size_t category_count;
    sample *samples;
    size_t sample_count, sample_room;
    imiad_decode_options decoding; /* of images and, but for `range`, of their masks */
    bool own_split; /* the publisher has none, or the options chose another */
    struct text_block *text;
    void *state; /* the reader's own */
    atomic_int references;
};

imiad_dataset *dataset_retain(const imiad_dataset *dataset);

/* ---- for readers, while they list ---- */

/* Memory and text that live as long as the dataset; NULL, with the error recorded, when memory runs
 * out. */
void *dataset_memory(imiad_dataset *dataset, size_t bytes);
const char *dataset_text(imiad_dataset *dataset, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes the found names the dataset's categories, in the given order: all of them, or those that
 * the option `categories` chooses, in its order. */
imiad_status dataset_set_categories(imiad_dataset *dataset, const char *const *names, size_t count);
/* Calls list_one for every category. A failure is kept as the category's problem, and none of its
 * samples; only running out of memory ends the listing. */
imiad_status dataset_list_each(imiad_dataset *dataset,
                               imiad_status (*list_one)(imiad_dataset *dataset, int32_t category,
                                                        const void *context),
                               const void *context);
/* Copies the sample; its text must be the dataset's. Any order will do: opening sorts. */
imiad_status dataset_add(imiad_dataset *dataset, const sample *s);

bool is_image_name(const char *name);    /* by its extension, in any case: what can be decoded */
size_t stem_length(const char *name);    /* up to the last dot */
const char *base_name(const char *path); /* after the last slash */

/* ---- for the loader and for splits ---- */

/* The ground truth that belongs to the decoded image of the sample. *out becomes NULL where it is
 * unknown and the dataset was opened with missing_mask=skip. */
imiad_status dataset_read_mask_of(imiad_image **out, const imiad_dataset *dataset, size_t index,
                                  const imiad_image *image);
/* Whether reading the ground truth is known to fail: it is missing, and missing_mask is `error`. */
bool dataset_lacks_mask(const imiad_dataset *dataset, size_t index);
/* The failure of that: what dataset_read_mask_of says. */
imiad_status dataset_fail_missing_mask(const imiad_dataset *dataset, size_t index);
/* IMIAD_NOT_FOUND, with the names that there are. */
imiad_status dataset_find_category(size_t *out, const imiad_dataset *dataset, const char *name);

#endif
