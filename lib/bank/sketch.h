/* Sketches: SKETCH numbers for a row, whose Euclidean distances never exceed those of the rows by
 * more than rounding. What is far in the sketch is far in truth, and need not be looked at.
 *
 * With q_1..q_s orthonormal and P the projection onto their span, Pythagoras and the triangle
 * inequality of the rest give
 *     |x - y|^2 >= sum_i (q_i.x - q_i.y)^2 + (|x - Px| - |y - Py|)^2.
 * Any directions are correct; those of the largest variance are the best. */
#ifndef BANK_SKETCH_H
#define BANK_SKETCH_H

#include "bank/bank.h"

typedef struct sketcher {
    size_t columns;
    float *mean, *directions; /* one block: columns, (SKETCH - 1) x columns */
} sketcher;

imiad_status sketcher_create(sketcher *out, point_set points, const kernels *k);
void sketcher_free(sketcher *s);

uint64_t sketcher_bytes(size_t count, size_t columns); /* the most that making one takes */

/* out: count x SKETCH, of the rows from `begin` on. Returns the reach, the largest distance of a
 * row from the mean; infinity where memory ran out. */
float sketch_rows(float *out, const sketcher *s, point_set points, size_t begin, size_t count,
                  const kernels *k);

/* Sketches of a larger reach than this are not to be used: squares would overflow. */
#define SKETCH_REACH 1e15f

/* What rounding may do. Let u = 2^-24, R the reach, n = columns / 16 + 16. A dot product of
 * kernels.h errs by at most n u |a| |b|. The rounded directions are orthonormal to 30 u. So one
 * sketch errs by at most (u + 4 n u) R in its first numbers and (60 u + 5 n u) R in its last, two
 * of them by less than 32 n u R; squares below the smallest float are lost, which 1e-18 covers. The
 * distances of sketches and of rows, and the length of a direction, err by less than 2 n u + 100 u
 * of themselves. Hence: where the squared distance of two sketches is sketch_limit(s, m) or more,
 * the root of the squared_distance of the rows is m or more, in the arithmetic of kernels.h. */
typedef struct sketch_slack {
    float relative, absolute;
} sketch_slack;
sketch_slack sketch_slack_of(size_t columns, float reach);

static inline float sketch_limit(sketch_slack s, float m)
{
    float limit = m * s.relative + s.absolute;
    return limit * limit;
}

/* Puts a sketch into its lane of groups that lie SKETCH x LANES, as kernels.near reads them. */
static inline void sketch_place(float *groups, size_t index, const float *sketch)
{
    float *lane = groups + index / LANES * (SKETCH * LANES) + index % LANES;
    for (size_t c = 0; c < SKETCH; ++c)
        lane[c * LANES] = sketch[c];
}

#endif
