/* What a program does before it computes, alone: exits with 2 and says why where libtorch does not
 * start. */
#include <stdio.h>

#include "torch_start.h"

int main(void)
{
    if (torch_start() == IMIAD_OK)
        return 0;
    fprintf(stderr, "%s\n", imiad_last_error());
    return 2;
}
