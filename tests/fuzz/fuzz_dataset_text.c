/* The text files of datasets: whatever the bytes, reading ends, and what is accepted keeps every
 * path below the root, every name once and every number in its range. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "data/readers/dagm.h"
#include "data/readers/mvtec_loco.h"
#include "data/readers/sample_rows.h"
#include "data/readers/visa.h"
#include "fuzz.h"

#define SEED(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

const fuzz_seed fuzz_seeds[] = {
    SEED("object,split,label,image,mask\n"
         "candle,train,normal,candle/Data/Images/Normal/0000.JPG,\n"
         "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,"
         "candle/Data/Masks/Anomaly/000.png\n"),
    SEED("\xEF\xBB\xBFobject,split,label,image,mask\r\n"
         "a,test,normal,a/b.png,\r\n\r\na,train,anomaly,a/../c.png,/d.png\r\n"),
    SEED("\xEF\xBB\xBF"
         "1\r\n1\t0\t0001.PNG\t0\t0\r\n12\t1\t0012.PNG\t0\t0012_label.PNG\r\n"),
    SEED("7\n1\t0\t0001.PNG\t0\t0\n2\t0\t0002.PNG\t0\t../0.PNG\n"),
    SEED("1\t32.5\t12.25\t-0.78\t256\t300.5\n2\t1e1\t2\t3.14\t0\t-4\t\r\n"),
    SEED("[{\"defect_name\": \"missing\", \"pixel_value\": 255, \"saturation_threshold\": 37500, "
         "\"relative_saturation\": false},\n {\"defect_name\": \"scratch\", \"pixel_value\": 1, "
         "\"saturation_threshold\": 0.7, \"relative_saturation\": true}]"),
    SEED("path,split,label,kind,mask,category,group\n"
         "a/0.png,train,0,,,nut,\n\"b, \"\"c\"\".png\",test,1,dent,m/3.png|m/4.png,nut,7\n"),
    SEED("Path;Split;Kind\r\na\\\\0.png;val;good\r\n./b.png;test;dent\r\n"),
    SEED("{\"meta\": {\"normal_class\": \"OK\", \"prefix\": \"usb/\"}, \"train\": "
         "[{\"anomaly_class\": "
         "\"OK\", \"image_path\": \"OK/S1/a.jpg\", \"mask_path\": null}], \"test\": "
         "[{\"anomaly_class\": "
         "\"AK\", \"image_path\": \"NG/S2/b.jpg\", \"mask_path\": \"NG/S2/b.png\"}]}"),
    {NULL, 0},
};

static void require(bool fact)
{
    if (!fact)
        abort();
}

static bool climbs(const char *path)
{
    return path[0] == '/' || strncmp(path, "../", 3) == 0 || strstr(path, "/../") ||
           strstr(path, "//") || strchr(path, '\\');
}

static void check_split(const table *t)
{
    visa_row *rows = malloc(t->count * sizeof *rows + 1);
    size_t count = 0;
    require(rows != NULL);
    if (visa_parse_split(rows, &count, t, "fuzzed") == IMIAD_OK) {
        require(count > 0 && count < t->count);
        for (size_t i = 0; i < count; ++i) {
            require(!climbs(rows[i].image) && (!rows[i].mask || !climbs(rows[i].mask)));
            require(strncmp(rows[i].image, rows[i].object, strlen(rows[i].object)) == 0);
            require(rows[i].label == 0 || rows[i].label == 1);
            require(i == 0 || strcmp(rows[i - 1].image, rows[i].image) != 0);
        }
    }
    free(rows);
}

static void check_labels(const table *t)
{
    dagm_label *labels = malloc(t->count * sizeof *labels + 1);
    size_t count = 0;
    require(labels != NULL);
    if (dagm_parse_labels(labels, &count, t, "fuzzed") == IMIAD_OK) {
        require(count < t->count);
        for (size_t i = 0; i < count; ++i) {
            require(!strchr(labels[i].image, '/') && labels[i].image[0] != '.');
            require(!labels[i].mask || !strchr(labels[i].mask, '/'));
        }
    }
    free(labels);
}

static void check_ellipses(const table *t)
{
    dagm_ellipse *ellipses = malloc(t->count * sizeof *ellipses + 1);
    require(ellipses != NULL);
    if (dagm_parse_ellipses(ellipses, t, "fuzzed") == IMIAD_OK)
        for (size_t i = 0; i < t->count; ++i) {
            const dagm_ellipse *e = &ellipses[i];
            require(e->major > 0 && e->minor > 0 && isfinite(e->angle + e->x + e->y));
            require(i == 0 || ellipses[i - 1].index < e->index);
        }
    free(ellipses);
}

static void check_defects(const uint8_t *bytes, size_t size)
{
    loco_defects defects = {NULL, 0};
    if (loco_parse_defects(&defects, bytes, size, "fuzzed") != IMIAD_OK) {
        require(!defects.entries); /* a failure leaves its result alone */
        return;
    }
    for (size_t i = 0; i < defects.count; ++i) {
        const imiad_defect_info *d = &defects.entries[i];
        require(d->pixel_value >= 1 && d->pixel_value <= 255 && d->name);
        require(d->saturation_threshold > 0);
        require(!d->relative_saturation || d->saturation_threshold <= 1);
    }
    loco_free_defects(&defects);
}

static void check_rows(const sample_rows *rows)
{
    for (size_t i = 0; i < rows->count; ++i) {
        const sample_row *r = &rows->rows[i];
        require(!climbs(r->path) && r->kind && r->category && r->group);
        require(r->label == 0 || r->label == 1);
        require(r->label == 1 || strcmp(r->kind, "good") == 0);
        require(!climbs(r->masks));
    }
}

static void check_list(const uint8_t *bytes, size_t size)
{
    table t = {.text = NULL};
    if (table_parse_csv(&t, bytes, size, "fuzzed") != IMIAD_OK)
        return;
    sample_rows rows = {
        .rows = malloc(t.count * sizeof *rows.rows + 1), .name = "fuzzed", .unit = "line"};
    require(rows.rows != NULL);
    if (list_parse(&rows, &t, "/data") == IMIAD_OK)
        check_rows(&rows);
    free(rows.rows);
    table_free(&t);
}

static void check_real_iad(const uint8_t *bytes, size_t size)
{
    real_iad_split split;
    if (real_iad_parse(&split, bytes, size, "fuzzed") != IMIAD_OK)
        return;
    check_rows(&split.rows);
    real_iad_free(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char separators[] = {',', '\t'};
    if (size > 1 << 16)
        return 0;
    for (size_t i = 0; i < 2; ++i) {
        table t = {.text = NULL};
        if (table_parse(&t, bytes, size, separators[i], "fuzzed") != IMIAD_OK)
            continue;
        check_split(&t);
        check_labels(&t);
        check_ellipses(&t);
        table_free(&t);
    }
    check_defects(bytes, size);
    check_list(bytes, size);
    check_real_iad(bytes, size);
    return 0;
}
