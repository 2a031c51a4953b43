/* Splits: which samples train and which test, as one setting of the benchmark draws them. */
#ifndef IMIAD_SPLIT_H
#define IMIAD_SPLIT_H

#include "imiad/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Never changes after it was made: any number of threads may read it. Keeps its dataset alive. */
typedef struct imiad_split imiad_split;

/* Unsupervised: all normal training images of the category train, its whole test set tests.
 * Errors: IMIAD_NOT_FOUND for an unknown category or one without training or test images; what kept
 * the category from being listed. */
IMIAD_API imiad_status imiad_split_unsupervised(imiad_split **out, const imiad_dataset *dataset,
                                                const char *category);
IMIAD_API void imiad_split_free(imiad_split *split);

/* All of these are borrowed from the split. */
IMIAD_API const imiad_dataset *imiad_split_dataset(const imiad_split *split);
IMIAD_API const char *imiad_split_category(const imiad_split *split);
IMIAD_API const char *imiad_split_setting(const imiad_split *split); /* "unsupervised" */

/* Sample indices into the dataset, in the split's order; SIZE_MAX past the end. */
IMIAD_API size_t imiad_split_train_count(const imiad_split *split);
IMIAD_API size_t imiad_split_train(const imiad_split *split, size_t index);
IMIAD_API size_t imiad_split_test_count(const imiad_split *split);
IMIAD_API size_t imiad_split_test(const imiad_split *split, size_t index);
/* The label that training is told, which in a noisy setting is not the sample's own: 0 normal, 1
 * defective; -1 past the end. */
IMIAD_API int32_t imiad_split_train_label(const imiad_split *split, size_t index);

#ifdef __cplusplus
}
#endif
#endif
