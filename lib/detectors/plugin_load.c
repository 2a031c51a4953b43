/* Plug-ins as shared objects. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "imiad/plugin.h"

imiad_status imiad_plugin_load(const char *path)
{
    imiad_plugin_function start;
    if (!path)
        return fail(IMIAD_INVALID_ARGUMENT, "plug-in: path is NULL");
    if (!file_exists(path))
        return fail(IMIAD_NOT_FOUND, "plug-in: there is no file %s", path);
    char *whole = strchr(path, '/') ? strdup(path) : path_join(".", path);
    void *object = whole ? dlopen(whole, RTLD_NOW | RTLD_LOCAL) : NULL;
    free(whole);
    if (!object)
        return fail(IMIAD_FORMAT, "plug-in: %s cannot be loaded: %s", path, dlerror());
    *(void **)&start = dlsym(object, IMIAD_PLUGIN_ENTRY);
    if (!start) {
        dlclose(object);
        return fail(IMIAD_FORMAT, "plug-in: %s has no function " IMIAD_PLUGIN_ENTRY, path);
    }
    imiad_status status = start();
    return status == IMIAD_OK ? status : fail_within(status, "plug-in %s", path);
}
