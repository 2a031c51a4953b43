#include "nn/schedule.h"

#include <math.h>

double schedule_step(double base, int64_t step, int64_t size, double gamma)
{
    return base * pow(gamma, size > 0 ? (double)(step / size) : 0);
}

double schedule_multistep(double base, int64_t step, const int64_t *milestones, size_t count,
                          double gamma)
{
    int reached = 0;
    for (size_t i = 0; i < count; ++i)
        reached += step >= milestones[i];
    return base * pow(gamma, reached);
}

double schedule_exponential(double base, int64_t step, double gamma)
{
    return base * pow(gamma, (double)step);
}

double schedule_cosine(double base, double lowest, int64_t step, int64_t total)
{
    if (step >= total)
        return lowest;
    double angle = 3.141592653589793 * (double)step / (double)total;
    return lowest + (base - lowest) * (1 + cos(angle)) / 2;
}

double schedule_warm_up(int64_t step, int64_t steps, double start)
{
    if (step >= steps)
        return 1;
    return start + (1 - start) * (double)step / (double)steps;
}
