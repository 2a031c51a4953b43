/* The fully supervised setting of IM-IAD: normal images and a few defective ones, labelled, train.
 */
#include "grid.h"

int main(int argc, char **argv)
{
    return grid_main(argc, argv, grid_setting_find("supervised"));
}
