/* Synthesis: against what the public codes draw from the same numbers, and by properties. */
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "../image/procedural.h"
#include "image/preprocess.h"
#include "imiad/synthesis.h"
#include "synthesis/augmenters.h"
#include "synthesis/blend.h"
#include "synthesis/cut_paste.h"
#include "synthesis/damage.h"
#include "synthesis/warp.h"

static random_stream stream_of(int seed, const char *kind)
{
    char purpose[64];
    snprintf(purpose, sizeof purpose, "synthesis/%s", kind);
    return random_open((uint64_t)seed, purpose);
}

static imiad_image *colorful(int32_t width, int32_t height)
{
    return procedural(IMIAD_PIXEL_RGB8, width, height);
}

/* Calls `check` with the rest of every line of the golden table that begins with `kind`. */
static int each_line(const char *kind, void (*check)(const char *rest))
{
    FILE *table = open_source("tests/golden/synthesis.csv");
    static char line[8192];
    int count = 0;
    size_t length = strlen(kind);
    while (fgets(line, sizeof line, table))
        if (strncmp(line, kind, length) == 0 && line[length] == ',') {
            line[strcspn(line, "\n")] = '\0';
            check(line + length + 1);
            ++count;
        }
    fclose(table);
    return count;
}

static void expect_digest(const imiad_image *image, const char *expected, const char *line)
{
    char digest[65];
    image_digest(digest, image);
    ck_assert_msg(strcmp(digest, expected) == 0, "differs from the public code: %s", line);
}

/* ---- CutPaste ---- */

static void check_cut(const char *line, bool scar)
{
    int seed, width, height, g[6];
    char digest[65];
    ck_assert_int_eq(sscanf(line, "%d,%d,%d,%d,%d,%d,%d,%d,%d,%64s", &seed, &width, &height, &g[0],
                            &g[1], &g[2], &g[3], &g[4], &g[5], digest),
                     10);
    random_stream s = stream_of(seed, scar ? "scar" : "patch");
    cut c = scar ? cut_paste_draw_scar(width, height, &cut_paste_defaults, &s)
                 : cut_paste_draw_patch(width, height, &cut_paste_defaults, &s);
    const int drawn[] = {c.from_x, c.from_y, c.width, c.height, c.to_x, c.to_y};
    for (int i = 0; i < 6; ++i)
        ck_assert_msg(drawn[i] == g[i], "number %d is %d, not %d: %s", i, drawn[i], g[i], line);
    imiad_image *image = colorful(width, height), *pasted = NULL;
    ck_ok(scar ? cut_paste_scar(&pasted, NULL, image, &c)
               : cut_paste_patch(&pasted, NULL, image, &c));
    expect_digest(pasted, digest, line);
    imiad_image_free(pasted);
    imiad_image_free(image);
}

static void check_patch(const char *line)
{
    check_cut(line, false);
}

static void check_scar(const char *line)
{
    check_cut(line, true);
}

/* Source: Runinho/pytorch-cutpaste with torchvision's colour jitter and Pillow's rotation. */
START_TEST(patches_and_scars_are_the_public_codes_bytes)
{
    ck_assert_int_eq(each_line("patch", check_patch), 12);
    ck_assert_int_eq(each_line("scar", check_scar), 12);
}
END_TEST

/* ---- imgaug's operations ---- */

static int hex_value(const char *text)
{
    char pair[3] = {text[0], text[1], '\0'};
    return (int)strtol(pair, NULL, 16);
}

