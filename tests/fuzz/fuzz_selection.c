/* Selection files: whatever the bytes, reading ends, and what it gives can be worked with. */
#include <stdlib.h>
#include <string.h>

#include "data/selection.h"
#include "fuzz.h"
#include "image/pixels.h"

#define SEED(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define HEAD "format\timiad-selection-1\ndataset\tsynthetic\ncategory\tfabric\n"

const fuzz_seed fuzz_seeds[] = {
    SEED(HEAD "setting\tunsupervised\noption\tseed\t0\ntrain\tfabric/train/good/000.png\n"
              "test\tfabric/test/good/000.png\ntest\tfabric/test/hole/000.png\nend\n"),
    SEED(HEAD "setting\tfewshot\noption\tshots\t1\ntrain_shot\tfabric/train/good/001.png\n"
              "train_shot\tfabric/train/good/001.png\trotation 72\n"
              "train_shot\tfabric/train/good/001.png\tperspective 0.1 0 0 0.2 0.25 0 0 0\n"
              "test\tfabric/test/good/000.png\nend\n"),
    SEED(HEAD "setting\tnoisy\noption\toverlap\ttrue\ntrain\tfabric/train/good/000.png\r\n"
              "train_noise\tfabric/test/hole/000.png\ntest\tfabric/test/hole/000.png\nend\n"),
    SEED(HEAD "setting\tsupervised\noption\tanomalies\t1\ntrain\tfabric/train/good/000.png\n"
              "train_anomaly\tfabric/test/stain/000.png\ttranslate -0.5 0.125\n"
              "train_anomaly\tfabric/test/stain/000.png\tscale 0.01\n"
              "test\tfabric/test/good/000.png\nend\n"),
    {NULL, 0},
};

static imiad_dataset *open_dataset(void)
{
    const imiad_option options[] = {{"train", "4"}, {"test_good", "2"}, {"test_defective", "5"}};
    imiad_dataset *dataset = NULL;
    if (imiad_dataset_open(&dataset, "synthetic", NULL, options, 3) != IMIAD_OK)
        abort();
    return dataset;
}

static void augment(const augmentation *a)
{
    imiad_image *image = NULL, *augmented = NULL;
    if (image_create(&image, IMIAD_PIXEL_RGB8, 7, 5) != IMIAD_OK ||
        augment_image(&augmented, image, a) != IMIAD_OK)
        abort();
    imiad_image_free(image);
    imiad_image_free(augmented);
}

static void work_with(const imiad_split *split)
{
    if (split->train.count == 0 || split->test.count == 0)
        abort();
    for (size_t i = 0; i < split->train.count; ++i) {
        char text[AUGMENT_TEXT_BYTES];
        if (split->train.entries[i].sample >= split->dataset->sample_count ||
            imiad_split_train_label(split, i) < 0 ||
            imiad_split_train_augmentation(text, split, i) != IMIAD_OK)
            abort();
        augment(&split->train.entries[i].augment);
    }
    for (size_t i = 0; i < split->test.count; ++i)
        if (split->test.entries[i].sample >= split->dataset->sample_count)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static imiad_dataset *dataset;
    if (!dataset)
        dataset = open_dataset();
    if (size > 1 << 16)
        return 0;
    imiad_split *split = NULL;
    if (selection_parse(&split, dataset, bytes, size, "fuzzed") == IMIAD_OK)
        work_with(split);
    else if (split)
        abort(); /* a failure leaves its result alone */
    imiad_split_free(split);
    return 0;
}
