/* A fuzz target is a file that defines these two: what to try an input on, and inputs to begin
 * with. Built with -Dfuzzing=true (and CC=clang CXX=clang++) it is a libFuzzer program; otherwise
 * standalone.c drives it, as an ordinary test. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_seed {
    const void *bytes; /* NULL ends the table */
    size_t size;
} fuzz_seed;

extern const fuzz_seed fuzz_seeds[];

/* Returns 0; a defect shows as a crash, an abort or a sanitizer's report. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
