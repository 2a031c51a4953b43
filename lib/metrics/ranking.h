/* AUROC, AP and F1-max of anything that is ranked by a score. */
#ifndef METRICS_RANKING_H
#define METRICS_RANKING_H

#include "metrics/scores.h"

/* The images or pixels of exactly one score. Groups without positives move no result. */
typedef struct tie_group {
    double score;
    uint64_t positives, negatives;
    uint64_t positives_below, negatives_below;
} tie_group;

typedef struct ranking {
    uint64_t positives, negatives; /* in all */
    uint128 doubled_pairs;         /* ordered rightly, counted twice; ties counted once */
    double precisions;             /* summed over the positives */
    uint64_t best_true, best_predicted;
    double best_threshold;
} ranking;

ranking ranking_begin(uint64_t positives, uint64_t negatives);
/* Groups with positives, ascending by score. */
void ranking_add(ranking *r, const tie_group *groups, size_t count);

/* Adds the groups of another part, all of which lie above: everything but the precisions, whose
 * order of summing is the caller's. */
void ranking_join(ranking *r, const ranking *above);

/* what: "image" or "pixel", for the message where the metric is undefined */
imiad_status ranking_auroc(double *out, const ranking *r, const char *what);
imiad_status ranking_ap(double *out, const ranking *r, const char *what);
imiad_status ranking_f1max(double *out, double *threshold, const ranking *r, const char *what);

/* Images, few and with scores in double. */
typedef struct image_score {
    double score;
    int label;
} image_score;

typedef struct image_scores {
    image_score *items;
    size_t count, room;
} image_scores;
/* Errors: IMIAD_NOT_FINITE for NaN, and for infinities unless allowed. */
imiad_status image_scores_add(image_scores *list, int label, double score, bool infinities);
void image_scores_free(image_scores *list);

/* Sorts the images. */
ranking ranking_of_images(image_score *images, size_t count);

/* AUROC as open-iad's LOCO evaluation computes it: images ascending by score, good before defective
 * where they tie, and the curve's point for a threshold taken after the first of equal scores.
 * Sorts the images. */
imiad_status auroc_loco_order(double *out, image_scores *list);

#endif
