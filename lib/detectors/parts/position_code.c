#include "detectors/parts/position_code.h"

#include <math.h>
#include <stdlib.h>

tensor *position_code(int64_t height, int64_t width, int64_t size, device d)
{
    const int64_t shape[] = {height * width, size}, half = size / 2;
    float *values = malloc((size_t)(shape[0] * size) * sizeof *values);
    if (!values)
        return t_fail(IMIAD_NO_MEMORY, "out of memory for the codes of %lld positions",
                      (long long)shape[0]);
    for (int64_t place = 0; place < shape[0]; ++place)
        for (int64_t k = 0; k < size; ++k) {
            int64_t along = k < half ? place % width : place / width, i = k % half / 2;
            double angle = (double)along * pow(10000, -2.0 * (double)i / (double)half);
            values[place * size + k] = (float)(k % 2 == 0 ? sin(angle) : cos(angle));
        }
    tensor *code = t_to_device(t_from(values, 2, shape, F32, CPU), d);
    free(values);
    return code;
}

void position_code_apart(float *out, int64_t height, int64_t width, int64_t size)
{
    int64_t half = size / 2, quarter = size / 4;
    for (int64_t place = 0; place < height * width; ++place)
        for (int64_t k = 0; k < size; ++k) {
            int64_t along = k < half ? place % width : place / width, i = k % half % quarter;
            double angle = (double)along * pow(10000, -(double)i / (double)quarter);
            *out++ = (float)(k % half < quarter ? sin(angle) : cos(angle));
        }
}
