/* Folders of tiny images for the tests of datasets. */
#ifndef TESTS_DATA_TREES_H
#define TESTS_DATA_TREES_H

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "check_suite.h"
#include "imiad/dataset.h"

static char tree[64]; /* the folder of the running test */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    return remove(path);
}

static inline void tree_remove(void)
{
    if (*tree)
        nftw(tree, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Every test runs in a process of its own, which takes its tree away when it ends. */
static inline void tree_begin(void)
{
    strcpy(tree, "/tmp/imiad-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tree));
    atexit(tree_remove);
}

/* The whole path of a file below the tree, whose folder exists afterwards. Static text. */
static inline const char *tree_path(const char *path)
{
    static char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", tree, path);
    char *slash = strrchr(whole, '/');
    *slash = '\0';
    ck_ok(folder_make(whole));
    *slash = '/';
    return whole;
}

static inline void tree_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(tree_path(path), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* A grey PNG, whatever the name says: every pixel has the value. */
static inline void tree_image(const char *path, int width, int height, int value)
{
    uint8_t pixels[64 * 64];
    memset(pixels, value, sizeof pixels);
    imiad_image image = IMIAD_IMAGE_INIT;
    image.format = IMIAD_PIXEL_GRAY8;
    image.width = width;
    image.height = height;
    image.stride = (size_t)width;
    image.pixels = pixels;
    ck_ok(imiad_image_write_png(&image, tree_path(path)));
}

/* MVTec AD's layout: two training images, one good and one defective test image with its mask. */
static inline void tree_category(const char *category)
{
    static const char *const images[] = {"train/good/000.png", "train/good/001.png",
                                         "test/good/000.png", "test/hole/000.png"};
    char path[256];
    for (int i = 0; i < 4; ++i) {
        snprintf(path, sizeof path, "%s/%s", category, images[i]);
        tree_image(path, 8, 6, 10 * i);
    }
    snprintf(path, sizeof path, "%s/ground_truth/hole/000_mask.png", category);
    tree_image(path, 8, 6, 255);
}

/* Opens with the options {name, value, name, value, NULL}; the root is the tree. */
static inline imiad_status tree_open(imiad_dataset **out, const char *type,
                                     const char *const *options)
{
    imiad_option pairs[16] = {{0}};
    size_t count = 0;
    for (; options && options[2 * count]; ++count)
        pairs[count] = (imiad_option){options[2 * count], options[2 * count + 1]};
    return imiad_dataset_open(out, type, tree, pairs, count);
}
#define OPTIONS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static inline imiad_sample sample_of(const imiad_dataset *dataset, size_t index)
{
    imiad_sample s = IMIAD_SAMPLE_INIT;
    ck_ok(imiad_dataset_sample(&s, dataset, index));
    return s;
}

/* The dataset's samples are these paths, in this order. */
static inline void expect_paths(const imiad_dataset *dataset, const char *const *paths)
{
    size_t count = 0;
    for (; paths[count]; ++count) {
        ck_assert_msg(count < imiad_dataset_sample_count(dataset), "%s is missing", paths[count]);
        ck_assert_str_eq(sample_of(dataset, count).path, paths[count]);
    }
    ck_assert_uint_eq(imiad_dataset_sample_count(dataset), count);
}

#endif
