/* Inside a dataset: the sample list that every reader fills, and the registry of readers. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/options.h"
#include "imiad/dataset.h"

/* Text belongs to the dataset. */
typedef struct sample {
    imiad_subset subset;
    int32_t category, label;
    const char *kind;
    const char *path;              /* relative to the root */
    const char *const *mask_paths; /* relative to the root */
    size_t mask_count;
    uint64_t key; /* for readers that need no file: what to draw */
} sample;

/* One reader: a file in lib/data and a line in registry.c. */
typedef struct dataset_ops {
    const char *name, *title;
    const option_spec *options; /* beside the common ones */
    bool needs_root;
    imiad_status (*list)(imiad_dataset *dataset); /* fills categories and samples */
    /* NULL where images and masks are files below the root */
    imiad_status (*draw_image)(imiad_image **out, const imiad_dataset *dataset, const sample *s);
    imiad_status (*draw_mask)(imiad_image **out, const imiad_dataset *dataset, const sample *s);
} dataset_ops;

extern const dataset_ops *const dataset_registry[]; /* ends in NULL */

struct imiad_dataset {
    const dataset_ops *ops;
    option_set *options;
    char *root;
    char **categories;
    size_t category_count;
    sample *samples;
    size_t sample_count;
    atomic_int references;
    /* ... the text's memory, and what adding needs */
};

imiad_dataset *dataset_retain(const imiad_dataset *dataset);

#endif