static void check_augmenter(const char *line)
{
    int kind, width, height, tolerance, used;
    augmenter a = {.values = {0}};
    double *v = a.values;
    ck_assert_int_eq(sscanf(line, "%d,%lf,%lf,%lf,%lf,%d,%d,%d,%n", &kind, &v[0], &v[1], &v[2],
                            &v[3], &width, &height, &tolerance, &used),
                     8);
    a.kind = (augmenter_kind)kind;
    imiad_image *image = colorful(width, height);
    ck_ok(augmenter_apply(&image, &a));
    const char *expected = line + used;
    if (strlen(expected) == 64) {
        expect_digest(image, expected, line);
    } else {
        ck_assert_uint_eq(strlen(expected), 6 * (size_t)width * (size_t)height);
        int sum = 0, values = 3 * width * height;
        for (int i = 0; i < values; ++i) {
            int difference = abs(image->pixels[i] - hex_value(expected + 2 * i));
            ck_assert_msg(difference <= tolerance, "value %d is %d off: %.40s", i, difference,
                          line);
            sum += difference;
        }
        ck_assert_int_lt(sum, values); /* less than one step on average */
    }
    imiad_image_free(image);
}

/* Source: imgaug 0.4.0 with OpenCV and Pillow. CIELAB and CIELUV, of which OpenCV keeps rounded
 * tables, are within a tolerance that dark, saturated colours need; all else is equal. */
START_TEST(the_ten_operations_give_imgaugs_bytes)
{
    ck_assert_int_eq(each_line("augmenter", check_augmenter), 74);
}
END_TEST

static void check_rotation(const char *line)
{
    double degrees;
    char digest[65];
    ck_assert_int_eq(sscanf(line, "%lf,%64s", &degrees, digest), 2);
    imiad_image *image = colorful(50, 40), *turned = NULL;
    ck_ok(warp_rotate(&turned, image, degrees));
    expect_digest(turned, digest, line);
    imiad_image_free(image);
    imiad_image_free(turned);
}

START_TEST(rotations_give_opencvs_bytes)
{
    ck_assert_int_eq(each_line("rotate", check_rotation), 4);
}
END_TEST

/* ---- Perlin noise ---- */

static void check_noise(const char *line)
{
    int seed, rows, columns, width, height, used;
    ck_assert_int_eq(
        sscanf(line, "%d,%d,%d,%d,%d,%n", &seed, &rows, &columns, &width, &height, &used), 5);
    double *noise = malloc((size_t)width * (size_t)height * sizeof *noise);
    random_stream s = stream_of(seed, "noise");
    ck_ok(perlin_draw_noise(noise, width, height, rows, columns, &s));
    char *at = (char *)line + used;
    for (int y = 3; y < height; y += height / 5)
        for (int x = 1; x < width; x += width / 4) {
            double expected = strtod(at, &at);
            at += *at == ';';
            ck_assert_double_lt(fabs(noise[y * width + x] - expected), 1e-12);
        }
    ck_assert(*at == '\0');
    free(noise);
}

static void check_mask(const char *line)
{
    int seed, covered;
    char digest[65];
    ck_assert_int_eq(sscanf(line, "%d,%d,%64s", &seed, &covered, digest), 3);
    random_stream s = stream_of(seed, "mask");
    imiad_image *mask = NULL;
    int64_t found = -1;
    ck_ok(perlin_mask(&mask, &found, 256, 256, &perlin_defaults, &s));
    ck_assert_int_eq(found, covered);
    expect_digest(mask, digest, line);
    imiad_image_free(mask);
}

/* Source: VitjanZ/DRAEM's perlin.py, turned by imgaug. */
START_TEST(noise_and_masks_are_draems)
{
    ck_assert_int_eq(each_line("noise", check_noise), 4);
    ck_assert_int_eq(each_line("mask", check_mask), 24);
}
END_TEST

/* ---- blending ---- */

static imiad_image *mirrored(const imiad_image *image, bool across)
{
    imiad_image *out = NULL;
    ck_ok(image_create(&out, IMIAD_PIXEL_RGB8, image->width, image->height));
    for (int32_t y = 0; y < image->height; ++y)
        for (int32_t x = 0; x < image->width; ++x)
            memcpy(image_row(out, image->height - 1 - y) + 3 * (across ? image->width - 1 - x : x),
                   image_row(image, y) + 3 * x, 3);
    return out;
}

