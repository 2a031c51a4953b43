/* The end of a flow's block over maps in the host's memory, in one pass; flows.c does the same by
 * libtorch's operations, in a pass for each, where gradients or another device ask for it. */
#ifndef NN_FLOWS_HOST_H
#define NN_FLOWS_HOST_H

#include <stdint.h>

/* Maps are images x channels x size, without gaps; of an even number of channels. */
typedef struct flow_planes {
    int64_t images, half, size;
    const float *first;          /* what the subnet saw, half the channels */
    const float *x;              /* all of them */
    const int64_t *order;        /* of the channels of x; NULL: as they lie */
    const float *factor;         /* exp(j), half */
    const float *scale, *offset; /* g and o, of each channel */
    float *out;                  /* a / 0.1; comes out as g y + o */
} flow_planes;

void flow_finish(const flow_planes *planes);

#endif
