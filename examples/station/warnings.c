#include "station/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

void warn(warnings *w, const char *code, const char *format, ...)
{
    char message[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fprintf(stderr, "WARNING: %s\n", message);
    char *readable =
        name_readable(message); /* a file's name in it may hold bytes that JSON cannot */
    json_array_append_new(w->list, json_pack("{s:s, s:s?}", "code", code, "message", readable));
    free(readable);
}

void warn_of_weights(warnings *w, const imiad_detector *detector)
{
    const imiad_backbone *backbone = imiad_detector_backbone(detector);
    if (backbone && *imiad_backbone_digest(backbone) == '\0')
        warn(w, "random_weights",
             "the network %s has %s: it was never trained, and verdicts will miss defects; give a "
             "file of trained weights, or --weights default",
             imiad_backbone_name(backbone), imiad_backbone_weights(backbone));
}

int hides_border(const imiad_detector *detector, int32_t width, int32_t height)
{
    const char *mode = imiad_detector_option(detector, "resize_mode");
    const char *resize = imiad_detector_option(detector, "resize");
    const char *crop = imiad_detector_option(detector, "crop");
    if (!mode || !resize || !crop || atol(crop) == 0)
        return 0;
    double across = (double)atol(resize), down = across;
    if (strcmp(mode, "shorter") == 0) {
        double scale = across / (width < height ? width : height);
        across = width * scale;
        down = height * scale;
    }
    return across > (double)atol(crop) + 0.5 || down > (double)atol(crop) + 0.5;
}
