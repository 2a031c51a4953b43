/* NumPy's archives of arrays. */
#ifndef WEIGHTS_NPZ_H
#define WEIGHTS_NPZ_H

#include <stdbool.h>

#include "weights/weights_file.h"
#include "weights/zip.h"

/* Whether every member of the archive is named NAME.npy. */
bool npz_is(const zip_archive *zip);
/* Adds them all, as NAME. */
imiad_status npz_read(weights *w, const zip_archive *zip);

#endif
