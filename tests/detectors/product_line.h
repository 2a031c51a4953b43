/* A small product line that the library draws, split, and a network of random weights. */
#ifndef TESTS_DETECTORS_PRODUCT_LINE_H
#define TESTS_DETECTORS_PRODUCT_LINE_H

#include <string.h>

#include "check_suite.h"
#include "imiad/imiad.h"

typedef struct product_line {
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_split *split; /* of the first category */
    const char *size;   /* of the images: "64" */
} product_line;

static const imiad_option product_line_anomaly = {"anomalies", "1"};

/* Images of size x size: how many train, how many good and defective ones test. */
static inline product_line product_line_open_with(const char *backbone, const char *place,
                                                  const char *size, const char *train,
                                                  const char *good, const char *defective,
                                                  const char *setting)
{
    const imiad_option options[] = {
        {"size", size}, {"train", train}, {"test_good", good}, {"test_defective", defective}};
    product_line l = {.size = size};
    ck_ok(imiad_dataset_open(&l.dataset, "synthetic", NULL, options, 4));
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.device = place;
    ck_ok(imiad_backbone_create(&l.backbone, backbone, &b));
    ck_ok(imiad_split_create(&l.split, l.dataset, imiad_dataset_category(l.dataset, 0), setting,
                             &product_line_anomaly, strcmp(setting, "supervised") == 0));
    return l;
}

/* The setting that a detector's tests take: some learn from labelled anomalies only. */
static inline bool product_line_needs_anomalies(const char *detector)
{
    return strcmp(detector, "bgad") == 0 || strcmp(detector, "devnet") == 0;
}

static inline const char *product_line_setting(const char *detector)
{
    return product_line_needs_anomalies(detector) ? "supervised" : "unsupervised";
}

static inline product_line product_line_open(const char *size, const char *train, const char *good,
                                             const char *defective, const char *setting)
{
    return product_line_open_with("resnet18", test_device(), size, train, good, defective, setting);
}

/* Some look at a transformer only. */
static inline bool product_line_needs_transformer(const char *detector)
{
    return strcmp(detector, "dinomaly") == 0;
}

/* With a network and in a setting that the detector takes. */
static inline product_line product_line_open_for(const char *detector, const char *place,
                                                 const char *size, const char *train,
                                                 const char *good, const char *defective)
{
    const char *wanted = product_line_needs_transformer(detector) ? "dinov2_vits14" : "resnet18";
    return product_line_open_with(wanted, place, size, train, good, defective,
                                  product_line_setting(detector));
}

/* Not fitted, with these options and with what makes any detector quick enough for tests: those of
 * `small` that its schema has. */
static inline imiad_detector *product_line_detector(const product_line *l, const char *name,
                                                    const imiad_option *more, size_t count)
{
    static const imiad_option small[] = {{"resize", "64"},
                                         {"crop", "64"},
                                         {"epochs", "2"},
                                         {"train_batch", "2"},
                                         {"steps", "2"},
                                         {"distil_steps", "2"},
                                         {"distil_batch", "2"},
                                         {"reconstruction_width", "4"},
                                         {"discrimination_width", "4"},
                                         {"hidden", "8"},
                                         {"pretrain_embed_dimension", "32"},
                                         {"target_embed_dimension", "32"},
                                         {"coupling_layers", "2"},
                                         {"width", "8"},
                                         {"attention_blocks", "1"},
                                         {"patches", "33"},
                                         {"supports", "2"},
                                         {"feedforward", "16"},
                                         {"encoder_layers", "1"},
                                         {"decoder_layers", "1"},
                                         {"layer", "layer2"}};
    imiad_option options[32];
    imiad_detector *d = NULL;
    size_t used = 0;
    for (size_t i = 0; i < sizeof small / sizeof *small; ++i) {
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        for (size_t j = 0; imiad_detector_option_info(&info, name, j) == IMIAD_OK; ++j)
            if (strcmp(info.name, small[i].name) == 0 &&
                (strcmp(info.name, "layer") != 0 || !*info.default_value ||
                 strcmp(info.default_value, "layer4") == 0))
                options[used++] = small[i]; /* half of a network that is whole otherwise */
    }
    if (product_line_needs_transformer(name))
        options[used++] = (imiad_option){"layers", "blocks.0,blocks.1"};
    for (size_t i = 0; i < count; ++i)
        options[used++] = more[i];
    ck_ok(imiad_detector_create(&d, name, l->backbone, options, used));
    return d;
}

static inline void product_line_close(product_line *l)
{
    imiad_split_free(l->split);
    imiad_backbone_free(l->backbone);
    imiad_dataset_free(l->dataset);
}

#endif
