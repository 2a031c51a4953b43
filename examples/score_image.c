/* Scores one image with a saved detector, and draws its heat map where a file is named for it. */
#include <imiad/imiad.h>
#include <stdio.h>

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, imiad_last_error());
    return 1;
}

static int draw(const char *path, const imiad_detector *detector, const imiad_image *image,
                const imiad_result *result)
{
    if (!result->map) {
        fprintf(stderr, "heat map: %s gives a score, but no map\n", imiad_detector_name(detector));
        return 1;
    }
    imiad_image *input, *picture; /* input: the image as the detector saw it, resized and cropped */
    if (imiad_detector_preprocess(&input, detector, image) != IMIAD_OK ||
        imiad_image_draw_heatmap(&picture, input, result->map, result->width, result->height,
                                 NULL) != IMIAD_OK ||
        imiad_image_write_png(picture, path) != IMIAD_OK)
        return failed("heat map");
    imiad_image_free(picture);
    imiad_image_free(input);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s DETECTOR IMAGE [HEATMAP.png]\n", argv[0]);
        return 2;
    }
    imiad_detector *detector;
    if (imiad_detector_load(&detector, argv[1], "cpu") != IMIAD_OK)
        return failed("detector");
    imiad_image *image;
    if (imiad_image_read(&image, argv[2]) != IMIAD_OK)
        return failed("image");

    imiad_result result = IMIAD_RESULT_INIT;
    if (imiad_detector_score(&result, detector, image) != IMIAD_OK)
        return failed("score");
    printf("%.9g\n", (double)result.score);

    if (argc == 4 && draw(argv[3], detector, image, &result) != 0)
        return 1;

    imiad_image_free(image);
    imiad_detector_free(detector);
    return 0;
}
