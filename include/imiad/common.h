/* What every part of libimiad shares: status codes, the last error, logging, progress, options.
 *
 * Conventions of the whole interface
 *   - A fallible function returns imiad_status and writes its result through its first parameter;
 *     on failure that result is untouched and imiad_last_error() says what went wrong.
 *   - _open, _create, _load, _read and _draw give ownership; the matching _free takes it and
 * accepts NULL. A returned const pointer is borrowed from the handle that gave it.
 *   - A structure that crosses the boundary begins with struct_size. Set it with the _INIT macro;
 *     the library reads and writes no further than that many bytes.
 *   - Text is UTF-8 and ends in a NUL. Sizes are in bytes, times in seconds, unless a name says so.
 *   - Threads: a handle is used by one thread at a time unless its header says otherwise. */
#ifndef IMIAD_COMMON_H
#define IMIAD_COMMON_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define IMIAD_API
#else
#define IMIAD_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define IMIAD_VERSION_MAJOR 0
#define IMIAD_VERSION_MINOR 1
#define IMIAD_VERSION_PATCH 0

/* The version of the library that runs, such as "0.1.0". Static text. */
IMIAD_API const char *imiad_version(void);

/* Numbers are part of the ABI and never change; gaps leave room for growth. */
typedef enum imiad_status {
    IMIAD_OK = 0,
    IMIAD_INVALID_ARGUMENT = -10, /* a NULL or contradictory argument */
    IMIAD_UNKNOWN_OPTION = -11,   /* a name that no schema or registry knows */
    IMIAD_OUT_OF_RANGE = -12,     /* a value outside the range its schema states */
    IMIAD_NOT_FOUND = -20,        /* a file, folder, category or sample that does not exist */
    IMIAD_IO = -21,               /* the operating system refused to read or write */
    IMIAD_FORMAT = -22,           /* a file is not what it should be: damaged, truncated, hostile */
    IMIAD_MISMATCH = -23,         /* two things that do not fit: shapes, sizes, architectures */
    IMIAD_NO_MEMORY = -30,        /* an allocation failed, on the host or on the device */
    IMIAD_OVER_BUDGET = -31,      /* refused beforehand: it needs more than the stated budget */
    IMIAD_WRONG_STATE = -40,      /* right call, wrong moment: scoring before fitting */
    IMIAD_UNDEFINED = -50,        /* the quantity does not exist for this input: one class only */
    IMIAD_NOT_FINITE = -51,       /* NaN or infinity where a number is needed */
    IMIAD_UNSUPPORTED = -60,      /* this build or device cannot do it */
    IMIAD_CANCELLED = -70,        /* a progress callback asked to stop; the handle stays usable */
    IMIAD_INTERNAL = -90          /* a defect of the library: please report it */
} imiad_status;

/* For code of the caller's that the library calls back: records `message` as the calling thread's
 * last error and returns `status`, so that a failure is one line. */
IMIAD_API imiad_status imiad_fail(imiad_status status, const char *message);

/* The version of libtorch that it computes with, such as "1.13.1". Static text. */
IMIAD_API const char *imiad_torch_version(void);

/* Loads libtorch now. Otherwise that happens with the first call that needs a network or a tensor,
 * and takes about a second there: call it before you measure times, or to learn early whether
 * libtorch is there. What needs no tensor (datasets, metrics, results, images) works without.
 * IMIAD_UNSUPPORTED where libtorch, or the file libimiad-torch.so.0 beside the library, cannot be
 * loaded. May be called again and from several threads. */
IMIAD_API imiad_status imiad_torch_load(void);

/* The name of a status, such as "IMIAD_FORMAT". Static text; never NULL. */
IMIAD_API const char *imiad_status_name(imiad_status status);

/* The message of the calling thread's last failure: what was tried, on which file or option, what
 * was wrong. Borrowed until the thread's next failing call; "" before the first. Never NULL. */
IMIAD_API const char *imiad_last_error(void);

typedef enum imiad_log_level {
    IMIAD_LOG_DEBUG = 10,
    IMIAD_LOG_INFO = 20,
    IMIAD_LOG_WARNING = 30
} imiad_log_level;

typedef void (*imiad_log_function)(void *user, imiad_log_level level, const char *message);

/* Where the library's messages go; NULL (the default) drops them. Process-wide: set it before other
 * threads use the library. The function may be called from any thread. */
IMIAD_API void imiad_set_log(imiad_log_function function, void *user);

typedef struct imiad_progress {
    uint32_t struct_size;
    const char *stage;   /* what is being done: "features", "coreset"; valid during the call */
    int64_t done, total; /* units of the stage; total is 0 where it is not known */
} imiad_progress;

/* Called now and then by long calls, on the thread that made the call. A non-zero return stops the
 * work: the call returns IMIAD_CANCELLED and leaves its handle usable. */
typedef int (*imiad_progress_function)(void *user, const imiad_progress *progress);

/* A named value given by the caller: {"coreset_ratio", "0.1"}. */
typedef struct imiad_option {
    const char *name;
    const char *value;
} imiad_option;

typedef enum imiad_option_type {
    IMIAD_OPTION_INT = 1,    /* range "low..high", either end may be missing */
    IMIAD_OPTION_REAL = 2,   /* the same; "low<..high" leaves the low end out */
    IMIAD_OPTION_BOOL = 3,   /* true or false */
    IMIAD_OPTION_CHOICE = 4, /* range "one|two|three" */
    IMIAD_OPTION_TEXT = 5    /* range "" */
} imiad_option_type;

/* One line of the schema that a detector or dataset carries. Text is static. */
typedef struct imiad_option_info {
    uint32_t struct_size;
    imiad_option_type type;
    const char *name;
    const char *default_value;
    const char *range;
    const char *help;
} imiad_option_info;
#define IMIAD_OPTION_INFO_INIT                                                                     \
    {                                                                                              \
        sizeof(imiad_option_info), (imiad_option_type)0, 0, 0, 0, 0                                \
    }

/* The number of threads that the library and libtorch compute with; 0 asks for one for each core
 * that the process may run on. Process-wide, because libtorch's own setting is: call it once,
 * before the first computation. What is trained depends on the number in its last digits, and after
 * many steps in its first ones: the same number gives the same bytes, and a trained detector's file
 * says which it was. With more than one thread the first computation starts two that sleep for
 * good: they keep libtorch's idle threads from spinning, which would slow other programs down. */
IMIAD_API imiad_status imiad_set_threads(int threads);
IMIAD_API int imiad_threads(void);

#ifdef __cplusplus
}
#endif
#endif
