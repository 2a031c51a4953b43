"""Numbers that the tests compute too (tests/detectors/formula.h), so that neither side stores them."""
import numpy


def noise(count, seed):
    """Of 0 to count - 1: in [-1, 1), by multiplication and shifts of 32 bits."""
    h = (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(seed)) * numpy.uint64(2654435761)
    h &= numpy.uint64(0xFFFFFFFF)
    h ^= h >> numpy.uint64(15)
    h = (h * numpy.uint64(2246822519)) & numpy.uint64(0xFFFFFFFF)
    h ^= h >> numpy.uint64(13)
    return h.astype(numpy.float64) / 2.0**31 - 1
