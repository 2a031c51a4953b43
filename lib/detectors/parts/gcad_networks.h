/* The networks of GCAD for one size of patches, what they learn and the two maps that they give.
 * Bergmann, Batzner, Fauser, Sattlegger, Steger: "Beyond Dents and Scratches: Logical Constraints
 * in Unsupervised Anomaly Detection and Localization", IJCV 130, 2022. */
#ifndef DETECTORS_PARTS_GCAD_NETWORKS_H
#define DETECTORS_PARTS_GCAD_NETWORKS_H

#include "detectors/parts/patch_descriptor.h"
#include "detectors/parts/squeezing_network.h"
#include "detectors/parts/unet.h"
#include "nn/optimizer.h"

enum { GCAD_UPSCALE = 3, GCAD_MAPS = 2 /* local, global */ };

typedef struct gcad_spec {
    int field; /* of the patches: 17 or 33 */
    int64_t side, width, numbers,
        channels;       /* image, U-Nets' first level; E_glo's vector, its map */
    bool local, global; /* which branches there are */
    bool detached;      /* R_glo teaches E_glo nothing */
    bool learning;      /* with the skips, which only training uses */
} gcad_spec;

typedef struct gcad_networks {
    gcad_spec spec;
    patch_descriptor descriptor;  /* E_loc, "descriptor." */
    unet local, global;           /* R_loc, R_glo: "local.", "global." */
    squeezing_network squeezing;  /* E_glo, "squeezing." */
    conv2d upscale[GCAD_UPSCALE]; /* U, "upscale." */
} gcad_networks;

/* Numbers that describe a patch: 128 at the published width. */
int64_t gcad_descriptors(const gcad_spec *spec);
gcad_networks gcad_networks_add(const builder *b, const gcad_spec *spec);

/* Frees what only training needs: the skips and U. Optimisers made earlier must be gone. */
void gcad_networks_finish(gcad_networks *n, params *store);

/* What a step minimises: |E_loc - U(E_glo)|^2 / d_loc + |E_glo - R_glo|^2 / d_glo +
 * |E_loc - R_loc|^2 / d_loc, the mean over images and positions; a scalar. `described` is E_loc of
 * the images. `restoring`: with the term of R_glo. */
tensor *gcad_loss(const gcad_networks *n, tensor *images, tensor *described,
                  const double skips[SQUEEZING_LEVELS], bool restoring);
/* Adam for this loss. The paper's is a sum over positions: with decay and epsilon divided as the
 * loss is, the steps are the same. */
optimizer_options gcad_adam(double decay, int64_t side);

/* The norms over channels of E_loc - R_loc and of E_glo - R_glo, n x side x side; NULL of a branch
 * that is not there. */
void gcad_maps(const gcad_networks *n, tensor *images, tensor *out[GCAD_MAPS]);

#endif
