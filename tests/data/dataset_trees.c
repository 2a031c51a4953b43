#include "dataset_trees.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../image/image_files.h"
#include "base/files.h"
#include "check_suite.h"
#include "imiad/image.h"

/* ---- the counts ---- */

static void read_kinds(golden_counts *row, char *text)
{
    for (char *kind; (kind = strsep(&text, ";")) && *kind;) {
        ck_assert_uint_lt(row->kind_count, GOLDEN_KINDS);
        int fields = sscanf(kind, "%31s %zu", row->kinds[row->kind_count].name,
                            &row->kinds[row->kind_count].count);
        ck_assert_int_eq(fields, 2);
        ++row->kind_count;
    }
}

size_t golden_read(golden_counts out[GOLDEN_ROWS], const char *dataset)
{
    char path[4096], line[1024], *source = getenv("IMIAD_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/dataset_counts.csv", source ? source : ".");
    FILE *file = fopen(path, "r");
    ck_assert_msg(file, "cannot open %s", path);
    size_t count = 0;
    while (fgets(line, sizeof line, file)) {
        golden_counts row = {.kind_count = 0};
        int end = 0;
        if (sscanf(line, "%31[^,],%c,%31[^,],%zu,%zu,%zu,%zu,%zu,%n", row.dataset, &row.mark,
                   row.category, &row.train_good, &row.train_defective, &row.validation,
                   &row.test_good, &row.test_defective, &end) != 8 ||
            strcmp(row.dataset, dataset) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        read_kinds(&row, line + end);
        ck_assert_uint_lt(count, GOLDEN_ROWS);
        out[count++] = row;
    }
    fclose(file);
    ck_assert_msg(count > 0, "%s has no counts of %s", path, dataset);
    return count;
}

golden_counts golden_small(const char *dataset, const char *category, const char *const *kinds)
{
    golden_counts row = {.mark = 'V', .train_good = 5, .test_good = 2};
    snprintf(row.dataset, sizeof row.dataset, "%s", dataset);
    snprintf(row.category, sizeof row.category, "%s", category);
    for (; **kinds; ++kinds) {
        snprintf(row.kinds[row.kind_count].name, sizeof row.kinds->name, "%s", *kinds);
        row.kinds[row.kind_count++].count = 2;
        row.test_defective += 2;
    }
    return row;
}

/* ---- files ---- */

static const char *tree_folder; /* of the tree that is being written */

/* The pictures that the files of a tree are links to. */
static const char *const pictures[] = {"rgb.png",  "grey.png",  "zero.png", "one.png",
                                       "full.png", "photo.jpg", "grey.jpg", "photo.bmp",
                                       "zero.bmp", "full.bmp"};

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* 24 bits a pixel, all of them of one value: BITMAPFILEHEADER, BITMAPINFOHEADER, rows. */
static void write_bmp(const char *path, uint8_t value)
{
    enum {
        STRIDE = (3 * TREE_WIDTH + 3) / 4 * 4,
        HEADER = 54,
        SIZE = HEADER + STRIDE * TREE_HEIGHT
    };
    uint8_t bytes[SIZE] = {'B',           'M',       SIZE & 255,        SIZE >> 8,
                           [10] = HEADER, [14] = 40, [18] = TREE_WIDTH, [22] = TREE_HEIGHT,
                           [26] = 1,      [28] = 24};
    memset(bytes + HEADER, value, SIZE - HEADER);
    write_bytes(path, bytes, sizeof bytes);
}

static void write_picture(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/.pictures/%s", tree_folder, name);
    if (strcmp(name, "photo.jpg") == 0)
        write_bytes(path, color420_jpg, sizeof color420_jpg);
    else if (strcmp(name, "grey.jpg") == 0)
        write_bytes(path, grey_jpg, sizeof grey_jpg);
    else if (strcmp(name, "photo.bmp") == 0)
        write_bytes(path, rgb_bmp, sizeof rgb_bmp);
    else if (strstr(name, ".bmp"))
        write_bmp(path, name[0] == 'f' ? 255 : 0);
    if (!strstr(name, ".png"))
        return;
    uint8_t pixels[3 * TREE_WIDTH * TREE_HEIGHT];
    bool color = name[0] == 'r', full = name[0] == 'f', one = name[0] == 'o', grey = name[0] == 'g';
    memset(pixels, full ? 255 : one ? 1 : grey || color ? 90 : 0, sizeof pixels);
    imiad_image image = IMIAD_IMAGE_INIT;
    image.format = color ? IMIAD_PIXEL_RGB8 : IMIAD_PIXEL_GRAY8;
    image.width = TREE_WIDTH;
    image.height = TREE_HEIGHT;
    image.stride = (color ? 3 : 1) * TREE_WIDTH;
    image.pixels = pixels;
    ck_ok(imiad_image_write_png(&image, path));
}

/* The whole path, whose folder exists afterwards. Static text. */
static const char *place(const char *format, va_list arguments)
{
    static char path[512], made[512];
    size_t used = (size_t)snprintf(path, sizeof path, "%s/", tree_folder);
    vsnprintf(path + used, sizeof path - used, format, arguments);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (strcmp(made, path) != 0) {
        ck_ok(folder_make(path));
        strcpy(made, path);
    }
    *slash = '/';
    return path;
}

static void __attribute__((format(printf, 2, 3))) add(const char *picture, const char *format, ...)
{
    char from[512];
    va_list arguments;
    va_start(arguments, format);
    const char *path = place(format, arguments);
    va_end(arguments);
    snprintf(from, sizeof from, "%s/.pictures/%s", tree_folder, picture);
    ck_assert_msg(link(from, path) == 0, "cannot link %s", path);
}

static FILE *__attribute__((format(printf, 1, 2))) open_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    FILE *file = fopen(place(format, arguments), "wb");
    va_end(arguments);
    ck_assert_ptr_nonnull(file);
    return file;
}

