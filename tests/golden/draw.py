#!/usr/bin/python3
"""Prints the first images that a setting draws, from docs/settings.md's rule alone.

    tests/golden/draw.py SEED SETTING DATASET CATEGORY COUNT < PATHS

PATHS are the candidates, one a line. Philox4x32-10 is written out here once more, so that the
library is held against a second implementation.
"""
import hashlib
import struct
import sys

MASK = 0xFFFFFFFF


def philox(counter, key):
    x, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(b >> 32) ^ x[1] ^ k[0], b & MASK, (a >> 32) ^ x[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return x


def numbers(seed, purpose):
    """64-bit numbers of the stream: two 32-bit ones, the high half first."""
    digest = hashlib.sha256(struct.pack("<Q", seed) + purpose.encode()).digest()
    key = struct.unpack("<2I", digest[:8])
    block = 0
    while True:
        words = philox((block & MASK, block >> 32, 0, 0), key)
        yield words[0] << 32 | words[1]
        yield words[2] << 32 | words[3]
        block += 1


def below(stream, bound):
    if bound < 2:
        return 0
    rejected = 2**64 % bound
    return next(x for x in stream if x >= rejected) % bound


def main():
    seed, setting, dataset, category, count = sys.argv[1:]
    paths = sorted(line.rstrip(b"\n") for line in sys.stdin.buffer)
    stream = numbers(int(seed), f"split/{setting}/{dataset}/{category}")
    for i in range(len(paths), 1, -1):
        j = below(stream, i)
        paths[i - 1], paths[j] = paths[j], paths[i - 1]
    for path in paths[: int(count)]:
        print(path.decode())


if __name__ == "__main__":
    main()
