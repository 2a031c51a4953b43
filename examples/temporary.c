#include "temporary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

imiad_status temporary_file(char out[TEMPORARY_PATH], const char *what)
{
    const char *folder = getenv("TMPDIR");
    char message[TEMPORARY_PATH + 128];
    int length = snprintf(out, TEMPORARY_PATH, "%s/imiad-%s-XXXXXX",
                          folder && *folder ? folder : "/tmp", what);
    int file = length < TEMPORARY_PATH ? mkstemp(out) : -1;
    if (file >= 0) {
        close(file);
        return IMIAD_OK;
    }
    snprintf(message, sizeof message, "cannot make the temporary file %s: %s", out,
             strerror(errno));
    return imiad_fail(IMIAD_IO, message);
}
