/* The defects that SemiREST makes for its training: MemSeg's on good images, and further forms of
 * the labelled ones. RGB8 images, GRAY8 masks of 0 or 255 whose
 * rows lie without gaps, all of one size. */
#ifndef DETECTORS_PARTS_MADE_DEFECTS_H
#define DETECTORS_PARTS_MADE_DEFECTS_H

#include "detectors/algorithm.h"
#include "detectors/parts/token_labels.h"
#include "synthesis/texture_source.h"

/* A texture, or the image itself changed and shuffled, in a mask of Perlin noise, which is drawn
 * until each of its parts has more than 50 pixels of an image of 512 x 512, and as large a share of
 * others. */
imiad_status defect_synthesise(imiad_image **out, imiad_image **mask, const imiad_image *image,
                               texture_source *textures, random_stream *s);

/* The masked part of one image pasted at the same place into another, turned by up to 45 degrees
 * to either side and scaled by 0.8 to 1.2 about the middle of the mask's first component, which
 * must be there. */
imiad_status defect_transplant(imiad_image **out, imiad_image **out_mask, const imiad_image *from,
                               const imiad_image *mask, const imiad_image *into, random_stream *s);

/* A training image's own defect, for a train_maker with the specs below: a good image gets a made
 * one; a labelled defect is transplanted into another good image of the training set or, as likely,
 * gets a made one beside it. */
enum { DEFECT_OUTPUTS = 3 };
imiad_status defect_make(made_output *out, const made_from *from, const token_labels *labels,
                         texture_source *textures);
/* The image; the shares of its tokens; the good image that it is made of, or -1. */
void defect_specs(made_spec out[DEFECT_OUTPUTS], const token_labels *labels);

#endif
