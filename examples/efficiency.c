/* What a fitted detector costs, image by image. */
#include "one_by_one.h"

int main(int argc, char **argv)
{
    return one_by_one_main(argc, argv);
}
