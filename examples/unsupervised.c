/* The unsupervised setting of IM-IAD: every category on its own, all normal training images train,
 * the whole test set tests. */
#include "grid.h"

int main(int argc, char **argv)
{
    return grid_main(argc, argv, grid_setting_find("unsupervised"));
}
