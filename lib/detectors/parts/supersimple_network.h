/* The networks of SuperSimpleNet (Rolih, Fucka, Skocaj: ICPR 2024; JIMS 2025): a linear adaptor of
 * features, a head that maps where they are anomalous, and one that scores the image. Features are
 * levels of a frozen network, enlarged to twice the first one's grid and averaged over
 * neighbourhoods. Enlarging, averaging and 1x1 convolutions commute: what is linear runs on the
 * levels as they are, and noise, which is added to few positions, is multiplied on its own.
 * Parameters have the names of the authors' state dict. */
#ifndef DETECTORS_PARTS_SUPERSIMPLE_NETWORK_H
#define DETECTORS_PARTS_SUPERSIMPLE_NETWORK_H

#include "detectors/parts/layer_list.h"
#include "nn/modules.h"

typedef struct supersimple_shape {
    int levels;
    int64_t channels[MOST_LAYERS], features; /* of each level; their sum */
    int64_t hidden, width;                   /* channels between the layers of either head */
    int patch;                               /* side of the neighbourhood, odd */
    bool align;                              /* levels are enlarged corner to corner */
    bool adapted;                            /* the score's head sees adapted features */
} supersimple_shape;

typedef struct supersimple_network {
    supersimple_shape shape;
    conv2d adaptor, first, last, around; /* first and last of the map's head; 5x5 of the score's */
    batch_norm first_norm, around_norm;
    linear score;
} supersimple_network;

supersimple_network supersimple_network_add(const builder *b, const supersimple_shape *shape);

/* n x features x h x w; zeros around the grid count in its neighbourhoods. */
tensor *supersimple_features(const supersimple_shape *shape, tensor *const *levels);
/* The same, adapted. */
tensor *supersimple_adapt(const supersimple_network *n, tensor *const *levels);

/* Noise on the features of images, each of which stands there twice: the first of either copy, then
 * the second. */
typedef struct supersimple_noise {
    int64_t count;
    int64_t rows;   /* at least so many, of which those behind `count` are zeros: the count is
                     * another one in every step, and products of many shapes are slow */
    tensor *places; /* rows, I64: positions of all 2n grids, one after the other */
    tensor *taps;   /* rows x 25, I64: where each is seen by the 5x5 convolution, in grids that are
                     * wider by 2 on each side */
    tensor *values; /* rows x features; NULL with a count of 0 */
} supersimple_noise;

/* Where the mask, 2n x 1 x h x w, is not 0; without values. */
void supersimple_noise_place(supersimple_noise *out, tensor *mask);
/* Takes the values of these places, count x features. */
void supersimple_noise_fill(supersimple_noise *noise, tensor *values);

/* While training: logits of the map, 2n x 1 x h x w, and of the score, 2n. `stop`: the map teaches
 * the score's head, which does not teach the map. */
void supersimple_learn(const supersimple_network *n, tensor *const *levels,
                       const supersimple_noise *noise, bool stop, tensor **map, tensor **score);
/* The same as the papers have it, for tests: of features as supersimple_features makes them, and
 * noise of all positions, 2n x features x h x w. */
void supersimple_learn_plainly(const supersimple_network *n, tensor *features, tensor *noise,
                               bool stop, tensor **map, tensor **score);

/* For scoring: the adaptor and what follows it as one layer, batch norms in the layers before them;
 * kept tensors. */
typedef struct supersimple_folded {
    tensor *first, *first_bias, *around, *around_bias;
} supersimple_folded;

void supersimple_fold(supersimple_folded *out, const supersimple_network *n);
void supersimple_folded_free(supersimple_folded *f);
/* n x 1 x h x w and n, logits. */
void supersimple_judge(const supersimple_network *n, const supersimple_folded *f,
                       tensor *const *levels, tensor **map, tensor **score);

/* Truncated L1 and the focal loss of the map, and the focal loss of the score. masks: as the map, 1
 * where anomalous; labels: as the score; shares: what each of the map's pixels
 * weighs, or NULL; drawn: n x 1 x 1 x
 * 1, 0 for images whose map teaches nothing, or NULL. */
tensor *supersimple_loss(tensor *map, tensor *score, tensor *masks, tensor *labels, tensor *shares,
                         tensor *drawn);

#endif
