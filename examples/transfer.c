/* The transfer setting of open-iad: a detector learns one category and then, from a few images, the
 * next. */
#include "pair.h"

int main(int argc, char **argv)
{
    return pair_main(argc, argv);
}
