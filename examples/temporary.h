/* Files for as long as a program needs them. */
#ifndef EXAMPLES_TEMPORARY_H
#define EXAMPLES_TEMPORARY_H

#include <imiad/imiad.h>

/* Makes an empty file imiad-WHAT-..., below $TMPDIR or /tmp, and names it. The caller removes it.
 */
enum { TEMPORARY_PATH = 4096 };
imiad_status temporary_file(char out[TEMPORARY_PATH], const char *what);

#endif
