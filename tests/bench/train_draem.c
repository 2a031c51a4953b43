/* DRAEM trained as its page says, with everything that its networks see written down, so that the
 * authors' networks can be trained on the same (tests/golden/make_draem.py ... beside).
 *     train-draem FOLDER EPOCHS [SIZE [WIDTH [SEED [RATE [single|double]]]]]    default: 64 8 66
 * 0.001 single FOLDER holds what that script's `prepare` and `first` left there: data/mvtec_ad with
 * transistor, textures, first.pckl and first_seg.pckl, the parameters that both begin with. Leaves
 * FOLDER/batches, of every step an int32 count and float32 clean and damaged images and masks, and
 * FOLDER/losses.csv. One thread. With `double` parameters, optimisers and steps are in double
 * precision, which options cannot ask for; what was learned is rounded for scoring. Prints what the
 * test images are ranked with. */
#include <string.h>

#include "detectors/detector.h"
#include "detectors/training/training_state.h"
#include "imiad/imiad.h"
#include "measure.h"

static const training_ops *library; /* what the detector itself asks of a step */
static FILE *batches, *losses;
static bool in_double;
static int64_t steps; /* of all epochs */

static FILE *open_in(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return file;
}

static void write_all(const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, batches) != size) {
        perror("FOLDER/batches");
        exit(EXIT_FAILURE);
    }
}

static void change_type(training *t, dtype type)
{
    for (int i = 0; i < t->store_count; ++i)
        t_try(params_to(t->stores[i].parameters, type, CPU));
}

static void begin_in_double(training *t)
{
    change_type(t, F64);
    for (int i = 0; i < t->rule_count; ++i) {
        optimizer_free(t->rules[i].optimizer);
        t->rules[i].optimizer = NULL;
    }
    t_try(training_make_optimizers(t));
}

static void round_at_the_end(imiad_detector *self, const train_step *step)
{
    if (in_double && step->index + 1 == steps)
        change_type(self->state, F32);
}

static tensor *loss_of_what_is_kept(imiad_detector *self, const train_step *step)
{
    tensor *made[3];
    train_step taken = *step;
    if (in_double && step->index == 0)
        begin_in_double(self->state);
    taken.made = made;
    int32_t count = (int32_t)step->count;
    write_all(&count, sizeof count);
    for (int i = 0; i < 3; ++i) {
        size_t bytes = (size_t)t_count(step->made[i]) * sizeof(float);
        float *values = malloc(bytes);
        t_read(t_contiguous(t_to(step->made[i], F32)), values, bytes);
        write_all(values, bytes);
        free(values);
        made[i] = in_double ? t_to(step->made[i], F64) : step->made[i];
    }
    tensor *loss = library->loss(self, &taken);
    fprintf(losses, "%lld,%.17g\n", (long long)step->index, t_item(t_detach(loss)));
    return loss;
}

static imiad_detector *make(int argc, char **argv)
{
    char textures[4096], first[4096];
    snprintf(textures, sizeof textures, "%s/textures", argv[1]);
    snprintf(first, sizeof first, "%s/first.pckl", argv[1]);
    const char *size = argc > 3 ? argv[3] : "64", *width = argc > 4 ? argv[4] : "8";
    const imiad_option options[] = {{"preset", "official"},
                                    {"textures", textures},
                                    {"import", first},
                                    {"epochs", argv[2]},
                                    {"resize", size},
                                    {"reconstruction_width", width},
                                    {"discrimination_width", width},
                                    {"seed", argc > 5 ? argv[5] : "66"},
                                    {"learning_rate", argc > 6 ? argv[6] : "0.001"}};
    imiad_detector *d;
    check(imiad_detector_create(&d, "draem", NULL, options, sizeof options / sizeof *options));
    return d;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "train-draem FOLDER EPOCHS [SIZE [WIDTH [SEED [RATE [single|double]]]]]\n");
        return 1;
    }
    char root[4096];
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_metrics *metrics;
    double image, pixel;
    snprintf(root, sizeof root, "%s/data/mvtec_ad", argv[1]);
    check(imiad_set_threads(1));
    check(imiad_dataset_open(&dataset, "mvtec_ad", root, NULL, 0));
    check(imiad_split_create(&split, dataset, "transistor", "unsupervised", NULL, 0));
    imiad_detector *d = make(argc, argv);
    training *t = d->state;
    training_ops kept = *t->ops;
    int64_t images = options_int(d->options, "train_batch");
    steps = atoll(argv[2]) * (((int64_t)imiad_split_train_count(split) + images - 1) / images);
    library = t->ops;
    kept.loss = loss_of_what_is_kept;
    kept.after = round_at_the_end;
    in_double = argc > 7 && strcmp(argv[7], "double") == 0;
    t->ops = &kept;
    batches = open_in(argv[1], "batches");
    losses = open_in(argv[1], "losses.csv");
    double begin = cpu_seconds();
    check(imiad_detector_fit(d, split, NULL, NULL));
    double seconds = cpu_seconds() - begin;
    if (fclose(batches) != 0 || fclose(losses) != 0)
        return EXIT_FAILURE;
    check(imiad_metrics_create(&metrics, NULL, 0));
    check(imiad_evaluate(metrics, d, split, NULL, NULL, NULL, NULL, NULL));
    check(imiad_metrics_image_auroc(&image, metrics));
    check(imiad_metrics_pixel_auroc(&pixel, metrics));
    printf("image AUROC %.4f  pixel AUROC %.4f  %.0f s of processor\n", image, pixel, seconds);
    imiad_metrics_free(metrics);
    imiad_detector_free(d);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    return EXIT_SUCCESS;
}
