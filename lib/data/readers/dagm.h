/* DAGM 2007's text files. */
#ifndef DATA_READERS_DAGM_H
#define DATA_READERS_DAGM_H

#include "data/readers/text_table.h"

/* One line of Labels.txt. Text points into the table. */
typedef struct dagm_label {
    const char *image;
    const char *mask; /* NULL for a good image */
    size_t line;
} dagm_label;

/* The rows of a Labels.txt behind its first, the number of the class; labels has room for
 * t->count. Sorted by image. Errors: IMIAD_FORMAT (name and line). */
imiad_status dagm_parse_labels(dagm_label *labels, size_t *count, const table *t, const char *name);

/* One line of the older release's label file: the defect of image `index`. Lengths in pixels. */
typedef struct dagm_ellipse {
    int64_t index;
    double major, minor; /* semi-axes, above 0; the file's first one is not always the longer */
    double angle;        /* radians, of the first axis against the x axis, clockwise as seen */
    double x, y;         /* the centre; the first pixel is (1, 1) */
    size_t line;
} dagm_ellipse;

/* ellipses has room for t->count. Sorted by index. Errors: IMIAD_FORMAT (name and line). */
imiad_status dagm_parse_ellipses(dagm_ellipse *ellipses, const table *t, const char *name);

#endif
