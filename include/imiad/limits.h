/* Files and names from elsewhere: what they may cost, and where they may lead. */
#ifndef IMIAD_LIMITS_H
#define IMIAD_LIMITS_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How much a file from elsewhere may cost; 0 stands for the default. */
typedef struct imiad_limits {
    uint32_t struct_size;
    int64_t image_pixels;  /* width x height of an image that is decoded; default 2^27, at most
                            * 2^28 */
    uint64_t file_bytes;   /* of a file that is read whole; default 2^36 */
    uint64_t header_bytes; /* of the header of a weight file, which costs many times its size in
                            * memory; default 2^22, at most 100 million */
} imiad_limits;
#define IMIAD_LIMITS_INIT                                                                          \
    {                                                                                              \
        sizeof(imiad_limits), 0, 0, 0                                                              \
    }

/* Sets them for every file that is opened from now on; NULL sets the defaults. Process-wide; any
 * thread may call it. What is above a limit is an error that names the file and the limit.
 * Errors: IMIAD_OUT_OF_RANGE for a limit above the highest, which changes nothing. */
IMIAD_API imiad_status imiad_set_limits(const imiad_limits *limits);

/* A text of unknown origin (a category, a kind, an image's title) as the name of one file or
 * folder: itself where it can be one; otherwise slashes, control characters and a dot in front
 * become "_", what is too long is cut, and a digest of the text keeps different ones apart. The
 * name is never empty, "." or "..", has no slash, and leaves 50 bytes for a suffix. For joining
 * paths with what data sets, plug-ins and files say. Errors: IMIAD_INVALID_ARGUMENT for NULL. Any
 * thread may call it. */
#define IMIAD_FILE_NAME_ROOM 200
IMIAD_API imiad_status imiad_file_name(char out[IMIAD_FILE_NAME_ROOM], const char *text);

#ifdef __cplusplus
}
#endif
#endif
