/* The start of what computes with tensors. */
#ifndef EXAMPLES_TORCH_START_H
#define EXAMPLES_TORCH_START_H

#include <imiad/imiad.h>

/* Loads libtorch ahead of the work. Where a limit of memory ends that, libtorch aborts the process:
 * here it says why, and exits with 2, as every failure does. */
imiad_status torch_start(void);

#endif
