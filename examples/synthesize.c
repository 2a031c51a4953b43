/* Draws what self-supervised detectors damage images with: a sheet of one tile a recipe. */
#include <imiad/imiad.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 5, GAP = 4 };

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, imiad_last_error());
    return 1;
}

/* An image of the product lines that the library draws. */
static imiad_status draw_product(imiad_image **out)
{
    static const imiad_option options[] = {{"size", "96"}, {"categories", "hex_nut"}};
    imiad_dataset *dataset;
    imiad_status status = imiad_dataset_open(&dataset, "synthetic", NULL, options, 2);
    if (status != IMIAD_OK)
        return status;
    status = imiad_dataset_read_image(out, dataset, 0);
    imiad_dataset_free(dataset);
    return status;
}

static void put(imiad_image *sheet, const imiad_image *tile, int place)
{
    int left = GAP + place % COLUMNS * (tile->width + GAP);
    int top = GAP + place / COLUMNS * (tile->height + GAP);
    for (int y = 0; y < tile->height; ++y)
        memcpy(sheet->pixels + (size_t)(top + y) * sheet->stride + 3 * (size_t)left,
               tile->pixels + (size_t)y * tile->stride, 3 * (size_t)tile->width);
}

/* The image itself, then every recipe of it. */
static imiad_status draw_sheet(imiad_image **out, const imiad_image *image, const char *textures,
                               uint64_t seed)
{
    int tiles = 1;
    while (imiad_synthesis_name((size_t)tiles - 1))
        ++tiles;
    imiad_status status =
        imiad_image_create(out, IMIAD_PIXEL_RGB8, COLUMNS * (image->width + GAP) + GAP,
                           (tiles + COLUMNS - 1) / COLUMNS * (image->height + GAP) + GAP);
    if (status != IMIAD_OK)
        return status;
    memset((*out)->pixels, 255, (*out)->stride * (size_t)(*out)->height);
    put(*out, image, 0);
    printf("1 the image\n");
    for (int i = 1; i < tiles; ++i) {
        const char *name = imiad_synthesis_name((size_t)i - 1);
        imiad_image *tile;
        status = imiad_synthesize(&tile, NULL, name, image, textures, seed, name);
        if (status != IMIAD_OK) {
            imiad_image_free(*out);
            return status;
        }
        put(*out, tile, i);
        imiad_image_free(tile);
        printf("%d %s\n", i + 1, name);
    }
    return IMIAD_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 5) {
        fprintf(stderr,
                "usage: %s SHEET.png [SEED [IMAGE [TEXTURES]]]\n"
                "IMAGE is an RGB image; without one the library draws it. TEXTURES is a folder of "
                "texture images.\n",
                argv[0]);
        return 2;
    }
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 12;
    imiad_image *image, *sheet;
    if ((argc > 3 ? imiad_image_read(&image, argv[3]) : draw_product(&image)) != IMIAD_OK)
        return failed("image");
    if (draw_sheet(&sheet, image, argc > 4 ? argv[4] : NULL, seed) != IMIAD_OK)
        return failed("synthesis");
    if (imiad_image_write_png(sheet, argv[1]) != IMIAD_OK)
        return failed(argv[1]);
    imiad_image_free(sheet);
    imiad_image_free(image);
    return 0;
}
