/* A transformer that restores the features of an image: an encoder, and a decoder whose layers
 * begin with queries of their own that all images share. Around each position there is a square
 * that its attention does not see, so that nothing can be copied. You et al.: "A Unified Model for
 * Multi-class Anomaly Detection", NeurIPS 2022. */
#ifndef DETECTORS_PARTS_RESTORER_H
#define DETECTORS_PARTS_RESTORER_H

#include "nn/modules.h"

enum { RESTORER_LAYERS = 16 };

typedef struct restorer_spec {
    int64_t channels, grid; /* of the features; positions a side */
    int64_t hidden, wide;   /* values of a token, and between two linear layers */
    int heads, encoder_layers, decoder_layers;
    int64_t neighbours; /* side of the square, odd; 0: all is seen */
    double dropout;
} restorer_spec;

typedef struct restorer_layer {
    tensor *queries; /* of a decoder's: positions x hidden */
    attention first, second;
    linear in, out;
    layer_norm norms[3];
} restorer_layer;

typedef struct restorer {
    restorer_spec spec;
    linear input, output;
    tensor *rows, *columns; /* position codes: grid x hidden / 2 */
    restorer_layer encoder[RESTORER_LAYERS], decoder[RESTORER_LAYERS];
    layer_norm last;
    tensor *mask; /* kept: positions x positions, minus infinity where nothing is seen; or NULL */
} restorer;

/* Parameters by the names of the authors' checkpoints, begun as there. In the caller's scope. */
void restorer_add(restorer *out, const builder *b, const restorer_spec *spec);
void restorer_free(restorer *r); /* the mask; the parameters are the store's */

/* n x channels x grid x grid to n x positions x channels. */
tensor *restorer_tokens(tensor *features);
/* The tokens restored. *memory, where asked for (not NULL), is what the encoder gave. */
tensor *restorer_run(const restorer *r, tensor *tokens, bool training, tensor **memory);
/* How much of the tokens is lost: n x height x width, the grid's corners on those of the map. */
tensor *restorer_map(const restorer *r, tensor *tokens, int64_t height, int64_t width);

#endif
