/* A small product line that the library draws, split, and a network of random weights. */
#ifndef TESTS_DETECTORS_PRODUCT_LINE_H
#define TESTS_DETECTORS_PRODUCT_LINE_H

#include "check_suite.h"
#include "imiad/imiad.h"

typedef struct product_line {
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_split *split; /* of the first category */
    const char *size;   /* of the images: "64" */
} product_line;

/* Images of size x size: how many train, how many good and defective ones test. */
static inline product_line product_line_open(const char *size, const char *train, const char *good,
                                             const char *defective, const char *setting)
{
    const imiad_option options[] = {
        {"size", size}, {"train", train}, {"test_good", good}, {"test_defective", defective}};
    product_line l = {.size = size};
    ck_ok(imiad_dataset_open(&l.dataset, "synthetic", NULL, options, 4));
    ck_ok(imiad_backbone_create(&l.backbone, "resnet18", NULL));
    ck_ok(imiad_split_create(&l.split, l.dataset, imiad_dataset_category(l.dataset, 0), setting,
                             NULL, 0));
    return l;
}

static inline void product_line_close(product_line *l)
{
    imiad_split_free(l->split);
    imiad_backbone_free(l->backbone);
    imiad_dataset_free(l->dataset);
}

#endif
