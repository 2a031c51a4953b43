/* How the library comes to libtorch. The operations of tensor.h live in a file of their own,
 * libimiad-torch.so.0, which alone is linked with libtorch and is loaded when the first scope
 * opens: libtorch takes a second and brings hundreds of libraries into the process, which nobody
 * should pay who measures maps or reads a report. make_calls.py writes the way to each operation.
 */
#ifndef BRIDGE_LOAD_H
#define BRIDGE_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void bridge_function(void);

/* What that file needs of the library. */
typedef struct bridge_host {
    imiad_status (*fail)(imiad_status status, const char *message);
    void (*log)(imiad_log_level level, const char *message);
    int (*threads)(void);
    const char *(*last_error)(void);
    void (*parallel_for)(size_t count, size_t grain,
                         void (*body)(void *context, size_t begin, size_t end), void *context);
} bridge_host;

/* What that file exports: its operations, in the order of tensor.h. NULL where it was made of
 * another tensor.h than `sign` says. */
typedef bridge_function *const *bridge_enter(const char *sign, const bridge_host *host);

/* The operation of that place in tensor.h; NULL while libtorch is not loaded. */
bridge_function *bridge_function_of(int place);
/* The same, and loads it. */
bridge_function *bridge_load_function(int place);

/* Whether loading was tried and failed; the failure once more, its message as the last error. */
bool bridge_is_absent(void);
imiad_status bridge_absence(void);

const char *bridge_torch_version(void); /* of the headers: "1.13.0" */

extern const char bridge_sign[]; /* of the tensor.h that this side was made of */

#ifdef __cplusplus
}
#endif
#endif
