#include "detectors/parts/layer_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static imiad_status fill(layer_list *list, const char *owner, const imiad_backbone *backbone)
{
    char *rest = NULL;
    for (char *name = strtok_r(list->text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (list->count == MOST_LAYERS)
            return fail(IMIAD_OUT_OF_RANGE, "%s: option layers names more than %d layers", owner,
                        MOST_LAYERS);
        imiad_status status = backbone_channels(&list->channels[list->count], backbone, name);
        if (status != IMIAD_OK)
            return fail_within(status, "%s: option layers", owner);
        list->names[list->count++] = name;
    }
    return list->count > 0 ? IMIAD_OK
                           : fail(IMIAD_OUT_OF_RANGE, "%s: option layers names no layer", owner);
}

imiad_status layer_list_parse(layer_list *out, const char *owner, const char *text,
                              const imiad_backbone *backbone)
{
    layer_list list = {.text = strdup(text)};
    if (!list.text)
        return fail_memory("a list of layers", strlen(text));
    imiad_status status = fill(&list, owner, backbone);
    if (status != IMIAD_OK) {
        free(list.text);
        return status;
    }
    *out = list;
    return IMIAD_OK;
}

void layer_list_free(layer_list *list)
{
    free(list->text);
    *list = (layer_list){0};
}
