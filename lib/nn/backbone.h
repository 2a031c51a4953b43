/* Inside a backbone: a frozen network, its weights and what belongs to them. */
#ifndef NN_BACKBONE_H
#define NN_BACKBONE_H

#include <stdatomic.h>

#include "imiad/backbone.h"
#include "nn/chain.h"
#include "nn/families/position_codes.h"

struct imiad_backbone {
    const architecture *architecture;
    node_chain chain;
    size_t loaded; /* nodes from the front whose weights are here */
    char *missing; /* the first weight that the next node lacks, NULL where all are here */
    char *weights;
    char digest[65];
    const dialect *dialect; /* of the file that the weights came from */
    float mean[3], std[3];  /* of the input: (x / 255 - mean) / std, by colour */
    device device;
    char device_text[16];
    dtype precision;
    atomic_int references;
};

/* families/table.c: all architectures; NULL past the last. */
const architecture *architecture_at(size_t index);
/* IMIAD_UNKNOWN_OPTION names all that there are. */
imiad_status architecture_find(const architecture **out, const char *name);

/* Whether the weights came in the architecture's first dialect, or from a seed. */
bool backbone_has_own_names(const imiad_backbone *backbone);

imiad_backbone *backbone_retain(const imiad_backbone *backbone);

/* That the layer exists and that its weights are here. */
imiad_status backbone_require(const imiad_backbone *backbone, const char *layer);
/* The same, and its channels. */
imiad_status backbone_channels(int64_t *out, const imiad_backbone *backbone, const char *layer);
/* Channels, height and width of a layer's output. */
imiad_status backbone_layer_shape(int64_t out[3], const imiad_backbone *backbone, const char *layer,
                                  int64_t height, int64_t width);

/* The features of the named layers, float32, into the innermost scope; `images` is n x 3 x h x w,
 * float32, on the backbone's device. Runs no further than the deepest of them. */
void backbone_features(const imiad_backbone *backbone, tensor *images, const char *const *layers,
                       int count, tensor **out);
/* The same before the ReLU that ends each layer. */
void backbone_sums(const imiad_backbone *backbone, tensor *images, const char *const *layers,
                   int count, tensor **out);

/* Of a transformer's layers all tokens, n x tokens x channels, float32: the class token, registers,
 * patches row by row. Position codes come to the images' grid by the rule given, whatever the
 * network's own. */
void backbone_tokens(const imiad_backbone *backbone, tensor *images, const char *const *layers,
                     int count, position_rule rule, tensor **out);

/* The weights up to the deepest of the layers, batch norm folded, as "prefix" + the architecture's
 * own name. Their memory belongs to the innermost scope: commit the writer before it ends. */
imiad_status backbone_save(const imiad_backbone *backbone, weights_writer *writer,
                           const char *prefix, const char *const *layers, int count);
/* What backbone_save wrote, or a state dict in the architecture's own names. `file_name` is what
 * the weights are called, in messages too; `dialect_name` the dialect that they first came in, NULL
 * for the architecture's own. */
imiad_status backbone_from_weights(imiad_backbone **out, const char *architecture_name,
                                   const weights *file, const char *prefix, const char *file_name,
                                   const char *dialect_name, const char *device_text,
                                   const char *precision);

/* ---- backbone_load.c ---- */

/* Whose names of the architecture's dialects a file has most of, and below which prefix. */
typedef struct finding {
    const dialect *dialect;
    char prefix[LONGEST_NAME];
    size_t count; /* of the architecture's tensors, so many are there */
} finding;
void backbone_find_names(finding *out, const imiad_backbone *b, const weights *file);

/* The network without weights; `device_text` and `precision` may be NULL. */
imiad_status backbone_make(imiad_backbone **out, const char *architecture_name,
                           const char *device_text, const char *precision);
void backbone_destroy(imiad_backbone *b);
imiad_status backbone_from_file(imiad_backbone **out, const char *architecture_name,
                                const imiad_backbone_options *options);
imiad_status backbone_from_seed(imiad_backbone **out, const char *architecture_name,
                                const imiad_backbone_options *options);

#endif
