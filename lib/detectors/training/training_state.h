/* Between the parts of training: what a run is made of, and its checkpoint. */
#ifndef DETECTORS_TRAINING_TRAINING_STATE_H
#define DETECTORS_TRAINING_TRAINING_STATE_H

#include "detectors/training/feature_cache.h"
#include "detectors/training/training.h"

/* The parameters of the best epoch so far, where images are held out. */
typedef struct best_epoch {
    params *stores[TRAINING_STORES]; /* NULL before the first epoch */
    double value;
    int64_t epoch;
} best_epoch;

struct training_run {
    training *training;
    train_set *images;
    const progress *progress;
    feature_cache *features; /* NULL without frozen features */
    size_t *list;            /* the training images in the split's order, then the held-out ones */
    int64_t count, trained;  /* entries of the list; those that train */
    size_t *order;     /* what the epoch reads: `drawn` places to train with, the held-out ones */
    uint8_t *mirrored; /* how each of them is mirrored; NULL: none is */
    int64_t *ranks;    /* with `mirrored`: the place of each defective image among them */
    int64_t defective;
    int64_t drawn, length;
    int64_t batch, steps, epochs; /* steps an epoch */
    int64_t rest;                 /* images of the last of them; 0: as many as of others */
    int turns;
    int64_t epoch, index; /* the next */
    double *losses;       /* of finished epochs: `turns` each */
    best_epoch best;
    char start[9]; /* CRC-32 of the parameters and optimiser states before the first step */
};

/* ---- training_epochs.c ---- */

/* Rows of a batch's images or masks, mirrored as this says; NULL: as they are. */
tensor *training_mirror(tensor *rows, const uint8_t *mirrored, int64_t count);

/* Epochs from run->epoch to the last. */
imiad_status training_run_epochs(training_run *run);

/* ---- training_stores.c ---- */

/* And the averages. */
imiad_status training_make_optimizers(training *t);
/* Exchanges what the stores hold and their averages. */
imiad_status training_swap_averages(training *t);
/* What goes on with another number of threads was made with both. */
void training_note_threads(training *t);
imiad_status training_add_losses(training *t, const double *losses, size_t count);
/* Copies of all stores and optimiser states, for undoing and for the best epoch. */
typedef struct training_copy {
    params *stores[TRAINING_STORES], *averages[TRAINING_STORES], *states[TRAINING_OPTIMIZERS];
    bool averaged;
} training_copy;
imiad_status training_copy_make(training_copy *out, const training *t);
imiad_status training_copy_restore(training *t, const training_copy *copy);
void training_copy_free(training_copy *copy);
/* CRC-32 over stores and optimiser states. */
imiad_status training_checksum(char out[9], const training *t);

/* ---- training_checkpoint.c ---- */

/* Continues from the option checkpoint's file, or writes the first. IMIAD_MISMATCH, with what
 * differs, where it was made by another detector, with other options, images or first parameters.
 */
imiad_status checkpoint_resume(training_run *run);
imiad_status checkpoint_write(const training_run *run);
/* After the last epoch the file is of no more use. */
imiad_status checkpoint_remove(const training_run *run);
/* The option loss_log's file, whole. */
imiad_status loss_log_write(const training_run *run);

#endif