static void __attribute__((format(printf, 1, 2))) add_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    FILE *file = fopen(place(format, arguments), "wb");
    va_end(arguments);
    ck_assert_ptr_nonnull(file);
    fputs("text\n", file);
    ck_assert_int_eq(fclose(file), 0);
}

/* ---- the datasets ---- */

/* MVTec AD and MPDD: every folder counts from 000. Three of MVTec's products are grey. */
static void write_mvtec(const golden_counts *r, size_t index)
{
    bool grey = strcmp(r->category, "grid") == 0 || strcmp(r->category, "screw") == 0 ||
                strcmp(r->category, "zipper") == 0;
    const char *c = r->category, *picture = grey ? "grey.png" : "rgb.png";
    for (size_t i = 0; i < r->train_good; ++i)
        add(picture, "%s/train/good/%03zu.png", c, i);
    for (size_t i = 0; i < r->validation; ++i)
        add(picture, "%s/validation/good/%03zu.png", c, i);
    for (size_t i = 0; i < r->test_good; ++i)
        add(picture, "%s/test/good/%03zu.png", c, i);
    for (size_t k = 0; k < r->kind_count; ++k)
        for (size_t i = 0; i < r->kinds[k].count; ++i) {
            add(picture, "%s/test/%s/%03zu.png", c, r->kinds[k].name, i);
            add("full.png", "%s/ground_truth/%s/%03zu_mask.png", c, r->kinds[k].name, i);
        }
    if (strcmp(r->dataset, "mvtec_ad") == 0) {
        add_text("%s/license.txt", c);
        add_text("%s/readme.txt", c);
    }
}

/* A folder of masks an image. 1246 masks for 993 images: 253 images have a second one. */
static void write_loco(const golden_counts *r, size_t index)
{
    static size_t seconds;
    const char *c = r->category;
    seconds = index == 0 ? 253 : seconds;
    for (size_t i = 0; i < r->train_good; ++i)
        add("rgb.png", "%s/train/good/%03zu.png", c, i);
    for (size_t i = 0; i < r->validation; ++i)
        add("rgb.png", "%s/validation/good/%03zu.png", c, i);
    for (size_t i = 0; i < r->test_good; ++i)
        add("rgb.png", "%s/test/good/%03zu.png", c, i);
    for (size_t k = 0; k < r->kind_count; ++k)
        for (size_t i = 0; i < r->kinds[k].count; ++i) {
            add("rgb.png", "%s/test/%s/%03zu.png", c, r->kinds[k].name, i);
            add("one.png", "%s/ground_truth/%s/%03zu/000.png", c, r->kinds[k].name, i);
            if (seconds > 0 && seconds--)
                add("full.png", "%s/ground_truth/%s/%03zu/001.png", c, r->kinds[k].name, i);
        }
    FILE *file = open_text("%s/defects_config.json", c);
    fputs("[\n  {\"defect_name\": \"missing_part\", \"pixel_value\": 1,\n"
          "   \"saturation_threshold\": 37500, \"relative_saturation\": false},\n"
          "  {\"defect_name\": \"scratch\", \"pixel_value\": 255,\n"
          "   \"saturation_threshold\": 0.7, \"relative_saturation\": true}\n]\n",
          file);
    ck_assert_int_eq(fclose(file), 0);
}

