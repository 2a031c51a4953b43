/* NumPy's legacy random numbers, for tables that published codes drew with them: MT19937
 * (Matsumoto, Nishimura: ACM TOMACS 1998), seeded as numpy.random.seed does with one integer. */
#ifndef BASE_MERSENNE_H
#define BASE_MERSENNE_H

#include <stddef.h>
#include <stdint.h>

enum { MERSENNE_STATE = 624 };

typedef struct mersenne {
    uint32_t state[MERSENNE_STATE];
    int next;
} mersenne;

mersenne mersenne_open(uint32_t seed);
uint32_t mersenne_u32(mersenne *m);
/* numpy.random.permutation(count): 0..count-1 in the order that the generator gives next. */
void mersenne_permutation(mersenne *m, int64_t *out, size_t count);

#endif
