/* The few-shot setting of IM-IAD: a handful of normal images trains. */
#include "grid.h"

#include <stddef.h>

int main(int argc, char **argv)
{
    static const char *const published[] = {"1", "2", "4", "8", NULL};
    static const grid_setting setting = {
        .setting = "fewshot",
        .option = "shots",
        .argument = "N",
        .help = "training images, repeatable (default: 1, 2, 4, 8)",
        .published = published,
        .about = "Fits a detector on N of each category's normal images.\n"
                 "--set-split augmentation=rotation multiplies them.",
        .models = "a detector that learns on other categories learns once for all N and seeds\n"
                  "                        of a category, into DIR/CATEGORY.imiad",
    };
    return grid_main(argc, argv, &setting);
}
