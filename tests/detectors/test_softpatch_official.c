/* SoftPatch against the official code's numbers on real images and weights, stage by stage:
 * tests/golden/make_softpatch.py ran that code on libimiad's random draws. */
#include <math.h>
#include <unistd.h>

#include "bank/kernels.h"
#include "bank/coreset.h"
#include "base/random.h"
#include "detectors/parts/outlier_factors.h"
#include "detectors/parts/patch_memory.h"
#include "imiad/imiad.h"
#include "weights/weights.h"
#include "softpatch_table.h"

#define WEIGHTS "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"
#define RUN     "0.01" /* the share of the rows that its coreset keeps */

/* The official sampler hands on its projection's columns as the number of starts. */
enum { PATCHES = 28 * 28, PROJECTED = 128, STARTS = 128 };

typedef struct real {
    table table;
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_image **train;
    size_t train_count;
} real;

static imiad_image *read_sample(const real *r, const char *path, imiad_image **mask)
{
    imiad_sample known = IMIAD_SAMPLE_INIT;
    imiad_image *image = NULL;
    size_t wanted = strlen(path);
    for (size_t i = 0; i < imiad_dataset_sample_count(r->dataset) && !image; ++i) {
        ck_ok(imiad_dataset_sample(&known, r->dataset, i));
        size_t length = strlen(known.path);
        if (length < wanted || strcmp(known.path + length - wanted, path) != 0)
            continue;
        ck_ok(imiad_dataset_read_image(&image, r->dataset, i));
        if (mask)
            ck_ok(imiad_dataset_read_mask(mask, r->dataset, i));
    }
    ck_assert_msg(image != NULL, "no sample %s", path);
    return image;
}

static real open_real(const char *root, const char *weight_file)
{
    real r = {.table = read_table()};
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = weight_file;
    b.device = test_device();
    ck_ok(imiad_dataset_open(&r.dataset, "mvtec_ad", root, NULL, 0));
    ck_ok(imiad_backbone_create(&r.backbone, "resnet18", &b));
    const char *line;
    for (size_t at = 0; (line = next_line(&r.table, &at, "train", ""));) {
        r.train = realloc(r.train, (r.train_count + 1) * sizeof(imiad_image *));
        r.train[r.train_count++] = read_sample(&r, strchr(line, ',') + 1, NULL);
    }
    return r;
}

static void close_real(real *r)
{
    for (size_t i = 0; i < r->train_count; ++i)
        imiad_image_free(r->train[i]);
    free(r->train);
    imiad_backbone_free(r->backbone);
    imiad_dataset_free(r->dataset);
    free_table(&r->table);
}

static imiad_detector *fit_real(const real *r, size_t images, const char *name,
                                const imiad_option *options, size_t count)
{
    imiad_detector *d = NULL;
    ck_ok(imiad_detector_create(&d, name, r->backbone, options, count));
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)r->train, images, NULL, NULL));
    return d;
}

/* ---- the outlier factors ---- */

/* Relative limits. The official code takes distances of `nearest` from differences of large
 * numbers, its own row's included, so its factors carry an error of that size. */
static const struct {
    const char *method;
    double limit;
    int64_t flips; /* of rows at the threshold */
} official[] = {
    {"lof", 1e-4, 0}, {"lof_gpu", 1e-3, 20}, {"nearest", 1e-2, 20}, {"gaussian", 1e-3, 20}};

