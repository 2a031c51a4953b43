/* Every operation is rounded by itself and in the order of flow_block_forward: the same bytes. */
#include "nn/flows_host.h"

#include "base/clones.h"
#include "base/threads.h"

enum { GRAIN = 8 /* channels that a thread takes at once */ };

CLONES static void keep(float *restrict out, const float *restrict x, float scale, float offset,
                        int64_t size)
{
    for (int64_t i = 0; i < size; ++i)
        out[i] = x[i] * scale + offset;
}

CLONES static void move(float *restrict out, const float *restrict x, const float *restrict factor,
                        float scale, float offset, int64_t size)
{
    for (int64_t i = 0; i < size; ++i)
        out[i] = (x[i] * factor[i] + out[i] * 0.1f) * scale + offset;
}

static void finish_some(void *context, size_t begin, size_t end)
{
    const flow_planes *p = context;
    for (size_t plane = begin; plane < end; ++plane) {
        int64_t image = (int64_t)plane / (2 * p->half), c = (int64_t)plane % (2 * p->half);
        int64_t all = image * 2 * p->half, some = image * p->half;
        float *out = p->out + (all + c) * p->size;
        if (c < p->half) {
            keep(out, p->first + (some + c) * p->size, p->scale[c], p->offset[c], p->size);
            continue;
        }
        const float *x = p->x + (all + (p->order ? p->order[c] : c)) * p->size;
        move(out, x, p->factor + (some + c - p->half) * p->size, p->scale[c], p->offset[c],
             p->size);
    }
}

void flow_finish(const flow_planes *planes)
{
    flow_planes own = *planes;
    parallel_for((size_t)(own.images * 2 * own.half), GRAIN, finish_some, &own);
}
