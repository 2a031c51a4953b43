/* Where tensors live, and what people call it. */
#ifndef BRIDGE_DEVICE_H
#define BRIDGE_DEVICE_H

#include <stdbool.h>

#include "imiad/common.h"

typedef struct device {
    bool cuda;
    int index;
} device;
#define CPU ((device){false, 0})

#ifdef __cplusplus
extern "C" {
#endif

/* "cpu", "cuda", "cuda:1". IMIAD_UNSUPPORTED where this libtorch or machine has no such device. */
imiad_status device_parse(device *out, const char *text);
const char *device_name(device d, char out[16]);

#ifdef __cplusplus
}
#endif
#endif