static void compare_factors(const table *t, const float *factors, size_t images, int m)
{
    const char *method = official[m].method, *line;
    double worst = 0, worst_image = 0, threshold, all = 0;
    for (size_t at = 0; (line = next_line(t, &at, "factor", method));) {
        char *end;
        long row = strtol(line, &end, 10);
        double wanted = strtod(end + 1, NULL);
        worst = fmax(worst, fabs((double)factors[row] - wanted) / wanted);
    }
    for (size_t at = 0, image = 0; (line = next_line(t, &at, "image_norm", method)); ++image) {
        double sum = 0, wanted = strtod(strchr(line, ',') + 1, NULL);
        for (size_t p = 0; p < PATCHES; ++p)
            sum += (double)factors[image * PATCHES + p] * (double)factors[image * PATCHES + p];
        worst_image = fmax(worst_image, fabs(sqrt(sum) - wanted) / wanted);
        all += sum;
    }
    int64_t rows = (int64_t)images * PATCHES, removed = 0;
    ck_ok(outlier_threshold(&threshold, factors, rows, 0.15));
    for (int64_t i = 0; i < rows; ++i)
        removed += (double)factors[i] > threshold;
    double wanted_threshold = stored(t, "threshold", method, "");
    int64_t wanted_removed = (int64_t)stored(t, "removed", method, "");
    printf("softpatch %s: largest relative error of a factor %.2g, of an image's norm %.2g, of the "
           "threshold %.2g; %lld rows above it, %lld in the official code\n",
           method, worst, worst_image, fabs(threshold - wanted_threshold) / wanted_threshold,
           (long long)removed, (long long)wanted_removed);
    ck_assert_double_lt(worst, official[m].limit);
    ck_assert_double_lt(worst_image, official[m].limit);
    ck_near(sqrt(all), stored(t, "factor_norm", method, ""), official[m].limit, -1);
    ck_near(threshold, wanted_threshold, official[m].limit, -1);
    ck_assert_int_le(llabs((long long)(removed - wanted_removed)), official[m].flips);
}

/* ---- the rows that are left out ---- */

