/* What a cell left to look at beside its values, as a report reads it. Texts come from anywhere:
 * what has another form than docs/results.md says is left out. */
#ifndef REPORT_EVIDENCE_H
#define REPORT_EVIDENCE_H

#include <stdbool.h>

#include "imiad/results.h"
#include "report/kept.h"

/* One test image. */
typedef struct scored_image {
    bool defective;
    double score;
    const char *kind, *path;
} scored_image;

/* Numbers of a list, NAN where one does not exist. */
typedef struct number_list {
    double *numbers;
    size_t count;
} number_list;

/* How many images of a category there are; -1 where nobody said. */
typedef struct category_counts {
    double normal, defective, kinds, shortest_side, longest_side;
} category_counts;

/* All in kept memory. */
typedef struct cell_evidence {
    scored_image *images; /* by score, the highest first */
    size_t image_count, good, defective;
    number_list rates, overlaps; /* the curve of the overlap of regions over false positives */
    double task;                 /* in its sequence, from 1; -1: none */
    number_list course;          /* image AUROC after each task from its own on */
    category_counts category;
} cell_evidence;
imiad_status evidence_read(cell_evidence *out, kept *k, const imiad_cell *cell);

/* The text of that name where it is a picture that a page may show, "data:image/png;base64,...";
 * NULL otherwise. */
const char *evidence_picture(const imiad_cell *cell, const char *name);

#endif
