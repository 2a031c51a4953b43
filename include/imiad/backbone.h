/* Backbones: frozen feature extractors, on a device, in a precision. */
#ifndef IMIAD_BACKBONE_H
#define IMIAD_BACKBONE_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Never changes after it was made; detectors share it and keep it alive. Any number of threads may
 * compute features at once. */
typedef struct imiad_backbone imiad_backbone;

typedef struct imiad_backbone_options {
    uint32_t struct_size;
    const char *weights;   /* a .safetensors, .pth or .npz file; NULL: random weights */
    uint64_t seed;         /* of the random weights */
    const char *device;    /* "cpu", "cuda", "cuda:1"; NULL: "cpu". The first use of a CUDA device
                              turns TF32 off and determinism on in this process's cuDNN */
    const char *precision; /* "float32" or "bfloat16"; NULL: "float32" */
    float mean[3];         /* with deviation, how the weights want colours: (x / 255 - mean) /
                              deviation, for red, green, blue */
    float deviation[3];    /* 0, 0, 0: both as these weights are usually used */
    /* 1 with weights NULL: the default weights, and the architecture that they are for where that
     * is NULL. They are the file that the environment's IMIAD_WEIGHTS names, or the one in the
     * cache folder (docs/backbones.md); it is never downloaded. */
    int32_t default_weights;
} imiad_backbone_options;
#define IMIAD_BACKBONE_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(imiad_backbone_options), 0, 0, 0, 0, {0, 0, 0}, {0, 0, 0}, 0                        \
    }

/* The architectures: what imiad_backbone_create takes as a name, such as "wide_resnet50_2". */
IMIAD_API size_t imiad_backbone_architecture_count(void);
IMIAD_API const char *imiad_backbone_architecture(size_t index);

/* Builds the architecture and loads its weights, by the parameter names of the library that the
 * architecture comes from or of another one that is known to write it (docs/backbones.md), below
 * any prefix; the log says which. Layers that the file lacks are no error until somebody asks for
 * their features.
 * Errors: IMIAD_UNKNOWN_OPTION, IMIAD_NOT_FOUND, IMIAD_FORMAT (also a weight that is not finite,
 * and a variance below zero), IMIAD_MISMATCH (what is missing, extra or of another shape is named),
 * IMIAD_UNSUPPORTED (no such device). With default_weights: IMIAD_NOT_FOUND where the file is not
 * there, with how to get it; IMIAD_MISMATCH for another file or architecture. options may be NULL.
 */
IMIAD_API imiad_status imiad_backbone_create(imiad_backbone **out, const char *architecture,
                                             const imiad_backbone_options *options);
IMIAD_API void imiad_backbone_free(imiad_backbone *backbone);

IMIAD_API const char *imiad_backbone_name(const imiad_backbone *backbone);
/* What the weights are, in words: a file's name, or "random weights, seed 0". Borrowed. */
IMIAD_API const char *imiad_backbone_weights(const imiad_backbone *backbone);
/* What the weights were trained on and their licence, where the library knows their digest: that
 * of the default weights; "" otherwise. Static text. */
IMIAD_API const char *imiad_backbone_provenance(const imiad_backbone *backbone);
/* SHA-256 of the weight file in hexadecimal; "" for random weights. Borrowed. */
IMIAD_API const char *imiad_backbone_digest(const imiad_backbone *backbone);
IMIAD_API const char *imiad_backbone_device(const imiad_backbone *backbone);
IMIAD_API const char *imiad_backbone_precision(const imiad_backbone *backbone);

/* Whose names the weights have: "torchvision", "timm", "lukemelas", ... Borrowed. */
IMIAD_API const char *imiad_backbone_dialect(const imiad_backbone *backbone);
/* How the weights want colours: (x / 255 - mean) / deviation, for red, green, blue. Errors:
 * IMIAD_INVALID_ARGUMENT for NULL. */
IMIAD_API imiad_status imiad_backbone_input(float mean[3], float deviation[3],
                                            const imiad_backbone *backbone);

typedef struct imiad_backbone_layer {
    uint32_t struct_size;
    char name[64];    /* "layer2", "features.6.8", "blocks.11", "blocks.11.cls_token" */
    int64_t channels; /* of its output */
    int32_t stride;   /* pixels of the image between neighbouring positions; 0: one position for
                         the whole image (a class token) */
    int32_t loaded;   /* 1 where the weights reach so far, else 0 */
} imiad_backbone_layer;
#define IMIAD_BACKBONE_LAYER_INIT                                                                  \
    {                                                                                              \
        sizeof(imiad_backbone_layer), {0}, 0, 0, 0                                                 \
    }

/* The layers that features can be asked of, in the order in which they are computed: blocks, and
 * stages, which are their last blocks under another name. 0 for NULL. */
IMIAD_API size_t imiad_backbone_layer_count(const imiad_backbone *backbone);
/* Errors: IMIAD_INVALID_ARGUMENT for an index past the last, for NULL and without struct_size. */
IMIAD_API imiad_status imiad_backbone_layer_info(imiad_backbone_layer *out,
                                                 const imiad_backbone *backbone, size_t index);

/* The output of a layer by its name for images of height x width: its channels, height and width.
 * Where a network has no layers of those names, "layer1" to "layer4" are its last stages with a
 * position for each 4, 8, 16 and 32 pixels, as ResNet's are.
 * A class token is a map of one position. Errors: IMIAD_UNKNOWN_OPTION, IMIAD_MISMATCH (the weights
 * lack that layer), IMIAD_INVALID_ARGUMENT (a size that the network does not take: the message says
 * which ones it takes). */
IMIAD_API imiad_status imiad_backbone_shape(int64_t out[3], const imiad_backbone *backbone,
                                            const char *layer, int32_t height, int32_t width);
/* Features of `count` normalised images (count x 3 x height x width floats) into `out`, which holds
 * `capacity` floats: count x channels x h x w, rows last. Errors: those of imiad_backbone_shape,
 * and IMIAD_INVALID_ARGUMENT where capacity is too small. */
IMIAD_API imiad_status imiad_backbone_features(float *out, size_t capacity,
                                               const imiad_backbone *backbone, const char *layer,
                                               const float *images, int64_t count, int32_t height,
                                               int32_t width);

/* The bytes of all tensors on a CUDA device ("cuda", "cuda:1"), now and at their peak since the
 * last call. Errors: IMIAD_UNSUPPORTED for the CPU and for a device that is not there. */
IMIAD_API imiad_status imiad_device_memory(uint64_t *now, uint64_t *peak, const char *device);

#ifdef __cplusplus
}
#endif
#endif