static void read_left_out(bool *left_out, const table *t)
{
    const char *line;
    int64_t row = 0;
    for (size_t at = 0; (line = next_line(t, &at, "left_out", "lof"));)
        for (const char *digit = strchr(line, ',') + 1; *digit; ++digit) {
            int bits = *digit <= '9' ? *digit - '0' : *digit - 'a' + 10;
            for (int bit = 3; bit >= 0; --bit)
                left_out[row++] = bits >> bit & 1;
        }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* By how much the (k + 1)-th neighbour of a patch is farther than the k-th, relative. Where that is
 * rounding, which of the two counts is open, and the factor jumps from one to the other. */
static double tie_of_neighbours(const patch_rows *p, int64_t row, int k)
{
    int64_t position = row % p->positions;
    const float *own = p->values + row * p->columns;
    double *distances = malloc((size_t)p->images * sizeof *distances), gap;
    for (int64_t i = 0; i < p->images; ++i) {
        const float *other = p->values + (i * p->positions + position) * p->columns;
        double sum = 0;
        for (int64_t c = 0; c < p->columns; ++c)
            sum += ((double)own[c] - (double)other[c]) * ((double)own[c] - (double)other[c]);
        distances[i] = sqrt(sum);
    }
    qsort(distances, (size_t)p->images, sizeof *distances, by_value); /* itself comes first */
    gap = distances[k + 1] / distances[k] - 1;
    free(distances);
    return gap;
}

static void compare_left_out(const bool *wanted, const float *factors, const patch_rows *p)
{
    int64_t rows = p->images * p->positions, turned = 0;
    double threshold, widest = 0;
    ck_ok(outlier_threshold(&threshold, factors, rows, 0.15));
    for (int64_t i = 0; i < rows; ++i)
        if (((double)factors[i] > threshold) != wanted[i]) {
            ++turned;
            widest = fmax(
                widest, fmin(tie_of_neighbours(p, i, 6), fabs((double)factors[i] / threshold - 1)));
        }
    printf("softpatch: %lld of %lld rows are left out here or there only; each has its 6th "
           "and 7th neighbour equally far or lies at the threshold, to %.2g\n",
           (long long)turned, (long long)rows, widest);
    ck_assert_int_le(turned, 4);
    ck_assert_double_lt(widest, 1e-5);
}

/* ---- the coreset ---- */

typedef struct coreset {
    int64_t *picks, count;
    float *factors; /* of the picks */
} coreset;

static coreset official_coreset(const table *t)
{
    coreset c = {NULL, 0, NULL};
    const char *line;
    for (size_t at = 0; (line = next_line(t, &at, "pick", RUN)); ++c.count) {
        long long order, row;
        double factor;
        ck_assert_int_eq(sscanf(line, "%lld,%lld,%lf", &order, &row, &factor), 3);
        c.picks = realloc(c.picks, (size_t)(c.count + 1) * sizeof *c.picks);
        c.factors = realloc(c.factors, (size_t)(c.count + 1) * sizeof *c.factors);
        c.picks[c.count] = row;
        c.factors[c.count] = (float)factor;
    }
    return c;
}

/* The first distinct draws, as PatchCore's starts. */
static void draw_starts(int64_t starts[STARTS], int64_t rows)
{
    random_stream stream = random_open(0, "coreset/starts");
    for (int drawn = 0; drawn < STARTS;) {
        int64_t row = (int64_t)random_below(&stream, (uint64_t)rows);
        bool known = false;
        for (int i = 0; i < drawn; ++i)
            known |= starts[i] == row;
        if (!known)
            starts[drawn++] = row;
    }
}

/* What the greedy selection maximises, while it is led along given picks: the distance to the
 * nearest pick so far, at first the mean distance to the starts; rows that are left out lie at 0
 * from every pick. For each step the largest such distance, and that of the pick. */
typedef struct led_selection {
    const float *projected;
    const bool *left_out;
    int64_t rows, starts[STARTS];
    const int64_t *picks;
    int64_t count;
    double *largest, *picked;
} led_selection;

enum { BLOCK = 512 };

static void lead_block(const led_selection *s, int64_t first, int64_t rows)
{
    const kernels *k = kernels_best();
    const float *block = s->projected + first * PROJECTED;
    double lowest[BLOCK] = {0};
    float squares[BLOCK];
    for (int i = 0; i < STARTS; ++i) {
        k->squared_distances(squares, s->projected + s->starts[i] * PROJECTED, block, (size_t)rows,
                             PROJECTED);
        for (int64_t r = 0; r < rows; ++r)
            lowest[r] += sqrt((double)squares[r]) / STARTS;
    }
    for (int64_t step = 0; step < s->count; ++step) {
        int64_t pick = s->picks[step];
        for (int64_t r = 0; r < rows; ++r)
            s->largest[step] = fmax(s->largest[step], lowest[r]);
        if (pick >= first && pick < first + rows)
            s->picked[step] = lowest[pick - first];
        k->squared_distances(squares, s->projected + pick * PROJECTED, block, (size_t)rows,
                             PROJECTED);
        for (int64_t r = 0; r < rows; ++r)
            lowest[r] = fmin(lowest[r], s->left_out[first + r] ? 0 : sqrt((double)squares[r]));
    }
}

/* Every pick of the official code is the farthest row in libimiad's distances as well, up to what
 * rounding leaves open. From the first such tie on two selections part for good. */
static void lead_along(const imiad_bank *bank, const bool *left_out, const coreset *c)
{
    int64_t rows = imiad_bank_rows(bank), count = c->count, others = 0;
    float *projected = malloc((size_t)rows * PROJECTED * sizeof *projected);
    double *steps = calloc((size_t)(2 * count), sizeof *steps), widest = 0;
    led_selection s = {projected, left_out, rows, {0}, c->picks, count, steps, steps + count};
    ck_ok(bank_project(projected, bank, PROJECTED, NULL, 0, "coreset/projection"));
    draw_starts(s.starts, rows);
    for (int64_t first = 0; first < rows; first += BLOCK)
        lead_block(&s, first, rows - first < BLOCK ? rows - first : BLOCK);
    for (int64_t i = 0; i < count; ++i) {
        others += s.picked[i] < s.largest[i];
        widest = fmax(widest, 1 - s.picked[i] / s.largest[i]);
    }
    printf("softpatch coreset: another row lies farther at %lld of the official code's %lld picks, "
           "at most by %.2g of its distance\n",
           (long long)others, (long long)count, widest);
    ck_assert_double_lt(widest, 1e-6);
    free(steps);
    free(projected);
}

static void compare_picks(const imiad_bank *bank, const bool *left_out, const coreset *wanted)
{
    int64_t rows = imiad_bank_rows(bank), count, in_order = 0, shared = 0;
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    o.ratio = strtod(RUN, NULL);
    o.starts = STARTS;
    coreset_mask mask = {left_out, true};
    int64_t *picks = malloc((size_t)imiad_coreset_size(rows, o.ratio) * sizeof *picks);
    bool *chosen = calloc((size_t)rows, sizeof *chosen);
    ck_ok(bank_select(picks, &count, bank, &o, &mask, NULL));
    ck_assert_int_eq(count, wanted->count);
    for (int64_t i = 0; i < count; ++i)
        chosen[picks[i]] = true;
    for (int64_t i = 0; i < count; ++i) {
        in_order += in_order == i && picks[i] == wanted->picks[i];
        shared += chosen[wanted->picks[i]];
    }
    printf("softpatch coreset: the first %lld of %lld picks in the order of the official code, "
           "%lld in its coreset\n",
           (long long)in_order, (long long)count, (long long)shared);
    ck_assert_int_ge(in_order, 100);
    ck_assert_int_ge(shared, count * 99 / 100);
    free(chosen);
    free(picks);
}

/* The detector with another bank, by way of its file. */
static imiad_detector *exchange_bank(imiad_detector *d, const float *rows, const float *row_weights,
                                     int64_t count, int64_t columns)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    static const char *const keys[] = {"format", "detector", "library", "options", "backbone"};
    weights *file;
    weights_writer *writer;
    imiad_detector *exchanged = NULL;
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    imiad_detector_free(d);
    ck_ok(weights_open(&file, path));
    ck_ok(weights_writer_create(&writer));
    for (int i = 0; i < 5; ++i)
        ck_ok(weights_writer_metadata(writer, keys[i], weights_metadata(file, keys[i])));
    for (size_t i = 0; i < weights_count(file); ++i) {
        const weight *w = weights_get(file, i);
        if (strncmp(w->name, "backbone.", 9) == 0)
            ck_ok(weights_writer_add(writer, w->name, w->type, w->rank, w->shape, w->data));
    }
    ck_ok(weights_writer_add(writer, "bank", F32, 2, (int64_t[]){count, columns}, rows));
    ck_ok(weights_writer_add(writer, "weights", F32, 1, &count, row_weights));
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    weights_free(file);
    ck_ok(imiad_detector_load(&exchanged, path, NULL));
    unlink(path);
    return exchanged;
}

