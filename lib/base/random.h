/* Random numbers that depend on nothing but a seed, a purpose and a position: Philox4x32-10
 * (Salmon, Moraes, Dror, Shaw: SC 2011), a counter-based generator. The same stream gives the same
 * numbers on every platform and with any number of threads. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct random_stream {
    uint32_t key[2];
    uint64_t block; /* of four numbers: the next one to make */
    uint32_t ready[4];
    int used; /* of the ready ones */
} random_stream;

/* The stream of a seed and a purpose, such as "split/few-shot/mvtec_ad/bottle". Streams of
 * different purposes are independent. */
random_stream random_open(uint64_t seed, const char *purpose);

/* The same stream `blocks` blocks after its beginning: where a part of a long draw begins. */
random_stream random_from(random_stream stream, uint64_t blocks);
enum { NORMALS_A_BLOCK = 1, REALS_A_BLOCK = 2 }; /* numbers that one block makes */

uint32_t random_u32(random_stream *stream);
uint64_t random_below(random_stream *stream, uint64_t bound); /* unbiased, in [0, bound) */
double random_real(random_stream *stream);                    /* in [0, 1), 53 bits */
double random_between(random_stream *stream, double low, double high);
double random_normal(random_stream *stream); /* mean 0, deviation 1 */

/* Many at once, from a stream of which no block is begun: what `count` calls of random_normal give,
 * times the deviation and moved by the mean, or of random_between, each rounded to a float. */
void random_normals(float *out, size_t count, random_stream stream, double mean, double deviation);
void random_uniforms(float *out, size_t count, random_stream stream, double low, double high);
/* The next `count` words of the stream: 0 for each that is below p of all words, else `other`. */
void random_choices(float *out, size_t count, random_stream *stream, double p, float other);

/* Fisher-Yates; the first n entries of a shuffled 0..count-1 are a draw of n without replacement.
 */
void random_shuffle(random_stream *stream, size_t *values, size_t count);

/* The generator itself: ten rounds on a counter, exposed for its published test vectors. */
void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

#ifdef __cplusplus
}
#endif
#endif
