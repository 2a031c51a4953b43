/* The unsupervised setting of IM-IAD: every category on its own, all normal training images train,
 * the whole test set tests. */
#include "grid.h"

#include <stddef.h>

int main(int argc, char **argv)
{
    static const grid_setting setting = {
        .setting = "unsupervised",
        .about = "Fits a detector on each category's normal images and measures it on the "
                 "category's test set.",
        .together = "one detector learns all the categories named, and each is measured",
    };
    return grid_main(argc, argv, &setting);
}