static imiad_image *above(int32_t width, int32_t height, int threshold)
{
    imiad_image *mask = procedural(IMIAD_PIXEL_GRAY8, width, height);
    for (int i = 0; i < width * height; ++i)
        mask->pixels[i] = mask->pixels[i] > threshold ? 255 : 0;
    return mask;
}

static void check_blend(const char *line)
{
    double beta;
    int used;
    ck_assert_int_eq(sscanf(line, "%lf,%n", &beta, &used), 1);
    imiad_image *image = colorful(32, 24), *texture = mirrored(image, true);
    imiad_image *mask = above(32, 24, 127);
    const preprocessing unit = {.std = {1, 1, 1}};
    float clean[3 * 24 * 32], planes[3 * 24 * 32];
    preprocess_normalize(clean, image, &unit);
    blend_texture_planes(planes, clean, texture, mask, 1 - 0.8 * beta);
    char *at = (char *)line + used;
    for (int i = 0; i < 3 * 24 * 32; i += 17) {
        double expected = strtod(at, &at);
        at += *at == ';';
        ck_assert_double_lt(fabs((double)planes[i % 3 * 24 * 32 + i / 3] - expected), 6e-8);
    }
    ck_assert(*at == '\0');
    imiad_image_free(image);
    imiad_image_free(texture);
    imiad_image_free(mask);
}

/* Source: augment_image of VitjanZ/DRAEM's data_loader.py. */
START_TEST(damaged_images_are_draems)
{
    ck_assert_int_eq(each_line("blend", check_blend), 1);
}
END_TEST

static void check_foreground(const char *line)
{
    int threshold, brighter;
    char digest[65];
    ck_assert_int_eq(sscanf(line, "%d,%d,%64s", &threshold, &brighter, digest), 3);
    imiad_image *image = colorful(64, 48), *mask = NULL;
    ck_ok(foreground_mask(&mask, image, threshold, brighter != 0));
    expect_digest(mask, digest, line);
    imiad_image_free(image);
    imiad_image_free(mask);
}

static void check_parts(const char *line)
{
    int seed;
    char digest[65];
    ck_assert_int_eq(sscanf(line, "%d,%64s", &seed, digest), 2);
    random_stream s = stream_of(seed, "parts");
    imiad_image *image = colorful(48, 48), *shuffled = NULL;
    ck_ok(shuffle_parts(&shuffled, image, 8, 8, &s));
    expect_digest(shuffled, digest, line);
    imiad_image_free(image);
    imiad_image_free(shuffled);
}

static void check_memseg(const char *line)
{
    double opacity;
    char digest[65];
    ck_assert_int_eq(sscanf(line, "%lf,%64s", &opacity, digest), 2);
    imiad_image *image = colorful(48, 48), *texture = mirrored(image, false), *out = NULL;
    imiad_image *mask = above(48, 48, 99);
    ck_ok(blend_texture(&out, image, texture, mask, opacity));
    expect_digest(out, digest, line);
    imiad_image_free(out);
    imiad_image_free(mask);
    imiad_image_free(texture);
    imiad_image_free(image);
}

/* Source: TooTouch/MemSeg's data/dataset.py. */
START_TEST(foregrounds_shuffled_parts_and_blends_are_memsegs)
{
    ck_assert_int_eq(each_line("foreground", check_foreground), 3);
    ck_assert_int_eq(each_line("parts", check_parts), 1);
    ck_assert_int_eq(each_line("memseg", check_memseg), 3);
}
END_TEST

/* ---- properties ---- */

/* The largest distance between an empirical distribution function and the uniform one on 0..1,
 * times the square root of the count: 1.63 is exceeded once in a hundred times. */
static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double kolmogorov(double *values, int count)
{
    double most = 0;
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    for (int i = 0; i < count; ++i) {
        most = fmax(most, fabs(values[i] - (double)i / count));
        most = fmax(most, fabs(values[i] - (double)(i + 1) / count));
    }
    return most * sqrt(count);
}

