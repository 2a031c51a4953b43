/* Many numbers at once: the same floats as one by one, several times faster. For normal numbers,
 * logarithm and cosine are polynomials that compilers vectorise, a little less exact than the C
 * library's; where that little could change a float, the number is drawn by random_normal. */
#include "base/random.h"

#include <math.h>
#include <string.h>

#include "base/clones.h"

enum { CHUNK = 128 };

typedef uint32_t blocks[4][CHUNK]; /* the first number of each, the second ... */

/* philox4x32 of many counters, a round at a time. */
CLONES static void make_blocks(blocks x, const uint32_t key[2], uint64_t first)
{
    for (size_t i = 0; i < CHUNK; ++i) {
        uint64_t counter = first + i;
        x[0][i] = (uint32_t)counter;
        x[1][i] = (uint32_t)(counter >> 32);
        x[2][i] = x[3][i] = 0;
    }
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
        for (size_t i = 0; i < CHUNK; ++i) {
            uint64_t a = (uint64_t)0xD2511F53u * x[0][i];
            uint64_t b = (uint64_t)0xCD9E8D57u * x[2][i];
            uint32_t second = x[1][i], fourth = x[3][i];
            x[0][i] = (uint32_t)(b >> 32) ^ second ^ k0;
            x[1][i] = (uint32_t)b;
            x[2][i] = (uint32_t)(a >> 32) ^ fourth ^ k1;
            x[3][i] = (uint32_t)a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static inline double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* random_real of two words: exactly that number. */
static inline double real_of(uint32_t high, uint32_t low)
{
    double upper = (double)(int32_t)(high ^ 0x80000000u) + 0x1p31;
    return (upper * 0x1p21 + (double)(int32_t)(low >> 11)) * 0x1p-53;
}

#define SUM(z, first, rest) ((first) + (z) * (rest)) /* of a series, the next term inside */

/* Of 0 < x <= 1, to 2^-48 of itself: x is 2^e m with m around 1, and log m = 2 artanh s. */
static inline double logarithm(double x)
{
    uint64_t lift = bits_of(x) - UINT64_C(0x3FE6A09E667F3BCD); /* of the square root of 1/2 */
    uint64_t exponent = ((lift >> 52) + 2048) & 4095;          /* e + 2048, never below 0 */
    double e = from_bits(exponent | UINT64_C(0x4330000000000000)) - (0x1p52 + 2048);
    double m = from_bits(bits_of(x) - (lift & UINT64_C(0xFFF0000000000000)));
    double s = (m - 1) / (m + 1), z = s * s, series = 1.0 / 19;
    series = SUM(z, 1.0 / 17, series);
    series = SUM(z, 1.0 / 15, series);
    series = SUM(z, 1.0 / 13, series);
    series = SUM(z, 1.0 / 11, series);
    series = SUM(z, 1.0 / 9, series);
    series = SUM(z, 1.0 / 7, series);
    series = SUM(z, 1.0 / 5, series);
    series = SUM(z, 1.0 / 3, series);
    return e * 0.6931471805599453 + 2 * (s + s * (z * series));
}

/* cos(2 pi u) of 0 <= u < 1, to 2^-48: u is q quarters of a turn and f of one, -1/2 <= f <= 1/2. */
static inline double cosine_of_turn(double u)
{
    const double whole = 0x1.8p52; /* a sum with it is rounded to a whole number */
    double shifted = 4 * u + whole;
    double a = (4 * u - (shifted - whole)) * 1.5707963267948966, z = a * a;
    uint64_t q = bits_of(shifted);
    double sine = -1.0 / 1307674368000, cosine = 1.0 / 20922789888000;
    sine = SUM(z, 1.0 / 6227020800, sine);
    sine = SUM(z, -1.0 / 39916800, sine);
    sine = SUM(z, 1.0 / 362880, sine);
    sine = SUM(z, -1.0 / 5040, sine);
    sine = SUM(z, 1.0 / 120, sine);
    sine = SUM(z, -1.0 / 6, sine);
    cosine = SUM(z, -1.0 / 87178291200, cosine);
    cosine = SUM(z, 1.0 / 479001600, cosine);
    cosine = SUM(z, -1.0 / 3628800, cosine);
    cosine = SUM(z, 1.0 / 40320, cosine);
    cosine = SUM(z, -1.0 / 720, cosine);
    cosine = SUM(z, 1.0 / 24, cosine);
    cosine = SUM(z, -1.0 / 2, cosine);
    sine = a * SUM(z, 1, sine);
    cosine = SUM(z, 1, cosine);
    uint64_t odd = -(q & 1), size = (bits_of(sine) & odd) | (bits_of(cosine) & ~odd);
    return from_bits(size ^ (((q + 1) & 2) << 62));
}

/* What Box-Muller makes of each block: the square of the radius, and the cosine. */
CLONES static void make_pairs(double squares[CHUNK], double cosines[CHUNK], blocks x)
{
    for (size_t i = 0; i < CHUNK; ++i) {
        squares[i] = -2 * logarithm(1 - real_of(x[0][i], x[1][i]));
        cosines[i] = cosine_of_turn(real_of(x[2][i], x[3][i]));
    }
}

void random_normals(float *out, size_t count, random_stream stream, double mean, double deviation)
{
    blocks x;
    double squares[CHUNK], cosines[CHUNK];
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t length = count - begin < CHUNK ? count - begin : CHUNK;
        make_blocks(x, stream.key, stream.block + begin);
        make_pairs(squares, cosines, x);
        for (size_t i = 0; i < length; ++i) {
            double radius = deviation * sqrt(squares[i]), number = mean + radius * cosines[i];
            double doubt = fabs(radius) * 0x1p-44 + fabs(mean) * 0x1p-50;
            out[begin + i] = (float)number;
            if ((float)(number - doubt) != (float)(number + doubt)) {
                random_stream exact = random_from(stream, stream.block + begin + i);
                out[begin + i] = (float)(mean + deviation * random_normal(&exact));
            }
        }
    }
}

CLONES static void make_uniforms(float out[2 * CHUNK], blocks x, double low, double width)
{
    for (size_t i = 0; i < CHUNK; ++i) {
        out[2 * i] = (float)(low + width * real_of(x[0][i], x[1][i]));
        out[2 * i + 1] = (float)(low + width * real_of(x[2][i], x[3][i]));
    }
}

void random_uniforms(float *out, size_t count, random_stream stream, double low, double high)
{
    blocks x;
    float numbers[2 * CHUNK];
    for (size_t begin = 0; begin < count; begin += 2 * CHUNK) {
        size_t length = count - begin < 2 * CHUNK ? count - begin : 2 * CHUNK;
        make_blocks(x, stream.key, stream.block + begin / 2);
        make_uniforms(numbers, x, low, high - low);
        memcpy(out + begin, numbers, length * sizeof *out);
    }
}

CLONES static void choose(float *out, const uint32_t *words, size_t count, double p, float other)
{
    for (size_t i = 0; i < count; ++i) { /* of signed words, which processors convert */
        double real = ((double)(int32_t)(words[i] ^ 0x80000000u) + 0x1p31) * 0x1p-32;
        out[i] = real < p ? 0 : other;
    }
}

void random_choices(float *out, size_t count, random_stream *stream, double p, float other)
{
    blocks x;
    uint32_t words[4 * CHUNK];
    size_t begun = 0;
    for (; begun < count && stream->used < 4; ++begun) { /* of a block that is begun */
        words[0] = random_u32(stream);
        choose(out + begun, words, 1, p, other);
    }
    for (size_t begin = begun; begin < count; begin += 4 * CHUNK) {
        size_t length = count - begin < 4 * CHUNK ? count - begin : 4 * CHUNK;
        make_blocks(x, stream->key, stream->block);
        for (size_t i = 0; i < length; ++i)
            words[i] = x[i % 4][i / 4];
        choose(out + begin, words, length, p, other);
        stream->block += length / 4;
        for (size_t i = 0; i < length % 4; ++i)
            random_u32(stream);
    }
}
