/* Stripes: a dataset of two procedural categories, thin and wide stripes; a defective image has a
 * grey disc. Nothing is read from disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "example.h"

enum { TRAIN = 8, TEST_GOOD = 4, TEST_DEFECTIVE = 4 };

static const char *const categories[] = {"thin", "wide"};

static const imiad_option_info options[] = {
    {sizeof(imiad_option_info), IMIAD_OPTION_INT, "size", "64", "32..1024", "pixels along a side"},
};

/* `key` tells the images apart: category * 1000 + number in its part. */
static imiad_status add(imiad_listing *listing, int category, imiad_subset subset, int label,
                        int number)
{
    imiad_listed_sample s = IMIAD_LISTED_SAMPLE_INIT;
    char path[64];
    snprintf(path, sizeof path, "%s/%s/%s/%03d", categories[category],
             subset == IMIAD_SUBSET_TRAIN ? "train" : "test", label ? "disc" : "good", number);
    s.subset = subset;
    s.category = categories[category];
    s.label = label;
    s.kind = label ? "disc" : "good";
    s.path = path;
    s.has_mask = label;
    s.key = (uint64_t)(category * 1000 + number);
    return imiad_listing_add(listing, &s);
}

static imiad_status list(void *user, imiad_listing *listing, const imiad_dataset *dataset)
{
    (void)user, (void)dataset;
    imiad_status status = IMIAD_OK;
    for (int category = 0; category < 2; ++category) {
        for (int i = 0; i < TRAIN && status == IMIAD_OK; ++i)
            status = add(listing, category, IMIAD_SUBSET_TRAIN, 0, i);
        for (int i = 0; i < TEST_GOOD && status == IMIAD_OK; ++i)
            status = add(listing, category, IMIAD_SUBSET_TEST, 0, 100 + i);
        for (int i = 0; i < TEST_DEFECTIVE && status == IMIAD_OK; ++i)
            status = add(listing, category, IMIAD_SUBSET_TEST, 1, 200 + i);
    }
    return status;
}

static int is_on_disc(int x, int y, int size, uint64_t key)
{
    int number = (int)(key % 100), middle = size / 3 + number * size / 16, radius = size / 8;
    return (x - middle) * (x - middle) + (y - middle) * (y - middle) < radius * radius;
}

static imiad_status read_image(void *user, imiad_image **out, const imiad_dataset *dataset,
                               const imiad_sample *sample, uint64_t key)
{
    (void)user;
    int size = atoi(imiad_dataset_option(dataset, "size")), width = key < 1000 ? 4 : 10;
    imiad_status status = imiad_image_create(out, IMIAD_PIXEL_GRAY8, size, size);
    if (status != IMIAD_OK)
        return status;
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x) {
            int noise = (int)((((uint64_t)(x * 73 + y * 151) + key * 31) * 2654435761u) >> 24 & 15);
            int stripe = (x + (int)(key % 100)) / width % 2 ? 200 : 60;
            int disc = sample->label == 1 && is_on_disc(x, y, size, key);
            (*out)->pixels[(size_t)y * (*out)->stride + (size_t)x] =
                (uint8_t)((disc ? 128 : stripe) + noise);
        }
    return IMIAD_OK;
}

static imiad_status read_mask(void *user, imiad_image **out, const imiad_dataset *dataset,
                              const imiad_sample *sample, uint64_t key)
{
    (void)user, (void)sample;
    int size = atoi(imiad_dataset_option(dataset, "size"));
    imiad_status status = imiad_image_create(out, IMIAD_PIXEL_GRAY8, size, size);
    for (int y = 0; y < size && status == IMIAD_OK; ++y)
        for (int x = 0; x < size; ++x)
            if (is_on_disc(x, y, size, key))
                (*out)->pixels[(size_t)y * (*out)->stride + (size_t)x] = 255;
    return status;
}

imiad_status register_stripes(void)
{
    imiad_dataset_functions f = IMIAD_DATASET_FUNCTIONS_INIT;
    f.name = "stripes";
    f.title = "Striped cloth with grey discs (example plug-in)";
    f.options = options;
    f.option_count = 1;
    f.list = list;
    f.read_image = read_image;
    f.read_mask = read_mask;
    return imiad_dataset_register(&f);
}
