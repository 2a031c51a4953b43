/* Between weight files and tensors. */
#ifndef NN_WEIGHTS_TENSOR_H
#define NN_WEIGHTS_TENSOR_H

#include "bridge/tensor.h"
#include "weights/weights.h"

/* Adds a tensor; the host memory that the writer borrows belongs to the innermost scope, so commit
 * before it ends. A failure of tensors sticks to that scope as well. */
imiad_status weights_writer_add_tensor(weights_writer *writer, const char *name, tensor *t);

/* A weight as a kept tensor on a device. IMIAD_FORMAT where the file lacks it. */
imiad_status weights_load_tensor(tensor **out, const weights *file, const char *name, device d);

#endif
