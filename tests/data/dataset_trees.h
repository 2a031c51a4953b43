/* Datasets as their publishers lay them out, with tiny procedural images: names, folders, formats
 * and text files are the official ones, the pictures are not. */
#ifndef TESTS_DATASET_TREES_H
#define TESTS_DATASET_TREES_H

#include <stddef.h>

enum { GOLDEN_ROWS = 80, GOLDEN_KINDS = 8 };

/* Every image of a tree has this size. */
enum { TREE_WIDTH = 11, TREE_HEIGHT = 7 };

/* One row of tests/golden/dataset_counts.csv: the published counts of one category. */
typedef struct golden_counts {
    char dataset[32], mark, category[32];
    size_t train_good, train_defective, validation, test_good, test_defective;
    struct {
        char name[32];
        size_t count;
    } kinds[GOLDEN_KINDS];
    size_t kind_count;
} golden_counts;

/* The rows of one dataset, in the file's order. */
size_t golden_read(golden_counts out[GOLDEN_ROWS], const char *dataset);

/* Writes the dataset of these rows below the folder, which exists. dataset is the reader's name, or
 * "visa_converted" or "mtd_split". */
void dataset_tree_write(const char *folder, const char *dataset, const golden_counts *rows,
                        size_t count);

/* A row of its own making: few images of the given kinds ("" ends the list). */
golden_counts golden_small(const char *dataset, const char *category, const char *const *kinds);

#endif
