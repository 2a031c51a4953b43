#include "report/paper_tables.h"

#define AXIS(name, entries)                                                                        \
    {                                                                                              \
        name, entries, sizeof entries / sizeof *entries                                            \
    }
#define NO_AXIS                                                                                    \
    {                                                                                              \
        NULL, NULL, 0                                                                              \
    }
#define METHOD(printed)                                                                            \
    {                                                                                              \
        printed,                                                                                   \
        {                                                                                          \
            .method = printed                                                                      \
        }                                                                                          \
    }
#define METRIC(label, name)                                                                        \
    {                                                                                              \
        label,                                                                                     \
        {                                                                                          \
            .metric = name                                                                         \
        }                                                                                          \
    }
#define DATASET(label, name)                                                                       \
    {                                                                                              \
        label,                                                                                     \
        {                                                                                          \
            .dataset = name                                                                        \
        }                                                                                          \
    }
#define CATEGORY(name)                                                                             \
    {                                                                                              \
        name,                                                                                      \
        {                                                                                          \
            .category = name                                                                       \
        }                                                                                          \
    }
#define VALUE(label, words)                                                                        \
    {                                                                                              \
        label,                                                                                     \
        {                                                                                          \
            .value = words                                                                         \
        }                                                                                          \
    }

static const table_entry vanilla_methods[] = {
    METHOD("CFA"),      METHOD("CSFlow"), METHOD("CutPaste"), METHOD("DRAEM"),
    METHOD("FastFlow"), METHOD("FAVAE"),  METHOD("PaDiM"),    METHOD("PatchCore"),
    METHOD("RD4AD"),    METHOD("SPADE"),  METHOD("STPM"),
};
static const table_entry datasets[] = {
    DATASET("MVTec AD", "mvtec_ad"), DATASET("MVTec LOCO", "mvtec_loco"),
    DATASET("MPDD", "mpdd"),         DATASET("BTAD", "btad"),
    DATASET("MTD", "mtd"),           DATASET("VisA", "visa"),
    DATASET("DAGM", "dagm"),
};
static const table_entry two_datasets[] = {
    DATASET("MVTec AD", "mvtec_ad"),
    DATASET("MPDD", "mpdd"),
};
static const table_entry five_metrics[] = {
    METRIC("Image AUROC", "image_auroc"), METRIC("Image AP", "image_ap"),
    METRIC("Pixel AUROC", "pixel_auroc"), METRIC("Pixel AP", "pixel_ap"),
    METRIC("Pixel PRO", "aupro"),
};

/* VII */
static const table_entry loco_methods[] = {
    METHOD("PatchCore"), METHOD("CFA"),   METHOD("SPADE"),    METHOD("PaDiM"),
    METHOD("RD4AD"),     METHOD("STPM"),  METHOD("CutPaste"), METHOD("CSFlow"),
    METHOD("FastFlow"),  METHOD("DRAEM"), METHOD("FAVAE"),    METHOD("GCAD"),
};
static const table_entry loco_metrics[] = {
    METRIC("Image AUROC, logical", "logical_image_auroc"),
    METRIC("Image AUROC, structural", "structural_image_auroc"),
    METRIC("Image AUROC, mean", "mean_image_auroc"),
    METRIC("Pixel sPRO, logical", "logical_spro_0.05"),
    METRIC("Pixel sPRO, structural", "structural_spro_0.05"),
    METRIC("Pixel sPRO, mean", "mean_spro_0.05"),
};

