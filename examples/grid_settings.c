/* The settings that are grids, as their programs and the benchmark run them. */
#include "grid.h"

#include <stddef.h>
#include <string.h>

static const char *const anomalies[] = {"1", "2", "4", "5", "8", "10", NULL};
static const char *const shots[] = {"1", "2", "4", "8", NULL};
static const char *const ratios[] = {"0.05", "0.1", "0.15", "0.2", NULL};

static const grid_setting settings[] = {
    {
        .setting = "unsupervised",
        .about = "Fits a detector on each category's normal images and measures it on the "
                 "category's test set.",
        .together = "one detector learns all the categories named, and each is measured",
    },
    {
        .setting = "supervised",
        .option = "anomalies",
        .argument = "N",
        .help = "labelled defective images, repeatable (default: 1, 2, 4, 5, 8, 10)",
        .published = anomalies,
        .about = "Fits a detector on each category's normal images and N labelled defective ones, "
                 "drawn from the test\nset and taken out of it. Methods that use normal images "
                 "alone ignore the others.",
    },
    {
        .setting = "fewshot",
        .option = "shots",
        .argument = "N",
        .help = "training images, repeatable (default: 1, 2, 4, 8)",
        .published = shots,
        .about = "Fits a detector on N of each category's normal images.\n"
                 "--set-split augmentation=rotation multiplies them.",
        .models = "a detector that learns on other categories learns once for all N and seeds\n"
                  "                        of a category, into DIR/CATEGORY.imiad",
    },
    {
        .setting = "noisy",
        .option = "ratio",
        .argument = "R",
        .help = "defective images per normal one, repeatable (default: 0.05, 0.1, 0.15, 0.2)",
        .published = ratios,
        .about = "Fits a detector on each category's normal images and on defective ones that it "
                 "is told are normal.",
    },
};

const grid_setting *grid_setting_find(const char *name)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; ++i)
        if (strcmp(settings[i].setting, name) == 0)
            return &settings[i];
    return NULL;
}