/* Of 10000 patches in a large image, where rounding to pixels is fine. */
START_TEST(patches_have_the_papers_areas_aspects_and_places)
{
    enum { COUNT = 10000, SIDE = 100000 };
    static double areas[COUNT], aspects[COUNT], across[COUNT], down[COUNT];
    random_stream s = stream_of(1, "statistics");
    for (int i = 0; i < COUNT; ++i) {
        cut c = cut_paste_draw_patch(SIDE, SIDE, &cut_paste_defaults, &s);
        double area = (double)c.width * c.height / SIDE / SIDE;
        areas[i] = (area - 0.02) / 0.13;
        aspects[i] = 0.5 + 0.5 * log((double)c.width / c.height) / log(1 / 0.3);
        across[i] = (double)c.to_x / (SIDE - c.width);
        down[i] = (double)c.from_y / (SIDE - c.height);
    }
    ck_assert_double_lt(kolmogorov(areas, COUNT), 1.63);
    ck_assert_double_lt(kolmogorov(aspects, COUNT), 1.63);
    ck_assert_double_lt(kolmogorov(across, COUNT), 1.63);
    ck_assert_double_lt(kolmogorov(down, COUNT), 1.63);
}
END_TEST

START_TEST(half_of_draems_images_are_whole_and_the_masks_are_those_of_the_noise)
{
    enum { COUNT = 600, SIDE = 64 };
    texture_source *textures = NULL;
    ck_ok(texture_source_open(&textures, NULL, 0));
    imiad_image *image = colorful(SIDE, SIDE);
    int whole = 0, empty = 0;
    for (int i = 0; i < COUNT; ++i) {
        random_stream s = stream_of(i, "draem"), t = stream_of(i, "masks alone");
        draem_damage d;
        ck_ok(draem_draw(&d, image, textures, &draem_defaults, &s));
        int64_t covered = 0;
        for (int p = 0; p < SIDE * SIDE; ++p)
            covered += d.mask->pixels[p] != 0;
        whole += covered == 0;
        ck_assert_double_ge(d.opacity, 0.2);
        ck_assert_double_le(d.opacity, 1);
        draem_damage_free(&d);
        imiad_image *mask = NULL;
        ck_ok(perlin_mask(&mask, &covered, SIDE, SIDE, &perlin_defaults, &t));
        empty += covered == 0;
        imiad_image_free(mask);
    }
    double expected = 0.5 + 0.5 * empty / COUNT; /* four deviations of a share of 600 are 0.08 */
    ck_assert_double_lt(fabs((double)whole / COUNT - expected), 0.08);
    imiad_image_free(image);
    texture_source_close(textures);
}
END_TEST

START_TEST(only_what_the_mask_covers_changes)
{
    imiad_image *image = colorful(80, 60);
    for (int seed = 0; seed < 8; ++seed) {
        random_stream s = stream_of(seed, "cutmix");
        imiad_image *pasted = NULL, *mask = NULL;
        ck_ok(cut_mix(&pasted, &mask, image, &s));
        int covered = 0;
        for (int i = 0; i < 80 * 60; ++i) {
            covered += mask->pixels[i] == 255;
            ck_assert(mask->pixels[i] == 255 ||
                      memcmp(pasted->pixels + 3 * i, image->pixels + 3 * i, 3) == 0);
        }
        ck_assert_int_ge(covered, (int)(0.018 * 80 * 60));
        ck_assert_int_le(covered, (int)(0.16 * 80 * 60));
        imiad_image_free(pasted);
        imiad_image_free(mask);
    }
    imiad_image_free(image);
}
END_TEST

/* The IM-IAD code's bound of the aspect lets a patch be longer than the image: nothing outside of
 * it is read or written. */
