#include "weights/default_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"

const char default_weights_architecture[] = "efficientnet_lite0";

static const char file_name[] = "efficientnet-lite0-57934424.pth";
static const char digest_of_file[] =
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db";

static imiad_status join(char **out, const char *folder, const char *rest)
{
    return asprintf(out, "%s/%s%s", folder, rest, file_name) < 0 ? fail_memory("a path", 1)
                                                                 : IMIAD_OK;
}

/* A relative XDG_CACHE_HOME is to be ignored, as its specification says. */
static imiad_status name_file(char **out)
{
    const char *named = secure_getenv("IMIAD_WEIGHTS"), *cache = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    if (named && *named) {
        *out = strdup(named);
        return *out ? IMIAD_OK : fail_memory("a path", strlen(named) + 1);
    }
    if (cache && *cache == '/')
        return join(out, cache, "imiad/");
    if (home && *home)
        return join(out, home, ".cache/imiad/");
    return fail(IMIAD_NOT_FOUND,
                "default weights: none of IMIAD_WEIGHTS, XDG_CACHE_HOME and HOME is set");
}

imiad_status default_weights_find(char **path)
{
    char digest[65], *file;
    TRY(name_file(&file));
    imiad_status status = IMIAD_OK;
    if (!file_exists(file))
        status = fail(IMIAD_NOT_FOUND,
                      "default weights: there is no file %s; \"sh examples/quickstart.sh\" puts it "
                      "there, or IMIAD_WEIGHTS names it",
                      file);
    else
        status = file_digest(digest, file);
    if (status == IMIAD_OK && strcmp(digest, digest_of_file) != 0)
        status =
            fail(IMIAD_MISMATCH, "default weights: %s is another file: its SHA-256 is %s, not %s",
                 file, digest, digest_of_file);
    if (status == IMIAD_OK)
        *path = file;
    else
        free(file);
    return status;
}

const char *weights_provenance(const char *digest)
{
    return strcmp(digest, digest_of_file) == 0
               ? "EfficientNet-Lite0, trained on ImageNet-1k, Apache-2.0"
               : "";
}
