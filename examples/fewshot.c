/* The few-shot setting of IM-IAD: a handful of normal images trains. */
#include "grid.h"

int main(int argc, char **argv)
{
    return grid_main(argc, argv, grid_setting_find("fewshot"));
}
