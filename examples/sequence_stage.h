/* What is kept of a sequence of tasks that is not finished: --save. */
#ifndef EXAMPLES_SEQUENCE_STAGE_H
#define EXAMPLES_SEQUENCE_STAGE_H

#include "cells.h"

/* A[i][j]: what task j measures after task i was learned; NAN above the diagonal. */
typedef struct sequence {
    experiment *experiment;
    uint64_t seed;
    size_t tasks;
    imiad_split **splits;
    double *matrix[METRICS];
    double *bytes;     /* of what is kept after each task */
    measurement *last; /* after the last task, by task */
    size_t learned;
    char key[OUTPUT_KEY]; /* of the sequence; "" where nothing is kept of it */
    char name[IMIAD_FILE_NAME_ROOM];
} sequence;

/* After a task that was learned and measured. */
imiad_status sequence_stage_keep(const sequence *s, const imiad_detector *detector);
/* Takes up what an earlier run left of the same sequence; *detector is replaced by it. */
imiad_status sequence_stage_recall(sequence *s, imiad_detector **detector);

#endif
