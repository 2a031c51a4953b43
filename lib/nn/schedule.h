/* Learning rates as functions of the step (or epoch) alone, counted from 0: nothing to save,
 * nothing to resume. Each equals the scheduler of torch.optim.lr_scheduler that it names. */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/* StepLR: base gamma^floor(step / size) */
double schedule_step(double base, int64_t step, int64_t size, double gamma);
/* MultiStepLR: one factor gamma for each milestone that was reached; milestones in any order */
double schedule_multistep(double base, int64_t step, const int64_t *milestones, size_t count,
                          double gamma);
/* ExponentialLR: base gamma^step */
double schedule_exponential(double base, int64_t step, double gamma);
/* CosineAnnealingLR: from base at step 0 down to `lowest` at step `total`, where it stays */
double schedule_cosine(double base, double lowest, int64_t step, int64_t total);
/* LinearLR, as a factor: from `start` at step 0 up to 1 at step `steps`, where it stays */
double schedule_warm_up(int64_t step, int64_t steps, double start);

#endif