START_TEST(a_patch_longer_than_the_image_is_black_beyond_it)
{
    cut_paste_options o = cut_paste_defaults;
    o.aspect_drawn = true;
    imiad_image *image = colorful(40, 40);
    int longer = 0;
    for (int seed = 0; seed < 10000; ++seed) {
        random_stream s = stream_of(seed, "long");
        cut c = cut_paste_draw_patch(40, 40, &o, &s);
        if (c.width <= 40 && c.height <= 40)
            continue;
        ++longer;
        imiad_image *pasted = NULL;
        ck_ok(cut_paste_patch(&pasted, NULL, image, &c));
        imiad_image_free(pasted);
    }
    ck_assert_int_gt(longer, 3);
    imiad_image_free(image);
}
END_TEST

START_TEST(every_procedural_texture_is_drawn_at_any_size)
{
    static const int32_t sizes[][2] = {{1, 1}, {3, 2}, {31, 64}, {128, 96}, {64, 64}};
    for (int kind = 0; kind < TEXTURE_KINDS; ++kind)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
            imiad_image *image = colorful(sizes[i][0], sizes[i][1]), *made[2] = {NULL, NULL};
            for (int again = 0; again < 2; ++again) {
                random_stream s = stream_of((int)i, texture_kind_names[kind]);
                ck_ok(procedural_texture(&made[again], (texture_kind)kind, sizes[i][0], sizes[i][1],
                                         image, &s));
            }
            ck_assert_int_eq(made[0]->width, sizes[i][0]);
            ck_assert_mem_eq(made[0]->pixels, made[1]->pixels,
                             made[0]->stride * (size_t)made[0]->height);
            for (int again = 0; again < 2; ++again)
                imiad_image_free(made[again]);
            imiad_image_free(image);
        }
}
END_TEST

/* ---- texture folders ---- */

typedef struct drawing {
    texture_source *textures;
    char digests[6][65];
} drawing;

static void *draw_all(void *argument)
{
    drawing *d = argument;
    imiad_image *image = colorful(48, 48);
    for (int i = 0; i < 6; ++i) {
        random_stream s = stream_of(i, "threads");
        imiad_image *damaged = NULL, *mask = NULL;
        memseg_options o = memseg_defaults;
        o.foreground = -1;
        ck_ok(memseg_damage(&damaged, &mask, image, d->textures, &o, &s));
        image_digest(d->digests[i], damaged);
        imiad_image_free(damaged);
        imiad_image_free(mask);
    }
    imiad_image_free(image);
    return NULL;
}

static void write_texture(const char *folder, const char *name, int32_t width, int32_t height)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_ok(folder_make_above(path));
    imiad_image *image = colorful(width, height);
    ck_ok(imiad_image_write_png(image, path));
    imiad_image_free(image);
}

/* Whatever is cached and however many threads draw. */
START_TEST(a_folder_of_textures_gives_the_same_from_any_thread)
{
    char folder[64] = "/tmp/imiad-textures-XXXXXX";
    ck_assert(mkdtemp(folder) != NULL);
    write_texture(folder, "images/banded/one.png", 70, 50);
    write_texture(folder, "images/dotted/two.png", 31, 90);
    write_texture(folder, "images/dotted/three.png", 48, 48);
    drawing plain = {NULL, {""}}, shared[2];
    ck_ok(texture_source_open(&plain.textures, folder, 0));
    ck_assert_msg(strncmp(texture_source_name(plain.textures), "3 images of /tmp/", 17) == 0, "%s",
                  texture_source_name(plain.textures));
    draw_all(&plain);
    texture_source *cached = NULL;
    ck_ok(texture_source_open(&cached, folder, 1000000));
    pthread_t threads[2];
    for (int i = 0; i < 2; ++i) {
        shared[i].textures = cached;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, draw_all, &shared[i]), 0);
    }
    for (int i = 0; i < 2; ++i) {
        pthread_join(threads[i], NULL);
        ck_assert_mem_eq(shared[i].digests, plain.digests, sizeof plain.digests);
    }
    texture_source_close(cached);
    texture_source_close(plain.textures);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(a_folder_without_textures_is_named)
{
    char folder[64] = "/tmp/imiad-textures-XXXXXX";
    ck_assert(mkdtemp(folder) != NULL);
    texture_source *textures = NULL;
    ck_fails(texture_source_open(&textures, folder, 0), IMIAD_NOT_FOUND, folder);
    ck_fails(texture_source_open(&textures, "/tmp/no/such/folder", 0), IMIAD_NOT_FOUND,
             "/tmp/no/such/folder");
    rmdir(folder);
    ck_ok(texture_source_open(&textures, "", 0));
    ck_assert_str_eq(texture_source_name(textures), "procedural");
    texture_source_close(textures);
}
END_TEST

