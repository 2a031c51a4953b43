/* The noisy setting of IM-IAD: defective images hide among the normal ones that train. */
#include "grid.h"

int main(int argc, char **argv)
{
    return grid_main(argc, argv, grid_setting_find("noisy"));
}
