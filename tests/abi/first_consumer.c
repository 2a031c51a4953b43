/* A program of version 0.1, as its compiler left it: what it needs of that version's headers is
 * written out here and never changes. Linked with today's library it must build and do the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct image {
    uint32_t struct_size;
    int format;
    int32_t width, height;
    size_t stride;
    uint8_t *pixels;
} image;

typedef struct result {
    uint32_t struct_size;
    float score;
    int32_t width, height;
    const float *map;
} result;

typedef struct option {
    const char *name, *value;
} option;

typedef struct sample {
    uint32_t struct_size;
    int subset;
    int32_t category, label, has_mask;
    const char *kind, *path;
} sample;

typedef struct score_options {
    uint32_t struct_size;
    int32_t map_frame;
    const image *const *regions;
    int32_t tiles, tile_side;
    double tile_overlap;
} score_options;

extern const char *imiad_version(void);
extern const char *imiad_last_error(void);
extern int imiad_dataset_open(void **out, const char *name, const char *root, const option *options,
                              size_t count);
extern int imiad_dataset_sample(sample *out, const void *dataset, size_t index);
extern int imiad_dataset_read_image(image **out, const void *dataset, size_t index);
extern void imiad_dataset_free(void *dataset);
extern int imiad_split_create(void **out, const void *dataset, const char *category,
                              const char *setting, const option *options, size_t count);
extern size_t imiad_split_test(const void *split, size_t index);
extern void imiad_split_free(void *split);
extern int imiad_backbone_create(void **out, const char *name, const void *options);
extern void imiad_backbone_free(void *backbone);
extern int imiad_detector_create(void **out, const char *name, void *backbone,
                                 const option *options, size_t count);
extern int imiad_detector_fit(void *detector, const void *split,
                              int (*progress)(void *, const void *), void *user);
extern int imiad_detector_score(result *out, void *detector, const image *image);
extern int imiad_detector_score_batch(float *scores, float *maps, size_t capacity, void *detector,
                                      const image *const *images, size_t count,
                                      const score_options *options);
extern void imiad_detector_free(void *detector);
extern void imiad_image_free(image *image);

#define CALL(call)                                                                                 \
    do {                                                                                           \
        if ((call) != 0) {                                                                         \
            fprintf(stderr, "%s: %s\n", #call, imiad_last_error());                                \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

int main(void)
{
    static const option few[] = {{"size", "64"}, {"train", "4"}},
                        small[] = {{"resize", "64"}, {"crop", "64"}};
    void *dataset, *split, *backbone, *detector;
    image *picture;
    struct { /* what lies behind a structure must stay untouched when the library's has grown */
        result found;
        uint8_t guard[64];
    } r = {.found = {.struct_size = sizeof r.found}};
    sample s = {.struct_size = sizeof s};
    float score, map[64 * 64];
    score_options options = {.struct_size = sizeof options, .tile_overlap = 0.25};

    memset(r.guard, 0xa5, sizeof r.guard);
    CALL(imiad_dataset_open(&dataset, "synthetic", NULL, few, 2));
    CALL(imiad_split_create(&split, dataset, "fabric", "unsupervised", NULL, 0));
    CALL(imiad_backbone_create(&backbone, "resnet18", NULL));
    CALL(imiad_detector_create(&detector, "padim", backbone, small, 2));
    CALL(imiad_detector_fit(detector, split, NULL, NULL));
    CALL(imiad_dataset_sample(&s, dataset, imiad_split_test(split, 0)));
    CALL(imiad_dataset_read_image(&picture, dataset, imiad_split_test(split, 0)));
    CALL(imiad_detector_score(&r.found, detector, picture));
    const image *const pictures[1] = {picture};
    CALL(imiad_detector_score_batch(&score, map, 64 * 64, detector, pictures, 1, &options));
    if (r.found.width != 64 || r.found.height != 64 || score != r.found.score ||
        memcmp(map, r.found.map, sizeof map) != 0 || strstr(s.path, "fabric/test/") != s.path)
        return 2;
    for (size_t i = 0; i < sizeof r.guard; ++i)
        if (r.guard[i] != 0xa5)
            return 3;
    printf("%s: %g\n", imiad_version(), (double)r.found.score);
    imiad_image_free(picture);
    imiad_detector_free(detector);
    imiad_backbone_free(backbone);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    return 0;
}
