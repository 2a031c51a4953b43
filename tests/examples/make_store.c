/* make_store FILE: a result store of made-up values, to test the programs that read one. */
#include <imiad/imiad.h>
#include <math.h>
#include <stdio.h>

static const char *const mpdd[] = {"bracket_black", "bracket_brown", "bracket_white",
                                   "connector",     "metal_plate",   "tubes"};

typedef struct made_up {
    const char *setting, *value, *dataset, *detector;
    int categories, seeds;
    double base; /* of the image AUROC; a hundredth more with each category and seed */
} made_up;

static const made_up runs[] = {
    {"unsupervised", "", "mpdd", "patchcore", 6, 3, 0.5},
    {"unsupervised", "", "mpdd", "padim", 4, 1, 0.5}, /* two categories are missing */
    {"noisy", "ratio=0.1", "mpdd", "patchcore", 6, 1, 0.4},
    {"unsupervised", "", "mpdd", "my_own", 6, 1, 0.5}, /* nobody published anything of it */
    {"unsupervised", "", "mpdd", "=1+1", 1, 1, 0.5},   /* a formula in a spreadsheet */
};

static int put(imiad_results *results, const made_up *run, int category, int seed)
{
    static const char *const names[] = {"image_auroc", "aupro", "aupro_sampled", "pixel_ap",
                                        "fit_seconds"};
    double auroc = run->base + 0.01 * (category + seed);
    double values[] = {auroc, 0.25, 0.3, category == 0 ? NAN : 0.125, 1 + seed};
    imiad_cell cell = IMIAD_CELL_INIT;
    cell.setting = run->setting;
    cell.value = run->value;
    cell.dataset = run->dataset;
    cell.category = mpdd[category];
    cell.detector = run->detector;
    const imiad_option options[] = {{"coreset_ratio", "0.01"}, {"layers", "layer2,layer3"}};
    cell.options = options; /* of PatchCore; the second is its default */
    cell.option_count = 2;
    cell.backbone = "made_up";
    cell.precision = "float32";
    cell.evaluation = "size=256";
    cell.seed = (uint64_t)seed;
    return imiad_results_put(results, &cell, names, values, 5) == IMIAD_OK;
}

int main(int argc, char **argv)
{
    imiad_results *results = NULL;
    int good = argc == 2 && imiad_results_open(&results, argv[1]) == IMIAD_OK;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; ++i)
        for (int c = 0; c < runs[i].categories; ++c)
            for (int seed = 0; seed < runs[i].seeds; ++seed)
                good = good && put(results, &runs[i], c, seed);
    imiad_results_free(results);
    if (!good)
        fprintf(stderr, "make_store: %s\n", imiad_last_error());
    return !good;
}
