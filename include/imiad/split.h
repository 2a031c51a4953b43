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
 * Errors: IMIAD_NOT_FOUND for an unknown category or one without training or test images. */
IMIAD_API imiad_status imiad_split_unsupervised(imiad_split **out, const imiad_dataset *dataset,
                                                const char *category);
IMIAD_API void imiad_split_free(imiad_split *split);

IMIAD_API const imiad_dataset *imiad_split_dataset(const imiad_split *split);
IMIAD_API const char *imiad_split_category(const imiad_split *split);
/* Sample indices into the dataset, in the split's order. */
IMIAD_API size_t imiad_split_train_count(const imiad_split *split);
IMIAD_API size_t imiad_split_train(const imiad_split *split, size_t index);
IMIAD_API size_t imiad_split_test_count(const imiad_split *split);
IMIAD_API size_t imiad_split_test(const imiad_split *split, size_t index);

#ifdef __cplusplus
}
#endif
#endif
