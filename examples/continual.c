/* The continual setting of IM-IAD: one detector meets the categories as tasks, one after another,
 * and is tested on every task that it has met. */
#include "sequence.h"

int main(int argc, char **argv)
{
    return sequence_main(argc, argv);
}
