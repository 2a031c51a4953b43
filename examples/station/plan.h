/* What is learned, what chooses the threshold, and what measures both: the images of a folder,
 * looked at and divided. */
#ifndef STATION_PLAN_H
#define STATION_PLAN_H

#include "station/look.h"
#include "station/options.h"
#include "station/warnings.h"

typedef struct index_list {
    size_t *at; /* samples of the dataset */
    size_t count;
} index_list;

typedef struct plan {
    imiad_dataset *files; /* the folder */
    size_t category;
    index_list learned, held_out, test;
    bool official; /* held_out are the folder's validation images */
    look *looks;   /* by sample; width 0 where it was not looked at */
    bool *broken;
    size_t broken_count;
    learned_range range;
} plan;

/* Opens the folder, looks at every image of the category and divides them. Where images cannot be
 * read, all of them are named, and it fails unless they are to be skipped. Returns 0 or
 * SOME_FAILED, with the reason printed. */
int plan_make(plan *p, const command *c, warnings *w);
void plan_free(plan *p);

/* A split of what is to be learned: whole images, or their tiles. */
imiad_status plan_split(imiad_split **out, const plan *p, const command *c);

/* How many images of the folder the split trains on: a setting may draw a few. Those that it trains
 * on several times, and those whose tiles it trains on, count once. */
size_t plan_learned_count(const plan *p, const imiad_split *split);

#endif
