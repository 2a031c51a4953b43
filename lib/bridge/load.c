#include "bridge/load.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/threads.h"
#include "bridge/tensor.h"
#include "torch_config.h"

static const char file_name[] = "libimiad-torch.so.0";

static bridge_function *const *_Atomic functions;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char absence[1024]; /* why the last attempt failed; under the lock */

static imiad_status host_fail(imiad_status status, const char *message)
{
    return fail(status, "%s", message);
}

static void host_log(imiad_log_level level, const char *message)
{
    log_message(level, "%s", message);
}

static const bridge_host host = {host_fail, host_log, imiad_threads, imiad_last_error,
                                 parallel_for};

/* Beside the library, or where the dynamic linker looks: the test programs hold the library
 * themselves and have the folder in their run path. */
static void *open_file(void)
{
    Dl_info here;
    char path[4096];
    const char *slash =
        dladdr(&host, &here) && here.dli_fname ? strrchr(here.dli_fname, '/') : NULL;
    int length = slash ? snprintf(path, sizeof path, "%.*s/%s", (int)(slash - here.dli_fname),
                                  here.dli_fname, file_name)
                       : -1;
    bool beside = length > 0 && length < (int)sizeof path && access(path, F_OK) == 0;
    return dlopen(beside ? path : file_name, RTLD_NOW | RTLD_LOCAL);
}

static bridge_function *const *enter(void)
{
    void *file = open_file();
    if (!file) {
        snprintf(absence, sizeof absence, "libtorch cannot be loaded: %s", dlerror());
        return NULL;
    }
    /* C has no conversion between the two kinds of pointers, POSIX has */
    bridge_enter *found;
    *(void **)&found = dlsym(file, "imiad_bridge");
    bridge_function *const *entered = found ? found(bridge_sign, &host) : NULL;
    if (!entered) {
        snprintf(absence, sizeof absence,
                 "%s belongs to another version of libimiad than the library beside it", file_name);
        dlclose(file);
    }
    return entered;
}

static bridge_function *const *load(void)
{
    bridge_function *const *found = atomic_load_explicit(&functions, memory_order_acquire);
    if (found)
        return found;
    pthread_mutex_lock(&lock);
    found = atomic_load_explicit(&functions, memory_order_acquire);
    if (!found) {
        absence[0] = '\0';
        found = enter();
        atomic_store_explicit(&functions, found, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bridge_function *bridge_function_of(int place)
{
    bridge_function *const *found = atomic_load_explicit(&functions, memory_order_acquire);
    return found ? found[place] : NULL;
}

bridge_function *bridge_load_function(int place)
{
    bridge_function *const *found = load();
    return found ? found[place] : NULL;
}

bool bridge_is_absent(void)
{
    pthread_mutex_lock(&lock);
    bool absent = absence[0] != '\0';
    pthread_mutex_unlock(&lock);
    return absent;
}

imiad_status bridge_absence(void)
{
    char message[sizeof absence];
    pthread_mutex_lock(&lock);
    memcpy(message, absence, sizeof message);
    pthread_mutex_unlock(&lock);
    return message[0] ? fail(IMIAD_UNSUPPORTED, "%s", message)
                      : fail(IMIAD_INTERNAL, "no scope was opened");
}

imiad_status imiad_torch_load(void)
{
    return load() ? IMIAD_OK : bridge_absence();
}

const char *bridge_torch_version(void)
{
    return TORCH_HEADERS;
}
