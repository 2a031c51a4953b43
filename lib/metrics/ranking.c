#include "metrics/ranking.h"

#include <math.h>
#include <stdlib.h>

#include "base/arrays.h"
#include "base/error.h"

ranking ranking_begin(uint64_t positives, uint64_t negatives)
{
    return (ranking){.positives = positives, .negatives = negatives};
}

/* F1 = 2 TP / (predicted + P): of two fractions with the same P, compared without rounding. */
static bool better_f1(uint64_t true_a, uint64_t predicted_a, uint64_t true_b, uint64_t predicted_b,
                      uint64_t positives)
{
    return (uint128)true_a * ((uint128)predicted_b + positives) >
           (uint128)true_b * ((uint128)predicted_a + positives);
}

/* Called with ascending thresholds: only a better one replaces, so the lowest stays. */
static void offer_f1(ranking *r, uint64_t found, uint64_t predicted, double threshold)
{
    if (r->best_predicted == 0 ||
        better_f1(found, predicted, r->best_true, r->best_predicted, r->positives)) {
        r->best_true = found;
        r->best_predicted = predicted;
        r->best_threshold = threshold;
    }
}

void ranking_add(ranking *r, const tie_group *groups, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const tie_group *g = &groups[i];
        uint64_t found = r->positives - g->positives_below; /* predicted: score >= the group's */
        uint64_t predicted = found + (r->negatives - g->negatives_below);
        r->doubled_pairs +=
            (uint128)g->positives * (2 * (uint128)g->negatives_below + g->negatives);
        r->precisions += (double)g->positives * ((double)found / (double)predicted);
        offer_f1(r, found, predicted, g->score);
    }
}

void ranking_join(ranking *r, const ranking *above)
{
    r->doubled_pairs += above->doubled_pairs;
    if (above->best_predicted > 0)
        offer_f1(r, above->best_true, above->best_predicted, above->best_threshold);
}

static imiad_status needs_positives(const ranking *r, const char *metric, const char *what)
{
    if (r->positives == 0)
        return fail(IMIAD_UNDEFINED, "%s %s is undefined: no defective %s was added", what, metric,
                    what);
    return IMIAD_OK;
}

imiad_status ranking_auroc(double *out, const ranking *r, const char *what)
{
    TRY(needs_positives(r, "AUROC", what));
    if (r->negatives == 0)
        return fail(IMIAD_UNDEFINED, "%s AUROC is undefined: no good %s was added", what, what);
    *out = (double)r->doubled_pairs / (double)(2 * (uint128)r->positives * r->negatives);
    return IMIAD_OK;
}

imiad_status ranking_ap(double *out, const ranking *r, const char *what)
{
    TRY(needs_positives(r, "AP", what));
    *out = r->precisions / (double)r->positives;
    return IMIAD_OK;
}

imiad_status ranking_f1max(double *out, double *threshold, const ranking *r, const char *what)
{
    TRY(needs_positives(r, "F1-max", what));
    *out = 2 * (double)r->best_true / (double)((uint128)r->best_predicted + r->positives);
    if (threshold)
        *threshold = r->best_threshold;
    return IMIAD_OK;
}

imiad_status image_scores_add(image_scores *list, int label, double score, bool infinities)
{
    if (isnan(score) || (isinf(score) && !infinities))
        return fail(IMIAD_NOT_FINITE, "the score of image %zu is %s", list->count,
                    isnan(score) ? "NaN" : "infinite; option infinities=allow admits it");
    TRY(array_reserve(&list->items, list->count, &list->room, sizeof *list->items, "image scores"));
    list->items[list->count++] = (image_score){score, label};
    return IMIAD_OK;
}

void image_scores_free(image_scores *list)
{
    free(list->items);
    *list = (image_scores){0};
}

static int compare_scores(const void *a, const void *b)
{
    double x = ((const image_score *)a)->score, y = ((const image_score *)b)->score;
    return (x > y) - (x < y);
}

ranking ranking_of_images(image_score *images, size_t count)
{
    uint64_t positives = 0;
    for (size_t i = 0; i < count; ++i)
        positives += images[i].label != 0;
    ranking r = ranking_begin(positives, count - positives);
    if (count == 0)
        return r;
    qsort(images, count, sizeof *images, compare_scores);
    tie_group group = {0};
    for (size_t begin = 0, end; begin < count; begin = end) {
        group.positives_below += group.positives;
        group.negatives_below += group.negatives;
        group.positives = group.negatives = 0;
        group.score = images[begin].score;
        for (end = begin; end < count && images[end].score == group.score; ++end)
            *(images[end].label ? &group.positives : &group.negatives) += 1;
        if (group.positives > 0)
            ranking_add(&r, &group, 1);
    }
    return r;
}

static int compare_good_first(const void *a, const void *b)
{
    int order = compare_scores(a, b);
    return order ? order : ((const image_score *)a)->label - ((const image_score *)b)->label;
}

imiad_status auroc_loco_order(double *out, image_scores *list)
{
    uint64_t positives = 0;
    for (size_t i = 0; i < list->count; ++i)
        positives += list->items[i].label != 0;
    ranking r = ranking_begin(positives, list->count - positives);
    TRY(ranking_auroc(out, &r, "image")); /* whether it is defined */
    qsort(list->items, list->count, sizeof *list->items, compare_good_first);
    /* in whole numbers, every area doubled: from all that are predicted defective to none */
    uint64_t found = positives, wrong = r.negatives, last_found = found, last_wrong = wrong;
    uint128 doubled = 0;
    for (size_t i = 0; i <= list->count; ++i) {
        const image_score *image = &list->items[i];
        if (i < list->count)
            *(image->label ? &found : &wrong) -= 1;
        if (i > 0 && i < list->count && image->score == image[-1].score)
            continue;
        doubled += (uint128)(last_wrong - wrong) * (last_found + found);
        last_found = found;
        last_wrong = wrong;
    }
    *out = (double)doubled / (double)(2 * (uint128)positives * r.negatives);
    return IMIAD_OK;
}
