#include "bridge/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bridge/tensor.h"

imiad_status device_parse(device *out, const char *text)
{
    if (!out || !text)
        return fail(IMIAD_INVALID_ARGUMENT, "device_parse: an argument is NULL");
    device parsed = CPU;
    if (strcmp(text, "cpu") != 0) {
        bool numbered = strncmp(text, "cuda:", 5) == 0 && text[5] >= '0' && text[5] <= '9';
        char *end = NULL;
        long index = numbered ? strtol(text + 5, &end, 10) : 0;
        if (strcmp(text, "cuda") != 0 && (!numbered || *end != '\0' || index > 127))
            return fail(IMIAD_OUT_OF_RANGE, "device is \"%s\": it must be cpu, cuda or cuda:0, ...",
                        text);
        parsed = (device){true, (int)index};
        TRY(device_find(parsed));
    }
    *out = parsed;
    return IMIAD_OK;
}

const char *device_name(device d, char out[16])
{
    if (d.cuda)
        snprintf(out, 16, "cuda:%d", d.index);
    else
        snprintf(out, 16, "cpu");
    return out;
}
