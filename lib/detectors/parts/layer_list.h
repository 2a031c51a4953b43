/* An option such as "layer2,layer3": names of backbone layers, and their channels. */
#ifndef DETECTORS_PARTS_LAYER_LIST_H
#define DETECTORS_PARTS_LAYER_LIST_H

#include "nn/backbone.h"

enum { MOST_LAYERS = 8 };

typedef struct layer_list {
    char *text; /* the names' memory */
    const char *names[MOST_LAYERS];
    int64_t channels[MOST_LAYERS];
    int count;
} layer_list;

/* `owner` begins the message of a failure. */
imiad_status layer_list_parse(layer_list *out, const char *owner, const char *text,
                              const imiad_backbone *backbone);
void layer_list_free(layer_list *list);

#endif
