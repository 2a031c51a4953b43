/* What a cell leaves to look at beside its values, for its store: docs/results.md lists the names.
 */
#ifndef EXAMPLES_EVIDENCE_H
#define EXAMPLES_EVIDENCE_H

#include <imiad/imiad.h>
#include <jansson.h>

typedef struct evidence evidence;

/* Begins for the test set of a split; pictures are kept only where `pictures` says so. NULL without
 * memory. */
evidence *evidence_begin(const imiad_split *split, int pictures);
/* A test image, in the split's order. */
imiad_status evidence_add(evidence *e, const imiad_scored *scored);
/* All that was added, with AUPRO by limit from the metrics: an object of NAME to JSON or to a text.
 * Frees `e`. */
imiad_status evidence_end(json_t **out, evidence *e, const imiad_metrics *metrics);
void evidence_free(evidence *e);

/* The object as options of a cell, texts in *texts; both are freed by the caller. */
imiad_status evidence_options(imiad_option **out, size_t *count, json_t **texts,
                              const json_t *object);

#endif
