#include "detectors/parts/token_distances.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

/* Of vectors of unit length, half the squared distance is one less the cosine. */
imiad_status token_distances(float *out, const patch_memory *m, const imiad_detector *self,
                             const float *rows, int64_t images, int64_t positions, bool cosine)
{
    int64_t count = images * positions, k = m->neighbours;
    size_t bytes = (size_t)(count * k) * (sizeof(float) + sizeof(int64_t));
    float *squares = malloc((size_t)(count * k) * sizeof *squares);
    int64_t *nearest = malloc((size_t)(count * k) * sizeof *nearest);
    imiad_status status = squares && nearest ? IMIAD_OK : fail_memory("distances", bytes);
    if (status == IMIAD_OK)
        status = patch_memory_search(squares, nearest, m, self, rows, images, positions);
    for (int64_t i = 0; status == IMIAD_OK && i < count; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < k; ++j)
            sum += (double)squares[i * k + j];
        out[i] = (float)(cosine ? sum / (double)k / 2 : sqrt(sum / (double)k));
    }
    free(squares);
    free(nearest);
    return status;
}
