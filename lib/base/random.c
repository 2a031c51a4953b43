#include "base/random.h"

#include <math.h>
#include <sha2.h>
#include <string.h>

void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t x[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < 10; ++round) {
        uint64_t a = (uint64_t)0xD2511F53u * x[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * x[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ x[3] ^ k[1], (uint32_t)a};
        memcpy(x, next, sizeof x);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    memcpy(out, x, sizeof x);
}

random_stream random_open(uint64_t seed, const char *purpose)
{
    uint8_t bytes[8], digest[SHA256_DIGEST_LENGTH];
    for (int i = 0; i < 8; ++i)
        bytes[i] = (uint8_t)(seed >> (8 * i));
    SHA2_CTX hash;
    SHA256Init(&hash);
    SHA256Update(&hash, bytes, sizeof bytes);
    SHA256Update(&hash, (const uint8_t *)purpose, strlen(purpose));
    SHA256Final(digest, &hash);
    random_stream stream = {.used = 4};
    for (int i = 0; i < 8; ++i)
        stream.key[i / 4] |= (uint32_t)digest[i] << (8 * (i % 4));
    return stream;
}

uint32_t random_u32(random_stream *stream)
{
    if (stream->used == 4) {
        uint32_t counter[4] = {(uint32_t)stream->block, (uint32_t)(stream->block >> 32), 0, 0};
        philox4x32(stream->ready, counter, stream->key);
        stream->block++;
        stream->used = 0;
    }
    return stream->ready[stream->used++];
}

static uint64_t random_u64(random_stream *stream)
{
    uint64_t high = random_u32(stream);
    return high << 32 | random_u32(stream);
}

uint64_t random_below(random_stream *stream, uint64_t bound)
{
    if (bound < 2)
        return 0;
    uint64_t rejected = -bound % bound; /* 2^64 mod bound: drawing below it would be biased */
    uint64_t x;
    do
        x = random_u64(stream);
    while (x < rejected);
    return x % bound;
}

random_stream random_from(random_stream stream, uint64_t blocks)
{
    stream.block = blocks;
    stream.used = 4;
    return stream;
}

double random_real(random_stream *stream)
{
    return (double)(random_u64(stream) >> 11) * 0x1p-53;
}

double random_between(random_stream *stream, double low, double high)
{
    return low + (high - low) * random_real(stream);
}

double random_normal(random_stream *stream)
{
    /* Box-Muller; 1 - u is in (0, 1], where the logarithm is finite */
    double radius = sqrt(-2.0 * log(1.0 - random_real(stream)));
    return radius * cos(6.283185307179586 * random_real(stream));
}

void random_shuffle(random_stream *stream, size_t *values, size_t count)
{
    for (size_t i = count; i > 1; --i) {
        size_t j = (size_t)random_below(stream, i);
        size_t swapped = values[i - 1];
        values[i - 1] = values[j];
        values[j] = swapped;
    }
}
