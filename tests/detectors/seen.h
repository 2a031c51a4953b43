/* What a detector makes of a split's test images. */
#ifndef TESTS_DETECTORS_SEEN_H
#define TESTS_DETECTORS_SEEN_H

#include <stdlib.h>
#include <string.h>

#include "check_suite.h"
#include "imiad/imiad.h"

enum { SEEN_IMAGES = 64, SEEN_SIDE = 64 };

typedef struct seen {
    float scores[SEEN_IMAGES];
    float maps[SEEN_IMAGES][SEEN_SIDE * SEEN_SIDE]; /* zeros where a detector has none */
    size_t count;
} seen;

static inline imiad_status seen_keep(void *user, const imiad_scored *scored)
{
    seen *s = user;
    ck_assert_uint_lt(s->count, SEEN_IMAGES);
    ck_assert_int_eq(scored->width, SEEN_SIDE);
    ck_assert_int_eq(scored->height, SEEN_SIDE);
    s->scores[s->count] = scored->score;
    memset(s->maps[s->count], 0, sizeof s->maps[0]);
    if (scored->map)
        memcpy(s->maps[s->count], scored->map, sizeof s->maps[0]);
    ++s->count;
    return IMIAD_OK;
}

static inline void evaluate(seen *s, imiad_detector *d, const imiad_split *split)
{
    s->count = 0;
    ck_ok(imiad_evaluate(NULL, d, split, NULL, seen_keep, s, NULL, NULL));
}

/* The same in new memory. */
static inline seen *seen_of(imiad_detector *d, const imiad_split *split)
{
    seen *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    evaluate(s, d, split);
    return s;
}

#endif
