/* What SemiREST trains with: the patches of good, made and labelled images, each patch with its
 * label and the rows of the bank that are nearest to it. A residual is made when it is asked for.
 */
#ifndef DETECTORS_PARTS_RESIDUAL_POOL_H
#define DETECTORS_PARTS_RESIDUAL_POOL_H

#include "base/progress.h"
#include "base/random.h"
#include "bridge/tensor.h"
#include "detectors/parts/token_windows.h"
#include "imiad/bank.h"

typedef enum pool_kind { POOL_GOOD, POOL_MADE, POOL_LABELLED, POOL_KINDS } pool_kind;

typedef struct pool_item {
    pool_kind kind;
    size_t image;   /* of the train set, that it is or was made of */
    int64_t source; /* the good image whose rows it must not match, or IMIAD_NO_SOURCE */
} pool_item;

typedef struct residual_pool {
    int64_t positions, dimension;
    int32_t neighbours;
    imiad_bank *patches; /* items x positions rows, storage as asked for */
    pool_item *items;
    int8_t *labels;   /* items x positions: 1 anomalous, 0 good, -1 neither */
    int64_t *nearest; /* items x positions x neighbours, once they are matched */
    int64_t count, room;
} residual_pool;

typedef struct pool_shape {
    int64_t items, positions, dimension; /* at most so many items */
    int32_t neighbours;
    imiad_storage storage;
    uint64_t bytes; /* that patches may take; 0: no bound */
} pool_shape;

/* IMIAD_OVER_BUDGET where the patches of all items take more than `bytes`; both are named. */
imiad_status residual_pool_create(residual_pool *out, const pool_shape *shape);
void residual_pool_free(residual_pool *p);

/* rows: positions x dimension; labels: of each position. */
imiad_status residual_pool_add(residual_pool *p, const pool_item *item, const float *rows,
                               const int8_t *labels);
/* Finds every patch's nearest rows from other images. Where a bank has too few of those, which it
 * has with one training image, an image's own rows count too: *own says how many items that
 * befell. */
imiad_status residual_pool_match(residual_pool *p, int64_t *own, const imiad_bank *bank, device d,
                                 const progress *report);
int64_t residual_pool_count(const residual_pool *p, pool_kind kind);

/* How many items of each kind a step of so many has: 3 : 3 : 2, without labelled ones 4 : 4,
 * without made ones 6 : 0 : 2, rounded, at least one of each kind that there is where there is
 * room. */
void residual_pool_shares(int64_t out[POOL_KINDS], const residual_pool *p, int64_t batch);
/* steps x batch items, kind by kind in each step: of every kind an endless row of all its items,
 * shuffled anew whenever it ends. */
imiad_status residual_pool_draw(int64_t *out, const residual_pool *p,
                                const int64_t shares[POOL_KINDS], int64_t steps,
                                random_stream *stream);

/* Some windows of some items, with the residuals of their tokens. */
typedef struct pool_windows {
    int64_t count;  /* of windows, copies among them */
    tensor *tokens; /* count x places x dimension, on the CPU */
    int8_t *labels; /* count x places, new memory; NULL after a failure */
} pool_windows;

typedef struct window_choice {
    const token_windows *windows; /* of each item */
    const int64_t *items;         /* may be there twice: each for itself */
    int64_t count;
    double share;   /* of all windows of all items: drawn without replacement, at least one */
    int64_t copies; /* of each window, side by side, each drawn for itself */
    const double *chances; /* of each neighbour; their sum may be any */
} window_choice;

/* Each token's residual is the squared difference to one of its nearest rows, drawn for every token
 * of an item and copy, so that windows that overlap agree. Needs a scope; failures stick. */
pool_windows residual_pool_windows(const residual_pool *p, const imiad_bank *bank,
                                   const window_choice *choice, random_stream *stream);

#endif
