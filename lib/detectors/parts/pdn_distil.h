/* A teacher of the caller's own: a small network learns what a backbone says of patches. Of
 * EfficientAD's that is PatchCore's embedding of two or more of its layers, averaged down to the
 * network's outputs. Batzner, Heckler, König: WACV 2024, section 3.1. */
#ifndef DETECTORS_PARTS_PDN_DISTIL_H
#define DETECTORS_PARTS_PDN_DISTIL_H

#include "detectors/algorithm.h"
#include "detectors/parts/pdn.h"
#include "synthesis/texture_source.h"

/* The loss of a step: of the network that pdn_distil was handed, on its images; `wanted` is the
 * target with its channels brought to mean 0 and deviation 1. */
typedef tensor *(*lesson_loss)(const void *network, tensor *images, tensor *wanted);
/* The mean squared error of a padded patch description network. */
tensor *pdn_lesson_loss(const void *network, tensor *images, tensor *wanted);

typedef struct pdn_lesson {
    const char *layers;     /* of the backbone: "layer2,layer3" */
    texture_source *folder; /* of images; NULL: the training images */
    int64_t steps, batch, outputs;
    lesson_loss loss;
    /* The target is the mean over all positions, of one layer beside the other, instead of
     * PatchCore's embedding: the backbone's images are single patches. `outputs` are then the
     * layers' channels. */
    bool pooled;
    int32_t side, backbone_side; /* of the images that each of the two networks sees, squares */
    double rate, weight_decay;   /* of Adam */
    uint64_t seed;
    const char
        *checkpoint; /* the training's: the lesson continues from a file beside it; "": none */
} pdn_lesson;

/* What a maker gives: the image for the network and for the backbone, from the same picture, one
 * time in ten grey. */
enum { PDN_LESSON_TENSORS = 2 };
void pdn_lesson_specs(made_spec out[PDN_LESSON_TENSORS], const pdn_lesson *l);
imiad_status pdn_lesson_make(const pdn_lesson *l, const made_from *from, made_output *out);

/* What the network must give, n x outputs x positions x positions, before its channels are brought
 * to mean 0 and deviation 1: of the backbone's images, n x 3 x side x side. */
typedef struct pdn_target pdn_target;
imiad_status pdn_target_create(pdn_target **out, imiad_detector *self, const pdn_lesson *l);
void pdn_target_free(pdn_target *t);
tensor *pdn_target_of(pdn_target *t, imiad_detector *self, tensor *images);

/* Trains the network, whose parameters are the store's, from the present ones on; stage "distil".
 * `maker` makes with pdn_lesson_make. *loss: the mean of the last tenth of the steps. */
imiad_status pdn_distil(char said[512], const void *network, params *store, const pdn_lesson *l,
                        imiad_detector *self, train_set *images, const train_maker *maker,
                        const progress *p);

/* The file is of no more use: the training has ended. */
imiad_status pdn_lesson_end(const char *checkpoint);

#endif
