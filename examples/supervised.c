/* The fully supervised setting of IM-IAD: normal images and a few defective ones, labelled, train.
 */
#include "grid.h"

#include <stddef.h>

int main(int argc, char **argv)
{
    static const char *const published[] = {"1", "2", "4", "5", "8", "10", NULL};
    static const grid_setting setting = {
        .setting = "supervised",
        .option = "anomalies",
        .argument = "N",
        .help = "labelled defective images, repeatable (default: 1, 2, 4, 5, 8, 10)",
        .published = published,
        .about = "Fits a detector on each category's normal images and N labelled defective ones, "
                 "drawn from the test\nset and taken out of it. Methods that use normal images "
                 "alone ignore the others.",
    };
    return grid_main(argc, argv, &setting);
}