/* VIII */
static const table_entry supervised_methods[] = {
    METHOD("PRN"),
    METHOD("BGAD"),
    METHOD("DevNet"),
    METHOD("DRA"),
    METHOD("SemiREST"),
    {"PatchCore (unsupervised)",
     {.method = "PatchCore", .value = "anomalies=0", .own_setting = "unsupervised"}},
};
static const table_entry pixel_metrics[] = {
    METRIC("Pixel AUROC", "pixel_auroc"),
    METRIC("Pixel AP", "pixel_ap"),
    METRIC("Pixel PRO", "aupro"),
};
static const table_entry image_metrics[] = {
    METRIC("Image AUROC", "image_auroc"),
    METRIC("Image AP", "image_ap"),
};
static const table_entry mvtec_categories[] = {
    CATEGORY("bottle"),     CATEGORY("cable"),
    CATEGORY("capsule"),    CATEGORY("carpet"),
    CATEGORY("grid"),       CATEGORY("hazelnut"),
    CATEGORY("leather"),    CATEGORY("metal_nut"),
    CATEGORY("pill"),       CATEGORY("screw"),
    CATEGORY("tile"),       CATEGORY("toothbrush"),
    CATEGORY("transistor"), CATEGORY("wood"),
    CATEGORY("zipper"),     {"mean", {.category = "average"}},
};

/* IX */
static const table_entry shots[] = {
    VALUE("1 shot", "shots=1"),
    VALUE("2 shots", "shots=2"),
    VALUE("4 shots", "shots=4"),
    VALUE("8 shots", "shots=8"),
};
static const table_entry fewshot_methods[] = {
    METHOD("CFA"),      METHOD("CSFlow"), METHOD("CutPaste"), METHOD("DRAEM"),
    METHOD("FastFlow"), METHOD("FAVAE"),  METHOD("PaDiM"),    METHOD("PatchCore"),
    METHOD("RD4AD"),    METHOD("STPM"),   METHOD("SPADE"),
};
static const table_entry fewshot_methods_mpdd[] = {
    METHOD("CFA"),      METHOD("CSFlow"), METHOD("CutPaste"), METHOD("DRAEM"),
    METHOD("FastFlow"), METHOD("FAVAE"),  METHOD("PaDiM"),    METHOD("PatchCore"),
    METHOD("RD4AD"),    METHOD("STPM"),   METHOD("SPADE"),    METHOD("RegAD"),
};
static const table_entry augmentations[] = {
    {"Vanilla", {.value = ""}},
    VALUE("Rotation", "augmentation=rotation"),
    VALUE("Flip", "augmentation=flip"),
    VALUE("Scale", "augmentation=scale"),
    VALUE("Translate", "augmentation=translate"),
    VALUE("Colour jitter", "augmentation=color_jitter"),
    VALUE("Perspective", "augmentation=perspective"),
};

/* X */
static const table_entry noisy_methods[] = {
    METHOD("CFA"),       METHOD("CSFlow"), METHOD("CutPaste"), METHOD("DRAEM"),
    METHOD("FastFlow"),  METHOD("FAVAE"),  METHOD("IGD"),      METHOD("PaDiM"),
    METHOD("PatchCore"), METHOD("RD4AD"),  METHOD("SPADE"),    METHOD("STPM"),
};
static const table_entry ratios[] = {
    VALUE("0.05", "ratio=0.05"),
    VALUE("0.10", "ratio=0.1"),
    VALUE("0.15", "ratio=0.15"),
    VALUE("0.20", "ratio=0.2"),
};

/* XI */
static const table_entry continual_methods[] = {
    METHOD("PatchCore"), METHOD("CFA"),   METHOD("SPADE"),    METHOD("PaDiM"),
    METHOD("RD4AD"),     METHOD("STPM"),  METHOD("CutPaste"), METHOD("CSFlow"),
    METHOD("FastFlow"),  METHOD("FAVAE"), METHOD("DNE"),
};

/* XII */
#define NEIGHBOURS(k)                                                                              \
    {                                                                                              \
#k,                                                                                        \
        {                                                                                          \
            .method = "PatchCore neighborhood " #k, .neighbours = #k                               \
        }                                                                                          \
    }
static const table_entry neighbours[] = {NEIGHBOURS(1), NEIGHBOURS(2), NEIGHBOURS(3), NEIGHBOURS(6),
                                         NEIGHBOURS(9)};

/* XIII */
static const table_entry uniform_metrics[] = {
    METRIC("Image AUROC", "image_auroc"),
    METRIC("Pixel AP", "pixel_ap"),
};
static const table_entry uniform_settings[] = {
    {"Vanilla", {.setting = "unsupervised"}},
    {"Noisy 0.15", {.setting = "noisy", .value = "ratio=0.15"}},
    {"Few-shot 8", {.setting = "fewshot", .value = "shots=8"}},
    {"Continual", {.setting = "continual"}},
    {"Mean", {.setting = "mean_of_settings"}},
};