/* ---- scores ---- */

/* Against the stored pixels of a map, relative to its maximum; 0 where there are none. */
static double compare_map(const table *t, const char *path, const float *map)
{
    const char *line;
    double worst = 0, top = 0;
    size_t length = strlen(path);
    for (size_t at = 0; (line = next_line(t, &at, "map", RUN));) {
        int y, x;
        double value;
        if (strncmp(line, path, length) != 0 ||
            sscanf(line + length, ",%d,%d,%lf", &y, &x, &value) != 3)
            continue;
        worst = fmax(worst, fabs((double)map[y * 224 + x] - value));
        if (top == 0) {
            char key[512];
            snprintf(key, sizeof key, "%s,,", path);
            top = stored(t, "map_top", RUN, key);
        }
    }
    return top > 0 ? worst / top : 0;
}

static void compare_metrics(const table *t, const imiad_metrics *metrics)
{
    static const struct {
        const char *name;
        imiad_status (*compute)(double *out, const imiad_metrics *metrics);
    } list[] = {{"image_auroc", imiad_metrics_image_auroc},
                {"image_ap", imiad_metrics_image_ap},
                {"pixel_auroc", imiad_metrics_pixel_auroc},
                {"pixel_ap", imiad_metrics_pixel_ap}};
    printf("softpatch:");
    for (int i = 0; i < 4; ++i) {
        double found, wanted = stored(t, "metric", RUN, list[i].name);
        ck_ok(list[i].compute(&found, metrics));
        printf(" %s %.4f (%.4f)", list[i].name, found, wanted);
        ck_assert_double_lt(fabs(found - wanted), 5e-4);
    }
    printf("\n");
}

