/* score_drawn DETECTOR NAME=VALUE... PATH...: scores images that the library draws with a saved
 * detector, a line each. NAME=VALUE are the options of the drawn dataset, PATH its names of images.
 */
#include <imiad/imiad.h>
#include <stdio.h>
#include <string.h>

enum { MOST_OPTIONS = 16 };

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, imiad_last_error());
    return 1;
}

static int score(imiad_detector *detector, const imiad_dataset *dataset, const char *path)
{
    imiad_sample sample = IMIAD_SAMPLE_INIT;
    size_t i = 0;
    do
        if (imiad_dataset_sample(&sample, dataset, i++) != IMIAD_OK)
            return failed(path);
    while (strcmp(sample.path, path) != 0);
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    if (imiad_dataset_read_image(&image, dataset, i - 1) != IMIAD_OK)
        return failed(path);
    if (imiad_detector_score(&result, detector, image) != IMIAD_OK)
        return failed(path);
    printf("%.9g\n", (double)result.score);
    imiad_image_free(image);
    return 0;
}

int main(int argc, char **argv)
{
    imiad_option options[MOST_OPTIONS];
    size_t count = 0;
    int at = 2;
    for (char *equals; at < argc && count < MOST_OPTIONS && (equals = strchr(argv[at], '='));
         ++at) {
        *equals = '\0';
        options[count++] = (imiad_option){argv[at], equals + 1};
    }
    if (at >= argc) {
        fprintf(stderr, "usage: %s DETECTOR NAME=VALUE... PATH...\n", argv[0]);
        return 2;
    }
    imiad_detector *detector;
    imiad_dataset *dataset;
    if (imiad_detector_load(&detector, argv[1], "cpu") != IMIAD_OK)
        return failed("detector");
    if (imiad_dataset_open(&dataset, "synthetic", NULL, options, count) != IMIAD_OK)
        return failed("dataset");
    int status = 0;
    for (; at < argc && status == 0; ++at)
        status = score(detector, dataset, argv[at]);
    imiad_dataset_free(dataset);
    imiad_detector_free(detector);
    return status;
}