const paper_table paper_tables[] = {
    {"VI",
     "Unsupervised anomaly detection",
     "paper, table VI",
     {.setting = "unsupervised", .category = "average"},
     AXIS("Dataset", datasets),
     AXIS("Metric", five_metrics),
     NO_AXIS,
     AXIS("Method", vanilla_methods),
     CONTEST_LINE,
     0},
    {"VII",
     "MVTec LOCO by kind of anomaly",
     "paper, table VII",
     {.setting = "unsupervised", .dataset = "mvtec_loco", .category = "average"},
     NO_AXIS,
     AXIS("Method", loco_methods),
     NO_AXIS,
     AXIS("Metric", loco_metrics),
     CONTEST_COLUMN,
     0},
    {"VIII",
     "Fully supervised on MVTec AD, 10 labelled anomalies",
     "paper, table VIII",
     {.setting = "supervised", .value = "anomalies=10", .dataset = "mvtec_ad"},
     AXIS("Method", supervised_methods),
     AXIS("Metric", pixel_metrics),
     NO_AXIS,
     AXIS("Category", mvtec_categories),
     CONTEST_INNER,
     0},
    {"VIII-i",
     "Fully supervised on MVTec AD, image level (the paper has no such table)",
     NULL,
     {.setting = "supervised", .value = "anomalies=10", .dataset = "mvtec_ad"},
     AXIS("Method", supervised_methods),
     AXIS("Metric", image_metrics),
     NO_AXIS,
     AXIS("Category", mvtec_categories),
     CONTEST_INNER,
     0},
    {"IX",
     "Few-shot with augmentation on MVTec AD, image AUROC",
     "paper, table IX",
     {.setting = "fewshot", .dataset = "mvtec_ad", .category = "average", .metric = "image_auroc"},
     AXIS("Shots", shots),
     AXIS("Method", fewshot_methods),
     NO_AXIS,
     AXIS("Augmentation", augmentations),
     CONTEST_LINE,
     0},
    {"IX-m",
     "Few-shot on MPDD (the paper has no such table)",
     NULL,
     {.setting = "fewshot", .dataset = "mpdd", .category = "average"},
     AXIS("Metric", uniform_metrics),
     AXIS("Method", fewshot_methods_mpdd),
     NO_AXIS,
     AXIS("Shots", shots),
     CONTEST_COLUMN,
     0},
    {"X",
     "Noisy, image AUROC by the share of noise",
     "paper, table X",
     {.setting = "noisy", .category = "average", .metric = "image_auroc"},
     NO_AXIS,
     AXIS("Method", noisy_methods),
     AXIS("Dataset", two_datasets),
     AXIS("Noise", ratios),
     CONTEST_COLUMN,
     0},
    {"XI",
     "Continual, value / forgetting",
     "paper, table XI",
     {.setting = "continual", .category = "average"},
     NO_AXIS,
     AXIS("Method", continual_methods),
     AXIS("Dataset", two_datasets),
     AXIS("Metric", five_metrics),
     CONTEST_COLUMN,
     1},
    {"XII",
     "PatchCore's re-weighting under noise on MVTec AD, image AUROC by neighbours",
     "paper, table XII",
     {.setting = "noisy", .dataset = "mvtec_ad", .category = "average", .metric = "image_auroc"},
     NO_AXIS,
     AXIS("Noise", ratios),
     NO_AXIS,
     AXIS("Neighbours", neighbours),
     CONTEST_LINE,
     0},
    {"XIII",
     "Uniform view over settings",
     "paper, table XIII",
     {.category = "average"},
     AXIS("Metric", uniform_metrics),
     AXIS("Method", vanilla_methods),
     AXIS("Dataset", two_datasets),
     AXIS("Setting", uniform_settings),
     CONTEST_COLUMN,
     0},
};
const size_t paper_table_count = sizeof paper_tables / sizeof *paper_tables;
