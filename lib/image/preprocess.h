/* From a decoded image to a network's input, as torchvision does it: Resize, CenterCrop, ToTensor,
 * Normalize. Masks go through the same geometry, by nearest neighbour. */
#ifndef IMAGE_PREPROCESS_H
#define IMAGE_PREPROCESS_H

#include <stdbool.h>

#include "imiad/image.h"

typedef struct preprocessing {
    bool squash;    /* resize to size x size; otherwise the shorter side becomes `resize` */
    int32_t resize; /* pixels */
    int32_t crop;   /* centre crop to crop x crop; 0: none */
    float mean[3], std[3];
    bool bicubic; /* images; otherwise they are resized bilinearly */
} preprocessing;

extern const float imagenet_mean[3], imagenet_std[3];

/* The size of the result for an image of width x height. A side beyond 32 bits is INT32_MAX, which
 * preprocess_image refuses. */
void preprocess_size(int32_t *out_width, int32_t *out_height, const preprocessing *p, int32_t width,
                     int32_t height);
/* The part of an image of width x height that the result shows, in the image's own pixels; padding
 * reaches beyond it. */
typedef struct preprocess_window {
    double left, top, width, height;
} preprocess_window;
void preprocess_find_window(preprocess_window *out, const preprocessing *p, int32_t width,
                            int32_t height);
/* Resize (Pillow's antialiased bilinear or bicubic on 8-bit channels) and crop: RGB8, but GRAY16 of
 * a GRAY16 image, at its full depth. Only what the crop shows is computed; an image smaller than
 * the crop is padded with zeros. */
imiad_status preprocess_image(imiad_image **out, const imiad_image *image, const preprocessing *p);
/* Binarises at native size (above zero), then resizes by nearest neighbour and crops: GRAY8, 0/255.
 */
imiad_status preprocess_mask(imiad_image **out, const imiad_image *mask, const preprocessing *p);
/* As the IM-IAD code does it: bilinear like an image, then from one half on. For comparison. */
imiad_status preprocess_mask_openiad(imiad_image **out, const imiad_image *mask,
                                     const preprocessing *p);
/* (x / 255 - mean) / std into planes: 3 x height x width floats. The planes of a GRAY16 image hold
 * x / 65535 likewise. */
void preprocess_normalize(float *out, const imiad_image *image, const preprocessing *p);

#endif