/* Formats differ by product; of 02 one mask is empty, of 03 ten are; masks are 0/1 or 0/255. */
static void write_btad(const golden_counts *r, size_t index)
{
    bool second = strcmp(r->category, "02") == 0, third = strcmp(r->category, "03") == 0;
    const char *c = r->category, *extension = second ? "png" : "bmp";
    const char *picture = second ? "rgb.png" : "photo.bmp";
    size_t empty = third ? 10 : second ? 1 : 0;
    for (size_t i = 0; i < r->train_good; ++i)
        add(picture, "%s/train/ok/%04zu.%s", c, i, extension);
    for (size_t i = 0; i < r->test_good; ++i)
        add(picture, "%s/test/ok/%04zu.%s", c, i, extension);
    for (size_t i = 0; i < r->test_defective; ++i) {
        add(picture, "%s/test/ko/%04zu.%s", c, i, extension);
        if (third)
            add(i < empty ? "zero.bmp" : "full.bmp", "%s/ground_truth/ko/%04zu.bmp", c, i);
        else
            add(i < empty ? "zero.png"
                : second  ? "one.png"
                          : "full.png",
                "%s/ground_truth/ko/%04zu.png", c, i);
    }
}

static int visa_digits(const char *object)
{
    static const char *const three[] = {"capsules", "cashew", "chewinggum", "fryum", "pipe_fryum"};
    for (size_t i = 0; i < 5; ++i)
        if (strcmp(object, three[i]) == 0)
            return 3;
    return 4;
}

static void write_visa_row(FILE *file, const golden_counts *r, bool header)
{
    const char *c = r->category;
    int digits = visa_digits(c);
    if (header)
        fputs("object,split,label,image,mask\n", file);
    for (size_t i = 0; i < r->train_good + r->test_good; ++i)
        fprintf(file, "%s,%s,normal,%s/Data/Images/Normal/%0*zu.JPG,\n", c,
                i < r->train_good ? "train" : "test", c, digits, i);
    for (size_t i = 0; i < r->test_defective; ++i)
        fprintf(
            file,
            "%s,test,anomaly,%s/Data/Images/Anomaly/%03zu.JPG,%s/Data/Masks/Anomaly/%03zu.png\n", c,
            c, i, c, i);
}

