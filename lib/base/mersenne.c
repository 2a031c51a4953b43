#include "base/mersenne.h"

enum { MIDDLE = 397 };

mersenne mersenne_open(uint32_t seed)
{
    mersenne m = {.next = MERSENNE_STATE};
    for (uint32_t i = 0; i < MERSENNE_STATE; ++i) {
        m.state[i] = seed;
        seed = 1812433253U * (seed ^ seed >> 30) + i + 1;
    }
    return m;
}

static void twist(mersenne *m)
{
    for (int i = 0; i < MERSENNE_STATE; ++i) {
        uint32_t y =
            (m->state[i] & 0x80000000U) | (m->state[(i + 1) % MERSENNE_STATE] & 0x7fffffffU);
        uint32_t odd = y & 1 ? 0x9908b0dfU : 0;
        m->state[i] = m->state[(i + MIDDLE) % MERSENNE_STATE] ^ y >> 1 ^ odd;
    }
    m->next = 0;
}

uint32_t mersenne_u32(mersenne *m)
{
    if (m->next == MERSENNE_STATE)
        twist(m);
    uint32_t y = m->state[m->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680U;
    y ^= y << 15 & 0xefc60000U;
    return y ^ y >> 18;
}

/* In [0, most]: what lies above under the smallest mask of ones is drawn again. */
static uint32_t draw(mersenne *m, uint32_t most)
{
    uint32_t mask = most, value;
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        value = mersenne_u32(m) & mask;
    while (value > most);
    return value;
}

void mersenne_permutation(mersenne *m, int64_t *out, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        out[i] = (int64_t)i;
    for (size_t i = count; i-- > 1;) {
        size_t j = draw(m, (uint32_t)i);
        int64_t other = out[j];
        out[j] = out[i];
        out[i] = other;
    }
}
