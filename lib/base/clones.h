/* Functions that exist for several kinds of processor, of which the machine's own is taken when the
 * library is loaded; none contracts, so that all give the same numbers. Where there are no such
 * kinds they are compiled once. */
#ifndef BASE_CLONES_H
#define BASE_CLONES_H

#if defined(__x86_64__) && defined(__GNUC__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

#endif
