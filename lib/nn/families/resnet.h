/* What a ResNet is made of, and what may be built around one: networks of the same blocks that take
 * its features. Builders for network_create, whose architecture is one of resnet_architectures. */
#ifndef NN_FAMILIES_RESNET_H
#define NN_FAMILIES_RESNET_H

#include "nn/chain.h"

typedef struct resnet {
    int blocks[4];
    bool bottleneck;
    int width;  /* of the first stage's inner convolutions: 64; 128 in the wide ones */
    int groups; /* of the 3x3 of a bottleneck: 1; 32 in the ResNeXt */
} resnet;

/* The table entry behind an architecture of this family, NULL for another. */
const resnet *resnet_of(const architecture *a);

/* The mirror image of the first three stages: from n x (layer4's channels) x h x w, "layer1" gives
 * maps as the encoder's layer3 of twice that height and width, "layer2" as its layer2 of four times
 * it, "layer3" as its layer1 of eight times it. Deng, Li: CVPR 2022, figure 3; names as in the
 * authors' code. */
imiad_status resnet_decoder_build(node_chain *out, const architecture *encoder);

/* Fuses layer1 to layer3 and embeds them; no plain chain, so that its parts are run by
 * network_part: "conv1" to "conv2" bring layer1, "conv3" to "conv3" layer2 to the size and channels
 * of layer3; "bn_layer.0" to "bn_layer" makes of the three, concatenated in this order, n x
 * (layer4's channels) at half the size. Deng, Li: CVPR 2022, figure 4. The blocks' inner
 * convolutions are 512 wide, whatever the encoder's width, or, in the wide one, as much wider as
 * the encoder's. */
imiad_status resnet_fusion_build(node_chain *out, const architecture *encoder);
imiad_status resnet_wide_fusion_build(node_chain *out, const architecture *encoder);

#endif