/* ---- by name, for programs ---- */

START_TEST(every_recipe_makes_the_same_picture_twice)
{
    imiad_image *image = colorful(64, 48);
    size_t count = 0;
    for (const char *name; (name = imiad_synthesis_name(count)); ++count) {
        imiad_image *made[2] = {NULL, NULL}, *mask = NULL;
        ck_ok(imiad_synthesize(&made[0], &mask, name, image, NULL, 5, "page"));
        ck_ok(imiad_synthesize(&made[1], NULL, name, image, "", 5, "page"));
        ck_assert_int_eq(made[0]->format, IMIAD_PIXEL_RGB8);
        ck_assert_int_eq(made[0]->width, 64);
        ck_assert_mem_eq(made[0]->pixels, made[1]->pixels, 3 * 64 * 48);
        bool whole = strncmp(name, "texture", 7) == 0 || strncmp(name, "operation", 9) == 0 ||
                     strcmp(name, "color_jitter") == 0;
        ck_assert_msg(whole == (mask == NULL), "%s", name);
        for (int i = 0; mask && i < 64 * 48; ++i)
            ck_assert(mask->pixels[i] == 0 || mask->pixels[i] == 255);
        imiad_image_free(mask);
        imiad_image_free(made[0]);
        imiad_image_free(made[1]);
    }
    ck_assert_uint_eq(count, 24);
    imiad_image_free(image);
}
END_TEST

START_TEST(what_cannot_be_made_is_refused_with_a_reason)
{
    imiad_image *image = colorful(8, 8), *gray = procedural(IMIAD_PIXEL_GRAY8, 8, 8), *out = NULL;
    ck_fails(imiad_synthesize(&out, NULL, "scratch", image, NULL, 0, NULL), IMIAD_UNKNOWN_OPTION,
             "perlin, foreground");
    ck_fails(imiad_synthesize(&out, NULL, "draem", gray, NULL, 0, NULL), IMIAD_INVALID_ARGUMENT,
             "RGB8");
    ck_fails(imiad_synthesize(&out, NULL, "draem", NULL, NULL, 0, NULL), IMIAD_INVALID_ARGUMENT,
             "NULL");
    ck_fails(imiad_synthesize(&out, NULL, "draem", image, "/no/such/folder", 0, NULL),
             IMIAD_NOT_FOUND, "/no/such/folder");
    imiad_image_free(image);
    imiad_image_free(gray);
}
END_TEST

SUITE("synthesis", TEST(patches_and_scars_are_the_public_codes_bytes),
      TEST(the_ten_operations_give_imgaugs_bytes), TEST(rotations_give_opencvs_bytes),
      TEST(noise_and_masks_are_draems), TEST(damaged_images_are_draems),
      TEST(foregrounds_shuffled_parts_and_blends_are_memsegs),
      TEST(patches_have_the_papers_areas_aspects_and_places),
      TEST(half_of_draems_images_are_whole_and_the_masks_are_those_of_the_noise),
      TEST(only_what_the_mask_covers_changes),
      TEST(a_patch_longer_than_the_image_is_black_beyond_it),
      TEST(every_procedural_texture_is_drawn_at_any_size),
      TEST(a_folder_of_textures_gives_the_same_from_any_thread),
      TEST(a_folder_without_textures_is_named), TEST(every_recipe_makes_the_same_picture_twice),
      TEST(what_cannot_be_made_is_refused_with_a_reason))