static void compare_scores(const real *r, imiad_detector *d)
{
    imiad_metrics *metrics;
    double worst = 0, worst_map = 0;
    int images = 0;
    const char *line;
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    for (size_t at = 0; (line = next_line(&r->table, &at, "score", RUN)); ++images) {
        char path[256];
        double wanted;
        imiad_image *mask = NULL;
        imiad_result result = IMIAD_RESULT_INIT;
        ck_assert_int_eq(sscanf(line, "%255[^,],%lf", path, &wanted), 2);
        imiad_image *image = read_sample(r, path, &mask);
        ck_ok(imiad_detector_score(&result, d, image));
        worst = fmax(worst, fabs((double)result.score - wanted) / wanted);
        worst_map = fmax(worst_map, compare_map(&r->table, path, result.map));
        /* the centre of the 256 x 256 mask */
        imiad_image crop = {sizeof crop, IMIAD_PIXEL_GRAY8, 224,
                            224,         mask->stride,      mask->pixels + 16 * mask->stride + 16};
        ck_ok(
            imiad_metrics_add_image(metrics, strstr(path, "/good/") == NULL, (double)result.score));
        ck_ok(imiad_metrics_add_map(metrics, result.map, 224, 224, &crop));
        imiad_image_free(mask);
        imiad_image_free(image);
    }
    printf("softpatch: %d images, largest relative error of a score %.2g, of a map %.2g\n", images,
           worst, worst_map);
    ck_assert_int_eq(images, 79);
    ck_assert_double_lt(worst, 1e-4);
    ck_assert(worst_map > 0 && worst_map < 1e-4);
    compare_metrics(&r->table, metrics);
    imiad_metrics_free(metrics);
}

/* ---- tests ---- */

/* With the official coreset and its factors what is left is the search and the maps. */
static void score_with(const real *r, const imiad_bank *bank, const coreset *c)
{
    int64_t columns = imiad_bank_dimension(bank);
    float *rows = malloc((size_t)(c->count * columns) * sizeof *rows);
    for (int64_t i = 0; i < c->count; ++i)
        memcpy(rows + i * columns, imiad_bank_data(bank) + c->picks[i] * columns,
               (size_t)columns * sizeof *rows);
    imiad_detector *d = fit_real(r, 1, "softpatch", NULL, 0);
    d = exchange_bank(d, rows, c->factors, c->count, columns);
    compare_scores(r, d);
    imiad_detector_free(d);
    free(rows);
}

static void compare_weights(const coreset *c, const float *factors)
{
    int64_t equal = 0;
    for (int64_t i = 0; i < c->count; ++i)
        equal += fabs((double)factors[c->picks[i]] / (double)c->factors[i] - 1) < 1e-4;
    printf("softpatch coreset: %lld of %lld rows have the weight of the official code\n",
           (long long)equal, (long long)c->count);
    ck_assert_int_ge(equal, c->count - 4); /* ties of neighbours: see above */
}

START_TEST(every_stage_is_that_of_the_official_code)
{
    char root[4096];
    snprintf(root, sizeof root, "%s", SHARED("data/mvtec_ad"));
    real r = open_real(root, SHARED(WEIGHTS));
    const imiad_option all[] = {{"coreset_ratio", "1"}};
    imiad_detector *d = fit_real(&r, r.train_count, "patchcore", all, 1);
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, d));
    int64_t rows = imiad_bank_rows(bank);
    ck_assert_int_eq(rows, (int64_t)r.train_count * PATCHES);
    float *projected = malloc((size_t)rows * PROJECTED * sizeof *projected);
    float *factors = malloc((size_t)rows * sizeof *factors);
    bool *left_out = malloc((size_t)rows * sizeof *left_out);
    ck_ok(bank_project(projected, bank, PROJECTED, NULL, 0, "softpatch/projection"));
    patch_rows p = {projected, (int64_t)r.train_count, PATCHES, PROJECTED};
    for (int m = 3; m >= 0; --m) { /* lof last: what follows needs it */
        ck_ok(outlier_factors(factors, &p, official[m].method, 6, NULL));
        compare_factors(&r.table, factors, r.train_count, m);
    }
    read_left_out(left_out, &r.table);
    compare_left_out(left_out, factors, &p);
    coreset official_one = official_coreset(&r.table);
    compare_weights(&official_one, factors);
    compare_picks(bank, left_out, &official_one);
    lead_along(bank, left_out, &official_one);
    score_with(&r, bank, &official_one);
    free(official_one.picks);
    free(official_one.factors);
    free(left_out);
    free(factors);
    free(projected);
    imiad_detector_free(d);
    close_real(&r);
}
END_TEST

SUITE("softpatch-official", TEST(every_stage_is_that_of_the_official_code))
