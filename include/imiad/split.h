/* Splits: which samples train and which test, as one setting of the benchmark draws them. What each
 * setting draws, and the published values of its options: docs/settings.md. */
#ifndef IMIAD_SPLIT_H
#define IMIAD_SPLIT_H

#include "imiad/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Never changes after it was made: any number of threads may read it. Keeps its dataset alive. */
typedef struct imiad_split imiad_split;

/* The registered settings: what imiad_split_create takes as a name. */
IMIAD_API size_t imiad_setting_count(void);
IMIAD_API const char *imiad_setting_name(size_t index);
IMIAD_API const char *imiad_setting_title(size_t index);
/* The option schema of a setting, what all settings share included: indices from 0 until
 * IMIAD_OUT_OF_RANGE. */
IMIAD_API imiad_status imiad_setting_option_info(imiad_option_info *out, const char *name,
                                                 size_t index);

/* Splits a category as a setting asks. What is drawn depends on the option seed, the names of
 * setting, dataset and category, and the paths of the candidates; on no other category, setting,
 * option or thread. A draw of n images begins with those of every smaller draw.
 * Datasets of somebody's own (folder, in memory, by functions) may have no test images: what such a
 * split trains can be calibrated and used, not evaluated.
 * Errors: IMIAD_NOT_FOUND for an unknown category, for one without training images, or without test
 * images elsewhere, and where a setting finds nothing to draw; IMIAD_UNKNOWN_OPTION for an unknown
 * setting or option; IMIAD_OUT_OF_RANGE; IMIAD_INVALID_ARGUMENT for options that contradict each
 * other; what kept the category from being listed. */
IMIAD_API imiad_status imiad_split_create(imiad_split **out, const imiad_dataset *dataset,
                                          const char *category, const char *setting,
                                          const imiad_option *options, size_t option_count);
IMIAD_API void imiad_split_free(imiad_split *split);
/* One split that trains on what all of these train on, in their order, and tests on what all of
 * them test on: for one detector of several categories. Its category, setting and options are the
 * first one's. They stay the caller's. Errors: IMIAD_INVALID_ARGUMENT for none, or of different
 * datasets or settings. */
IMIAD_API imiad_status imiad_split_join(imiad_split **out, const imiad_split *const *splits,
                                        size_t count);

/* What listing already knows about the test images and what would stop imiad_evaluate: a defective
 * one without ground truth while the dataset says missing_mask=error. Reads no file; call it before
 * a fit, which may take hours. Any thread. Errors: IMIAD_NOT_FOUND, with the first such image, how
 * many there are, and where its mask was looked for. */
IMIAD_API imiad_status imiad_split_check(const imiad_split *split);

/* All of these are borrowed from the split. */
IMIAD_API const imiad_dataset *imiad_split_dataset(const imiad_split *split);
IMIAD_API const char *imiad_split_category(const imiad_split *split);
IMIAD_API const char *imiad_split_setting(const imiad_split *split); /* "unsupervised" */
/* The value of an option as text, given or default; NULL where there is no such option. */
IMIAD_API const char *imiad_split_option(const imiad_split *split, const char *name);

/* Sample indices into the dataset, in the split's order; SIZE_MAX past the end. Augmentation trains
 * on a sample several times. */
IMIAD_API size_t imiad_split_train_count(const imiad_split *split);
IMIAD_API size_t imiad_split_train(const imiad_split *split, size_t index);
IMIAD_API size_t imiad_split_test_count(const imiad_split *split);
IMIAD_API size_t imiad_split_test(const imiad_split *split, size_t index);
/* The label that training is told, which in the noisy setting is not the sample's own: 0 normal; 1
 * defective, and then the method may use the ground truth too; -1 past the end. */
IMIAD_API int32_t imiad_split_train_label(const imiad_split *split, size_t index);
/* What a training image is there for: "train" (a normal training image), "train_shot" (one of a few
 * that were drawn), "train_anomaly" (drawn, told defective), "train_noise" (drawn, told normal),
 * "train_source" (a normal image of another category, for detectors that learn on those).
 * Static text; NULL past the end. */
IMIAD_API const char *imiad_split_train_role(const imiad_split *split, size_t index);
/* What the training image goes through after resize and crop, as text that imiad_split_write
 * writes, too: "" or "rotation 72"; docs/settings.md lists the kinds. At most 128 bytes with the
 * NUL are written. Fitting a detector does it by itself. Errors: IMIAD_OUT_OF_RANGE past the end.
 */
IMIAD_API imiad_status imiad_split_train_augmentation(char out[128], const imiad_split *split,
                                                      size_t index);

/* How many images the setting drew, which a cap or a small category can make fewer than asked for:
 * anomalies, noise or shots; each counts once however often it is augmented. */
IMIAD_API size_t imiad_split_drawn_count(const imiad_split *split);
/* The same over the category's normal training images: the noisy setting's effective ratio. */
IMIAD_API double imiad_split_drawn_ratio(const imiad_split *split);

/* Selection files: the images of a split with their roles as text, the unit in which a run is
 * repeated elsewhere; docs/settings.md describes the format. Written whole or not at all; missing
 * folders are made. Errors: IMIAD_IO; IMIAD_UNSUPPORTED for a name with a tab or a line's end. */
IMIAD_API imiad_status imiad_split_write(const imiad_split *split, const char *path);
/* A split of these very images, drawn or edited; the dataset may lie elsewhere. Every error names
 * the file, and the line where there is one. Errors: IMIAD_FORMAT; IMIAD_MISMATCH for another
 * dataset, or a role that the image's label contradicts; IMIAD_NOT_FOUND for a category or image
 * that the dataset lacks; IMIAD_UNKNOWN_OPTION and IMIAD_OUT_OF_RANGE as in imiad_split_create. */
IMIAD_API imiad_status imiad_split_read(imiad_split **out, const imiad_dataset *dataset,
                                        const char *path);

#ifdef __cplusplus
}
#endif
#endif