/* As downloaded: names of normal images and of defective ones overlap; masks hold class numbers. */
static void write_visa(const golden_counts *r, size_t index)
{
    const char *c = r->category;
    for (size_t i = 0; i < r->train_good + r->test_good; ++i)
        add("photo.jpg", "%s/Data/Images/Normal/%0*zu.JPG", c, visa_digits(c), i);
    for (size_t i = 0; i < r->test_defective; ++i) {
        add("photo.jpg", "%s/Data/Images/Anomaly/%03zu.JPG", c, i);
        add("one.png", "%s/Data/Masks/Anomaly/%03zu.png", c, i);
    }
    add_text("%s/image_anno.csv", c);
    char path[512];
    snprintf(path, sizeof path, "%s/split_csv", tree_folder);
    ck_ok(folder_make(path));
    snprintf(path, sizeof path, "%s/split_csv/1cls.csv", tree_folder);
    FILE *file = fopen(path, "ab");
    ck_assert_ptr_nonnull(file);
    write_visa_row(file, r, index == 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_visa_converted(const golden_counts *r, size_t index)
{
    const char *c = r->category;
    for (size_t i = 0; i < r->train_good + r->test_good; ++i)
        add("photo.jpg", "%s/%s/good/%0*zu.JPG", c, i < r->train_good ? "train" : "test",
            visa_digits(c), i);
    for (size_t i = 0; i < r->test_defective; ++i) {
        add("photo.jpg", "%s/test/bad/%03zu.JPG", c, i);
        add("full.png", "%s/ground_truth/bad/%03zu.png", c, i);
    }
}

/* Six exposures of each scene follow each other closely. */
static void write_mtd_folder(const char *folder, size_t count, size_t first, const char *mask)
{
    for (size_t i = 0; i < count; ++i) {
        size_t exposure = i % 6 + 1, number = first + 1000 * (i / 6) + 15 * exposure;
        add("grey.jpg", "%s/Imgs/exp%zu_num_%zu.jpg", folder, exposure, number);
        add(mask, "%s/Imgs/exp%zu_num_%zu.png", folder, exposure, number);
    }
}

/* Images and masks side by side, masks also of good images. */
static void write_mtd(const golden_counts *r, size_t index)
{
    write_mtd_folder("MT_Free", r->train_good + r->test_good, 100, "zero.png");
    for (size_t k = 0; k < r->kind_count; ++k)
        write_mtd_folder(r->kinds[k].name, r->kinds[k].count, 500000 * (k + 1), "full.png");
    add_text("README.md");
}

static void write_mtd_split(const golden_counts *r, size_t index)
{
    for (size_t i = 0; i < r->train_good; ++i)
        add("grey.jpg", "train/good/exp1_num_%zu.jpg", 100 + i);
    for (size_t i = 0; i < r->test_good; ++i)
        add("grey.jpg", "test/good/exp1_num_%zu.jpg", 5000 + i);
    for (size_t k = 0; k < r->kind_count; ++k)
        for (size_t i = 0; i < r->kinds[k].count; ++i) {
            add("grey.jpg", "test/%s/exp2_num_%zu.jpg", r->kinds[k].name, 900 + i);
            add("full.png", "ground_truth/%s/exp2_num_%zu.png", r->kinds[k].name, 900 + i);
        }
}

/* Train or Test: the first images are the defective ones. Class 1 begins with a byte-order mark,
 * even classes end their lines as Windows does. As in the published files, the lines of good images
 * end in one more tab. */
static void write_dagm_part(const golden_counts *r, const char *part, size_t first, size_t count,
                            size_t defective)
{
    const char *c = r->category;
    int number = atoi(c + 5);
    const char *end = number % 2 == 0 ? "\r\n" : "\n";
    for (size_t i = first; i < first + count; ++i) {
        add("grey.png", "%s/%s/%04zu.PNG", c, part, i);
        if (i < first + defective)
            add("full.png", "%s/%s/Label/%04zu_label.PNG", c, part, i);
    }
    FILE *file = open_text("%s/%s/Label/Labels.txt", c, part);
    fprintf(file, "%s%d%s", number == 1 ? "\xEF\xBB\xBF" : "", number, end);
    for (size_t i = first; i < first + count; ++i)
        if (i < first + defective)
            fprintf(file, "%zu\t1\t%04zu.PNG\t0\t%04zu_label.PNG%s", i, i, i, end);
        else
            fprintf(file, "%zu\t0\t%04zu.PNG\t0\t0\t%s", i, i, end);
    ck_assert_int_eq(fclose(file), 0);
}

/* Test holds the lower numbers. */
static void write_dagm(const golden_counts *r, size_t index)
{
    size_t train = r->train_good + r->train_defective, test = r->test_good + r->test_defective;
    write_dagm_part(r, "Test", 1, test, r->test_defective);
    write_dagm_part(r, "Train", 1 + test, train, r->train_defective);
}

/* Masks lie in the test set, all-zero ones of good images too; beside the colours the depth. */
static void write_mvtec_3d(const golden_counts *r, size_t index)
{
    const char *c = r->category;
    for (size_t i = 0; i < r->train_good; ++i)
        add("rgb.png", "%s/train/good/rgb/%03zu.png", c, i);
    for (size_t i = 0; i < r->validation; ++i)
        add("rgb.png", "%s/validation/good/rgb/%03zu.png", c, i);
    for (size_t i = 0; i < r->test_good; ++i) {
        add("rgb.png", "%s/test/good/rgb/%03zu.png", c, i);
        add("zero.png", "%s/test/good/gt/%03zu.png", c, i);
    }
    for (size_t i = 0; i < r->test_defective; ++i) {
        const char *kind = i < r->test_defective / 2 ? "hole" : "combined";
        add("rgb.png", "%s/test/%s/rgb/%03zu.png", c, kind, i);
        add("full.png", "%s/test/%s/gt/%03zu.png", c, kind, i);
    }
    add_text("%s/train/good/xyz/000.tiff", c);
    add_text("%s/calibration/camera_parameters.json", c);
}

static const struct {
    const char *dataset;
    void (*write)(const golden_counts *row, size_t index);
} writers[] = {
    {"mvtec_ad", write_mvtec}, {"mvtec_loco", write_loco},
    {"mpdd", write_mvtec},     {"btad", write_btad},
    {"visa", write_visa},      {"visa_converted", write_visa_converted},
    {"mtd", write_mtd},        {"mtd_split", write_mtd_split},
    {"dagm", write_dagm},      {"mvtec_3d_rgb", write_mvtec_3d},
};

void dataset_tree_write(const char *folder, const char *dataset, const golden_counts *rows,
                        size_t count)
{
    char hidden[512];
    tree_folder = folder;
    snprintf(hidden, sizeof hidden, "%s/.pictures", folder);
    ck_ok(folder_make(hidden));
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; ++i)
        write_picture(pictures[i]);
    for (size_t w = 0; w < sizeof writers / sizeof *writers; ++w)
        if (strcmp(writers[w].dataset, dataset) == 0)
            for (size_t i = 0; i < count; ++i)
                writers[w].write(&rows[i], i);
}
