/* What GCAD makes of images while it trains, on the loader's threads, and how its patch
 * descriptions are distilled. Bergmann, Fauser, Sattlegger, Steger: "Uninformed Students",
 * CVPR 2020, section 3.1. */
#ifndef DETECTORS_PARTS_GCAD_IMAGES_H
#define DETECTORS_PARTS_GCAD_IMAGES_H

#include "detectors/parts/patch_descriptor.h"
#include "detectors/parts/pdn_distil.h"

/* How a training image changes: turned by up to so many degrees, reflected where nothing is seen;
 * brightness, contrast and saturation by factors of 1 - jitter to 1 + jitter; mirrored half of the
 * time. */
typedef struct gcad_changes {
    double rotation, jitter;
    bool across, down; /* left and right, top and bottom exchanged */
} gcad_changes;

bool gcad_changes_any(const gcad_changes *c);
imiad_status gcad_make_changed(made_output *out, const made_from *from, const gcad_changes *c);

typedef struct gcad_lesson {
    pdn_lesson lesson;  /* .side is that of a patch */
    int32_t image_side; /* of the picture that patches are cut from */
} gcad_lesson;

enum { GCAD_LESSON_FILE = 4100 };
/* The file beside the training's checkpoint that the lesson of one size of patches goes on from;
 * "": none. */
void gcad_lesson_file(char out[GCAD_LESSON_FILE], const imiad_detector *self, int field);
/* What the options say, but for the folder, which stays; `file` must outlive the lesson. */
void gcad_lesson_read(gcad_lesson *l, char file[GCAD_LESSON_FILE], const imiad_detector *self,
                      int field, int64_t described);

/* A patch of the image, or of one of the folder, and the same patch enlarged for the backbone. */
imiad_status gcad_make_patch(made_output *out, const made_from *from, const gcad_lesson *l);

/* Lets a description of patches learn what the backbone says of them: |D(E) - target|^2 of a linear
 * decoder D, and the squared correlations of any two channels of E over the step's patches. Fills
 * in what `l` needs. */
imiad_status gcad_distil(char said[512], const patch_descriptor *d, int64_t outputs, pdn_lesson *l,
                         imiad_detector *self, train_set *images, const train_maker *maker,
                         const progress *p);

/* The loss of a step of this: patches, targets n x channels x 1 x 1. */
typedef struct described_patches {
    patch_descriptor descriptor;
    conv2d decoder;
} described_patches;
tensor *gcad_lesson_loss(const void *network, tensor *patches, tensor *wanted);

#endif
